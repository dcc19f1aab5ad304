/*
 * status: what the parts of the command `status` share: one look at the whole (status_look.c), what in it a person has to know
 * (status_judge.c), and the ways to tell it: text, JSON, a line for a monitoring plugin. A look takes the same time however many rows there
 * are, and holds up nothing.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "queue/queue.h"
#include "queue/read.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATUS_MANIFEST_STATES = 5 };

struct status_endpoint {
	char name[72], state[16], reason[16];
	bool configured;  /* today */
	int64_t until_ms; /* end of a pause, 0: none is known */
	int64_t in_flight, concurrency;
	int64_t last_accepted_ms; /* 0: none yet */
};

struct status_source {
	char name[72], state[16], reason[320];
	bool configured;
	int64_t manifests, waiting_files, last_manifest_ms; /* 0: none yet */
};

enum status_level { STATUS_OK, STATUS_WARNING, STATUS_CRITICAL };

/* Something a person has to know. what is one word, which docs/status.md lists. */
struct status_finding {
	enum status_level level;
	const char *what;
	char text[512];
};

struct status {
	const struct config *config;
	int64_t at_ms;                             /* wall clock */
	int pid;                                   /* of the daemon; 0: none runs */
	int64_t copied_at_ms, restored_at_ms;      /* 0: not restored */
	int64_t manifests[STATUS_MANIFEST_STATES]; /* loading released settled rejected duplicate */
	int64_t rows, by_state[ROW_N_STATES];
	/* the released manifest that has waited longest with queued rows */
	struct {
		int64_t manifest; /* 0: none */
		char source[72], name[1100], paused[16];
		int64_t since_ms;
	} oldest;
	int64_t ready_since_ms; /* of the oldest row that could go, 0: none */
	int64_t accepted;       /* in the last minute or so, */
	int64_t accepted_since_ms;
	int64_t movable; /* rows queued or sending whose manifest is not paused */
	int64_t refused_day, in_doubt_day, expired_day;
	int64_t free_bytes, wal_bytes; /* -1: not known */
	bool files_missing;            /* -wal or -shm of a stopped daemon's database */
	struct status_endpoint *endpoints;
	size_t n_endpoints;
	struct status_source *sources;
	size_t n_sources;
	struct status_finding *findings; /* the worst first */
	size_t n_findings, room;
};

struct status_limits {
	int64_t warning_ms, critical_ms; /* ages of the oldest row that could go */
};

/* status_look fills all but the findings; the caller frees it with status_free, which takes one that is all zero. */
bool status_look(const struct config *config, struct queue_reader *reader, bool files_missing, struct status *ret_status,
		 struct error *err);
void status_free(struct status *status);

/* status_ask hands each row that a question has to take. */
typedef void status_take(struct status *status, const struct queue_value *row);
bool status_ask(struct status *status, struct queue_reader *reader, enum queue_query query, status_take *take, struct error *err);

/* status_files_missing tells, before the database is opened, whether what has to stand beside it is gone. */
bool status_files_missing(const struct config *config);

/* status_judge adds the findings. */
bool status_judge(struct status *status, struct queue_reader *reader, const struct status_limits *limits, struct error *err);
enum status_level status_worst(const struct status *status);
const char *status_level_name(enum status_level level); /* "ok", "warning", "critical" */

/* status_rate: accepted a minute. status_drain_ms: how long what is queued takes at that rate; -1 where that cannot be said. */
double status_rate(const struct status *status);
int64_t status_drain_ms(const struct status *status);

/* status_paused gives the first configured endpoint that is not open, or NULL. */
const struct status_endpoint *status_paused(const struct status *status);

/* status_span writes a length of time in words: 40 s, 12 min, 3 h 5 min, 4 days. */
void status_span(char ret_words[static 32], int64_t ms);

void status_text(struct text *out, const struct status *status);
bool status_json(struct text *out, const struct status *status, struct queue_reader *reader, struct error *err);

/* status_check_line gives the line of a monitoring plugin, with its figures behind `|`. */
void status_check_line(struct text *out, const struct status *status, const struct status_limits *limits);

/* status_watch shows `draw` again and again on the terminal until q, Ctrl-C or TERM, and leaves the terminal as it was. ERROR_USAGE where
 * standard input or output is none. */
typedef void status_draw(void *user, struct text *out);
bool status_watch(status_draw *draw, void *user, int64_t every_ms, struct error *err);
