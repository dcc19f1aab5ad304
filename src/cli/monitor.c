#include "cli/monitor.h"

#include "base/clock.h"
#include "base/log.h"
#include "report/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

struct monitor {
	const struct config *config;
	const struct submit *submit;
	struct metrics *metrics;
	struct metrics_endpoint *endpoints;
	int64_t failures; /* running */
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
	return m;
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	metrics_free(m->metrics);
	free(m->endpoints);
	free(m);
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
		.certificate_expires_at = figures.certificate_expires_at,
	};

	for (int k = 0; k < TOKEN_N_TROUBLES; k++)
		endpoint.tokens[k] = (struct metrics_token_result){ token_trouble_name((enum token_trouble)k), figures.counts->tokens[k] };
	return endpoint;
}

static void write_now(struct monitor *m, int64_t now_ms, int64_t failed_commits)
{
	struct error err = { 0 };

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
