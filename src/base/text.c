#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_WORD = 64 };

static void *or_abort(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void *xmalloc(size_t size)
{
	return or_abort(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc_array(void *old, size_t count, size_t size)
{
	return or_abort(reallocarray(old, count ? count : 1, size ? size : 1));
}

char *xstrdup(const char *string)
{
	return or_abort(strdup(string));
}

char *xstrndup(const char *bytes, size_t length)
{
	char *copy = xmalloc(length + 1);

	memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

static void reserve(struct text *text, size_t more)
{
	size_t wanted = text->length + more + 1;

	if (wanted <= text->capacity)
		return;
	if (wanted < text->capacity * 2)
		wanted = text->capacity * 2;
	if (wanted < 64)
		wanted = 64;
	text->data = xrealloc_array(text->data, wanted, 1);
	text->capacity = wanted;
}

void text_append(struct text *text, const char *bytes, size_t length)
{
	reserve(text, length);
	if (length)
		memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void text_append_string(struct text *text, const char *string)
{
	text_append(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		abort();
	reserve(text, (size_t)length);
	va_start(arguments, format);
	vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)length;
}

void text_clear(struct text *text)
{
	text->length = 0;
	if (text->data)
		text->data[0] = '\0';
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){ 0 };
}

/* Length of the well-formed UTF-8 sequence at the start of bytes, or 0 (RFC 3629, section 4). */
static size_t sequence_length(const unsigned char *b, size_t length)
{
	size_t n;

	if (b[0] < 0x80)
		return 1;
	if (b[0] < 0xc2 || b[0] > 0xf4)
		return 0;
	n = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
	if (length < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) || (b[0] == 0xf0 && b[1] < 0x90) ||
	    (b[0] == 0xf4 && b[1] > 0x8f))
		return 0;
	return n;
}

bool text_utf8_valid(const char *bytes, size_t length)
{
	const unsigned char *b = (const unsigned char *)bytes;

	for (size_t i = 0, n; i < length; i += n) {
		n = sequence_length(b + i, length - i);
		if (!n)
			return false;
	}
	return true;
}

size_t text_utf8_count(const char *bytes, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)bytes[i] & 0xc0) != 0x80;
	return count;
}

void text_escape(struct text *text, const char *bytes, size_t length)
{
	const unsigned char *b = (const unsigned char *)bytes;

	reserve(text, length);
	text->data[text->length] = '\0';
	for (size_t i = 0, n; i < length; i += n) {
		n = sequence_length(b + i, length - i);
		/* C1 control characters (U+0080 to U+009F) steer terminals as well. */
		if (n == 0 || b[i] < 0x20 || b[i] == 0x7f || (n == 2 && b[i] == 0xc2 && b[i + 1] < 0xa0)) {
			n = n ? n : 1;
			for (size_t k = 0; k < n; k++)
				text_printf(text, "\\x%02X", b[i + k]);
		} else {
			text_append(text, bytes + i, n);
		}
	}
}

void text_logfmt(struct text *text, const char *value)
{
	if (value[0] && !strpbrk(value, " =\"\\")) {
		text_append_string(text, value);
		return;
	}
	text_append(text, "\"", 1);
	for (const char *c = value; *c; c++) {
		if (*c == '"' || *c == '\\')
			text_append(text, "\\", 1);
		text_append(text, c, 1);
	}
	text_append(text, "\"", 1);
}

void text_csv_cell(struct text *text, const char *value, size_t length, char delimiter)
{
	bool quoted = false;

	for (size_t i = 0; i < length && !quoted; i++)
		quoted = value[i] == delimiter || value[i] == '"' || value[i] == '\r' || value[i] == '\n';
	if (!quoted) {
		text_append(text, value, length);
		return;
	}
	text_append(text, "\"", 1);
	for (size_t i = 0; i < length; i++) {
		if (value[i] == '"')
			text_append(text, "\"", 1);
		text_append(text, value + i, 1);
	}
	text_append(text, "\"", 1);
}

void text_hex(char *ret_hex, const uint8_t *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		ret_hex[2 * i] = digits[bytes[i] >> 4];
		ret_hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_hex[2 * length] = '\0';
}

void text_time(char ret_time[static 32], int64_t unix_ms)
{
	int64_t ms = ((unix_ms % 1000) + 1000) % 1000;
	time_t seconds = (time_t)((unix_ms - ms) / 1000);
	struct tm tm;
	size_t length;

	if (!gmtime_r(&seconds, &tm) || !(length = strftime(ret_time, 26, "%Y-%m-%dT%H:%M:%S", &tm))) {
		ret_time[0] = '\0';
		return;
	}
	snprintf(ret_time + length, 32 - length, ".%03" PRId64 "Z", ms);
}

bool text_to_int64(const char *string, int64_t *ret_number)
{
	char *end;
	long long number;

	if (!(string[0] == '-' || (string[0] >= '0' && string[0] <= '9')))
		return false;
	errno = 0;
	number = strtoll(string, &end, 10);
	if (errno || *end || end == string)
		return false;
	*ret_number = number;
	return true;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t row[MOST_WORD + 1];

	for (size_t k = 0; k <= b_length; k++)
		row[k] = k;
	for (size_t i = 1; i <= a_length; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t k = 1; k <= b_length; k++) {
			size_t above = row[k];

			row[k] = least(least(above, row[k - 1]) + 1, diagonal + (a[i - 1] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[b_length];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n_candidates)
{
	size_t length = strlen(word), best = length / 3 + 1;
	const char *nearest = NULL;

	if (length > MOST_WORD)
		return NULL;
	for (size_t i = 0; i < n_candidates; i++) {
		size_t candidate = strlen(candidates[i]), distance;

		if (candidate > MOST_WORD)
			continue;
		distance = edit_distance(word, length, candidates[i], candidate);
		if (distance < best + (nearest == NULL)) {
			best = distance;
			nearest = candidates[i];
		}
	}
	return nearest;
}
