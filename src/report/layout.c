#include "report/layout.h"

#include "base/file.h"
#include "report/scan.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { PIECE = 64 * 1024, TAIL = 4096 };

static bool read_at(int fd, struct text *text, int64_t offset, size_t most, bool *ret_end, struct error *err)
{
	char piece[PIECE];
	ssize_t got;

	do
		got = pread(fd, piece, most < PIECE ? most : PIECE, offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return error_errno(err, errno, "the manifest's copy cannot be read");
	text_append(text, piece, (size_t)got);
	*ret_end = got == 0;
	return true;
}

/* The end of the line that begins at `at` in head, of which more is read as needed. An unfinished last line ends where the file does. */
static bool next_line(int fd, struct layout *layout, size_t at, size_t *ret_end, struct error *err)
{
	struct text *head = &layout->head;
	size_t unit = charset_unit(layout->charset), from = at;
	bool complete = false;

	while (!charset_line(layout->charset, head->data, head->length, from, complete, ret_end)) {
		if (complete) {
			*ret_end = head->length;
			return head->length > at || error_set(err, ERROR_DATA, "the manifest's copy is shorter than it was");
		}
		if (head->length > LAYOUT_MOST_HEAD)
			return error_set(err, ERROR_DATA, "the manifest's header is too long");
		/* Not before the last whole unit: it may be a CR whose LF is still to come. */
		if (head->length >= at + 2 * unit)
			from = at + (head->length - at) / unit * unit - unit;
		if (!read_at(fd, head, (int64_t)head->length, PIECE, &complete, err))
			return false;
	}
	return true;
}

static void feed(void *user, const char *utf8, size_t length)
{
	scan_text(user, utf8, length);
}

static struct scan scan_of(const struct config_source *source)
{
	return (struct scan){ .delimiter = source->format.delimiter, .quote = source->format.quote };
}

/* The header is the first record behind the skipped lines; blank lines are none. */
static bool read_header(int fd, struct layout *layout, size_t *at, struct error *err)
{
	struct scan scan = scan_of(layout->source);

	while (!scan.something || scan.inside) {
		size_t end;

		if (!next_line(fd, layout, *at, &end, err))
			return false;
		charset_decode(layout->charset, layout->head.data + *at, end - *at, feed, &scan);
		*at = end;
	}
	layout->header_cells = scan.delimiters + 1;
	return true;
}

static bool read_head(int fd, struct layout *layout, struct error *err)
{
	size_t at = layout->mark;

	for (int i = 0; i < layout->source->format.skip_lines; i++) {
		if (!next_line(fd, layout, at, &at, err))
			return false;
	}
	if (layout->source->format.header && !read_header(fd, layout, &at, err))
		return false;
	layout->head.length = at;
	layout->head_end = at - layout_learn_line_end(layout, layout->head.data, at);
	return true;
}

static void keep(void *user, const char *utf8, size_t length)
{
	text_append(user, utf8, length);
}

/* The last line that is not blank, as UTF-8. */
static bool last_line(int fd, struct layout *layout, struct text *ret_line, struct error *err)
{
	scoped_text struct text tail = { 0 };
	size_t unit = charset_unit(layout->charset), at = 0, end = 0;
	struct stat st;
	int64_t from;
	bool ended;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "the manifest's copy cannot be read");
	from = st.st_size > TAIL ? (st.st_size - TAIL) / (int64_t)unit * (int64_t)unit : (int64_t)layout->mark;
	if (!read_at(fd, &tail, from, TAIL + unit, &ended, err))
		return false;
	for (; at < tail.length; at = end) {
		struct scan scan = scan_of(layout->source);
		scoped_text struct text line = { 0 };

		if (!charset_line(layout->charset, tail.data, tail.length, at, true, &end))
			end = tail.length;
		charset_decode(layout->charset, tail.data + at, end - at, keep, &line);
		scan_text(&scan, line.data ? line.data : "", line.length);
		if (!scan.something)
			continue;
		text_clear(ret_line);
		text_append(ret_line, line.data, line.length);
	}
	return true;
}

