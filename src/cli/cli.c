#include "cli/cli.h"

#include "base/clock.h"
#include "base/file.h"
#include "config/scalar.h"
#include "track/civil.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void complain(const char *text)
{
	scoped_text struct text line = { 0 };

	text_escape(&line, text, strlen(text));
	fflush(stdout);
	fprintf(stderr, "trackbridge: %s\n", line.data);
}

int cli_fail(const struct error *err)
{
	complain(err->text);
	return (int)err->code;
}

void cli_say(const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	complain(text);
}

int cli_usage(const char *command, const char *format, ...)
{
	char what[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (command[0])
		cli_say("%s: %s (trackbridge %s --help)", command, what, command);
	else
		cli_say("%s (trackbridge --help)", what);
	return ERROR_USAGE;
}

static void complain_of_option(const char *command, const char *word, const struct option *options)
{
	const char *names[32];
	const char *nearest;
	size_t n = 0;

	for (; options[n].name && n < sizeof(names) / sizeof(names[0]); n++)
		names[n] = options[n].name;
	nearest = strncmp(word, "--", 2) == 0 ? text_nearest(word + 2, names, n) : NULL;
	if (nearest)
		cli_usage(command, "unknown option %s: is --%s meant?", word, nearest);
	else
		cli_usage(command, "unknown option %s", word);
}

int cli_next_option(int argc, char **argv, const struct option *options)
{
	int option;

	opterr = 0;
	option = getopt_long(argc, argv, ":", options, NULL);
	if (option == ':') {
		cli_usage(argv[0], "%s needs a value", argv[optind - 1]);
		return '?';
	}
	if (option != '?')
		return option;
	if (optopt && optopt < 128)
		cli_usage(argv[0], "unknown option -%c", optopt);
	else if (optopt)
		cli_usage(argv[0], "%s takes no value", argv[optind - 1]);
	else
		complain_of_option(argv[0], argv[optind - 1], options);
	return '?';
}

const char *cli_operand(int argc, char **argv, const char *what)
{
	if (argc - optind == 1)
		return argv[optind];
	if (argc == optind)
		cli_usage(argv[0], "%s is missing", what);
	else
		cli_usage(argv[0], "too many words: '%s'", argv[optind + 1]);
	return NULL;
}

bool cli_word(const char *command, const char *what, const char *value, const char *const *candidates, size_t n_candidates)
{
	scoped_text struct text all = { 0 };
	const char *nearest;

	for (size_t i = 0; i < n_candidates; i++) {
		if (strcmp(value, candidates[i]) == 0)
			return true;
		text_printf(&all, "%s%s", i ? " " : "", candidates[i]);
	}
	nearest = text_nearest(value, candidates, n_candidates);
	if (nearest)
		cli_usage(command, "%s '%s': is %s meant?", what, value, nearest);
	else
		cli_usage(command, "%s '%s': one of %s", what, value, all.data ? all.data : "none");
	return false;
}

bool cli_format(const char *command, const char *value, enum format_kind *ret_kind)
{
	if (format_parse(value, ret_kind))
		return true;
	cli_usage(command, "--format '%s': one of table json csv", value);
	return false;
}

bool cli_number(const char *command, const char *what, const char *value, int64_t *ret_number)
{
	int64_t number;

	if (text_to_int64(value, &number) && number > 0) {
		*ret_number = number;
		return true;
	}
	cli_usage(command, "%s '%s': a number from 1", what, value);
	return false;
}

/* What strptime reads is checked by our own calendar: strptime takes a 30th of February. */
static bool read_moment(const char *value, int64_t *ret_ms)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M", "%Y-%m-%d" };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(value, forms[i], &tm);
		struct civil civil;

		if (!end || *end)
			continue;
		civil = (struct civil){ tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec };
		if (!civil_exists(&civil))
			return false;
		*ret_ms = civil_seconds(&civil) * 1000;
		return true;
	}
	return false;
}

bool cli_time(const char *command, const char *what, const char *value, int64_t *ret_ms)
{
	int64_t back;

	if (read_moment(value, ret_ms))
		return true;
	if (scalar_duration(value, &back)) {
		*ret_ms = clock_wall_ms() - back;
		return true;
	}
	cli_usage(command, "%s '%s': a time in UTC (2026-11-22, 2026-11-22T10:00:00Z) or a time back from now (90m, 2h, 3d)", what, value);
	return false;
}

bool cli_read_config(const struct cli_options *options, struct config **ret_config, struct error *err)
{
	if (setenv("CREDENTIALS_DIRECTORY", "/run/credentials/trackbridge.service", 0) < 0)
		return error_errno(err, errno, "CREDENTIALS_DIRECTORY");
	return config_read(options->config_path, ret_config, err);
}

bool cli_open_queue(const struct config *config, struct queue_reader **ret_reader, struct error *err)
{
	scoped_free char *path = file_join(config->state_dir, "queue.db");

	return queue_reader_open(path, ret_reader, err);
}

bool cli_flush(struct error *err)
{
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout))
		return error_errno(err, errno ? errno : EIO, "writing the output");
	return true;
}

int cli_list_query(const struct cli_options *options, enum queue_query query, const struct queue_filter *filter, enum format_kind kind,
		   const char *const *shown)
{
	struct config *config = NULL;
	struct queue_reader *reader = NULL;
	struct queue_cursor *cursor;
	struct error err = { 0 };
	bool good = cli_read_config(options, &config, &err) && cli_open_queue(config, &reader, &err) &&
		    queue_reader_query(reader, query, filter, &cursor, &err) && format_cursor(stdout, kind, cursor, shown, &err);

	queue_reader_close(reader);
	config_free(config);
	return good ? ERROR_NONE : cli_fail(&err);
}
