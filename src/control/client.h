/*
 * client: a command's end of the control socket. It blocks for as long as the daemon works, without a limit of its own.
 */
#pragma once

#include "base/error.h"
#include "control/answer.h"
#include "control/request.h"

#include <stdbool.h>

enum control_asked {
	CONTROL_ASKED_FAILED,
	CONTROL_ASKED_NOBODY, /* no daemon listens: the caller may take its lock and do the work itself */
	CONTROL_ASKED_ANSWERED,
};

/*
 * control_ask sends the request to the daemon that listens on path and waits for its answer, whose status is the command's. A request that
 * control_request_check does not pass is not sent. FAILED with ERROR_PERMISSION: the caller may not use the socket, and the text says who
 * may; with ERROR_TRY_LATER: the connection ended without an answer, and whether the order was done is not known. NOBODY sets err as well.
 */
enum control_asked control_ask(const char *path, const struct control_request *request, struct control_answer *ret_answer,
			       struct error *err);
