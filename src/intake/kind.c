#include "intake/kind.h"

#include <string.h>

struct beginning {
	const char *bytes;
	size_t length;
	const char *hint;
};

#define BEGINNING(bytes) bytes, sizeof(bytes) - 1

static const struct beginning beginnings[] = {
	{ BEGINNING("PK\x03\x04"), "it begins like a zip file, such as an .xlsx spreadsheet: export it as CSV" },
	{ BEGINNING("\xD0\xCF\x11\xE0"), "it begins like an old .xls spreadsheet: export it as CSV" },
	{ BEGINNING("\x1F\x8B"), "it begins like a gzip file: unpack it first" },
	{ BEGINNING("%PDF"), "it begins like a PDF document: a CSV file is needed" },
};

/* Of bytes that may be text, behind a mark of UTF-8 and blanks. */
static const struct beginning texts[] = {
	{ BEGINNING("{"), "it begins like JSON: a CSV file is needed" },
	{ BEGINNING("["), "it begins like JSON: a CSV file is needed" },
	{ BEGINNING("<"), "it begins like XML or HTML, such as a web page with an error: a CSV file is needed" },
};

/* The longer one first: the mark of little-endian UTF-32 begins with that of UTF-16. */
static const struct mark {
	const char *bytes;
	size_t unit;
	bool big_endian;
	const char *hint;
} marks[] = {
	{ "\xFF\xFE\0\0", 4, false, "it begins with the byte order mark of UTF-32LE: the source says another encoding" },
	{ "\0\0\xFE\xFF", 4, true, "it begins with the byte order mark of UTF-32BE: the source says another encoding" },
	{ "\xFF\xFE", 2, false, "it begins with the byte order mark of UTF-16LE: the source says another encoding" },
	{ "\xFE\xFF", 2, true, "it begins with the byte order mark of UTF-16BE: the source says another encoding" },
};

static bool begins(const char *head, size_t length, const char *bytes, size_t n)
{
	return length >= n && memcmp(head, bytes, n) == 0;
}

static const char *mark_of_another(const char *head, size_t length, size_t unit, bool big_endian)
{
	const char *hint = NULL;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		const struct mark *mark = &marks[i];

		if (!begins(head, length, mark->bytes, mark->unit))
			continue;
		if (mark->unit == unit && mark->big_endian == big_endian)
			return NULL;
		hint = hint ? hint : mark->hint;
	}
	return hint;
}

static const char *look_up(const struct beginning *known, size_t n, const char *head, size_t length)
{
	for (size_t i = 0; i < n; i++) {
		if (begins(head, length, known[i].bytes, known[i].length))
			return known[i].hint;
	}
	return NULL;
}

const char *kind_hint(const char *head, size_t length, size_t unit, bool big_endian)
{
	const char *hint = look_up(beginnings, sizeof(beginnings) / sizeof(beginnings[0]), head, length), *end = head + length;

	if (!hint)
		hint = mark_of_another(head, length, unit, big_endian);
	if (hint || unit != 1)
		return hint;
	if (begins(head, length, "\xEF\xBB\xBF", 3))
		head += 3;
	while (head < end && strchr(" \t\r\n", *head) && *head)
		head++;
	return look_up(texts, sizeof(texts) / sizeof(texts[0]), head, (size_t)(end - head));
}
