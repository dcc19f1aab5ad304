#include "report/page_days.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* A line of QUEUE_COUNTS; the states of its rows come in the order of the enumeration. */
enum { MANIFEST_ID, SOURCE, STATE, RECEIVED_AT, ROWS, STATES };

static const int64_t DAY_MS = 86400000;

static void add(struct page_sums *sums, const struct queue_value *line)
{
	for (int i = 0; i < MANIFEST_N_STATES; i++)
		sums->manifests[i] += strcmp(line[STATE].text, queue_manifest_state_name((enum queue_manifest_state)i)) == 0;
	for (int i = 0; i < ROW_N_STATES; i++)
		sums->rows[i] += line[STATES + i].number;
}

static void merge(struct page_sums *sums, const struct page_sums *more)
{
	for (int i = 0; i < MANIFEST_N_STATES; i++)
		sums->manifests[i] += more->manifests[i];
	for (int i = 0; i < ROW_N_STATES; i++)
		sums->rows[i] += more->rows[i];
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

/* What came through one source, by day, until the first and the last day are known. */
struct tally {
	struct page_source source;
	struct day {
		int64_t day;
		struct page_sums sums;
	} * days;
	size_t n, room;
};

struct tallies {
	struct tally *at;
	size_t n;
};

/* Sources are few. */
static struct tally *tally_of(struct tallies *tallies, const char *name)
{
	struct tally *tally;

	for (size_t i = 0; i < tallies->n; i++) {
		if (strcmp(tallies->at[i].source.name, name) == 0)
			return &tallies->at[i];
	}
	tallies->at = xrealloc_array(tallies->at, tallies->n + 1, sizeof(*tallies->at));
	tally = &tallies->at[tallies->n++];
	*tally = (struct tally){ .source = { .name = xstrdup(name) } };
	return tally;
}

/* Manifests come in the order of their time, so that their day is the last one, unless the clock was put back. */
static struct page_sums *sums_of(struct tally *tally, int64_t day)
{
	for (size_t i = tally->n; i > 0; i--) {
		if (tally->days[i - 1].day == day)
			return &tally->days[i - 1].sums;
	}
	if (tally->n == tally->room) {
		tally->room = tally->room ? 2 * tally->room : 64;
		tally->days = xrealloc_array(tally->days, tally->room, sizeof(*tally->days));
	}
	tally->days[tally->n] = (struct day){ .day = day };
	return &tally->days[tally->n++].sums;
}

static void count(struct tallies *tallies, const struct queue_value *line, int64_t since_ms)
{
	struct tally *tally = tally_of(tallies, line[SOURCE].text);
	int64_t received_at = line[RECEIVED_AT].number;

	add(&tally->source.all, line);
	if (received_at > tally->source.last_at)
		tally->source.last_at = received_at;
	if (received_at >= since_ms)
		add(sums_of(tally, received_at / DAY_MS), line);
}

static void lay_out(struct page_days *days, const struct tallies *tallies, int64_t since_day, int64_t today)
{
	int64_t first = INT64_MAX, last = today;

	for (size_t i = 0; i < tallies->n; i++) {
		for (size_t k = 0; k < tallies->at[i].n; k++) {
			int64_t day = tallies->at[i].days[k].day;

			first = day < first ? day : first;
			/* A clock that was put back leaves manifests of the future. */
			last = day > last ? day : last;
		}
	}
	/* A period that is older than what there is begins with that; one that has room for each of its days is shown whole. */
	days->first_day = last - since_day < PAGE_MOST_BARS ? since_day : first == INT64_MAX ? last : first;
	page_days_layout(days->first_day, last, &days->days_per_bar, &days->n_bars);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct page_source *)a)->name, ((const struct page_source *)b)->name);
}

/* Takes the sources out of the tallies. */
static void sum_up(struct page_days *days, const struct tallies *tallies)
{
	days->n_sources = tallies->n;
	days->sources = xcalloc(tallies->n, sizeof(*days->sources));
	for (size_t i = 0; i < tallies->n; i++) {
		const struct tally *tally = &tallies->at[i];
		struct page_source *source = &days->sources[i];

		*source = tally->source;
		for (size_t k = 0; k < tally->n; k++) {
			merge(&source->period, &tally->days[k].sums);
			merge(&source->bars[(tally->days[k].day - days->first_day) / days->days_per_bar], &tally->days[k].sums);
		}
		merge(&days->all, &source->all);
		merge(&days->period, &source->period);
	}
	qsort(days->sources, days->n_sources, sizeof(*days->sources), by_name);
}

bool page_days_read(struct queue_reader *reader, int64_t since_ms, int64_t now_ms, struct page_days *ret_days, struct error *err)
{
	const struct queue_filter all = { 0 };
	struct queue_cursor *cursor;
	const struct queue_value *line;
	struct tallies tallies = { 0 };
	struct page_days days = { 0 };
	bool good;

	if (!queue_reader_query(reader, QUEUE_COUNTS, &all, &cursor, err))
		return false;
	while ((good = queue_cursor_next(cursor, &line, err)) && line)
		count(&tallies, line, since_ms);
	queue_cursor_close(cursor);
	lay_out(&days, &tallies, since_ms / DAY_MS, now_ms / DAY_MS);
	sum_up(&days, &tallies);
	for (size_t i = 0; i < tallies.n; i++)
		free(tallies.at[i].days);
	free(tallies.at);
	if (good)
		*ret_days = days;
	else
		page_days_free(&days);
	return good;
}

const struct page_source *page_days_source(const struct page_days *days, const char *name)
{
	for (size_t i = 0; i < days->n_sources; i++) {
		if (strcmp(days->sources[i].name, name) == 0)
			return &days->sources[i];
	}
	return NULL;
}

void page_days_free(struct page_days *days)
{
	for (size_t i = 0; i < days->n_sources; i++)
		free(days->sources[i].name);
	free(days->sources);
	*days = (struct page_days){ 0 };
}
