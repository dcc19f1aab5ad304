#include "report/round.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

bool round_is_due(int64_t at_ms, int64_t wall_ms, int64_t most)
{
	return at_ms <= wall_ms || (at_ms != INT64_MAX && at_ms - wall_ms > most);
}

void round_free(struct round *round)
{
	free(round->failures);
	*round = (struct round){ 0 };
}

void round_ask(struct round *round)
{
	round->asked = true;
}

/* Where the manifest is among the failures, or would be. */
static size_t place_of(const struct round *round, int64_t manifest)
{
	size_t low = 0, high = round->n_failures;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (round->failures[middle].manifest < manifest)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct round_failure *failure_of(const struct round *round, int64_t manifest)
{
	size_t i = place_of(round, manifest);

	return i < round->n_failures && round->failures[i].manifest == manifest ? &round->failures[i] : NULL;
}

static int64_t first_again(const struct round *round)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < round->n_failures; i++) {
		if (round->failures[i].again_ms < first)
			first = round->failures[i].again_ms;
	}
	return first;
}

bool round_due(struct round *round, int64_t wall_ms)
{
	if (!round->going && (round->asked || round_is_due(first_again(round), wall_ms, ROUND_AGAIN_MS))) {
		round->going = true;
		round->asked = false;
		round->after = 0;
	}
	return round->going;
}

int64_t round_at(const struct round *round, int64_t wall_ms)
{
	int64_t first = first_again(round);

	return round->going || round->asked || round_is_due(first, wall_ms, ROUND_AGAIN_MS) ? wall_ms : first;
}

bool round_visit(struct round *round, int64_t manifest, int64_t wall_ms)
{
	const struct round_failure *failure = failure_of(round, manifest);

	if (!manifest) {
		/* One that failed and has gone since must not start round after round. */
		for (size_t i = round->n_failures; i > 0; i--) {
			if (round_is_due(round->failures[i - 1].again_ms, wall_ms, ROUND_AGAIN_MS))
				round_succeeded(round, round->failures[i - 1].manifest);
		}
		round->going = false;
		return false;
	}
	round->after = manifest;
	return !failure || round_is_due(failure->again_ms, wall_ms, ROUND_AGAIN_MS);
}

void round_failed(struct round *round, int64_t manifest, int64_t wall_ms)
{
	struct round_failure *failure = failure_of(round, manifest);
	size_t i = place_of(round, manifest);

	if (!failure) {
		if (round->n_failures == round->room) {
			round->room = round->room ? 2 * round->room : 16;
			round->failures = xrealloc_array(round->failures, round->room, sizeof(*round->failures));
		}
		failure = &round->failures[i];
		memmove(failure + 1, failure, (round->n_failures - i) * sizeof(*failure));
		round->n_failures++;
	}
	*failure = (struct round_failure){ .manifest = manifest, .again_ms = wall_ms + ROUND_AGAIN_MS };
}

void round_succeeded(struct round *round, int64_t manifest)
{
	struct round_failure *failure = failure_of(round, manifest);

	if (!failure)
		return;
	round->n_failures--;
	memmove(failure, failure + 1, (size_t)(round->failures + round->n_failures - failure) * sizeof(*failure));
}
