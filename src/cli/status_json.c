#include "cli/format.h"
#include "cli/status.h"

#include <inttypes.h>

static void append_time(struct text *out, const char *key, int64_t ms)
{
	char time[32];

	text_time(time, ms);
	if (ms)
		text_printf(out, "\"%s\":\"%s\",\n", key, time);
	else
		text_printf(out, "\"%s\":null,\n", key);
}

static void append_counts(struct text *out, const struct status *status)
{
	static const char *const states[STATUS_MANIFEST_STATES] = { "loading", "released", "settled", "rejected", "duplicate" };

	text_append_string(out, "\"manifests\":{");
	for (int i = 0; i < STATUS_MANIFEST_STATES; i++)
		text_printf(out, "%s\"%s\":%" PRId64, i ? "," : "", states[i], status->manifests[i]);
	text_printf(out, "},\n\"rows\":{\"all\":%" PRId64, status->rows);
	for (int i = 0; i < ROW_N_STATES; i++)
		text_printf(out, ",\"%s\":%" PRId64, queue_state_name((enum row_state)i), status->by_state[i]);
	text_append_string(out, "},\n");
}

static void append_oldest(struct text *out, const struct status *status)
{
	char since[32];

	if (!status->oldest.manifest) {
		text_append_string(out, "\"oldest_waiting\":null,\n");
		return;
	}
	text_time(since, status->oldest.since_ms);
	text_printf(out, "\"oldest_waiting\":{\"manifest_id\":%" PRId64 ",\"source\":", status->oldest.manifest);
	format_json_string(out, status->oldest.source);
	text_append_string(out, ",\"name\":");
	format_json_string(out, status->oldest.name);
	text_printf(out, ",\"queued_at\":\"%s\",\"paused\":\"%s\"},\n", since, status->oldest.paused);
}

static void append_pace(struct text *out, const struct status *status)
{
	int64_t drain = status_drain_ms(status);

	append_time(out, "ready_since", status->ready_since_ms);
	text_printf(out, "\"accepted_per_minute\":%.2f,\n", status_rate(status));
	if (drain >= 0)
		text_printf(out, "\"drain_seconds\":%" PRId64 ",\n", (drain + 999) / 1000);
	else
		text_append_string(out, "\"drain_seconds\":null,\n");
	text_printf(out, "\"last_day\":{\"refused\":%" PRId64 ",\"in_doubt\":%" PRId64 ",\"expired\":%" PRId64 "},\n", status->refused_day,
		    status->in_doubt_day, status->expired_day);
}

static void append_bytes(struct text *out, const char *key, int64_t bytes)
{
	if (bytes >= 0)
		text_printf(out, "\"%s\":%" PRId64 ",", key, bytes);
	else
		text_printf(out, "\"%s\":null,", key);
}

static void append_findings(struct text *out, const struct status *status)
{
	text_append_string(out, "\"warnings\":[");
	for (size_t i = 0; i < status->n_findings; i++) {
		const struct status_finding *finding = &status->findings[i];

		text_printf(out, "%s\n{\"level\":\"%s\",\"what\":\"%s\",\"text\":", i ? "," : "", status_level_name(finding->level),
			    finding->what);
		format_json_string(out, finding->text);
		text_append_string(out, "}");
	}
	text_append_string(out, "],\n");
}

/* As the view has them. */
static bool append_list(struct text *out, struct queue_reader *reader, enum queue_query query, const char *name, struct error *err)
{
	const struct queue_filter all = { 0 };
	const struct queue_value *row;
	struct queue_cursor *cursor;
	const char *const *columns;
	bool good;
	size_t n;

	if (!queue_reader_query(reader, query, &all, &cursor, err))
		return false;
	columns = queue_cursor_columns(cursor, &n);
	text_printf(out, "\"%s\":[", name);
	for (int i = 0; (good = queue_cursor_next(cursor, &row, err)) && row; i++) {
		text_append_string(out, i ? ",\n" : "\n");
		format_json_object(out, columns, row, n);
	}
	text_append_string(out, "]");
	queue_cursor_close(cursor);
	return good;
}

bool status_json(struct text *out, const struct status *status, struct queue_reader *reader, struct error *err)
{
	text_append_string(out, "{");
	append_time(out, "at", status->at_ms);
	if (status->pid)
		text_printf(out, "\"daemon\":\"running\",\n\"pid\":%d,\n", status->pid);
	else
		text_append_string(out, "\"daemon\":\"stopped\",\n\"pid\":null,\n");
	append_time(out, "restored_from", status->copied_at_ms);
	append_counts(out, status);
	append_oldest(out, status);
	append_pace(out, status);
	append_bytes(out, "free_bytes", status->free_bytes);
	append_bytes(out, "min_free_bytes", status->config->min_free_space);
	append_bytes(out, "wal_bytes", status->wal_bytes);
	text_append_string(out, "\n");
	append_findings(out, status);
	if (!append_list(out, reader, QUEUE_ENDPOINT_STATUS, "endpoints", err))
		return false;
	text_append_string(out, ",\n");
	if (!append_list(out, reader, QUEUE_SOURCE_STATUS, "sources", err))
		return false;
	text_append_string(out, "}\n");
	return true;
}