static bool read_trailer(int fd, struct layout *layout, struct error *err)
{
	const struct config_source *source = layout->source;
	scoped_text struct text line = { 0 }, first = { 0 }, count = { 0 };
	struct scan scan = scan_of(source);

	layout->trailer_cells = (size_t)source->trailer.count_column;
	if (!last_line(fd, layout, &line, err))
		return false;
	scan_text(&scan, line.data ? line.data : "", line.length);
	if (!scan_cell(&scan, &line, 0, &first) || strcmp(first.data, source->trailer.first_column) != 0)
		return true;
	if (scan.delimiters + 1 > layout->trailer_cells)
		layout->trailer_cells = scan.delimiters + 1;
	if (scan_cell(&scan, &line, (size_t)source->trailer.count_column - 1, &count) && count.data[0] == '0')
		layout->count_width = (int)strspn(count.data, "0123456789");
	return true;
}

bool layout_read(int fd, const struct config_source *source, struct layout *ret_layout, struct error *err)
{
	struct layout layout = { .source = source };
	bool ended;

	if (!read_at(fd, &layout.head, 0, PIECE, &ended, err) ||
	    !charset_open(source->format.encoding, layout.head.data, layout.head.length, &layout.charset, err))
		goto failed;
	layout.mark = charset_mark(layout.charset, layout.head.data, layout.head.length);
	charset_encode(layout.charset, &layout.line_end, "\r\n", 2);
	if (!read_head(fd, &layout, err) || (source->trailer.present && !read_trailer(fd, &layout, err)))
		goto failed;
	*ret_layout = layout;
	return true;
failed:
	layout_free(&layout);
	return false;
}

void layout_free(struct layout *layout)
{
	charset_close(layout->charset);
	text_free(&layout->head);
	text_free(&layout->line_end);
}

size_t layout_learn_line_end(struct layout *layout, const char *bytes, size_t length)
{
	size_t end = charset_line_end(layout->charset, bytes, length);

	if (end) {
		text_clear(&layout->line_end);
		text_append(&layout->line_end, bytes + length - end, end);
	}
	return end;
}

size_t layout_count(const struct layout *layout, const char *bytes, size_t length, size_t *ret_empty_at_end)
{
	struct scan scan = scan_of(layout->source);

	charset_decode(layout->charset, bytes, length, feed, &scan);
	*ret_empty_at_end = scan.empty_at_end;
	return scan.something ? scan.delimiters + 1 : 0;
}

static bool take_off(const struct layout *layout, const char *bytes, size_t *length, const char *utf8)
{
	scoped_text struct text end = { 0 };

	charset_encode(layout->charset, &end, utf8, strlen(utf8));
	if (*length < end.length || memcmp(bytes + *length - end.length, end.data, end.length) != 0)
		return false;
	*length -= end.length;
	return true;
}

bool layout_without_empty_cell(const struct layout *layout, const char *bytes, size_t *length)
{
	const char *delimiter = layout->source->format.delimiter;
	size_t left = *length;

	while ((delimiter[0] != ' ' && take_off(layout, bytes, &left, " ")) ||
	       (delimiter[0] != '\t' && take_off(layout, bytes, &left, "\t")))
		;
	if (!take_off(layout, bytes, &left, delimiter))
		return false;
	*length = left;
	return true;
}

void layout_delimiter(const struct layout *layout, struct text *text)
{
	charset_encode(layout->charset, text, layout->source->format.delimiter, strlen(layout->source->format.delimiter));
}

void layout_bare_cell(const struct layout *layout, struct text *text, const char *value)
{
	scoped_text struct text cell = { 0 };

	scan_quote(&cell, value, layout->source->format.delimiter, layout->source->format.quote);
	charset_encode(layout->charset, text, cell.data ? cell.data : "", cell.length);
}

void layout_cell(const struct layout *layout, struct text *text, const char *value)
{
	layout_delimiter(layout, text);
	layout_bare_cell(layout, text, value);
}
