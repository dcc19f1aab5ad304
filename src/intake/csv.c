#include "intake/csv.h"

#include "intake/decode.h"
#include "intake/kind.h"
#include "intake/lines.h"

#include <csv.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ENTRY_GROWTH = 4096,
	CELLS_KEPT = 1024 * 1024, /* of memory, from one record to the next */
	NO_QUOTE = 0xff,          /* bytes that UTF-8 does not have */
	LONG_DELIMITER = 0xfe,
};

static const char mark[] = "\xEF\xBB\xBF";

_Static_assert((int)KIND_HEAD >= (int)DECODE_HEAD, "one head is enough for both");

struct csv_reader {
	struct lines *lines;
	struct decoder *decoder;
	struct csv_parser parser;
	const char *delimiter; /* of more than one byte, which libcsv knows as LONG_DELIMITER; else NULL */
	const char *hint;
	size_t most_cell, most_cells, added_cells;
	char too_long[64], too_many[64];
	bool inside;        /* the lines since the record's first end in an open quote */
	int64_t quote_line; /* on which it was opened */
	bool complete;      /* libcsv has told the record's end */
	bool terminated;    /* the last record had a line end */
	struct csv_record record;
	struct text folded; /* scratch: text with LONG_DELIMITER in it */
	struct text bytes;  /* the cells, each with a NUL behind it */
	size_t starts[CSV_MOST_CELLS + CSV_ADDED_CELLS];
	struct span cells[CSV_MOST_CELLS + CSV_ADDED_CELLS];
	enum csv_step stopped; /* CSV_BROKEN or CSV_FAILED for good, because of why; else CSV_RECORD */
	struct error why;
};

/* libcsv has no limit on a cell but what this refuses. */
static void *grow_entry(void *old, size_t size)
{
	/* Blanks around a cell and its quotes count here. */
	return size > CSV_MOST_CELL + ENTRY_GROWTH ? NULL : xrealloc_array(old, size, 1);
}

static bool read_head(int fd, char ret_head[static KIND_HEAD], size_t *ret_length, struct error *err)
{
	ssize_t n;

	do
		n = pread(fd, ret_head, KIND_HEAD, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "reading the file's beginning");
	*ret_length = (size_t)n;
	return true;
}

bool csv_open(int fd, const struct config_source *source, int64_t offset, int64_t line, struct csv_reader **ret_reader, struct error *err)
{
	struct csv_reader *reader;
	struct decoder *decoder;
	char head[KIND_HEAD];
	size_t head_length = 0;

	if (!read_head(fd, head, &head_length, err) || !decode_open(source->format.encoding, head, head_length, &decoder, err))
		return false;
	reader = xcalloc(1, sizeof(*reader));
	reader->decoder = decoder;
	reader->hint = kind_hint(head, head_length, decode_unit(decoder), decode_big_endian(decoder));
	reader->lines = lines_open(fd, decode_unit(decoder), decode_big_endian(decoder), offset, line);
	reader->terminated = lines_terminated(reader->lines);
	csv_init(&reader->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL);
	reader->delimiter = source->format.delimiter[1] ? source->format.delimiter : NULL;
	csv_set_delim(&reader->parser, reader->delimiter ? LONG_DELIMITER : (unsigned char)source->format.delimiter[0]);
	csv_set_quote(&reader->parser, source->format.quote ? (unsigned char)source->format.quote : NO_QUOTE);
	csv_set_realloc_func(&reader->parser, grow_entry);
	csv_set_blk_size(&reader->parser, ENTRY_GROWTH);
	reader->most_cell = (size_t)source->max_cell_bytes;
	reader->most_cells = (size_t)source->max_columns;
	snprintf(reader->too_long, sizeof(reader->too_long), "has a cell of more than %lld bytes (max_cell_bytes)",
		 (long long)source->max_cell_bytes);
	snprintf(reader->too_many, sizeof(reader->too_many), "has more than %d cells (max_columns)", source->max_columns);
	*ret_reader = reader;
	return true;
}

void csv_close(struct csv_reader *reader)
{
	if (!reader)
		return;
	csv_free(&reader->parser);
	lines_close(reader->lines);
	decode_close(reader->decoder);
	text_free(&reader->folded);
	text_free(&reader->bytes);
	free(reader);
}

