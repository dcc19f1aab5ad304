/*
 * daemon: one process, one thread, one loop. Each turn of it gathers what happened into one transaction, commits it, and only then acts on
 * what is durable. What was not committed did not happen.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

struct daemon;

/* daemon_new takes the lock of state_dir, opens the queue and settles what a crash left. Borrows config. */
bool daemon_new(const struct config *config, bool until_idle, struct daemon **ret_daemon, struct error *err);
void daemon_free(struct daemon *daemon);

/*
 * daemon_run works until it is told to stop (TERM, INT) or, with until_idle, until nothing can move, and gives the exit status. After a HUP
 * with a good configuration it ends with ret_lock set to the lock of state_dir, which outlives the daemon: the process is to start anew.
 */
int daemon_run(struct daemon *daemon, int *ret_lock);
