#include "intake/manifest_reader.h"

#include "intake/cell.h"
#include "intake/columns.h"
#include "intake/csv.h"
#include "intake/event.h"
#include "intake/fields.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 18 }; /* of a trailer's count, zeros before it apart */

struct manifest_reader {
	const struct config_source *source;
	const struct config *config;
	int64_t resume_offset;
	struct csv_reader *csv;
	struct fields *fields; /* NULL until the header was read */
	char *issuer_column;   /* as a reason names it */
	struct text reason;
	int64_t rows;
	int64_t cards, pan_like; /* rows with a card id; those among them that look like a PAN */
	int64_t invalid;
	struct text first_invalid;
	bool trailer_seen;
};

bool manifest_reader_open(int fd, const struct config_source *source, const struct config *config, int64_t resume_offset,
			  struct manifest_reader **ret_reader, struct error *err)
{
	struct manifest_reader *reader;
	struct csv_reader *csv;

	if (!csv_open(fd, source, 0, 1, &csv, err))
		return false;
	reader = xcalloc(1, sizeof(*reader));
	reader->source = source;
	reader->config = config;
	reader->resume_offset = resume_offset;
	reader->csv = csv;
	*ret_reader = reader;
	return true;
}

void manifest_reader_close(struct manifest_reader *reader)
{
	if (!reader)
		return;
	fields_close(reader->fields);
	csv_close(reader->csv);
	free(reader->issuer_column);
	text_free(&reader->reason);
	text_free(&reader->first_invalid);
	free(reader);
}

static enum manifest_step no_data_row(struct error *err)
{
	error_set(err, ERROR_DATA, "has no data row");
	return MANIFEST_REJECT;
}

/* fields names a column by its header where there is one, else by its number; so does this. */
static char *issuer_column(const struct config_source *source, const struct csv_record *header)
{
	const struct config_field *field = &source->fields[TRACK_ISSUER_ID];
	struct text name = { 0 };

	if (field->value)
		text_append_string(&name, track_field_name(TRACK_ISSUER_ID));
	else if (field->column) {
		text_escape(&name, field->column, strlen(field->column));
	} else if (header && (size_t)field->column_number <= header->n_cells) {
		struct span cell = cell_trim(header->cells[field->column_number - 1]);

		text_escape(&name, cell.data, cell.length);
	} else {
		text_printf(&name, "%d", field->column_number);
	}
	return name.data;
}

/* The cells that a rejects file adds do not count, or that of a manifest of max_columns could not be dropped again. */
static bool limit_cells(const struct manifest_reader *reader, const struct csv_record *header, struct error *err)
{
	size_t added = columns_added(header), most = (size_t)reader->source->max_columns;

	csv_add_cells(reader->csv, added > 0);
	return header->n_cells - added <= most || error_set(err, ERROR_DATA, "the header has more than %zu cells (max_columns)", most);
}

/* MANIFEST_ROW: the way to the first data row is free. */
static enum manifest_step begin(struct manifest_reader *reader, struct error *err)
{
	const struct config_source *source = reader->source;
	enum csv_step step = csv_skip_lines(reader->csv, source->format.skip_lines, err);
	struct csv_record header;

	/* Without a header it cannot be known. */
	csv_add_cells(reader->csv, true);
	if (step == CSV_RECORD && source->format.header)
		step = csv_next(reader->csv, &header, err);
	switch (step) {
	case CSV_RECORD: break;
	case CSV_END: return no_data_row(err);
	case CSV_BROKEN: return MANIFEST_REJECT;
	case CSV_FAILED: return MANIFEST_FAILED;
	}
	if (source->format.header && !limit_cells(reader, &header, err))
		return MANIFEST_REJECT;
	if (!fields_open(source, source->format.header ? &header : NULL, &reader->fields, err))
		return err->code == ERROR_DATA ? MANIFEST_REJECT : MANIFEST_FAILED;
	reader->issuer_column = issuer_column(source, source->format.header ? &header : NULL);
	return MANIFEST_ROW;
}

static bool is_trailer(const struct config_source *source, const struct csv_record *record)
{
	struct span first;

	if (!source->trailer.present || record->n_cells == 0)
		return false;
	first = cell_trim(record->cells[0]);
	return first.length == strlen(source->trailer.first_column) && memcmp(first.data, source->trailer.first_column, first.length) == 0;
}

/* Digits alone, zeros before them allowed. */
static bool read_count(const struct csv_record *record, size_t column, int64_t *ret_count, struct error *err)
{
	struct span cell = column <= record->n_cells ? cell_trim(record->cells[column - 1]) : (struct span){ "", 0 };
	size_t digits = strspn(cell.data, "0123456789"), zeros = strspn(cell.data, "0");
	int64_t count = 0;

	if (cell.length == 0 || digits < cell.length)
		return error_set(err, ERROR_DATA, "line %lld: the trailer has no count in column %zu", (long long)record->line, column);
	if (cell.length - zeros > MOST_DIGITS)
		return error_set(err, ERROR_DATA, "line %lld: the trailer's count in column %zu is too long a number (%zu digits)",
				 (long long)record->line, column, cell.length - zeros);
	for (size_t i = 0; i < cell.length; i++)
		count = 10 * count + (cell.data[i] - '0');
	*ret_count = count;
	return true;
}

static int64_t expected_count(const struct manifest_reader *reader)
{
	switch (reader->source->trailer.counts) {
	case CONFIG_ROWS: return reader->rows;
	case CONFIG_ROWS_TRAILER: return reader->rows + 1;
	case CONFIG_ROWS_HEADER_TRAILER: return reader->rows + 1 + reader->source->format.header;
	}
	return -1;
}

