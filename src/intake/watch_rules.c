#include "intake/spool.h"
#include "intake/watch_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>

bool watch_wants(const struct watch *watch, const char *name)
{
	if (spool_is_ignored(name))
		return false;
	for (size_t i = 0; i < watch->source->n_match; i++) {
		if (fnmatch(watch->source->match[i], name, 0) == 0)
			return true;
	}
	return false;
}

bool watch_is_marker(const struct watch *watch, const char *name)
{
	const char *suffix = watch->source->complete.marker;
	size_t length = strlen(name), ending;

	if (watch->source->complete.when != CONFIG_MARKER)
		return false;
	ending = strlen(suffix);
	return length > ending && memcmp(name + length - ending, suffix, ending) == 0;
}

bool watch_stat(struct watch *watch, const char *name, struct stat *ret_stat)
{
	watch->path.length = watch->path_prefix;
	text_append_string(&watch->path, name);
	return fstatat(AT_FDCWD, watch->path.data, ret_stat, AT_SYMLINK_NOFOLLOW) == 0;
}

static const char *kind_of(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISLNK(mode))
		return "a link";
	if (S_ISFIFO(mode))
		return "a pipe";
	return S_ISSOCK(mode) ? "a socket" : "a device";
}

static void complain(struct watch *watch, const char *name)
{
	struct watch_name *odd = watch_table_find(&watch->odd, name);

	if (odd)
		odd->scan = watch->scan;
	if (odd || watch->odd.n >= WATCH_MOST_ODD)
		return;
	odd = watch_table_add(&watch->odd, name);
	odd->scan = watch->scan;
	odd->due_ms = (int64_t)watch->odd.n;
	watch_table_move(&watch->odd, odd, WATCH_NAME_DUE);
	watch->asked = true;
	if (watch->odd.n == WATCH_MOST_ODD)
		text_printf(&watch->notice, "%d matching names are no files: further ones are not counted", WATCH_MOST_ODD);
}

bool watch_next_complaint(struct watch *watch, struct text *ret_line)
{
	struct watch_name *odd;
	struct stat st;

	if (watch->notice.length) {
		text_append(ret_line, watch->notice.data, watch->notice.length);
		text_clear(&watch->notice);
		return true;
	}
	while ((odd = watch_table_due(&watch->odd))) {
		watch_table_move(&watch->odd, odd, WATCH_NAME_IDLE);
		if (!watch_stat(watch, odd->name, &st) || S_ISREG(st.st_mode))
			continue;
		text_escape(ret_line, odd->name, strlen(odd->name));
		text_printf(ret_line, " is %s, not a file: left alone", kind_of(st.st_mode));
		return true;
	}
	return false;
}

