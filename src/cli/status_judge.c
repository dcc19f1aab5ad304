#include "base/file.h"
#include "cli/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_NAMED = 10 }; /* of manifests with trouble */

static const char *const level_names[] = { [STATUS_OK] = "ok", [STATUS_WARNING] = "warning", [STATUS_CRITICAL] = "critical" };

const char *status_level_name(enum status_level level)
{
	return level_names[level];
}

void status_span(char ret_words[static 32], int64_t ms)
{
	long long s = ms > 0 ? (ms + 500) / 1000 : 0;

	if (s < 120)
		snprintf(ret_words, 32, "%lld s", s);
	else if (s < 2 * 3600)
		snprintf(ret_words, 32, "%lld min", (s + 30) / 60);
	else if (s < 48 * 3600 && s / 60 % 60)
		snprintf(ret_words, 32, "%lld h %lld min", s / 3600, s / 60 % 60);
	else if (s < 48 * 3600)
		snprintf(ret_words, 32, "%lld h", s / 3600);
	else
		snprintf(ret_words, 32, "%lld days", s / 86400);
}

__attribute__((format(printf, 4, 5))) static void find(struct status *status, enum status_level level, const char *what, const char *format,
						       ...)
{
	struct status_finding finding = { .level = level, .what = what };
	size_t at = 0;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(finding.text, sizeof(finding.text), format, arguments);
	va_end(arguments);
	if (status->n_findings == status->room) {
		status->room = status->room ? 2 * status->room : 16;
		status->findings = xrealloc_array(status->findings, status->room, sizeof(finding));
	}
	while (at < status->n_findings && status->findings[at].level >= level)
		at++;
	memmove(&status->findings[at + 1], &status->findings[at], (status->n_findings - at) * sizeof(finding));
	status->findings[at] = finding;
	status->n_findings++;
}

enum status_level status_worst(const struct status *status)
{
	return status->n_findings ? status->findings[0].level : STATUS_OK;
}

static void judge_endpoint(struct status *status, const struct status_endpoint *e)
{
	char next[32];

	if (!e->configured || strcmp(e->state, "open") == 0)
		return;
	if (strcmp(e->state, "probing") == 0) {
		find(status, STATUS_CRITICAL, "paused", "endpoint %s is paused: %s, one row is being tried now", e->name, e->reason);
	} else if (!e->until_ms) {
		find(status, STATUS_CRITICAL, "paused", "endpoint %s is paused: %s, until trackbridge resume %s", e->name, e->reason,
		     e->name);
	} else {
		status_span(next, e->until_ms - status->at_ms);
		find(status, STATUS_CRITICAL, "paused", "endpoint %s is paused: %s, next try in %s", e->name, e->reason, next);
	}
}

static void judge_source(struct status *status, const struct status_source *s)
{
	if (!s->configured || strcmp(s->state, "open") == 0)
		return;
	if (strcmp(s->state, "late") == 0)
		find(status, STATUS_WARNING, "late", "source %s is late: %s", s->name, s->reason);
	else if (s->reason[0])
		find(status, STATUS_WARNING, "source", "source %s waits: %s", s->name, s->reason);
}

static void judge_day(struct status *status, const char *state, int64_t n)
{
	if (n)
		find(status, STATUS_WARNING, state, "%" PRId64 " row%s became %s in the last day (trackbridge list --state %s)", n,
		     n == 1 ? "" : "s", state, state);
}

static void judge_waiting(struct status *status, const struct status_limits *limits)
{
	int64_t age = status->at_ms - status->ready_since_ms;
	char words[32];

	if (!status->ready_since_ms || age < (limits->warning_ms < limits->critical_ms ? limits->warning_ms : limits->critical_ms))
		return;
	status_span(words, age);
	find(status, age >= limits->critical_ms ? STATUS_CRITICAL : STATUS_WARNING, "waiting", "a row that could go has waited for %s",
	     words);
}

static void judge_files(struct status *status)
{
	const struct config *config = status->config;

	if (status->free_bytes >= 0 && status->free_bytes < config->min_free_space)
		find(status, STATUS_CRITICAL, "space",
		     "%s has %" PRId64 " MiB free, less than min_free_space (%" PRId64 " MiB): no file is taken in", config->state_dir,
		     status->free_bytes >> 20, config->min_free_space >> 20);
	if (status->wal_bytes >= QUEUE_WAL_MOST)
		find(status, STATUS_WARNING, "wal",
		     "queue.db-wal has %" PRId64 " MiB: a reader keeps it from shrinking (fuser -v %s/queue.db-wal)",
		     status->wal_bytes >> 20, config->state_dir);
	if (status->files_missing)
		find(status, STATUS_WARNING, "files",
		     "queue.db-wal or queue.db-shm was gone: somebody opened queue.db with sqlite3 by hand, and who may only read could read "
		     "nothing; starting the daemon puts them back");
}

static void judge_certificate(struct status *status, const struct queue_value *row)
{
	enum { ENDPOINT, EXPIRES_AT, DAYS };

	if (row[DAYS].number < 0)
		find(status, STATUS_WARNING, "certificate", "endpoint %s: the client certificate has ended, at %s", row[ENDPOINT].text,
		     row[EXPIRES_AT].text);
	else
		find(status, STATUS_WARNING, "certificate", "endpoint %s: the client certificate ends at %s, in %" PRId64 " days",
		     row[ENDPOINT].text, row[EXPIRES_AT].text, row[DAYS].number);
}

static void judge_trouble(struct status *status, const struct queue_value *row)
{
	enum { TROUBLE, MANIFEST_ID, SOURCE, NAME, REASON };
	scoped_text struct text name = { 0 };
	bool paused = strcmp(row[TROUBLE].text, "paused") == 0;

	text_escape(&name, row[NAME].text, strlen(row[NAME].text));
	find(status, STATUS_WARNING, paused ? "manifest" : "file", "manifest %" PRId64 " of %s (%.100s) %s%s", row[MANIFEST_ID].number,
	     row[SOURCE].text, name.data ? name.data : "", paused ? "is paused: " : "could not be given its file: ", row[REASON].text);
}

static bool judge_manifests(struct status *status, struct queue_reader *reader, struct error *err)
{
	const struct queue_filter some = { .limit = MOST_NAMED + 1 };
	const struct queue_value *row;
	struct queue_cursor *cursor;
	bool good;
	int n = 0;

	if (!queue_reader_query(reader, QUEUE_TROUBLE, &some, &cursor, err))
		return false;
	while ((good = queue_cursor_next(cursor, &row, err)) && row && n++ < MOST_NAMED)
		judge_trouble(status, row);
	if (n > MOST_NAMED)
		find(status, STATUS_WARNING, "manifest", "more manifests are paused or wait for a file (trackbridge manifests)");
	queue_cursor_close(cursor);
	return good;
}

bool status_judge(struct status *status, struct queue_reader *reader, const struct status_limits *limits, struct error *err)
{
	if (!status->pid)
		find(status, STATUS_CRITICAL, "daemon", "no daemon runs");
	for (size_t i = 0; i < status->n_endpoints; i++)
		judge_endpoint(status, &status->endpoints[i]);
	judge_waiting(status, limits);
	judge_files(status);
	judge_day(status, "in_doubt", status->in_doubt_day);
	judge_day(status, "refused", status->refused_day);
	judge_day(status, "expired", status->expired_day);
	for (size_t i = 0; i < status->n_sources; i++)
		judge_source(status, &status->sources[i]);
	return status_ask(status, reader, QUEUE_CERTIFICATES, judge_certificate, err) && judge_manifests(status, reader, err);
}
