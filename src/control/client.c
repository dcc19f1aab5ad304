#include "control/client.h"

#include "base/file.h"
#include "control/json.h"
#include "control/listen.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* The group that may use the socket is also that of its directory, which may be all that the caller can see. */
static const struct group *group_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	scoped_free char *directory = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
	struct stat st;

	if (stat(path, &st) < 0 && stat(directory, &st) < 0)
		return NULL;
	return getgrgid(st.st_gid);
}

static bool not_permitted(const char *path, struct error *err)
{
	const struct group *group = group_of(path);

	/* Nobody is asked to join root's group. */
	if (!group || group->gr_gid == 0)
		return error_set(err, ERROR_PERMISSION,
				 "%s: you may not use it; it is for root, the daemon's user and the group of the socket", path);
	return error_set(
		err, ERROR_PERMISSION,
		"%s: you may not use it; it is for root and for members of the group %s (`usermod -aG %s NAME` by root, then log in again)",
		path, group->gr_name, group->gr_name);
}

static bool not_known(const char *path, const char *why, struct error *err)
{
	return error_set(err, ERROR_TRY_LATER, "%s: %s: whether it was done is not known: look at operator_action_log", path, why);
}

static enum control_asked open_connection(const char *path, int *ret_fd, struct error *err)
{
	scoped_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	if (fd < 0) {
		error_errno(err, errno, "a socket");
		return CONTROL_ASKED_FAILED;
	}
	if (!control_address(path, &address, err))
		return CONTROL_ASKED_FAILED;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		*ret_fd = fd;
		fd = -1;
		return CONTROL_ASKED_ANSWERED;
	}
	if (errno == ENOENT || errno == ECONNREFUSED) {
		error_set(err, ERROR_TRY_LATER, "%s: nobody listens there: no daemon is running", path);
		return CONTROL_ASKED_NOBODY;
	}
	if (errno == EACCES || errno == EPERM)
		not_permitted(path, err);
	else
		error_errno(err, errno, "%s", path);
	return CONTROL_ASKED_FAILED;
}

/* A daemon that is stopping answers without reading, so a line that cannot be sent is no reason not to read. */
static void send_line(int fd, const struct text *line)
{
	ssize_t sent;

	for (size_t done = 0; done < line->length; done += (size_t)sent) {
		sent = send(fd, line->data + done, line->length - done, MSG_NOSIGNAL);
		if (sent < 0)
			return;
	}
}

static bool receive_line(int fd, const char *path, struct text *ret_line, struct error *err)
{
	char piece[4096];
	ssize_t got;

	while ((got = recv(fd, piece, sizeof(piece), 0)) > 0) {
		text_append(ret_line, piece, (size_t)got);
		if (memchr(piece, '\n', (size_t)got))
			return true;
		if (ret_line->length > CONTROL_MOST_LINE)
			return not_known(path, "the answer is longer than 64 KiB", err);
	}
	return not_known(path, got < 0 ? strerror(errno) : "the daemon closed the connection without an answer", err);
}

enum control_asked control_ask(const char *path, const struct control_request *request, struct control_answer *ret_answer,
			       struct error *err)
{
	scoped_text struct text order = { 0 }, line = { 0 };
	scoped_close int fd = -1;
	enum control_asked asked;
	struct error fault;

	if (!control_request_check(request, err))
		return CONTROL_ASKED_FAILED;
	asked = open_connection(path, &fd, err);
	if (asked != CONTROL_ASKED_ANSWERED)
		return asked;
	control_request_write(request, &order);
	send_line(fd, &order);
	if (!receive_line(fd, path, &line, err))
		return CONTROL_ASKED_FAILED;
	if (!control_answer_read(line.data, (size_t)((char *)memchr(line.data, '\n', line.length) - line.data), ret_answer, &fault)) {
		not_known(path, fault.text, err);
		return CONTROL_ASKED_FAILED;
	}
	return CONTROL_ASKED_ANSWERED;
}
