#include "base/file.h"
#include "base/log.h"
#include "intake/intake_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
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
	free(take->copy);
	free(take->marker);
	*take = (struct take){ 0 };
}

static void remove_marker(const struct intake *intake, const struct take *take, int directory, int64_t manifest)
{
	if (take->marker && unlinkat(directory, take->marker, 0) < 0 && errno != ENOENT)
		log_write(LOG_WARNING, "%s: the marker of manifest %" PRId64 " cannot be removed: %s",
			  intake->config->sources[take->source].name, manifest, strerror(errno));
}

/*
 * A file that was recorded before a crash only has to go; it is not recorded twice. Mostly it is a left-over; after a power cut, its
 * renaming may be undone and it bears its own name again.
 */
static bool recorded_before(struct intake *intake, const struct take *take, const char *found, bool *ret_gone)
{
	const char *drop = intake->config->sources[take->source].drop;
	scoped_close int directory = open(drop, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int64_t manifest;

	*ret_gone = false;
	if (directory < 0 || fstatat(directory, found, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return true;
	if (!queue_manifest_of_original(intake->queue, take->source, take->name, st.st_ino,
					(int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, st.st_size, &manifest))
		return false;
	if (!manifest)
		return true;
	remove_marker(intake, take, directory, manifest);
	if (unlinkat(directory, found, 0) < 0 && errno != ENOENT)
		return true;
	*ret_gone = true;
	return queue_manifest_original_gone(intake->queue, manifest);
}

static void failed(struct intake *intake, const struct error *err)
{
	intake->again_at = intake->now_ms + AGAIN_MS;
	if (!intake->said_failed)
		log_write(LOG_ERR, "%s; nothing is lost, it is tried again", err->text);
	intake->said_failed = true;
}

static void unfit(struct intake *intake, struct watch *watch, const char *name, const struct error *err)
{
	if (watch_unfit(watch, name))
		log_write(LOG_WARNING, "%s: %s", intake->config->sources[intake->take.source].name, err->text);
}

void take_begin(struct intake *intake, int index, const char *found)
{
	struct source *source = &intake->sources[index];
	struct take *take = &intake->take;
	const char *original = spool_original_name(found), *marker;
	enum spool_step step;
	struct error err;
	bool gone;
	char copy[PATH_MAX];

	*take = (struct take){ .source = index, .left_over = original != NULL };
	take->name = xstrdup(original ? original : found);
	take->taken_name = original ? xstrdup(found) : spool_taken_name(found);
	marker = watch_marker(source->watch, found);
	take->marker = marker ? xstrdup(marker) : NULL;
	if (!recorded_before(intake, take, found, &gone)) {
		take_forget(take);
		return;
	}
	if (gone) {
		watch_taken(source->watch, found);
		take_forget(take);
		return;
	}
	if (!queue_manifest_next(intake->queue, &take->manifest)) {
		take_forget(take);
		return;
	}
	snprintf(copy, sizeof(copy), "%s/spool/%" PRId64, intake->config->state_dir, take->manifest);
	take->copy = xstrdup(copy);
	if (spool_start(source->config->drop, take->name, take->taken_name, take->left_over, copy, &take->spool, &step, &err)) {
		take->state = TAKE_COPYING;
		watch_taken(source->watch, found);
		return;
	}
	if (step == SPOOL_FAILED)
		failed(intake, &err);
	else
		unfit(intake, source->watch, found, &err);
	take_forget(take);
}

void take_copy(struct intake *intake)
{
	struct take *take = &intake->take;
	struct watch *watch = intake->sources[take->source].watch;
	struct error err;

	switch (spool_copy(take->spool, &err)) {
	case SPOOL_MORE: return;
	case SPOOL_COPIED:
		take->state = TAKE_COPIED;
		intake->said_failed = false;
		return;
	case SPOOL_CHANGED: log_write(LOG_NOTICE, "%s: %s", intake->config->sources[take->source].name, err.text); break;
	case SPOOL_UNFIT: unfit(intake, watch, take->name, &err); break;
	case SPOOL_FAILED: failed(intake, &err); break;
	}
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
	int64_t manifest;

	if (!queue_manifest_record(intake->queue, &as, &manifest, &take->duplicate_of))
		return;
	if (manifest != take->manifest) {
		struct error err;

		error_set(&err, ERROR_INTERNAL, "manifest %" PRId64 " was to be recorded, it became %" PRId64, take->manifest, manifest);
		queue_spoil(intake->queue, &err);
		return;
	}
	take->state = TAKE_RECORDED;
}

static void log_taken(const struct intake *intake)
{
	const struct take *take = &intake->take;
	const struct config_source *source = &intake->config->sources[take->source];
	char number[24];
	const struct log_field fields[] = { { "source", source->name }, { "manifest", number } };

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
	scoped_close int directory = take->marker ? open(source->drop, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	log_taken(intake);
	if (directory >= 0)
		remove_marker(intake, take, directory, take->manifest);
	if (!spool_finish(take->spool, &err))
		log_write(LOG_WARNING, "%s: %s", source->name, err.text);
	take->spool = NULL;
	take->state = TAKE_FINISHED;
}
