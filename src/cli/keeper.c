#include "cli/keeper.h"

#include "base/file.h"
#include "base/log.h"
#include "queue/purge.h"
#include "report/shred.h"

#include <inttypes.h>
#include <stdlib.h>

/* How often retention is looked at; when a piece that failed is tried again; files that one turn looks at. */
enum { ROUND_MS = 60 * 60 * 1000, AGAIN_MS = 60 * 1000, FILES = 50 };

/* A reader is told of when it has kept so much for so long. */
enum { WAL_MOST = 64 * 1024 * 1024, WAL_PATIENCE_MS = 60 * 1000 };

/* A WAL that has grown so much is emptied as soon as that is possible, which has to be tried. */
enum { WAL_GROWN = 16 * 1024 * 1024, WAL_AGAIN_MS = 5 * 1000 };

enum work { NO_WORK, PURGING, SHREDDING };

struct keeper {
	const struct config *config;
	struct queue *queue;
	enum work work;
	int64_t next_ms; /* of the next round, or of the next piece after one that failed */
	struct queue_purge purge;
	struct queue_purged purged;
	bool purge_ends; /* with this turn's commit */
	struct shred *shred;
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

void keeper_gather(struct keeper *keeper, int64_t now_ms, int64_t wall_ms)
{
	if (now_ms < keeper->next_ms)
		return;
	switch (keeper->work) {
	case NO_WORK:
		keeper->purge = (struct queue_purge){
			.bodies_before = wall_ms - keeper->config->retention.bodies_ms,
			.rows_before = wall_ms - keeper->config->retention.rows_ms,
		};
		keeper->purged = (struct queue_purged){ 0 };
		keeper->shred = shred_new(keeper->config, wall_ms);
		keeper->work = PURGING;
		break;
	case PURGING: (void)queue_purge_slice(keeper->queue, &keeper->purge, &keeper->purged, &keeper->purge_ends); break;
	case SHREDDING: shred(keeper, now_ms);
	}
}

static void look_at_wal(struct keeper *keeper, int64_t now_ms)
{
	int64_t since = queue_wal_stuck_since(keeper->queue), bytes = queue_wal_bytes(keeper->queue);
	bool stuck = since && now_ms - since >= WAL_PATIENCE_MS && bytes >= WAL_MOST;

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
