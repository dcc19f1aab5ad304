#include "report/page_days.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* A line of QUEUE_DAYS. */
enum { SOURCE, DAY, MANIFESTS, ROWS = MANIFESTS + MANIFEST_N_STATES, STATES };

static const int64_t DAY_MS = 86400000;

/* The columns come in the order of the enumerations. */
static void add(struct page_sums *sums, const struct queue_value *line)
{
	for (int i = 0; i < MANIFEST_N_STATES; i++)
		sums->manifests[i] += line[MANIFESTS + i].number;
	for (int i = 0; i < ROW_N_STATES; i++)
		sums->rows[i] += line[STATES + i].number;
}

int64_t page_sums_manifests(const struct page_sums *sums)
{
	int64_t sum = 0;

	for (int i = 0; i < MANIFEST_N_STATES; i++)
		sum += sums->manifests[i];
	return sum;
}

int64_t page_sums_rows(const struct page_sums *sums)
{
	int64_t sum = 0;

	for (int i = 0; i < ROW_N_STATES; i++)
		sum += sums->rows[i];
	return sum;
}

int64_t page_sums_open(const struct page_sums *sums)
{
	return sums->rows[ROW_QUEUED] + sums->rows[ROW_SENDING] + sums->rows[ROW_HELD];
}

int64_t page_sums_trouble(const struct page_sums *sums)
{
	return sums->rows[ROW_REFUSED] + sums->rows[ROW_IN_DOUBT] + sums->rows[ROW_EXPIRED] + sums->rows[ROW_REJECTED];
}

int64_t page_sums_other(const struct page_sums *sums)
{
	return sums->rows[ROW_CANCELLED] + sums->rows[ROW_DUPLICATE] + sums->rows[ROW_SKIPPED];
}

void page_days_layout(int64_t first, int64_t last, int64_t *ret_days_per_bar, size_t *ret_n)
{
	int64_t days = last > first ? last - first + 1 : 1, per_bar = 1;

	if (days > PAGE_MOST_BARS)
		per_bar = 7 * ((days + 7 * PAGE_MOST_BARS - 1) / (7 * PAGE_MOST_BARS));
	*ret_days_per_bar = per_bar;
	*ret_n = (size_t)((days + per_bar - 1) / per_bar);
}

/* The lines are kept until the first and last day are known. */
struct lines {
	struct line {
		char *source;
		bool before;
		int64_t day;
		struct page_sums sums;
	} * at;
	size_t n, room;
};

static void keep(struct lines *lines, const struct queue_value *line)
{
	struct line *one;

	if (lines->n == lines->room) {
		lines->room = lines->room ? 2 * lines->room : 64;
		lines->at = xrealloc_array(lines->at, lines->room, sizeof(*lines->at));
	}
	one = &lines->at[lines->n++];
	*one = (struct line){ .source = xstrdup(line[SOURCE].text), .before = line[DAY].type == QUEUE_NULL, .day = line[DAY].number };
	add(&one->sums, line);
}

static void merge(struct page_sums *sums, const struct page_sums *more)
{
	for (int i = 0; i < MANIFEST_N_STATES; i++)
		sums->manifests[i] += more->manifests[i];
	for (int i = 0; i < ROW_N_STATES; i++)
		sums->rows[i] += more->rows[i];
}

static struct page_source *source_of(struct page_days *days, const char *name)
{
	struct page_source *source = days->n_sources ? &days->sources[days->n_sources - 1] : NULL;

	if (source && strcmp(source->name, name) == 0)
		return source;
	days->sources = xrealloc_array(days->sources, days->n_sources + 1, sizeof(*days->sources));
	source = &days->sources[days->n_sources++];
	*source = (struct page_source){ .name = xstrdup(name) };
	return source;
}

static void sum_up(struct page_days *days, const struct lines *lines, int64_t since_day, int64_t today)
{
	int64_t first = INT64_MAX, last = today;

	for (size_t i = 0; i < lines->n; i++) {
		if (!lines->at[i].before && lines->at[i].day < first)
			first = lines->at[i].day;
		/* A clock that was put back leaves manifests of the future. */
		if (!lines->at[i].before && lines->at[i].day > last)
			last = lines->at[i].day;
	}
	/* A period that is older than what there is begins with that; one that every bar has room for is shown whole. */
	days->first_day = last - since_day < PAGE_MOST_BARS || first == INT64_MAX ? since_day : first;
	if (last - days->first_day >= PAGE_MOST_BARS && first == INT64_MAX)
		days->first_day = last;
	page_days_layout(days->first_day, last, &days->days_per_bar, &days->n_bars);
	for (size_t i = 0; i < lines->n; i++) {
		const struct line *line = &lines->at[i];
		struct page_source *source = source_of(days, line->source);

		merge(&days->all, &line->sums);
		if (line->before)
			continue;
		merge(&days->period, &line->sums);
		merge(&source->period, &line->sums);
		merge(&source->bars[(line->day - days->first_day) / days->days_per_bar], &line->sums);
	}
}

bool page_days_read(struct queue_reader *reader, int64_t since_ms, int64_t now_ms, struct page_days *ret_days, struct error *err)
{
	const struct queue_filter filter = { .since_ms = since_ms };
	struct queue_cursor *cursor;
	const struct queue_value *line;
	struct lines lines = { 0 };
	struct page_days days = { 0 };
	bool good;

	if (!queue_reader_query(reader, QUEUE_DAYS, &filter, &cursor, err))
		return false;
	while ((good = queue_cursor_next(cursor, &line, err)) && line)
		keep(&lines, line);
	queue_cursor_close(cursor);
	if (good) {
		sum_up(&days, &lines, since_ms / DAY_MS, now_ms / DAY_MS);
		*ret_days = days;
	}
	for (size_t i = 0; i < lines.n; i++)
		free(lines.at[i].source);
	free(lines.at);
	return good;
}

void page_days_free(struct page_days *days)
{
	for (size_t i = 0; i < days->n_sources; i++)
		free(days->sources[i].name);
	free(days->sources);
	*days = (struct page_days){ 0 };
}
