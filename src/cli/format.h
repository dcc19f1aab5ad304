/*
 * format: rows for people and for programs. table: columns with two blanks between, widths by code points, control and non-UTF-8 bytes as
 * \xNN; json: an array of objects; csv: a header and RFC 4180. Rows are written as they come, but for the first rows of a table, which are
 * kept to find the widths; a long listing needs no more memory than those.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "queue/read.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum format_kind { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };

enum { FORMAT_KEPT_ROWS = 2000 };

struct format;

bool format_parse(const char *word, enum format_kind *ret_kind);

/*
 * format_new borrows out, columns and shown. shown names, NULL-terminated, the columns that a table has and their order (NULL: all of
 * them); json and csv always have all. The header of a table is bold on a terminal, unless NO_COLOR is set (https://no-color.org).
 */
struct format *format_new(FILE *out, enum format_kind kind, const char *const *columns, size_t n_columns, const char *const *shown);

/* format_row takes one value for each column. */
void format_row(struct format *format, const struct queue_value *values);

/* format_end writes what is left and frees. False where out did not take everything: ERROR_TRY_LATER for a full disk, else ERROR_IO. */
bool format_end(struct format *format, struct error *err);

/* format_cursor writes all rows of a cursor and closes it. */
bool format_cursor(FILE *out, enum format_kind kind, struct queue_cursor *cursor, const char *const *shown, struct error *err);

/* format_json_string appends a JSON string (RFC 8259), format_json_value also numbers and null. Bytes that are not UTF-8 are shown as \xNN.
 */
void format_json_string(struct text *text, const char *string);
void format_json_value(struct text *text, const struct queue_value *value);

/* format_json_object appends {"column":value,…} on one line. */
void format_json_object(struct text *text, const char *const *columns, const struct queue_value *values, size_t n_columns);

/* format_bold tells whether a header on out may be bold. */
bool format_bold(FILE *out);
