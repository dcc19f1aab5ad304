/*
 * lines: a file's bytes as physical lines, one at a time, each with its true number and byte offset. Lines are told apart before any
 * conversion, by the width of the encoding's code unit, so that both stay true whatever the bytes are. CR, LF and CRLF end a line. Reads by
 * pread, forward, in bounded pieces; memory grows with the longest line alone, up to LINES_MOST.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINES_MOST = 16 * 1024 * 1024 }; /* bytes of one line, its end included */

struct lines;

/* One physical line. bytes are borrowed until the next call. */
struct line {
	const char *bytes;
	size_t length;   /* its end (CR, LF or CRLF) included */
	bool terminated; /* it has an end: false for a last line without one */
	bool plain;      /* one-byte units, all of them 0x01 to 0x7F */
	int64_t number;  /* from 1 */
	int64_t offset;  /* of its first byte in the file */
};

enum lines_step {
	LINES_LINE,
	LINES_END,
	LINES_TOO_LONG, /* the line that begins at lines_offset has no end within LINES_MOST bytes; err is not set */
	LINES_FAILED,   /* reading failed; err is set */
};

/* lines_open starts at an offset (a line's beginning) that has the line number given. unit is 1, 2 or 4 bytes. fd is borrowed. */
struct lines *lines_open(int fd, size_t unit, bool big_endian, int64_t offset, int64_t number);

/* lines_close takes NULL. */
void lines_close(struct lines *lines);

/* lines_next gives the next line. */
enum lines_step lines_next(struct lines *lines, struct line *ret_line, struct error *err);

/* lines_offset and lines_number tell where the next line begins. */
int64_t lines_offset(const struct lines *lines);
int64_t lines_number(const struct lines *lines);

/* lines_terminated tells whether the bytes before lines_offset are a line's end; true at the start of a file. */
bool lines_terminated(const struct lines *lines);
