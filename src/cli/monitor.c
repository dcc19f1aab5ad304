#include "cli/monitor.h"

#include "base/clock.h"
#include "base/log.h"
#include "report/metrics.h"
#include "submit/jwt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { CERTIFICATES_EVERY_MS = 60 * 60 * 1000 };

/* An endpoint's certificate file as it was when it was read. */
struct certificate {
	struct stat as_read;
	bool read;
	int64_t expires_at; /* 0: it could not be read */
};

struct monitor {
	const struct config *config;
	const struct submit *submit;
	struct metrics *metrics;
	struct metrics_endpoint *endpoints;
	struct certificate *certificates;
	bool looked;
	int64_t looked_at; /* at the certificates */
	int64_t failures;  /* running */
};

struct monitor *monitor_new(const struct config *config, struct queue *queue, const struct submit *submit)
{
	struct monitor *m;

	if (!config->metrics_file)
		return NULL;
	m = xcalloc(1, sizeof(*m));
	m->config = config;
	m->submit = submit;
	m->metrics = metrics_new(config, queue, clock_wall_ms());
	m->endpoints = xcalloc(config->n_endpoints, sizeof(*m->endpoints));
	m->certificates = xcalloc(config->n_endpoints, sizeof(*m->certificates));
	return m;
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	metrics_free(m->metrics);
	free(m->endpoints);
	free(m->certificates);
	free(m);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* What is wrong with a certificate is said by `check` and by the endpoint's pause; here it only has no time. */
static void look_at_certificate(struct certificate *certificate, const char *path)
{
	struct stat now = { 0 };

	if (stat(path, &now) < 0) {
		*certificate = (struct certificate){ 0 };
		return;
	}
	if (certificate->read && same_file(&now, &certificate->as_read))
		return;
	*certificate = (struct certificate){ .as_read = now, .read = true };
	if (!jwt_certificate_end(path, &certificate->expires_at, NULL))
		certificate->expires_at = 0;
}

static void look_at_certificates(struct monitor *m, int64_t now_ms)
{
	if (m->looked && now_ms - m->looked_at < CERTIFICATES_EVERY_MS)
		return;
	for (size_t i = 0; i < m->config->n_endpoints; i++)
		look_at_certificate(&m->certificates[i], m->config->endpoints[i].tls.certificate);
	m->looked = true;
	m->looked_at = now_ms;
}

_Static_assert((int)METRICS_TOKEN_RESULTS == (int)TOKEN_N_TROUBLES, "the metrics have a counter for each result of a token fetch");

static struct metrics_endpoint endpoint_of(const struct monitor *m, size_t i)
{
	const struct submit_figures figures = submit_figures(m->submit, i);
	struct metrics_endpoint endpoint = {
		.name = m->config->endpoints[i].name,
		.state = figures.state,
		.reason = figures.reason,
		.concurrency = figures.concurrency,
		.in_flight = figures.in_flight,
		.attempts = figures.counts->attempts,
		.latency = &figures.counts->latency,
		.certificate_expires_at = m->certificates[i].expires_at,
	};

	for (int k = 0; k < TOKEN_N_TROUBLES; k++)
		endpoint.tokens[k] = (struct metrics_token_result){ token_trouble_name((enum token_trouble)k), figures.counts->tokens[k] };
	return endpoint;
}

static void write_now(struct monitor *m, int64_t now_ms, int64_t failed_commits)
{
	struct error err = { 0 };

	look_at_certificates(m, now_ms);
	for (size_t i = 0; i < m->config->n_endpoints; i++)
		m->endpoints[i] = endpoint_of(m, i);
	if (!metrics_write(m->metrics, now_ms, clock_wall_ms(), m->endpoints, failed_commits, &err)) {
		if (m->failures++ == 0)
			log_write(LOG_WARNING, "%s; it is tried again", err.text);
		return;
	}
	if (m->failures)
		log_write(LOG_NOTICE, "%s is written again, after %" PRId64 " failed tries", m->config->metrics_file, m->failures);
	m->failures = 0;
}

void monitor_work(struct monitor *m, int64_t now_ms, int64_t failed_commits)
{
	if (m && now_ms >= metrics_next_ms(m->metrics))
		write_now(m, now_ms, failed_commits);
}

void monitor_end(struct monitor *m, int64_t now_ms, int64_t failed_commits)
{
	if (m)
		write_now(m, now_ms, failed_commits);
}

int64_t monitor_next_ms(const struct monitor *m)
{
	return m ? metrics_next_ms(m->metrics) : INT64_MAX;
}
