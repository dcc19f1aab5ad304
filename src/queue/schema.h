/*
 * schema: the migrations of schema/, in order, compiled in. Number n brings a database from user_version n to n + 1.
 */
#pragma once

#include <stddef.h>

extern const char *const schema_migrations[];
extern const size_t schema_n_migrations;
