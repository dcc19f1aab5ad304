/*
 * request: what a command asks of the daemon, as a value, as one line of JSON, and as an operator would type it. Whatever comes from the
 * socket passes control_request_read, so that behind it every member is within its bounds, and every command has what it needs and
 * nothing that it does not take. The commands check their own requests with the same rules before they are sent.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum control_command {
	CONTROL_NONE,
	CONTROL_RETRY,
	CONTROL_HOLD,
	CONTROL_RELEASE,
	CONTROL_CANCEL,
	CONTROL_RESOLVE,
	CONTROL_RELOAD,
	CONTROL_PAUSE,
	CONTROL_RESUME,
	CONTROL_RECEIPT,
	CONTROL_PURGE,
	CONTROL_N_COMMANDS,
};

/* What an operator says of rows in doubt. */
enum control_resolution { CONTROL_UNRESOLVED, CONTROL_ACCEPTED, CONTROL_RESEND, CONTROL_N_RESOLUTIONS };

enum { CONTROL_MOST_ROWS = 1000, CONTROL_MOST_REASON = 512, CONTROL_MOST_CARD = 48, CONTROL_MOST_ENDPOINT = 64 };

/* All zero is no request. Strings are NUL-terminated, "" where not given. A row is meant where all that is given of the selector fits. */
struct control_request {
	enum control_command command;
	int64_t *rows; /* owned; control_request_free */
	size_t n_rows;
	int64_t manifest; /* 0: not given; of reload, receipt, pause and resume: the manifest itself */
	char card[CONTROL_MOST_CARD + 1];
	bool by_state;
	enum row_state state;
	char error_code[TRACK_MOST_ERROR_CODE + 1];
	bool all; /* with nothing else of the selector */

	enum control_resolution resolution;             /* of resolve */
	char operation_id[TRACK_MOST_OPERATION_ID + 1]; /* of resolve, accepted */
	char endpoint[CONTROL_MOST_ENDPOINT + 1];       /* of pause and resume, without a manifest */
	int64_t older_than_ms;                          /* of purge; 0: as configured */
	bool dry_run;                                   /* of what moves rows, and of purge */
	bool anyway;                                    /* of retry */
	char reason[CONTROL_MOST_REASON + 1];           /* of any */
};

void control_request_free(struct control_request *request);

/* control_command_name gives the command's name as it is typed and logged, "" for what is none. */
const char *control_command_name(enum control_command command);

/* control_request_add_row adds a row to the list; false where there are CONTROL_MOST_ROWS already. */
bool control_request_add_row(struct control_request *request, int64_t row);

/* control_request_read reads one line, without its line feed. ERROR_DATA: what cannot be understood; ERROR_USAGE: what the command does not
 * take, or lacks. The text names the key. The caller frees ret_request. */
bool control_request_read(const char *line, size_t length, struct control_request *ret_request, struct error *err);

/* control_request_write appends the request as one line with its line feed, at most 64 KiB. */
void control_request_write(const struct control_request *request, struct text *text);

/* control_request_check tells whether control_request_read would take what control_request_write makes of it. */
bool control_request_check(const struct control_request *request, struct error *err);

/* control_request_describe appends operands, selector and what else decides what is done, as typed behind the command's name:
 * `--manifest 7 --state refused`. For operator_action_log. */
void control_request_describe(const struct control_request *request, struct text *text);
