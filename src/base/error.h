/*
 * error: what went wrong, as a value. The code says what a caller can do about it and is at the same time the exit status
 * of a command (sysexits.h); the text says what, where and what to do, and is shown to people as it is.
 * Functions that can fail return false with the error set and leave their outputs untouched. Lower layers never log.
 * No secret is ever put into a text.
 */
#pragma once

#include <stdbool.h>

enum error_code {
	ERROR_NONE = 0,
	ERROR_USAGE = 64,       /* the command line */
	ERROR_DATA = 65,        /* bad input: a manifest, an answer, a database */
	ERROR_NO_INPUT = 66,    /* a file that does not exist */
	ERROR_UNAVAILABLE = 69, /* a remote endpoint */
	ERROR_INTERNAL = 70,    /* a broken guard: a bug */
	ERROR_IO = 74,          /* the disk said no */
	ERROR_TRY_LATER = 75,   /* passes by itself or by freeing something: a full disk, a held lock */
	ERROR_PERMISSION = 77,
	ERROR_CONFIG = 78,
};

struct error {
	enum error_code code;
	char text[1024];
};

/* error_set fills err (NULL: ignored) and returns false, so that a failure is one return statement. */
bool error_set(struct error *err, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* error_errno is error_set with ": " and the text of errnum behind, and the code that fits errnum. */
bool error_errno(struct error *err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* error_prefix puts words in front of a text that a lower layer has set: where it happened. Returns false. */
bool error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
