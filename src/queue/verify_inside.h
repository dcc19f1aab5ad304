/*
 * verify_inside: what verify.c, its SQL and backup.c share.
 */
#pragma once

#include "queue/db.h"
#include "queue/verify.h"

#include <stddef.h>

/* A question whose every row is a finding in words, and what is to be done about such ones. */
struct verify_check {
	const char *sql, *advice;
};

extern const struct verify_check verify_checks[];
extern const size_t verify_n_checks;
/* The keys of all cards by the number of their row, and all rows with a card by theirs. */
extern const char verify_keys[], verify_cards[];
extern const char verify_sound[], verify_quickly_sound[], verify_balance[], verify_extent[], verify_file[];

/* verify_copy asks only what tells whether a copy is whole: SQLite's quick check, and whether every manifest balances. */
bool verify_copy(struct db *db, queue_verify_found *found, void *user, struct error *err);
