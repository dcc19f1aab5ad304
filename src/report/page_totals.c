#include "report/page_bars.h"
#include "report/page_html.h"
#include "report/page_inside.h"

static void append_tile(struct page *page, const char *class, const char *label, int64_t number)
{
	text_printf(page->out, "<div class=\"%s\"><dt>%s</dt><dd>", class, label);
	page_count(page->out, number);
	text_append_string(page->out, "</dd></div>\n");
}

static void append_line(struct page *page, const char *name, int64_t period, int64_t all)
{
	text_printf(page->out, "<tr><th scope=\"row\">%s</th><td>", name);
	page_count(page->out, period);
	text_append_string(page->out, "</td><td>");
	page_count(page->out, all);
	text_append_string(page->out, "</td></tr>\n");
}

static void begin_table(struct page *page, const char *caption)
{
	text_printf(page->out,
		    "<table class=\"numbers\"><caption>%s</caption><thead><tr><th scope=\"col\">State</th><th scope=\"col\">Period</th>"
		    "<th scope=\"col\">In all</th></tr></thead><tbody>\n",
		    caption);
}

static void end_table(struct page *page, int64_t period, int64_t all)
{
	text_append_string(page->out, "</tbody><tfoot>");
	append_line(page, "Sum", period, all);
	text_append_string(page->out, "</tfoot></table>\n");
}

void page_totals(struct page *page)
{
	const struct page_sums *period = &page->days.period, *all = &page->days.all;

	page_section_begin(page, "Totals");
	text_append_string(page->out, "<dl class=\"tiles\">\n");
	append_tile(page, "", "files in the period", page_sums_manifests(period));
	append_tile(page, "", "rows in the period", page_sums_rows(period));
	append_tile(page, "yes", "accepted by D1", period->rows[ROW_ACCEPTED]);
	append_tile(page, "", "open", page_sums_open(period));
	append_tile(page, page_sums_trouble(period) ? "no" : "", "with a problem", page_sums_trouble(period));
	text_append_string(page->out, "</dl>\n<div class=\"beside\">\n");
	begin_table(page, "Rows by state");
	for (int i = 0; i < ROW_N_STATES; i++)
		append_line(page, queue_state_name((enum row_state)i), period->rows[i], all->rows[i]);
	end_table(page, page_sums_rows(period), page_sums_rows(all));
	begin_table(page, "Files (manifests) by state");
	for (int i = 0; i < MANIFEST_N_STATES; i++)
		append_line(page, queue_manifest_state_name((enum queue_manifest_state)i), period->manifests[i], all->manifests[i]);
	end_table(page, page_sums_manifests(period), page_sums_manifests(all));
	text_append_string(page->out, "</div>\n");
	page_section_end(page);
}

static void append_source(struct page *page, const struct page_source *source, size_t number)
{
	text_append_string(page->out, "<article>\n<h3>");
	page_text(page->out, source->name);
	text_append_string(page->out, "</h3>\n");
	if (page_sums_manifests(&source->period)) {
		page_bars(page->out, &page->days, source, number);
		text_append_string(page->out, "<details><summary>The same in numbers</summary>\n");
		page_bars_table(page->out, &page->days, source);
		text_append_string(page->out, "</details>\n");
	} else {
		text_append_string(page->out, "<p class=\"none\">No file came in the period.</p>\n");
	}
	text_append_string(page->out, "</article>\n");
}

void page_sources_by_day(struct page *page)
{
	page_section_begin(page, "Rows by source and day");
	if (page->days.n_sources)
		page_bars_legend(page->out);
	else
		text_append_string(page->out, "<p class=\"none\">No file has come yet.</p>\n");
	if (page->days.days_per_bar > 1)
		text_printf(page->out, "<p class=\"note\">Each bar stands for %d days.</p>\n", (int)page->days.days_per_bar);
	for (size_t i = 0; i < page->days.n_sources; i++)
		append_source(page, &page->days.sources[i], i);
	page_section_end(page);
}
