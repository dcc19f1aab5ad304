#include "base/file.h"
#include "report/page_html.h"
#include "report/page_inside.h"

#include <string.h>

/* A line of the list of warnings; the caller ends it. */
static void begin(struct text *out)
{
	text_append_string(out, "<li>");
}

static void end(struct text *out)
{
	text_append_string(out, "</li>\n");
}

static bool append_restored(struct page *page, struct text *out, struct error *err)
{
	int64_t copied_at, restored_at;

	if (!queue_reader_restored(page->reader, &copied_at, &restored_at, err))
		return false;
	if (!copied_at)
		return true;
	begin(out);
	text_append_string(out, "The database was restored at ");
	page_moment(out, restored_at);
	text_append_string(out, " from a copy of ");
	page_moment(out, copied_at);
	text_append_string(out, ": what was sent in between is not in it.");
	end(out);
	return true;
}

/* Calls append with each row of a question. */
static bool each(struct page *page, struct text *out, enum queue_query query, int64_t limit,
		 void (*append)(struct text *out, const struct queue_value *row), struct error *err)
{
	const struct queue_filter filter = { .limit = limit };
	struct queue_cursor *cursor;
	const struct queue_value *row;
	bool good;

	if (!queue_reader_query(page->reader, query, &filter, &cursor, err))
		return false;
	while ((good = queue_cursor_next(cursor, &row, err)) && row)
		append(out, row);
	queue_cursor_close(cursor);
	return good;
}

static void append_endpoint(struct text *out, const struct queue_value *row)
{
	enum { ENDPOINT, STATE, REASON, PAUSED_UNTIL };

	if (strcmp(row[STATE].text, "open") == 0)
		return;
	begin(out);
	text_append_string(out, "Endpoint ");
	page_text(out, row[ENDPOINT].text);
	text_append_string(out, strcmp(row[STATE].text, "probing") == 0 ? " is being tried again after a pause: " : " is paused: ");
	page_text(out, row[REASON].text);
	if (row[PAUSED_UNTIL].type == QUEUE_TEXT) {
		text_append_string(out, ", next try ");
		page_time(out, row[PAUSED_UNTIL].text);
	}
	end(out);
}

static void append_certificate(struct text *out, const struct queue_value *row)
{
	enum { ENDPOINT, EXPIRES_AT, DAYS };

	begin(out);
	text_append_string(out, "Endpoint ");
	page_text(out, row[ENDPOINT].text);
	text_append_string(out, row[DAYS].number < 0 ? ": the client certificate has ended, " : ": the client certificate ends ");
	page_time(out, row[EXPIRES_AT].text);
	if (row[DAYS].number >= 0)
		text_printf(out, ", in %lld days", (long long)row[DAYS].number);
	end(out);
}

static void append_source(struct text *out, const struct queue_value *row)
{
	enum { SOURCE, STATE, REASON };

	if (strcmp(row[STATE].text, "late") != 0 && strcmp(row[STATE].text, "waiting") != 0)
		return;
	begin(out);
	text_append_string(out, "Source ");
	page_text(out, row[SOURCE].text);
	text_append_string(out, strcmp(row[STATE].text, "late") == 0 ? " is late: " : " waits: ");
	page_text(out, row[REASON].text);
	end(out);
}

static void append_manifest(struct text *out, const struct queue_value *row)
{
	enum { MANIFEST_ID, SOURCE, NAME, QUEUED_AT, PAUSED };

	if (!row[PAUSED].text[0])
		return;
	begin(out);
	text_printf(out, "Manifest %lld of ", (long long)row[MANIFEST_ID].number);
	page_text(out, row[SOURCE].text);
	text_append_string(out, " (");
	page_text(out, row[NAME].text);
	text_append_string(out, ") is paused: ");
	page_text(out, row[PAUSED].text);
	end(out);
}

/* number things, of which there is a word for one and another for several. */
static void append_number(struct text *out, int64_t number, const char *one, const char *several)
{
	if (!number)
		return;
	begin(out);
	page_count(out, number);
	text_append_string(out, number == 1 ? one : several);
	end(out);
}

bool page_warnings(struct page *page, struct error *err)
{
	scoped_text struct text out = { 0 };

	if (!page->asked->pid)
		text_append_string(&out, "<li>The daemon is not running.</li>\n");
	if (!append_restored(page, &out, err) || !each(page, &out, QUEUE_ENDPOINTS_AND_CERTIFICATES, 0, append_endpoint, err) ||
	    !each(page, &out, QUEUE_CERTIFICATES, 0, append_certificate, err) ||
	    !each(page, &out, QUEUE_SOURCES_NOW, 0, append_source, err) ||
	    !each(page, &out, QUEUE_WAITING_MANIFESTS, PAGE_MOST_LINES, append_manifest, err))
		return false;
	append_number(&out, page->days.all.rows[ROW_IN_DOUBT], " row is in doubt and waits for somebody's word.",
		      " rows are in doubt and wait for somebody's word.");
	append_number(&out, page->days.period.manifests[MANIFEST_STATE_REJECTED], " file of the period was rejected whole.",
		      " files of the period were rejected whole.");
	page_section_begin(page, "Warnings");
	if (out.length) {
		text_append_string(page->out, "<ul class=\"warnings\">\n");
		text_append(page->out, out.data, out.length);
		text_append_string(page->out, "</ul>\n");
	} else {
		text_append_string(page->out, "<p class=\"none\">There is nothing to warn of.</p>\n");
	}
	page_section_end(page);
	return true;
}
