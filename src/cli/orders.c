#include "cli/orders.h"

#include "base/file.h"
#include "base/log.h"
#include "intake/reload.h"
#include "queue/order.h"
#include "queue/purge.h"
#include "submit/pace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows that one turn looks at: some ten milliseconds. */
enum { SLICE = 1000 };

enum step {
	WAITING, /* nothing is written of it */
	WORKING, /* a move that is given and not finished */
	DONE,    /* the answer is ready, and waits for the commit */
};

struct one {
	uint64_t id; /* 0: nobody waits for the answer */
	const struct control_peer *peer;
	const struct control_request *request;
	enum step step;
	bool again; /* a turn that did it could not be committed */
	struct one *next;
};

struct orders {
	const struct config *config;
	struct queue *queue;
	struct submit *submit;
	orders_answered *answered;
	void *user;
	struct one *first, *last;
	struct control_answer answer; /* of the first */
	struct queue_purged purged;   /* by the first */
	bool reloaded, receipt_due;
};

static struct one *put(struct orders *orders, struct one *as)
{
	struct one *one = xcalloc(1, sizeof(*one));

	*one = *as;
	if (orders->last)
		orders->last->next = one;
	else
		orders->first = one;
	orders->last = one;
	return one;
}

static void drop_first(struct orders *orders)
{
	struct one *one = orders->first;

	orders->first = one->next;
	if (!orders->first)
		orders->last = NULL;
	free(one);
}

struct orders *orders_new(const struct config *config, struct queue *queue, struct submit *submit, orders_answered *answered, void *user)
{
	struct orders *orders = xcalloc(1, sizeof(*orders));

	*orders = (struct orders){ .config = config, .queue = queue, .submit = submit, .answered = answered, .user = user };
	if (queue_order_open(queue)) {
		log_write(LOG_NOTICE, "an operator's order that was cut short is carried on");
		put(orders, &(struct one){ .step = WORKING });
	}
	return orders;
}

void orders_free(struct orders *orders)
{
	if (!orders)
		return;
	while (orders->first)
		drop_first(orders);
	free(orders);
}

void orders_put(struct orders *orders, uint64_t id, const struct control_peer *peer, const struct control_request *request)
{
	put(orders, &(struct one){ .id = id, .peer = peer, .request = request });
}

static struct queue_action action_of(const struct one *one, const char *selector, int64_t rows, int64_t wall_ms)
{
	return (struct queue_action){
		.user = one->peer->user,
		.uid = one->peer->uid,
		.action = control_command_name(one->request->command),
		.selector = selector,
		.reason = one->request->reason,
		.rows = rows,
		.wall_ms = wall_ms,
	};
}

/* --- moves of rows --- */

static enum queue_move move_of(const struct control_request *request)
{
	switch (request->command) {
	case CONTROL_RETRY: return QUEUE_RETRY;
	case CONTROL_HOLD: return QUEUE_HOLD;
	case CONTROL_RELEASE: return QUEUE_RELEASE;
	case CONTROL_CANCEL: return QUEUE_CANCEL;
	case CONTROL_RESOLVE:
	case CONTROL_RELOAD:
	case CONTROL_PAUSE:
	case CONTROL_RESUME:
	case CONTROL_RECEIPT:
	case CONTROL_BACKUP:
	case CONTROL_PURGE:
	case CONTROL_NONE:
	case CONTROL_N_COMMANDS: break;
	}
	return request->resolution == CONTROL_RESEND ? QUEUE_RESOLVE_RESEND : QUEUE_RESOLVE_ACCEPTED;
}

