#include "base/file.h"
#include "cli/orders_inside.h"
#include "intake/reload.h"
#include "submit/pace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

static void purge(struct orders *orders, struct one *one, int64_t wall_ms)
{
	const struct control_request *r = one->request;
	const int64_t bodies = orders->config->retention.bodies_ms, rows = orders->config->retention.rows_ms;
	const struct queue_purge as = {
		.bodies_before = wall_ms - (r->older_than_ms && r->older_than_ms < bodies ? r->older_than_ms : bodies),
		.rows_before = wall_ms - (r->older_than_ms ? r->older_than_ms : rows),
	};
	struct queue_purged *purged = &orders->purged;
	bool done;

	if (one->step == ORDER_WAITING)
		*purged = (struct queue_purged){ 0 };
	one->step = ORDER_WORKING;
	if (r->dry_run) {
		dry_purge(orders, &as);
		one->step = ORDER_DONE;
		return;
	}
	if (!queue_purge_slice(orders->queue, &as, purged, &done) || !done)
		return;
	orders->answer.rows = purged->rows;
	control_answer_say(&orders->answer, ERROR_NONE,
			   "%" PRId64 " manifests with %" PRId64 " rows are gone, the requests of %" PRId64 " rows, and %" PRId64
			   " pages of the file",
			   purged->manifests, purged->rows, purged->bodies, purged->pages);
	one->step = order_log(orders, one, purged->rows, wall_ms) ? ORDER_DONE : ORDER_WORKING;
}

static bool do_at_once(struct orders *orders, struct one *one, int64_t now_ms, int64_t wall_ms, struct error *err)
{
	switch (one->request->command) {
	case CONTROL_PAUSE:
	case CONTROL_RESUME: return one->request->manifest ? move_manifest(orders, one, now_ms, err) : move_endpoint(orders, one, err);
	case CONTROL_RELOAD: return reload(orders, one, wall_ms, err);
	case CONTROL_RECEIPT: return receipt(orders, one, wall_ms, err);
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

static void at_once(struct orders *orders, struct one *one, int64_t now_ms, int64_t wall_ms)
{
	struct error err = { 0 };

	one->step = ORDER_DONE;
	if (do_at_once(orders, one, now_ms, wall_ms, &err))
		(void)order_log(orders, one, 0, wall_ms);
	else
		control_answer_fail(&orders->answer, &err);
}

void order_work(struct orders *orders, struct one *one, int64_t now_ms, int64_t wall_ms)
{
	if (one->request->command == CONTROL_PURGE)
		purge(orders, one, wall_ms);
	else
		at_once(orders, one, now_ms, wall_ms);
}
