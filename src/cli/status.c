#include "cli/status.h"

#include "base/file.h"
#include "cli/cli.h"
#include "cli/lock.h"
#include "config/scalar.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: trackbridge [-c FILE] status [--format table|json]\n"
	"       trackbridge [-c FILE] status --watch [--interval DURATION]\n"
	"       trackbridge [-c FILE] status --check [--warning AGE] [--critical AGE]\n"
	"\n"
	"The state of the whole: whether the daemon runs, what somebody should see to, files and rows by state, how fast it goes and how long\n"
	"the rest takes, how long the oldest rows have been waiting, endpoints with the reason of a pause and the next try, sources.\n"
	"\n"
	"  --format json          one object; docs/status.md has its keys\n"
	"  --watch                the same again and again on the terminal, until q or Ctrl-C\n"
	"  --interval DURATION    with --watch: how often (2s)\n"
	"  --check                one line for a monitoring plugin; exits 0 (ok), 1 (warning), 2 (critical) or 3 (cannot be told)\n"
	"  --warning AGE          with --check: warns where a row that could go has waited for so long (5m)\n"
	"  --critical AGE         with --check: likewise, critical (1h)\n";

enum { CHECK_UNKNOWN = 3, LEAST_INTERVAL_MS = 100, MOST_INTERVAL_MS = 3600 * 1000 };

static const struct status_limits usual_limits = { .warning_ms = 5 * 60 * 1000, .critical_ms = 60 * 60 * 1000 };

struct wish {
	enum format_kind kind;
	bool watch, check, limits, interval;
	struct status_limits limit;
	int64_t interval_ms;
};

/* One look, told in the way that is wished for; true where it could be taken. */
static bool look(const struct config *config, const struct wish *wish, struct text *out, enum status_level *ret_worst, struct error *err)
{
	bool files_missing = status_files_missing(config), good;
	struct queue_reader *reader = NULL;
	struct status status = { 0 };

	good = cli_open_queue(config, &reader, err) && status_look(config, reader, files_missing, &status, err) &&
	       status_judge(&status, reader, &wish->limit, err);
	if (good && wish->check)
		status_check_line(out, &status, &wish->limit);
	else if (good && wish->kind == FORMAT_JSON)
		good = status_json(out, &status, reader, err);
	else if (good)
		status_text(out, &status);
	if (good && ret_worst)
		*ret_worst = status_worst(&status);
	status_free(&status);
	queue_reader_close(reader);
	return good;
}

struct watching {
	const struct config *config;
	const struct wish *wish;
};

/* What cannot be seen now may be seen later: a database that is being restored, for one. */
static void draw(void *user, struct text *out)
{
	const struct watching *watching = user;
	struct error err = { 0 };

	if (!look(watching->config, watching->wish, out, NULL, &err)) {
		text_clear(out);
		text_append_string(out, err.text);
		text_append_string(out, "\n");
	}
}

/* A daemon that surely does not run is worse than not to know more. */
static int check_failed(const struct config *config, const struct error *err)
{
	scoped_text struct text line = { 0 };
	scoped_free char *lock = config ? file_join(config->state_dir, "lock") : NULL;
	bool critical = lock && (access(lock, R_OK) == 0 || err->code == ERROR_NO_INPUT) && !lock_holder(config->state_dir);
	struct error ignored;

	text_append_string(&line, critical ? "CRITICAL - no daemon runs; " : "UNKNOWN - ");
	text_escape(&line, err->text, strlen(err->text));
	for (char *c = strchr(line.data, '|'); c; c = strchr(c, '|'))
		*c = '/';
	puts(line.data);
	(void)cli_flush(&ignored);
	return critical ? (int)STATUS_CRITICAL : CHECK_UNKNOWN;
}

static int check(const struct config *config, const struct wish *wish)
{
	scoped_text struct text out = { 0 };
	enum status_level worst;
	struct error err = { 0 };

	if (!look(config, wish, &out, &worst, &err))
		return check_failed(config, &err);
	fputs(out.data, stdout);
	return cli_flush(&err) ? (int)worst : CHECK_UNKNOWN;
}

