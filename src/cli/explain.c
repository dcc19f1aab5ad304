#include "base/file.h"
#include "cli/cli.h"
#include "cli/explain_seen.h"
#include "intake/manifest_reader.h"
#include "intake/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
	"usage: trackbridge [-c FILE] explain FILE [--source NAME] [--format table|json|csv]\n"
	"\n"
	"What this manifest would do, without network and without any change: the request of each row, or why it is rejected\n"
	"(column and reason), a duplicate (of an earlier line, or of a row in the queue's history where there is a queue) or\n"
	"skipped. Exit 65 if a row, or the manifest as a whole, would be rejected.\n"
	"\n"
	"  --source NAME    read it as a manifest of this source; needed where FILE lies in no drop directory and more than one\n"
	"                   source takes files of this name\n"
	"  --format FORMAT  table (the default), json or csv: line state method url body column reason\n";

enum { LINE, STATE, METHOD, URL, BODY, COLUMN, REASON, N_COLUMNS, SHOWN = STATE + 1 };

struct explain {
	const char *path;
	const struct config *config;
	const struct config_source *source;
	struct queue_reader *reader; /* NULL: no history to look at */
	enum format_kind kind;
	struct format *format;
	struct seen seen;
	struct text url, body, shown, reason;
	int64_t by_state[ROW_N_STATES];
};

static bool takes_name(const struct config_source *source, const char *path)
{
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; i < source->n_match; i++) {
		if (fnmatch(source->match[i], slash ? slash + 1 : path, FNM_PERIOD) == 0)
			return true;
	}
	return false;
}

/* Where a file lies says more than what it is called. */
static bool lies_in(const struct config_source *source, const char *path)
{
	scoped_free char *file = realpath(path, NULL), *drop = realpath(source->drop, NULL);
	char *slash = file ? strrchr(file, '/') : NULL;

	if (!slash || !drop)
		return false;
	*slash = '\0';
	return strcmp(file, drop) == 0;
}

static int choose_source(struct explain *explain, const char *name)
{
	const struct config *config = explain->config;
	int best = 0, of_best = 0;
	int index;

	if (name) {
		index = config_source_named(config, name);
		if (index < 0)
			return cli_usage("explain", "--source '%s': there is no such source", name);
		explain->source = &config->sources[index];
		return ERROR_NONE;
	}
	for (size_t i = 0; i < config->n_sources; i++) {
		const struct config_source *source = &config->sources[i];
		int fit = 1 + takes_name(source, explain->path) + 2 * lies_in(source, explain->path);

		of_best = fit == best ? of_best + 1 : fit > best ? 1 : of_best;
		if (fit > best) {
			best = fit;
			explain->source = source;
		}
	}
	if (of_best == 1)
		return ERROR_NONE;
	return cli_usage("explain", "%d sources may take this file: choose one with --source", of_best);
}

static bool open_file(const char *path, int *ret_fd, struct error *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return error_errno(err, errno, "%s", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*ret_fd = fd;
		return true;
	}
	close(fd);
	return error_set(err, ERROR_NO_INPUT, "%s is not a regular file", path);
}

/* A whole file that was loaded before is a duplicate as a whole: nothing that its rows say counts. */
static bool tell_same_bytes(const struct explain *explain, int fd, struct error *err)
{
	uint8_t sha256[32];
	int64_t manifest;

	if (!spool_digest(fd, sha256, err) || !queue_reader_same_bytes(explain->reader, explain->source->name, sha256, &manifest, err))
		return false;
	if (manifest)
		cli_say("%s has the same bytes as manifest %" PRId64 ": it would be recorded as duplicate, and nothing of it queued",
			explain->path, manifest);
	return true;
}

static struct queue_value text_value(const char *text)
{
	return (struct queue_value){ .type = text && text[0] ? QUEUE_TEXT : QUEUE_NULL, .text = text };
}

static void print_row(struct explain *explain, const struct queue_row_new *row, enum row_state state)
{
	struct queue_value values[N_COLUMNS] = {
		[LINE] = { .type = QUEUE_NUMBER, .number = row->line },
		[STATE] = text_value(queue_state_name(state)),
		[COLUMN] = text_value(row->column),
		[REASON] = text_value(explain->reason.data),
	};

	text_clear(&explain->shown);
	if (state == ROW_QUEUED) {
		values[METHOD] = text_value("POST");
		values[URL] = text_value(explain->url.data);
		values[BODY] = text_value(explain->body.data);
		text_printf(&explain->shown, "POST %s %s", explain->url.data, explain->body.data);
	} else if (explain->reason.length) {
		text_printf(&explain->shown, "%s%s%s", row->column, row->column[0] ? ": " : "", explain->reason.data);
	}
	if (explain->kind == FORMAT_TABLE)
		values[SHOWN] = text_value(explain->shown.data);
	format_row(explain->format, values);
}

