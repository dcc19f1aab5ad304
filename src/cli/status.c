#include "base/file.h"
#include "cli/cli.h"
#include "cli/lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: trackbridge [-c FILE] status [--format table|json]\n"
	"\n"
	"The state of the whole: whether the daemon runs, files and rows by state, endpoints with the reason of a pause, sources,\n"
	"how long the oldest rows have been waiting, and certificates that end within 30 days.\n"
	"\n"
	"  --format json  one object: daemon, pid, restored_from, manifests, rows, oldest_waiting, warnings,\n"
	"                 endpoints, sources\n";

/* How many columns of the overview are about manifests; the rest is about rows. */
enum { MANIFEST_STATES = 5 };

/* What is asked in one row is ready with ret_row (NULL: no row) until the cursor is closed. */
static bool ask(struct queue_reader *reader, enum queue_query query, struct queue_cursor **ret_cursor, const char *const **ret_columns,
		size_t *ret_n, const struct queue_value **ret_row, struct error *err)
{
	const struct queue_filter all = { 0 };

	if (!queue_reader_query(reader, query, &all, ret_cursor, err))
		return false;
	*ret_columns = queue_cursor_columns(*ret_cursor, ret_n);
	if (queue_cursor_next(*ret_cursor, ret_row, err))
		return true;
	queue_cursor_close(*ret_cursor);
	return false;
}

/* The names of the overview that would stand twice in one row: manifests_rejected. */
static const char *short_name(const char *column)
{
	static const char prefix[] = "manifests_";

	return strncmp(column, prefix, strlen(prefix)) == 0 ? column + strlen(prefix) : column;
}

static void append_counts(struct text *out, const char *const *columns, const struct queue_value *row, size_t from, size_t to, bool json)
{
	for (size_t i = from; i < to; i++) {
		if (json)
			text_printf(out, "%s\"%s\":%" PRId64, i > from ? "," : "", i == MANIFEST_STATES ? "all" : short_name(columns[i]),
				    row[i].number);
		else
			text_printf(out, "%s%s %" PRId64, i > from ? "  " : "", short_name(columns[i]), row[i].number);
	}
}

static bool append_overview(struct text *out, struct queue_reader *reader, bool json, struct error *err)
{
	struct queue_cursor *cursor;
	const char *const *columns;
	const struct queue_value *row = NULL;
	size_t n;

	if (!ask(reader, QUEUE_OVERVIEW, &cursor, &columns, &n, &row, err))
		return false;
	text_append_string(out, json ? "\"manifests\":{" : "manifests  ");
	append_counts(out, columns, row, 0, MANIFEST_STATES, json);
	text_append_string(out, json ? "},\n\"rows\":{" : "\nrows       ");
	append_counts(out, columns, row, json ? MANIFEST_STATES : MANIFEST_STATES + 1, n, json);
	if (!json)
		text_printf(out, "  (%" PRId64 " in all)", row[MANIFEST_STATES].number);
	text_append_string(out, json ? "},\n" : "\n");
	queue_cursor_close(cursor);
	return true;
}

static bool append_oldest(struct text *out, struct queue_reader *reader, bool json, struct error *err)
{
	enum { MANIFEST_ID, SOURCE, NAME, QUEUED_AT, PAUSED };
	struct queue_cursor *cursor;
	const char *const *columns;
	const struct queue_value *row = NULL;
	size_t n;

	if (!ask(reader, QUEUE_OLDEST_WAITING, &cursor, &columns, &n, &row, err))
		return false;
	if (json && row) {
		text_append_string(out, "\"oldest_waiting\":");
		format_json_object(out, columns, row, n);
		text_append_string(out, ",\n");
	} else if (json) {
		text_append_string(out, "\"oldest_waiting\":null,\n");
	} else if (row) {
		text_printf(out, "waiting    since %s: manifest %" PRId64 " of %s (", row[QUEUED_AT].text, row[MANIFEST_ID].number,
			    row[SOURCE].text);
		text_escape(out, row[NAME].text, strlen(row[NAME].text));
		text_printf(out, ")%s%s\n", row[PAUSED].text[0] ? ", paused: " : "", row[PAUSED].text);
	}
	queue_cursor_close(cursor);
	return true;
}

/* What was sent after the copy was taken is not known here: people have to look before they release anything. */
static bool append_restored(struct text *out, struct queue_reader *reader, bool json, struct error *err)
{
	int64_t copied_at, restored_at;
	char copy[32], then[32];

	if (!queue_reader_restored(reader, &copied_at, &restored_at, err))
		return false;
	text_time(copy, copied_at);
	text_time(then, restored_at);
	if (json && copied_at)
		text_printf(out, "\"restored_from\":\"%s\",\n", copy);
	else if (json)
		text_append_string(out, "\"restored_from\":null,\n");
	else if (copied_at)
		text_printf(out, "restored   from a copy of %s, at %s\n", copy, then);
	return true;
}

