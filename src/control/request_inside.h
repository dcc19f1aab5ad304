/*
 * request_inside: which commands there are, and what each of them takes. For request*.c alone.
 */
#pragma once

#include "control/request.h"

extern const char *const control_command_names[CONTROL_N_COMMANDS];

/* control_request_rules tells whether the command has all that it needs and nothing that it does not take. ERROR_USAGE. */
bool control_request_rules(const struct control_request *request, struct error *err);
