/*
 * complaints: what could not be done, each reason once until it was done again. The desk collects them, the daemon logs them.
 */
#pragma once

#include "base/text.h"
#include "queue/queue.h"

enum { COMPLAINTS_MOST = 32 }; /* reasons remembered; of more the oldest is forgotten */

struct complaint {
	enum queue_errand_kind kind;
	char *source, *reason;
	char *line; /* NULL once it was taken */
};

/* All zero is none. */
struct complaints {
	struct complaint all[COMPLAINTS_MOST]; /* the oldest first */
	size_t n;
};

void complaints_free(struct complaints *complaints);

/* complaints_add keeps the line for complaints_take, unless the same reason was given before for this kind of file and source. */
void complaints_add(struct complaints *complaints, enum queue_errand_kind kind, const struct queue_errand *errand, const char *reason);

/* complaints_settle is told that such a file was made: a reason that comes back is worth a line again. */
void complaints_settle(struct complaints *complaints, enum queue_errand_kind kind, const struct queue_errand *errand);

/* complaints_take appends the oldest line that was not taken yet; false where there is none. */
bool complaints_take(struct complaints *complaints, struct text *ret_line);
