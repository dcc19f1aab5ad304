#include "cli/daemon_inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/start.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

/* How often the watchdog is fed in the time that it waits. */
enum { FEEDS = 3 };

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
	struct daemon *d = user;

	(void)source;
	if (!d->stopping) {
		d->stopping = true;
		d->renewing = false;
		d->stop_by_ms = clock_steady_ms() + d->config->stop_timeout_ms;
		control_server_stop(d->control);
		log_write(LOG_NOTICE, "stopping: %zu requests in flight may finish", submit_in_flight(d->submit));
		sd_notify(0, "STOPPING=1\nSTATUS=stopping: what is in flight may finish");
	}
	(void)info;
	return 0;
}

void daemon_go_on_as_before(struct daemon *d, const struct error *why)
{
	d->renewing = false;
	log_write(LOG_ERR, "HUP: %s: nothing is changed, the configuration of the start stays in force", why->text);
	sd_notify(0, "READY=1\nSTATUS=the new configuration is not good: the one of the start stays in force");
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
	struct daemon *d = user;
	struct error err;

	(void)source;
	(void)info;
	if (d->stopping || d->until_idle) {
		log_write(LOG_NOTICE, "HUP: without effect %s", d->stopping ? "while stopping" : "with --until-idle");
	} else if (d->renewing) {
		if (!d->hung_up_again)
			log_write(LOG_NOTICE, "HUP again: the configuration that is there when the requests in flight have ended counts");
		d->hung_up_again = true;
	} else {
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=reading the configuration", clock_monotonic_us());
		if (!start_may_renew(d->config, &err)) {
			daemon_go_on_as_before(d, &err);
			return 0;
		}
		d->renewing = true;
		d->hung_up_again = false;
		d->stop_by_ms = clock_steady_ms() + d->config->stop_timeout_ms;
		log_write(LOG_NOTICE, "HUP: the new configuration is good; %zu requests in flight may finish", submit_in_flight(d->submit));
	}
	return 0;
}

static int on_inotify(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct daemon *d = user;

	(void)source;
	(void)fd;
	(void)events;
	intake_events(d->intake, clock_steady_ms());
	return 0;
}

/* Only wakes the loop: the turn itself runs what is ready. */
static int on_network(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source;
	(void)fd;
	(void)events;
	(void)user;
	return 0;
}

static bool watch_events(struct daemon *d, struct error *err)
{
	sigset_t signals;
	int result;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	result = sd_event_new(&d->event);
	/* All sources at one priority: at a lower one, a source behind busy input would never run. */
	if (result >= 0)
		result = sd_event_add_signal(d->event, NULL, SIGTERM, on_stop, d);
	if (result >= 0)
		result = sd_event_add_signal(d->event, NULL, SIGINT, on_stop, d);
	if (result >= 0)
		result = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
	if (result >= 0)
		result = sd_event_add_io(d->event, NULL, intake_descriptor(d->intake), EPOLLIN, on_inotify, d);
	if (result >= 0)
		result = sd_event_add_io(d->event, NULL, http_descriptor(d->http), EPOLLIN, on_network, d);
	return result >= 0 ? true : error_errno(err, -result, "the event loop");
}

static void on_order(void *user, const struct control_order *order)
{
	struct daemon *d = user;

	orders_put(d->orders, order->id, &order->peer, &order->request);
}

static void answer_order(void *user, uint64_t id, const struct control_answer *answer)
{
	struct daemon *d = user;

	control_server_answer(d->control, id, answer);
}

/* After so long without a sign of life the service manager ends us; 0: nobody watches. */
static int64_t watchdog_ms(void)
{
	uint64_t watched_us;

	return sd_watchdog_enabled(0, &watched_us) > 0 ? (int64_t)(watched_us / 1000) : 0;
}

bool daemon_new(const struct config *config, bool until_idle, struct daemon **ret_daemon, struct error *err)
{
	struct daemon *d = xcalloc(1, sizeof(*d));
	int64_t in_doubt = 0;

	d->config = config;
	d->until_idle = until_idle;
	d->now_ms = clock_steady_ms();
	d->wall_ms = clock_wall_ms();
	if (!store_open(config, d->now_ms, d->wall_ms, &d->store, &in_doubt, err)) {
		daemon_free(d);
		return false;
	}
	d->queue = d->store.queue;
	if (in_doubt)
		log_write(LOG_WARNING,
			  "%" PRId64
			  " rows were being sent when the last process ended: whether D1 has them is not known (list --state in_doubt)",
			  in_doubt);
	if (!http_new(&d->http, err) || !submit_new(config, d->queue, d->http, in_doubt > 0, &d->submit, err) ||
	    !intake_new(config, d->queue, &d->intake, err)) {
		daemon_free(d);
		return false;
	}
	d->desk = desk_new(config, d->queue);
	d->keeper = keeper_new(config, d->queue, d->now_ms);
	d->orders = orders_new(config, d->queue, d->submit, answer_order, d);
	d->monitor = monitor_new(config, d->queue, d->submit);
	d->endpoints = xcalloc(config->n_endpoints, sizeof(*d->endpoints));
	d->pulse = pulse_new(watchdog_ms() / FEEDS);
	if (!progress_new(d->queue, until_idle, &d->progress, err) || !watch_events(d, err) ||
	    !control_server_new(d->event, config->control_socket, on_order, d, &d->control, err)) {
		daemon_free(d);
		return false;
	}
	*ret_daemon = d;
	return true;
}

void daemon_free(struct daemon *d)
{
	if (!d)
		return;
	teller_counts(&d->teller, d->now_ms, true);
	free(d->endpoints);
	control_server_free(d->control);
	orders_free(d->orders);
	keeper_free(d->keeper);
	sd_event_unref(d->event);
	monitor_free(d->monitor);
	progress_free(d->progress);
	desk_free(d->desk);
	intake_free(d->intake);
	if (d->http)
		http_abort_all(d->http);
	submit_free(d->submit);
	http_free(d->http);
	store_close(&d->store);
	free(d);
}
