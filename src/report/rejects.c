#include "report/rejects.h"

#include "base/file.h"
#include "report/archive.h"
#include "report/layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MOST_RECORD = 64 * 1024 * 1024 };

struct rejects {
	int copy;
	struct layout layout;
	struct sheet *sheet;
	int64_t manifest;
	int64_t after, rows;
	int shown; /* rows of this slice */
	bool full; /* the slice has bytes enough */
	struct error *failed;
	struct text record, slice;
};

static void add_head(struct rejects *rejects)
{
	const struct layout *layout = &rejects->layout;

	if (!layout->header_cells) {
		text_append(&rejects->slice, layout->head.data, layout->head.length);
		return;
	}
	text_append(&rejects->slice, layout->head.data, layout->head_end);
	layout_cell(layout, &rejects->slice, "line");
	layout_cell(layout, &rejects->slice, "column");
	layout_cell(layout, &rejects->slice, "reason");
	text_append(&rejects->slice, layout->line_end.data, layout->line_end.length);
}

bool rejects_begin(const struct config *config, const struct queue_errand *errand, struct rejects **ret_rejects, struct error *err)
{
	struct rejects *rejects;

	if (errand->source < 0)
		return error_set(err, ERROR_CONFIG, "the source is no longer configured, so that its format is not known");
	rejects = xcalloc(1, sizeof(*rejects));
	rejects->copy = -1;
	rejects->manifest = errand->manifest;
	if (!archive_open(config, errand, &rejects->copy, err) ||
	    !layout_read(rejects->copy, &config->sources[errand->source], &rejects->layout, err) ||
	    !sheet_open(config, errand, "rejects", &rejects->sheet, err)) {
		rejects_free(rejects);
		return false;
	}
	add_head(rejects);
	*ret_rejects = rejects;
	return true;
}

