#include "report/page_bars.h"

#include "report/page_html.h"

#include <inttypes.h>

/* Pixels: room above the plot for a part that is drawn higher than it is, and below for the days. */
enum { ABOVE = 10, BELOW = 22, LEAST = 2, LABELS = 5 };

/* The share of a bar's place that the bar takes. */
static const double WIDTH = 0.72;

int64_t page_bars_top(int64_t most)
{
	static const int steps[] = { 1, 2, 3, 4, 5, 6, 8 };
	int64_t unit = 1;

	while (most / unit >= 10)
		unit *= 10;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (most <= steps[i] * unit)
			return steps[i] * unit;
	}
	return unit > INT64_MAX / 10 ? INT64_MAX : 10 * unit;
}

int page_bars_height(int64_t number, int64_t top)
{
	int height = (int)((double)number / (double)top * PAGE_PLOT_HEIGHT + 0.5);

	return number > 0 && height < LEAST ? LEAST : height;
}

static int64_t shown(const struct page_sums *sums)
{
	return sums->rows[ROW_ACCEPTED] + page_sums_open(sums) + page_sums_trouble(sums);
}

static void append_days(struct text *out, const struct page_days *days, size_t bar)
{
	int64_t first = days->first_day + (int64_t)bar * days->days_per_bar;

	page_day(out, first);
	if (days->days_per_bar > 1) {
		text_append_string(out, " to ");
		page_day(out, first + days->days_per_bar - 1);
	}
}

static void append_counts(struct text *out, const struct page_sums *sums)
{
	page_count(out, sums->rows[ROW_ACCEPTED]);
	text_append_string(out, " accepted, ");
	page_count(out, page_sums_open(sums));
	text_append_string(out, " open, ");
	page_count(out, page_sums_trouble(sums));
	text_append_string(out, " with a problem");
}

static int append_part(struct text *out, const char *class, double x, double width, int bottom, int64_t number, int64_t top)
{
	int height = page_bars_height(number, top);

	if (height)
		text_printf(out, "<rect class=\"%s\" x=\"%.3f%%\" width=\"%.3f%%\" y=\"%d\" height=\"%d\"/>", class, x, width,
			    bottom - height, height);
	return bottom - height;
}

static void append_bar(struct text *out, const struct page_days *days, const struct page_sums *sums, size_t bar, int64_t top)
{
	double place = 100.0 / (double)days->n_bars, x = (double)bar * place;
	int bottom = ABOVE + PAGE_PLOT_HEIGHT;

	text_append_string(out, "<g><title>");
	append_days(out, days, bar);
	text_append_string(out, ": ");
	append_counts(out, sums);
	text_printf(out, "</title><rect class=\"place\" x=\"%.3f%%\" width=\"%.3f%%\" y=\"0\" height=\"%d\"/>", x, place, bottom);
	x += place * (1 - WIDTH) / 2;
	place *= WIDTH;
	bottom = append_part(out, "accepted", x, place, bottom, sums->rows[ROW_ACCEPTED], top);
	bottom = append_part(out, "open", x, place, bottom, page_sums_open(sums), top);
	(void)append_part(out, "trouble", x, place, bottom, page_sums_trouble(sums), top);
	text_append_string(out, "</g>\n");
}

static void append_scale(struct text *out, int64_t top)
{
	/* The middle is told where it is a whole number. */
	for (int part = 2; part >= 0; part--) {
		int y = ABOVE + PAGE_PLOT_HEIGHT - PAGE_PLOT_HEIGHT * part / 2;

		if (part == 1 && top % 2)
			continue;
		text_printf(out, "<line class=\"%s\" x1=\"0\" x2=\"100%%\" y1=\"%d\" y2=\"%d\"/>", part ? "grid" : "base", y, y);
	}
}

static void append_numbers(struct text *out, int64_t top)
{
	for (int part = 2; part >= 0; part--) {
		if (part == 1 && top % 2)
			continue;
		text_printf(out, "<text class=\"scale\" x=\"-8\" y=\"%d\">", ABOVE + PAGE_PLOT_HEIGHT - PAGE_PLOT_HEIGHT * part / 2 + 4);
		page_count(out, top / 2 * part + (part == 2 ? top % 2 : 0));
		text_append_string(out, "</text>");
	}
}

