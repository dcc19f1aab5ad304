#include "control/listen.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Connections that were made and not yet accepted. */
enum { BACKLOG = 32 };

bool control_address(const char *path, struct sockaddr_un *ret_address, struct error *err)
{
	size_t length = strlen(path), most = sizeof(ret_address->sun_path) - 1;

	if (length > most)
		return error_set(err, ERROR_CONFIG, "%s: a socket's path has at most %zu bytes, this one has %zu (unix(7))", path, most,
				 length);
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_address->sun_path, path, length);
	return true;
}

static int connect_to(const char *path)
{
	scoped_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	if (fd < 0)
		return errno;
	if (!control_address(path, &address, NULL))
		return ENAMETOOLONG;
	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
}

/* What is there may be replaced: nothing, or the socket of a process that is gone. */
static bool may_replace(const char *path, struct error *err)
{
	struct stat st;
	int result;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? true : error_errno(err, errno, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, ERROR_CONFIG, "%s is there and is no socket: remove it, or give control_socket another path", path);
	/* Two daemons with a state directory each may have the same control_socket by mistake. */
	result = connect_to(path);
	if (result == ECONNREFUSED || result == ENOENT)
		return true;
	if (result == 0 || result == EAGAIN)
		return error_set(err, ERROR_TRY_LATER,
				 "%s is in use: another process listens on it; each daemon needs a control_socket of its own", path);
	return error_errno(err, result, "%s: whether somebody listens on it is not known", path);
}

/* A name beside the path that nobody else makes. It is short, so that it fits where the path does. */
static char *name_beside(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct text name = { 0 };
	unsigned random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (unsigned)getpid();
	if (slash)
		text_append(&name, path, (size_t)(slash - path) + 1);
	text_printf(&name, ".%08x", random);
	return name.data;
}

/* False with errno set. */
static bool give_group(const char *path)
{
	const char *slash = strrchr(path, '/');
	scoped_free char *directory = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
	struct stat st;

	if (stat(directory, &st) < 0)
		return false;
	/* Whoever is not of that group may not give it away: then the socket is its own group's, which is no wider. */
	return lchown(path, (uid_t)-1, st.st_gid) == 0 || errno == EPERM;
}

/* Everything but the name: at `beside`, which is removed again where it fails. */
static bool prepare(int fd, const char *beside, struct control_place *ret_place, struct error *err)
{
	struct sockaddr_un address;
	struct stat st;

	if (!control_address(beside, &address, err))
		return error_prefix(err, "the socket is made under a name beside its own, which is too long: ");
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, errno, "%s", beside);
	/* Nobody can connect before listen, so the mode that the umask gave is never of use to anybody. */
	if (chmod(beside, 0660) == 0 && give_group(beside) && lstat(beside, &st) == 0 && listen(fd, BACKLOG) == 0) {
		*ret_place = (struct control_place){ .device = st.st_dev, .inode = st.st_ino };
		return true;
	}
	error_errno(err, errno, "%s", beside);
	unlink(beside);
	return false;
}

bool control_listen(const char *path, int *ret_fd, struct control_place *ret_place, struct error *err)
{
	scoped_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	scoped_free char *beside = name_beside(path);
	struct sockaddr_un address;
	struct control_place place;

	if (fd < 0)
		return error_errno(err, errno, "a socket");
	if (!control_address(path, &address, err) || !may_replace(path, err) || !prepare(fd, beside, &place, err))
		return false;
	if (rename(beside, path) < 0) {
		error_errno(err, errno, "%s", path);
		unlink(beside);
		return false;
	}
	*ret_fd = fd;
	*ret_place = place;
	fd = -1;
	return true;
}

void control_unlink(const char *path, const struct control_place *place)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == place->device && st.st_ino == place->inode)
		unlink(path);
}
