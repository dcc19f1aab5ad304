/*
 * listen: the socket's file. It appears by a rename, listening and with its final mode and group; what stands at the path already is
 * replaced only if it is a socket that nobody listens on. The caller holds the lock of the state directory.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Which file it is: nobody removes another's. */
struct control_place {
	dev_t device;
	ino_t inode;
};

/* control_listen gives a listening socket at path: mode 0660, in the group of its directory where the process may give it that. It does not
 * block. ERROR_CONFIG: the path is too long, or something else is there; ERROR_TRY_LATER: somebody listens there. */
bool control_listen(const char *path, int *ret_fd, struct control_place *ret_place, struct error *err);

/* control_unlink removes the file if it still is the same. */
void control_unlink(const char *path, const struct control_place *place);

/* control_address fills a socket's address; ERROR_CONFIG where the path does not fit (unix(7): 107 bytes). */
struct sockaddr_un;
bool control_address(const char *path, struct sockaddr_un *ret_address, struct error *err);
