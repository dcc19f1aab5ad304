#include "cli/cli.h"

static const char usage[] = "usage: trackbridge [-c FILE] card CARDID [--format table|json|csv]\n"
			    "\n"
			    "One card's history: every row of it, whatever became of it, in the order in which they go.\n"
			    "\n"
			    "  --format FORMAT  table (some columns, the default), json or csv (all columns of the view `status`)\n";

static int card(const struct cli_options *options, int argc, char **argv)
{
	enum { FORMAT = 256 };
	static const struct option known[] = { { "format", required_argument, NULL, FORMAT }, { 0 } };
	static const char *const shown[] = { "row_id",        "source", "manifest_id", "line",    "issuer_id",
					     "tracking_type", "state",  "queued_at",   "sent_at", "operation_id",
					     "waits_for",     "detail", NULL };
	struct queue_filter filter = { 0 };
	enum format_kind kind = FORMAT_TABLE;
	int option;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (option != FORMAT || !cli_format(argv[0], optarg, &kind))
			return ERROR_USAGE;
	}
	filter.card = cli_operand(argc, argv, "CARDID");
	if (!filter.card)
		return ERROR_USAGE;
	return cli_list_query(options, QUEUE_STATUS, &filter, kind, shown);
}

const struct cli_command cli_card = {
	.name = "card",
	.summary = "one card's history",
	.usage = usage,
	.run = card,
};
