/*
 * What the queue itself costs, without network and without files: rows are made in memory, loaded in manifests of 100,000 with a commit for
 * every 2,000 rows, then claimed and recorded as accepted, at most 64 at a time with a commit for each batch; every commit is synced. Shown
 * are microseconds of the wall clock and of the processor for each row, and the database's bytes for each settled row.
 *
 *     bench_queue FOLDER ROWS [BEFORE]     measures ROWS rows in an empty database, or on top of BEFORE settled ones
 *     bench_queue FOLDER queued ROWS MANIFESTS [held|behind]
 *                                          what claiming costs with ROWS rows queued in so many open manifests, and with as many before
 *                                          those of the first one that cannot go
 *
 * The rows of BEFORE are made in the same way, without syncing and with fewer commits. A database that FOLDER has already is used as it is,
 * so that several runs can stand on one base; numbers of cards then go on from its last row.
 */
#include "queue/internal.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { QUANTUM = 8, IN_FLIGHT = 64, ROWS_A_MANIFEST = 100000, ROWS_A_COMMIT = 2000 };

struct cost {
	int64_t wall_us, cpu_us;
};

struct bench {
	struct queue *queue;
	int64_t next; /* number of the next card */
};

static void die(const char *what)
{
	fprintf(stderr, "bench_queue: %s\n", what);
	exit(1);
}

static struct cost now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct cost){
		.wall_us = clock_monotonic_us(),
		.cpu_us = (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
			  usage.ru_stime.tv_usec,
	};
}

static void add_since(struct cost *sum, struct cost start)
{
	struct cost end = now();

	sum->wall_us += end.wall_us - start.wall_us;
	sum->cpu_us += end.cpu_us - start.cpu_us;
}

