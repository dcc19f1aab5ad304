#include "report/scan.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void scan_text(struct scan *scan, const char *utf8, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = utf8[i];

		if (scan->quote && c == scan->quote) {
			scan->inside = !scan->inside;
		} else if (c == scan->delimiter && !scan->inside) {
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
	size_t end;

	text_clear(ret_cell);
	text_append(ret_cell, "", 0);
	for (size_t i = 0; i < line->length && scan.delimiters <= cell; i++) {
		size_t before = scan.delimiters;
		bool inside = scan.inside;

		scan_text(&scan, line->data + i, 1);
		if (before != cell || scan.delimiters != cell || scan.inside != inside || (is_blank(line->data[i]) && !ret_cell->length))
			continue;
		text_append(ret_cell, line->data + i, 1);
	}
	for (end = ret_cell->length; end && is_blank(ret_cell->data[end - 1]);)
		end--;
	ret_cell->data[end] = '\0';
	ret_cell->length = end;
	return scan.delimiters >= cell && line->length > 0;
}

static void quote_none(struct text *text, const char *value, char delimiter)
{
	for (; *value; value++) {
		if (*value == delimiter || *value == '\r' || *value == '\n')
			text_append(text, delimiter == ' ' ? "_" : " ", 1);
		else
			text_append(text, value, 1);
	}
}

void scan_quote(struct text *text, const char *value, char delimiter, char quote)
{
	bool quoted = false;

	if (!quote) {
		quote_none(text, value, delimiter);
		return;
	}
	for (const char *c = value; *c && !quoted; c++)
		quoted = *c == delimiter || *c == quote || *c == '\r' || *c == '\n';
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