static bool print(const struct config *config, const struct wish *wish, struct error *err)
{
	scoped_text struct text out = { 0 };

	if (!look(config, wish, &out, NULL, err))
		return false;
	fputs(out.data, stdout);
	return cli_flush(err);
}

static int tell(const struct cli_options *options, const struct wish *wish)
{
	struct config *config = NULL;
	struct error err = { 0 };
	bool good;
	int status;

	if (!cli_read_config(options, &config, &err))
		return wish->check ? check_failed(NULL, &err) : cli_fail(&err);
	if (wish->check) {
		status = check(config, wish);
	} else {
		struct watching watching = { config, wish };

		good = wish->watch ? status_watch(draw, &watching, wish->interval_ms, &err) : print(config, wish, &err);
		status = good ? ERROR_NONE : cli_fail(&err);
	}
	config_free(config);
	return status;
}

static bool take_duration(const char *command, const char *what, int64_t least_ms, int64_t most_ms, int64_t *ret_ms)
{
	if (scalar_duration(optarg, ret_ms) && *ret_ms >= least_ms && *ret_ms <= most_ms)
		return true;
	cli_usage(command, "%s '%s': a duration (500ms, 30s, 5m, 2h)", what, optarg);
	return false;
}

static bool fits_together(const char *command, const struct wish *wish)
{
	if (wish->kind == FORMAT_CSV)
		cli_usage(command, "--format is table or json here");
	else if (wish->watch + wish->check + (wish->kind == FORMAT_JSON) > 1)
		cli_usage(command, "--watch, --check and --format json are three different things");
	else if (wish->limits && !wish->check)
		cli_usage(command, "--warning and --critical belong to --check");
	else if (wish->interval && !wish->watch)
		cli_usage(command, "--interval belongs to --watch");
	else
		return true;
	return false;
}

static int status(const struct cli_options *options, int argc, char **argv)
{
	enum { FORMAT = 256, WATCH, INTERVAL, CHECK, WARNING, CRITICAL };
	static const struct option known[] = {
		{ "format", required_argument, NULL, FORMAT },
		{ "watch", no_argument, NULL, WATCH },
		{ "interval", required_argument, NULL, INTERVAL },
		{ "check", no_argument, NULL, CHECK },
		{ "warning", required_argument, NULL, WARNING },
		{ "critical", required_argument, NULL, CRITICAL },
		{ 0 },
	};
	struct wish wish = { .kind = FORMAT_TABLE, .limit = usual_limits, .interval_ms = 2000 };
	bool good = true;
	int option;

	while (good && (option = cli_next_option(argc, argv, known)) != -1) {
		wish.limits = wish.limits || option == WARNING || option == CRITICAL;
		wish.interval = wish.interval || option == INTERVAL;
		switch (option) {
		case FORMAT: good = cli_format(argv[0], optarg, &wish.kind); break;
		case WATCH: wish.watch = true; break;
		case INTERVAL: good = take_duration(argv[0], "--interval", LEAST_INTERVAL_MS, MOST_INTERVAL_MS, &wish.interval_ms); break;
		case CHECK: wish.check = true; break;
		case WARNING: good = take_duration(argv[0], "--warning", 0, INT64_MAX, &wish.limit.warning_ms); break;
		case CRITICAL: good = take_duration(argv[0], "--critical", 0, INT64_MAX, &wish.limit.critical_ms); break;
		default: return ERROR_USAGE;
		}
	}
	if (!good || !fits_together(argv[0], &wish))
		return ERROR_USAGE;
	if (optind < argc)
		return cli_usage(argv[0], "too many words: '%s'", argv[optind]);
	return tell(options, &wish);
}

const struct cli_command cli_status = {
	.name = "status",
	.summary = "daemon, files, rows by state, endpoints, sources",
	.usage = usage,
	.run = status,
};
