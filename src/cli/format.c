#include "cli/format.h"

#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct format {
	FILE *out;
	enum format_kind kind;
	const char *const *columns;
	size_t n_columns;
	size_t *shown; /* the columns of a table */
	size_t n_shown;
	size_t *widths;
	struct text kept; /* cells of the first rows, each with a NUL behind */
	size_t n_kept;
	bool widths_known;
	int64_t rows;
	struct text line;
};

bool format_parse(const char *word, enum format_kind *ret_kind)
{
	static const char *const words[] = { [FORMAT_TABLE] = "table", [FORMAT_JSON] = "json", [FORMAT_CSV] = "csv" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0) {
			*ret_kind = (enum format_kind)i;
			return true;
		}
	}
	return false;
}

bool format_bold(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(fileno(out)) == 1 && !(no_color && no_color[0]);
}

static size_t index_of(const char *const *columns, size_t n_columns, const char *name)
{
	for (size_t i = 0; i < n_columns; i++) {
		if (strcmp(columns[i], name) == 0)
			return i;
	}
	abort(); /* the caller names a column that it does not have */
}

static void choose_shown(struct format *format, const char *const *shown)
{
	for (size_t i = 0; shown && shown[i]; i++)
		format->shown[format->n_shown++] = index_of(format->columns, format->n_columns, shown[i]);
	for (size_t i = 0; !shown && i < format->n_columns; i++)
		format->shown[format->n_shown++] = i;
	for (size_t i = 0; i < format->n_shown; i++) {
		const char *name = format->columns[format->shown[i]];

		format->widths[i] = text_utf8_count(name, strlen(name));
	}
}

static void write_csv_header(struct format *format)
{
	for (size_t i = 0; i < format->n_columns; i++) {
		text_append(&format->line, ",", i > 0);
		text_csv_cell(&format->line, format->columns[i], strlen(format->columns[i]), ',');
	}
	text_append_string(&format->line, "\r\n");
	fwrite(format->line.data, 1, format->line.length, format->out);
}

struct format *format_new(FILE *out, enum format_kind kind, const char *const *columns, size_t n_columns, const char *const *shown)
{
	struct format *format = xcalloc(1, sizeof(*format));
	size_t most = n_columns;

	for (size_t i = 0; shown && shown[i]; i++)
		most = i + 1 > most ? i + 1 : most;
	format->out = out;
	format->kind = kind;
	format->columns = columns;
	format->n_columns = n_columns;
	format->shown = xcalloc(most, sizeof(*format->shown));
	format->widths = xcalloc(most, sizeof(*format->widths));
	switch (kind) {
	case FORMAT_TABLE: choose_shown(format, shown); break;
	case FORMAT_JSON: fputc('[', out); break;
	case FORMAT_CSV: write_csv_header(format); break;
	}
	return format;
}

void format_json_string(struct text *text, const char *string)
{
	scoped_text struct text escaped = { 0 };

	if (!text_utf8_valid(string, strlen(string))) {
		text_escape(&escaped, string, strlen(string));
		string = escaped.data;
	}
	text_append(text, "\"", 1);
	for (const char *c = string; *c;) {
		const char *plain = c;

		while ((unsigned char)*c >= 0x20 && *c != '"' && *c != '\\' && *c != 0x7f)
			c++;
		text_append(text, plain, (size_t)(c - plain));
		if (*c == '"' || *c == '\\')
			text_printf(text, "\\%c", *c++);
		else if (*c)
			text_printf(text, "\\u%04x", (unsigned)(unsigned char)*c++);
	}
	text_append(text, "\"", 1);
}

void format_json_value(struct text *text, const struct queue_value *value)
{
	switch (value->type) {
	case QUEUE_NULL: text_append_string(text, "null"); break;
	case QUEUE_NUMBER: text_printf(text, "%" PRId64, value->number); break;
	case QUEUE_TEXT: format_json_string(text, value->text); break;
	}
}

void format_json_object(struct text *text, const char *const *columns, const struct queue_value *values, size_t n_columns)
{
	text_append(text, "{", 1);
	for (size_t i = 0; i < n_columns; i++) {
		text_append(text, ",", i > 0);
		format_json_string(text, columns[i]);
		text_append(text, ":", 1);
		format_json_value(text, &values[i]);
	}
	text_append(text, "}", 1);
}

static void write_json_row(struct format *format, const struct queue_value *values)
{
	text_append_string(&format->line, format->rows ? ",\n" : "\n");
	format_json_object(&format->line, format->columns, values, format->n_columns);
	fwrite(format->line.data, 1, format->line.length, format->out);
}

