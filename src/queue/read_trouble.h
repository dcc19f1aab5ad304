/*
 * read_trouble: what stands in the way of reading the database, in words instead of SQLite's. Looks at the files only.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* read_explain replaces an error of db_open_read_only where it knows better. Returns false. */
bool read_explain(const char *path, struct error *err);
