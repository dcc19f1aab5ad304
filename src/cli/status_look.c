#include "base/clock.h"
#include "base/file.h"
#include "cli/lock.h"
#include "cli/status.h"
#include "track/civil.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* A view's time as ms since 1970; 0 for NULL. */
static int64_t moment(const struct queue_value *value)
{
	struct civil c = { 0 };
	int ms = 0;

	if (value->type != QUEUE_TEXT ||
	    sscanf(value->text, "%d-%d-%dT%d:%d:%d.%dZ", &c.year, &c.month, &c.day, &c.hour, &c.minute, &c.second, &ms) != 7)
		return 0;
	return civil_seconds(&c) * 1000 + ms;
}

static void copy(char *to, size_t size, const struct queue_value *value)
{
	snprintf(to, size, "%s", value->type == QUEUE_TEXT ? value->text : "");
}

bool status_ask(struct status *status, struct queue_reader *reader, enum queue_query query, status_take *take, struct error *err)
{
	const struct queue_filter all = { .now_ms = status->at_ms };
	const struct queue_value *row;
	struct queue_cursor *cursor;
	bool good;

	if (!queue_reader_query(reader, query, &all, &cursor, err))
		return false;
	while ((good = queue_cursor_next(cursor, &row, err)) && row)
		take(status, row);
	queue_cursor_close(cursor);
	return good;
}

static void take_overview(struct status *status, const struct queue_value *row)
{
	for (int i = 0; i < STATUS_MANIFEST_STATES; i++)
		status->manifests[i] = row[i].number;
	status->rows = row[STATUS_MANIFEST_STATES].number;
	for (int i = 0; i < ROW_N_STATES; i++)
		status->by_state[i] = row[STATUS_MANIFEST_STATES + 1 + i].number;
}

static void take_oldest(struct status *status, const struct queue_value *row)
{
	enum { MANIFEST_ID, SOURCE, NAME, QUEUED_AT, PAUSED };

	status->oldest.manifest = row[MANIFEST_ID].number;
	copy(status->oldest.source, sizeof(status->oldest.source), &row[SOURCE]);
	copy(status->oldest.name, sizeof(status->oldest.name), &row[NAME]);
	copy(status->oldest.paused, sizeof(status->oldest.paused), &row[PAUSED]);
	status->oldest.since_ms = moment(&row[QUEUED_AT]);
}

static void take_activity(struct status *status, const struct queue_value *row)
{
	enum { ACCEPTED, SINCE, REFUSED, IN_DOUBT, EXPIRED, MOVABLE };

	status->accepted = row[ACCEPTED].number;
	status->accepted_since_ms = row[SINCE].number;
	status->refused_day = row[REFUSED].number;
	status->in_doubt_day = row[IN_DOUBT].number;
	status->expired_day = row[EXPIRED].number;
	status->movable = row[MOVABLE].number;
}

static void take_ready(struct status *status, const struct queue_value *row)
{
	status->ready_since_ms = row[1].number;
}

static void take_endpoint(struct status *status, const struct queue_value *row)
{
	enum { ENDPOINT, STATE, REASON, PAUSED_UNTIL, IN_FLIGHT, CONCURRENCY, TOKEN_EXPIRES_AT, LAST_ACCEPTED_AT };
	struct status_endpoint *e;

	status->endpoints = xrealloc_array(status->endpoints, status->n_endpoints + 1, sizeof(*e));
	e = &status->endpoints[status->n_endpoints++];
	*e = (struct status_endpoint){
		.until_ms = moment(&row[PAUSED_UNTIL]),
		.in_flight = row[IN_FLIGHT].number,
		.concurrency = row[CONCURRENCY].number,
		.last_accepted_ms = moment(&row[LAST_ACCEPTED_AT]),
	};
	copy(e->name, sizeof(e->name), &row[ENDPOINT]);
	copy(e->state, sizeof(e->state), &row[STATE]);
	copy(e->reason, sizeof(e->reason), &row[REASON]);
	for (size_t i = 0; i < status->config->n_endpoints; i++)
		e->configured = e->configured || strcmp(status->config->endpoints[i].name, e->name) == 0;
}

