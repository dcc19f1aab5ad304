/*
 * http_head: the head of an answer, line by line, as libcurl hands it over. Only a complete status line counts (one that ended in a line
 * feed), since it alone decides what became of a request; interim answers (1xx) are passed over. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_HEAD_MOST_VALUE = 128 };

/* All zero is a head of which nothing was read. */
struct http_head {
	int status;                                 /* 200 to 999, or 0 as long as no final status line is complete */
	bool ended;                                 /* the final head's empty line was read: what follows are trailers */
	char retry_after[HTTP_HEAD_MOST_VALUE + 1]; /* "" without the header; the first one counts; longer values are cut */
	char date[HTTP_HEAD_MOST_VALUE + 1];
};

/* http_head_line takes one line with its line end; one without is ignored. */
void http_head_line(struct http_head *head, const char *line, size_t length);