static enum csv_step stop(struct csv_reader *reader, enum csv_step step, struct error *err)
{
	reader->stopped = step;
	if (err)
		*err = reader->why;
	return step;
}

static void spoil(struct csv_reader *reader, const char *why)
{
	if (reader->record.spoiled)
		return;
	reader->record.spoiled = why;
	reader->record.spoiled_cell = reader->record.n_cells;
}

/* A run of text ends behind a whole character, so that no delimiter lies across two. */
static struct span fold(struct csv_reader *reader, struct span text)
{
	static const char folded = (char)LONG_DELIMITER;
	size_t length = strlen(reader->delimiter);
	const char *end = text.data + text.length, *found;

	text_clear(&reader->folded);
	while ((found = memmem(text.data, (size_t)(end - text.data), reader->delimiter, length))) {
		text_append(&reader->folded, text.data, (size_t)(found - text.data));
		text_append(&reader->folded, &folded, 1);
		text.data = found + length;
	}
	text_append(&reader->folded, text.data, (size_t)(end - text.data));
	return (struct span){ reader->folded.data, reader->folded.length };
}

/* What is folded inside of quotes is the cell's own. */
static void unfold(struct csv_reader *reader, const char *cell, size_t length)
{
	const char *end = cell + length, *found;

	while ((found = memchr(cell, LONG_DELIMITER, (size_t)(end - cell)))) {
		text_append(&reader->bytes, cell, (size_t)(found - cell));
		text_append_string(&reader->bytes, reader->delimiter);
		cell = found + 1;
	}
	text_append(&reader->bytes, cell, (size_t)(end - cell));
}

static void take_cell(void *bytes, size_t length, void *data)
{
	const char *cell = bytes; /* with a NUL behind it: CSV_APPEND_NULL */
	struct csv_reader *reader = data;
	size_t i = reader->record.n_cells;

	if (i == reader->most_cells + reader->added_cells) {
		spoil(reader, reader->too_many);
		return;
	}
	if (length > reader->most_cell) {
		spoil(reader, reader->too_long);
		cell = "";
		length = 0;
	}
	reader->starts[i] = reader->bytes.length;
	if (reader->delimiter)
		unfold(reader, cell, length);
	else
		text_append(&reader->bytes, cell, length);
	reader->cells[i].length = reader->bytes.length - reader->starts[i];
	text_append(&reader->bytes, "", 1);
	reader->record.n_cells++;
}

static void take_end(int c, void *data)
{
	struct csv_reader *reader = data;

	(void)c;
	reader->complete = true;
}

static bool parse(struct csv_reader *reader, const char *bytes, size_t length)
{
	struct csv_parser *parser = &reader->parser;
	size_t n;

	while ((n = csv_parse(parser, bytes, length, take_cell, take_end, reader)) < length) {
		if (csv_error(parser) != CSV_ENOMEM)
			return false;
		/* The cell is too long: it is emptied and goes on, with just enough left for libcsv to take trailing blanks and a quote
		 * off. */
		spoil(reader, reader->too_long);
		parser->spaces = parser->spaces > 0;
		parser->entry_pos = parser->spaces + 1;
		bytes += n;
		length -= n;
	}
	return true;
}

static bool parse_line(struct csv_reader *reader, const struct line *line)
{
	bool at_start = line->offset == 0;
	struct decode_run run;

	decode_line(reader->decoder, line->bytes, line->length, line->plain);
	for (; decode_next(reader->decoder, &run); at_start = false) {
		if (run.fault)
			spoil(reader, run.fault);
		else if (at_start && run.text.length >= strlen(mark) && memcmp(run.text.data, mark, strlen(mark)) == 0)
			run.text = (struct span){ run.text.data + strlen(mark), run.text.length - strlen(mark) };
		if (reader->delimiter)
			run.text = fold(reader, run.text);
		if (!parse(reader, run.text.data, run.text.length))
			return false;
	}
	return true;
}

static enum csv_step too_long(struct csv_reader *reader, int64_t line, struct error *err)
{
	error_set(&reader->why, ERROR_DATA, "a record of more than %d MiB begins at line %lld: is a quote left open?",
		  CSV_MOST_RECORD / (1024 * 1024), (long long)line);
	return stop(reader, CSV_BROKEN, err);
}

