/*
 * watch_inside: what the parts of watch share: watch.c scans, watch_event.c listens, watch_rules.c decides what that means for each name.
 * Included by these alone.
 */
#pragma once

#include "intake/watch.h"
#include "intake/watch_table.h"

#include <sys/stat.h>

enum {
	WATCH_WRITER_MS = 60 * 60 * 1000,    /* a writer that was seen to write and never to close is believed for so long; truncate(2)
						looks the same */
	WATCH_LEFT_OVER_MS = 10 * 60 * 1000, /* a .trackbridge- name that appears while we run is most likely in somebody's hands */
	WATCH_MOST_ODD = 20000,              /* names of no files that are remembered and told */
};

struct watch {
	const struct config_source *source;
	int inotify, descriptor;
	enum watch_state state;
	struct text reason;
	struct stat directory;        /* as the last scan saw it */
	int64_t scan_ms;              /* when the next scan is due */
	bool asked;                   /* an event left something for watch_run or watch_oldest */
	bool first;                   /* the next scan is the first of this directory: .trackbridge- names in it are a crash's */
	bool markers_changed;         /* a marker has come: some idle name may be complete */
	bool without_inotify;         /* and that was said */
	uint32_t scan;                /* number of the scan */
	uint32_t back_cookie;         /* of the last rename away from a .trackbridge- name */
	struct watch_look taken_look; /* of the name that was taken last */
	char *back;                   /* the name that was given back last for reasons that were not its own, or NULL */
	int64_t beyond;               /* names that the last scan found no room for */
	struct watch_table names, markers;
	struct watch_table odd; /* names that are no files; those still to be told are due */
	struct text path;       /* scratch: "DROP/" and a name */
	size_t path_prefix;
	struct text marker; /* scratch */
	struct text notice; /* a line for the log */
};

/* watch_wants: a name that matches and is not ignored. watch_is_marker: a name that ends like a marker, where there are markers. */
bool watch_wants(const struct watch *watch, const char *name);
bool watch_is_marker(const struct watch *watch, const char *name);

/* watch_stat is lstat of a name in the directory; false with errno set. */
bool watch_stat(struct watch *watch, const char *name, struct stat *ret_stat);

/* watch_saw takes in what a look at a name has shown, and gives its entry: NULL where it is no file or there is no room. */
struct watch_name *watch_saw(struct watch *watch, const char *name, const struct stat *st, int64_t now_ms);

/* watch_examine looks at a name and takes in what it shows; NULL where it is gone, no file, or cannot be looked at now. */
struct watch_name *watch_examine(struct watch *watch, const char *name, int64_t now_ms);

/* watch_wait makes a name stand still from now on before it is complete. */
void watch_wait(struct watch *watch, struct watch_name *name, int64_t now_ms);

/* watch_is_back tells whether an entry is what was given back last, and as it was. */
bool watch_is_back(const struct watch *watch, const struct watch_name *name);

/* watch_retry_unfit gives an unfit name another chance; takes NULL. */
void watch_retry_unfit(struct watch *watch, struct watch_name *name, int64_t now_ms);

/* watch_may_be_shortened tells whether a name that a .trackbridge- name shows may be only a part of the true one. */
bool watch_may_be_shortened(const char *original);

/* watch_judge_due judges every name whose time has come; watch_judge_marker completes an idle name that has its marker. */
void watch_judge_due(struct watch *watch, int64_t now_ms);
void watch_judge_marker(struct watch *watch, struct watch_name *name, int64_t now_ms);
