#include "base/file.h"
#include "base/log.h"
#include "intake/intake_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* When a disk that said no is tried again. */
enum { AGAIN_MS = 5000 };

void take_forget(struct take *take)
{
	spool_drop(take->spool);
	free(take->name);
	free(take->taken_name);
	free(take->marker);
	*take = (struct take){ 0 };
}

static void remove_marker(struct intake *intake, const struct take *take, int directory, int64_t manifest)
{
	struct error err;

	if (!take->marker || unlinkat(directory, take->marker, 0) == 0 || errno == ENOENT)
		return;
	error_errno(&err, errno, "the marker of manifest %" PRId64 " cannot be removed", manifest);
	source_say(intake, take->source, LOG_WARNING, err.text);
}

/* What is to be done with a file that was found, before it is taken. */
enum known {
	KNOWN_NOT,    /* take it */
	KNOWN_GONE,   /* it was recorded before, and is removed now */
	KNOWN_STAYS,  /* it was recorded before, and cannot be removed: that was dealt with */
	KNOWN_FAILED, /* the queue says no */
};

static void failed(struct intake *intake, const struct error *err)
{
	intake->again_at = intake->now_ms + AGAIN_MS;
	if (!intake->said_failed)
		log_write(LOG_ERR, "%s; nothing is lost, it is tried again", err->text);
	intake->said_failed = true;
}

static void unfit(struct intake *intake, int source, const char *found, const struct error *err)
{
	if (watch_unfit(intake->sources[source].watch, found))
		source_say(intake, source, LOG_WARNING, err->text);
}

static enum known cannot_go(struct intake *intake, const struct take *take, const char *found, int errnum)
{
	struct error err;

	error_errno(&err, errnum, "%s was loaded and then cannot be removed", found);
	if (errnum == EACCES || errnum == EPERM)
		unfit(intake, take->source, found, &err);
	else
		source_hold(intake, take->source, SPOOL_STUCK, found, &err);
	return KNOWN_STAYS;
}

/*
 * A file that was recorded before a crash only has to go; it is not recorded twice. Mostly it is a left-over; after a power cut, its
 * renaming may be undone and it bears its own name again.
 */
