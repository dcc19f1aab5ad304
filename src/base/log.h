/*
 * log: lines for the journal (with fields, when standard error is connected to it) or, elsewhere, logfmt lines on standard error.
 * The only mutable global state of the program lives here. Only the daemon's top layers log; everything below returns a struct error.
 * Never pass a token, an assertion, a key, an address, a request body or a card id.
 */
#pragma once

#include <stddef.h>
#include <syslog.h>

/* log_field names one value: lower-case logfmt key (becomes TRACKBRIDGE_<KEY> in the journal) and its text. */
struct log_field {
	const char *key;
	const char *value;
};

/* log_open sets the least important priority that is still printed (LOG_DEBUG prints all) and looks where standard error goes. */
void log_open(int most_verbose_priority);

/* log_write writes one line; control bytes in it are shown as \xNN, so that no input can forge a second line. */
void log_write(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* log_fields is log_write with fields behind the message. */
void log_fields(int priority, const struct log_field *fields, size_t n_fields, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
