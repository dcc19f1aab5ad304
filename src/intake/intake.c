#include "intake/intake.h"

#include "base/file.h"
#include "base/log.h"
#include "intake/load.h"
#include "intake/spool.h"
#include "intake/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* How often free space and a disk that said no are looked at again. */
enum { SPACE_MS = 5000, AGAIN_MS = 5000 };

enum take_state {
	TAKE_NONE,
	TAKE_COPYING,
	TAKE_COPIED,   /* durable in the spool, to be recorded */
	TAKE_RECORDED, /* recorded in this turn's transaction */
	TAKE_FINISHED, /* the original is gone; that is to be recorded */
};

/* The one file that is being taken. */
struct take {
	enum take_state state;
	int source;
	bool left_over;
	char *name, *taken_name, *copy, *marker;
	struct spool *spool;
	int64_t manifest, duplicate_of;
};

struct source {
	const struct config_source *config;
	struct watch *watch;
	enum watch_state state; /* as stored and logged */
	char reason[256];
	int64_t waiting_files;
	bool stored;
};

struct intake {
	const struct config *config;
	struct queue *queue;
	int inotify;
	struct source *sources;
	size_t turn; /* the source that may take next */
	struct take take;
	struct load *load;
	int64_t now_ms, wall_ms;
	int64_t space_at, again_at;
	bool short_of_space, said_failed;
	int landed; /* duplicates */
};

bool intake_new(const struct config *config, struct queue *queue, struct intake **ret_intake, struct error *err)
{
	struct intake *intake = xcalloc(1, sizeof(*intake));

	intake->config = config;
	intake->queue = queue;
	intake->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (intake->inotify < 0) {
		free(intake);
		return error_errno(err, errno, "inotify");
	}
	intake->sources = xcalloc(config->n_sources, sizeof(*intake->sources));
	for (size_t i = 0; i < config->n_sources; i++) {
		intake->sources[i].config = &config->sources[i];
		intake->sources[i].watch = watch_new(&config->sources[i], intake->inotify);
		intake->sources[i].state = WATCH_OPEN;
	}
	intake->load = load_new(config, queue);
	*ret_intake = intake;
	return true;
}

static void forget_take(struct take *take)
{
	spool_drop(take->spool);
	free(take->name);
	free(take->taken_name);
	free(take->copy);
	free(take->marker);
	*take = (struct take){ 0 };
}

void intake_free(struct intake *intake)
{
	if (!intake)
		return;
	/* What is copied but not recorded is given its name back; the next start finds it there. */
	forget_take(&intake->take);
	for (size_t i = 0; i < intake->config->n_sources; i++)
		watch_free(intake->sources[i].watch);
	load_free(intake->load);
	close(intake->inotify);
	free(intake->sources);
	free(intake);
}

int intake_descriptor(const struct intake *intake)
{
	return intake->inotify;
}

void intake_events(struct intake *intake, int64_t now_ms)
{
	/* inotify(7): a reader must have room for one whole event. One buffer a turn is enough; the rest keeps the descriptor readable. */
	char buffer[64 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t length = read(intake->inotify, buffer, sizeof(buffer));

	for (ssize_t at = 0; at < length;) {
		const struct inotify_event *event = (const struct inotify_event *)(buffer + at);

		for (size_t i = 0; i < intake->config->n_sources; i++) {
			struct watch *watch = intake->sources[i].watch;

			if ((event->mask & IN_Q_OVERFLOW) || watch_descriptor(watch) == event->wd)
				watch_event(watch, event, now_ms);
		}
		at += (ssize_t)(sizeof(*event) + event->len);
	}
}

static void log_source(const struct source *source)
{
	const struct log_field fields[] = { { "source", source->config->name } };

	if (source->state == WATCH_OPEN)
		log_fields(LOG_NOTICE, fields, 1, "%s: watching %s", source->config->name, source->config->drop);
	else
		log_fields(LOG_WARNING, fields, 1, "%s: waiting for %s: %s", source->config->name, source->config->drop, source->reason);
}

static void look(struct intake *intake, size_t i)
{
	struct source *source = &intake->sources[i];
	enum watch_state state;
	const char *reason;
	struct text complaint = { 0 };

	if (watch_next_ms(source->watch) <= intake->now_ms)
		watch_run(source->watch, intake->now_ms);
	for (; watch_next_complaint(source->watch, &complaint); text_clear(&complaint))
		log_write(LOG_WARNING, "%s", complaint.data);
	text_free(&complaint);
	state = watch_state(source->watch);
	reason = watch_reason(source->watch);
	if (!source->stored || state != source->state || strcmp(reason, source->reason) != 0) {
		source->state = state;
		snprintf(source->reason, sizeof(source->reason), "%s", reason);
		source->stored = false;
		log_source(source);
	}
	if (source->stored && source->waiting_files == watch_waiting_files(source->watch))
		return;
	source->waiting_files = watch_waiting_files(source->watch);
	source->stored =
		queue_source_store(intake->queue, (int)i, state == WATCH_OPEN ? "open" : "waiting", source->reason, source->waiting_files);
}

static bool has_space(struct intake *intake)
{
	struct statvfs fs;
	bool was_short = intake->short_of_space;

	if (intake->now_ms < intake->space_at)
		return !intake->short_of_space;
	intake->space_at = intake->now_ms + SPACE_MS;
	if (statvfs(intake->config->state_dir, &fs) < 0)
		return !intake->short_of_space;
	intake->short_of_space = fs.f_bavail < (uint64_t)intake->config->min_free_space / (fs.f_frsize ? fs.f_frsize : 1);
	if (intake->short_of_space && !was_short)
		log_write(LOG_WARNING, "%s: less than min_free_space is free: no new file is taken in, what is queued goes on",
			  intake->config->state_dir);
	if (!intake->short_of_space && was_short)
		log_write(LOG_NOTICE, "%s: there is space again: files are taken in", intake->config->state_dir);
	return !intake->short_of_space;
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

static void begin_take(struct intake *intake, int index, const char *found)
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
		forget_take(take);
		return;
	}
	if (gone) {
		watch_taken(source->watch, found);
		forget_take(take);
		return;
	}
	if (!queue_manifest_next(intake->queue, &take->manifest)) {
		forget_take(take);
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
	forget_take(take);
}

static void find_next(struct intake *intake)
{
	size_t n = intake->config->n_sources;

	if (intake->now_ms < intake->again_at || !has_space(intake))
		return;
	for (size_t i = 0; i < n && intake->take.state == TAKE_NONE; i++) {
		size_t index = (intake->turn + i) % n;
		const char *found = watch_oldest(intake->sources[index].watch);

		if (!found)
			continue;
		intake->turn = index + 1;
		begin_take(intake, (int)index, found);
	}
}

static void copy(struct intake *intake)
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
	forget_take(take);
}

