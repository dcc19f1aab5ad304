#include "queue/card.h"

#include "base/text.h"
#include "queue/internal.h"

enum { ROW_BITS = 32, HASH_BITS = 31 };

/* STEP: rows for which one step is made. STEPS: the parts of the key space, and so the steps of a hand's round. */
enum { STEP = 256, STEPS_0 = 128, STEPS_1 = 4096 };

/* FILTER_BITS: the filter has 2^20 words of 64 bits, and a card sets up to four bits in one of them. FILL: keys that one step reads at
 * least. */
enum { FILTER_BITS = 20, FILL = 512 };

/* FNV-1a, and the last mixing of splitmix64, since the high bits have to spread the keys evenly. It is on disk: it can never change. */
static uint64_t hash(const char *card_id)
{
	uint64_t x = UINT64_C(0xcbf29ce484222325);

	for (const char *c = card_id; *c; c++)
		x = (x ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) >> (64 - HASH_BITS);
}

struct card_range card_keys(const char *card_id)
{
	int64_t first = (int64_t)(hash(card_id) << ROW_BITS);

	return (struct card_range){ .first = first, .last = first + UINT32_MAX };
}

/* The word of the filter and the bits in it that stand for a hash. */
static uint64_t bits_of(uint64_t hash, size_t *ret_word)
{
	uint64_t x = hash * UINT64_C(0x9e3779b97f4a7c15);

	*ret_word = (size_t)(x >> (64 - FILTER_BITS));
	return UINT64_C(1) << (x >> 38 & 63) | UINT64_C(1) << (x >> 32 & 63) | UINT64_C(1) << (x >> 26 & 63) |
	       UINT64_C(1) << (x >> 20 & 63);
}

static void filter_add(struct card_filter *filter, uint64_t hash)
{
	size_t word;
	uint64_t bits = bits_of(hash, &word);

	if (!filter->words)
		filter->words = xcalloc((size_t)1 << FILTER_BITS, sizeof(*filter->words));
	filter->words[word] |= bits;
}

/* The part of the key space of n equal ones that is `at`-th on its round. */
static struct card_range part(int64_t at, int64_t n)
{
	int64_t size = INT64_MAX / n + 1, first = at % n * size;

	return (struct card_range){ .first = first, .last = first + (size - 1) };
}

/* Reads on where it stood, at least FILL keys. All tables are read at once, so that a key that moves on cannot slip past. */
static bool fill_filter(struct queue *queue)
{
	struct card_filter *filter = &queue->cards;
	struct db *db = &queue->db;

	for (int n = 0; n < FILL && filter->parts < CARD_PARTS; filter->parts++) {
		struct card_range keys = part(filter->parts, CARD_PARTS);
		sqlite3_stmt *statement = db_use(db, CARD_KEYS_BETWEEN, "ii", keys.first, keys.last);

		for (; db_row(db, statement); n++)
			filter_add(filter, (uint64_t)sqlite3_column_int64(statement, 0) >> ROW_BITS);
		if (!db_healthy(db))
			return false;
	}
	return true;
}

bool card_is_new(const struct queue *queue, const char *card_id)
{
	const struct card_filter *filter = &queue->cards;
	size_t word;
	uint64_t bits = bits_of(hash(card_id), &word);

	return filter->parts == CARD_PARTS && (!filter->words || (filter->words[word] & bits) != bits);
}

/* Lets the keys that are under a table's hand move on to the next table. */
static bool move_on(struct queue *queue, struct card_range keys, enum statement copy, enum statement drop)
{
	struct db *db = &queue->db;

	return db_change(db, db_use(db, copy, "ii", keys.first, keys.last)) >= 0 &&
	       db_change(db, db_use(db, drop, "ii", keys.first, keys.last)) >= 0;
}

bool card_add(struct queue *queue, const char *card_id, int64_t row)
{
	struct db *db = &queue->db;

	if (row > UINT32_MAX)
		return queue_bug(queue, "row %lld: a card's key has room for 32 bits", (long long)row);
	if (card_id) {
		if (db_change(db, db_use(db, CARD_ADD, "i", card_keys(card_id).first + row)) < 0)
			return false;
		filter_add(&queue->cards, hash(card_id));
	}
	return row % STEP || (fill_filter(queue) && move_on(queue, part(row / STEP, STEPS_1), CARD_1_COPY, CARD_1_DROP) &&
			      move_on(queue, part(row / STEP, STEPS_0), CARD_0_COPY, CARD_0_DROP));
}

bool card_remove(struct queue *queue, const char *card_id, int64_t row)
{
	/* An old row's key is in the last table, most likely. */
	static const enum statement statements[] = { CARD_2_REMOVE, CARD_1_REMOVE, CARD_0_REMOVE };
	int64_t key = card_keys(card_id).first + row;
	struct db *db = &queue->db;
	int removed = 0;

	for (int i = 0; i < 3 && removed == 0; i++)
		removed = db_change(db, db_use(db, statements[i], "i", key));
	return removed >= 0;
}
