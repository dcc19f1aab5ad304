/*
 * teller: what the daemon's top tells people: lines about manifests that settled and about files that could not be written, each kind
 * limited so that ten thousand of them cost no ten thousand lines, and in a few words what the daemon is doing, for STATUS=.
 */
#pragma once

#include "base/text.h"
#include "base/told.h"
#include "queue/queue.h"

#include <stdbool.h>
#include <stdint.h>

/* All zero has told nothing. */
struct teller {
	struct told settled, complaints;
};

/* teller_settled logs the manifests that settled in the turn that was committed last: every good one, and of those in which something went
 * wrong as many as may be. Outside a turn. */
void teller_settled(struct teller *teller, struct queue *queue, int64_t now_ms);

/* teller_complain logs a line of the desk's as a warning, or counts it. */
void teller_complain(struct teller *teller, const char *line, int64_t now_ms);

/* teller_counts logs what was counted where that is due, or (ending) whatever there is; teller_next_ms is when there will be something. */
void teller_counts(struct teller *teller, int64_t now_ms, bool ending);
int64_t teller_next_ms(const struct teller *teller);

/* What teller_doing says it of. */
struct teller_endpoint {
	const char *name, *state, *reason;
};
struct teller_facts {
	bool stopping, renewing, failing; /* failing: the queue cannot be written */
	bool short_of_space;
	int64_t loading; /* manifest; 0: none */
	int loaded_per_cent;
};

/* teller_doing appends what is out of the ordinary and what is being loaded, "" where nothing is. */
void teller_doing(struct text *out, const struct teller_facts *facts, const struct teller_endpoint *endpoints, size_t n_endpoints);
