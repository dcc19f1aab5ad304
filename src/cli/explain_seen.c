#include "cli/explain_seen.h"

#include "base/text.h"

#include <stdlib.h>

struct seen_entry {
	uint64_t card;
	int64_t event;
	int64_t line; /* 0: free */
};

/* FNV-1a, 64 bits. */
static uint64_t hash(uint64_t so_far, const char *string)
{
	do
		so_far = (so_far ^ (unsigned char)*string) * UINT64_C(0x100000001b3);
	while (*string++);
	return so_far;
}

static struct seen_entry *find(const struct seen *seen, uint64_t card, int64_t event)
{
	size_t at = (size_t)(card ^ (uint64_t)event) & (seen->room - 1);

	while (seen->entries[at].line && (seen->entries[at].card != card || seen->entries[at].event != event))
		at = (at + 1) & (seen->room - 1);
	return &seen->entries[at];
}

static void grow(struct seen *seen)
{
	struct seen old = *seen;

	seen->room = old.room ? 2 * old.room : 1024;
	seen->entries = xcalloc(seen->room, sizeof(*seen->entries));
	for (size_t i = 0; i < old.room; i++) {
		if (old.entries[i].line)
			*find(seen, old.entries[i].card, old.entries[i].event) = old.entries[i];
	}
	free(old.entries);
}

int64_t seen_before(struct seen *seen, const struct track_request *request, int64_t event, int64_t line)
{
	uint64_t card = hash(hash(UINT64_C(0xcbf29ce484222325), request->issuer_id), request->card_id);
	struct seen_entry *entry;

	if (4 * (seen->n + 1) > 3 * seen->room)
		grow(seen);
	entry = find(seen, card, event);
	if (entry->line)
		return entry->line;
	*entry = (struct seen_entry){ card, event, line };
	seen->n++;
	return 0;
}

void seen_free(struct seen *seen)
{
	free(seen->entries);
	*seen = (struct seen){ 0 };
}
