#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"
#include "intake/spool.h"
#include "queue/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
	"usage: trackbridge [-c FILE] verify [--without-files]\n"
	"\n"
	"Checks the database: SQLite's own check, the counts of every manifest against its rows, attempts against rows, what rows\n"
	"wait for, the numbers by which they are found; and that every manifest's copy in the archive (those past\n"
	"retention.archive aside) is the file that was taken in. One finding a line, with what to do. Changes nothing, works beside a\n"
	"running daemon, and takes as long as it takes. Exit 0 if all is well, 65 if something is off.\n"
	"\n"
	"  --without-files  leave the archive alone\n";

struct verify {
	const struct config *config;
	int64_t files, findings;
};

static void print(const char *level, const char *text)
{
	scoped_text struct text line = { 0 };

	text_printf(&line, "%-7s  ", level);
	text_escape(&line, text, strlen(text));
	puts(line.data);
}

static void on_finding(void *user, const struct queue_finding *finding)
{
	(void)user;
	print(finding->harmless ? "note" : "error", finding->what);
}

static void complain(struct verify *v, const struct queue_archived_file *file, const char *what, const char *advice)
{
	scoped_text struct text line = { 0 };

	v->findings++;
	text_printf(&line, "manifest %" PRId64 ": archive/%s %s: %s", file->manifest, file->path, what, advice);
	print("error", line.data);
}

static bool check_file(void *user, const struct queue_archived_file *file)
{
	struct verify *v = user;
	scoped_free char *archive = file_join(v->config->state_dir, "archive"), *path = file_join(archive, file->path);
	scoped_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint8_t sha256[32];
	struct error err;
	struct stat st;
	char what[200];

	v->files++;
	if (fd < 0 && errno == ENOENT) {
		complain(v, file, "is not there", "get it from a backup of the archive; without it, reload cannot load it again");
	} else if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(what, sizeof(what), "cannot be opened (%s)", strerror(errno));
		complain(v, file, what, "run this as the owner of state_dir");
	} else if (!S_ISREG(st.st_mode)) {
		complain(v, file, "is no file", "somebody put something else in its place; get it from a backup of the archive");
	} else if (st.st_size != file->bytes) {
		snprintf(what, sizeof(what), "has %lld bytes, %" PRId64 " were taken in", (long long)st.st_size, file->bytes);
		complain(v, file, what, "it was changed; get it from a backup of the archive");
	} else if (!spool_digest(fd, sha256, &err)) {
		complain(v, file, err.text, "look at the disk");
	} else if (memcmp(sha256, file->sha256, sizeof(sha256)) != 0) {
		complain(v, file, "has another SHA-256 than what was taken in", "it was changed; get it from a backup of the archive");
	}
	return true;
}

static bool verify_all(struct verify *v, bool files, struct error *err)
{
	scoped_free char *path = file_join(v->config->state_dir, "queue.db");
	int64_t since = clock_wall_ms() - v->config->retention.archive_ms;
	struct queue_verified verified;

	if (!queue_verify(path, on_finding, v, &verified, err))
		return false;
	/* Where the database is damaged, what it says of files may be wrong too. */
	if (files && !queue_verify_files(path, since, check_file, v, err))
		return false;
	v->findings += verified.findings;
	if (v->findings == 0)
		printf("ok       %" PRId64 " manifest%s, %" PRId64 " row%s, %" PRId64 " file%s of the archive\n", verified.manifests,
		       verified.manifests == 1 ? "" : "s", verified.rows, verified.rows == 1 ? "" : "s", v->files,
		       v->files == 1 ? "" : "s");
	return cli_flush(err);
}

static int verify(const struct cli_options *options, int argc, char **argv)
{
	enum { WITHOUT_FILES = 256 };
	static const struct option known[] = { { "without-files", no_argument, NULL, WITHOUT_FILES }, { 0 } };
	struct verify v = { 0 };
	struct config *config = NULL;
	struct error err = { 0 };
	bool files = true, good;
	int option;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		if (option != WITHOUT_FILES)
			return ERROR_USAGE;
		files = false;
	}
	if (optind < argc)
		return cli_usage(argv[0], "too many words: '%s'", argv[optind]);
	good = cli_read_config(options, &config, &err);
	v.config = config;
	good = good && verify_all(&v, files, &err);
	config_free(config);
	if (!good)
		return cli_fail(&err);
	return v.findings ? ERROR_DATA : ERROR_NONE;
}

const struct cli_command cli_verify = {
	.name = "verify",
	.summary = "the database and the archive: are they whole, and do they agree",
	.usage = usage,
	.run = verify,
};
