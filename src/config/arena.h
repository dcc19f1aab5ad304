/*
 * arena: many allocations with one owner and one end. What is handed out is zeroed, never moves and is freed with the arena only.
 */
#pragma once

#include <stddef.h>

struct arena_block;

/* All zero is an empty arena. */
struct arena {
	struct arena_block *blocks;
};

/* arena_alloc gives count zeroed elements of size bytes. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);

char *arena_string(struct arena *arena, const char *string);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* arena_free frees everything that was handed out; the arena is empty then. */
void arena_free(struct arena *arena);
