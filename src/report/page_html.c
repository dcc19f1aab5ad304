#include "report/page_html.h"

#include "base/file.h"
#include "track/civil.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069 turn the text around them; U+FFFE and U+FFFF are not allowed in XML 1.0. */
static bool is_no_text(const unsigned char *b)
{
	if (b[0] == 0xe2 && b[1] == 0x80)
		return b[2] == 0x8e || b[2] == 0x8f || (b[2] >= 0xaa && b[2] <= 0xae);
	if (b[0] == 0xe2 && b[1] == 0x81)
		return b[2] >= 0xa6 && b[2] <= 0xa9;
	return b[0] == 0xef && b[1] == 0xbf && b[2] >= 0xbe;
}

static void append_character(struct text *out, const char *c)
{
	switch (*c) {
	case '&': text_append_string(out, "&amp;"); break;
	case '<': text_append_string(out, "&lt;"); break;
	case '>': text_append_string(out, "&gt;"); break;
	case '"': text_append_string(out, "&quot;"); break;
	case '\'': text_append_string(out, "&#39;"); break;
	default: text_append(out, c, 1);
	}
}

void page_text(struct text *out, const char *string)
{
	scoped_text struct text clean = { 0 };

	if (!string)
		return;
	text_escape(&clean, string, strlen(string));
	for (size_t i = 0; i < clean.length; i++) {
		const unsigned char *b = (const unsigned char *)clean.data + i;

		/* It is UTF-8 now, so a first byte of three has two behind it. */
		if (*b >= 0xe0 && *b < 0xf0 && is_no_text(b)) {
			text_printf(out, "\\x%02X\\x%02X\\x%02X", b[0], b[1], b[2]);
			i += 2;
		} else {
			append_character(out, clean.data + i);
		}
	}
}

void page_count(struct text *out, int64_t number)
{
	char digits[24];
	size_t length = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, number);

	for (size_t i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0 && digits[i - 1] != '-')
			text_append(out, ",", 1);
		text_append(out, digits + i, 1);
	}
}

void page_day(struct text *out, int64_t day)
{
	struct civil civil;

	if (civil_from_seconds(day * 86400, &civil))
		text_printf(out, "%04d-%02d-%02d", civil.year, civil.month, civil.day);
}

void page_short_day(struct text *out, int64_t day)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct civil civil;

	if (civil_from_seconds(day * 86400, &civil))
		text_printf(out, "%d %.3s", civil.day, months + 3 * (civil.month - 1));
}

void page_time(struct text *out, const char *iso)
{
	if (!iso || strlen(iso) < strlen("2026-11-22T10:00")) {
		text_append_string(out, "\u2013");
		return;
	}
	text_append_string(out, "<time datetime=\"");
	page_text(out, iso);
	text_append_string(out, "\">");
	text_append(out, iso, 10);
	text_append(out, " ", 1);
	text_append(out, iso + 11, 5);
	text_append_string(out, "</time>");
}

void page_moment(struct text *out, int64_t unix_ms)
{
	char iso[32];

	text_time(iso, unix_ms);
	page_time(out, iso);
}
