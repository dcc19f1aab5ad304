/*
 * card: which rows a card has. Of each row of a card there is one key: 31 bits of a hash of the card's id, above the row's number. So a
 * card's keys lie together. No row's key is missing; but where two cards share a hash, or a key outlived its row, only the row tells.
 *
 * Such keys are as good as random, and a table of ten million of them has forty thousand pages: a key that goes there by itself has a page
 * read and written for it. So there are three tables. A key comes into card_0, whose few pages are in memory. Round and round over each of
 * the smaller tables goes a hand, a step for every 256 rows, and under it the keys move on to the next table, in order, many to a page:
 * card_0 holds the keys of at most one round of 32,768 rows, card_1 those of 1,048,576. Where a hand stands follows from the row's number,
 * so nothing of it is stored; what it misses waits for its next round. A key is in exactly one of the three.
 *
 * A card that was never seen, as most are, is not looked for at all: a filter in memory (8 MiB, whatever the database has) knows that there
 * is none. After a start it is filled while rows are added, and until then the tables are asked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct queue;

/* For a statement: all keys from its first parameter to its second; and the row of the key of such a selection named c. */
#define CARD_KEYS                                                                                                                          \
	"SELECT key FROM card_0 WHERE key BETWEEN :first_key AND :last_key"                                                                \
	" UNION ALL SELECT key FROM card_1 WHERE key BETWEEN :first_key AND :last_key"                                                     \
	" UNION ALL SELECT key FROM card_2 WHERE key BETWEEN :first_key AND :last_key"
#define CARD_ROW "(c.key & 4294967295)"

/* card_keys gives the range in which all keys of a card lie. */
struct card_range {
	int64_t first, last;
};
struct card_range card_keys(const char *card_id);

/* card_is_new: no row of this card was ever added. Where it is false there may be one. */
bool card_is_new(const struct queue *queue, const char *card_id);

/* card_add is told of a row that is added, which has a higher number than all before it, and card_id NULL where it is of no card. */
bool card_add(struct queue *queue, const char *card_id, int64_t row);

/* card_remove is told of a row that is removed. Its card stays known to card_is_new. */
bool card_remove(struct queue *queue, const char *card_id, int64_t row);