static void record(struct intake *intake)
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

void intake_gather(struct intake *intake, int64_t now_ms, int64_t wall_ms, bool taking)
{
	struct take *take = &intake->take;

	intake->now_ms = now_ms;
	intake->wall_ms = wall_ms;
	for (size_t i = 0; i < intake->config->n_sources; i++)
		look(intake, i);
	if (take->state == TAKE_FINISHED && queue_manifest_original_gone(intake->queue, take->manifest))
		forget_take(take);
	if (!taking)
		return;
	if (take->state == TAKE_NONE)
		find_next(intake);
	if (take->state == TAKE_COPYING)
		copy(intake);
	if (take->state == TAKE_COPIED)
		record(intake);
	load_slice(intake->load, now_ms, wall_ms);
}

static void finish(struct intake *intake)
{
	struct take *take = &intake->take;
	const struct config_source *source = &intake->config->sources[take->source];
	struct error err;
	scoped_close int directory = take->marker ? open(source->drop, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (directory >= 0)
		remove_marker(intake, take, directory, take->manifest);
	if (!spool_finish(take->spool, &err))
		log_write(LOG_WARNING, "%s: %s", source->name, err.text);
	take->spool = NULL;
	take->state = TAKE_FINISHED;
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

void intake_act(struct intake *intake, bool committed)
{
	if (intake->take.state == TAKE_RECORDED) {
		if (committed) {
			log_taken(intake);
			intake->landed += intake->take.duplicate_of != 0;
			finish(intake);
			load_wake(intake->load);
		} else {
			intake->take.state = TAKE_COPIED;
		}
	}
	if (!committed) {
		for (size_t i = 0; i < intake->config->n_sources; i++)
			intake->sources[i].stored = false;
	}
	load_act(intake->load, committed);
}

bool intake_busy(const struct intake *intake)
{
	if (intake->take.state != TAKE_NONE || load_busy(intake->load))
		return true;
	if (intake->short_of_space || intake->now_ms < intake->again_at)
		return false;
	for (size_t i = 0; i < intake->config->n_sources; i++) {
		if (watch_oldest(intake->sources[i].watch))
			return true;
	}
	return false;
}

int64_t intake_next_ms(const struct intake *intake)
{
	int64_t next = load_next_ms(intake->load);

	for (size_t i = 0; i < intake->config->n_sources; i++) {
		struct watch *watch = intake->sources[i].watch;
		int64_t at = watch_next_ms(watch);

		if (at < next)
			next = at;
		if (!watch_oldest(watch))
			continue;
		if (intake->short_of_space && intake->space_at < next)
			next = intake->space_at;
		if (intake->now_ms < intake->again_at && intake->again_at < next)
			next = intake->again_at;
	}
	return next;
}

bool intake_all_loaded(const struct intake *intake)
{
	if (intake->take.state != TAKE_NONE || !load_idle(intake->load))
		return false;
	for (size_t i = 0; i < intake->config->n_sources; i++) {
		const struct source *source = &intake->sources[i];

		/* A directory that is not there has no file present. */
		if (!source->stored || (source->state == WATCH_OPEN && !watch_settled(source->watch)))
			return false;
	}
	return true;
}

int intake_landed(struct intake *intake)
{
	int landed = load_landed(intake->load) + intake->landed;

	intake->landed = 0;
	return landed;
}
