#include "cli/daemon_inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/start.h"
#include "queue/figures.h"

#include <inttypes.h>
#include <string.h>
#include <systemd/sd-daemon.h>

/* A turn takes in at most so many events; after a commit that failed, the next one is tried so much later. */
enum { MOST_EVENTS = 64, COMMIT_AGAIN_MS = 1000 };

/* Nothing new is begun. */
static bool is_draining(const struct daemon *d)
{
	return d->stopping || d->renewing;
}

static void gather(struct daemon *d)
{
	struct text complaint = { 0 };
	struct error err;

	submit_listen(d->submit, d->now_ms, d->wall_ms);
	if (d->now_ms < d->commit_at_ms)
		return;
	/* First, while nothing is changed: a receipt tells what is committed. */
	if (!d->stopping && !desk_work(d->desk, d->wall_ms, &err))
		log_write(LOG_ERR, "%s", err.text);
	for (; desk_complaint(d->desk, &complaint); text_clear(&complaint))
		teller_complain(&d->teller, complaint.data, d->now_ms);
	text_free(&complaint);
	if (!d->stopping)
		orders_gather(d->orders, d->now_ms, d->wall_ms);
	intake_gather(d->intake, d->now_ms, d->wall_ms, !is_draining(d));
	if (!is_draining(d))
		keeper_gather(d->keeper, d->now_ms, d->wall_ms, submit_server_ms(d->submit, d->now_ms));
	/* After a failed commit, answers are written before any further row is claimed. */
	submit_gather(d->submit, !is_draining(d) && (d->failed_commits == 0 || submit_unwritten(d->submit) == 0));
}

static bool commit(struct daemon *d)
{
	struct error err;

	if (queue_commit(d->queue, &err)) {
		if (d->failed_commits)
			log_write(LOG_NOTICE, "the queue can be written again, after %" PRId64 " failed tries", d->failed_commits);
		d->failed_commits = 0;
		return true;
	}
	if (d->failed_commits++ == 0)
		log_write(LOG_ERR, "%s: nothing is sent or removed until the queue can be written; it is tried again every second",
			  err.text);
	d->commit_at_ms = d->now_ms + COMMIT_AGAIN_MS;
	return false;
}

/* There is work for the next turn at once. */
static bool has_work(const struct daemon *d)
{
	return orders_busy(d->orders) || intake_busy(d->intake) || desk_busy(d->desk);
}

/* For STATUS=, and whether there is progress for the watchdog. */
static void tell(struct daemon *d)
{
	const struct intake_facts intake = intake_facts(d->intake);
	const struct teller_facts facts = {
		.stopping = d->stopping,
		.renewing = d->renewing,
		.failing = d->failed_commits > 0,
		.short_of_space = intake.short_of_space,
		.loading = intake.loading,
		.loaded_per_cent = intake.loaded_per_cent,
	};
	struct text doing = { 0 };

	for (size_t i = 0; i < d->config->n_endpoints; i++) {
		const struct submit_figures figures = submit_figures(d->submit, i);

		d->endpoints[i] = (struct teller_endpoint){ d->config->endpoints[i].name, figures.state, figures.reason };
	}
	teller_doing(&doing, &facts, d->endpoints, d->config->n_endpoints);
	progress_show(d->progress, d->now_ms, submit_in_flight(d->submit), doing.length ? doing.data : "");
	text_free(&doing);
	teller_counts(&d->teller, d->now_ms, false);
	pulse_moved(&d->pulse, queue_commits(d->queue) + intake_done(d->intake) + desk_done(d->desk) + keeper_done(d->keeper));
	if (pulse_beat(&d->pulse, d->now_ms))
		sd_notify(0, "WATCHDOG=1");
}

static void turn(struct daemon *d)
{
	bool committed = true;

	d->now_ms = clock_steady_ms();
	d->wall_ms = clock_wall_ms();
	gather(d);
	if (d->now_ms >= d->commit_at_ms) {
		committed = commit(d);
		orders_act(d->orders, committed);
		submit_act(d->submit, committed, d->now_ms);
		intake_act(d->intake, committed);
		desk_act(d->desk, committed);
		keeper_act(d->keeper, committed, !has_work(d) && submit_in_flight(d->submit) == 0, d->now_ms);
		if (committed)
			teller_settled(&d->teller, d->queue, d->now_ms);
		if (orders_reloaded(d->orders))
			intake_look_again(d->intake);
		if (orders_receipt_due(d->orders) || intake_landed(d->intake) > 0 || (committed && queue_settled(d->queue) > 0))
			desk_look(d->desk);
	}
	tell(d);
	monitor_work(d->monitor, d->now_ms, d->failed_commits);
}

