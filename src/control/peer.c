#include "control/peer.h"

#include "base/text.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static bool find_name(const char *path, uid_t uid, char *ret_name, size_t size)
{
	struct passwd entry, *found;
	char buffer[4096];
	FILE *file = fopen(path, "re");
	int result;

	if (!file)
		return false;
	/* A line that does not fit ends the search: the call does not pass it over, but stays before it (ERANGE). Lines that begin with +
	 * or - are no users, but refer to NIS (nsswitch.conf(5), compat), with uid 0. */
	while ((result = fgetpwent_r(file, &entry, buffer, sizeof(buffer), &found)) == 0 &&
	       (entry.pw_uid != uid || strchr("+-", entry.pw_name[0])))
		;
	fclose(file);
	if (result || strlen(entry.pw_name) >= size || !text_utf8_valid(entry.pw_name, strlen(entry.pw_name)))
		return false;
	memcpy(ret_name, entry.pw_name, strlen(entry.pw_name) + 1);
	return true;
}

bool control_peer_of(int fd, const char *passwd_file, struct control_peer *ret_peer, struct error *err)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);
	struct control_peer peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return error_errno(err, errno, "the peer of a control connection");
	peer = (struct control_peer){ .uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid };
	if (!find_name(passwd_file ? passwd_file : "/etc/passwd", peer.uid, peer.user, sizeof(peer.user)))
		snprintf(peer.user, sizeof(peer.user), "%u", (unsigned)peer.uid);
	*ret_peer = peer;
	return true;
}
