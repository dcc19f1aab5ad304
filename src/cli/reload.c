#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/store.h"
#include "intake/reload.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

static const char usage[] =
	"usage: trackbridge [-c FILE] reload MANIFEST [--reason TEXT]\n"
	"\n"
	"Loads a manifest of the archive again, as a new one, with today's configuration: rows that are already queued\n"
	"or sent count as duplicates, rows that were rejected get another chance.\n"
	"\n"
	"  --reason TEXT  kept in the view `operator_action_log`\n";

static bool load_again(const struct config *config, int64_t manifest, const char *reason, struct error *err)
{
	const struct passwd *entry = getpwuid(getuid());
	scoped_free char *user = entry ? xstrdup(entry->pw_name) : NULL;
	struct queue_action action = { .uid = getuid(), .action = "reload", .reason = reason, .wall_ms = clock_wall_ms() };
	struct store store = { 0 };
	char selector[24];
	int64_t in_doubt, as = 0;
	bool good;

	if (!store_become_owner(config, err) || !store_open(config, clock_steady_ms(), action.wall_ms, &store, &in_doubt, err))
		return false;
	snprintf(selector, sizeof(selector), "%" PRId64, manifest);
	action.user = user ? user : "";
	action.selector = selector;
	good = reload_manifest(config, store.queue, manifest, action.wall_ms, &as, err) && queue_action_log(store.queue, &action);
	/* Where the database is at fault, the commit says so better. */
	good = (good || err->code == ERROR_IO) && queue_commit(store.queue, err);
	store_close(&store);
	if (good)
		printf("manifest %" PRId64 " is manifest %" PRId64 " as well: the daemon loads it when it is started\n", manifest, as);
	return good && cli_flush(err);
}

static int reload(const struct cli_options *options, int argc, char **argv)
{
	enum { REASON = 256 };
	static const struct option known[] = { { "reason", required_argument, NULL, REASON }, { 0 } };
	struct config *config = NULL;
	struct error err = { 0 };
	const char *operand, *reason = "";
	int64_t manifest;
	int option;
	bool good;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (option != REASON)
			return ERROR_USAGE;
		reason = optarg;
	}
	operand = cli_operand(argc, argv, "MANIFEST");
	if (!operand || !cli_number(argv[0], "MANIFEST", operand, &manifest))
		return ERROR_USAGE;
	good = cli_read_config(options, &config, &err) && load_again(config, manifest, reason, &err);
	config_free(config);
	return good ? ERROR_NONE : cli_fail(&err);
}

const struct cli_command cli_reload = {
	.name = "reload",
	.summary = "load a manifest of the archive again with today's configuration",
	.usage = usage,
	.run = reload,
};
