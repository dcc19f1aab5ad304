#include "report/metrics_text.h"

#include "report/exposition.h"

#include <string.h>

#define LABELS(...) ((const struct exposition_label[]){ __VA_ARGS__, { 0 } })

static void rows(struct text *out, const struct metrics_facts *f)
{
	exposition_family(out, "rows", "gauge", "Rows by source and state.");
	for (size_t i = 0; i < f->n_sources; i++) {
		for (int k = 0; k < ROW_N_STATES; k++)
			exposition_number(out, "rows",
					  LABELS({ "source", f->sources[i].name }, { "state", queue_state_name((enum row_state)k) }),
					  f->sources[i].rows[k]);
	}
}

static void manifests(struct text *out, const struct metrics_facts *f)
{
	exposition_family(out, "manifests", "gauge", "Manifests by source and state.");
	for (size_t i = 0; i < f->n_sources; i++) {
		for (int k = 0; k < MANIFEST_N_STATES; k++)
			exposition_number(out, "manifests",
					  LABELS({ "source", f->sources[i].name },
						 { "state", queue_manifest_state_name((enum queue_manifest_state)k) }),
					  f->sources[i].manifests[k]);
	}
}

static void sources(struct text *out, const struct metrics_facts *f)
{
	rows(out, f);
	manifests(out, f);
	exposition_family(out, "source_files_waiting", "gauge", "Files in the drop directory that are not taken yet.");
	for (size_t i = 0; i < f->n_sources; i++)
		exposition_number(out, "source_files_waiting", LABELS({ "source", f->sources[i].name }), f->sources[i].waiting_files);
	exposition_family(out, "source_late", "gauge", "1 where no manifest came for longer than expect_every.");
	for (size_t i = 0; i < f->n_sources; i++)
		exposition_number(out, "source_late", LABELS({ "source", f->sources[i].name }), strcmp(f->sources[i].state, "late") == 0);
	exposition_family(out, "source_last_manifest_timestamp_seconds", "gauge", "When the last manifest of the source came.");
	for (size_t i = 0; i < f->n_sources; i++) {
		if (f->sources[i].last_manifest_at)
			exposition_seconds(out, "source_last_manifest_timestamp_seconds", LABELS({ "source", f->sources[i].name }),
					   f->sources[i].last_manifest_at);
	}
}

static void attempts(struct text *out, const struct metrics_facts *f)
{
	exposition_family(out, "attempts_total", "counter", "Attempts that ended, by outcome.");
	for (size_t i = 0; i < f->n_endpoints; i++) {
		for (int k = TRACK_ACCEPTED; k <= TRACK_BACK; k++)
			exposition_number(
				out, "attempts_total",
				LABELS({ "endpoint", f->endpoints[i].name }, { "outcome", track_outcome_name((enum track_outcome)k) }),
				f->endpoints[i].attempts[k]);
	}
	exposition_family(out, "request_duration_seconds", "histogram", "How long attempts took, whatever came of them.");
	for (size_t i = 0; i < f->n_endpoints; i++)
		exposition_histogram(out, "request_duration_seconds", LABELS({ "endpoint", f->endpoints[i].name }),
				     f->endpoints[i].latency);
	exposition_family(out, "token_refreshes_total", "counter", "Fetches of an access token that ended, by result.");
	for (size_t i = 0; i < f->n_endpoints; i++) {
		for (int k = 0; k < METRICS_TOKEN_RESULTS; k++)
			exposition_number(out, "token_refreshes_total",
					  LABELS({ "endpoint", f->endpoints[i].name }, { "result", f->endpoints[i].tokens[k].name }),
					  f->endpoints[i].tokens[k].n);
	}
}

