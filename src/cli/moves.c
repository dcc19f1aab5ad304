#include "base/file.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "config/scalar.h"

#include <stdio.h>
#include <string.h>

#define SELECTORS                                                                                                                          \
	"\n"                                                                                                                               \
	"Which rows (what is given holds all together):\n"                                                                                 \
	"  --row N           this one; may be given several times, and each gets an answer\n"                                              \
	"  --manifest N      of this manifest\n"                                                                                           \
	"  --card CARDID     of this card\n"                                                                                               \
	"  --state STATE     in this state\n"                                                                                              \
	"  --error-code CODE that D1 answered with this errorCode\n"                                                                       \
	"  --all             every one\n"                                                                                                  \
	"\n"                                                                                                                               \
	"  --reason TEXT     kept in the view `operator_action_log`\n"                                                                     \
	"  --dry-run         only say how many there are\n"

enum option_value {
	ROW = 256,
	MANIFEST,
	CARD,
	STATE,
	ERROR_CODE,
	ALL,
	REASON,
	DRY_RUN,
	ANYWAY,
	ACCEPTED,
	RESEND,
	OPERATION_ID,
	OLDER_THAN
};

#define ROW_OPTIONS                                                                                                                        \
	{ "row", required_argument, NULL, ROW }, { "manifest", required_argument, NULL, MANIFEST },                                        \
		{ "card", required_argument, NULL, CARD }, { "state", required_argument, NULL, STATE },                                    \
		{ "error-code", required_argument, NULL, ERROR_CODE }, { "all", no_argument, NULL, ALL },                                  \
		{ "reason", required_argument, NULL, REASON },                                                                             \
	{                                                                                                                                  \
		"dry-run", no_argument, NULL, DRY_RUN                                                                                      \
	}

static bool copy(char *to, size_t room, const char *command, const char *what, const char *from)
{
	if (!from[0] || strlen(from) >= room) {
		cli_usage(command, "%s must have 1 to %zu bytes", what, room - 1);
		return false;
	}
	memcpy(to, from, strlen(from) + 1);
	return true;
}

static bool number(const char *command, const char *what, const char *value, int64_t *ret_number)
{
	if (!cli_number(command, what, value, ret_number))
		return false;
	if (*ret_number > 0)
		return true;
	cli_usage(command, "%s: numbers begin with 1", what);
	return false;
}

static bool add_row(struct control_request *request, const char *command, const char *value)
{
	int64_t row;

	if (!number(command, "--row", value, &row))
		return false;
	if (control_request_add_row(request, row))
		return true;
	cli_usage(command, "at most %d rows can be named; --manifest, --card or --state select more", CONTROL_MOST_ROWS);
	return false;
}

static bool take_state(struct control_request *request, const char *command, const char *value)
{
	const char *names[ROW_N_STATES];

	for (int i = 0; i < ROW_N_STATES; i++) {
		names[i] = queue_state_name((enum row_state)i);
		if (strcmp(names[i], value) == 0) {
			request->by_state = true;
			request->state = (enum row_state)i;
			return true;
		}
	}
	return cli_word(command, "--state", value, names, ROW_N_STATES);
}

static bool take_age(struct control_request *request, const char *command, const char *value)
{
	if (scalar_duration(value, &request->older_than_ms) && request->older_than_ms > 0)
		return true;
	cli_usage(command, "--older-than is an age like 400d or 12h, not '%s'", value);
	return false;
}

static bool take_option(struct control_request *r, const char *command, int option)
{
	switch (option) {
	case ROW: return add_row(r, command, optarg);
	case MANIFEST: return number(command, "--manifest", optarg, &r->manifest);
	case CARD: return copy(r->card, sizeof(r->card), command, "--card", optarg);
	case STATE: return take_state(r, command, optarg);
	case ERROR_CODE: return copy(r->error_code, sizeof(r->error_code), command, "--error-code", optarg);
	case ALL: r->all = true; return true;
	case REASON: return copy(r->reason, sizeof(r->reason), command, "--reason", optarg);
	case DRY_RUN: r->dry_run = true; return true;
	case ANYWAY: r->anyway = true; return true;
	case ACCEPTED: r->resolution = CONTROL_ACCEPTED; return true;
	case RESEND: r->resolution = CONTROL_RESEND; return true;
	case OPERATION_ID: return copy(r->operation_id, sizeof(r->operation_id), command, "--operation-id", optarg);
	case OLDER_THAN: return take_age(r, command, optarg);
	default: return false;
	}
}

