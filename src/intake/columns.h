/*
 * columns: which cell of a record each column of the configuration is, and whether a record has the cells that the header promises.
 */
#pragma once

#include "base/error.h"
#include "intake/csv.h"

#include <stdbool.h>
#include <stddef.h>

struct columns;

/* columns_open takes the header record, or NULL where there is none. The three columns that a rejects file adds at the end (line, column,
 * reason) are found only where no other has their name. ERROR_DATA where the header itself is spoiled. The header is borrowed until the
 * last columns_find. */
bool columns_open(const struct csv_record *header, struct columns **ret_columns, struct error *err);

/* columns_added tells how many of a header's last cells are those that a rejects file adds; it has them again for each time that its rows
 * were rejected again. */
size_t columns_added(const struct csv_record *header);

/* columns_close takes NULL. */
void columns_close(struct columns *columns);

/* columns_find gives the cell's index from 0 for a header name, or for a number from 1 where name is NULL, and makes every record need it.
 * ERROR_DATA where the name is missing or stands twice, or the number is beyond the header. */
bool columns_find(struct columns *columns, const char *name, int number, size_t *ret_index, struct error *err);

/* columns_name gives the header's name (escaped), or the number as text; valid until the next call. */
const char *columns_name(struct columns *columns, size_t index);

/* columns_fit tells whether a record has as many cells as it must, and nothing behind the header's last; else why not. */
bool columns_fit(const struct columns *columns, const struct csv_record *record, struct text *ret_reason);
