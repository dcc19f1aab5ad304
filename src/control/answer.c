#include "control/answer.h"

#include "control/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER(type, member) .offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)

static const struct control_key declined_keys[] = {
	{ .name = "row", .kind = CONTROL_NUMBER, .required = true, MEMBER(control_declined, row), .least = 1, .most = CONTROL_MOST_NUMBER },
	{ .name = "why", .kind = CONTROL_STRING, MEMBER(control_declined, why) },
};

enum { N_DECLINED_KEYS = sizeof(declined_keys) / sizeof(declined_keys[0]) };

static bool take_examples(const cJSON *item, const struct control_key *key, void *target, struct error *err)
{
	struct control_answer *answer = target;

	if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) > CONTROL_MOST_EXAMPLES)
		return error_set(err, ERROR_DATA, "'%s' must be a list of at most %d rows", key->name, CONTROL_MOST_EXAMPLES);
	for (const cJSON *one = item->child; one; one = one->next) {
		if (!cJSON_IsObject(one))
			return error_set(err, ERROR_DATA, "'%s' must be a list of objects", key->name);
		if (!control_json_take(one, declined_keys, N_DECLINED_KEYS, &answer->examples[answer->n_examples++], err))
			return false;
	}
	return true;
}

static void give_examples(cJSON *object, const struct control_key *key, const void *source)
{
	const struct control_answer *answer = source;
	cJSON *list;

	if (!answer->n_examples)
		return;
	list = control_json_add_list(object, key->name);
	for (size_t i = 0; i < answer->n_examples; i++)
		control_json_give(control_json_add_object(list), declined_keys, N_DECLINED_KEYS, &answer->examples[i]);
}

static const struct control_key keys[] = {
	{ .name = "status", .kind = CONTROL_NUMBER, .required = true, MEMBER(control_answer, status), .most = ERROR_CONFIG },
	{ .name = "text", .kind = CONTROL_STRING, MEMBER(control_answer, text) },
	{ .name = "rows", .kind = CONTROL_NUMBER, MEMBER(control_answer, rows), .most = CONTROL_MOST_NUMBER },
	{ .name = "declined", .kind = CONTROL_NUMBER, MEMBER(control_answer, declined), .most = CONTROL_MOST_NUMBER },
	{ .name = "examples", .kind = CONTROL_OTHER, .take = take_examples, .give = give_examples },
	{ .name = "manifest", .kind = CONTROL_NUMBER, MEMBER(control_answer, manifest), .least = 1, .most = CONTROL_MOST_NUMBER },
};

enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

/* Escaped, and cut between characters so that it fits. size includes the NUL. */
static void put_shown(char *ret_shown, size_t size, const char *words)
{
	struct text piece = { 0 };
	size_t length = 0;

	for (size_t n; *words; words += n) {
		for (n = 1; n < 4 && (words[n] & 0xc0) == 0x80; n++)
			;
		text_clear(&piece);
		text_escape(&piece, words, n);
		if (length + piece.length >= size)
			break;
		memcpy(ret_shown + length, piece.data, piece.length);
		length += piece.length;
	}
	ret_shown[length] = '\0';
	text_free(&piece);
}

__attribute__((format(printf, 3, 0))) static void put_format(char *ret_shown, size_t size, const char *format, va_list arguments)
{
	char words[CONTROL_MOST_TEXT + 1];

	vsnprintf(words, sizeof(words), format, arguments);
	put_shown(ret_shown, size, words);
}

void control_answer_say(struct control_answer *answer, enum error_code status, const char *format, ...)
{
	va_list arguments;

	answer->status = status;
	va_start(arguments, format);
	put_format(answer->text, sizeof(answer->text), format, arguments);
	va_end(arguments);
}

void control_answer_fail(struct control_answer *answer, const struct error *err)
{
	control_answer_say(answer, err->code, "%s", err->text);
}

void control_answer_decline(struct control_answer *answer, int64_t row, const char *format, ...)
{
	struct control_declined *example = &answer->examples[answer->n_examples];
	va_list arguments;

	answer->declined++;
	if (answer->n_examples == CONTROL_MOST_EXAMPLES)
		return;
	answer->n_examples++;
	example->row = row;
	va_start(arguments, format);
	put_format(example->why, sizeof(example->why), format, arguments);
	va_end(arguments);
}

bool control_answer_read(const char *line, size_t length, struct control_answer *ret_answer, struct error *err)
{
	struct control_answer *answer = xcalloc(1, sizeof(*answer));
	bool good = control_json_read(line, length, keys, N_KEYS, answer, err);

	/* A status is one that the commands end with (sysexits.h). */
	if (good && answer->status != ERROR_NONE && answer->status < ERROR_USAGE)
		good = error_set(err, ERROR_DATA, "'status' must be 0 or an exit status of sysexits.h");
	if (good)
		*ret_answer = *answer;
	free(answer);
	return good;
}

void control_answer_write(const struct control_answer *answer, struct text *text)
{
	struct control_answer *shown = xmalloc(sizeof(*shown));

	*shown = *answer;
	put_shown(shown->text, sizeof(shown->text), answer->text);
	for (size_t i = 0; i < answer->n_examples; i++)
		put_shown(shown->examples[i].why, sizeof(shown->examples[i].why), answer->examples[i].why);
	control_json_write(keys, N_KEYS, shown, text);
	free(shown);
}
