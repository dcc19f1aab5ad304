#include "intake/intake_inside.h"

#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/statvfs.h>

/* How often free space is looked at again. */
enum { SPACE_MS = 5000 };

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
	take_clear(intake);
	intake->load = load_new(config, queue);
	*ret_intake = intake;
	return true;
}

void intake_free(struct intake *intake)
{
	if (!intake)
		return;
	/* What is copied but not recorded is given its name back; the next start finds it there. */
	take_forget(&intake->take);
	for (size_t i = 0; i < intake->config->n_sources; i++) {
		source_tell_count(intake, (int)i, true);
		watch_free(intake->sources[i].watch);
		free(intake->sources[i].held_name);
	}
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
		intake->done++;
	}
}

static bool has_space(struct intake *intake)
{
	struct statvfs fs;
	bool was_short = intake->short_of_space;

	if (intake->now_ms < intake->space_at)
		return !intake->short_of_space;
	intake->space_at = intake->now_ms + SPACE_MS;
	if (statvfs(intake->config->state_dir, &fs) < 0 || fs.f_blocks == 0)
		return !intake->short_of_space;
	intake->short_of_space = fs.f_bavail < (uint64_t)intake->config->min_free_space / (fs.f_frsize ? fs.f_frsize : 1);
	if (intake->short_of_space && !was_short)
		log_write(LOG_WARNING, "%s: less than min_free_space is free: no new file is taken in, what is queued goes on",
			  intake->config->state_dir);
	if (!intake->short_of_space && was_short)
		log_write(LOG_NOTICE, "%s: there is space again: files are taken in", intake->config->state_dir);
	return !intake->short_of_space;
}

static void find_next(struct intake *intake)
{
	size_t n = intake->config->n_sources;

	if (intake->now_ms < intake->again_at || !has_space(intake))
		return;
	for (size_t i = 0; i < n && intake->take.state == TAKE_NONE; i++) {
		size_t index = (intake->turn + i) % n;
		const char *found = source_next(intake, (int)index);

		if (!found)
			continue;
		intake->turn = index + 1;
		take_begin(intake, (int)index, found);
	}
}

void intake_gather(struct intake *intake, int64_t now_ms, int64_t wall_ms, bool taking)
{
	struct take *take = &intake->take;

	intake->now_ms = now_ms;
	intake->wall_ms = wall_ms;
	for (size_t i = 0; i < intake->config->n_sources; i++)
		source_look(intake, (int)i);
	if (take->state == TAKE_FINISHED && queue_manifest_original_gone(intake->queue, take->manifest))
		take_forget(take);
	if (!taking)
		return;
	if (take->state == TAKE_NONE)
		find_next(intake);
	if (take->state == TAKE_COPYING)
		take_copy(intake);
	if (take->state == TAKE_COPIED)
		take_record(intake);
	load_slice(intake->load, now_ms, wall_ms);
}

void intake_act(struct intake *intake, bool committed)
{
	if (intake->take.state == TAKE_RECORDED && committed) {
		intake->landed += intake->take.duplicate_of != 0;
		source_manifest_came(intake, intake->take.source);
		take_finish(intake);
		load_wake(intake->load);
	} else if (!committed && (intake->take.state == TAKE_RECORDED || intake->take.state == TAKE_COPIED)) {
		/* Next time its number may be another's. */
		take_unrecord(intake);
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
		if (source_next(intake, (int)i))
			return true;
	}
	return false;
}

int64_t intake_next_ms(const struct intake *intake)
{
	int64_t next = load_next_ms(intake->load);

	for (size_t i = 0; i < intake->config->n_sources; i++) {
		int64_t at = source_next_ms(intake, (int)i);

		if (at < next)
			next = at;
		if (!source_next(intake, (int)i))
			continue;
		if (intake->short_of_space && intake->space_at < next)
			next = intake->space_at;
		if (intake->now_ms < intake->again_at && intake->again_at < next)
			next = intake->again_at;
	}
	return next;
}

void intake_look_again(struct intake *intake)
{
	load_wake(intake->load);
}

bool intake_all_loaded(const struct intake *intake)
{
	if (intake->take.state != TAKE_NONE || !load_idle(intake->load))
		return false;
	for (size_t i = 0; i < intake->config->n_sources; i++) {
		if (!source_is_done(intake, (int)i))
			return false;
	}
	return true;
}

bool intake_tell_left(const struct intake *intake)
{
	bool left = false;

	for (size_t i = 0; i < intake->config->n_sources; i++) {
		const struct log_field fields[] = { { "source", intake->config->sources[i].name } };
		scoped_text struct text line = { 0 };

		if (!source_left(intake, (int)i, &line))
			continue;
		left = true;
		log_fields(LOG_WARNING, fields, 1, "%s: ended with a file that is not loaded: %s", intake->config->sources[i].name,
			   line.data);
	}
	return left;
}

int intake_landed(struct intake *intake)
{
	int landed = load_landed(intake->load) + intake->landed;

	intake->landed = 0;
	return landed;
}

struct intake_facts intake_facts(const struct intake *intake)
{
	struct intake_facts facts = { .short_of_space = intake->short_of_space };

	if (!load_at(intake->load, &facts.loading, &facts.loaded_per_cent))
		facts.loading = 0;
	return facts;
}

int64_t intake_done(const struct intake *intake)
{
	return intake->done + load_done(intake->load);
}
