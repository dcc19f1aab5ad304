/*
 * intake_inside: what intake.c (the round over all sources), source.c (one source) and take.c (the one file that is being taken) share.
 * Included by these alone.
 */
#pragma once

#include "intake/intake.h"
#include "intake/late.h"
#include "intake/load.h"
#include "intake/spool.h"
#include "base/told.h"
#include "intake/watch.h"

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
	char *name, *taken_name, *marker;
	struct spool *spool;
	int64_t manifest, duplicate_of; /* of TAKE_RECORDED and after */
};

struct source {
	const struct config_source *config;
	struct watch *watch;
	enum watch_state state; /* as stored and logged */
	char reason[256];
	int64_t waiting_files;
	bool seen;                    /* state and reason are those of a look at the directory, and were logged */
	bool stored;                  /* and they are in the database */
	struct told told, told_taken; /* lines about trouble, and about files that were taken */
	/* Its oldest file cannot be taken now, for reasons that may pass; later ones wait behind it. */
	int64_t again_at;     /* when it is tried again; in the past: nothing is held back */
	enum spool_step held; /* why it was held last and nothing was taken since: SPOOL_FULL, SPOOL_STUCK; SPOOL_MORE: no */
	char *held_name;      /* for which file that was said */
	char held_why[256];
	struct late late;
	bool late_begun; /* the database was asked since when it waits */
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
	int landed;   /* duplicates */
	int64_t done; /* events read and slices copied, ever */
};

/* source_look runs the watch where it is due, logs and stores what has changed. */
void source_look(struct intake *intake, int source);

/* source_say writes one line about a file or name of the source, or counts it where there were too many. */
void source_say(struct intake *intake, int source, int priority, const char *line);

/* source_tell_count writes how many lines were counted and not written, where that is due, or (ending) where there are any. */
void source_tell_count(struct intake *intake, int source, bool ending);

/* source_hold makes the source wait, with its oldest file that cannot be taken now; source_goes_on is told that one was copied. */
void source_hold(struct intake *intake, int source, enum spool_step step, const char *name, const struct error *err);
void source_goes_on(struct intake *intake, int source);

/* source_manifest_came is told that a manifest of the source was recorded. */
void source_manifest_came(struct intake *intake, int source);

/* source_is_done: every file present was taken, or cannot be without somebody's doing. source_left appends what there is to say of the
 * first of the latter ones; false where there is none. */
bool source_is_done(const struct intake *intake, int source);
bool source_left(const struct intake *intake, int source, struct text *ret_line);

/* source_next gives the name to take next, or NULL; source_next_ms when there is something to do for it by time alone (steady ms). */
const char *source_next(const struct intake *intake, int source);
int64_t source_next_ms(const struct intake *intake, int source);

/* take_begin takes the file that a source's watch found; take.state tells whether it could be. */
void take_begin(struct intake *intake, int source, const char *found);

/* take_copy does a slice of the copy; take_record puts what is copied into the turn's transaction, and take_unrecord is told that its
 * commit failed. */
void take_copy(struct intake *intake);
void take_record(struct intake *intake);
void take_unrecord(struct intake *intake);

/* take_finish removes the original of a file that is durably recorded. */
void take_finish(struct intake *intake);

/* take_clear removes the copy that a crash left half made. */
void take_clear(const struct intake *intake);

/* take_forget ends a take: what is not finished is given its name back. */
void take_forget(struct take *take);
