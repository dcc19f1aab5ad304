/*
 * check: what the parts of the command `check` share: one line on standard output for each finding, and the worst exit status among them.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

struct check {
	const struct config *config;
	enum error_code worst; /* the largest of sysexits.h, so that a configuration error (78) wins */
};

void check_ok(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_warning(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_error(struct check *check, const char *what, const struct error *err);

/* check_secrets: keys, certificates and whether they fit. check_directories: state, drop and receipt directories and free space, for the
 * user that asks. check_online: a token from each endpoint. */
void check_secrets(struct check *check);
void check_directories(struct check *check);
void check_online(struct check *check);
