/*
 * check: what the parts of the command `check` share: one line on standard output for each finding, and the worst exit status among them.
 * The daemon has them look silently before it starts anew (start.c).
 */
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

struct check {
	const struct config *config;
	bool silent;           /* nothing is printed */
	enum error_code worst; /* the largest of sysexits.h, so that a configuration error (78) wins */
	struct error first;    /* the first error that does not pass by itself; code ERROR_NONE: none */
};

void check_ok(const struct check *check, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
void check_warning(const struct check *check, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
void check_error(struct check *check, const char *what, const struct error *err);

/* check_secrets: keys, certificates and whether they fit. check_directories: state, drop and receipt directories and free space, for the
 * user that asks. check_online: a token from each endpoint. */
void check_secrets(struct check *check);
void check_directories(struct check *check);
void check_online(struct check *check);

/* check_unit: whether the service's unit has what the configuration needs, where systemd can be asked. check_unit_print prints the drop-in
 * that has it, and gives the exit status. */
void check_unit(const struct check *check);
int check_unit_print(const struct config *config);
