/*
 * stand: what the tests of this folder stand on: a folder that goes again, a configuration of two sources (`lyon` with a directory for its
 * receipts, `nantes` without), and a real queue that is filled through its own functions.
 */
#pragma once

#include "base/clock.h"
#include "base/file.h"
#include "config/config.h"
#include "queue/queue.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LYON, NANTES, MOST_CLAIMS = 4000 };

struct stand {
	char folder[64], receipts[96], path[512];
	struct config_source sources[2];
	struct config config;
	struct queue *queue;
	int64_t wall_ms;
	uint8_t sha256[32];
};

static struct stand stand;

static const char *below(const char *name)
{
	snprintf(stand.path, sizeof(stand.path), "%s/%s", stand.folder, name);
	return stand.path;
}

static void must_commit(void)
{
	struct error err = { 0 };

	if (!queue_commit(stand.queue, &err))
		fail_msg("%s", err.text);
}

static void open_queue(void)
{
	struct error err;

	if (!queue_open(below("queue.db"), &stand.queue, &err))
		fail_msg("%s", err.text);
	assert_true(queue_bind_endpoint(stand.queue, 0, "bankfr", false));
	assert_true(queue_bind_issuer(stand.queue, "BANKFR0001", 0));
	assert_true(queue_bind_source(stand.queue, LYON, "lyon", "/in/lyon"));
	assert_true(queue_bind_source(stand.queue, NANTES, "nantes", "/in/nantes"));
	queue_endpoint_open(stand.queue, 0, true, stand.wall_ms);
	must_commit();
}

static int set_up(void **state)
{
	(void)state;
	stand = (struct stand){ .folder = "/tmp/trackbridge-report-XXXXXX", .wall_ms = clock_wall_ms() };
	assert_non_null(mkdtemp(stand.folder));
	assert_int_equal(mkdir(below("spool"), 0700), 0);
	assert_int_equal(mkdir(below("out"), 0700), 0);
	snprintf(stand.receipts, sizeof(stand.receipts), "%s/out", stand.folder);
	stand.sources[LYON] = (struct config_source){
		.name = "lyon",
		.receipts = stand.receipts,
		.format = { .encoding = "utf-8", .delimiter = ";", .quote = '"', .header = true },
		.max_rows = 1000000,
		.max_cell_bytes = 65536,
		.max_columns = 100,
	};
	stand.sources[NANTES] = stand.sources[LYON];
	stand.sources[NANTES].name = "nantes";
	stand.sources[NANTES].receipts = NULL;
	stand.config = (struct config){ .state_dir = stand.folder, .sources = stand.sources, .n_sources = 2 };
	open_queue();
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	queue_close(stand.queue);
	return nftw(stand.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put_bytes(const char *name, const char *bytes, size_t length)
{
	int fd = open(below(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_true(file_write_all(fd, bytes, length));
	close(fd);
}

/* The file's text, or NULL where there is none; the caller frees it. */
static char *get(const char *name)
{
	struct text text = { 0 };
	struct error err;

	if (!file_read(below(name), 64 * 1024 * 1024, &text, &err))
		return NULL;
	return text.data ? text.data : xstrdup("");
}

static inline void assert_file(const char *name, const char *expected)
{
	scoped_free char *found = get(name);

	if (!found)
		fail_msg("there is no %s", name);
	assert_string_equal(found, expected);
}

static inline void assert_no_file(const char *name)
{
	assert_int_not_equal(access(below(name), F_OK), 0);
}

static inline int files_in(const char *name)
{
	DIR *directory = opendir(below(name));
	int n = 0;

	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(directory);
	return n;
}

/* Records a manifest whose copy has these bytes. */
static int64_t record(int source, const char *name, const char *bytes, size_t length)
{
	struct queue_manifest_new new = { .source = source, .name = name, .bytes = (int64_t)length, .wall_ms = stand.wall_ms };
	int64_t manifest, duplicate_of;
	char copy[64];

	stand.sha256[0]++;
	new.sha256 = stand.sha256;
	assert_true(queue_manifest_record(stand.queue, &new, &manifest, &duplicate_of));
	must_commit();
	snprintf(copy, sizeof(copy), "spool/%lld", (long long)manifest);
	put_bytes(copy, bytes, length);
	return manifest;
}

static inline void add_queued(int64_t manifest, int64_t line, const char *card_id)
{
	struct queue_row_new row = {
		.line = line,
		.state = ROW_QUEUED,
		.request = { .issuer_id = "BANKFR0001", .card_id = card_id, .type = TRACK_PRODUCTION, .production_site = "Lyon" },
		.event = line + 1000 * manifest,
	};
	enum row_state state;

	assert_true(queue_row_add(stand.queue, manifest, &row, stand.wall_ms, &state));
}

static inline void add_rejected(int64_t manifest, int64_t line, int64_t offset, int64_t length, const char *column, const char *reason)
{
	struct queue_row_new row = {
		.line = line,
		.byte_offset = offset,
		.byte_length = length,
		.state = ROW_REJECTED,
		.request = { .issuer_id = "BANKFR0001", .card_id = "=cmd" },
		.column = column,
		.reason = reason,
	};
	enum row_state state;

	assert_true(queue_row_add(stand.queue, manifest, &row, stand.wall_ms, &state));
}

static inline void release(int64_t manifest)
{
	assert_true(queue_manifest_progress(stand.queue, manifest, 0, 1));
	must_commit();
	assert_true(queue_manifest_release(stand.queue, manifest, stand.wall_ms, stand.wall_ms, NULL));
	must_commit();
}

/* Claims up to most rows; all of them end like this. Gives how many there were. */
static inline int answer(int most, enum track_outcome outcome, int http_status, const char *operation_id, const char *error_code)
{
	static struct queue_claim claims[MOST_CLAIMS], *pointers[MOST_CLAIMS];
	struct track_verdict verdict = { .outcome = outcome };
	size_t n = 0;

	snprintf(verdict.operation_id, sizeof(verdict.operation_id), "%s", operation_id);
	snprintf(verdict.error_code, sizeof(verdict.error_code), "%s", error_code);
	for (size_t i = 0; i < MOST_CLAIMS; i++)
		pointers[i] = &claims[i];
	assert_true(queue_claim(stand.queue, 0, (size_t)most, stand.wall_ms, stand.wall_ms, pointers, &n));
	must_commit();
	for (size_t i = 0; i < n; i++) {
		struct queue_result result = { .claim = &claims[i],
					       .verdict = &verdict,
					       .http_status = http_status,
					       .now_ms = stand.wall_ms,
					       .wall_ms = stand.wall_ms };
		enum row_state state;
		bool paused;

		assert_true(queue_record(stand.queue, &result, &state, &paused));
	}
	must_commit();
	return (int)n;
}

static inline struct queue_errand errand_of(enum queue_errand_kind kind, int64_t manifest)
{
	struct queue_errand errand = { 0 };

	assert_true(queue_errand_next(stand.queue, kind, INT64_MAX, manifest - 1, &errand));
	assert_int_equal(errand.manifest, manifest);
	return errand;
}
