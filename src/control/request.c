#include "control/request.h"

#include "control/request_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const control_command_names[CONTROL_N_COMMANDS] = {
	[CONTROL_NONE] = "",         [CONTROL_RETRY] = "retry",     [CONTROL_HOLD] = "hold",     [CONTROL_RELEASE] = "release",
	[CONTROL_CANCEL] = "cancel", [CONTROL_RESOLVE] = "resolve", [CONTROL_RELOAD] = "reload", [CONTROL_PAUSE] = "pause",
	[CONTROL_RESUME] = "resume", [CONTROL_RECEIPT] = "receipt", [CONTROL_PURGE] = "purge",
};

const char *control_command_name(enum control_command command)
{
	return (size_t)command < CONTROL_N_COMMANDS ? control_command_names[command] : "";
}

void control_request_free(struct control_request *request)
{
	free(request->rows);
	*request = (struct control_request){ 0 };
}

bool control_request_add_row(struct control_request *request, int64_t row)
{
	if (request->n_rows >= CONTROL_MOST_ROWS)
		return false;
	/* Powers of two: it grows where the list is full. */
	if ((request->n_rows & (request->n_rows - 1)) == 0)
		request->rows = xrealloc_array(request->rows, request->n_rows ? 2 * request->n_rows : 1, sizeof(*request->rows));
	request->rows[request->n_rows++] = row;
	return true;
}

static void append_quoted(struct text *text, const char *word)
{
	static const char bare[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:,=+@%";

	if (word[strspn(word, bare)] == '\0') {
		text_append_string(text, word);
		return;
	}
	text_append(text, "'", 1);
	for (; *word; word++) {
		if (*word == '\'')
			text_append_string(text, "'\\''");
		else
			text_append(text, word, 1);
	}
	text_append(text, "'", 1);
}

/* Options and operands stand behind a blank each; the first blank is taken off at the end. */
static void append_option(struct text *text, const char *option, const char *value)
{
	if (!value[0])
		return;
	text_append_string(text, option);
	append_quoted(text, value);
}

static void append_age(struct text *text, int64_t ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms % units[i].ms == 0) {
			text_printf(text, " --older-than %" PRId64 "%s", ms / units[i].ms, units[i].unit);
			return;
		}
	}
	text_printf(text, " --older-than %" PRId64 "ms", ms);
}

static void append_selector(struct text *text, const struct control_request *request)
{
	bool operand = request->command == CONTROL_RELOAD || request->command == CONTROL_RECEIPT;

	for (size_t i = 0; i < request->n_rows; i++)
		text_printf(text, " --row %" PRId64, request->rows[i]);
	if (request->manifest)
		text_printf(text, operand ? " %" PRId64 : " --manifest %" PRId64, request->manifest);
	append_option(text, " --card ", request->card);
	if (request->by_state)
		append_option(text, " --state ", queue_state_name(request->state));
	append_option(text, " --error-code ", request->error_code);
	if (request->all)
		text_append_string(text, " --all");
	append_option(text, " ", request->endpoint);
}

void control_request_describe(const struct control_request *request, struct text *text)
{
	struct text words = { 0 };

	if (request->resolution == CONTROL_ACCEPTED)
		text_append_string(&words, " --accepted");
	if (request->resolution == CONTROL_RESEND)
		text_append_string(&words, " --resend");
	append_option(&words, " --operation-id ", request->operation_id);
	append_selector(&words, request);
	if (request->older_than_ms)
		append_age(&words, request->older_than_ms);
	if (request->anyway)
		text_append_string(&words, " --anyway");
	if (request->dry_run)
		text_append_string(&words, " --dry-run");
	if (words.length)
		text_append(text, words.data + 1, words.length - 1);
	text_free(&words);
}