static void take_source(struct status *status, const struct queue_value *row)
{
	enum { SOURCE, DROP_DIRECTORY, STATE, REASON, LAST_MANIFEST_AT, MANIFESTS, WAITING_FILES };
	struct status_source *s;

	status->sources = xrealloc_array(status->sources, status->n_sources + 1, sizeof(*s));
	s = &status->sources[status->n_sources++];
	*s = (struct status_source){
		.manifests = row[MANIFESTS].number,
		.waiting_files = row[WAITING_FILES].number,
		.last_manifest_ms = moment(&row[LAST_MANIFEST_AT]),
	};
	copy(s->name, sizeof(s->name), &row[SOURCE]);
	copy(s->state, sizeof(s->state), &row[STATE]);
	copy(s->reason, sizeof(s->reason), &row[REASON]);
	s->configured = config_source_named(status->config, s->name) >= 0;
}

static int64_t free_bytes(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 && fs.f_blocks > 0 ? (int64_t)(fs.f_bavail * fs.f_frsize) : -1;
}

static char *beside(const struct config *config, const char *suffix)
{
	struct text path = { 0 };

	text_printf(&path, "%s/queue.db%s", config->state_dir, suffix);
	return path.data;
}

static int64_t size_of(const struct config *config, const char *suffix)
{
	scoped_free char *path = beside(config, suffix);
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* Only where that can be told: nobody who may not look is told a tale. */
bool status_files_missing(const struct config *config)
{
	static const char *const suffixes[] = { "-wal", "-shm" };

	if (size_of(config, "") < 0)
		return false;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (size_of(config, suffixes[i]) < 0 && errno == ENOENT)
			return true;
	}
	return false;
}

bool status_look(const struct config *config, struct queue_reader *reader, bool files_missing, struct status *ret_status, struct error *err)
{
	struct status status = {
		.config = config,
		.at_ms = clock_wall_ms(),
		.pid = lock_holder(config->state_dir),
		.free_bytes = free_bytes(config->state_dir),
		.wal_bytes = size_of(config, "-wal"),
	};

	status.files_missing = files_missing && !status.pid;
	if (!queue_reader_restored(reader, &status.copied_at_ms, &status.restored_at_ms, err) ||
	    !status_ask(&status, reader, QUEUE_OVERVIEW, take_overview, err) ||
	    !status_ask(&status, reader, QUEUE_ACTIVITY, take_activity, err) ||
	    !status_ask(&status, reader, QUEUE_OLDEST_WAITING, take_oldest, err) ||
	    !status_ask(&status, reader, QUEUE_READY, take_ready, err) ||
	    !status_ask(&status, reader, QUEUE_ENDPOINT_STATUS, take_endpoint, err) ||
	    !status_ask(&status, reader, QUEUE_SOURCE_STATUS, take_source, err)) {
		status_free(&status);
		return false;
	}
	*ret_status = status;
	return true;
}

void status_free(struct status *status)
{
	free(status->endpoints);
	free(status->sources);
	free(status->findings);
	*status = (struct status){ 0 };
}

const struct status_endpoint *status_paused(const struct status *status)
{
	for (size_t i = 0; i < status->n_endpoints; i++) {
		if (status->endpoints[i].configured && strcmp(status->endpoints[i].state, "open") != 0)
			return &status->endpoints[i];
	}
	return NULL;
}

double status_rate(const struct status *status)
{
	int64_t window_ms = status->at_ms - status->accepted_since_ms;

	return window_ms > 0 ? (double)status->accepted * 60000 / (double)window_ms : 0;
}

int64_t status_drain_ms(const struct status *status)
{
	double rate = status_rate(status);

	if (status->movable == 0)
		return 0;
	/* What is measured while one of them stands still says nothing of the whole. */
	if (!status->pid || rate <= 0 || status_paused(status))
		return -1;
	return (int64_t)((double)status->movable * 60000 / rate);
}