static int give(const struct cli_options *options, const char *command, const struct control_request *request)
{
	struct config *config = NULL;
	struct error err = { 0 };
	int status;

	if (!control_request_check(request, &err))
		return cli_usage(command, "%s", err.text);
	status = cli_read_config(options, &config, &err) ? command_give(config, request) : cli_fail(&err);
	config_free(config);
	return status;
}

/* operand: what stands behind the options, or NULL where nothing may. */
static int run(const struct cli_options *options, int argc, char **argv, enum control_command command, const struct option *known,
	       const char *operand)
{
	struct control_request *request = xcalloc(1, sizeof(*request));
	const char *value = NULL;
	int option, status = ERROR_USAGE;
	bool good = true;

	request->command = command;
	while (good && (option = cli_next_option(argc, argv, known)) != -1)
		good = take_option(request, argv[0], option);
	if (good && operand && !(optind == argc && request->manifest && command != CONTROL_RELOAD)) {
		value = cli_operand(argc, argv, operand);
		good = value != NULL;
	} else if (good && optind < argc) {
		cli_usage(argv[0], "too many words: '%s'", argv[optind]);
		good = false;
	}
	if (good && value && (command == CONTROL_PAUSE || command == CONTROL_RESUME))
		good = copy(request->endpoint, sizeof(request->endpoint), argv[0], operand, value);
	else if (good && value)
		good = number(argv[0], operand, value, &request->manifest);
	if (good)
		status = give(options, argv[0], request);
	control_request_free(request);
	free(request);
	return status;
}

static int retry(const struct cli_options *options, int argc, char **argv)
{
	static const struct option known[] = { ROW_OPTIONS, { "anyway", no_argument, NULL, ANYWAY }, { 0 } };

	return run(options, argc, argv, CONTROL_RETRY, known, NULL);
}

static const struct option row_options[] = { ROW_OPTIONS, { 0 } };

static int hold(const struct cli_options *options, int argc, char **argv)
{
	return run(options, argc, argv, CONTROL_HOLD, row_options, NULL);
}

static int release(const struct cli_options *options, int argc, char **argv)
{
	return run(options, argc, argv, CONTROL_RELEASE, row_options, NULL);
}

static int cancel(const struct cli_options *options, int argc, char **argv)
{
	return run(options, argc, argv, CONTROL_CANCEL, row_options, NULL);
}

static int resolve(const struct cli_options *options, int argc, char **argv)
{
	static const struct option known[] = {
		ROW_OPTIONS,
		{ "accepted", no_argument, NULL, ACCEPTED },
		{ "resend", no_argument, NULL, RESEND },
		{ "operation-id", required_argument, NULL, OPERATION_ID },
		{ 0 },
	};

	return run(options, argc, argv, CONTROL_RESOLVE, known, NULL);
}

static const struct option manifest_options[] = {
	{ "manifest", required_argument, NULL, MANIFEST },
	{ "reason", required_argument, NULL, REASON },
	{ 0 },
};

static int pause_sending(const struct cli_options *options, int argc, char **argv)
{
	return run(options, argc, argv, CONTROL_PAUSE, manifest_options, "ENDPOINT");
}

static int resume(const struct cli_options *options, int argc, char **argv)
{
	return run(options, argc, argv, CONTROL_RESUME, manifest_options, "ENDPOINT");
}

static const struct option reason_options[] = { { "reason", required_argument, NULL, REASON }, { 0 } };

static int reload(const struct cli_options *options, int argc, char **argv)
{
	return run(options, argc, argv, CONTROL_RELOAD, reason_options, "MANIFEST");
}

static int purge(const struct cli_options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "older-than", required_argument, NULL, OLDER_THAN },
		{ "dry-run", no_argument, NULL, DRY_RUN },
		{ "reason", required_argument, NULL, REASON },
		{ 0 },
	};

	return run(options, argc, argv, CONTROL_PURGE, known, NULL);
}

