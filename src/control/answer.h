/*
 * answer: what the daemon says to a command, as a value and as one line of JSON. What stands in it is shown to people as it is: reading
 * refuses control characters, and writing shows them as \xNN and cuts what is too long, since an answer has to arrive.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONTROL_MOST_TEXT = 1023, CONTROL_MOST_WHY = 159, CONTROL_MOST_EXAMPLES = 100 };

/* A row that was selected and not moved. */
struct control_declined {
	int64_t row;
	char why[CONTROL_MOST_WHY + 1];
};

struct control_answer {
	int64_t status; /* enum error_code: the command's exit status */
	char text[CONTROL_MOST_TEXT + 1];
	int64_t rows; /* moved, or, in a dry run, would be */
	int64_t declined;
	struct control_declined examples[CONTROL_MOST_EXAMPLES]; /* of declined, the first ones */
	size_t n_examples;
	int64_t manifest; /* the new one's number, of reload; 0: none */
};

/* control_answer_say sets status and text; control_answer_fail takes them from an error. */
void control_answer_say(struct control_answer *answer, enum error_code status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void control_answer_fail(struct control_answer *answer, const struct error *err);

/* control_answer_decline counts a row that is not moved, and keeps the first ones as examples. */
void control_answer_decline(struct control_answer *answer, int64_t row, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* control_answer_read reads one line, without its line feed. ERROR_DATA, naming the key. */
bool control_answer_read(const char *line, size_t length, struct control_answer *ret_answer, struct error *err);

/* control_answer_write appends the answer as one line with its line feed, at most 64 KiB. */
void control_answer_write(const struct control_answer *answer, struct text *text);