static enum csv_step misquoted(struct csv_reader *reader, int64_t line, struct error *err)
{
	if (reader->parser.quoted)
		error_set(&reader->why, ERROR_DATA, "line %lld: text follows the quote that ends a cell (a quote inside is to be doubled)",
			  (long long)line);
	else
		error_set(&reader->why, ERROR_DATA,
			  "line %lld: a quote inside a cell that does not begin with one (quote: none where cells are never quoted)",
			  (long long)line);
	return stop(reader, CSV_BROKEN, err);
}

static enum csv_step finish(struct csv_reader *reader, struct error *err)
{
	if (csv_fini(&reader->parser, take_cell, take_end, reader) != 0) {
		error_set(&reader->why, ERROR_DATA, "line %lld: a quote is opened here and never closed", (long long)reader->quote_line);
		return stop(reader, CSV_BROKEN, err);
	}
	reader->inside = false;
	return reader->complete ? CSV_RECORD : CSV_END;
}

static void begin(struct csv_reader *reader)
{
	if (reader->bytes.capacity > CELLS_KEPT)
		text_free(&reader->bytes);
	text_clear(&reader->bytes);
	reader->complete = false;
	reader->record = (struct csv_record){ .cells = reader->cells };
}

/* One line more for the record. CSV_END: there is none. */
static enum csv_step take_line(struct csv_reader *reader, struct error *err)
{
	size_t n_cells = reader->record.n_cells;
	bool inside = reader->inside;
	struct line line;

	switch (lines_next(reader->lines, &line, &reader->why)) {
	case LINES_LINE: break;
	case LINES_END: return finish(reader, err);
	case LINES_TOO_LONG: return too_long(reader, csv_line(reader), err);
	case LINES_FAILED: return stop(reader, CSV_FAILED, err);
	}
	if (!inside) {
		reader->record.line = line.number;
		reader->record.offset = line.offset;
	}
	if (!parse_line(reader, &line))
		return misquoted(reader, line.number, err);
	reader->inside = reader->parser.quoted;
	if (reader->inside && (!inside || reader->record.n_cells != n_cells))
		reader->quote_line = line.number;
	return lines_offset(reader->lines) - reader->record.offset > CSV_MOST_RECORD ? too_long(reader, reader->record.line, err)
										     : CSV_RECORD;
}

void csv_add_cells(struct csv_reader *reader, bool added)
{
	reader->added_cells = added ? CSV_ADDED_CELLS : 0;
}

enum csv_step csv_next(struct csv_reader *reader, struct csv_record *ret_record, struct error *err)
{
	if (reader->stopped != CSV_RECORD)
		return stop(reader, reader->stopped, err);
	begin(reader);
	while (!reader->complete) {
		enum csv_step step = take_line(reader, err);

		if (step != CSV_RECORD)
			return step;
	}
	for (size_t i = 0; i < reader->record.n_cells; i++)
		reader->cells[i].data = reader->bytes.data + reader->starts[i];
	reader->record.length = lines_offset(reader->lines) - reader->record.offset;
	reader->terminated = lines_terminated(reader->lines);
	*ret_record = reader->record;
	return CSV_RECORD;
}

const char *csv_hint(const struct csv_reader *reader)
{
	return reader->hint;
}

enum csv_step csv_skip_lines(struct csv_reader *reader, int n, struct error *err)
{
	struct line line;

	for (int i = 0; i < n; i++) {
		switch (lines_next(reader->lines, &line, &reader->why)) {
		case LINES_LINE: break;
		case LINES_END: return CSV_END;
		case LINES_TOO_LONG: return too_long(reader, csv_line(reader), err);
		case LINES_FAILED: return stop(reader, CSV_FAILED, err);
		}
		reader->terminated = lines_terminated(reader->lines);
	}
	return CSV_RECORD;
}

int64_t csv_offset(const struct csv_reader *reader)
{
	return reader->inside ? reader->record.offset : lines_offset(reader->lines);
}

int64_t csv_line(const struct csv_reader *reader)
{
	return reader->inside ? reader->record.line : lines_number(reader->lines);
}

bool csv_ends_in_newline(const struct csv_reader *reader)
{
	return reader->terminated;
}
