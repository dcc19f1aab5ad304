#include "report/page.h"

#include "report/page_bars.h"
#include "report/page_html.h"
#include "report/page_inside.h"

void page_section_begin(struct page *page, const char *heading)
{
	text_printf(page->out, "<section>\n<h2>%s</h2>\n", heading);
}

void page_section_end(struct page *page)
{
	text_append_string(page->out, "</section>\n");
}

/* The policy keeps the promise of a page that fetches nothing, whatever would be wrong with it. */
static void append_head(struct page *page)
{
	text_append_string(
		page->out, PAGE_BEGIN
		"<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
		"<meta name=\"robots\" content=\"noindex\"/>\n<meta name=\"generator\" content=\"trackbridge " TRACKBRIDGE_VERSION
		"\"/>\n<title>trackbridge report ");
	page_day(page->out, page->asked->now_ms / 86400000);
	text_append_string(page->out, "</title>\n<style>\n");
	text_append_string(page->out, page_style);
	text_append_string(page->out, "</style>\n</head>\n<body>\n");
	page_bars_patterns(page->out);
}

static void append_header(struct page *page)
{
	text_append_string(page->out, "<header>\n<h1>trackbridge report</h1>\n<dl>\n<div><dt>State directory</dt><dd>");
	page_text(page->out, page->asked->state_dir);
	text_append_string(page->out, "</dd></div>\n<div><dt>Made</dt><dd>");
	page_moment(page->out, page->asked->now_ms);
	text_append_string(page->out, "</dd></div>\n<div><dt>Period</dt><dd>files that came since ");
	page_moment(page->out, page->asked->since_ms);
	text_append_string(page->out, "</dd></div>\n<div><dt>Daemon</dt><dd>");
	if (page->asked->pid)
		text_printf(page->out, "running, process %d", page->asked->pid);
	else
		text_append_string(page->out, "not running");
	text_append_string(page->out, "</dd></div>\n</dl>\n<p class=\"note\">All times and days are UTC.</p>\n</header>\n<main>\n");
}

static bool append_page(struct page *page, struct error *err)
{
	append_head(page);
	append_header(page);
	if (!page_warnings(page, err))
		return false;
	page_totals(page);
	page_sources_by_day(page);
	if (!page_endpoints(page, err) || !page_problems(page, err) || !page_waiting(page, err) || !page_rejected_files(page, err) ||
	    !page_sources(page, err) || !page_actions(page, err))
		return false;
	text_printf(page->out, "</main>\n<footer><p>Made by trackbridge " TRACKBRIDGE_VERSION ". %s</p></footer>\n</body>\n</html>\n",
		    page->asked->cards ? "This page has card ids: they are personal data." : "Card ids are left out.");
	return true;
}

bool page_append(struct text *out, struct queue_reader *reader, const struct page_asked *asked, struct error *err)
{
	struct page page = { .out = out, .reader = reader, .asked = asked };
	bool good = queue_reader_freeze(reader, err) && page_days_read(reader, asked->since_ms, asked->now_ms, &page.days, err) &&
		    append_page(&page, err);

	queue_reader_thaw(reader);
	page_days_free(&page.days);
	return good;
}
