#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"

enum { SHOW_MS = 1000, LOG_MS = 60000, BAR_WIDTH = 30 };

struct progress {
	struct queue *queue;
	bool bar;
	struct queue_counts start, logged, shown;
	int64_t show_at_ms, log_at_ms;
	bool dirty; /* something was seen moving since the last look */
	size_t in_flight;
	struct text doing;
	bool other; /* than what was told */
};

bool progress_new(struct queue *queue, bool bar, struct progress **ret_progress, struct error *err)
{
	struct progress *p = xcalloc(1, sizeof(*p));

	p->queue = queue;
	p->bar = bar && isatty(STDERR_FILENO);
	p->dirty = true;
	if (!queue_counts(queue, &p->start)) {
		free(p);
		return queue_commit(queue, err);
	}
	p->logged = p->start;
	*ret_progress = p;
	return true;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	text_free(&p->doing);
	free(p);
}

static int64_t open_rows(const struct queue_counts *c)
{
	return c->by_state[ROW_QUEUED] + c->by_state[ROW_SENDING] + c->by_state[ROW_IN_DOUBT] + c->by_state[ROW_HELD];
}

static void draw_bar(const struct queue_counts *now, const struct queue_counts *start)
{
	int64_t total = now->rows - start->rows + open_rows(start), left = open_rows(now);
	int64_t filled = total > 0 ? (total - left) * BAR_WIDTH / total : BAR_WIDTH;
	char bar[BAR_WIDTH + 1];

	if (filled < 0)
		filled = 0;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', (size_t)filled);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %" PRId64 " of %" PRId64 " rows, %" PRId64 " accepted\x1b[K", bar, total - left, total,
		now->by_state[ROW_ACCEPTED] - start->by_state[ROW_ACCEPTED]);
}

static void tell(struct progress *p, const struct queue_counts *now)
{
	sd_notifyf(0, "STATUS=%s%" PRId64 " queued, %zu in flight, %" PRId64 " accepted, %" PRId64 " in doubt, %" PRId64 " refused",
		   p->doing.length ? p->doing.data : "", now->by_state[ROW_QUEUED], p->in_flight, now->by_state[ROW_ACCEPTED],
		   now->by_state[ROW_IN_DOUBT], now->by_state[ROW_REFUSED]);
	if (p->bar)
		draw_bar(now, &p->start);
}

/* A minute in which nothing was read and nothing came to its end is not worth a line. */
static void log_minute(struct progress *p, const struct queue_counts *now)
{
	if (now->rows == p->logged.rows && open_rows(now) == open_rows(&p->logged) &&
	    now->by_state[ROW_IN_DOUBT] == p->logged.by_state[ROW_IN_DOUBT])
		return;
	log_write(LOG_INFO,
		  "progress: %" PRId64 " rows read, %" PRId64 " accepted in the last minute; %" PRId64 " queued, %" PRId64 " in doubt",
		  now->rows - p->logged.rows, now->by_state[ROW_ACCEPTED] - p->logged.by_state[ROW_ACCEPTED], now->by_state[ROW_QUEUED],
		  now->by_state[ROW_IN_DOUBT]);
	p->logged = *now;
}

/* True where it is doing something else than before. */
static bool take_doing(struct progress *p, const char *doing)
{
	if (strcmp(doing, p->doing.length ? p->doing.data : "") == 0)
		return false;
	text_clear(&p->doing);
	text_append_string(&p->doing, doing);
	return true;
}

void progress_show(struct progress *p, int64_t now_ms, size_t in_flight, const char *doing)
{
	struct queue_counts now;

	p->other = take_doing(p, doing) || p->other;
	p->dirty = p->dirty || p->other || in_flight != p->in_flight || in_flight > 0;
	p->in_flight = in_flight;
	if (now_ms < p->show_at_ms || !p->dirty)
		return;
	p->show_at_ms = now_ms + SHOW_MS;
	if (!queue_counts(p->queue, &now))
		return;
	p->dirty = p->other || memcmp(&now, &p->shown, sizeof(now)) != 0;
	p->other = false;
	if (!p->dirty)
		return;
	p->shown = now;
	tell(p, &now);
	if (p->log_at_ms == 0)
		p->log_at_ms = now_ms + LOG_MS;
	if (now_ms < p->log_at_ms)
		return;
	p->log_at_ms = now_ms + LOG_MS;
	log_minute(p, &now);
}

int64_t progress_next_ms(const struct progress *p)
{
	return p->dirty ? p->show_at_ms : INT64_MAX;
}

void progress_end(struct progress *p)
{
	struct queue_counts now;

	if (!queue_counts(p->queue, &now))
		return;
	tell(p, &now);
	if (p->bar)
		fputc('\n', stderr);
}

int progress_status(struct progress *p)
{
	static const enum row_state bad[] = { ROW_REFUSED, ROW_EXPIRED, ROW_CANCELLED, ROW_REJECTED };
	struct queue_counts now;

	if (!queue_counts(p->queue, &now))
		return ERROR_IO;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (now.by_state[bad[i]] > p->start.by_state[bad[i]])
			return ERROR_DATA;
	}
	/* One that is rejected before its first row has none that says so. */
	if (now.manifests_rejected > p->start.manifests_rejected)
		return ERROR_DATA;
	return open_rows(&now) > 0 ? ERROR_DATA : 0;
}
