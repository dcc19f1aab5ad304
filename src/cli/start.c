#include "cli/start.h"

#include "base/file.h"
#include "cli/check.h"
#include "cli/lock.h"
#include "control/server.h"
#include "submit/jwt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool start_secrets_are_private(const struct config *config, struct error *err)
{
	for (size_t i = 0; i < config->n_endpoints; i++) {
		const struct config_endpoint *e = &config->endpoints[i];

		if (!jwt_secret_is_private(e->jwt.key, err) || !jwt_secret_is_private(e->tls.key, err))
			return error_prefix(err, "endpoint %s: ", e->name);
	}
	return true;
}

/* The lock is of one directory, and so is all that waits in it. */
static bool is_same_state(const struct config *in_force, const struct config *config, struct error *err)
{
	struct stat before, now;

	if (stat(in_force->state_dir, &before) == 0 && stat(config->state_dir, &now) == 0 && before.st_dev == now.st_dev &&
	    before.st_ino == now.st_ino)
		return true;
	return error_set(err, ERROR_CONFIG, "%s: state_dir is %s and cannot become %s while it runs: stop the daemon to change it",
			 config->path, in_force->state_dir, config->state_dir);
}

bool start_may_renew(const struct config *in_force, struct error *err)
{
	struct check check = { .silent = true };
	struct config *config;
	bool good;

	if (!config_read(in_force->path, &config, err))
		return false;
	check.config = config;
	good = is_same_state(in_force, config, err) && control_server_check(config->control_socket, err);
	if (good) {
		check_secrets(&check);
		check_directories(&check);
		good = check.first.code == ERROR_NONE;
		if (!good)
			*err = check.first;
	}
	config_free(config);
	return good;
}

/* The present environment and the variable of the lock; strings are borrowed. */
static char **environment_with(char *entry)
{
	size_t n = 0, kept = 0;
	char **environment;

	while (environ[n])
		n++;
	environment = xcalloc(n + 2, sizeof(*environment));
	for (size_t i = 0; i < n; i++) {
		if (strncmp(environ[i], LOCK_VARIABLE "=", sizeof(LOCK_VARIABLE)) != 0)
			environment[kept++] = environ[i];
	}
	environment[kept] = entry;
	return environment;
}

void start_anew(char **arguments, int lock, struct error *err)
{
	scoped_free char **environment = NULL;
	char entry[64];

	snprintf(entry, sizeof(entry), LOCK_VARIABLE "=%d", lock);
	environment = environment_with(entry);
	/* Whatever a library has left open: nothing of it is for the successor. */
	(void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	if (fcntl(lock, F_SETFD, 0) == 0)
		execve("/proc/self/exe", arguments, environment);
	error_errno(err, errno, "the program cannot be executed again");
}
