#include "intake/watch_table.h"

#include "base/text.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	const struct watch_name *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static bool due_before(const struct watch_name *a, const struct watch_name *b)
{
	return a->due_ms < b->due_ms;
}

bool watch_table_before(const struct watch_name *a, const struct watch_name *b)
{
	if (a->left_over != b->left_over)
		return a->left_over;
	if (a->look.mtime_ns != b->look.mtime_ns)
		return a->look.mtime_ns < b->look.mtime_ns;
	return strcmp(a->name, b->name) < 0;
}

static void put(struct watch_heap *heap, size_t place, struct watch_name *name)
{
	heap->names[place] = name;
	name->place = place;
}

static void settle(struct watch_heap *heap, struct watch_name *name, size_t place)
{
	while (place && heap->before(name, heap->names[(place - 1) / 2])) {
		put(heap, place, heap->names[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	for (size_t child = 2 * place + 1; child < heap->n; child = 2 * place + 1) {
		if (child + 1 < heap->n && heap->before(heap->names[child + 1], heap->names[child]))
			child++;
		if (!heap->before(heap->names[child], name))
			break;
		put(heap, place, heap->names[child]);
		place = child;
	}
	put(heap, place, name);
}

static void grow(struct watch_name ***names, size_t n, size_t *capacity)
{
	if (n < *capacity)
		return;
	*capacity = *capacity ? *capacity * 2 : 64;
	*names = xrealloc_array(*names, *capacity, sizeof(**names));
}

static struct watch_heap *heap_of(struct watch_table *table, enum watch_name_state state)
{
	switch (state) {
	case WATCH_NAME_DUE: return &table->due;
	case WATCH_NAME_COMPLETE: return &table->complete;
	case WATCH_NAME_IDLE:
	case WATCH_NAME_UNFIT: break;
	}
	return NULL;
}

void watch_table_init(struct watch_table *table)
{
	*table = (struct watch_table){ .due.before = due_before, .complete.before = watch_table_before };
}

void watch_table_clear(struct watch_table *table)
{
	while (table->n)
		watch_table_remove(table, table->all[table->n - 1]);
	free(table->all);
	free(table->due.names);
	free(table->complete.names);
	watch_table_init(table);
}

struct watch_name *watch_table_find(const struct watch_table *table, const char *name)
{
	struct watch_name key = { .name = name };
	struct watch_name **found = tfind(&key, &table->tree, by_name);

	return found ? *found : NULL;
}

struct watch_name *watch_table_add(struct watch_table *table, const char *name)
{
	struct watch_name *entry = watch_table_find(table, name);
	size_t length = strlen(name);
	char *copy;

	if (entry || table->n >= WATCH_TABLE_MOST)
		return entry;
	/* One block for both: there may be many. */
	entry = xmalloc(sizeof(*entry) + length + 1);
	copy = (char *)(entry + 1);
	memcpy(copy, name, length + 1);
	*entry = (struct watch_name){ .name = copy, .index = table->n };
	grow(&table->all, table->n, &table->capacity);
	table->all[table->n++] = entry;
	if (!tsearch(entry, &table->tree, by_name))
		abort();
	return entry;
}

void watch_table_remove(struct watch_table *table, struct watch_name *name)
{
	if (!name)
		return;
	watch_table_move(table, name, WATCH_NAME_IDLE);
	tdelete(name, &table->tree, by_name);
	table->all[name->index] = table->all[--table->n];
	table->all[name->index]->index = name->index;
	free(name);
}

void watch_table_move(struct watch_table *table, struct watch_name *name, enum watch_name_state state)
{
	struct watch_heap *from = heap_of(table, name->state), *to = heap_of(table, state);

	name->state = state;
	if (from && from == to) {
		settle(from, name, name->place);
		return;
	}
	if (from && name->place != --from->n)
		settle(from, from->names[from->n], name->place);
	if (to) {
		grow(&to->names, to->n, &to->capacity);
		settle(to, name, to->n++);
	}
}

struct watch_name *watch_table_due(const struct watch_table *table)
{
	return table->due.n ? table->due.names[0] : NULL;
}

struct watch_name *watch_table_oldest(const struct watch_table *table)
{
	return table->complete.n ? table->complete.names[0] : NULL;
}
