#include "cli/cli.h"

static const char usage[] =
	"usage: trackbridge [-c FILE] manifests [--state STATE] [--source NAME] [--since WHEN] [--limit N] [--format table|json|csv]\n"
	"\n"
	"Lists manifests in the order in which they were taken in, with their rows by state.\n"
	"\n"
	"  --state STATE    loading released settled rejected duplicate\n"
	"  --source NAME    manifests that came in through this source\n"
	"  --since WHEN     released since then (received, where they never were): a time in UTC (2026-11-22,\n"
	"                   2026-11-22T10:00:00Z) or a time back from now (90m, 2h, 3d)\n"
	"  --limit N        at most N manifests, the first ones\n"
	"  --format FORMAT  table (some columns, the default), json or csv (all columns of the view `manifest_status`)\n";

enum { STATE = 256, SOURCE, SINCE, LIMIT, FORMAT };

static bool take(int option, const char *command, struct queue_filter *filter, enum format_kind *kind)
{
	static const char *const states[] = { "loading", "released", "settled", "rejected", "duplicate" };

	switch (option) {
	case STATE: filter->state = optarg; return cli_word(command, "--state", optarg, states, sizeof(states) / sizeof(states[0]));
	case SOURCE: filter->source = optarg; return true;
	case SINCE: return cli_time(command, "--since", optarg, &filter->since_ms);
	case LIMIT: return cli_number(command, "--limit", optarg, &filter->limit);
	case FORMAT: return cli_format(command, optarg, kind);
	default: return false;
	}
}

static int manifests(const struct cli_options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "state", required_argument, NULL, STATE },   { "source", required_argument, NULL, SOURCE },
		{ "since", required_argument, NULL, SINCE },   { "limit", required_argument, NULL, LIMIT },
		{ "format", required_argument, NULL, FORMAT }, { 0 },
	};
	static const char *const shown[] = { "manifest_id", "source",   "name",      "state",   "paused",   "received_at", "rows",
					     "queued",      "sending",  "accepted",  "refused", "in_doubt", "held",        "expired",
					     "cancelled",   "rejected", "duplicate", "skipped", "reason",   NULL };
	struct queue_filter filter = { 0 };
	enum format_kind kind = FORMAT_TABLE;
	int option;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (!take(option, argv[0], &filter, &kind))
			return ERROR_USAGE;
	}
	if (optind < argc)
		return cli_usage(argv[0], "too many words: '%s'", argv[optind]);
	return cli_list_query(options, QUEUE_MANIFEST_STATUS, &filter, kind, shown);
}

const struct cli_command cli_manifests = {
	.name = "manifests",
	.summary = "manifests, with their rows by state",
	.usage = usage,
	.run = manifests,
};