static void append_plain(struct text *text, const struct queue_value *value)
{
	if (value->type == QUEUE_NUMBER)
		text_printf(text, "%" PRId64, value->number);
	else if (value->type == QUEUE_TEXT)
		text_append_string(text, value->text);
}

static void write_csv_row(struct format *format, const struct queue_value *values)
{
	scoped_text struct text cell = { 0 };

	for (size_t i = 0; i < format->n_columns; i++) {
		text_clear(&cell);
		append_plain(&cell, &values[i]);
		text_append(&format->line, ",", i > 0);
		text_csv_cell(&format->line, cell.data ? cell.data : "", cell.length, ',');
	}
	text_append_string(&format->line, "\r\n");
	fwrite(format->line.data, 1, format->line.length, format->out);
}

/* The last column is not padded: nothing trails a line. */
static void write_cells(struct format *format, const char *const *cells)
{
	text_clear(&format->line);
	for (size_t i = 0; i < format->n_shown; i++) {
		size_t width = text_utf8_count(cells[i], strlen(cells[i]));
		size_t wanted = (width > format->widths[i] ? width : format->widths[i]) + 2;

		text_append_string(&format->line, cells[i]);
		for (; i + 1 < format->n_shown && width < wanted; width++)
			text_append(&format->line, " ", 1);
	}
	while (format->line.length && format->line.data[format->line.length - 1] == ' ')
		format->line.length--;
	fwrite(format->line.data, 1, format->line.length, format->out);
}

static void write_header(struct format *format, const char **cells)
{
	bool bold = format_bold(format->out);

	for (size_t i = 0; i < format->n_shown; i++)
		cells[i] = format->columns[format->shown[i]];
	fputs(bold ? "\033[1m" : "", format->out);
	write_cells(format, cells);
	fputs(bold ? "\033[0m\n" : "\n", format->out);
	format->widths_known = true;
}

static void write_kept(struct format *format)
{
	const char **cells = xcalloc(format->n_shown + 1, sizeof(*cells));
	const char *at = format->kept.data;

	if (!format->widths_known)
		write_header(format, cells);
	for (size_t row = 0; row < format->n_kept; row++) {
		for (size_t i = 0; i < format->n_shown; i++) {
			cells[i] = at;
			at += strlen(at) + 1;
		}
		write_cells(format, cells);
		fputc('\n', format->out);
	}
	free(cells);
	format->n_kept = 0;
	text_clear(&format->kept);
}

static void keep_table_row(struct format *format, const struct queue_value *values)
{
	for (size_t i = 0; i < format->n_shown; i++) {
		const struct queue_value *value = &values[format->shown[i]];
		size_t start = format->kept.length, width;

		if (value->type == QUEUE_TEXT)
			text_escape(&format->kept, value->text, strlen(value->text));
		else
			append_plain(&format->kept, value);
		width = format->kept.length > start ? text_utf8_count(format->kept.data + start, format->kept.length - start) : 0;
		if (!format->widths_known && width > format->widths[i])
			format->widths[i] = width;
		text_append(&format->kept, "", 1);
	}
	format->n_kept++;
}

static void write_table_row(struct format *format, const struct queue_value *values)
{
	keep_table_row(format, values);
	if (format->widths_known || format->n_kept == FORMAT_KEPT_ROWS)
		write_kept(format);
}

void format_row(struct format *format, const struct queue_value *values)
{
	text_clear(&format->line);
	switch (format->kind) {
	case FORMAT_TABLE: write_table_row(format, values); break;
	case FORMAT_JSON: write_json_row(format, values); break;
	case FORMAT_CSV: write_csv_row(format, values); break;
	}
	format->rows++;
}

bool format_end(struct format *format, struct error *err)
{
	FILE *out = format->out;

	if (format->kind == FORMAT_TABLE && !format->widths_known)
		write_kept(format);
	if (format->kind == FORMAT_JSON)
		fputs(format->rows ? "\n]\n" : "]\n", out);
	text_free(&format->kept);
	text_free(&format->line);
	free(format->shown);
	free(format->widths);
	free(format);
	errno = 0;
	if (fflush(out) != 0 || ferror(out))
		return error_errno(err, errno ? errno : EIO, "writing the output");
	return true;
}

bool format_cursor(FILE *out, enum format_kind kind, struct queue_cursor *cursor, const char *const *shown, struct error *err)
{
	size_t n_columns;
	const char *const *columns = queue_cursor_columns(cursor, &n_columns);
	struct format *format = format_new(out, kind, columns, n_columns, shown);
	const struct queue_value *row = NULL;
	bool good;

	while ((good = queue_cursor_next(cursor, &row, err)) && row && !ferror(out))
		format_row(format, row);
	good = format_end(format, good ? err : NULL) && good;
	queue_cursor_close(cursor);
	return good;
}
