#include "intake/columns.h"

#include "base/file.h"
#include "intake/cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FOUND = 400 };

struct columns {
	const struct csv_record *header; /* while columns are being found */
	bool has_header;
	char **names; /* the header's, as people read them */
	size_t n_names;
	size_t n_own; /* of them, without those that a rejects file has added */
	size_t width; /* cells that a record must have */
	char number[24];
};

static bool is_named(const struct csv_record *header, size_t index, const char *name)
{
	struct span cell = cell_trim(header->cells[index]);

	return cell.length == strlen(name) && memcmp(cell.data, name, cell.length) == 0;
}

size_t columns_added(const struct csv_record *header)
{
	size_t width = header->n_cells;

	while (width > CSV_ADDED_CELLS && is_named(header, width - 3, "line") && is_named(header, width - 2, "column") &&
	       is_named(header, width - 1, "reason"))
		width -= CSV_ADDED_CELLS;
	return header->n_cells - width;
}

bool columns_open(const struct csv_record *header, struct columns **ret_columns, struct error *err)
{
	struct columns *columns;

	if (header && header->spoiled)
		return error_set(err, ERROR_DATA, "the header %s", header->spoiled);
	columns = xcalloc(1, sizeof(*columns));
	if (header) {
		columns->header = header;
		columns->n_names = header->n_cells;
		columns->names = xcalloc(header->n_cells, sizeof(*columns->names));
		columns->has_header = true;
		columns->n_own = header->n_cells - columns_added(header);
		/* All of them: a row of a rejects file that had too few cells has three more, and must not pass for a whole one. */
		columns->width = header->n_cells;
		for (size_t i = 0; i < header->n_cells; i++) {
			struct span cell = cell_trim(header->cells[i]);
			struct text name = { 0 };

			text_escape(&name, cell.data, cell.length);
			columns->names[i] = name.data;
		}
	}
	*ret_columns = columns;
	return true;
}

void columns_close(struct columns *columns)
{
	if (!columns)
		return;
	for (size_t i = 0; i < columns->n_names; i++)
		free(columns->names[i]);
	free(columns->names);
	free(columns);
}

static bool missing(const struct columns *columns, const char *name, struct error *err)
{
	scoped_text struct text text = { 0 };

	text_append_string(&text, "column ");
	cell_quote(&text, name);
	text_append_string(&text, " is not in the header (found: ");
	for (size_t i = 0; i < columns->n_names; i++) {
		if (text.length > MOST_FOUND) {
			text_append_string(&text, "; …");
			break;
		}
		text_append_string(&text, i ? "; " : "");
		cell_show(&text, columns->names[i]);
	}
	return error_set(err, ERROR_DATA, "%s)", text.data);
}

static bool find_number(const struct columns *columns, int number, size_t *ret_index, struct error *err)
{
	if (columns->has_header && (size_t)number > columns->n_names)
		return error_set(err, ERROR_DATA, "column %d is beyond the header, which has %zu columns", number, columns->n_names);
	*ret_index = (size_t)number - 1;
	return true;
}

static bool find_name(const struct columns *columns, const char *name, size_t *ret_index, struct error *err)
{
	size_t found = columns->n_names;

	if (!columns->has_header)
		return error_set(err, ERROR_DATA, "column '%s' is a name, and the source has no header", name);
	for (size_t i = 0; i < columns->n_names; i++) {
		if (!is_named(columns->header, i, name))
			continue;
		/* What a rejects file adds never counts as the second of a name. */
		if (found < columns->n_names && i >= columns->n_own)
			break;
		if (found < columns->n_names)
			return error_set(err, ERROR_DATA, "column '%s' stands twice in the header", columns->names[i]);
		found = i;
	}
	if (found == columns->n_names)
		return missing(columns, name, err);
	*ret_index = found;
	return true;
}

bool columns_find(struct columns *columns, const char *name, int number, size_t *ret_index, struct error *err)
{
	size_t index = 0;

	if (!(name ? find_name(columns, name, &index, err) : find_number(columns, number, &index, err)))
		return false;
	if (columns->width <= index)
		columns->width = index + 1;
	*ret_index = index;
	return true;
}

const char *columns_name(struct columns *columns, size_t index)
{
	if (index < columns->n_names)
		return columns->names[index];
	snprintf(columns->number, sizeof(columns->number), "%zu", index + 1);
	return columns->number;
}

static bool has_surplus(const struct columns *columns, const struct csv_record *record)
{
	for (size_t i = columns->n_names; i < record->n_cells; i++) {
		if (cell_trim(record->cells[i]).length)
			return true;
	}
	return false;
}

bool columns_fit(const struct columns *columns, const struct csv_record *record, struct text *ret_reason)
{
	size_t n = record->n_cells;
	const char *plural = n == 1 ? "" : "s";

	if (n >= columns->width && !(columns->has_header && has_surplus(columns, record)))
		return true;
	if (columns->has_header)
		text_printf(ret_reason, "has %zu cell%s, the header has %zu", n, plural, columns->n_names);
	else
		text_printf(ret_reason, "has %zu cell%s, column %zu is needed", n, plural, columns->width);
	return false;
}
