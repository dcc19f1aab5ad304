#include "submit/http_head.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 202 Accepted", "HTTP/2 202 ": the reason may be missing, the three digits may not (RFC 9112, 4). */
static int status_of(const char *line, size_t length)
{
	const char *space = memchr(line, ' ', length);
	const char *end = line + length;

	if (!space || end - space < 5 || space[1] < '1' || !is_digit(space[1]) || !is_digit(space[2]) || !is_digit(space[3]))
		return 0;
	if (space[4] != ' ' && space[4] != '\r' && space[4] != '\n')
		return 0;
	return (space[1] - '0') * 100 + (space[2] - '0') * 10 + (space[3] - '0');
}

static void keep_value(char ret_value[static HTTP_HEAD_MOST_VALUE + 1], const char *value, size_t length)
{
	while (length && (*value == ' ' || *value == '\t')) {
		value++;
		length--;
	}
	while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
		length--;
	if (ret_value[0])
		return;
	if (length > HTTP_HEAD_MOST_VALUE)
		length = HTTP_HEAD_MOST_VALUE;
	memcpy(ret_value, value, length);
	ret_value[length] = '\0';
}

static bool is_named(const char *line, size_t length, const char *name)
{
	size_t n = strlen(name);

	return length >= n && strncasecmp(line, name, n) == 0;
}

void http_head_line(struct http_head *head, const char *line, size_t length)
{
	if (head->ended || !length || line[length - 1] != '\n')
		return;
	if (!head->status) {
		/* Lines of an interim answer are no status lines and end up here as well. */
		if (is_named(line, length, "HTTP/")) {
			int status = status_of(line, length);

			head->status = status >= 200 ? status : 0;
		}
		return;
	}
	length--;
	if (length && line[length - 1] == '\r')
		length--;
	if (!length)
		head->ended = true;
	else if (is_named(line, length, "retry-after:"))
		keep_value(head->retry_after, line + strlen("retry-after:"), length - strlen("retry-after:"));
	else if (is_named(line, length, "date:"))
		keep_value(head->date, line + strlen("date:"), length - strlen("date:"));
}
