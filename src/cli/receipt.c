#include "report/receipt.h"

#include "base/file.h"
#include "cli/cli.h"
#include "cli/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As the questions give their columns. */
enum { ROW_ID, LINE, CARD_ID, TRACKING_TYPE, STATE, HTTP_STATUS, ERROR_CODE, DETAIL, OPERATION_ID };

struct manifest {
	char state[16];
	char *reason; /* owned */
	int64_t rows;
};

static const char *text_of(const struct queue_value *value)
{
	return value->type == QUEUE_TEXT ? value->text : "";
}

static bool find_manifest(struct queue_reader *reader, const struct queue_filter *filter, struct manifest *ret_manifest, struct error *err)
{
	const struct queue_value *row = NULL;
	const char *const *columns;
	struct queue_cursor *cursor;
	size_t n;
	bool good;

	if (!queue_reader_query(reader, QUEUE_MANIFEST_STATUS, filter, &cursor, err))
		return false;
	columns = queue_cursor_columns(cursor, &n);
	good = queue_cursor_next(cursor, &row, err);
	for (size_t i = 0; good && row && i < n; i++) {
		if (strcmp(columns[i], "state") == 0)
			snprintf(ret_manifest->state, sizeof(ret_manifest->state), "%s", text_of(&row[i]));
		else if (strcmp(columns[i], "reason") == 0)
			ret_manifest->reason = xstrdup(text_of(&row[i]));
		else if (strcmp(columns[i], "rows") == 0)
			ret_manifest->rows = row[i].number;
	}
	queue_cursor_close(cursor);
	if (good && (!row || strcmp(ret_manifest->state, "loading") == 0))
		return error_set(err, ERROR_NO_INPUT, "there is no manifest %" PRId64 " that is loaded", filter->manifest);
	return good;
}

static void put(struct text *line)
{
	fwrite(line->data, 1, line->length, stdout);
	text_clear(line);
}

static bool print_rows(struct queue_reader *reader, const struct queue_filter *filter, const struct manifest *manifest, struct error *err)
{
	scoped_text struct text line = { 0 };
	int64_t rows = 0, accepted = 0, open = 0;
	const struct queue_value *v = NULL;
	struct queue_cursor *cursor;
	bool good;

	if (!queue_reader_query(reader, QUEUE_RECEIPT_ROWS, filter, &cursor, err))
		return false;
	receipt_header(&line);
	if (manifest->rows == 0 && (strcmp(manifest->state, "rejected") == 0 || strcmp(manifest->state, "duplicate") == 0))
		receipt_fate(&line, manifest->state, manifest->reason);
	put(&line);
	for (; (good = queue_cursor_next(cursor, &v, err)) && v; put(&line)) {
		struct queue_receipt_row row = {
			.row = v[ROW_ID].number,
			.line = v[LINE].number,
			.card_id = text_of(&v[CARD_ID]),
			.tracking_type = text_of(&v[TRACKING_TYPE]),
			.state = text_of(&v[STATE]),
			.http_status = (int)v[HTTP_STATUS].number,
			.error_code = text_of(&v[ERROR_CODE]),
			.detail = text_of(&v[DETAIL]),
			.operation_id = text_of(&v[OPERATION_ID]),
			.column = "",
			.reason = "",
		};

		receipt_row(&line, &row);
		rows++;
		accepted += strcmp(row.state, queue_state_name(ROW_ACCEPTED)) == 0;
		open += receipt_is_open(row.state);
	}
	queue_cursor_close(cursor);
	if (good && rows != manifest->rows)
		good = error_set(err, ERROR_INTERNAL, "%" PRId64 " rows were found, %" PRId64 " are counted: run verify", rows,
				 manifest->rows);
	if (good) {
		receipt_trailer(&line, rows, accepted, open == 0);
		put(&line);
	}
	return good;
}

static int print(const struct cli_options *options, const struct control_request *request)
{
	const struct queue_filter filter = { .manifest = request->manifest };
	struct queue_reader *reader = NULL;
	struct manifest manifest = { 0 };
	struct config *config = NULL;
	struct error err = { 0 };
	bool good = cli_read_config(options, &config, &err) && cli_open_queue(config, &reader, &err) &&
		    find_manifest(reader, &filter, &manifest, &err) && print_rows(reader, &filter, &manifest, &err) && cli_flush(&err);

	free(manifest.reason);
	queue_reader_close(reader);
	config_free(config);
	return good ? ERROR_NONE : cli_fail(&err);
}

static int order(const struct cli_options *options, const struct control_request *request)
{
	struct config *config = NULL;
	struct error err = { 0 };
	int status = cli_read_config(options, &config, &err) ? command_give(config, request) : cli_fail(&err);

	config_free(config);
	return status;
}

static int run(const struct cli_options *options, int argc, char **argv)
{
	enum { REASON = 256 };
	static const struct option known[] = { { "reason", required_argument, NULL, REASON }, { 0 } };
	struct control_request request = { .command = CONTROL_RECEIPT };
	bool to_output;
	int option;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (option != REASON)
			return ERROR_USAGE;
		if (!optarg[0] || strlen(optarg) >= sizeof(request.reason))
			return cli_usage(argv[0], "--reason must have 1 to %zu bytes", sizeof(request.reason) - 1);
		memcpy(request.reason, optarg, strlen(optarg) + 1);
	}
	to_output = argc - optind == 2 && strcmp(argv[optind + 1], "-") == 0;
	if (!to_output && !cli_operand(argc, argv, "MANIFEST"))
		return ERROR_USAGE;
	if (!cli_number(argv[0], "manifests", argv[optind], &request.manifest))
		return ERROR_USAGE;
	if (request.manifest <= 0)
		return cli_usage(argv[0], "manifests are numbered from 1");
	if (to_output && request.reason[0])
		return cli_usage(argv[0], "with -, nothing is changed, so there is no --reason");
	return to_output ? print(options, &request) : order(options, &request);
}

const struct cli_command cli_receipt = {
	.name = "receipt",
	.summary = "write a manifest's receipt again, or print it",
	.usage = "usage: trackbridge [-c FILE] receipt MANIFEST [--reason TEXT]\n"
		 "       trackbridge [-c FILE] receipt MANIFEST -\n"
		 "\n"
		 "Writes the receipt of a manifest again, where the factory finds it. With -, it is printed as it would be\n"
		 "written now, and nothing is changed.\n"
		 "\n"
		 "  --reason TEXT  kept in the view `operator_action_log`\n",
	.run = run,
};
