#include "intake/watch.h"

#include "base/file.h"
#include "intake/spool.h"
#include "intake/watch_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>

static const uint32_t events = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB |
			       IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

enum { SOON_MS = 1000 };

struct watch *watch_new(const struct config_source *source, int inotify)
{
	struct watch *watch = xcalloc(1, sizeof(*watch));

	*watch = (struct watch){ .source = source, .inotify = inotify, .descriptor = -1, .state = WATCH_WAITING, .first = true };
	watch_table_init(&watch->names);
	watch_table_init(&watch->markers);
	watch_table_init(&watch->odd);
	text_printf(&watch->path, "%s/", source->drop);
	watch->path_prefix = watch->path.length;
	text_printf(&watch->reason, "%s: not looked at yet", source->drop);
	return watch;
}

static void forget_all(struct watch *watch)
{
	if (watch->descriptor >= 0)
		inotify_rm_watch(watch->inotify, watch->descriptor);
	watch->descriptor = -1;
	watch_table_clear(&watch->names);
	watch_table_clear(&watch->markers);
	watch->beyond = 0;
	watch->first = true;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	forget_all(watch);
	watch_table_clear(&watch->odd);
	text_free(&watch->reason);
	text_free(&watch->path);
	text_free(&watch->marker);
	text_free(&watch->notice);
	free(watch->back);
	free(watch);
}

int watch_descriptor(const struct watch *watch)
{
	return watch->descriptor;
}

static void lose(struct watch *watch, int errnum)
{
	forget_all(watch);
	watch->state = WATCH_WAITING;
	text_clear(&watch->reason);
	text_printf(&watch->reason, "%s: %s", watch->source->drop, strerror(errnum));
}

/* Listens to what is at the path now, so that nothing that happens after the scan is missed; then opens it for the scan. */
static int open_directory(struct watch *watch, int64_t now_ms)
{
	/* For the same directory this gives the same descriptor again, for another one a new one. */
	int descriptor = watch->inotify < 0 ? -1 : inotify_add_watch(watch->inotify, watch->source->drop, events);
	int errnum = errno, fd = open(watch->source->drop, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		errnum = errno;
		cleanup_close(&fd);
		if (watch->state == WATCH_OPEN && (errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM || errnum == EINTR))
			watch->scan_ms = now_ms + SOON_MS;
		else
			lose(watch, errnum);
		return -1;
	}
	if ((watch->descriptor >= 0 && descriptor != watch->descriptor) ||
	    (!watch->first && (st.st_dev != watch->directory.st_dev || st.st_ino != watch->directory.st_ino)))
		forget_all(watch);
	/* Whoever mends the directory's rights expects the files to go. */
	if (st.st_mode != watch->directory.st_mode || st.st_uid != watch->directory.st_uid || st.st_gid != watch->directory.st_gid) {
		for (size_t i = 0; i < watch->names.n; i++)
			watch_retry_unfit(watch, watch->names.all[i], now_ms);
	}
	if (descriptor < 0 && watch->inotify >= 0 && !watch->without_inotify)
		text_printf(&watch->notice, "inotify: %s: files are found by the scan alone", strerror(errnum));
	watch->without_inotify = descriptor < 0;
	watch->descriptor = descriptor;
	watch->directory = st;
	return fd;
}

static void scanned(struct watch *watch, const char *name, const struct stat *st, int64_t now_ms)
{
	bool left_over = spool_original_name(name);
	struct watch_name *entry;

	if (left_over && !S_ISREG(st->st_mode))
		return;
	entry = watch_saw(watch, name, st, now_ms);
	if (!entry)
		return;
	entry->scan = watch->scan;
	entry->left_over = left_over;
	if (entry->state != WATCH_NAME_IDLE)
		return;
	if (left_over && watch->first)
		watch_table_move(&watch->names, entry, WATCH_NAME_COMPLETE);
	else if (left_over || watch->source->complete.when != CONFIG_MARKER)
		watch_wait(watch, entry, now_ms);
}

static bool scan_name(struct watch *watch, int directory, const char *name, int64_t now_ms)
{
	const char *original = spool_original_name(name);
	struct watch_name *entry;
	struct stat st;

	if (!original && watch_is_marker(watch, name)) {
		entry = watch_table_add(&watch->markers, name);
		if (entry)
			entry->scan = watch->scan;
		return true;
	}
	/* Of a shortened name, nobody knows any more what it matched. */
	if (!watch_wants(watch, original ? original : name) && !(original && watch_may_be_shortened(original)))
		return true;
	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		scanned(watch, name, &st, now_ms);
		return true;
	}
	entry = watch_table_find(&watch->names, name);
	if (entry && errno != ENOENT)
		entry->scan = watch->scan;
	/* A directory that may be read but not searched. */
	return errno != EACCES;
}

static void drop_unseen(struct watch_table *table, uint32_t scan)
{
	for (size_t i = table->n; i-- > 0;) {
		if (table->all[i]->scan != scan)
			watch_table_remove(table, table->all[i]);
	}
}