static void append_labels(struct text *out, const struct page_days *days)
{
	size_t step = (days->n_bars + LABELS - 1) / LABELS;

	for (size_t i = 0; i < days->n_bars; i += step) {
		double place = 100.0 / (double)days->n_bars;

		text_printf(out, "<text x=\"%.3f%%\" y=\"%d\">", ((double)i + (1 - WIDTH) / 2) * place, ABOVE + PAGE_PLOT_HEIGHT + 16);
		page_short_day(out, days->first_day + (int64_t)i * days->days_per_bar);
		text_append_string(out, "</text>");
	}
}

void page_bars(struct text *out, const struct page_days *days, const struct page_source *source, size_t number)
{
	int64_t most = 0, top;

	for (size_t i = 0; i < days->n_bars; i++)
		most = shown(&source->bars[i]) > most ? shown(&source->bars[i]) : most;
	top = page_bars_top(most);
	text_printf(out,
		    "<div class=\"plot\"><svg class=\"bars\" role=\"img\" width=\"100%%\" height=\"%d\" aria-labelledby=\"bt%zu bd%zu\">",
		    ABOVE + PAGE_PLOT_HEIGHT + BELOW, number, number);
	text_printf(out, "<title id=\"bt%zu\">Rows of ", number);
	page_text(out, source->name);
	text_append_string(out, " by the day on which their file came in</title>");
	text_printf(out, "<desc id=\"bd%zu\">", number);
	append_counts(out, &source->period);
	text_append_string(out, " in the period. The table below has the numbers of each bar.</desc>\n");
	append_scale(out, top);
	for (size_t i = 0; i < days->n_bars; i++) {
		if (page_sums_rows(&source->bars[i]))
			append_bar(out, days, &source->bars[i], i, top);
	}
	append_numbers(out, top);
	append_labels(out, days);
	text_append_string(out, "</svg></div>\n");
}

static void append_line(struct text *out, const struct page_sums *sums)
{
	const int64_t cells[] = {
		page_sums_manifests(sums), page_sums_rows(sums),    sums->rows[ROW_ACCEPTED],
		page_sums_open(sums),      page_sums_trouble(sums), page_sums_other(sums),
	};

	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		text_append_string(out, "<td>");
		page_count(out, cells[i]);
		text_append_string(out, "</td>");
	}
	text_append_string(out, "</tr>\n");
}

void page_bars_table(struct text *out, const struct page_days *days, const struct page_source *source)
{
	text_append_string(out, "<table class=\"numbers\"><caption>");
	page_text(out, source->name);
	text_append_string(out, "</caption><thead><tr><th scope=\"col\">Day</th><th scope=\"col\">Files</th><th scope=\"col\">Rows</th>"
				"<th scope=\"col\">Accepted</th><th scope=\"col\">Open</th><th scope=\"col\">Problems</th>"
				"<th scope=\"col\">Others</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < days->n_bars; i++) {
		if (!page_sums_manifests(&source->bars[i]))
			continue;
		text_append_string(out, "<tr><th scope=\"row\">");
		append_days(out, days, i);
		text_append_string(out, "</th>");
		append_line(out, &source->bars[i]);
	}
	text_append_string(out, "</tbody><tfoot><tr><th scope=\"row\">Sum</th>");
	append_line(out, &source->period);
	text_append_string(out, "</tfoot></table>\n");
}

void page_bars_patterns(struct text *out)
{
	text_append_string(
		out,
		"<svg width=\"0\" height=\"0\" aria-hidden=\"true\" focusable=\"false\" class=\"patterns\"><defs>"
		"<pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
		"<rect width=\"5\" height=\"5\" fill=\"#fff\"/><rect width=\"2\" height=\"5\" fill=\"#000\"/></pattern></defs></svg>\n");
}

void page_bars_legend(struct text *out)
{
	static const char *const parts[][2] = {
		{ "accepted", "accepted by D1" },
		{ "open", "open: queued, sending or held" },
		{ "trouble", "problems: refused, in doubt, expired or rejected" },
	};

	text_append_string(out, "<ul class=\"legend\">");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		text_printf(out,
			    "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\"><rect class=\"%s\" x=\"1\" y=\"1\" width=\"12\" "
			    "height=\"12\"/></svg>%s</li>",
			    parts[i][0], parts[i][1]);
	text_append_string(out, "</ul>\n");
}
