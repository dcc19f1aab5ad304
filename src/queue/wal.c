#include "queue/internal.h"

enum { PAGE_BYTES = 4096, FRAME_BYTES = PAGE_BYTES + 24 };

int64_t queue_wal_bytes(const struct queue *queue)
{
	return queue->db.wal_pages * FRAME_BYTES;
}

int64_t queue_wal_stuck_since(const struct queue *queue)
{
	return queue->db.wal_stuck_since;
}

void queue_wal_shrink(struct queue *queue, int64_t now_ms)
{
	db_shrink_wal(&queue->db, now_ms);
}