static int by_number(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

static bool give(struct orders *orders, struct one *one, int64_t wall_ms)
{
	const struct control_request *r = one->request;
	scoped_text struct text selector = { 0 };
	scoped_free int64_t *rows = xcalloc(r->n_rows + 1, sizeof(*rows));
	struct queue_order order = {
		.move = move_of(r),
		.rows = rows,
		.manifest = r->manifest,
		.card = r->card[0] ? r->card : NULL,
		.state = r->by_state ? (int)r->state : -1,
		.error_code = r->error_code[0] ? r->error_code : NULL,
		.anyway = r->anyway,
		.dry_run = r->dry_run,
		.operation_id = r->operation_id[0] ? r->operation_id : NULL,
	};

	for (size_t i = 0; i < r->n_rows; i++)
		rows[i] = r->rows[i];
	qsort(rows, r->n_rows, sizeof(*rows), by_number);
	/* A row that is named twice is moved once. */
	for (size_t i = 0; i < r->n_rows; i++) {
		if (!order.n_rows || rows[order.n_rows - 1] != rows[i])
			rows[order.n_rows++] = rows[i];
	}
	control_request_describe(r, &selector);
	order.who = action_of(one, selector.data, 0, wall_ms);
	return queue_order_give(orders->queue, &order, wall_ms);
}

static void tell_moved(struct orders *orders, const struct one *one, const struct queue_order_result *result)
{
	struct control_answer *answer = &orders->answer;
	const char *verb = one->request && one->request->dry_run ? "would be" : "are";

	answer->rows = result->moved;
	answer->declined = result->declined;
	answer->n_examples = result->n_examples;
	for (size_t i = 0; i < result->n_examples; i++) {
		answer->examples[i].row = result->examples[i].row;
		snprintf(answer->examples[i].why, sizeof(answer->examples[i].why), "%s", result->examples[i].why);
	}
	control_answer_say(answer, result->declined ? ERROR_DATA : ERROR_NONE, "%" PRId64 " rows %s moved, %" PRId64 " %s declined",
			   result->moved, verb, result->declined, verb);
}

static void work_on_move(struct orders *orders, struct one *one, int64_t now_ms, int64_t wall_ms)
{
	const struct queue_order_result *result;
	bool done = false;

	if (one->step == WAITING && !give(orders, one, wall_ms))
		return;
	one->step = WORKING;
	if (!queue_order_slice(orders->queue, SLICE, now_ms, wall_ms, &done, &result) || !done)
		return;
	tell_moved(orders, one, result);
	one->step = DONE;
}

/* --- all the others are done at once --- */

static int endpoint_named(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_endpoints; i++) {
		if (strcmp(config->endpoints[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

/* Without a daemon, what it will take over when it starts. */
static bool store_endpoint(struct orders *orders, int index, bool pause, const char **ret_why)
{
	struct queue_endpoint stored;
	bool open, waits;

	if (!queue_endpoint_load(orders->queue, index, &stored))
		return false;
	open = strcmp(stored.state, "open") == 0;
	waits = strcmp(stored.reason, pace_reason_name(PACE_OPERATOR)) == 0 || strcmp(stored.reason, pace_reason_name(PACE_RESTORED)) == 0;
	*ret_why = pause && !open && waits ? "is paused already" : !pause && open ? "is not paused" : NULL;
	if (*ret_why)
		return true;
	stored.until_ms = 0;
	stored.step = 0;
	/* The end of a pause of the endpoint's own is that one row probes. */
	if (pause || waits) {
		snprintf(stored.state, sizeof(stored.state), "%s", pause ? "paused" : "open");
		snprintf(stored.reason, sizeof(stored.reason), "%s", pause ? pace_reason_name(PACE_OPERATOR) : "");
	}
	return queue_endpoint_store(orders->queue, index, &stored);
}

static bool move_endpoint(struct orders *orders, struct one *one, struct error *err)
{
	const struct control_request *r = one->request;
	bool pause = r->command == CONTROL_PAUSE;
	int index = endpoint_named(orders->config, r->endpoint);
	const char *why = NULL;

	if (index < 0)
		return error_set(err, ERROR_NO_INPUT, "there is no endpoint %s", r->endpoint);
	if (orders->submit)
		why = pause ? submit_pause(orders->submit, index) : submit_resume(orders->submit, index);
	else if (!store_endpoint(orders, index, pause, &why))
		return error_set(err, ERROR_IO, "endpoint %s cannot be stored", r->endpoint);
	/* Where the turn that did it could not be committed, it is done all the same by now. */
	if (why && !one->again)
		return error_set(err, ERROR_DATA, "endpoint %s %s", r->endpoint, why);
	control_answer_say(&orders->answer, ERROR_NONE, "endpoint %s is %s", r->endpoint, pause ? "paused" : "resumed");
	return true;
}

static bool move_manifest(struct orders *orders, struct one *one, int64_t now_ms, struct error *err)
{
	const struct control_request *r = one->request;
	bool pause = r->command == CONTROL_PAUSE;
	char why[QUEUE_MOST_WHY];

	if (!(pause ? queue_manifest_pause(orders->queue, r->manifest, r->reason, now_ms, why)
		    : queue_manifest_resume(orders->queue, r->manifest, now_ms, why)))
		return error_set(err, ERROR_IO, "manifest %" PRId64 " cannot be stored", r->manifest);
	if (why[0])
		return error_set(err, ERROR_DATA, "%s", why);
	control_answer_say(&orders->answer, ERROR_NONE, "manifest %" PRId64 " is %s", r->manifest, pause ? "paused" : "resumed");
	return true;
}

static bool reload(struct orders *orders, struct one *one, int64_t wall_ms, struct error *err)
{
	int64_t manifest = one->request->manifest, as;

	if (!reload_manifest(orders->config, orders->queue, manifest, wall_ms, &as, err))
		return false;
	orders->answer.manifest = as;
	orders->reloaded = true;
	control_answer_say(&orders->answer, ERROR_NONE, "manifest %" PRId64 " is loaded again as manifest %" PRId64 "%s", manifest, as,
			   orders->submit ? "" : " when the daemon is started");
	return true;
}

static bool receipt(struct orders *orders, struct one *one, int64_t wall_ms, struct error *err)
{
	int64_t manifest = one->request->manifest;
	bool known;

	if (!queue_errand_receipt_again(orders->queue, manifest, wall_ms, &known))
		return error_set(err, ERROR_IO, "manifest %" PRId64 " cannot be stored", manifest);
	if (!known)
		return error_set(err, ERROR_NO_INPUT, "there is no manifest %" PRId64 " that is loaded", manifest);
	orders->receipt_due = true;
	control_answer_say(&orders->answer, ERROR_NONE, "the receipt of manifest %" PRId64 " is written again%s", manifest,
			   orders->submit ? "" : " when the daemon is started");
	return true;
}

/* --- purge --- */

static void dry_purge(struct orders *orders, const struct queue_purge *as)
{
	scoped_free char *path = file_join(orders->config->state_dir, "queue.db");
	struct queue_purge_due due;
	struct error err = { 0 };

	if (!queue_purge_due(path, as, &due, &err)) {
		control_answer_fail(&orders->answer, &err);
		return;
	}
	orders->answer.rows = due.rows_rows;
	control_answer_say(&orders->answer, ERROR_NONE,
			   "%" PRId64 " manifests with %" PRId64 " rows would go, and the requests of %" PRId64 " rows in %" PRId64
			   " manifests",
			   due.rows_manifests, due.rows_rows, due.bodies_rows, due.bodies_manifests);
}

static void work_on_purge(struct orders *orders, struct one *one, int64_t wall_ms)
{
	const struct control_request *r = one->request;
	const int64_t bodies = orders->config->retention.bodies_ms, rows = orders->config->retention.rows_ms;
	const struct queue_purge as = {
		.bodies_before = wall_ms - (r->older_than_ms && r->older_than_ms < bodies ? r->older_than_ms : bodies),
		.rows_before = wall_ms - (r->older_than_ms ? r->older_than_ms : rows),
	};
	struct queue_purged *purged = &orders->purged;
	scoped_text struct text selector = { 0 };
	struct queue_action action;
	bool done;

	if (one->step == WAITING)
		*purged = (struct queue_purged){ 0 };
	one->step = WORKING;
	if (r->dry_run) {
		dry_purge(orders, &as);
		one->step = DONE;
		return;
	}
	if (!queue_purge_slice(orders->queue, &as, purged, &done) || !done)
		return;
	orders->answer.rows = purged->rows;
	control_answer_say(&orders->answer, ERROR_NONE,
			   "%" PRId64 " manifests with %" PRId64 " rows are gone, the requests of %" PRId64 " rows, and %" PRId64
			   " pages of the file",
			   purged->manifests, purged->rows, purged->bodies, purged->pages);
	control_request_describe(r, &selector);
	action = action_of(one, selector.data ? selector.data : "", purged->rows, wall_ms);
	one->step = queue_action_log(orders->queue, &action) ? DONE : WORKING;
}

static bool do_at_once(struct orders *orders, struct one *one, int64_t now_ms, int64_t wall_ms, struct error *err)
{
	switch (one->request->command) {
	case CONTROL_PAUSE:
	case CONTROL_RESUME: return one->request->manifest ? move_manifest(orders, one, now_ms, err) : move_endpoint(orders, one, err);
	case CONTROL_RELOAD: return reload(orders, one, wall_ms, err);
	case CONTROL_RECEIPT: return receipt(orders, one, wall_ms, err);
	case CONTROL_BACKUP:
	case CONTROL_PURGE:
	case CONTROL_RETRY:
	case CONTROL_HOLD:
	case CONTROL_RELEASE:
	case CONTROL_CANCEL:
	case CONTROL_RESOLVE:
	case CONTROL_NONE:
	case CONTROL_N_COMMANDS: break;
	}
	return error_set(err, ERROR_USAGE, "%s is not known to this version", control_command_name(one->request->command));
}

static void work_at_once(struct orders *orders, struct one *one, int64_t now_ms, int64_t wall_ms)
{
	scoped_text struct text selector = { 0 };
	struct queue_action action;
	struct error err = { 0 };

	one->step = DONE;
	if (!do_at_once(orders, one, now_ms, wall_ms, &err)) {
		control_answer_fail(&orders->answer, &err);
		return;
	}
	control_request_describe(one->request, &selector);
	action = action_of(one, selector.data ? selector.data : "", 0, wall_ms);
	(void)queue_action_log(orders->queue, &action);
}

static bool moves_rows(const struct one *one)
{
	switch (one->request ? one->request->command : CONTROL_RETRY) {
	case CONTROL_RETRY:
	case CONTROL_HOLD:
	case CONTROL_RELEASE:
	case CONTROL_CANCEL:
	case CONTROL_RESOLVE: return true;
	case CONTROL_RELOAD:
	case CONTROL_PAUSE:
	case CONTROL_RESUME:
	case CONTROL_RECEIPT:
	case CONTROL_BACKUP:
	case CONTROL_PURGE:
	case CONTROL_NONE:
	case CONTROL_N_COMMANDS: break;
	}
	return false;
}

void orders_gather(struct orders *orders, int64_t now_ms, int64_t wall_ms)
{
	struct one *one = orders->first;

	if (!one || one->step == DONE)
		return;
	if (one->step == WAITING)
		orders->answer = (struct control_answer){ 0 };
	if (moves_rows(one))
		work_on_move(orders, one, now_ms, wall_ms);
	else if (one->request->command == CONTROL_PURGE)
		work_on_purge(orders, one, wall_ms);
	else
		work_at_once(orders, one, now_ms, wall_ms);
}

void orders_act(struct orders *orders, bool committed)
{
	struct one *one = orders->first;

	if (!one || one->step == WAITING)
		return;
	if (!committed) {
		/* A move that was given before goes on where the database has it. */
		one->step = moves_rows(one) && queue_order_open(orders->queue) ? WORKING : WAITING;
		one->again = true;
		return;
	}
	if (one->step != DONE)
		return;
	if (one->id)
		orders->answered(orders->user, one->id, &orders->answer);
	drop_first(orders);
}

bool orders_busy(const struct orders *orders)
{
	return orders->first != NULL;
}

bool orders_reloaded(struct orders *orders)
{
	bool reloaded = orders->reloaded;

	orders->reloaded = false;
	return reloaded;
}

bool orders_receipt_due(struct orders *orders)
{
	bool due = orders->receipt_due;

	orders->receipt_due = false;
	return due;
}
