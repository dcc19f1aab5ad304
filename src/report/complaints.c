#include "report/complaints.h"

#include <stdlib.h>
#include <string.h>

static void forget(struct complaints *complaints, size_t i)
{
	struct complaint *complaint = &complaints->all[i];

	free(complaint->source);
	free(complaint->reason);
	free(complaint->line);
	complaints->n--;
	memmove(complaint, complaint + 1, (complaints->n - i) * sizeof(*complaint));
}

void complaints_free(struct complaints *complaints)
{
	while (complaints->n)
		forget(complaints, complaints->n - 1);
}

static bool is_about(const struct complaint *complaint, enum queue_errand_kind kind, const struct queue_errand *errand)
{
	return complaint->kind == kind && strcmp(complaint->source, errand->source_name) == 0;
}

static char *line_of(enum queue_errand_kind kind, const struct queue_errand *errand, const char *reason)
{
	static const char *const what[] = {
		[QUEUE_ARCHIVE] = "archive copy",
		[QUEUE_REJECTS] = "rejects file",
		[QUEUE_RECEIPT] = "receipt",
	};
	struct text line = { 0 };

	text_printf(&line, "%s: %s of manifest %lld: %s", errand->source_name, what[kind], (long long)errand->manifest, reason);
	return line.data;
}

void complaints_add(struct complaints *complaints, enum queue_errand_kind kind, const struct queue_errand *errand, const char *reason)
{
	for (size_t i = 0; i < complaints->n; i++) {
		if (is_about(&complaints->all[i], kind, errand) && strcmp(complaints->all[i].reason, reason) == 0)
			return;
	}
	if (complaints->n == COMPLAINTS_MOST)
		forget(complaints, 0);
	complaints->all[complaints->n++] = (struct complaint){
		.kind = kind,
		.source = xstrdup(errand->source_name),
		.reason = xstrdup(reason),
		.line = line_of(kind, errand, reason),
	};
}

void complaints_settle(struct complaints *complaints, enum queue_errand_kind kind, const struct queue_errand *errand)
{
	for (size_t i = complaints->n; i > 0; i--) {
		const struct complaint *complaint = &complaints->all[i - 1];

		if (!complaint->line && is_about(complaint, kind, errand))
			forget(complaints, i - 1);
	}
}

bool complaints_take(struct complaints *complaints, struct text *ret_line)
{
	for (size_t i = 0; i < complaints->n; i++) {
		struct complaint *complaint = &complaints->all[i];

		if (!complaint->line)
			continue;
		text_append_string(ret_line, complaint->line);
		free(complaint->line);
		complaint->line = NULL;
		return true;
	}
	return false;
}
