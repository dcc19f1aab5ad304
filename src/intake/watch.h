/*
 * watch: which file of a drop directory is complete, and in which order files are to be taken. inotify is a hint that makes it quick; the
 * scan of the directory is the truth, so an overflow, a restart, a remount or a lost event delays a file by at most the source's scan
 * interval and never loses it. Only names and stat results are looked at; nothing is opened, followed or changed here. Time is handed in
 * (steady ms), so that tests need not wait.
 */
#pragma once

#include "base/error.h"
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
 * come first. The name is valid until the next call. */
const char *watch_oldest(struct watch *watch);

/* watch_taken forgets a name: it was taken, or is gone. */
void watch_taken(struct watch *watch, const char *name);

/* watch_unfit is told that a name cannot be taken; it is left alone until it changes. True the first time, so that it is logged once. */
bool watch_unfit(struct watch *watch, const char *name);

/* watch_rescan makes the next watch_run look at the whole directory. */
void watch_rescan(struct watch *watch);

enum watch_state watch_state(const struct watch *watch);
const char *watch_reason(const struct watch *watch);    /* why it waits; "" when open */
int64_t watch_waiting_files(const struct watch *watch); /* names that match and are not taken yet */
