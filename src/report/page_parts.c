#include "report/page_html.h"
#include "report/page_inside.h"
#include "report/page_list.h"

bool page_endpoints(struct page *page, struct error *err)
{
	static const struct page_column columns[] = {
		{ "endpoint", "Endpoint", PAGE_WORDS },
		{ "state", "State", PAGE_STATE },
		{ "reason", "Reason", PAGE_LONG },
		{ "paused_until", "Next try", PAGE_TIME },
		{ "in_flight", "In flight", PAGE_NUMBER },
		{ "last_accepted_at", "Last accepted", PAGE_TIME },
		{ "certificate_expires_at", "Certificate ends", PAGE_TIME },
		{ 0 },
	};
	const struct queue_filter all = { 0 };

	page_section_begin(page, "Endpoints");
	if (!page_list(page->out, "Endpoints", page->reader, QUEUE_ENDPOINTS_AND_CERTIFICATES, &all, columns, page->asked->cards,
		       "There is no endpoint.", err))
		return false;
	page_section_end(page);
	return true;
}

/* Where a list was cut: what tells the rest, of the period (since_ms) or of all time (0). */
static void append_rest(struct page *page, int64_t all, const char *command, int64_t since_ms)
{
	char since[32];

	if (all <= PAGE_MOST_LINES)
		return;
	text_printf(page->out, "<p class=\"note\">The first %d of ", PAGE_MOST_LINES);
	page_count(page->out, all);
	text_printf(page->out, "; all of them: <code>trackbridge %s", command);
	if (since_ms) {
		text_time(since, since_ms);
		text_printf(page->out, " --since %.19sZ", since);
	}
	text_append_string(page->out, "</code></p>\n");
}

/* Those in doubt wait for a person, however old they are; the others are over and stay in their period. */
bool page_problems(struct page *page, struct error *err)
{
	static const struct page_column columns[] = {
		{ "row_id", "Row", PAGE_WORDS },           { "state", "State", PAGE_STATE },  { "source", "Source", PAGE_WORDS },
		{ "manifest_id", "Manifest", PAGE_WORDS }, { "manifest", "File", PAGE_LONG }, { "line", "Line", PAGE_WORDS },
		{ "tracking_type", "Type", PAGE_WORDS },   { "sent_at", "Sent", PAGE_TIME },  { "http_status", "HTTP", PAGE_WORDS },
		{ "error_code", "Error code", PAGE_LONG }, { "detail", "Detail", PAGE_LONG }, { 0 },
	};
	static const struct page_column with_card[] = {
		{ "row_id", "Row", PAGE_WORDS },
		{ "state", "State", PAGE_STATE },
		{ "source", "Source", PAGE_WORDS },
		{ "manifest_id", "Manifest", PAGE_WORDS },
		{ "manifest", "File", PAGE_LONG },
		{ "line", "Line", PAGE_WORDS },
		{ "card_id", "Card", PAGE_WORDS },
		{ "tracking_type", "Type", PAGE_WORDS },
		{ "sent_at", "Sent", PAGE_TIME },
		{ "http_status", "HTTP", PAGE_WORDS },
		{ "error_code", "Error code", PAGE_LONG },
		{ "detail", "Detail", PAGE_LONG },
		{ 0 },
	};
	static const struct {
		enum row_state state;
		bool whole; /* not of the period alone */
		const char *heading, *none, *command;
	} parts[] = {
		{ ROW_IN_DOUBT, true, "Oldest rows in doubt", "No row is in doubt.", "list --state in_doubt" },
		{ ROW_REFUSED, false, "Oldest refused rows of the period", "No row of the period was refused.", "list --state refused" },
		{ ROW_EXPIRED, false, "Oldest expired rows of the period", "No row of the period has expired.", "list --state expired" },
	};

	page_section_begin(page, "Oldest problems");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const struct page_sums *sums = parts[i].whole ? &page->days.all : &page->days.period;
		const struct queue_filter filter = {
			.state = queue_state_name(parts[i].state),
			.since_ms = parts[i].whole ? 0 : page->asked->since_ms,
			.limit = PAGE_MOST_LINES,
		};

		text_printf(page->out, "<h3>%s</h3>\n", parts[i].heading);
		if (!page_list(page->out, parts[i].heading, page->reader, QUEUE_STATUS, &filter, page->asked->cards ? with_card : columns,
			       page->asked->cards, parts[i].none, err))
			return false;
		append_rest(page, sums->rows[parts[i].state], parts[i].command, filter.since_ms);
	}
	page_section_end(page);
	return true;
}

bool page_waiting(struct page *page, struct error *err)
{
	static const struct page_column columns[] = {
		{ "manifest_id", "Manifest", PAGE_WORDS },
		{ "source", "Source", PAGE_WORDS },
		{ "name", "File", PAGE_LONG },
		{ "queued_at", "Since", PAGE_TIME },
		{ "queued", "Queued rows", PAGE_NUMBER },
		{ "rows", "Rows", PAGE_NUMBER },
		{ "paused", "Paused", PAGE_STATE },
		{ 0 },
	};
	const struct queue_filter oldest = { .limit = PAGE_MOST_LINES };

	page_section_begin(page, "Waiting longest");
	if (!page_list(page->out, "Manifests that are paused or have queued rows", page->reader, QUEUE_WAITING_MANIFESTS, &oldest, columns,
		       page->asked->cards, "Nothing waits.", err))
		return false;
	page_section_end(page);
	return true;
}

bool page_rejected_files(struct page *page, struct error *err)
{
	static const struct page_column columns[] = {
		{ "manifest_id", "Manifest", PAGE_WORDS },
		{ "source", "Source", PAGE_WORDS },
		{ "name", "File", PAGE_LONG },
		{ "received_at", "Came", PAGE_TIME },
		{ "rows", "Rows", PAGE_NUMBER },
		{ "reason", "Reason", PAGE_LONG },
		{ 0 },
	};
	const struct queue_filter filter = { .state = "rejected", .since_ms = page->asked->since_ms, .limit = PAGE_MOST_LINES };

	page_section_begin(page, "Rejected files");
	if (!page_list(page->out, "Files of the period that were rejected whole", page->reader, QUEUE_MANIFEST_STATUS, &filter, columns,
		       page->asked->cards, "No file of the period was rejected whole.", err))
		return false;
	append_rest(page, page->days.period.manifests[MANIFEST_STATE_REJECTED], "manifests --state rejected", filter.since_ms);
	page_section_end(page);
	return true;
}

bool page_actions(struct page *page, struct error *err)
{
	static const struct page_column columns[] = {
		{ "at", "When", PAGE_TIME },
		{ "user", "Who", PAGE_WORDS },
		{ "action", "Action", PAGE_WORDS },
		{ "selector", "Which", PAGE_LONG },
		{ "rows", "Rows", PAGE_NUMBER },
		{ "reason", "Reason", PAGE_LONG },
		{ 0 },
	};
	const struct queue_filter filter = { .since_ms = page->asked->since_ms, .limit = 2 * PAGE_MOST_LINES };

	page_section_begin(page, "What operators did");
	if (!page_list(page->out, "Orders of the period, the last ones first", page->reader, QUEUE_LATEST_ACTIONS, &filter, columns,
		       page->asked->cards, "No operator did anything in the period.", err))
		return false;
	page_section_end(page);
	return true;
}
