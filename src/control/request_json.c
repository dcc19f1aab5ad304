#include "control/json.h"
#include "control/request_inside.h"

#include <string.h>

#define AT(member) .offset = offsetof(struct control_request, member), .size = sizeof(((struct control_request *)0)->member)

/* As the longest duration of the configuration: 36500 days. */
#define MOST_AGE INT64_C(3153600000000)

static const char *const resolutions[CONTROL_N_RESOLUTIONS] = { "", [CONTROL_ACCEPTED] = "accepted", [CONTROL_RESEND] = "resend" };

static bool take_rows(const cJSON *item, const struct control_key *key, void *target, struct error *err)
{
	int64_t row;

	if (!cJSON_IsArray(item) || !item->child)
		return error_set(err, ERROR_DATA, "'%s' must be a list of row numbers", key->name);
	for (const cJSON *one = item->child; one; one = one->next) {
		if (!control_json_number(one, key, &row, err))
			return false;
		if (!control_request_add_row(target, row))
			return error_set(err, ERROR_DATA, "'%s' has more than %d rows", key->name, CONTROL_MOST_ROWS);
	}
	return true;
}

static void give_rows(cJSON *object, const struct control_key *key, const void *source)
{
	const struct control_request *request = source;
	cJSON *list;

	if (!request->n_rows)
		return;
	list = control_json_add_list(object, key->name);
	for (size_t i = 0; i < request->n_rows; i++)
		control_json_add_number(list, request->rows[i]);
}

static bool take_state(const cJSON *item, const struct control_key *key, void *target, struct error *err)
{
	struct control_request *request = target;

	for (enum row_state state = ROW_QUEUED; state < ROW_N_STATES; state++) {
		if (cJSON_IsString(item) && strcmp(item->valuestring, queue_state_name(state)) == 0) {
			request->by_state = true;
			request->state = state;
			return true;
		}
	}
	return error_set(err, ERROR_DATA, "'%s' must be the name of a row's state", key->name);
}

static void give_state(cJSON *object, const struct control_key *key, const void *source)
{
	const struct control_request *request = source;

	if (request->by_state)
		control_json_add_string(object, key->name, queue_state_name(request->state));
}

static const struct control_key keys[] = {
	{ .name = "command",
	  .kind = CONTROL_WORD,
	  .required = true,
	  AT(command),
	  .words = control_command_names,
	  .n_words = CONTROL_N_COMMANDS },
	{ .name = "rows", .kind = CONTROL_OTHER, .take = take_rows, .give = give_rows, .least = 1, .most = CONTROL_MOST_NUMBER },
	{ .name = "manifest", .kind = CONTROL_NUMBER, AT(manifest), .least = 1, .most = CONTROL_MOST_NUMBER },
	{ .name = "card", .kind = CONTROL_STRING, AT(card) },
	{ .name = "state", .kind = CONTROL_OTHER, .take = take_state, .give = give_state },
	{ .name = "error_code", .kind = CONTROL_STRING, AT(error_code) },
	{ .name = "all", .kind = CONTROL_FLAG, AT(all) },
	{ .name = "resolution", .kind = CONTROL_WORD, AT(resolution), .words = resolutions, .n_words = CONTROL_N_RESOLUTIONS },
	{ .name = "operation_id", .kind = CONTROL_STRING, AT(operation_id) },
	{ .name = "endpoint", .kind = CONTROL_STRING, AT(endpoint) },
	{ .name = "older_than_ms", .kind = CONTROL_NUMBER, AT(older_than_ms), .least = 1, .most = MOST_AGE },
	{ .name = "dry_run", .kind = CONTROL_FLAG, AT(dry_run) },
	{ .name = "anyway", .kind = CONTROL_FLAG, AT(anyway) },
	{ .name = "reason", .kind = CONTROL_STRING, AT(reason) },
};

enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

bool control_request_read(const char *line, size_t length, struct control_request *ret_request, struct error *err)
{
	struct control_request request = { 0 };

	if (!control_json_read(line, length, keys, N_KEYS, &request, err) || !control_request_rules(&request, err)) {
		control_request_free(&request);
		return false;
	}
	*ret_request = request;
	return true;
}

void control_request_write(const struct control_request *request, struct text *text)
{
	control_json_write(keys, N_KEYS, request, text);
}

bool control_request_check(const struct control_request *request, struct error *err)
{
	struct control_request read = { 0 };
	struct text line = { 0 };
	bool good;

	control_request_write(request, &line);
	good = control_request_read(line.data, line.length - 1, &read, err);
	control_request_free(&read);
	text_free(&line);
	return good;
}
