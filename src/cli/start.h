/*
 * start: what a configuration has to pass before a daemon acts on it, and how a daemon becomes its successor at HUP: it makes sure that the
 * new configuration is good, gives up everything but the lock of its state directory, and executes itself again. Nothing is reloaded in
 * place; what is read at a start is read again, keys and certificates too.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

/* start_secrets_are_private: a key that others can read is a configuration error (ERROR_CONFIG), said before anything is sent. */
bool start_secrets_are_private(const struct config *config, struct error *err);

/*
 * start_may_renew reads the file of the configuration in force again, and tells whether a daemon that starts with it would work: everything
 * that `check` calls an error and that does not pass by itself is refused, and so is another state_dir. Changes nothing.
 */
bool start_may_renew(const struct config *in_force, struct error *err);

/* start_anew executes the program again with the arguments and the lock's descriptor (lock.h); it returns only where that fails. The
 * environment is not changed, so other threads may read it. */
void start_anew(char **arguments, int lock, struct error *err);
