#include "cli/cli.h"

static const char usage[] =
	"usage: trackbridge [-c FILE] list [--state STATE] [--manifest N] [--card CARDID] [--source NAME] [--operation-id ID]\n"
	"                                  [--since WHEN] [--limit N] [--format table|json|csv]\n"
	"\n"
	"Lists rows in the order of their numbers, which is that of manifest and line. Filters add up.\n"
	"\n"
	"  --state STATE      queued sending accepted refused in_doubt held expired cancelled rejected duplicate skipped\n"
	"  --manifest N       rows of this manifest\n"
	"  --card CARDID      rows of this card\n"
	"  --source NAME      rows that came in through this source\n"
	"  --operation-id ID  the row to which D1 gave this id (searches all rows that the other filters leave)\n"
	"  --since WHEN       rows of manifests that were released since then (received, while they are loading): a time in UTC\n"
	"                     (2026-11-22, 2026-11-22T10:00:00Z) or a time back from now (90m, 2h, 3d)\n"
	"  --limit N          at most N rows, the first ones\n"
	"  --format FORMAT    table (some columns, the default), json or csv (all columns of the view `status`)\n";

enum { STATE = 256, MANIFEST, CARD, SOURCE, OPERATION_ID, SINCE, LIMIT, FORMAT };

static bool take_state(const char *command, const char *value, const char **ret_state)
{
	const char *states[ROW_N_STATES];

	for (int i = 0; i < ROW_N_STATES; i++)
		states[i] = queue_state_name((enum row_state)i);
	*ret_state = value;
	return cli_word(command, "--state", value, states, ROW_N_STATES);
}

static bool take(int option, const char *command, struct queue_filter *filter, enum format_kind *kind)
{
	switch (option) {
	case STATE: return take_state(command, optarg, &filter->state);
	case MANIFEST: return cli_number(command, "--manifest", optarg, &filter->manifest);
	case CARD: filter->card = optarg; return true;
	case SOURCE: filter->source = optarg; return true;
	case OPERATION_ID: filter->operation_id = optarg; return true;
	case SINCE: return cli_time(command, "--since", optarg, &filter->since_ms);
	case LIMIT: return cli_number(command, "--limit", optarg, &filter->limit);
	case FORMAT: return cli_format(command, optarg, kind);
	default: return false;
	}
}

static int list(const struct cli_options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "state", required_argument, NULL, STATE },
		{ "manifest", required_argument, NULL, MANIFEST },
		{ "card", required_argument, NULL, CARD },
		{ "source", required_argument, NULL, SOURCE },
		{ "operation-id", required_argument, NULL, OPERATION_ID },
		{ "since", required_argument, NULL, SINCE },
		{ "limit", required_argument, NULL, LIMIT },
		{ "format", required_argument, NULL, FORMAT },
		{ 0 },
	};
	static const char *const shown[] = { "row_id",        "manifest_id",     "line",      "issuer_id",   "card_id",
					     "tracking_type", "state",           "attempts",  "http_status", "error_code",
					     "operation_id",  "next_attempt_at", "waits_for", "detail",      NULL };
	struct queue_filter filter = { 0 };
	enum format_kind kind = FORMAT_TABLE;
	int option;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (!take(option, argv[0], &filter, &kind))
			return ERROR_USAGE;
	}
	if (optind < argc)
		return cli_usage(argv[0], "too many words: '%s'", argv[optind]);
	return cli_list_query(options, QUEUE_STATUS, &filter, kind, shown);
}

const struct cli_command cli_list = {
	.name = "list",
	.summary = "rows, by state, manifest, card, source, operation id or time",
	.usage = usage,
	.run = list,
};
