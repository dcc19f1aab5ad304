#include "intake/decode.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 64, MOST_OUT = 4096 };

static const char replacement[] = "\xEF\xBF\xBD";
static const char nul_fault[] = "has a NUL character";

struct decoder {
	bool utf8;  /* no iconv */
	bool ascii; /* bytes 0x01 to 0x7F stand for themselves, whatever comes before them */
	bool big_endian;
	size_t unit;
	iconv_t iconv;
	char *fault;     /* "has bytes that are not UTF-16" */
	struct span in;  /* what is left of the line */
	bool open;       /* iconv may hold back something of this line */
	struct span out; /* what is left in buffer */
	char buffer[MOST_OUT];
};

/* The encodings whose code unit is wider than a byte, by names without '-' and '_'. */
static const struct wide {
	const char *name;
	size_t unit;
	bool by_mark, big_endian;
} wides[] = {
	{ "UTF16", 2, true, false },    { "UTF16LE", 2, false, false }, { "UTF16BE", 2, false, true }, { "UTF32", 4, true, false },
	{ "UTF32LE", 4, false, false }, { "UTF32BE", 4, false, true },  { "UCS2", 2, true, false },    { "UCS2LE", 2, false, false },
	{ "UCS2BE", 2, false, true },   { "UCS4", 4, true, false },     { "UCS4LE", 4, false, false }, { "UCS4BE", 4, false, true },
};

static void bare_name(const char *encoding, char *ret_name, size_t size)
{
	size_t n = 0;

	for (; *encoding && n + 1 < size; encoding++) {
		if (*encoding != '-' && *encoding != '_')
			ret_name[n++] = (char)toupper((unsigned char)*encoding);
	}
	ret_name[n] = '\0';
}

static bool has_big_mark(size_t unit, const char *head, size_t head_length)
{
	return unit == 2 ? head_length >= 2 && memcmp(head, "\xFE\xFF", 2) == 0 : head_length >= 4 && memcmp(head, "\0\0\xFE\xFF", 4) == 0;
}

/* Gives the iconv name of the encoding, its byte order settled. */
static const char *settle(struct decoder *decoder, const char *encoding, const char *head, size_t head_length)
{
	static const char *const names[2][2] = { { "UTF-16LE", "UTF-16BE" }, { "UTF-32LE", "UTF-32BE" } };
	char name[MOST_NAME];

	bare_name(encoding, name, sizeof(name));
	decoder->unit = 1;
	decoder->utf8 = strcmp(name, "UTF8") == 0;
	for (size_t i = 0; i < sizeof(wides) / sizeof(wides[0]); i++) {
		if (strcmp(name, wides[i].name) != 0)
			continue;
		decoder->unit = wides[i].unit;
		decoder->big_endian = wides[i].big_endian || (wides[i].by_mark && has_big_mark(decoder->unit, head, head_length));
		return names[decoder->unit == 4][decoder->big_endian];
	}
	return encoding;
}

static bool stands_for_itself(struct decoder *decoder, char c)
{
	char out[8], *to = out, *from = &c;
	size_t in_left = 1, out_left = sizeof(out);

	iconv(decoder->iconv, NULL, NULL, NULL, NULL);
	return iconv(decoder->iconv, &from, &in_left, &to, &out_left) == 0 && iconv(decoder->iconv, NULL, NULL, &to, &out_left) == 0 &&
	       to == out + 1 && out[0] == c;
}

static bool is_ascii(struct decoder *decoder)
{
	for (int c = 0x01; c <= 0x7f; c++) {
		if (!stands_for_itself(decoder, (char)c))
			return false;
	}
	return true;
}

bool decode_open(const char *encoding, const char *head, size_t head_length, struct decoder **ret_decoder, struct error *err)
{
	struct decoder *decoder = xcalloc(1, sizeof(*decoder));
	struct text fault = { 0 };
	const char *name = settle(decoder, encoding, head, head_length);

	text_printf(&fault, "has bytes that are not %s", encoding);
	decoder->fault = fault.data;
	decoder->ascii = decoder->utf8;
	decoder->iconv = (iconv_t)-1;
	if (!decoder->utf8) {
		/* An empty name would be the locale's encoding, and what follows a slash changes iconv's mind about errors. */
		if (name[0] && !strchr(name, '/'))
			decoder->iconv = iconv_open("UTF-8", name);
		if (decoder->iconv == (iconv_t)-1) {
			decode_close(decoder);
			return error_set(err, ERROR_CONFIG, "the encoding '%s' is not known (iconv -l lists those that are)", encoding);
		}
		decoder->ascii = decoder->unit == 1 && is_ascii(decoder);
		if (decoder->unit == 1 && !decoder->ascii && !(stands_for_itself(decoder, '\r') && stands_for_itself(decoder, '\n'))) {
			decode_close(decoder);
			return error_set(err, ERROR_CONFIG, "the encoding '%s' is not supported: its line ends are not those of ASCII",
					 encoding);
		}
	}
	*ret_decoder = decoder;
	return true;
}

