#include "intake/lines.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The buffer is doubled from a piece to LINES_MOST and no further. */
enum { PIECE = 128 * 1024 };

_Static_assert(LINES_MOST % PIECE == 0 && (LINES_MOST / PIECE & (LINES_MOST / PIECE - 1)) == 0, "a power of two of pieces");

struct lines {
	int fd;
	size_t unit;
	bool big_endian;
	bool at_end; /* the buffer holds the file's last byte */
	char *buffer;
	size_t capacity;
	size_t start;   /* of the next line in the buffer */
	size_t end;     /* of what was read */
	size_t scanned; /* no line ends before here; between start and end */
	bool plain;     /* from start to scanned */
	int64_t offset; /* of start in the file */
	int64_t number;
	bool terminated; /* the line before start */
};

static bool unit_is(const struct lines *lines, size_t at, char c)
{
	const char *b = lines->buffer + at;
	size_t low = lines->big_endian ? lines->unit - 1 : 0;

	for (size_t i = 0; i < lines->unit; i++) {
		if (b[i] != (i == low ? c : '\0'))
			return false;
	}
	return true;
}

/* Looks at what stands before the offset at which reading begins. */
static bool is_end_before(const struct lines *lines)
{
	ssize_t unit = (ssize_t)lines->unit;

	/* A file whose last unit is half there ends between two units. */
	return lines->offset % unit == 0 && pread(lines->fd, lines->buffer, lines->unit, lines->offset - unit) == unit &&
	       (unit_is(lines, 0, '\n') || unit_is(lines, 0, '\r'));
}

struct lines *lines_open(int fd, size_t unit, bool big_endian, int64_t offset, int64_t number)
{
	struct lines *lines = xcalloc(1, sizeof(*lines));

	*lines = (struct lines){ .fd = fd, .unit = unit, .big_endian = big_endian, .offset = offset, .number = number };
	lines->capacity = PIECE;
	lines->buffer = xmalloc(lines->capacity);
	lines->plain = unit == 1;
	lines->terminated = offset == 0 || is_end_before(lines);
	return lines;
}

void lines_close(struct lines *lines)
{
	if (!lines)
		return;
	free(lines->buffer);
	free(lines);
}

/* Moves on to the first CR or LF, or to the end of what was read. Eight bytes at a time, since every byte of a manifest passes here. */
static void scan_bytes(struct lines *lines)
{
	static const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
	const char *b = lines->buffer;
	size_t i = lines->scanned;
	unsigned char odd = 0;
	uint64_t odd_words = 0;

	for (uint64_t word, lf, cr; i + 8 <= lines->end; i += 8) {
		memcpy(&word, b + i, 8);
		lf = word ^ (ones * '\n');
		cr = word ^ (ones * '\r');
		if ((((lf - ones) & ~lf) | ((cr - ones) & ~cr)) & highs)
			break;
		odd_words |= word | ((word - ones) & ~word);
	}
	for (; i < lines->end && b[i] != '\n' && b[i] != '\r'; i++)
		odd |= (unsigned char)(b[i] | (b[i] - 1));
	lines->scanned = i;
	if ((odd & 0x80) || (odd_words & highs))
		lines->plain = false;
}

static void scan_units(struct lines *lines)
{
	while (lines->scanned + lines->unit <= lines->end && !unit_is(lines, lines->scanned, '\n') && !unit_is(lines, lines->scanned, '\r'))
		lines->scanned += lines->unit;
}

/* Where the line at start ends, if that can be told from what was read: a CR may be the first half of a CRLF. */
static bool find_end(struct lines *lines, size_t *ret_end)
{
	size_t unit = lines->unit, end;

	if (unit == 1)
		scan_bytes(lines);
	else
		scan_units(lines);
	end = lines->scanned + unit;
	if (end > lines->end)
		return false;
	if (unit_is(lines, lines->scanned, '\r')) {
		if (end + unit > lines->end && !lines->at_end)
			return false;
		if (end + unit <= lines->end && unit_is(lines, end, '\n'))
			end += unit;
	}
	*ret_end = end;
	return true;
}

static void make_room(struct lines *lines)
{
	size_t left = lines->end - lines->start;

	if (lines->start) {
		memmove(lines->buffer, lines->buffer + lines->start, left);
		lines->scanned -= lines->start;
		lines->start = 0;
		lines->end = left;
	}
	if (left == lines->capacity) {
		lines->capacity *= 2;
		lines->buffer = xrealloc_array(lines->buffer, lines->capacity, 1);
	} else if (lines->capacity > PIECE && left < PIECE / 2) {
		/* One long line must not cost its memory for the rest of the file. */
		lines->capacity = PIECE;
		lines->buffer = xrealloc_array(lines->buffer, lines->capacity, 1);
	}
}

static bool read_more(struct lines *lines, struct error *err)
{
	int64_t at;
	ssize_t n;

	make_room(lines);
	at = lines->offset + (int64_t)lines->end;
	do
		n = pread(lines->fd, lines->buffer + lines->end, lines->capacity - lines->end, at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "reading at byte %lld", (long long)at);
	lines->end += (size_t)n;
	lines->at_end = n == 0;
	return true;
}

enum lines_step lines_next(struct lines *lines, struct line *ret_line, struct error *err)
{
	bool terminated;
	size_t end;

	while (!(terminated = find_end(lines, &end))) {
		if (lines->end - lines->start >= LINES_MOST)
			return LINES_TOO_LONG;
		if (lines->at_end) {
			end = lines->end;
			break;
		}
		if (!read_more(lines, err))
			return LINES_FAILED;
	}
	if (end == lines->start)
		return LINES_END;
	*ret_line = (struct line){
		.bytes = lines->buffer + lines->start,
		.length = end - lines->start,
		.terminated = terminated,
		.plain = lines->plain,
		.number = lines->number,
		.offset = lines->offset,
	};
	lines->offset += (int64_t)(end - lines->start);
	lines->number++;
	lines->terminated = terminated;
	lines->start = lines->scanned = end;
	lines->plain = lines->unit == 1;
	return LINES_LINE;
}

int64_t lines_offset(const struct lines *lines)
{
	return lines->offset;
}

int64_t lines_number(const struct lines *lines)
{
	return lines->number;
}

bool lines_terminated(const struct lines *lines)
{
	return lines->terminated;
}