static enum known recorded_before(struct intake *intake, const struct take *take, const char *found)
{
	const char *drop = intake->config->sources[take->source].drop;
	scoped_close int directory = open(drop, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int64_t manifest;

	if (directory < 0 || fstatat(directory, found, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return KNOWN_NOT;
	if (!queue_manifest_of_original(intake->queue, take->source, take->name, st.st_ino,
					(int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, st.st_size, &manifest))
		return KNOWN_FAILED;
	if (!manifest)
		return KNOWN_NOT;
	remove_marker(intake, take, directory, manifest);
	if (unlinkat(directory, found, 0) < 0 && errno != ENOENT)
		return cannot_go(intake, take, found, errno);
	return queue_manifest_original_gone(intake->queue, manifest) ? KNOWN_GONE : KNOWN_FAILED;
}

/* Deals with a file that cannot be taken, under the name found. */
static void not_taken(struct intake *intake, const char *found, enum spool_step step, const struct error *err)
{
	int source = intake->take.source;

	switch (step) {
	case SPOOL_BUSY:
		if (watch_busy(intake->sources[source].watch, found, intake->now_ms))
			source_say(intake, source, LOG_NOTICE, err->text);
		break;
	case SPOOL_CHANGED: source_say(intake, source, LOG_NOTICE, err->text); break;
	case SPOOL_UNFIT: unfit(intake, source, found, err); break;
	case SPOOL_FULL:
	case SPOOL_STUCK: source_hold(intake, source, step, found, err); break;
	case SPOOL_FAILED: failed(intake, err); break;
	case SPOOL_MORE:
	case SPOOL_COPIED: break;
	}
}

static char *spool_path(const struct intake *intake, const char *name)
{
	struct text path = { 0 };

	text_printf(&path, "%s/spool/%s", intake->config->state_dir, name);
	return path.data;
}

void take_clear(const struct intake *intake)
{
	scoped_free char *path = spool_path(intake, "taking");

	unlink(path);
}

static bool start(struct intake *intake, const char *found)
{
	struct take *take = &intake->take;
	const struct config_source *source = &intake->config->sources[take->source];
	scoped_free char *copy = spool_path(intake, "taking");
	enum spool_step step;
	struct error err;

	if (spool_start(&(struct spool_wish){ .directory = source->drop,
					      .name = take->name,
					      .taken_name = take->taken_name,
					      .copy = copy,
					      .left_over = take->left_over,
					      .min_free = intake->config->min_free_space,
					      .most_bytes = source->max_file_bytes },
			&take->spool, &step, &err))
		return true;
	not_taken(intake, found, step, &err);
	return false;
}

void take_begin(struct intake *intake, int index, const char *found)
{
	struct watch *watch = intake->sources[index].watch;
	struct take *take = &intake->take;
	const char *original = spool_original_name(found), *marker = watch_marker(watch, found);
	enum known known;

	*take = (struct take){ .source = index, .left_over = original != NULL };
	take->name = xstrdup(original ? original : found);
	take->taken_name = original ? xstrdup(found) : spool_taken_name(found);
	take->marker = marker ? xstrdup(marker) : NULL;
	known = recorded_before(intake, take, found);
	if (known == KNOWN_GONE)
		watch_taken(watch, found);
	if (known == KNOWN_NOT && start(intake, found)) {
		take->state = TAKE_COPYING;
		watch_taken(watch, found);
		return;
	}
	take_forget(take);
}

void take_copy(struct intake *intake)
{
	struct take *take = &intake->take;
	struct error err;
	enum spool_step step = spool_copy(take->spool, &err);

	intake->done++;
	switch (step) {
	case SPOOL_MORE: return;
	case SPOOL_COPIED:
		take->state = TAKE_COPIED;
		intake->said_failed = false;
		source_goes_on(intake, take->source);
		return;
	case SPOOL_FULL:
	case SPOOL_STUCK:
	case SPOOL_FAILED: watch_back(intake->sources[take->source].watch, take->name, intake->now_ms); break;
	case SPOOL_CHANGED:
	case SPOOL_BUSY:
	case SPOOL_UNFIT: break;
	}
	not_taken(intake, take->name, step, &err);
	take_forget(take);
}

void take_record(struct intake *intake)
{
	struct take *take = &intake->take;
	const struct spool_file *file = spool_file(take->spool);
	const struct queue_manifest_new as = {
		.source = take->source,
		.name = take->name,
		.sha256 = file->sha256,
		.bytes = file->bytes,
		.device = file->device,
		.inode = file->inode,
		.mtime_ns = file->mtime_ns,
		.wall_ms = intake->wall_ms,
	};
	scoped_free char *copy = NULL;
	struct error err;
	char number[24];

	if (!queue_manifest_record(intake->queue, &as, &take->manifest, &take->duplicate_of))
		return;
	/* Numbers are given out in the transaction; until then somebody else may get this one. */
	snprintf(number, sizeof(number), "%" PRId64, take->manifest);
	copy = spool_path(intake, number);
	if (spool_move(take->spool, copy, &err))
		take->state = TAKE_RECORDED;
	else
		queue_spoil(intake->queue, &err);
}

void take_unrecord(struct intake *intake)
{
	struct take *take = &intake->take;
	scoped_free char *copy = spool_path(intake, "taking");
	struct error err;

	if (spool_move(take->spool, copy, &err)) {
		take->state = TAKE_COPIED;
		return;
	}
	failed(intake, &err);
	take_forget(take);
}

static void log_taken(struct intake *intake)
{
	const struct take *take = &intake->take;
	const struct config_source *source = &intake->config->sources[take->source];
	char number[24];
	const struct log_field fields[] = { { "source", source->name }, { "manifest", number } };

	if (!told_may(&intake->sources[take->source].told_taken, intake->now_ms))
		return;
	snprintf(number, sizeof(number), "%" PRId64, take->manifest);
	if (take->duplicate_of)
		log_fields(LOG_NOTICE, fields, 2, "%s: %s is manifest %s: duplicate, the same bytes as manifest %" PRId64, source->name,
			   take->name, number, take->duplicate_of);
	else
		log_fields(LOG_INFO, fields, 2, "%s: %s is manifest %s: taken, %" PRId64 " bytes", source->name, take->name, number,
			   spool_file(take->spool)->bytes);
}

void take_finish(struct intake *intake)
{
	struct take *take = &intake->take;
	const struct config_source *source = &intake->config->sources[take->source];
	struct error err;
	bool gone;
	scoped_close int directory = take->marker ? open(source->drop, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	log_taken(intake);
	if (directory >= 0)
		remove_marker(intake, take, directory, take->manifest);
	if (!spool_finish(take->spool, &gone, &err))
		source_say(intake, take->source, LOG_WARNING, err.text);
	take->spool = NULL;
	take->state = TAKE_FINISHED;
	/* What is still there is known again by its record, when it is found again. */
	if (!gone)
		take_forget(take);
}