static int64_t nanoseconds(struct timespec time)
{
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool same_content(const struct watch_look *a, const struct watch_look *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

bool watch_is_back(const struct watch *watch, const struct watch_name *name)
{
	return watch->back && strcmp(watch->back, name->name) == 0 && same_content(&watch->taken_look, &name->look);
}

struct watch_name *watch_saw(struct watch *watch, const char *name, const struct stat *st, int64_t now_ms)
{
	struct watch_look look = { st->st_dev, st->st_ino, st->st_size, nanoseconds(st->st_mtim), nanoseconds(st->st_ctim) };
	struct watch_name *entry;
	bool changed, touched;

	if (!S_ISREG(st->st_mode)) {
		watch_table_remove(&watch->names, watch_table_find(&watch->names, name));
		complain(watch, name);
		return NULL;
	}
	entry = watch_table_add(&watch->names, name);
	if (!entry) {
		watch->beyond++;
		return NULL;
	}
	changed = !same_content(&look, &entry->look);
	/* A new owner or mode may be what an unfit file was waiting for. */
	touched = changed || look.ctime_ns != entry->look.ctime_ns;
	entry->look = look;
	if (changed)
		entry->still_ms = now_ms;
	switch (entry->state) {
	case WATCH_NAME_IDLE:
	case WATCH_NAME_DUE: break;
	case WATCH_NAME_COMPLETE:
		if (changed && (entry->left_over || watch->source->complete.when == CONFIG_MARKER))
			watch_table_move(&watch->names, entry, WATCH_NAME_COMPLETE);
		else if (changed)
			watch_wait(watch, entry, now_ms);
		break;
	case WATCH_NAME_UNFIT:
		if (touched)
			watch_wait(watch, entry, now_ms);
	}
	return entry;
}

struct watch_name *watch_examine(struct watch *watch, const char *name, int64_t now_ms)
{
	struct watch_name *entry;
	struct stat st;

	if (watch_stat(watch, name, &st))
		return watch_saw(watch, name, &st, now_ms);
	entry = watch_table_find(&watch->names, name);
	if (errno == ENOENT)
		watch_table_remove(&watch->names, entry);
	else if (entry)
		/* The next scan looks again. */
		watch_table_move(&watch->names, entry, WATCH_NAME_IDLE);
	return NULL;
}

static int64_t patience_ms(const struct watch *watch, const struct watch_name *name)
{
	if (name->left_over && !name->busy)
		return WATCH_LEFT_OVER_MS;
	return name->writer ? WATCH_WRITER_MS : watch->source->complete.quiet_ms;
}

void watch_wait(struct watch *watch, struct watch_name *name, int64_t now_ms)
{
	name->still_ms = now_ms;
	name->still_busy = false;
	name->due_ms = now_ms + patience_ms(watch, name);
	watch_table_move(&watch->names, name, WATCH_NAME_DUE);
}

void watch_retry_unfit(struct watch *watch, struct watch_name *name, int64_t now_ms)
{
	if (name && name->state == WATCH_NAME_UNFIT)
		watch_wait(watch, name, now_ms);
}

bool watch_may_be_shortened(const char *original)
{
	return strlen(original) >= SPOOL_MOST_STEM - 3;
}

/* Gives the name of the file's marker that exists, in watch->marker. */
static const char *marker_of(struct watch *watch, const char *name)
{
	const char *suffix = watch->source->complete.marker, *dot = strrchr(name, '.');
	size_t lengths[] = { strlen(name), dot ? (size_t)(dot - name) : 0 };
	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		struct watch_name *marker;

		if (!lengths[i])
			continue;
		text_clear(&watch->marker);
		text_append(&watch->marker, name, lengths[i]);
		text_append_string(&watch->marker, suffix);
		marker = watch_table_find(&watch->markers, watch->marker.data);
		if (!marker)
			continue;
		if (watch_stat(watch, watch->marker.data, &st) && S_ISREG(st.st_mode))
			return watch->marker.data;
		watch_table_remove(&watch->markers, marker);
	}
	return NULL;
}

const char *watch_marker(struct watch *watch, const char *name)
{
	const char *original = spool_original_name(name);

	if (watch->source->complete.when != CONFIG_MARKER)
		return NULL;
	/* Of a left-over and a new file of the same name, the marker belongs to the new one. */
	if (original && watch_table_find(&watch->names, original))
		return NULL;
	return marker_of(watch, original ? original : name);
}

void watch_judge_marker(struct watch *watch, struct watch_name *name, int64_t now_ms)
{
	if (name->state != WATCH_NAME_IDLE || name->left_over || !marker_of(watch, name->name))
		return;
	name = watch_examine(watch, name->name, now_ms);
	if (name)
		watch_table_move(&watch->names, name, WATCH_NAME_COMPLETE);
}

static void judge(struct watch *watch, struct watch_name *name, int64_t now_ms)
{
	bool writer = name->writer;

	if (name->still_ms + patience_ms(watch, name) > now_ms) {
		name->due_ms = name->still_ms + patience_ms(watch, name);
		watch_table_move(&watch->names, name, WATCH_NAME_DUE);
		return;
	}
	name->writer = false;
	name = watch_examine(watch, name->name, now_ms);
	if (!name)
		return;
	if (writer || name->still_ms + patience_ms(watch, name) > now_ms) {
		watch_wait(watch, name, now_ms);
		return;
	}
	if (watch->source->complete.when != CONFIG_MARKER || name->left_over) {
		watch_table_move(&watch->names, name, WATCH_NAME_COMPLETE);
		return;
	}
	watch_table_move(&watch->names, name, WATCH_NAME_IDLE);
	watch_judge_marker(watch, name, now_ms);
}

void watch_judge_due(struct watch *watch, int64_t now_ms)
{
	struct watch_name *name;

	while ((name = watch_table_due(&watch->names)) && name->due_ms <= now_ms)
		judge(watch, name, now_ms);
}
