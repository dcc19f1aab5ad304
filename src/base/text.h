/*
 * text: growing strings and the few ways of writing that more than one folder needs. Out of memory aborts: all state is on disk
 * and systemd restarts the daemon.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing string; all zero is empty. data is NUL-terminated whenever it is not NULL and may hold NUL bytes as well. */
struct text {
	char *data;
	size_t length;
	size_t capacity;
};

/* A borrowed piece of somebody's bytes; not NUL-terminated. */
struct span {
	const char *data;
	size_t length;
};

/* xmalloc, xrealloc and xstrdup never return NULL. xrealloc_array checks the product. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc_array(void *old, size_t count, size_t size);
char *xstrdup(const char *string);
char *xstrndup(const char *bytes, size_t length);

void text_append(struct text *text, const char *bytes, size_t length);
void text_append_string(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* text_clear empties and keeps the memory (data becomes "" once there is any); text_free gives it back and zeroes the struct. */
void text_clear(struct text *text);
void text_free(struct text *text);

/* text_escape appends bytes with control and non-UTF-8 bytes as \xNN, which is how names appear in views, logs and receipts. */
void text_escape(struct text *text, const char *bytes, size_t length);

/* text_logfmt appends a value as logfmt does: bare where it can, else in double quotes with \" and \\ escaped. */
void text_logfmt(struct text *text, const char *value);

/* text_csv_cell appends a cell by RFC 4180: quoted where it holds the delimiter, a quote, CR or LF (doubled quotes inside). */
void text_csv_cell(struct text *text, const char *value, size_t length, char delimiter);

/* text_utf8_valid tells whether all bytes are UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool text_utf8_valid(const char *bytes, size_t length);

/* text_utf8_count counts code points of valid UTF-8. */
size_t text_utf8_count(const char *bytes, size_t length);

/* text_hex writes 2 * length lower-case digits and a NUL. */
void text_hex(char *ret_hex, const uint8_t *bytes, size_t length);

/* text_time writes ms since 1970 as UTC ISO 8601 with milliseconds: 2026-11-22T10:00:00.000Z. */
void text_time(char ret_time[static 32], int64_t unix_ms);

/* text_to_int64 reads a whole decimal number, with nothing around it; false if it is none or does not fit. */
bool text_to_int64(const char *string, int64_t *ret_number);

/* text_nearest gives the candidate that a misspelt word most likely meant (edit distance at most a third of its length), or NULL. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n_candidates);
