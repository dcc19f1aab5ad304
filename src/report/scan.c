#include "report/scan.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool begins_with(const char *utf8, size_t length, const char *delimiter, size_t delimiter_length)
{
	return length >= delimiter_length && memcmp(utf8, delimiter, delimiter_length) == 0;
}

void scan_text(struct scan *scan, const char *utf8, size_t length)
{
	size_t delimiter = strlen(scan->delimiter);

	for (size_t i = 0; i < length; i++) {
		char c = utf8[i];

		if (scan->quote && c == scan->quote) {
			scan->inside = !scan->inside;
		} else if (!scan->inside && begins_with(utf8 + i, length - i, scan->delimiter, delimiter)) {
			i += delimiter - 1;
			scan->delimiters++;
			scan->empty_at_end++;
			scan->something = true;
			continue;
		} else if (is_blank(c)) {
			continue;
		}
		scan->something = true;
		scan->empty_at_end = 0;
	}
}

bool scan_cell(const struct scan *as, const struct text *line, size_t cell, struct text *ret_cell)
{
	struct scan scan = { .delimiter = as->delimiter, .quote = as->quote };
	size_t delimiter = strlen(as->delimiter), step, end;

	text_clear(ret_cell);
	text_append(ret_cell, "", 0);
	for (size_t i = 0; i < line->length && scan.delimiters <= cell; i += step) {
		size_t before = scan.delimiters;
		bool inside = scan.inside;

		step = begins_with(line->data + i, line->length - i, as->delimiter, delimiter) ? delimiter : 1;
		scan_text(&scan, line->data + i, step);
		if (before != cell || scan.delimiters != cell || scan.inside != inside || (is_blank(line->data[i]) && !ret_cell->length))
			continue;
		text_append(ret_cell, line->data + i, step);
	}
	for (end = ret_cell->length; end && is_blank(ret_cell->data[end - 1]);)
		end--;
	ret_cell->data[end] = '\0';
	ret_cell->length = end;
	return scan.delimiters >= cell && line->length > 0;
}

static void quote_none(struct text *text, const char *value, const char *delimiter)
{
	size_t length = strlen(delimiter);

	for (; *value; value++) {
		bool delimits = strncmp(value, delimiter, length) == 0;

		if (delimits || *value == '\r' || *value == '\n')
			text_append(text, delimiter[0] == ' ' ? "_" : " ", 1);
		else
			text_append(text, value, 1);
		value += delimits ? length - 1 : 0;
	}
}

void scan_quote(struct text *text, const char *value, const char *delimiter, char quote)
{
	bool quoted;

	if (!quote) {
		quote_none(text, value, delimiter);
		return;
	}
	quoted = strstr(value, delimiter) || strchr(value, quote) || strpbrk(value, "\r\n");
	if (quoted)
		text_append(text, &quote, 1);
	for (; *value; value++) {
		if (*value == quote)
			text_append(text, &quote, 1);
		text_append(text, value, 1);
	}
	if (quoted)
		text_append(text, &quote, 1);
}
