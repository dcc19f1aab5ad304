/*
 * writer: whether a process of this machine has a file open for writing, asked of the kernel by a read lease that is given up at once
 * (fcntl(2), F_SETLEASE). It is no promise for the next moment, and cannot be known of every file: not of one that another user owns,
 * unless we have CAP_LEASE, and not on a network share, where the writer may sit on another machine and a refused lease means other things.
 */
#pragma once

#include <stdbool.h>

/* writer_is_there: fd is open for reading alone. True where a writer was seen; false where there is none or it cannot be known. */
bool writer_is_there(int fd);