static void scan(struct watch *watch, int64_t now_ms)
{
	int fd;
	DIR *directory;
	struct dirent *item;
	bool readable = true;

	watch->scan_ms = now_ms + watch->source->scan_ms;
	fd = open_directory(watch, now_ms);
	if (fd < 0)
		return;
	directory = fdopendir(fd);
	if (!directory) {
		lose(watch, errno);
		close(fd);
		return;
	}
	watch->scan++;
	watch->beyond = 0;
	while (errno = 0, readable && (item = readdir(directory)))
		readable = scan_name(watch, fd, item->d_name, now_ms);
	if (!readable || errno) {
		lose(watch, readable ? errno : EACCES);
	} else {
		drop_unseen(&watch->names, watch->scan);
		drop_unseen(&watch->markers, watch->scan);
		drop_unseen(&watch->odd, watch->scan);
		watch->first = false;
		watch->state = WATCH_OPEN;
		text_clear(&watch->reason);
		watch->markers_changed = watch->source->complete.when == CONFIG_MARKER;
	}
	closedir(directory);
}

void watch_run(struct watch *watch, int64_t now_ms)
{
	watch->asked = false;
	if (now_ms >= watch->scan_ms)
		scan(watch, now_ms);
	watch_judge_due(watch, now_ms);
	for (size_t i = watch->markers_changed ? watch->names.n : 0; i-- > 0;)
		watch_judge_marker(watch, watch->names.all[i], now_ms);
	watch->markers_changed = false;
}

int64_t watch_next_ms(const struct watch *watch)
{
	const struct watch_name *due = watch_table_due(&watch->names);

	if (watch->asked)
		return 0;
	return due && due->due_ms < watch->scan_ms ? due->due_ms : watch->scan_ms;
}

const char *watch_oldest(struct watch *watch)
{
	const struct watch_name *oldest = watch_table_oldest(&watch->names);

	return oldest ? oldest->name : NULL;
}

void watch_taken(struct watch *watch, const char *name)
{
	struct watch_name *entry = watch_table_find(&watch->names, name);

	if (entry)
		watch->taken_look = entry->look;
	watch_table_remove(&watch->names, entry);
	/* There is room for what the last scan could not note. */
	if (watch->beyond && watch->names.n < WATCH_TABLE_MOST / 2)
		watch_rescan(watch);
}

void watch_back(struct watch *watch, const char *name, int64_t now_ms)
{
	struct watch_name *entry;

	free(watch->back);
	watch->back = xstrdup(name);
	/* What inotify has to say of both renames is heard later. */
	entry = watch_examine(watch, name, now_ms);
	if (entry && entry->state == WATCH_NAME_IDLE && watch_is_back(watch, entry))
		watch_table_move(&watch->names, entry, WATCH_NAME_COMPLETE);
}

bool watch_busy(struct watch *watch, const char *name, int64_t now_ms)
{
	struct watch_name *entry = watch_table_find(&watch->names, name);
	bool first = !entry || !entry->busy;

	if (!entry)
		return true;
	entry->busy = true;
	watch_wait(watch, entry, now_ms);
	entry->still_busy = true;
	return first;
}

bool watch_unfit(struct watch *watch, const char *name)
{
	struct watch_name *entry = watch_table_find(&watch->names, name);

	if (!entry)
		return true;
	if (entry->state == WATCH_NAME_UNFIT)
		return false;
	watch_table_move(&watch->names, entry, WATCH_NAME_UNFIT);
	return true;
}

void watch_rescan(struct watch *watch)
{
	watch->scan_ms = 0;
}

enum watch_state watch_state(const struct watch *watch)
{
	return watch->state;
}

const char *watch_reason(const struct watch *watch)
{
	return watch->reason.data;
}

/* A writer that was seen may close the file at any moment; but not for ever. */
static bool is_being_written(const struct watch *watch, const struct watch_name *name, int64_t now_ms)
{
	return name->still_busy || (name->writer && now_ms - name->still_ms >= watch->source->complete.quiet_ms);
}

bool watch_settled(const struct watch *watch, int64_t now_ms)
{
	for (size_t i = 0; i < watch->names.due.n; i++) {
		if (!is_being_written(watch, watch->names.due.names[i], now_ms))
			return false;
	}
	return watch->state == WATCH_OPEN && !watch->asked;
}

bool watch_done(const struct watch *watch, int64_t now_ms)
{
	return watch_settled(watch, now_ms) && !watch->beyond && !watch_table_oldest(&watch->names);
}

static const char *why_left(const struct watch_name *name)
{
	if (name->state == WATCH_NAME_UNFIT)
		return name->left_over ? NULL : "cannot be taken";
	if (name->still_busy)
		return "is still open for writing";
	return name->writer ? "was written to, and not closed since" : NULL;
}

const char *watch_left(const struct watch *watch, const char **ret_why)
{
	const struct watch_name *first = NULL;

	for (size_t i = 0; i < watch->names.n; i++) {
		const struct watch_name *name = watch->names.all[i];

		if (why_left(name) && (!first || watch_table_before(name, first)))
			first = name;
	}
	if (!first)
		return NULL;
	*ret_why = why_left(first);
	return first->name;
}

int64_t watch_waiting_files(const struct watch *watch)
{
	int64_t waiting = watch->beyond;

	for (size_t i = 0; i < watch->names.n; i++)
		/* A .trackbridge- name that is not for us is in somebody's hands. */
		waiting += !watch->names.all[i]->left_over || watch->names.all[i]->state == WATCH_NAME_COMPLETE;
	return waiting;
}
