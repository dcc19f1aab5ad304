#include "base/file.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: trackbridge [-c FILE] show ROW [--format table|json]\n"
	"\n"
	"One row with everything that is known of it, its request, and all attempts to send it.\n"
	"\n"
	"  --format json  one object: the columns of the view `status`, `path` and `body` of the request, and `attempt_history`\n";

/* As the view QUEUE_REQUEST gives it. */
enum { ISSUER_ID, CARD_ID, TRACKING_TYPE, PRODUCTION_SITE, TRACKING_NUMBER, POSTAL_CODE, COUNTRY_CODE, SHIPMENT_DATE };

struct show {
	struct queue_reader *reader;
	struct queue_filter filter;
	struct text path, body; /* empty where there is no request, or none any more */
	struct text out;
};

static const char *text_of(const struct queue_value *value)
{
	return value->type == QUEUE_TEXT ? value->text : NULL;
}

/* A row that is invalid or was not to be sent has no request; one whose body is past its retention has none any more. */
static bool rebuild(struct show *show, const char *state, struct error *err)
{
	struct queue_cursor *cursor;
	const struct queue_value *v = NULL;
	struct track_request request = { 0 };
	bool good;

	if (strcmp(state, "rejected") == 0 || strcmp(state, "skipped") == 0)
		return true;
	if (!queue_reader_query(show->reader, QUEUE_REQUEST, &show->filter, &cursor, err))
		return false;
	good = queue_cursor_next(cursor, &v, err);
	if (good && v && text_of(&v[TRACKING_TYPE]) && track_type_parse(v[TRACKING_TYPE].text, &request.type)) {
		request.issuer_id = text_of(&v[ISSUER_ID]);
		request.card_id = text_of(&v[CARD_ID]);
		request.production_site = text_of(&v[PRODUCTION_SITE]);
		request.tracking_number = text_of(&v[TRACKING_NUMBER]);
		request.postal_code = text_of(&v[POSTAL_CODE]);
		request.country_code = text_of(&v[COUNTRY_CODE]);
		request.shipment_date = v[SHIPMENT_DATE].number;
		if (request.issuer_id && request.card_id)
			track_request_path(&show->path, &request);
		if (show->path.length && request.production_site && (request.type != TRACK_SHIPMENT || request.tracking_number))
			track_request_body(&show->body, &request);
	}
	queue_cursor_close(cursor);
	return good;
}

static void append_line(struct text *out, const char *name, const struct queue_value *value)
{
	text_printf(out, "%-16s", name);
	if (value->type == QUEUE_NUMBER)
		text_printf(out, "%" PRId64, value->number);
	else if (value->type == QUEUE_TEXT)
		text_escape(out, value->text, strlen(value->text));
	while (out->data[out->length - 1] == ' ')
		out->length--;
	text_append_string(out, "\n");
}

static struct queue_value value_of(const struct text *text)
{
	return (struct queue_value){ .type = text->length ? QUEUE_TEXT : QUEUE_NULL, .text = text->data };
}

static bool print_table(struct show *show, const char *const *columns, const struct queue_value *row, size_t n, struct error *err)
{
	static const char *const shown[] = { "attempt",    "correlation_id", "started_at", "finished_at", "http_status",
					     "error_code", "outcome",        "detail",     NULL };
	struct queue_value path = value_of(&show->path), body = value_of(&show->body);
	struct queue_cursor *cursor;

	for (size_t i = 0; i < n; i++)
		append_line(&show->out, columns[i], &row[i]);
	append_line(&show->out, "path", &path);
	append_line(&show->out, "body", &body);
	fwrite(show->out.data, 1, show->out.length, stdout);
	putchar('\n');
	return queue_reader_query(show->reader, QUEUE_ATTEMPT_HISTORY, &show->filter, &cursor, err) &&
	       format_cursor(stdout, FORMAT_TABLE, cursor, shown, err);
}

static bool append_attempts(struct show *show, struct error *err)
{
	struct queue_cursor *cursor;
	const struct queue_value *row = NULL;
	const char *const *columns;
	size_t n;
	bool good;

	if (!queue_reader_query(show->reader, QUEUE_ATTEMPT_HISTORY, &show->filter, &cursor, err))
		return false;
	columns = queue_cursor_columns(cursor, &n);
	text_append_string(&show->out, "\"attempt_history\":[");
	for (int i = 0; (good = queue_cursor_next(cursor, &row, err)) && row; i++) {
		text_append_string(&show->out, i ? ",\n" : "\n");
		format_json_object(&show->out, columns, row, n);
	}
	text_append_string(&show->out, "]");
	queue_cursor_close(cursor);
	return good;
}

static bool print_json(struct show *show, const char *const *columns, const struct queue_value *row, size_t n, struct error *err)
{
	struct queue_value path = value_of(&show->path), body = value_of(&show->body);

	format_json_object(&show->out, columns, row, n);
	show->out.length--; /* the object goes on */
	text_append_string(&show->out, ",\"path\":");
	format_json_value(&show->out, &path);
	text_append_string(&show->out, ",\"body\":");
	format_json_value(&show->out, &body);
	text_append_string(&show->out, ",");
	if (!append_attempts(show, err))
		return false;
	printf("%s}\n", show->out.data);
	return cli_flush(err);
}

static const char *state_of(const char *const *columns, const struct queue_value *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(columns[i], "state") == 0)
			return row[i].text;
	}
	return "";
}

static bool show_row(struct show *show, enum format_kind kind, struct error *err)
{
	struct queue_cursor *cursor;
	const struct queue_value *row = NULL;
	const char *const *columns;
	size_t n;
	bool good;

	if (!queue_reader_query(show->reader, QUEUE_STATUS, &show->filter, &cursor, err))
		return false;
	columns = queue_cursor_columns(cursor, &n);
	good = queue_cursor_next(cursor, &row, err);
	if (good && !row)
		good = error_set(err, ERROR_NO_INPUT, "there is no row %" PRId64 " (any more)", show->filter.row);
	good = good && rebuild(show, state_of(columns, row, n), err) &&
	       (kind == FORMAT_JSON ? print_json(show, columns, row, n, err) : print_table(show, columns, row, n, err));
	queue_cursor_close(cursor);
	return good;
}

static int run(const struct cli_options *options, int argc, char **argv)
{
	enum { FORMAT = 256 };
	static const struct option known[] = { { "format", required_argument, NULL, FORMAT }, { 0 } };
	struct show show = { 0 };
	struct config *config = NULL;
	enum format_kind kind = FORMAT_TABLE;
	struct error err = { 0 };
	const char *row;
	int option;
	bool good;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (option != FORMAT || !cli_format(argv[0], optarg, &kind))
			return ERROR_USAGE;
	}
	if (kind == FORMAT_CSV)
		return cli_usage(argv[0], "--format is table or json here");
	row = cli_operand(argc, argv, "ROW");
	if (!row || !cli_number(argv[0], "ROW", row, &show.filter.row))
		return ERROR_USAGE;
	good = cli_read_config(options, &config, &err) && cli_open_queue(config, &show.reader, &err) && show_row(&show, kind, &err);
	text_free(&show.path);
	text_free(&show.body);
	text_free(&show.out);
	queue_reader_close(show.reader);
	config_free(config);
	return good ? ERROR_NONE : cli_fail(&err);
}

const struct cli_command cli_show = {
	.name = "show",
	.summary = "one row, its request and all its attempts",
	.usage = usage,
	.run = run,
};
