#include "queue/figures.h"

#include "queue/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *queue_manifest_state_name(enum queue_manifest_state state)
{
	static const char *const names[MANIFEST_N_STATES] = {
		[MANIFEST_STATE_LOADING] = "loading",   [MANIFEST_STATE_RELEASED] = "released",   [MANIFEST_STATE_SETTLED] = "settled",
		[MANIFEST_STATE_REJECTED] = "rejected", [MANIFEST_STATE_DUPLICATE] = "duplicate",
	};

	return state < MANIFEST_N_STATES ? names[state] : "?";
}

static bool failed(struct queue *queue, struct error *err)
{
	return error_set(err, ERROR_IO, "%s: %s", queue->db.path, sqlite3_errmsg(queue->db.handle));
}

/* Not one of db's statements: those can be prepared before the sums are there. */
static bool begin(struct queue *queue, struct error *err)
{
	sqlite3 *handle = queue->db.handle;

	if (queue->figures)
		return true;
	if (sqlite3_exec(handle, statement_figures_begin, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v3(handle, statement_figures, -1, SQLITE_PREPARE_PERSISTENT, &queue->figures, NULL) != SQLITE_OK) {
		failed(queue, err);
		if (!sqlite3_get_autocommit(handle))
			sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
		return false;
	}
	return true;
}

/* A line has the sums of one source and manifest state, which is NULL where the source never had a manifest. */
static void add_line(struct queue_source_figures *source, sqlite3_stmt *line)
{
	const char *state = db_text(line, 3);
	int64_t last = sqlite3_column_int64(line, 5);

	for (int i = 0; i < MANIFEST_N_STATES; i++) {
		if (strcmp(state, queue_manifest_state_name((enum queue_manifest_state)i)) == 0)
			source->manifests[i] = sqlite3_column_int64(line, 4);
	}
	for (int i = 0; i < ROW_N_STATES; i++)
		source->rows[i] += sqlite3_column_int64(line, 6 + i);
	if (last > source->last_manifest_at)
		source->last_manifest_at = last;
}

static struct queue_source_figures *source_of(struct queue_source_figures **sources, size_t *n, sqlite3_stmt *line)
{
	struct queue_source_figures *source = *n ? *sources + *n - 1 : NULL;

	if (source && strcmp(source->name, db_text(line, 0)) == 0)
		return source;
	*sources = xrealloc_array(*sources, *n + 1, sizeof(**sources));
	source = *sources + (*n)++;
	*source = (struct queue_source_figures){ .waiting_files = sqlite3_column_int64(line, 2) };
	snprintf(source->name, sizeof(source->name), "%s", db_text(line, 0));
	snprintf(source->state, sizeof(source->state), "%s", db_text(line, 1));
	return source;
}

bool queue_figures(struct queue *queue, struct queue_source_figures **ret_sources, size_t *ret_n, struct error *err)
{
	struct queue_source_figures *sources = NULL;
	size_t n = 0;
	int result;

	if (queue_in_turn(queue))
		return error_set(err, ERROR_INTERNAL, "%s: figures are asked for inside a turn", queue->db.path);
	if (!begin(queue, err))
		return false;
	while ((result = sqlite3_step(queue->figures)) == SQLITE_ROW)
		add_line(source_of(&sources, &n, queue->figures), queue->figures);
	if (result != SQLITE_DONE)
		failed(queue, err);
	sqlite3_reset(queue->figures);
	if (result != SQLITE_DONE) {
		free(sources);
		return false;
	}
	*ret_sources = sources;
	*ret_n = n;
	return true;
}

bool queue_waiting_since(struct queue *queue, int endpoint, int64_t now_ms, int64_t *ret_since)
{
	int64_t since = 0;

	/* Lanes are sorted by manifest, and a later manifest was released later. */
	for (size_t i = 0; i < queue->n_lanes && !since; i++) {
		const struct lane *lane = &queue->lanes[i];
		sqlite3_stmt *statement;

		if (!queue_lane_has_something(lane, endpoint, now_ms))
			continue;
		statement = db_use(&queue->db, MANIFEST_RELEASED_AT, "i", lane->manifest);
		if (!db_row(&queue->db, statement))
			return false;
		since = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	*ret_since = since;
	return true;
}

int64_t queue_commits(const struct queue *queue)
{
	return queue->commits;
}
