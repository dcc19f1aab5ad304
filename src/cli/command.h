/*
 * command: the way of a changing command: over the control socket to the daemon or, where none runs, under its lock to the work itself.
 */
#pragma once

#include "config/config.h"
#include "control/request.h"

/* command_give gives the order, shows the answer, and gives the exit status. */
int command_give(const struct config *config, const struct control_request *request);
