#include "report/desk.h"

#include "base/file.h"
#include "report/archive.h"
#include "report/complaints.h"
#include "report/receipt.h"
#include "report/rejects.h"
#include "report/round.h"

#include <stdlib.h>

enum {
	MOVES = 4,    /* to the archive in one turn: each syncs two directories */
	SKIPPED = 64, /* manifests that were put off, passed in one turn */
	DAY_MS = 24 * 60 * 60 * 1000,
	REST_MS = 10 * 1000, /* after a commit that failed */
};

struct desk {
	const struct config *config;
	struct queue *queue;
	int64_t wall_ms; /* of this turn */
	struct round archive, rejects;
	bool look_for_receipts;
	int64_t first_receipt_at, last_receipt_at; /* as the database told it; INT64_MAX: there is none due */
	/* the file being written: one of the two, for this manifest */
	struct rejects *rejects_job;
	struct receipt *receipt_job;
	struct queue_errand errand;
	int64_t slices; /* written, ever */
	bool wrote;     /* something in this turn */
	bool resting;
	int64_t rest_until_ms;
	struct complaints complaints;
};

struct desk *desk_new(const struct config *config, struct queue *queue)
{
	struct desk *desk = xcalloc(1, sizeof(*desk));

	desk->config = config;
	desk->queue = queue;
	desk->first_receipt_at = desk->last_receipt_at = INT64_MAX;
	desk_look(desk);
	return desk;
}

static void end_job(struct desk *desk)
{
	rejects_free(desk->rejects_job);
	receipt_free(desk->receipt_job);
	queue_errand_free(&desk->errand);
	desk->rejects_job = NULL;
	desk->receipt_job = NULL;
}

void desk_free(struct desk *desk)
{
	if (!desk)
		return;
	end_job(desk);
	round_free(&desk->archive);
	round_free(&desk->rejects);
	complaints_free(&desk->complaints);
	free(desk);
}

void desk_look(struct desk *desk)
{
	round_ask(&desk->archive);
	round_ask(&desk->rejects);
	desk->look_for_receipts = true;
}

static void rest(struct desk *desk)
{
	desk->resting = true;
	desk->rest_until_ms = desk->wall_ms + REST_MS;
	desk_look(desk);
}

static bool failed(struct desk *desk, enum queue_errand_kind kind, const struct queue_errand *errand, const struct error *err)
{
	complaints_add(&desk->complaints, kind, errand, err->text);
	desk->wrote = true;
	switch (kind) {
	case QUEUE_ARCHIVE: round_failed(&desk->archive, errand->manifest, desk->wall_ms); break;
	case QUEUE_REJECTS: round_failed(&desk->rejects, errand->manifest, desk->wall_ms); break;
	case QUEUE_RECEIPT: desk->look_for_receipts = true; break;
	}
	return queue_errand_failed(desk->queue, errand->manifest, kind, desk->wall_ms + ROUND_AGAIN_MS, err->text);
}

/* The next manifest of a round that is to be tried now; manifest 0 where there is none, or none was found in this turn. */
static bool next_of(struct desk *desk, struct round *round, enum queue_errand_kind kind, struct queue_errand *ret_errand)
{
	for (int i = 0; i < SKIPPED; i++) {
		if (!queue_errand_next(desk->queue, kind, desk->wall_ms, round->after, ret_errand))
			return false;
		if (round_visit(round, ret_errand->manifest, desk->wall_ms) || !ret_errand->manifest)
			return true;
		queue_errand_free(ret_errand);
	}
	return true;
}

/* Each one is worth a line, so the reason names the manifest. */
static void lost(struct desk *desk, enum queue_errand_kind kind, const struct queue_errand *errand)
{
	scoped_text struct text reason = { 0 };

	text_printf(&reason, "the copy of manifest %lld is neither in the spool nor in the archive; given up", (long long)errand->manifest);
	complaints_add(&desk->complaints, kind, errand, reason.data);
}

static bool move_one(struct desk *desk, const struct queue_errand *errand)
{
	struct error err;
	char *path;
	bool good;

	if (!archive_move(desk->config, errand, &path, &err))
		return failed(desk, QUEUE_ARCHIVE, errand, &err);
	if (path[0])
		complaints_settle(&desk->complaints, QUEUE_ARCHIVE, errand);
	else
		lost(desk, QUEUE_ARCHIVE, errand);
	round_succeeded(&desk->archive, errand->manifest);
	desk->wrote = true;
	good = queue_errand_archived(desk->queue, errand->manifest, path);
	free(path);
	return good;
}

static bool move_some(struct desk *desk)
{
	for (int i = 0; i < MOVES; i++) {
		struct queue_errand errand = { 0 };
		bool good;

		if (!next_of(desk, &desk->archive, QUEUE_ARCHIVE, &errand))
			return false;
		if (!errand.manifest)
			return true;
		good = move_one(desk, &errand);
		queue_errand_free(&errand);
		if (!good)
			return false;
	}
	return true;
}

static bool write_rejects(struct desk *desk)
{
	struct error err;
	bool good = false;

	switch (rejects_slice(desk->rejects_job, desk->queue, &err)) {
	case SHEET_MORE: desk->slices++; return true;
	case SHEET_SPOILED: return false;
	case SHEET_FAILED: good = failed(desk, QUEUE_REJECTS, &desk->errand, &err); break;
	case SHEET_DONE:
		complaints_settle(&desk->complaints, QUEUE_REJECTS, &desk->errand);
		round_succeeded(&desk->rejects, desk->errand.manifest);
		desk->wrote = true;
		good = queue_errand_rejects_done(desk->queue, desk->errand.manifest);
		break;
	}
	end_job(desk);
	return good;
}

