/*
 * lock: one writer for each state_dir. The lock is the kernel's and goes with the process; the file only says who holds it.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* The variable of the environment in which a process that becomes its successor names the descriptor of the lock. */
#define LOCK_VARIABLE "TRACKBRIDGE_LOCK"

/*
 * lock_take opens state_dir/lock and locks it, or fails with ERROR_TRY_LATER, naming the holder. Where LOCK_VARIABLE names a descriptor of
 * this very file, and it is locked, that one is taken over, so that no moment is without the lock; anything else there is ignored. The
 * variable is removed: not to be called beside other threads. The caller closes the descriptor.
 */
bool lock_take(const char *state_dir, int *ret_fd, struct error *err);

/* lock_holder gives the pid of the process that holds the lock, or 0. */
pid_t lock_holder(const char *state_dir);
