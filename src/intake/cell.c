#include "intake/cell.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span cell_trim(struct span cell)
{
	while (cell.length && is_blank(cell.data[cell.length - 1]))
		cell.length--;
	while (cell.length && is_blank(cell.data[0])) {
		cell.data++;
		cell.length--;
	}
	return cell;
}

void cell_show(struct text *text, const char *value)
{
	size_t length = strlen(value);

	if (length > CELL_MOST_SHOWN) {
		length = CELL_MOST_SHOWN;
		/* A character is shown whole or not at all. */
		while (length && ((unsigned char)value[length] & 0xc0) == 0x80)
			length--;
	}
	text_escape(text, value, length);
	if (value[length])
		text_append_string(text, "…");
}

void cell_quote(struct text *text, const char *value)
{
	text_append_string(text, "'");
	cell_show(text, value);
	text_append_string(text, "'");
}