static bool is_idle(struct daemon *d)
{
	return submit_in_flight(d->submit) == 0 && !has_work(d) && intake_all_loaded(d->intake) && !submit_can_move(d->submit, d->now_ms) &&
	       d->failed_commits == 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* How long the loop may sleep, in microseconds; UINT64_MAX: until something happens. */
static uint64_t wait_us(struct daemon *d)
{
	int64_t next = INT64_MAX, http = http_timeout_ms(d->http), wait;

	if (d->now_ms < d->commit_at_ms) {
		next = d->commit_at_ms;
	} else if (!is_draining(d)) {
		if (has_work(d))
			return 0;
		next = earlier(intake_next_ms(d->intake), submit_next_ms(d->submit, d->now_ms));
		next = earlier(next, keeper_next_ms(d->keeper));
		wait = desk_next_ms(d->desk);
		if (wait != INT64_MAX)
			next = earlier(next, d->now_ms + (wait > d->wall_ms ? wait - d->wall_ms : 0));
	} else {
		if (!d->stopping && orders_busy(d->orders))
			return 0;
		next = d->stop_by_ms;
	}
	if (is_draining(d) && d->now_ms >= d->commit_at_ms && submit_unwritten(d->submit) > 0)
		return 0;
	next = earlier(earlier(next, progress_next_ms(d->progress)), monitor_next_ms(d->monitor));
	next = earlier(earlier(next, teller_next_ms(&d->teller)), pulse_next_ms(&d->pulse, clock_steady_ms()));
	wait = next == INT64_MAX ? INT64_MAX : next - clock_steady_ms();
	if (http >= 0)
		wait = earlier(wait, http);
	if (wait == INT64_MAX)
		return UINT64_MAX;
	return wait > 0 ? (uint64_t)wait * 1000 : 0;
}

static int finish(struct daemon *d)
{
	size_t in_flight = submit_in_flight(d->submit);
	int status;

	if (in_flight)
		log_write(LOG_WARNING, "stopped with %zu requests in flight: their rows will be in_doubt", in_flight);
	monitor_end(d->monitor, d->now_ms, d->failed_commits);
	progress_end(d->progress);
	if (!d->until_idle || d->stopping)
		return 0;
	status = progress_status(d->progress);
	return intake_tell_left(d->intake) && status == 0 ? ERROR_DATA : status;
}

/* Where answers cannot be written, waiting is better than the doubt that a new start would make of them. */
static bool is_drained(struct daemon *d)
{
	if (submit_in_flight(d->submit) == 0)
		return !orders_busy(d->orders) || d->now_ms >= d->stop_by_ms;
	return d->now_ms >= d->stop_by_ms && submit_unwritten(d->submit) == 0;
}

/* The file may have changed since the HUP, and a daemon that ends for that would be worse than none of it. */
static bool may_end_to_renew(struct daemon *d)
{
	struct error err;

	if (!d->renewing || !is_drained(d))
		return false;
	if (start_may_renew(d->config, &err))
		return true;
	daemon_go_on_as_before(d, &err);
	return false;
}

int daemon_run(struct daemon *d, int *ret_lock)
{
	int status;

	log_write(LOG_NOTICE, "trackbridge " TRACKBRIDGE_VERSION " started: %zu sources, %zu endpoints", d->config->n_sources,
		  d->config->n_endpoints);
	sd_notify(0, "READY=1");
	for (uint64_t wait = 0;; wait = wait_us(d)) {
		int result = sd_event_run(d->event, wait);

		if (result == 0 && wait > 0)
			pulse_rested(&d->pulse);
		for (int n = 1; result > 0 && n < MOST_EVENTS; n++)
			result = sd_event_run(d->event, 0);
		if (result < 0) {
			log_write(LOG_ERR, "the event loop failed: %s", strerror(-result));
			return ERROR_INTERNAL;
		}
		turn(d);
		if (d->stopping && (submit_in_flight(d->submit) == 0 || d->now_ms >= d->stop_by_ms))
			return finish(d);
		if (may_end_to_renew(d)) {
			status = finish(d);
			*ret_lock = store_release_lock(&d->store);
			return status;
		}
		if (d->until_idle && is_idle(d))
			return finish(d);
	}
}
