#include "queue/chain.h"

#include "queue/card.h"

#include <stdio.h>
#include <stdlib.h>

bool chain_let_next_go(struct queue *queue, int64_t row, int endpoint, int64_t now_ms)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement;
	int64_t next = 0;

	if (!queue->any_behind)
		return true;
	statement = db_use(db, UNBLOCK, "iii", row, now_ms, queue_clock(queue, endpoint, now_ms));
	/* RETURNING makes all changes before its first row, inside the turn that the caller's own change has opened. */
	while (db_row(db, statement)) {
		next = sqlite3_column_int64(statement, 0);
		if (sqlite3_column_int(statement, 3) == ROW_QUEUED)
			queue_lane_due(queue, sqlite3_column_int64(statement, 1), sqlite3_column_int64(statement, 2), now_ms);
	}
	if (!db_healthy(db))
		return false;
	return !next || db_change(db, db_use(db, CHAIN_RELINK, "ii", row, next)) >= 0;
}

/* An unfinished row of the card. */
struct link {
	int64_t row, manifest, behind;
	enum row_state state;
};

struct links {
	struct link *links;
	size_t n, room;
	int64_t issuer;
	int64_t sending; /* 0: none */
};

static bool read_links(struct queue *queue, int64_t row, struct links *ret_links)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement = db_use(db, MOVE_ROW, "i", row);
	char card_id[QUEUE_MOST_STRINGS];
	struct card_range keys;

	if (!db_row(db, statement))
		return queue_bug(queue, "row %lld: it is not there to be put in order", (long long)row);
	ret_links->issuer = sqlite3_column_int64(statement, 4);
	snprintf(card_id, sizeof(card_id), "%s", db_text(statement, 5));
	sqlite3_reset(statement);
	keys = card_keys(card_id);
	statement = db_use(db, MOVE_OF_CARD, "iiti", keys.first, keys.last, card_id, ret_links->issuer);
	while (db_row(db, statement)) {
		struct link link = {
			.row = sqlite3_column_int64(statement, 0),
			.state = (enum row_state)sqlite3_column_int(statement, 2),
			.behind = sqlite3_column_int64(statement, 4),
			.manifest = sqlite3_column_int64(statement, 5),
		};

		if (!queue_is_open(link.state))
			continue;
		if (ret_links->n == ret_links->room) {
			ret_links->room = ret_links->room ? 2 * ret_links->room : 16;
			ret_links->links = xrealloc_array(ret_links->links, ret_links->room, sizeof(link));
		}
		ret_links->links[ret_links->n++] = link;
		if (link.state == ROW_SENDING)
			ret_links->sending = link.row;
	}
	return db_healthy(db);
}

static bool put_behind(struct queue *queue, const struct links *links, const struct link *link, int64_t behind, int64_t now_ms)
{
	struct db *db = &queue->db;
	int64_t clock = queue_clock(queue, queue_endpoint_of(queue, links->issuer), now_ms);

	if (behind) {
		queue->any_behind = true;
		return db_change(db, db_use(db, CHAIN_BEHIND, "iii", link->row, behind, clock)) == 1;
	}
	if (link->state == ROW_QUEUED)
		queue_lane_due(queue, link->manifest, links->issuer, now_ms);
	return db_change(db, db_use(db, CHAIN_FREE, "iii", link->row, now_ms, clock)) == 1;
}

bool chain_put_in_order(struct queue *queue, int64_t row, int64_t now_ms)
{
	struct links links = { 0 };
	bool done = read_links(queue, row, &links);

	for (size_t i = 0; done && i < links.n; i++) {
		const struct link *link = &links.links[i];
		int64_t behind = i > 0 ? links.links[i - 1].row : links.sending;

		if ((link->state == ROW_QUEUED || link->state == ROW_HELD) && link->behind != behind)
			done = put_behind(queue, &links, link, behind, now_ms);
	}
	free(links.links);
	return done;
}

bool chain_row_back(struct queue *queue, int64_t row, int64_t now_ms)
{
	struct db *db = &queue->db;
	sqlite3_stmt *statement;
	bool overtook;

	if (!queue->any_behind)
		return true;
	statement = db_use(db, CHAIN_OVERTAKEN, "i", row);
	overtook = db_row(db, statement);
	sqlite3_reset(statement);
	return db_healthy(db) && (!overtook || chain_put_in_order(queue, row, now_ms));
}
