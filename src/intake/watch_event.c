#include "intake/spool.h"
#include "intake/watch_inside.h"

#include <sys/inotify.h>

static void taken_name_event(struct watch *watch, const struct inotify_event *event, const char *original, int64_t now_ms)
{
	if (!(event->mask & (IN_DELETE | IN_MOVED_FROM)))
		return;
	if (event->mask & IN_MOVED_FROM)
		watch->back_cookie = event->cookie;
	watch_table_remove(&watch->names, watch_table_find(&watch->names, event->name));
	/* What could not be taken because its taken name was in use can be taken now. */
	watch_retry_unfit(watch, watch_table_find(&watch->names, original), now_ms);
	/* Long names have the same one where they begin alike. */
	for (size_t i = watch_may_be_shortened(original) ? watch->names.n : 0; i-- > 0;)
		watch_retry_unfit(watch, watch->names.all[i], now_ms);
}

static void marker_event(struct watch *watch, const struct inotify_event *event)
{
	if (event->mask & (IN_DELETE | IN_MOVED_FROM)) {
		watch_table_remove(&watch->markers, watch_table_find(&watch->markers, event->name));
	} else if (event->mask & (IN_CREATE | IN_MOVED_TO)) {
		watch_table_add(&watch->markers, event->name);
		watch->markers_changed = watch->asked = true;
	}
}

/* There may be thousands of these for one file: no system call. */
static void modified(struct watch *watch, const char *name, int64_t now_ms)
{
	bool rule_knows_writers = watch->source->complete.when != CONFIG_STABLE;
	struct watch_name *entry;

	if (watch->source->complete.when == CONFIG_MARKER)
		return;
	entry = watch_table_add(&watch->names, name);
	if (!entry)
		return;
	entry->still_ms = now_ms;
	if (entry->state == WATCH_NAME_DUE && entry->writer == rule_knows_writers)
		return;
	entry->writer = rule_knows_writers;
	watch_wait(watch, entry, now_ms);
}

static void touched(struct watch *watch, const char *name, int64_t now_ms)
{
	struct watch_name *entry = watch_table_find(&watch->names, name);

	if (entry)
		entry = watch_examine(watch, name, now_ms);
	if (entry && watch->source->complete.when == CONFIG_CLOSED)
		entry->still_ms = now_ms;
}

/* A name has come, or its writer has closed it. */
static void arrived(struct watch *watch, const struct inotify_event *event, int64_t now_ms)
{
	bool renamed = event->mask & IN_MOVED_TO, closed = event->mask & IN_CLOSE_WRITE;
	/* spool gives a name back because the file was not good to take: that rename does not complete it, or we would go in circles. */
	bool given_back = renamed && event->cookie && event->cookie == watch->back_cookie;
	struct watch_name *entry;

	if (renamed)
		watch_table_remove(&watch->names, watch_table_find(&watch->names, event->name));
	entry = watch_examine(watch, event->name, now_ms);
	if (!entry)
		return;
	if (renamed || closed)
		entry->writer = entry->still_busy = false;
	if (given_back) {
		if (watch_is_back(watch, entry))
			watch_table_move(&watch->names, entry, WATCH_NAME_COMPLETE);
		else
			watch_wait(watch, entry, now_ms);
		return;
	}
	switch (watch->source->complete.when) {
	case CONFIG_RENAMED:
		if (renamed)
			watch_table_move(&watch->names, entry, WATCH_NAME_COMPLETE);
		else if (closed && entry->state == WATCH_NAME_DUE)
			watch_wait(watch, entry, now_ms);
		break;
	case CONFIG_CLOSED:
		if ((renamed || closed) && entry->state != WATCH_NAME_UNFIT)
			watch_wait(watch, entry, now_ms);
		break;
	case CONFIG_STABLE:
		if (entry->state == WATCH_NAME_IDLE)
			watch_wait(watch, entry, now_ms);
		break;
	case CONFIG_MARKER: watch_judge_marker(watch, entry, now_ms);
	}
	watch->asked = true;
}

/* The events that said that writers have closed may be among those that were lost. */
static void overflowed(struct watch *watch)
{
	for (size_t i = 0; i < watch->names.n; i++) {
		struct watch_name *name = watch->names.all[i];

		if (name->writer)
			watch_table_move(&watch->names, name, WATCH_NAME_IDLE);
		name->writer = false;
	}
	watch_rescan(watch);
}

void watch_event(struct watch *watch, const struct inotify_event *event, int64_t now_ms)
{
	const char *original;

	if (event->mask & IN_Q_OVERFLOW) {
		overflowed(watch);
		return;
	}
	if (event->wd < 0 || event->wd != watch->descriptor)
		return;
	if (event->mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF)) {
		if (event->mask & IN_IGNORED)
			watch->descriptor = -1;
		watch_rescan(watch);
		return;
	}
	if (!event->len || event->mask & IN_ISDIR)
		return;
	original = spool_original_name(event->name);
	if (original)
		taken_name_event(watch, event, original, now_ms);
	else if (watch_is_marker(watch, event->name))
		marker_event(watch, event);
	else if (!watch_wants(watch, event->name))
		return;
	else if (event->mask & (IN_DELETE | IN_MOVED_FROM))
		watch_table_remove(&watch->names, watch_table_find(&watch->names, event->name));
	else if (event->mask & IN_MODIFY)
		modified(watch, event->name, now_ms);
	else if (event->mask & IN_ATTRIB)
		touched(watch, event->name, now_ms);
	else
		arrived(watch, event, now_ms);
}
