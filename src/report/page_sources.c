#include "report/page_inside.h"
#include "report/page_list.h"

static const struct page_column columns[] = {
	{ "source", "Source", PAGE_WORDS },
	{ "state", "State", PAGE_STATE },
	{ "last_manifest_at", "Last file", PAGE_TIME },
	{ "manifests", "Files in all", PAGE_NUMBER },
	{ "waiting_files", "Files waiting", PAGE_NUMBER },
	{ "reason", "Reason", PAGE_LONG },
	{ 0 },
};

/* When the last file came and how many there were is known from the sums: asking the view for it looks at all manifests again. */
static void append_source(struct page *page, const struct queue_value *row)
{
	enum { SOURCE, STATE, REASON, WAITING_FILES };
	const struct page_source *source = page_days_source(&page->days, row[SOURCE].text);
	char last[32] = "";
	struct queue_value values[] = {
		row[SOURCE],
		row[STATE],
		{ .type = source ? QUEUE_TEXT : QUEUE_NULL, .text = last },
		{ .type = QUEUE_NUMBER, .number = source ? page_sums_manifests(&source->all) : 0 },
		row[WAITING_FILES],
		row[REASON],
	};

	if (source)
		text_time(last, source->last_at);
	page_list_row(page->out, columns, values, page->asked->cards);
}

bool page_sources(struct page *page, struct error *err)
{
	const struct queue_filter all = { 0 };
	struct queue_cursor *cursor;
	const struct queue_value *row;
	bool good;

	if (!queue_reader_query(page->reader, QUEUE_SOURCES_NOW, &all, &cursor, err))
		return false;
	page_section_begin(page, "Sources");
	page_list_begin(page->out, "Sources", columns);
	while ((good = queue_cursor_next(cursor, &row, err)) && row)
		append_source(page, row);
	queue_cursor_close(cursor);
	page_list_end(page->out);
	page_section_end(page);
	return good;
}
