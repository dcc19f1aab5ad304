#include "report/page_list.h"

#include "base/file.h"
#include "report/page_html.h"

#include <string.h>

static const char HIDDEN[] = "(card)";

void page_list_begin(struct text *out, const char *caption, const struct page_column *columns)
{
	text_printf(out, "<table class=\"list\"><caption>%s</caption><thead><tr>", caption);
	for (; columns->name; columns++)
		text_printf(out, "<th scope=\"col\"%s>%s</th>", columns->kind == PAGE_NUMBER ? " class=\"n\"" : "", columns->label);
	text_append_string(out, "</tr></thead><tbody>\n");
}

void page_list_end(struct text *out)
{
	text_append_string(out, "</tbody></table>\n");
}

/*
 * The value of --card may be quoted and hold anything, so that nothing behind it is shown either. The reason of a file that was rejected
 * for its rows quotes a cell.
 */
void page_list_hide(struct text *out, const char *text, const char *card_id)
{
	static const char option[] = "--card ";
	const char *cell = strstr(text, "(invalid_rows: reject_file)");
	size_t length = card_id ? strlen(card_id) : 0;

	while (*text) {
		if (length && strncmp(text, card_id, length) == 0) {
			text_append_string(out, HIDDEN);
			text += length;
		} else if (strncmp(text, option, strlen(option)) == 0) {
			text_printf(out, "%s%s", option, HIDDEN);
			return;
		} else if (cell && text > cell && *text == '\'') {
			text_append_string(out, "(value)");
			text = strrchr(text, '\'') + 1;
		} else {
			text_append(out, text++, 1);
		}
	}
}

/* Of a row, an endpoint, a source, or why a manifest is paused. */
static bool is_bad(const char *state)
{
	static const char *const bad[] = { "paused",  "probing",  "late",     "waiting",  "in_doubt", "refused",
					   "expired", "rejected", "operator", "refusals", "repeats",  "restored" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (strcmp(state, bad[i]) == 0)
			return true;
	}
	return false;
}

static const char *class_of(enum page_kind kind)
{
	switch (kind) {
	case PAGE_NUMBER: return " class=\"n\"";
	case PAGE_LONG: return " class=\"w\"";
	case PAGE_WORDS:
	case PAGE_TIME:
	case PAGE_STATE: break;
	}
	return "";
}

static void append_words(struct text *out, const struct queue_value *value, const char *card_id, bool cards)
{
	scoped_text struct text clean = { 0 };

	if (value->type == QUEUE_NUMBER) {
		text_printf(out, "%lld", (long long)value->number);
		return;
	}
	if (value->type == QUEUE_TEXT && !cards)
		page_list_hide(&clean, value->text, card_id);
	page_text(out, value->type != QUEUE_TEXT ? NULL : cards ? value->text : clean.data);
}

static void append_cell(struct text *out, const struct page_column *column, const struct queue_value *value, const char *card_id,
			bool cards)
{
	text_printf(out, "<td%s data-of=\"%s\">", class_of(column->kind), column->label);
	switch (column->kind) {
	case PAGE_WORDS:
	case PAGE_LONG: append_words(out, value, card_id, cards); break;
	case PAGE_NUMBER:
		if (value->type == QUEUE_NUMBER)
			page_count(out, value->number);
		break;
	case PAGE_TIME: page_time(out, value->type == QUEUE_TEXT ? value->text : NULL); break;
	case PAGE_STATE:
		if (value->type != QUEUE_TEXT || !value->text[0])
			break;
		text_append_string(out, is_bad(value->text) ? "<b class=\"bad\">" : "<b>");
		append_words(out, value, card_id, cards);
		text_append_string(out, "</b>");
		break;
	}
	text_append_string(out, "</td>");
}

void page_list_row(struct text *out, const struct page_column *columns, const struct queue_value *values, bool cards)
{
	text_append_string(out, "<tr>");
	for (; columns->name; columns++)
		append_cell(out, columns, values++, NULL, cards);
	text_append_string(out, "</tr>\n");
}

static size_t place_of(const char *name, const char *const *names, size_t n)
{
	size_t i = 0;

	while (i < n && strcmp(names[i], name) != 0)
		i++;
	return i;
}

bool page_list_rows(struct text *out, struct queue_reader *reader, enum queue_query query, const struct queue_filter *filter,
		    const struct page_column *columns, bool cards, int64_t *n, struct error *err)
{
	static const struct queue_value nothing = { .type = QUEUE_NULL };
	struct queue_cursor *cursor;
	const struct queue_value *row;
	const char *const *names;
	size_t n_names, card;
	bool good;

	if (!queue_reader_query(reader, query, filter, &cursor, err))
		return false;
	names = queue_cursor_columns(cursor, &n_names);
	card = place_of("card_id", names, n_names);
	while ((good = queue_cursor_next(cursor, &row, err)) && row) {
		text_append_string(out, "<tr>");
		for (const struct page_column *column = columns; column->name; column++) {
			size_t at = place_of(column->name, names, n_names);

			append_cell(out, column, at < n_names ? &row[at] : &nothing, card < n_names ? row[card].text : NULL, cards);
		}
		text_append_string(out, "</tr>\n");
		(*n)++;
	}
	queue_cursor_close(cursor);
	return good;
}

bool page_list(struct text *out, const char *caption, struct queue_reader *reader, enum queue_query query,
	       const struct queue_filter *filter, const struct page_column *columns, bool cards, const char *none, struct error *err)
{
	scoped_text struct text rows = { 0 };
	int64_t n = 0;

	if (!page_list_rows(&rows, reader, query, filter, columns, cards, &n, err))
		return false;
	if (n) {
		page_list_begin(out, caption, columns);
		text_append(out, rows.data, rows.length);
		page_list_end(out);
	} else {
		text_printf(out, "<p class=\"none\">%s</p>\n", none);
	}
	return true;
}
