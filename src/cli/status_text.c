#include "cli/status.h"

#include <inttypes.h>
#include <string.h>

static void append_ago(struct text *out, const struct status *status, int64_t then_ms)
{
	char words[32];

	status_span(words, status->at_ms - then_ms);
	text_printf(out, "%s ago", words);
}

static void append_daemon(struct text *out, const struct status *status)
{
	char copied[32], restored[32];

	if (status->pid)
		text_printf(out, "daemon     running, process %d\n", status->pid);
	else
		text_append_string(out, "daemon     not running\n");
	if (!status->copied_at_ms)
		return;
	text_time(copied, status->copied_at_ms);
	text_time(restored, status->restored_at_ms);
	text_printf(out, "restored   from a copy of %s, at %s\n", copied, restored);
}

/* What is nought says nothing, but for the first ones. */
static void append_counts(struct text *out, const char *const *names, const int64_t *counts, size_t n, unsigned always)
{
	const char *gap = "";

	for (size_t i = 0; i < n; i++) {
		if (!counts[i] && !(always & 1u << i))
			continue;
		text_printf(out, "%s%s %" PRId64, gap, names[i], counts[i]);
		gap = "  ";
	}
}

static void append_overview(struct text *out, const struct status *status)
{
	static const char *const states[STATUS_MANIFEST_STATES] = { "loading", "released", "settled", "rejected", "duplicate" };
	const char *row_states[ROW_N_STATES];

	for (int i = 0; i < ROW_N_STATES; i++)
		row_states[i] = queue_state_name((enum row_state)i);
	text_append_string(out, "files      ");
	append_counts(out, states, status->manifests, STATUS_MANIFEST_STATES, 1u << 1 | 1u << 2);
	text_append_string(out, "\nrows       ");
	append_counts(out, row_states, status->by_state, ROW_N_STATES, 1u << ROW_QUEUED | 1u << ROW_ACCEPTED);
	text_printf(out, "  (%" PRId64 " in all)\n", status->rows);
}

static void append_rate(struct text *out, const struct status *status)
{
	const struct status_endpoint *paused = status_paused(status);
	int64_t drain = status_drain_ms(status);
	double rate = status_rate(status);
	char words[32];

	text_printf(out, rate > 0 && rate < 10 ? "rate       %.1f a minute accepted" : "rate       %.0f a minute accepted", rate);
	status_span(words, drain);
	if (status->movable && drain >= 0)
		text_printf(out, "; what is queued takes %s at that rate", words);
	else if (status->movable && !status->pid)
		text_append_string(out, "; nothing is sent while no daemon runs");
	else if (status->movable && paused)
		text_printf(out, "; how long the rest takes is not known while %s is paused", paused->name);
	else if (status->movable)
		text_append_string(out, "; how long the rest takes cannot be said");
	text_append_string(out, "\n");
}

static void append_oldest(struct text *out, const struct status *status)
{
	char since[32], words[32];

	if (!status->oldest.manifest)
		return;
	text_time(since, status->oldest.since_ms);
	status_span(words, status->at_ms - status->oldest.since_ms);
	text_printf(out, "waiting    since %s (%s): manifest %" PRId64 " of %s (", since, words, status->oldest.manifest,
		    status->oldest.source);
	text_escape(out, status->oldest.name, strlen(status->oldest.name));
	text_printf(out, ")%s%s\n", status->oldest.paused[0] ? ", paused: " : "", status->oldest.paused);
}

static void append_endpoint(struct text *out, const struct status *status, const struct status_endpoint *e)
{
	char words[32];

	text_printf(out, "endpoint   %s: %s", e->name, strcmp(e->state, "probing") == 0 ? "paused" : e->state);
	if (e->reason[0])
		text_printf(out, ": %s", e->reason);
	status_span(words, e->until_ms - status->at_ms);
	if (!e->configured)
		text_append_string(out, ", no longer configured");
	else if (strcmp(e->state, "probing") == 0)
		text_append_string(out, ", one row is being tried now");
	else if (e->until_ms)
		text_printf(out, ", next try in %s", words);
	else if (e->reason[0])
		text_printf(out, ", until trackbridge resume %s", e->name);
	else
		text_printf(out, ", %" PRId64 " of at most %" PRId64 " in flight", e->in_flight, e->concurrency);
	if (e->last_accepted_ms) {
		text_append_string(out, ", accepted last ");
		append_ago(out, status, e->last_accepted_ms);
	}
	text_append_string(out, "\n");
}

static void append_source(struct text *out, const struct status *status, const struct status_source *s)
{
	text_printf(out, "source     %s: %s", s->name, s->configured ? s->state : "no longer configured");
	if (s->reason[0])
		text_printf(out, ": %s", s->reason);
	text_printf(out, ", %" PRId64 " file%s so far", s->manifests, s->manifests == 1 ? "" : "s");
	if (s->last_manifest_ms) {
		text_append_string(out, ", the last ");
		append_ago(out, status, s->last_manifest_ms);
	}
	if (s->waiting_files)
		text_printf(out, ", %" PRId64 " not taken yet", s->waiting_files);
	text_append_string(out, "\n");
}

void status_text(struct text *out, const struct status *status)
{
	append_daemon(out, status);
	/* That no daemon runs has been said. */
	for (size_t i = 0; i < status->n_findings; i++) {
		if (strcmp(status->findings[i].what, "daemon") != 0)
			text_printf(out, "%-10s %s\n", status_level_name(status->findings[i].level), status->findings[i].text);
	}
	append_overview(out, status);
	append_rate(out, status);
	append_oldest(out, status);
	for (size_t i = 0; i < status->n_endpoints; i++)
		append_endpoint(out, status, &status->endpoints[i]);
	for (size_t i = 0; i < status->n_sources; i++)
		append_source(out, status, &status->sources[i]);
}