const struct cli_command cli_purge = {
	.name = "purge",
	.summary = "drop settled manifests past retention, and give the space back",
	.usage = "usage: trackbridge [-c FILE] purge [--older-than AGE] [--reason TEXT] [--dry-run]\n"
		 "\n"
		 "What is past `retention` goes by itself, hour by hour; this does it now. What is purged is forgotten: its events\n"
		 "may come again.\n"
		 "\n"
		 "  --older-than AGE  manifests that settled so long ago (400d, 12h), instead of `retention`\n"
		 "  --reason TEXT     kept in the view `operator_action_log`\n"
		 "  --dry-run         only say what would go\n",
	.run = purge,
};

const struct cli_command cli_retry = {
	.name = "retry",
	.summary = "queue refused or expired rows again",
	.usage = "usage: trackbridge [-c FILE] retry SELECTION [--anyway] [--reason TEXT] [--dry-run]\n"
		 "\n"
		 "Queues refused and expired rows again, in their card's order. A row is declined where another one stands for\n"
		 "the same event now, or where a later row of its card has gone out.\n"
		 "\n"
		 "  --anyway          these as well, and duplicate rows\n" SELECTORS,
	.run = retry,
};

const struct cli_command cli_hold = {
	.name = "hold",
	.summary = "keep queued rows from being sent",
	.usage = "usage: trackbridge [-c FILE] hold SELECTION [--reason TEXT] [--dry-run]\n"
		 "\n"
		 "Queued rows are held until `release`. A held row holds back the later ones of its card.\n" SELECTORS,
	.run = hold,
};

const struct cli_command cli_release = {
	.name = "release",
	.summary = "let held rows go",
	.usage = "usage: trackbridge [-c FILE] release SELECTION [--reason TEXT] [--dry-run]\n"
		 "\n"
		 "Held rows are queued again.\n" SELECTORS,
	.run = release,
};

const struct cli_command cli_cancel = {
	.name = "cancel",
	.summary = "never send queued or held rows",
	.usage = "usage: trackbridge [-c FILE] cancel SELECTION [--reason TEXT] [--dry-run]\n"
		 "\n"
		 "Queued and held rows are cancelled, for good: no file brings them back.\n" SELECTORS,
	.run = cancel,
};

const struct cli_command cli_resolve = {
	.name = "resolve",
	.summary = "say what became of rows in doubt",
	.usage = "usage: trackbridge [-c FILE] resolve --accepted [--operation-id ID] SELECTION [--reason TEXT] [--dry-run]\n"
		 "       trackbridge [-c FILE] resolve --resend SELECTION [--reason TEXT] [--dry-run]\n"
		 "\n"
		 "Whether D1 has taken a row that is in doubt, only people can find out: what you say is believed.\n"
		 "\n"
		 "  --accepted        D1 has it; with --operation-id, under this id\n"
		 "  --resend          D1 does not have it: it is sent again\n" SELECTORS,
	.run = resolve,
};

const struct cli_command cli_pause = {
	.name = "pause",
	.summary = "stop sending to an endpoint, or a manifest's rows",
	.usage = "usage: trackbridge [-c FILE] pause ENDPOINT|--manifest N [--reason TEXT]\n"
		 "\n"
		 "Nothing more is sent until `resume`; what is in flight ends as it ends.\n",
	.run = pause_sending,
};

const struct cli_command cli_resume = {
	.name = "resume",
	.summary = "go on sending",
	.usage = "usage: trackbridge [-c FILE] resume ENDPOINT|--manifest N [--reason TEXT]\n"
		 "\n"
		 "Ends a pause, whoever made it. An endpoint that paused by itself sends one row to see whether the trouble is over.\n",
	.run = resume,
};

const struct cli_command cli_reload = {
	.name = "reload",
	.summary = "load a manifest of the archive again with today's configuration",
	.usage = "usage: trackbridge [-c FILE] reload MANIFEST [--reason TEXT]\n"
		 "\n"
		 "Loads a manifest of the archive again, as a new one, with today's configuration: rows that are already queued\n"
		 "or sent count as duplicates, rows that were rejected get another chance.\n"
		 "\n"
		 "  --reason TEXT  kept in the view `operator_action_log`\n",
	.run = reload,
};
