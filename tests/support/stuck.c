/*
 * stuck: preloaded, it breaks the daemon's loop in one of two ways for as long as a file exists. STUCK_SPIN: what libcurl has to be told is
 * swallowed, so that its sockets stay readable and its time stays over, and the loop goes round for nothing. STUCK_HANG: the turn never
 * ends, in a look at free space.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* As curl/multi.h has it, without its types. */
typedef int action(void *multi, int socket, int events, int *running);
action curl_multi_socket_action;

typedef int look(const char *path, struct statvfs *fs);

static int is_wanted(const char *variable)
{
	const char *path = getenv(variable);

	return path && access(path, F_OK) == 0;
}

__attribute__((visibility("default"))) int curl_multi_socket_action(void *multi, int socket, int events, int *running)
{
	action *real;
	void *found = dlsym(RTLD_NEXT, "curl_multi_socket_action");

	if (is_wanted("STUCK_SPIN"))
		return 0;
	/* ISO C has no conversion between the two kinds of pointers. */
	memcpy(&real, &found, sizeof(real));
	return real(multi, socket, events, running);
}

__attribute__((visibility("default"))) int statvfs(const char *path, struct statvfs *fs)
{
	look *real;
	void *found = dlsym(RTLD_NEXT, "statvfs");

	while (is_wanted("STUCK_HANG"))
		sleep(1);
	memcpy(&real, &found, sizeof(real));
	return real(path, fs);
}
