/*
 * watch: which file of a drop directory is complete, and in which order files are to be taken. inotify is a hint that makes it quick; the
 * scan of the directory is the truth, so an overflow, a restart, a remount or a lost event delays a file by at most the source's scan
 * interval and never loses it. Only names and stat results are looked at; nothing is opened, followed or changed here. Time is handed in
 * (steady ms), so that tests need not wait.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct watch; /* one source's directory */

enum watch_state { WATCH_WAITING, /* the directory is not there or cannot be read */ WATCH_OPEN };

/* watch_new borrows the source and an inotify descriptor that several watches may share. Never fails: a directory that is not there is
 * waited for. */
struct watch *watch_new(const struct config_source *source, int inotify);
void watch_free(struct watch *watch);

/* watch_event is told of one inotify event of this watch's descriptor (wd matches watch_descriptor); IN_Q_OVERFLOW goes to every watch. */
int watch_descriptor(const struct watch *watch);
struct inotify_event;
void watch_event(struct watch *watch, const struct inotify_event *event, int64_t now_ms);

/* watch_run looks at the directory where a scan is due or an event asked for it, and judges files. Call when watch_next_ms has come. */
void watch_run(struct watch *watch, int64_t now_ms);

/* watch_next_ms: when watch_run has something to do (steady ms). */
int64_t watch_next_ms(const struct watch *watch);

/* watch_oldest gives the complete file to take next (by modification time, then name), or NULL. left-over .trackbridge-* files of a crash
 * come first. It stays the oldest, and the name valid, until watch_taken or watch_unfit is told of it or the directory is looked at again.
 */
const char *watch_oldest(struct watch *watch);

/* watch_marker gives the name of the marker that is to be removed with a file (when: marker), or NULL; valid until the next call. */
const char *watch_marker(struct watch *watch, const char *name);

/* watch_taken forgets a name: it was renamed by spool_start (call it right after that), or is gone. A name that spool gives back is found
 * again by itself, and then has to stand still for quiet whatever the rule is. */
void watch_taken(struct watch *watch, const char *name);

/* watch_back is told that spool gave a name back for reasons that are not the file's: it is as complete as it was, and keeps its place
 * before later files, unless it was written to meanwhile. Call it right after that. */
void watch_back(struct watch *watch, const char *name, int64_t now_ms);

/* watch_busy is told that a name is still being written to: it is complete after quiet, at the earliest. True the first time, so that it is
 * logged once. */
bool watch_busy(struct watch *watch, const char *name, int64_t now_ms);

/* watch_unfit is told that a name cannot be taken; it is left alone until it changes. True the first time, so that it is logged once. */
bool watch_unfit(struct watch *watch, const char *name);

/* watch_rescan makes the next watch_run look at the whole directory. */
void watch_rescan(struct watch *watch);

/* watch_settled: every file that is there was looked at, and none is about to become complete by standing still, but for those that
 * somebody else has to close. watch_done: and none is complete. */
bool watch_settled(const struct watch *watch, int64_t now_ms);
bool watch_done(const struct watch *watch, int64_t now_ms);

/* watch_left gives the first of the files that are not complete and wait for somebody's doing, and what is the matter with it; NULL where
 * there is none. Files that wait for their marker are none of these. */
const char *watch_left(const struct watch *watch, const char **ret_why);

enum watch_state watch_state(const struct watch *watch);
const char *watch_reason(const struct watch *watch);    /* why it waits; "" when open */
int64_t watch_waiting_files(const struct watch *watch); /* names that match and are not taken yet */

/* watch_next_complaint appends one line for the log to ret_line: a matching name that is no file, once for as long as it is there (so many
 * at most), or inotify that cannot be had. False where there is nothing to say. */
bool watch_next_complaint(struct watch *watch, struct text *ret_line);