/* What is not wrong yet and will be. */
static bool append_warnings(struct text *out, struct queue_reader *reader, bool json, struct error *err)
{
	enum { ENDPOINT, EXPIRES_AT, DAYS };
	struct queue_cursor *cursor;
	const char *const *columns;
	const struct queue_value *row = NULL;
	bool good = true;
	size_t n;

	if (!ask(reader, QUEUE_CERTIFICATES, &cursor, &columns, &n, &row, err))
		return false;
	if (json)
		text_append_string(out, "\"warnings\":[");
	for (int i = 0; good && row; i++) {
		text_append_string(out, !json ? "warning    " : i ? ",\n\"" : "\n\"");
		text_printf(out, "endpoint %s: the client certificate %s at %s", row[ENDPOINT].text,
			    row[DAYS].number < 0 ? "has ended," : "ends", row[EXPIRES_AT].text);
		if (row[DAYS].number >= 0)
			text_printf(out, ", in %" PRId64 " days", row[DAYS].number);
		text_append_string(out, json ? "\"" : "\n");
		good = queue_cursor_next(cursor, &row, err);
	}
	if (json)
		text_append_string(out, "],\n");
	queue_cursor_close(cursor);
	return good;
}

static bool append_list(struct text *out, struct queue_reader *reader, enum queue_query query, const char *name, struct error *err)
{
	struct queue_cursor *cursor;
	const char *const *columns;
	const struct queue_value *row = NULL;
	size_t n;
	bool good = true;

	if (!ask(reader, query, &cursor, &columns, &n, &row, err))
		return false;
	text_printf(out, "\"%s\":[", name);
	for (int i = 0; good && row; i++) {
		text_append_string(out, i ? ",\n" : "\n");
		format_json_object(out, columns, row, n);
		good = queue_cursor_next(cursor, &row, err);
	}
	text_append_string(out, "]");
	queue_cursor_close(cursor);
	return good;
}

static bool print_json(const struct config *config, struct queue_reader *reader, struct text *out, struct error *err)
{
	int pid = lock_holder(config->state_dir);

	if (pid)
		text_printf(out, "{\"daemon\":\"running\",\n\"pid\":%d,\n", pid);
	else
		text_printf(out, "{\"daemon\":\"stopped\",\n\"pid\":null,\n");
	if (!append_restored(out, reader, true, err) || !append_overview(out, reader, true, err) ||
	    !append_oldest(out, reader, true, err) || !append_warnings(out, reader, true, err) ||
	    !append_list(out, reader, QUEUE_ENDPOINT_STATUS, "endpoints", err))
		return false;
	text_append_string(out, ",\n");
	if (!append_list(out, reader, QUEUE_SOURCE_STATUS, "sources", err))
		return false;
	printf("%s}\n", out->data);
	return cli_flush(err);
}

static bool print_table(const struct config *config, struct queue_reader *reader, struct text *out, struct error *err)
{
	static const char *const endpoint[] = { "endpoint",  "state",       "reason",           "paused_until",
						"in_flight", "concurrency", "token_expires_at", "last_accepted_at",
						NULL };
	static const char *const source[] = { "source",           "state",          "manifests", "waiting_files",
					      "last_manifest_at", "drop_directory", "reason",    NULL };
	const struct queue_filter all = { 0 };
	struct queue_cursor *cursor;
	int pid = lock_holder(config->state_dir);

	if (pid)
		text_printf(out, "daemon     running, process %d\n", pid);
	else
		text_printf(out, "daemon     not running\n");
	if (!append_restored(out, reader, false, err) || !append_overview(out, reader, false, err) ||
	    !append_oldest(out, reader, false, err) || !append_warnings(out, reader, false, err))
		return false;
	printf("%s\n", out->data);
	if (!queue_reader_query(reader, QUEUE_ENDPOINT_STATUS, &all, &cursor, err) ||
	    !format_cursor(stdout, FORMAT_TABLE, cursor, endpoint, err))
		return false;
	putchar('\n');
	return queue_reader_query(reader, QUEUE_SOURCE_STATUS, &all, &cursor, err) &&
	       format_cursor(stdout, FORMAT_TABLE, cursor, source, err);
}

static int status(const struct cli_options *options, int argc, char **argv)
{
	enum { FORMAT = 256 };
	static const struct option known[] = { { "format", required_argument, NULL, FORMAT }, { 0 } };
	struct config *config = NULL;
	struct queue_reader *reader = NULL;
	scoped_text struct text out = { 0 };
	enum format_kind kind = FORMAT_TABLE;
	struct error err = { 0 };
	int option;
	bool good;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (option != FORMAT || !cli_format(argv[0], optarg, &kind))
			return ERROR_USAGE;
	}
	if (kind == FORMAT_CSV)
		return cli_usage(argv[0], "--format is table or json here");
	if (optind < argc)
		return cli_usage(argv[0], "too many words: '%s'", argv[optind]);
	good = cli_read_config(options, &config, &err) && cli_open_queue(config, &reader, &err) &&
	       (kind == FORMAT_JSON ? print_json(config, reader, &out, &err) : print_table(config, reader, &out, &err));
	queue_reader_close(reader);
	config_free(config);
	return good ? ERROR_NONE : cli_fail(&err);
}

const struct cli_command cli_status = {
	.name = "status",
	.summary = "daemon, files, rows by state, endpoints, sources",
	.usage = usage,
	.run = status,
};
