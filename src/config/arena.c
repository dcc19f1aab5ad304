#include "config/arena.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	max_align_t bytes[];
};

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;
	struct arena_block *block;

	if (__builtin_mul_overflow(count, size, &bytes) || __builtin_add_overflow(bytes, sizeof(*block), &bytes))
		abort();
	block = xcalloc(1, bytes);
	block->next = arena->blocks;
	arena->blocks = block;
	return block->bytes;
}

char *arena_string(struct arena *arena, const char *string)
{
	size_t size = strlen(string) + 1;

	return memcpy(arena_alloc(arena, size, 1), string, size);
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list arguments;
	int length;
	char *string;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		abort();
	string = arena_alloc(arena, (size_t)length + 1, 1);
	va_start(arguments, format);
	vsnprintf(string, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return string;
}

void arena_free(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
}
