#include "cli/keeper.h"

#include "base/file.h"
#include "base/log.h"
#include "queue/purge.h"
#include "report/shred.h"

#include <inttypes.h>
#include <stdlib.h>

/* How often retention is looked at; when a piece that failed is tried again; files that one turn looks at. */
enum { ROUND_MS = 60 * 60 * 1000, AGAIN_MS = 60 * 1000, FILES = 50 };

/* A reader is told of when it has kept QUEUE_WAL_MOST for so long. */
enum { WAL_PATIENCE_MS = 60 * 1000 };

/* A WAL that has grown so much is emptied as soon as that is possible, which has to be tried. */
enum { WAL_GROWN = 16 * 1024 * 1024, WAL_AGAIN_MS = 5 * 1000 };

/* A clock that is so far ahead of the newest thing known is doubted, for so long. */
enum { LEAP_MS = 7 * 24 * 60 * 60 * 1000, DOUBT_MS = 24 * 60 * 60 * 1000 };

enum work { NO_WORK, PURGING, SHREDDING };

struct keeper {
	const struct config *config;
	struct queue *queue;
	enum work work;
	int64_t next_ms; /* of the next round, or of the next piece after one that failed */
	bool knows_newest;
	int64_t newest_offset_ms; /* of the newest time known to steady time, as it was when that was looked up */
	int64_t doubted_since_ms; /* 0: the clock is believed */
	struct queue_purge purge;
	struct queue_purged purged;
	bool purge_ends; /* with this turn's commit */
	struct shred *shred;
	int64_t pieces; /* ever done */
	bool said_stuck;
	int64_t wal_ms; /* when emptying the WAL is tried again; INT64_MAX: it has not grown */
};

struct keeper *keeper_new(const struct config *config, struct queue *queue, int64_t now_ms)
{
	struct keeper *keeper = xcalloc(1, sizeof(*keeper));

	*keeper = (struct keeper){ .config = config, .queue = queue, .next_ms = now_ms, .wal_ms = INT64_MAX };
	return keeper;
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	shred_free(keeper->shred);
	free(keeper);
}

static void end_round(struct keeper *keeper, int64_t now_ms)
{
	const struct queue_purged *p = &keeper->purged;
	int64_t files = shred_removed(keeper->shred);

	if (p->bodies || p->manifests || files)
		log_write(LOG_NOTICE,
			  "retention: %" PRId64 " requests, %" PRId64 " manifests with %" PRId64 " rows and %" PRId64
			  " files of the archive are gone",
			  p->bodies, p->manifests, p->rows, files);
	shred_free(keeper->shred);
	keeper->shred = NULL;
	keeper->work = NO_WORK;
	keeper->next_ms = now_ms + ROUND_MS;
}

static void shred(struct keeper *keeper, int64_t now_ms)
{
	struct error err = { 0 };
	bool done;

	if (!shred_slice(keeper->shred, FILES, &done, &err))
		log_write(LOG_WARNING, "retention: %s", err.text);
	if (done)
		end_round(keeper, now_ms);
}

static bool look_for_newest(struct keeper *keeper, int64_t now_ms)
{
	int64_t newest;

	if (keeper->knows_newest)
		return true;
	if (!queue_newest(keeper->queue, &newest))
		return false;
	keeper->newest_offset_ms = newest - now_ms;
	keeper->knows_newest = true;
	return true;
}

/* What is removed cannot be brought back when the clock has been put right. */
static bool is_believed(struct keeper *keeper, int64_t now_ms, int64_t wall_ms, int64_t server_ms)
{
	int64_t ahead_ms = wall_ms - (now_ms + keeper->newest_offset_ms);

	/* Where nothing is known there is nothing to remove. */
	if (server_ms || ahead_ms <= LEAP_MS || keeper->newest_offset_ms + now_ms < LEAP_MS) {
		keeper->doubted_since_ms = 0;
		return true;
	}
	if (!keeper->doubted_since_ms) {
		keeper->doubted_since_ms = now_ms;
		log_write(LOG_WARNING,
			  "the clock is %" PRId64
			  " days ahead of the newest thing in the queue: nothing past retention is removed until D1's clock says the"
			  " same, or for a day",
			  ahead_ms / DOUBT_MS);
	}
	return now_ms - keeper->doubted_since_ms >= DOUBT_MS;
}

static void begin_round(struct keeper *keeper, int64_t now_ms, int64_t wall_ms, int64_t server_ms)
{
	int64_t today_ms = server_ms && server_ms < wall_ms ? server_ms : wall_ms;

	if (!look_for_newest(keeper, now_ms))
		return;
	if (!is_believed(keeper, now_ms, wall_ms, server_ms)) {
		keeper->next_ms = now_ms + AGAIN_MS;
		return;
	}
	keeper->purge = (struct queue_purge){
		.bodies_before = today_ms - keeper->config->retention.bodies_ms,
		.rows_before = today_ms - keeper->config->retention.rows_ms,
	};
	if (!queue_purge_by(keeper->queue, today_ms, &keeper->purge))
		return;
	keeper->purged = (struct queue_purged){ 0 };
	keeper->shred = shred_new(keeper->config, today_ms);
	keeper->work = PURGING;
}

void keeper_gather(struct keeper *keeper, int64_t now_ms, int64_t wall_ms, int64_t server_ms)
{
	if (now_ms < keeper->next_ms)
		return;
	keeper->pieces += keeper->work == SHREDDING;
	switch (keeper->work) {
	case NO_WORK: begin_round(keeper, now_ms, wall_ms, server_ms); break;
	case PURGING: (void)queue_purge_slice(keeper->queue, &keeper->purge, &keeper->purged, &keeper->purge_ends); break;
	case SHREDDING: shred(keeper, now_ms);
	}
}

static void look_at_wal(struct keeper *keeper, int64_t now_ms)
{
	int64_t since = queue_wal_stuck_since(keeper->queue), bytes = queue_wal_bytes(keeper->queue);
	bool stuck = since && now_ms - since >= WAL_PATIENCE_MS && bytes >= QUEUE_WAL_MOST;

	if (stuck && !keeper->said_stuck)
		log_write(LOG_WARNING,
			  "%s/queue.db-wal has %" PRId64
			  " MiB and grows: a reader keeps it from shrinking; `fuser -v %s/queue.db-wal` names it",
			  keeper->config->state_dir, bytes / (1024 * 1024), keeper->config->state_dir);
	if (!since && keeper->said_stuck)
		log_write(LOG_NOTICE, "the reader that kept queue.db-wal from shrinking has gone");
	keeper->said_stuck = stuck || (keeper->said_stuck && since);
}

void keeper_act(struct keeper *keeper, bool committed, bool idle, int64_t now_ms)
{
	if (!committed && keeper->work == PURGING)
		keeper->next_ms = now_ms + AGAIN_MS;
	else if (keeper->purge_ends && keeper->work == PURGING)
		keeper->work = SHREDDING;
	keeper->purge_ends = false;
	look_at_wal(keeper, now_ms);
	if (idle)
		queue_wal_shrink(keeper->queue, now_ms);
	keeper->wal_ms = queue_wal_bytes(keeper->queue) >= WAL_GROWN ? now_ms + WAL_AGAIN_MS : INT64_MAX;
}

int64_t keeper_next_ms(const struct keeper *keeper)
{
	return keeper->wal_ms < keeper->next_ms ? keeper->wal_ms : keeper->next_ms;
}

int64_t keeper_done(const struct keeper *keeper)
{
	return keeper->pieces;
}