static void endpoint_states(struct text *out, const struct metrics_facts *f)
{
	static const char *const states[] = { "open", "paused", "probing", NULL };
	static const char *const reasons[] = { "outage", "credentials", "certificate", "redirect", "proxy", "operator", "restored", NULL };

	exposition_family(out, "endpoint_state", "gauge", "1 for the state that the endpoint is in.");
	for (size_t i = 0; i < f->n_endpoints; i++) {
		const struct metrics_endpoint *e = &f->endpoints[i];

		for (const char *const *state = states; *state; state++)
			exposition_number(out, "endpoint_state", LABELS({ "endpoint", e->name }, { "state", *state }),
					  strcmp(e->state, *state) == 0);
	}
	exposition_family(out, "endpoint_paused", "gauge", "1 for the reason for which the endpoint is paused or probing.");
	for (size_t i = 0; i < f->n_endpoints; i++) {
		const struct metrics_endpoint *e = &f->endpoints[i];

		for (const char *const *reason = reasons; *reason; reason++)
			exposition_number(out, "endpoint_paused", LABELS({ "endpoint", e->name }, { "reason", *reason }),
					  strcmp(e->state, "open") != 0 && strcmp(e->reason, *reason) == 0);
	}
}

static void endpoints(struct text *out, const struct metrics_facts *f)
{
	endpoint_states(out, f);
	exposition_family(out, "endpoint_concurrency", "gauge", "Most requests in flight at the moment, as the daemon found it.");
	for (size_t i = 0; i < f->n_endpoints; i++)
		exposition_number(out, "endpoint_concurrency", LABELS({ "endpoint", f->endpoints[i].name }), f->endpoints[i].concurrency);
	exposition_family(out, "endpoint_in_flight", "gauge", "Requests in flight, and answers not yet on disk.");
	for (size_t i = 0; i < f->n_endpoints; i++)
		exposition_number(out, "endpoint_in_flight", LABELS({ "endpoint", f->endpoints[i].name }), f->endpoints[i].in_flight);
	exposition_family(out, "oldest_queued_age_seconds", "gauge", "How long the oldest row has waited that could go; 0 without one.");
	for (size_t i = 0; i < f->n_endpoints; i++) {
		int64_t since = f->endpoints[i].waiting_since;

		exposition_seconds(out, "oldest_queued_age_seconds", LABELS({ "endpoint", f->endpoints[i].name }),
				   since && since < f->wall_ms ? f->wall_ms - since : 0);
	}
	exposition_family(out, "certificate_expiry_timestamp_seconds", "gauge", "When the endpoint's client certificate expires.");
	for (size_t i = 0; i < f->n_endpoints; i++) {
		if (f->endpoints[i].certificate_expires_at)
			exposition_number(out, "certificate_expiry_timestamp_seconds", LABELS({ "endpoint", f->endpoints[i].name }),
					  f->endpoints[i].certificate_expires_at);
	}
}

static void bytes(struct text *out, const char *name, const char *help, int64_t value)
{
	exposition_family(out, name, "gauge", help);
	if (value >= 0)
		exposition_number(out, name, NULL, value);
}

static void process(struct text *out, const struct metrics_facts *f)
{
	bytes(out, "database_size_bytes", "Size of the database file.", f->database_bytes);
	bytes(out, "database_wal_size_bytes", "Size of the database's write-ahead log.", f->wal_bytes);
	bytes(out, "state_free_bytes", "Free space where state_dir is.", f->free_bytes);
	bytes(out, "state_free_minimum_bytes", "min_free_space: with less free space no new file is taken in.", f->least_free_bytes);
	exposition_family(out, "database_commits_failing", "gauge", "Commits that failed since the last one that succeeded.");
	exposition_number(out, "database_commits_failing", NULL, f->failed_commits);
	exposition_family(out, "metrics_write_failures_total", "counter", "Times that this file could not be written.");
	exposition_number(out, "metrics_write_failures_total", NULL, f->failed_writes);
	exposition_family(out, "metrics_last_write_timestamp_seconds", "gauge", "When this file was written.");
	exposition_seconds(out, "metrics_last_write_timestamp_seconds", NULL, f->wall_ms);
	exposition_family(out, "process_start_time_seconds", "gauge", "When the process started.");
	exposition_seconds(out, "process_start_time_seconds", NULL, f->started_ms);
	exposition_family(out, "build_info", "gauge", "Always 1; the version is in the label.");
	exposition_number(out, "build_info", LABELS({ "version", TRACKBRIDGE_VERSION }), 1);
}

void metrics_text(struct text *out, const struct metrics_facts *facts)
{
	sources(out, facts);
	attempts(out, facts);
	endpoints(out, facts);
	process(out, facts);
}
