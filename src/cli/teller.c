#include "cli/teller.h"

#include "base/file.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void append_count(struct text *out, int64_t n, const char *what)
{
	if (n)
		text_printf(out, ", %" PRId64 " %s", n, what);
}

static void tell_one(const struct queue_settlement *s)
{
	char number[24];
	const struct log_field fields[] = { { "source", s->source }, { "manifest", number } };
	scoped_text struct text counts = { 0 };

	snprintf(number, sizeof(number), "%" PRId64, s->manifest);
	text_printf(&counts, "%" PRId64 " rows", s->rows);
	append_count(&counts, s->accepted, "accepted");
	append_count(&counts, s->refused, "refused");
	append_count(&counts, s->expired, "expired");
	append_count(&counts, s->cancelled, "cancelled");
	append_count(&counts, s->rejected, "rejected");
	append_count(&counts, s->duplicate, "duplicate");
	append_count(&counts, s->skipped, "skipped");
	log_fields(LOG_NOTICE, fields, 2, "%s: manifest %s (%s) is settled: %s", s->source, number, s->shown_name, counts.data);
}

void teller_settled(struct teller *teller, struct queue *queue, int64_t now_ms)
{
	for (size_t i = 0; i < queue_settled(queue); i++) {
		struct queue_settlement settlement;

		if (!queue_settlement(queue, i, &settlement))
			return;
		if (settlement.accepted + settlement.duplicate + settlement.skipped == settlement.rows ||
		    told_may(&teller->settled, now_ms))
			tell_one(&settlement);
	}
}

void teller_complain(struct teller *teller, const char *line, int64_t now_ms)
{
	if (told_may(&teller->complaints, now_ms))
		log_write(LOG_WARNING, "%s", line);
}

void teller_counts(struct teller *teller, int64_t now_ms, bool ending)
{
	int64_t counted = told_count(&teller->settled, now_ms, ending);

	if (counted)
		log_write(LOG_NOTICE,
			  "%" PRId64 " more manifests settled in which not all was well, counted and not written: "
			  "trackbridge manifests --since 2h",
			  counted);
	counted = told_count(&teller->complaints, now_ms, ending);
	if (counted)
		log_write(LOG_WARNING,
			  "%" PRId64 " more files for the factory or the archive could not be written, counted and not named: "
			  "the column reason of trackbridge manifests has why",
			  counted);
}

int64_t teller_next_ms(const struct teller *teller)
{
	int64_t settled = told_next_ms(&teller->settled), complaints = told_next_ms(&teller->complaints);

	return settled < complaints ? settled : complaints;
}

void teller_doing(struct text *out, const struct teller_facts *facts, const struct teller_endpoint *endpoints, size_t n_endpoints)
{
	if (facts->stopping)
		text_append_string(out, "stopping: what is in flight may finish; ");
	else if (facts->renewing)
		text_append_string(out, "starting anew with the new configuration; ");
	if (facts->failing)
		text_append_string(out, "the queue cannot be written, nothing is sent; ");
	if (facts->short_of_space)
		text_append_string(out, "less than min_free_space is free, no file is taken in; ");
	for (size_t i = 0; i < n_endpoints; i++) {
		if (strcmp(endpoints[i].state, "open") != 0)
			text_printf(out, "%s is %s: %s; ", endpoints[i].name, endpoints[i].state, endpoints[i].reason);
	}
	if (facts->loading)
		text_printf(out, "loading manifest %" PRId64 ", %d %%; ", facts->loading, facts->loaded_per_cent);
}
