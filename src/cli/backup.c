#include "queue/backup.h"

#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

static const char usage[] =
	"usage: trackbridge [-c FILE] backup FILE\n"
	"\n"
	"Copies the database into FILE, which must not exist, beside a running daemon or without one. The copy is of one moment;\n"
	"it is checked before it gets its name (until then it is FILE.part), and marked: a daemon that opens it first puts every\n"
	"queued and sending row on hold and pauses every endpoint, because what was sent since is not in it. The archive and the\n"
	"spool are files of their own, and not in it.\n";

/* Pages a step: 4 MiB. */
enum { STEP = 1024 };

static bool copy(const struct config *config, const char *file, struct error *err)
{
	scoped_free char *path = file_join(config->state_dir, "queue.db");
	struct queue_backup *backup;
	int64_t wall_ms = clock_wall_ms(), left = 1;
	char when[32];
	bool good = true;

	if (!queue_backup_begin(path, file, wall_ms, &backup, err))
		return false;
	while (good && left > 0)
		good = queue_backup_step(backup, STEP, &left, err);
	good = good && queue_backup_finish(backup, err);
	queue_backup_free(backup);
	if (!good)
		return false;
	text_time(when, wall_ms);
	cli_say("%s is a copy of %s as of %s", file, path, when);
	return true;
}

static int backup(const struct cli_options *options, int argc, char **argv)
{
	static const struct option known[] = { { 0 } };
	struct config *config = NULL;
	struct error err = { 0 };
	const char *file;
	bool good;

	if (cli_next_option(argc, argv, known) != -1)
		return ERROR_USAGE;
	file = cli_operand(argc, argv, "FILE");
	if (!file)
		return ERROR_USAGE;
	if (!file[0])
		return cli_usage(argv[0], "FILE is empty");
	good = cli_read_config(options, &config, &err) && copy(config, file, &err);
	config_free(config);
	return good ? ERROR_NONE : cli_fail(&err);
}

const struct cli_command cli_backup = {
	.name = "backup",
	.summary = "a checked copy of the database, beside a running daemon too",
	.usage = usage,
	.run = backup,
};
