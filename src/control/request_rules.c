#include "control/request_inside.h"

#include <string.h>

enum {
	TAKES_ROWS = 1 << 0,
	TAKES_MANIFEST = 1 << 1,
	TAKES_CARD = 1 << 2,
	TAKES_STATE = 1 << 3,
	TAKES_ERROR_CODE = 1 << 4,
	TAKES_ALL = 1 << 5,
	SELECTOR = TAKES_ROWS | TAKES_MANIFEST | TAKES_CARD | TAKES_STATE | TAKES_ERROR_CODE | TAKES_ALL,
	TAKES_RESOLUTION = 1 << 6,
	TAKES_OPERATION_ID = 1 << 7,
	TAKES_ENDPOINT = 1 << 8,
	TAKES_OLDER_THAN = 1 << 9,
	TAKES_DRY_RUN = 1 << 10,
	TAKES_ANYWAY = 1 << 11,
	N_PARTS = 12,
};

static const char *const part_names[N_PARTS] = { "rows",       "manifest",     "card",     "state",         "error_code", "all",
						 "resolution", "operation_id", "endpoint", "older_than_ms", "dry_run",    "anyway" };

/* A reason is taken by all. needs: one of these at least. */
static const struct rule {
	unsigned takes, needs;
	const char *lack;
} rules[CONTROL_N_COMMANDS] = {
	[CONTROL_RETRY] = { SELECTOR | TAKES_DRY_RUN | TAKES_ANYWAY, SELECTOR, NULL },
	[CONTROL_HOLD] = { SELECTOR | TAKES_DRY_RUN, SELECTOR, NULL },
	[CONTROL_RELEASE] = { SELECTOR | TAKES_DRY_RUN, SELECTOR, NULL },
	[CONTROL_CANCEL] = { SELECTOR | TAKES_DRY_RUN, SELECTOR, NULL },
	[CONTROL_RESOLVE] = { SELECTOR | TAKES_RESOLUTION | TAKES_OPERATION_ID | TAKES_DRY_RUN, SELECTOR, NULL },
	[CONTROL_RELOAD] = { TAKES_MANIFEST, TAKES_MANIFEST, "the number of a manifest ('manifest')" },
	[CONTROL_PAUSE] = { TAKES_ENDPOINT | TAKES_MANIFEST, TAKES_ENDPOINT | TAKES_MANIFEST,
			    "an endpoint ('endpoint') or a manifest ('manifest')" },
	[CONTROL_RESUME] = { TAKES_ENDPOINT | TAKES_MANIFEST, TAKES_ENDPOINT | TAKES_MANIFEST,
			     "an endpoint ('endpoint') or a manifest ('manifest')" },
	[CONTROL_RECEIPT] = { TAKES_MANIFEST, TAKES_MANIFEST, "the number of a manifest ('manifest')" },
	[CONTROL_PURGE] = { TAKES_OLDER_THAN | TAKES_DRY_RUN, 0, NULL },
};

static unsigned parts_of(const struct control_request *request)
{
	const bool there[N_PARTS] = {
		request->n_rows > 0,
		request->manifest != 0,
		request->card[0] != '\0',
		request->by_state,
		request->error_code[0] != '\0',
		request->all,
		request->resolution != CONTROL_UNRESOLVED,
		request->operation_id[0] != '\0',
		request->endpoint[0] != '\0',
		request->older_than_ms != 0,
		request->dry_run,
		request->anyway,
	};
	unsigned parts = 0;

	for (unsigned i = 0; i < N_PARTS; i++)
		parts |= there[i] ? 1U << i : 0;
	return parts;
}

static bool resolve_rules(const struct control_request *request, struct error *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

	if (request->resolution == CONTROL_UNRESOLVED)
		return error_set(err, ERROR_USAGE, "resolve needs a word on the rows ('resolution'): accepted or resend");
	if (!request->operation_id[0])
		return true;
	if (request->resolution != CONTROL_ACCEPTED)
		return error_set(err, ERROR_USAGE, "'operation_id' goes with accepted rows only");
	/* As D1's own are taken (track/verdict.h). */
	if (request->operation_id[strspn(request->operation_id, allowed)])
		return error_set(err, ERROR_DATA, "'operation_id' must be 1 to %d letters, digits, '_' or '-'", TRACK_MOST_OPERATION_ID);
	return true;
}

bool control_request_rules(const struct control_request *request, struct error *err)
{
	const struct rule *rule = &rules[request->command];
	const char *command = control_command_names[request->command];
	unsigned parts = parts_of(request), selector = parts & SELECTOR;

	for (unsigned i = 0; i < N_PARTS; i++) {
		if (parts & ~rule->takes & 1U << i)
			return error_set(err, ERROR_USAGE, "%s does not take '%s'", command, part_names[i]);
	}
	if (rule->needs && !(parts & rule->needs))
		return error_set(err, ERROR_USAGE, "%s needs %s", command,
				 rule->lack ? rule->lack : "a selector: one of 'rows', 'manifest', 'card', 'state', 'error_code' or 'all'");
	/* Whoever says both is thinking of more rows, or of fewer, than the other half says. */
	if (request->all && selector != TAKES_ALL)
		return error_set(err, ERROR_USAGE, "'all' does not go with another selector");
	if ((parts & TAKES_ENDPOINT) && (parts & TAKES_MANIFEST))
		return error_set(err, ERROR_USAGE, "%s takes 'endpoint' or 'manifest', not both", command);
	return request->command == CONTROL_RESOLVE ? resolve_rules(request, err) : true;
}