static bool begin_rejects(struct desk *desk)
{
	struct queue_errand *errand = &desk->errand;
	struct error err;
	bool good = false;

	if (!next_of(desk, &desk->rejects, QUEUE_REJECTS, errand))
		return false;
	if (!errand->manifest)
		return true;
	if (rejects_begin(desk->config, errand, &desk->rejects_job, &err))
		return write_rejects(desk);
	if (archive_is_lost(desk->config, errand)) {
		lost(desk, QUEUE_REJECTS, errand);
		desk->wrote = true;
		good = queue_errand_rejects_done(desk->queue, errand->manifest);
	} else {
		good = failed(desk, QUEUE_REJECTS, errand, &err);
	}
	end_job(desk);
	return good;
}

static bool write_receipt(struct desk *desk)
{
	struct error err;
	bool good = false;
	int64_t open;

	switch (receipt_slice(desk->receipt_job, desk->queue, &open, &err)) {
	case SHEET_MORE: desk->slices++; return true;
	case SHEET_SPOILED: return false;
	case SHEET_FAILED: good = failed(desk, QUEUE_RECEIPT, &desk->errand, &err); break;
	case SHEET_DONE:
		complaints_settle(&desk->complaints, QUEUE_RECEIPT, &desk->errand);
		desk->look_for_receipts = true;
		if (open < 0) {
			good = true;
			break;
		}
		desk->wrote = true;
		good = queue_errand_receipt_done(desk->queue, desk->errand.manifest, open, open ? desk->wall_ms + DAY_MS : 0);
		break;
	}
	end_job(desk);
	return good;
}

/* The clock was put back since it was put off, which is never for longer than a day. */
static bool is_too_far(const struct desk *desk, int64_t receipt_at)
{
	return receipt_at > desk->wall_ms && round_is_due(receipt_at, desk->wall_ms, DAY_MS);
}

static bool begin_receipt(struct desk *desk)
{
	struct error err;
	bool good = true;

	if (is_too_far(desk, desk->last_receipt_at)) {
		good = queue_errand_receipts_now(desk->queue, desk->wall_ms + DAY_MS, desk->wall_ms);
		desk->wrote = true;
	}
	good = good && queue_errand_next(desk->queue, QUEUE_RECEIPT, desk->wall_ms, 0, &desk->errand);
	desk->first_receipt_at = desk->last_receipt_at = INT64_MAX;
	if (!good || !desk->errand.manifest)
		return good;
	desk->look_for_receipts = true;
	if (receipt_begin(desk->config, &desk->errand, &desk->receipt_job, &err))
		return write_receipt(desk);
	good = failed(desk, QUEUE_RECEIPT, &desk->errand, &err);
	end_job(desk);
	return good;
}

static bool is_receipt_due(const struct desk *desk)
{
	return desk->first_receipt_at <= desk->wall_ms || is_too_far(desk, desk->last_receipt_at);
}

static bool work(struct desk *desk)
{
	if (round_due(&desk->archive, desk->wall_ms))
		return move_some(desk);
	if (desk->rejects_job)
		return write_rejects(desk);
	if (desk->receipt_job)
		return write_receipt(desk);
	if (round_due(&desk->rejects, desk->wall_ms))
		return begin_rejects(desk);
	if (desk->look_for_receipts) {
		desk->look_for_receipts = false;
		if (!queue_errand_receipts_at(desk->queue, &desk->first_receipt_at, &desk->last_receipt_at))
			return false;
	}
	return is_receipt_due(desk) ? begin_receipt(desk) : true;
}

bool desk_work(struct desk *desk, int64_t wall_ms, struct error *err)
{
	desk->wall_ms = wall_ms;
	if (desk->resting && round_is_due(desk->rest_until_ms, wall_ms, REST_MS))
		desk->resting = false;
	if (desk->resting || queue_in_turn(desk->queue))
		return true;
	if (work(desk))
		return true;
	end_job(desk);
	rest(desk);
	return error_set(err, ERROR_IO, "the queue failed while files for the factory were made; its commit says why");
}

void desk_act(struct desk *desk, bool committed)
{
	/* What was recorded about files in this turn is not; they are made again, but not turn after turn. */
	if (!committed && desk->wrote)
		rest(desk);
	desk->wrote = false;
}

bool desk_busy(const struct desk *desk)
{
	return !desk->resting && (desk->rejects_job || desk->receipt_job || desk_next_ms(desk) <= desk->wall_ms);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t desk_next_ms(const struct desk *desk)
{
	int64_t rounds = earlier(round_at(&desk->archive, desk->wall_ms), round_at(&desk->rejects, desk->wall_ms));

	if (desk->resting)
		return desk->rest_until_ms;
	if (desk->look_for_receipts || desk->rejects_job || desk->receipt_job || is_receipt_due(desk))
		return desk->wall_ms;
	return earlier(rounds, desk->first_receipt_at);
}

bool desk_complaint(struct desk *desk, struct text *ret_line)
{
	return complaints_take(&desk->complaints, ret_line);
}

int64_t desk_done(const struct desk *desk)
{
	return desk->slices;
}
