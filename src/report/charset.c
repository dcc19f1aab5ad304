#include "report/charset.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 64, PIECE = 4096 };

struct charset {
	bool utf8; /* no iconv is needed to read it */
	size_t unit;
	bool big_endian;
	iconv_t to, from;
};

/* Gives iconv's name of the encoding, its byte order settled. */
static const char *settle(struct charset *charset, const char *encoding, const char *head, size_t head_length)
{
	char bare[MOST_NAME] = "";
	size_t n = 0;
	bool by_mark;

	for (const char *c = encoding; *c && n + 1 < sizeof(bare); c++) {
		if (*c != '-' && *c != '_')
			bare[n++] = (char)toupper((unsigned char)*c);
	}
	bare[n] = '\0';
	charset->unit = 1;
	charset->utf8 = strcmp(bare, "UTF8") == 0;
	if (strncmp(bare, "UTF16", 5) == 0 || strncmp(bare, "UCS2", 4) == 0)
		charset->unit = 2;
	else if (strncmp(bare, "UTF32", 5) == 0 || strncmp(bare, "UCS4", 4) == 0)
		charset->unit = 4;
	else
		return encoding;
	by_mark = n && isdigit((unsigned char)bare[n - 1]) &&
		  (charset->unit == 2 ? head_length >= 2 && memcmp(head, "\xFE\xFF", 2) == 0
				      : head_length >= 4 && memcmp(head, "\0\0\xFE\xFF", 4) == 0);
	charset->big_endian = by_mark || strcmp(bare + n - 2, "BE") == 0;
	if (charset->unit == 2)
		return charset->big_endian ? "UTF-16BE" : "UTF-16LE";
	return charset->big_endian ? "UTF-32BE" : "UTF-32LE";
}

bool charset_open(const char *encoding, const char *head, size_t head_length, struct charset **ret_charset, struct error *err)
{
	struct charset *charset = xcalloc(1, sizeof(*charset));
	const char *name = settle(charset, encoding, head, head_length);

	charset->to = iconv_open(name, "UTF-8");
	charset->from = iconv_open("UTF-8", name);
	if (charset->to == (iconv_t)-1 || charset->from == (iconv_t)-1) {
		charset_close(charset);
		return error_set(err, ERROR_CONFIG, "the encoding '%s' is not known", encoding);
	}
	*ret_charset = charset;
	return true;
}

void charset_close(struct charset *charset)
{
	if (!charset)
		return;
	if (charset->to != (iconv_t)-1)
		iconv_close(charset->to);
	if (charset->from != (iconv_t)-1)
		iconv_close(charset->from);
	free(charset);
}

size_t charset_unit(const struct charset *charset)
{
	return charset->unit;
}

/* Length of the UTF-8 character at the start of bytes, or 0 where it is none. */
static size_t character(const char *bytes, size_t length)
{
	for (size_t n = 1; n <= 4 && n <= length; n++) {
		if (text_utf8_valid(bytes, n))
			return n;
	}
	return 0;
}

/* One character; false where the encoding lacks it. */
static bool encode_one(struct charset *charset, struct text *text, const char *utf8, size_t length)
{
	char out[64], *to = out, *from = (char *)utf8;
	size_t in_left = length, out_left = sizeof(out);

	if (iconv(charset->to, &from, &in_left, &to, &out_left) == (size_t)-1)
		return false;
	text_append(text, out, (size_t)(to - out));
	return true;
}

/* Back to the state in which a cell begins, for the few encodings that have more than one. */
static void rest(struct charset *charset, struct text *text)
{
	char out[64], *to = out;
	size_t out_left = sizeof(out);

	if (iconv(charset->to, NULL, NULL, &to, &out_left) != (size_t)-1)
		text_append(text, out, (size_t)(to - out));
}

size_t charset_mark(struct charset *charset, const char *head, size_t head_length)
{
	struct text mark = { 0 };
	size_t length = 0;

	if (encode_one(charset, &mark, "\xEF\xBB\xBF", 3) && mark.length && mark.length <= head_length &&
	    memcmp(head, mark.data, mark.length) == 0)
		length = mark.length;
	text_clear(&mark);
	rest(charset, &mark);
	text_free(&mark);
	return length;
}

void charset_encode(struct charset *charset, struct text *text, const char *utf8, size_t length)
{
	for (size_t i = 0, n; i < length; i += n) {
		n = character(utf8 + i, length - i);
		if (!n || !encode_one(charset, text, utf8 + i, n)) {
			n = n ? n : 1;
			encode_one(charset, text, "?", 1);
		}
	}
	rest(charset, text);
}

void charset_decode(struct charset *charset, const char *bytes, size_t length, charset_seen *seen, void *user)
{
	char out[PIECE], *from = (char *)bytes;

	if (charset->utf8) {
		seen(user, bytes, length);
		return;
	}
	iconv(charset->from, NULL, NULL, NULL, NULL);
	while (length) {
		char *to = out;
		size_t out_left = sizeof(out);

		if (iconv(charset->from, &from, &length, &to, &out_left) == (size_t)-1 && errno != E2BIG) {
			size_t bad = length < charset->unit ? length : charset->unit;

			from += bad;
			length -= bad;
		}
		seen(user, out, (size_t)(to - out));
	}
}

static bool unit_is(const struct charset *charset, const char *unit, char c)
{
	size_t low = charset->big_endian ? charset->unit - 1 : 0;

	for (size_t i = 0; i < charset->unit; i++) {
		if (unit[i] != (i == low ? c : '\0'))
			return false;
	}
	return true;
}

bool charset_line(const struct charset *charset, const char *bytes, size_t length, size_t from, bool complete, size_t *ret_end)
{
	size_t unit = charset->unit;

	for (size_t i = from; i + unit <= length; i += unit) {
		bool followed = i + 2 * unit <= length;

		if (unit_is(charset, bytes + i, '\n')) {
			*ret_end = i + unit;
			return true;
		}
		if (!unit_is(charset, bytes + i, '\r'))
			continue;
		if (!followed && !complete)
			return false;
		*ret_end = i + unit + (followed && unit_is(charset, bytes + i + unit, '\n') ? unit : 0);
		return true;
	}
	return false;
}

size_t charset_line_end(const struct charset *charset, const char *bytes, size_t length)
{
	size_t unit = charset->unit;

	if (length < unit)
		return 0;
	if (unit_is(charset, bytes + length - unit, '\r'))
		return unit;
	if (!unit_is(charset, bytes + length - unit, '\n'))
		return 0;
	return length >= 2 * unit && unit_is(charset, bytes + length - 2 * unit, '\r') ? 2 * unit : unit;
}
