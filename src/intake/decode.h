/*
 * decode: a line's bytes as UTF-8. What the encoding does not have, and the NUL character, come out as U+FFFD with the fault named, so that
 * the caller can reject the row and go on. Each line stands by itself: no shift state is carried from one to the next, so that reading can
 * begin at any of them. UTF-8 and plain ASCII are passed through without a copy; the rest goes through iconv.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum { DECODE_HEAD = 4 }; /* bytes at the start of a file that tell the byte order */

struct decoder;

/*
 * decode_open takes iconv's name of the encoding and up to DECODE_HEAD bytes of the start of the file (UTF-16 and UTF-32 without LE or BE
 * in their name: the byte order mark decides, without one little-endian). ERROR_CONFIG where iconv does not know it, or where it is neither
 * UTF-16, UTF-32 nor an encoding in which CR and LF are the bytes of ASCII.
 */
bool decode_open(const char *encoding, const char *head, size_t head_length, struct decoder **ret_decoder, struct error *err);

/* decode_close takes NULL. */
void decode_close(struct decoder *decoder);

/* decode_unit gives the bytes of a code unit: 1, 2 or 4; decode_big_endian counts for 2 and 4. */
size_t decode_unit(const struct decoder *decoder);
bool decode_big_endian(const struct decoder *decoder);

/* decode_line begins with a line; the bytes are borrowed until its last run. plain: all of them are 0x01 to 0x7F. */
void decode_line(struct decoder *decoder, const char *bytes, size_t length, bool plain);

/* A piece of UTF-8, valid until the next call; or, with a fault that is not NULL, one U+FFFD in the place of what was at fault. */
struct decode_run {
	struct span text;
	const char *fault;
};

/* decode_next gives the line's next run; false behind its last one. */
bool decode_next(struct decoder *decoder, struct decode_run *ret_run);
