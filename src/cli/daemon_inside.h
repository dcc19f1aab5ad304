/*
 * daemon_inside: what daemon.c (the turn and the loop) and daemon_new.c (how it is put together, and what signals do) share. Included by
 * these alone.
 */
#pragma once

#include "cli/daemon.h"
#include "cli/keeper.h"
#include "cli/monitor.h"
#include "cli/orders.h"
#include "cli/progress.h"
#include "cli/pulse.h"
#include "cli/store.h"
#include "cli/teller.h"
#include "control/server.h"
#include "intake/intake.h"
#include "report/desk.h"
#include "submit/http.h"
#include "submit/submit.h"

#include <systemd/sd-event.h>

struct daemon {
	const struct config *config;
	struct store store;
	struct queue *queue; /* the store's */
	struct http *http;
	struct submit *submit;
	struct intake *intake;
	struct desk *desk;
	struct orders *orders;
	struct keeper *keeper;
	struct control_server *control;
	struct progress *progress;
	struct monitor *monitor; /* NULL: no metrics_file */
	struct teller teller;
	struct teller_endpoint *endpoints; /* the configuration's, as they are told of */
	struct pulse pulse;
	sd_event *event;
	int64_t now_ms, wall_ms;
	bool until_idle;
	bool stopping;
	bool renewing; /* as stopping, but to start anew; operators are still heard */
	bool hung_up_again;
	int64_t stop_by_ms;
	int64_t commit_at_ms; /* after a failed commit: not before */
	int64_t failed_commits;
};

/* daemon_go_on_as_before is what becomes of a HUP whose configuration is not good. */
void daemon_go_on_as_before(struct daemon *daemon, const struct error *why);
