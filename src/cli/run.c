#include "base/log.h"
#include "cli/cli.h"
#include "cli/daemon.h"
#include "cli/start.h"
#include "config/config.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* No core file: it would hold keys and tokens. As many descriptors as allowed: each request in flight is a socket. */
static void prepare_process(void)
{
	struct rlimit files;

	prctl(PR_SET_DUMPABLE, 0);
	/* A re-execution by /proc/self/exe is named after that. */
	prctl(PR_SET_NAME, "trackbridge");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int cli_run(const struct cli_options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "until-idle", no_argument, NULL, 'u' },
		{ "debug", no_argument, NULL, 'd' },
		{ 0 },
	};
	struct daemon *daemon = NULL;
	struct config *config = NULL;
	struct error err = { 0 };
	bool until_idle = false;
	int priority = LOG_INFO, option, status, lock = -1;

	while ((option = cli_next_option(argc, argv, names)) != -1) {
		switch (option) {
		case 'u': until_idle = true; break;
		case 'd': priority = LOG_DEBUG; break;
		default: return ERROR_USAGE;
		}
	}
	if (optind != argc)
		return cli_usage("run", "takes no argument, not '%s'", argv[optind]);
	log_open(priority);
	prepare_process();
	if (config_read(options->config_path, &config, &err) && start_secrets_are_private(config, &err) &&
	    daemon_new(config, until_idle, &daemon, &err)) {
		status = daemon_run(daemon, &lock);
	} else {
		log_write(LOG_ERR, "%s", err.text);
		status = (int)err.code;
	}
	daemon_free(daemon);
	config_free(config);
	if (lock >= 0) {
		start_anew(options->arguments, lock, &err);
		log_write(LOG_ERR, "%s", err.text);
		status = (int)err.code;
	}
	return status;
}
