#include "report/metrics.h"

#include "base/file.h"
#include "queue/figures.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct metrics {
	const struct config *config;
	struct queue *queue;
	/* The temporary name does not end in .prom: the collector reads every file that does. */
	char *temporary, *database, *wal;
	int64_t started_ms;
	bool tried;
	int64_t tried_at;
	int64_t commits; /* when it was tried last */
	int64_t failures;
};

struct metrics *metrics_new(const struct config *config, struct queue *queue, int64_t started_ms)
{
	struct metrics *m = xcalloc(1, sizeof(*m));
	struct text temporary = { 0 };

	text_printf(&temporary, "%s.tmp", config->metrics_file);
	m->config = config;
	m->queue = queue;
	m->temporary = temporary.data;
	m->database = file_join(config->state_dir, "queue.db");
	m->wal = file_join(config->state_dir, "queue.db-wal");
	m->started_ms = started_ms;
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	free(m->temporary);
	free(m->database);
	free(m->wal);
	free(m);
}

int64_t metrics_next_ms(const struct metrics *m)
{
	if (!m->tried)
		return 0;
	return m->tried_at + (queue_commits(m->queue) != m->commits ? METRICS_EVERY_MS : METRICS_IDLE_MS);
}

/* Looked at by name: opening and closing it would drop SQLite's locks (POSIX, fcntl). */
static int64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static int64_t free_space(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 ? (int64_t)(fs.f_bavail * fs.f_frsize) : -1;
}

static bool write_file(const struct metrics *m, const struct text *text, struct error *err)
{
	scoped_close int fd = -1;

	/* What is left there, or was put there by others, is not written into. */
	if (unlink(m->temporary) < 0 && errno != ENOENT)
		return error_errno(err, errno, "metrics_file: %s", m->temporary);
	fd = open(m->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(err, errno, "metrics_file: %s", m->temporary);
	if (file_write_all(fd, text->data, text->length) && fchmod(fd, 0644) == 0 && rename(m->temporary, m->config->metrics_file) == 0)
		return true;
	error_errno(err, errno, "metrics_file: %s", m->config->metrics_file);
	unlink(m->temporary);
	return false;
}

static bool gather(struct metrics *m, int64_t now_ms, struct metrics_endpoint *endpoints, struct queue_source_figures **ret_sources,
		   size_t *ret_n, struct error *err)
{
	for (size_t i = 0; i < m->config->n_endpoints; i++) {
		/* Where the endpoint is paused, no row could go. */
		endpoints[i].waiting_since = 0;
		if (strcmp(endpoints[i].state, "paused") != 0 &&
		    !queue_waiting_since(m->queue, (int)i, now_ms, &endpoints[i].waiting_since))
			return error_set(err, ERROR_IO, "metrics_file: the queue cannot be read");
	}
	return queue_figures(m->queue, ret_sources, ret_n, err);
}

static bool write_all(struct metrics *m, int64_t now_ms, int64_t wall_ms, struct metrics_endpoint *endpoints, int64_t failed_commits,
		      struct error *err)
{
	struct queue_source_figures *sources = NULL;
	struct metrics_facts facts = {
		.wall_ms = wall_ms,
		.started_ms = m->started_ms,
		.endpoints = endpoints,
		.n_endpoints = m->config->n_endpoints,
		.database_bytes = size_of(m->database),
		.wal_bytes = size_of(m->wal),
		.free_bytes = free_space(m->config->state_dir),
		.least_free_bytes = m->config->min_free_space,
		.failed_commits = failed_commits,
		.failed_writes = m->failures,
	};
	scoped_text struct text text = { 0 };
	bool good = gather(m, now_ms, endpoints, &sources, &facts.n_sources, err);

	facts.sources = sources;
	if (good) {
		metrics_text(&text, &facts);
		good = write_file(m, &text, err);
	}
	free(sources);
	return good;
}

bool metrics_write(struct metrics *m, int64_t now_ms, int64_t wall_ms, struct metrics_endpoint *endpoints, int64_t failed_commits,
		   struct error *err)
{
	bool good = write_all(m, now_ms, wall_ms, endpoints, failed_commits, err);

	m->tried = true;
	m->tried_at = now_ms;
	m->commits = queue_commits(m->queue);
	m->failures += !good;
	return good;
}
