/*
 * watch_table: the names of one directory that watch knows, with what was last seen of each. Finds by name, gives the complete file that
 * is oldest and the file whose time of judgement comes first, all in logarithmic time whatever the names are; holds at most
 * WATCH_TABLE_MOST names. Knows nothing of directories, rules or clocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WATCH_TABLE_MOST = 100000 };

/* What tells one content from another without reading it. */
struct watch_look {
	uint64_t device, inode;
	int64_t size, mtime_ns, ctime_ns;
};

enum watch_name_state {
	WATCH_NAME_IDLE,     /* something else has to happen first: a scan, a marker */
	WATCH_NAME_DUE,      /* to be judged at due_ms */
	WATCH_NAME_COMPLETE, /* may be taken */
	WATCH_NAME_UNFIT,    /* left alone until it changes */
};

struct watch_name {
	const char *name;
	struct watch_look look;
	int64_t still_ms; /* steady: since then nothing was seen to happen to it */
	int64_t due_ms;   /* of WATCH_NAME_DUE */
	bool writer;      /* was seen being written to, and not to be closed since */
	bool left_over;   /* a .trackbridge- name */
	bool busy;        /* was found to be open for writing when it was to be taken */
	bool still_busy;  /* and nothing was heard of it since */
	uint32_t scan;    /* number of the scan that saw it last */
	/* the table's own */
	enum watch_name_state state; /* changed by watch_table_move alone */
	size_t index, place;
};

/* All zero is empty but for its heaps' orders: start with watch_table_init. */
struct watch_heap {
	struct watch_name **names;
	size_t n, capacity;
	bool (*before)(const struct watch_name *, const struct watch_name *);
};

struct watch_table {
	void *tree; /* tsearch(3): names are other people's, and no choice of names makes a balanced tree slow */
	struct watch_name **all;
	size_t n, capacity;
	struct watch_heap due, complete;
};

void watch_table_init(struct watch_table *table);

/* watch_table_clear forgets all names and gives the memory back. */
void watch_table_clear(struct watch_table *table);

struct watch_name *watch_table_find(const struct watch_table *table, const char *name);

/* watch_table_add gives the name's entry, a new one (IDLE, all else zero) where there is none; NULL where the table is full. */
struct watch_name *watch_table_add(struct watch_table *table, const char *name);

/* watch_table_remove takes NULL. In a loop over all, go from the last index down. */
void watch_table_remove(struct watch_table *table, struct watch_name *name);

/* watch_table_move gives the entry a state. due_ms or look must be as they shall be before; to change them, move the entry again after. */
void watch_table_move(struct watch_table *table, struct watch_name *name, enum watch_name_state state);

/* watch_table_before is the order in which names are taken. */
bool watch_table_before(const struct watch_name *a, const struct watch_name *b);

/* watch_table_due gives the entry with the earliest due_ms, watch_table_oldest the complete one to take first: left-overs, then by
 * modification time, then by name. NULL where there is none. */
struct watch_name *watch_table_due(const struct watch_table *table);
struct watch_name *watch_table_oldest(const struct watch_table *table);