void decode_close(struct decoder *decoder)
{
	if (!decoder)
		return;
	if (decoder->iconv != (iconv_t)-1)
		iconv_close(decoder->iconv);
	free(decoder->fault);
	free(decoder);
}

size_t decode_unit(const struct decoder *decoder)
{
	return decoder->unit;
}

bool decode_big_endian(const struct decoder *decoder)
{
	return decoder->big_endian;
}

void decode_line(struct decoder *decoder, const char *bytes, size_t length, bool plain)
{
	decoder->in = (struct span){ bytes, length };
	decoder->out = (struct span){ NULL, 0 };
	decoder->open = false;
	if ((plain && decoder->ascii) || (decoder->utf8 && !memchr(bytes, '\0', length) && text_utf8_valid(bytes, length))) {
		decoder->out = decoder->in;
		decoder->in.length = 0;
	} else if (!decoder->utf8) {
		iconv(decoder->iconv, NULL, NULL, NULL, NULL);
		decoder->open = true;
	}
}

static void pass(struct span *span, size_t n)
{
	n = n < span->length ? n : span->length;
	span->data += n;
	span->length -= n;
}

static void set_fault(struct decode_run *ret_run, const char *fault)
{
	*ret_run = (struct decode_run){ .text = { replacement, sizeof(replacement) - 1 }, .fault = fault };
}

/* Length of the UTF-8 character at the start of what is left, or 0 where it is none. */
static size_t character(const struct span *span)
{
	for (size_t n = 1; n <= 4 && n <= span->length; n++) {
		if (text_utf8_valid(span->data, n))
			return n;
	}
	return 0;
}

/* A line of UTF-8 that is known to have a fault somewhere. */
static void next_of_utf8(struct decoder *decoder, struct decode_run *ret_run)
{
	struct span rest = decoder->in;

	for (size_t n; rest.length && rest.data[0] && (n = character(&rest)) > 0;)
		pass(&rest, n);
	if (rest.data == decoder->in.data) {
		set_fault(ret_run, rest.data[0] ? decoder->fault : nul_fault);
		pass(&decoder->in, 1);
		return;
	}
	*ret_run = (struct decode_run){ .text = { decoder->in.data, decoder->in.length - rest.length } };
	decoder->in = rest;
}

/* Fills the buffer; false where the next thing in the line is a fault. Gives nothing at the end of the line. */
static bool convert(struct decoder *decoder)
{
	char *from = (char *)decoder->in.data, *to = decoder->buffer;
	size_t in_left = decoder->in.length, out_left = sizeof(decoder->buffer), result = 0;

	if (in_left) {
		result = iconv(decoder->iconv, &from, &in_left, &to, &out_left);
	} else {
		/* Encodings with combining characters hold the last letter back. */
		iconv(decoder->iconv, NULL, NULL, &to, &out_left);
		decoder->open = false;
	}
	pass(&decoder->in, decoder->in.length - in_left);
	decoder->out = (struct span){ decoder->buffer, sizeof(decoder->buffer) - out_left };
	return result != (size_t)-1 || errno == E2BIG || decoder->out.length > 0;
}

bool decode_next(struct decoder *decoder, struct decode_run *ret_run)
{
	const char *nul;

	while (decoder->out.length == 0) {
		if (decoder->utf8 && decoder->in.length) {
			next_of_utf8(decoder, ret_run);
			return true;
		}
		if (!decoder->open)
			return false;
		if (!convert(decoder)) {
			set_fault(ret_run, decoder->fault);
			pass(&decoder->in, decoder->unit);
			return true;
		}
	}
	if (decoder->out.data[0] == '\0') {
		set_fault(ret_run, nul_fault);
		pass(&decoder->out, 1);
		return true;
	}
	nul = memchr(decoder->out.data, '\0', decoder->out.length);
	*ret_run = (struct decode_run){ .text = { decoder->out.data, nul ? (size_t)(nul - decoder->out.data) : decoder->out.length } };
	pass(&decoder->out, ret_run->text.length);
	return true;
}