static bool check_trailer(struct manifest_reader *reader, const struct csv_record *record, struct error *err)
{
	size_t column = (size_t)reader->source->trailer.count_column;
	int64_t count, expected = expected_count(reader);

	if (record->spoiled)
		return error_set(err, ERROR_DATA, "line %lld: the trailer %s", (long long)record->line, record->spoiled);
	if (!read_count(record, column, &count, err))
		return false;
	if (count != expected)
		return error_set(err, ERROR_DATA, "line %lld: the trailer says %lld, the file has %lld (%lld data rows)",
				 (long long)record->line, (long long)count, (long long)expected, (long long)reader->rows);
	reader->trailer_seen = true;
	return true;
}

/* Rows without a card id say nothing of the ids; but they count where it is asked whether there are rows enough to judge. */
static bool looks_like_pans(const struct manifest_reader *reader)
{
	int64_t half = (reader->cards > MANIFEST_PAN_ROWS ? reader->cards : MANIFEST_PAN_ROWS) / 2;

	return reader->rows >= MANIFEST_PAN_ROWS && reader->pan_like > half;
}

static enum manifest_step end(const struct manifest_reader *reader, struct error *err)
{
	const struct config_source *source = reader->source;

	if (source->trailer.present && !reader->trailer_seen)
		error_set(err, ERROR_DATA, "has no trailer (a last line that begins with %s): is the file complete?",
			  source->trailer.first_column);
	else if (reader->rows == 0)
		return no_data_row(err);
	else if (!source->allow_pan_like && looks_like_pans(reader))
		error_set(err, ERROR_DATA,
			  "%lld of %lld card ids look like card numbers (PANs), which must never be sent; where that is a coincidence: "
			  "allow_pan_like: true",
			  (long long)reader->pan_like, (long long)reader->cards);
	else if (source->reject_file && reader->invalid)
		error_set(err, ERROR_DATA, "%lld invalid row%s (invalid_rows: reject_file), the first on %s", (long long)reader->invalid,
			  reader->invalid == 1 ? "" : "s", reader->first_invalid.data);
	else
		return MANIFEST_END;
	return MANIFEST_REJECT;
}

static void reject(struct manifest_reader *reader, struct queue_row_new *row, const char *column, const char *reason)
{
	row->state = ROW_REJECTED;
	row->column = column;
	row->reason = reason;
	if (reader->invalid++ == 0)
		text_printf(&reader->first_invalid, "line %lld%s%s: %s", (long long)row->line, column[0] ? ", column " : "", column,
			    reason);
}

static void take(struct manifest_reader *reader, const struct csv_record *record, struct queue_row_new *ret_row)
{
	const struct fields_row *read = fields_read(reader->fields, record);
	struct queue_row_new row = {
		.line = record->line,
		.byte_offset = record->offset,
		.byte_length = record->length,
		.request = read->request,
		.column = "",
		.reason = "",
	};

	reader->rows++;
	if (read->request.card_id) {
		reader->cards++;
		reader->pan_like += track_looks_like_pan(read->request.card_id);
	}
	switch (read->result) {
	case FIELDS_REQUEST:
		if (config_endpoint_of(reader->config, read->request.issuer_id) < 0) {
			text_clear(&reader->reason);
			text_printf(&reader->reason, "no endpoint has issuer %s", read->request.issuer_id);
			reject(reader, &row, reader->issuer_column, reader->reason.data);
			break;
		}
		row.state = ROW_QUEUED;
		row.event = event_of(reader->source, read);
		break;
	case FIELDS_SKIPPED: row.state = ROW_SKIPPED; break;
	case FIELDS_REJECTED: reject(reader, &row, read->column, read->reason.data); break;
	}
	*ret_row = row;
}

static enum manifest_step next(struct manifest_reader *reader, struct queue_row_new *ret_row, struct error *err)
{
	struct csv_record record;

	if (!reader->fields) {
		enum manifest_step step = begin(reader, err);

		if (step != MANIFEST_ROW)
			return step;
	}
	for (;;) {
		switch (csv_next(reader->csv, &record, err)) {
		case CSV_RECORD: break;
		case CSV_END: return end(reader, err);
		case CSV_BROKEN: return MANIFEST_REJECT;
		case CSV_FAILED: return MANIFEST_FAILED;
		}
		if (reader->trailer_seen) {
			error_set(err, ERROR_DATA, "line %lld: a row stands after the trailer", (long long)record.line);
			return MANIFEST_REJECT;
		}
		if (!is_trailer(reader->source, &record)) {
			if (reader->rows == reader->source->max_rows) {
				error_set(err, ERROR_DATA, "line %lld: has more than %d rows (max_rows)", (long long)record.line,
					  reader->source->max_rows);
				return MANIFEST_REJECT;
			}
			take(reader, &record, ret_row);
			return record.offset < reader->resume_offset ? MANIFEST_PASSED : MANIFEST_ROW;
		}
		if (!check_trailer(reader, &record, err))
			return MANIFEST_REJECT;
	}
}

/* In front, where the names of a strange header cannot push it out of the text. */
static void hint(const struct manifest_reader *reader, struct error *err)
{
	const char *words = csv_hint(reader->csv);

	if (words)
		error_prefix(err, "%s; ", words);
}

enum manifest_step manifest_reader_next(struct manifest_reader *reader, struct queue_row_new *ret_row, struct error *err)
{
	enum manifest_step step = next(reader, ret_row, err);

	if (step == MANIFEST_REJECT && reader->rows == 0)
		hint(reader, err);
	return step;
}

int64_t manifest_reader_offset(const struct manifest_reader *reader)
{
	return csv_offset(reader->csv);
}

int64_t manifest_reader_line(const struct manifest_reader *reader)
{
	return csv_line(reader->csv);
}

int64_t manifest_reader_rows(const struct manifest_reader *reader)
{
	return reader->rows;
}
