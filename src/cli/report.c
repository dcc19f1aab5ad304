#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/lock.h"
#include "cli/report_file.h"
#include "report/page.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: trackbridge [-c FILE] report [--since WHEN] [--cards] FILE.html\n"
	"\n"
	"Writes a report as one page that stands alone (no script, nothing fetched) for a browser, a telephone or a printer:\n"
	"totals, rows by source and day, endpoints, the oldest problems, rejected files, sources and what operators did.\n"
	"FILE.html appears whole or not at all; an earlier report there is replaced, any other file is not. - is standard output.\n"
	"\n"
	"  --since WHEN  files that came since then; default the last 30 days, today included: a time in UTC (2026-11-22,\n"
	"                2026-11-22T10:00:00Z) or a time back from now (90m, 2h, 3d)\n"
	"  --cards       show card ids, which are personal data, and are left out otherwise\n";

enum { SINCE = 256, CARDS };

static const int64_t DAY_MS = 86400000;

static bool make(const struct config *config, const struct page_asked *asked, struct text *page, struct error *err)
{
	struct queue_reader *reader;
	bool good;

	if (!cli_open_queue(config, &reader, err))
		return false;
	good = page_append(page, reader, asked, err);
	queue_reader_close(reader);
	return good;
}

static bool print(const struct text *page, struct error *err)
{
	fwrite(page->data, 1, page->length, stdout);
	return cli_flush(err);
}

static bool write_report(const struct cli_options *options, const char *file, struct page_asked *asked, struct error *err)
{
	bool to_stdout = strcmp(file, "-") == 0;
	struct config *config = NULL;
	scoped_text struct text page = { 0 };
	bool good = cli_read_config(options, &config, err) && (to_stdout || report_file_check(config, file, err));

	if (good) {
		asked->state_dir = config->state_dir;
		asked->pid = lock_holder(config->state_dir);
		good = make(config, asked, &page, err) && (to_stdout ? print(&page, err) : report_file_write(file, &page, err));
	}
	config_free(config);
	return good;
}

static int report(const struct cli_options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "since", required_argument, NULL, SINCE },
		{ "cards", no_argument, NULL, CARDS },
		{ 0 },
	};
	int64_t now_ms = clock_wall_ms();
	struct page_asked asked = { .now_ms = now_ms, .since_ms = (now_ms / DAY_MS - 29) * DAY_MS };
	struct error err = { 0 };
	const char *file;
	int option;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (option == CARDS)
			asked.cards = true;
		else if (option != SINCE || !cli_time(argv[0], "--since", optarg, &asked.since_ms))
			return ERROR_USAGE;
	}
	/* 0 would not limit. */
	if (asked.since_ms < 1)
		asked.since_ms = 1;
	file = cli_operand(argc, argv, "FILE.html");
	if (!file)
		return ERROR_USAGE;
	if (!file[0])
		return cli_usage(argv[0], "FILE.html is empty");
	return write_report(options, file, &asked, &err) ? ERROR_NONE : cli_fail(&err);
}

const struct cli_command cli_report = {
	.name = "report",
	.summary = "a page for people: totals, days, endpoints, problems",
	.usage = usage,
	.run = report,
};