static void run(struct bench *b, const char *sql)
{
	if (sqlite3_exec(b->queue->db.handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(b->queue->db.handle));
}

static int64_t number(struct bench *b, const char *sql)
{
	sqlite3_stmt *statement;
	int64_t value = 0;

	if (sqlite3_prepare_v2(b->queue->db.handle, sql, -1, &statement, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(b->queue->db.handle));
	if (sqlite3_step(statement) == SQLITE_ROW)
		value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

static void commit(struct bench *b)
{
	struct error err;

	if (!queue_commit(b->queue, &err))
		die(err.text);
}

/* As good as the 64 bits of SHA-256 that the daemon takes; splitmix64. */
static int64_t event_of(int64_t card)
{
	uint64_t x = (uint64_t)card * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (int64_t)(x ^ (x >> 31));
}

/* Three rows in ten are PRODUCTION, six SHIPMENT, one RETURN; every row is another card. */
static void add(struct bench *b, int64_t manifest, int64_t wall_ms)
{
	static const char *const sites[] = { "Lyon", "Gemenos", "Vantaa", "Tczew", "Pont-Audemer" };
	static const char *const zips[] = { "69001", "75011", "00100", "83-110", "27500" };
	static const char *const countries[] = { "FR", "FR", "FI", "PL", "FR" };
	int64_t i = b->next++;
	char card[48], track[48];
	struct queue_row_new row = {
		.line = i + 1,
		.state = ROW_QUEUED,
		.event = event_of(i),
		.request = { .issuer_id = "BANKFR0001",
			     .card_id = card,
			     .type = i % 10 < 3   ? TRACK_PRODUCTION
				     : i % 10 < 9 ? TRACK_SHIPMENT
						  : TRACK_RETURN,
			     .production_site = sites[i % 5] },
	};
	enum row_state state;

	snprintf(card, sizeof(card), "CARD%06" PRId64 "%012" PRId64, i * 48271 % 999983, i);
	if (row.request.type == TRACK_SHIPMENT) {
		snprintf(track, sizeof(track), "LP%09" PRId64 "%s", i, countries[i % 5]);
		row.request.tracking_number = track;
		row.request.postal_code = zips[i % 5];
		row.request.country_code = countries[i % 5];
		row.request.shipment_date = 1790000000 + i % 100000 * 60;
	}
	if (!queue_row_add(b->queue, manifest, &row, wall_ms, &state) || state != ROW_QUEUED)
		die("a row was not queued");
}

static void load(struct bench *b, int64_t rows, struct cost *sum)
{
	int64_t wall_ms = clock_wall_ms();
	int64_t card = b->next;
	uint8_t sha256[32] = { 0 };
	struct queue_manifest_new as = { .name = "bench.csv", .sha256 = sha256, .bytes = 1, .wall_ms = wall_ms };
	int64_t manifest, duplicate_of;
	struct cost start = now();

	memcpy(sha256, &card, sizeof(card));
	if (!queue_manifest_record(b->queue, &as, &manifest, &duplicate_of) || duplicate_of)
		die("the manifest was not recorded");
	for (int64_t n = 0; n < rows;) {
		for (int64_t end = n + ROWS_A_COMMIT < rows ? n + ROWS_A_COMMIT : rows; n < end; n++)
			add(b, manifest, wall_ms);
		if (!queue_manifest_progress(b->queue, manifest, n, n))
			die("progress");
		commit(b);
	}
	if (!queue_manifest_release(b->queue, manifest, wall_ms, wall_ms, NULL))
		die("release");
	commit(b);
	add_since(sum, start);
}

/* In a turn the last batch's answers are recorded and the next batch is claimed: one commit serves both. To make a base, it serves many. */
static void send_all(struct bench *b, int batches_a_commit, struct cost *sum)
{
	static struct queue_claim room[IN_FLIGHT];
	struct queue_claim *claims[IN_FLIGHT];
	struct track_verdict verdict = { .outcome = TRACK_ACCEPTED };
	struct queue_result result = { .verdict = &verdict, .http_status = 202, .give_up_after_ms = 1000 };
	struct cost start = now();
	enum row_state state;
	size_t n = 0;
	bool paused;
	int batch = 0;

	for (size_t i = 0; i < IN_FLIGHT; i++)
		claims[i] = &room[i];
	do {
		result.now_ms = result.wall_ms = clock_wall_ms();
		for (size_t i = 0; i < n; i++) {
			result.claim = claims[i];
			snprintf(verdict.operation_id, sizeof(verdict.operation_id), "op-%016" PRIx64 "%016" PRIx64, claims[i]->correlation,
				 (uint64_t)claims[i]->row);
			if (!queue_record(b->queue, &result, &state, &paused))
				die("record");
		}
		if (!queue_claim(b->queue, 0, IN_FLIGHT, result.now_ms, result.wall_ms, claims, &n))
			die("claim");
		if (n == 0 || ++batch % batches_a_commit == 0)
			commit(b);
	} while (n > 0);
	add_since(sum, start);
}

static void settle(struct bench *b, int64_t rows, int batches_a_commit, struct cost *ret_load, struct cost *ret_send)
{
	struct cost load_cost = { 0 }, send_cost = { 0 };

	while (rows > 0) {
		int64_t n = rows < ROWS_A_MANIFEST ? rows : ROWS_A_MANIFEST;

		load(b, n, &load_cost);
		send_all(b, batches_a_commit, &send_cost);
		rows -= n;
	}
	*ret_load = load_cost;
	*ret_send = send_cost;
}

static void show(const char *what, struct cost cost, int64_t rows)
{
	printf("  %-22s %8.2f us wall %8.2f us cpu\n", what, (double)cost.wall_us / (double)rows, (double)cost.cpu_us / (double)rows);
}

static void open_queue(struct bench *b, const char *folder)
{
	char path[4096];
	struct error err;

	snprintf(path, sizeof(path), "%s/queue.db", folder);
	if (!queue_open(path, &b->queue, &err))
		die(err.text);
	if (!queue_bind_endpoint(b->queue, 0, "bankfr", false) || !queue_bind_issuer(b->queue, "BANKFR0001", 0) ||
	    !queue_bind_source(b->queue, 0, "bench", "/bench"))
		die("binding");
	commit(b);
	b->next = number(b, "SELECT coalesce(max(row_id), 0) FROM row") + 1;
}

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* What claiming costs alone, and with its share of the turn: the answers recorded, the commit synced. */
struct claimed {
	int64_t rows, calls, empty_calls;
	double claim_us, most_us, all_us;
};

/* At most one quantum of rows a turn, so that ten rows and ten million are claimed in the same way. */
static void claim_some(struct bench *b, int64_t most, struct claimed *c)
{
	static struct queue_claim room[QUANTUM];
	struct queue_claim *claims[QUANTUM];
	struct track_verdict verdict = { .outcome = TRACK_ACCEPTED, .operation_id = "op-0123456789abcdef0123456789abcdef" };
	struct queue_result result = { .verdict = &verdict, .http_status = 202, .give_up_after_ms = 1000 };
	double start = cpu_us();
	enum row_state state;
	bool paused;

	for (size_t i = 0; i < QUANTUM; i++)
		claims[i] = &room[i];
	for (size_t n = 1; most > 0 && (n > 0 || queue_next_due(b->queue, 0, result.now_ms) <= result.now_ms); most -= (int64_t)n) {
		double before, took;

		result.now_ms = result.wall_ms = clock_wall_ms();
		before = cpu_us();
		if (!queue_claim(b->queue, 0, QUANTUM, result.now_ms, result.wall_ms, claims, &n))
			die("claim");
		took = cpu_us() - before;
		c->claim_us += took;
		c->most_us = took > c->most_us ? took : c->most_us;
		c->calls++;
		c->empty_calls += n == 0;
		c->rows += (int64_t)n;
		commit(b);
		for (size_t i = 0; i < n; i++) {
			result.claim = claims[i];
			if (!queue_record(b->queue, &result, &state, &paused))
				die("record");
		}
		commit(b);
	}
	c->all_us += cpu_us() - start;
}

/* All rows that are there cannot go: held, or behind the first of them. */
static void hinder(struct bench *b, const char *how)
{
	if (strcmp(how, "held") == 0)
		run(b, "UPDATE manifest SET held = queued, queued = 0; UPDATE row SET state = 5");
	else if (strcmp(how, "behind") == 0)
		run(b, "UPDATE manifest SET held = 1, queued = queued - 1; UPDATE row SET state = 5 WHERE row_id = 1;"
		       "UPDATE row SET behind = 1 WHERE row_id > 1");
	else
		die("held or behind");
}

static void claim_queued(struct bench *b, const char *folder, int64_t rows, int64_t manifests, const char *hindered)
{
	enum { MEASURED = 40000 };
	struct cost cost = { 0 };
	struct claimed c = { 0 };
	int64_t recovered;

	do {
		int64_t first = b->next;

		run(b, "PRAGMA synchronous=OFF");
		for (int64_t i = 0; i < manifests; i++)
			load(b, rows / manifests, &cost);
		if (hindered) {
			hinder(b, hindered);
			/* Those that can go stand behind them, in the same manifest. */
			run(b, "UPDATE row SET state = 0, behind = NULL WHERE row_id > (SELECT max(row_id) - 8000 FROM row);"
			       "UPDATE manifest SET queued = (SELECT count(*) FROM row WHERE state = 0),"
			       " held = (SELECT count(*) FROM row WHERE state = 5)");
			queue_close(b->queue);
			open_queue(b, folder);
			if (!queue_recover(b->queue, 3600000, clock_wall_ms(), clock_wall_ms(), &recovered))
				die("recover");
			commit(b);
		}
		run(b, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous=FULL");
		claim_some(b, MEASURED - c.rows, &c);
		if (c.rows == 0 || b->next == first)
			die("no row could go");
	} while (c.rows < MEASURED && rows < MEASURED && !hindered);
	printf("%9" PRId64 " queued, %4" PRId64 " manifests%s%s: %6.2f us cpu a row claimed, %6.2f with all of its turns;"
	       " %" PRId64 " calls, %" PRId64 " without a row, the longest %.0f us\n",
	       rows, manifests, hindered ? ", " : "", hindered ? hindered : "", c.claim_us / (double)c.rows, c.all_us / (double)c.rows,
	       c.calls, c.empty_calls, c.most_us);
}

int main(int argc, char **argv)
{
	int64_t rows = 0, before = 0, bytes, settled;
	struct bench b = { 0 };
	struct cost load_cost, send_cost;

	if (argc >= 5 && strcmp(argv[2], "queued") == 0 && text_to_int64(argv[3], &rows) && text_to_int64(argv[4], &before) && before > 0) {
		open_queue(&b, argv[1]);
		claim_queued(&b, argv[1], rows, before, argc > 5 ? argv[5] : NULL);
		queue_close(b.queue);
		return 0;
	}
	if (argc < 3 || argc > 4 || !text_to_int64(argv[2], &rows) || rows < 1 || (argc == 4 && !text_to_int64(argv[3], &before)))
		die("usage: bench_queue FOLDER ROWS [BEFORE] | bench_queue FOLDER queued ROWS MANIFESTS [held|behind]");
	open_queue(&b, argv[1]);
	if (b.next <= before) {
		run(&b, "PRAGMA synchronous=OFF");
		settle(&b, before - b.next + 1, ROWS_A_COMMIT / IN_FLIGHT, &load_cost, &send_cost);
		queue_close(b.queue);
		open_queue(&b, argv[1]);
	}
	/* What a start costs: the filter of known cards is filled while rows are added. */
	while (b.next > 1 && b.queue->cards.parts < CARD_PARTS) {
		settle(&b, ROWS_A_MANIFEST, 1, &load_cost, &send_cost);
		show("loaded after a start", load_cost, ROWS_A_MANIFEST);
	}
	printf("on top of %" PRId64 " settled rows, each of %" PRId64 " rows:\n", b.next - 1, rows);
	settle(&b, rows, 1, &load_cost, &send_cost);
	settled = number(&b, "SELECT count(*) FROM row WHERE state = 2");
	if (settled != b.next - 1)
		die("not every row was accepted");
	show("loaded", load_cost, rows);
	show("claimed and recorded", send_cost, rows);
	run(&b, "PRAGMA wal_checkpoint(TRUNCATE)");
	bytes = number(&b, "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)");
	printf("  %-22s %8.1f\n", "bytes a settled row", (double)bytes / (double)settled);
	queue_close(b.queue);
	return 0;
}