static bool read_record(struct rejects *rejects, const struct queue_receipt_row *row)
{
	struct text *record = &rejects->record;
	char piece[16 * 1024];
	int64_t at = row->byte_offset, end = row->byte_offset + row->byte_length;

	text_clear(record);
	if (at < 0 || row->byte_length <= 0 || row->byte_length > MOST_RECORD)
		return error_set(rejects->failed, ERROR_INTERNAL, "row %lld has no place in the file", (long long)row->row);
	while (at < end) {
		size_t most = end - at < (int64_t)sizeof(piece) ? (size_t)(end - at) : sizeof(piece);
		ssize_t got = pread(rejects->copy, piece, most, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(rejects->failed, errno, "the manifest's copy cannot be read");
		if (got == 0)
			return error_set(rejects->failed, ERROR_DATA, "the manifest's copy is shorter than it was");
		text_append(record, piece, (size_t)got);
		at += got;
	}
	return true;
}

/* The highest column number that the source reads; 0 where it goes by names. */
static size_t highest_column(const struct config_source *source)
{
	int highest = 0;

	for (int i = 0; i < TRACK_N_FIELDS; i++)
		highest = source->fields[i].column_number > highest ? source->fields[i].column_number : highest;
	for (size_t i = 0; i < source->n_identity; i++)
		highest = source->identity[i].number > highest ? source->identity[i].number : highest;
	return (size_t)highest;
}

/*
 * The record's bytes, such that what comes behind them is never read as a cell of its own. Under a header, a row with too few cells stays
 * one: with the three cells it has still fewer than the header, and is rejected again, whereas filled up it would load as if the missing
 * cells had been empty. Without a header only the number tells one cell from another, so that there it has to be filled up.
 */
static void add_record(struct rejects *rejects, const char *bytes, size_t length)
{
	const struct layout *layout = &rejects->layout;
	scoped_text struct text delimiter = { 0 };
	size_t empty, cells = layout_count(layout, bytes, length, &empty);

	layout_delimiter(layout, &delimiter);
	/* Empty cells that no header names would push the three cells away. */
	while (layout->header_cells && cells > layout->header_cells && empty > 0 && layout_without_empty_cell(layout, bytes, &length)) {
		cells--;
		empty--;
	}
	text_append(&rejects->slice, bytes, length);
	for (; !layout->header_cells && cells < highest_column(layout->source); cells++)
		text_append(&rejects->slice, delimiter.data, delimiter.length);
}

static bool take_row(void *user, const struct queue_receipt_row *row)
{
	struct rejects *rejects = user;
	struct layout *layout = &rejects->layout;
	size_t mark = row->byte_offset == 0 ? layout->mark : 0, end;
	char line[24];

	if (!read_record(rejects, row))
		return false;
	end = layout_learn_line_end(layout, rejects->record.data, rejects->record.length);
	/* Without skipped lines and header, the first row has the byte order mark; it is written already. */
	mark = mark < rejects->record.length - end ? mark : 0;
	add_record(rejects, rejects->record.data + mark, rejects->record.length - end - mark);
	snprintf(line, sizeof(line), "%lld", (long long)row->line);
	layout_cell(layout, &rejects->slice, line);
	layout_cell(layout, &rejects->slice, row->column);
	layout_cell(layout, &rejects->slice, row->reason);
	text_append(&rejects->slice, layout->line_end.data, layout->line_end.length);
	rejects->rows++;
	rejects->shown++;
	rejects->full = rejects->slice.length >= REJECTS_SLICE_BYTES;
	return !rejects->full;
}

static int64_t count_of(const struct rejects *rejects)
{
	const struct config_source *source = rejects->layout.source;

	switch (source->trailer.counts) {
	case CONFIG_ROWS: return rejects->rows;
	case CONFIG_ROWS_TRAILER: return rejects->rows + 1;
	case CONFIG_ROWS_HEADER_TRAILER: return rejects->rows + 1 + source->format.header;
	}
	return rejects->rows;
}

static void add_trailer(struct rejects *rejects)
{
	const struct layout *layout = &rejects->layout;
	const struct config_source *source = layout->source;
	char count[64];

	snprintf(count, sizeof(count), "%0*lld", layout->count_width < 32 ? layout->count_width : 32, (long long)count_of(rejects));
	layout_bare_cell(layout, &rejects->slice, source->trailer.first_column);
	for (size_t i = 1; i < layout->trailer_cells; i++)
		layout_cell(layout, &rejects->slice, i + 1 == (size_t)source->trailer.count_column ? count : "");
	text_append(&rejects->slice, layout->line_end.data, layout->line_end.length);
}

enum sheet_step rejects_slice(struct rejects *rejects, struct queue *queue, struct error *err)
{
	struct error failed = { 0 };
	bool read, last;

	rejects->shown = 0;
	rejects->full = false;
	rejects->failed = &failed;
	read = queue_reject_rows(queue, rejects->manifest, rejects->after, REJECTS_SLICE_ROWS, take_row, rejects, &rejects->after);
	rejects->failed = NULL;
	if (failed.code != ERROR_NONE) {
		*err = failed;
		return SHEET_FAILED;
	}
	if (!read && !rejects->full)
		return SHEET_SPOILED;
	last = !rejects->full && rejects->shown < REJECTS_SLICE_ROWS;
	if (last && rejects->layout.source->trailer.present)
		add_trailer(rejects);
	if (!sheet_write(rejects->sheet, &rejects->slice, err))
		return SHEET_FAILED;
	text_clear(&rejects->slice);
	if (!last)
		return SHEET_MORE;
	return sheet_publish(rejects->sheet, err) ? SHEET_DONE : SHEET_FAILED;
}

void rejects_free(struct rejects *rejects)
{
	if (!rejects)
		return;
	cleanup_close(&rejects->copy);
	layout_free(&rejects->layout);
	sheet_free(rejects->sheet);
	text_free(&rejects->record);
	text_free(&rejects->slice);
	free(rejects);
}