static bool is_duplicate(struct explain *explain, const struct queue_row_new *row, bool *ret_is, struct error *err)
{
	enum row_state known;
	int64_t number = 0, line;

	if (explain->reader && !queue_reader_event(explain->reader, &row->request, row->event, &number, &known, err))
		return false;
	line = seen_before(&explain->seen, &row->request, row->event, row->line);
	if (number)
		text_printf(&explain->reason, "row %" PRId64 " %s", number, queue_state_name(known));
	else if (line)
		text_printf(&explain->reason, "line %" PRId64 " of this file", line);
	*ret_is = number || line;
	return true;
}

static bool explain_row(struct explain *explain, const struct queue_row_new *row, struct error *err)
{
	enum row_state state = row->state;
	bool duplicate = false;

	text_clear(&explain->url);
	text_clear(&explain->body);
	text_clear(&explain->reason);
	if (state == ROW_QUEUED) {
		int endpoint = config_endpoint_of(explain->config, row->request.issuer_id);

		if (!is_duplicate(explain, row, &duplicate, err))
			return false;
		state = duplicate ? ROW_DUPLICATE : state;
		text_append_string(&explain->url, explain->config->endpoints[endpoint].api_url);
		track_request_path(&explain->url, &row->request);
		track_request_body(&explain->body, &row->request);
	} else {
		text_append_string(&explain->reason, row->reason);
	}
	explain->by_state[state]++;
	print_row(explain, row, state);
	return true;
}

static bool explain_rows(struct explain *explain, int fd, struct error *err)
{
	struct manifest_reader *manifest;
	struct queue_row_new row;
	enum manifest_step step;
	bool good = true;

	if (!manifest_reader_open(fd, explain->source, explain->config, 0, &manifest, err))
		return false;
	while (good && ((step = manifest_reader_next(manifest, &row, err)) == MANIFEST_ROW || step == MANIFEST_PASSED))
		good = explain_row(explain, &row, err);
	if (good && step == MANIFEST_REJECT)
		error_prefix(err, "%s as a whole would be rejected: ", explain->path);
	good = good && step == MANIFEST_END;
	manifest_reader_close(manifest);
	return good;
}

static bool explain_file(struct explain *explain, int fd, struct error *err)
{
	static const char *const columns[] = { "line", "state", "method", "url", "body", "column", "reason" };
	static const char *const shown[] = { "line", "state", "request or reason" };
	bool table = explain->kind == FORMAT_TABLE;
	struct error of_output;
	bool good;

	if (explain->reader && !tell_same_bytes(explain, fd, err))
		return false;
	explain->format = format_new(stdout, explain->kind, table ? shown : columns, table ? SHOWN + 1 : N_COLUMNS, NULL);
	good = explain_rows(explain, fd, err);
	if (!format_end(explain->format, &of_output)) {
		*err = of_output;
		return false;
	}
	if (good && explain->by_state[ROW_REJECTED])
		return error_set(err, ERROR_DATA, "%s: %" PRId64 " row%s would be rejected", explain->path, explain->by_state[ROW_REJECTED],
				 explain->by_state[ROW_REJECTED] == 1 ? "" : "s");
	return good;
}

/* Without a queue there is no history, and with one that cannot be read the rest is still worth telling. */
static void open_history(struct explain *explain)
{
	struct error err;

	if (!cli_open_queue(explain->config, &explain->reader, &err) && err.code != ERROR_NO_INPUT)
		cli_say("duplicates of earlier files are not looked for: %s", err.text);
}

static int explain_with(struct explain *explain, const char *source)
{
	struct error err = { 0 };
	int status, fd = -1;
	bool good;

	if (!open_file(explain->path, &fd, &err))
		return cli_fail(&err);
	status = choose_source(explain, source);
	if (status == ERROR_NONE) {
		open_history(explain);
		good = explain_file(explain, fd, &err);
		status = good ? ERROR_NONE : cli_fail(&err);
	}
	close(fd);
	queue_reader_close(explain->reader);
	seen_free(&explain->seen);
	text_free(&explain->url);
	text_free(&explain->body);
	text_free(&explain->shown);
	text_free(&explain->reason);
	return status;
}

static int run(const struct cli_options *options, int argc, char **argv)
{
	enum { SOURCE = 256, FORMAT };
	static const struct option known[] = {
		{ "source", required_argument, NULL, SOURCE },
		{ "format", required_argument, NULL, FORMAT },
		{ 0 },
	};
	struct explain explain = { .kind = FORMAT_TABLE };
	struct config *config = NULL;
	const char *source = NULL;
	struct error err;
	int option, status;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (option == SOURCE)
			source = optarg;
		else if (option != FORMAT || !cli_format(argv[0], optarg, &explain.kind))
			return ERROR_USAGE;
	}
	explain.path = cli_operand(argc, argv, "FILE");
	if (!explain.path)
		return ERROR_USAGE;
	if (!cli_read_config(options, &config, &err))
		return cli_fail(&err);
	explain.config = config;
	status = explain_with(&explain, source);
	config_free(config);
	return status;
}

const struct cli_command cli_explain = {
	.name = "explain",
	.summary = "what a manifest would do, row by row, without doing it",
	.usage = usage,
	.run = run,
};
