/*
 * verify: whether the database is sound and says the truth about itself: SQLite's own check, every manifest's counts against its rows,
 * attempts against rows, what makes rows wait and go, and the numbers by which things are found. Reads through a connection of its own that
 * only reads, in one read transaction, so it works beside a running daemon, and changes nothing. Takes as long as it takes.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* One finding, one line: what it is about, and what to do. Borrowed until the callback returns. */
struct queue_finding {
	const char *what;
	bool harmless; /* costs a little room or time, and nothing else */
};
typedef void queue_verify_found(void *user, const struct queue_finding *finding);

struct queue_verified {
	int64_t manifests, rows, findings; /* harmless ones are not counted */
};

/* queue_verify shows every finding, at most 20 of a kind. False only where it could not look (the file is missing, no permission); a
 * damaged database is a finding. */
bool queue_verify(const char *path, queue_verify_found *found, void *user, struct queue_verified *ret_verified, struct error *err);

/* A manifest's file in the archive, as it was recorded. */
struct queue_archived_file {
	int64_t manifest;
	const char *path; /* below archive/, in its own bytes */
	const uint8_t *sha256;
	int64_t bytes;
};
typedef bool queue_archived_file_seen(void *user, const struct queue_archived_file *file);

/* queue_verify_files shows the files of all manifests that were received since then (wall ms), until seen says false. Nothing is locked
 * while it looks at them. */
bool queue_verify_files(const char *path, int64_t since_ms, queue_archived_file_seen *seen, void *user, struct error *err);
