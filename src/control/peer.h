/*
 * peer: who is at the other end of a control connection, as the kernel says it.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct control_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	char user[64]; /* the name, or the uid in digits where it is not known */
};

/* control_peer_of asks for the process that connected (SO_PEERCRED, unix(7)) and looks its user up in passwd_file, "/etc/passwd" where
 * NULL. Directories such as LDAP are not asked: the loop would wait for them. */
bool control_peer_of(int fd, const char *passwd_file, struct control_peer *ret_peer, struct error *err);
