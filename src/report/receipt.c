#include "report/receipt.h"

#include "base/file.h"

#include <string.h>

struct receipt {
	struct sheet *sheet;
	int64_t manifest;
	/* the manifest when it was begun */
	int64_t rows_before, accepted_before, open_before;
	int64_t after; /* the last row that is in it */
	int64_t rows, accepted, open;
	int shown; /* rows of this slice */
	struct text slice;
};

void receipt_header(struct text *text)
{
	text_append_string(text, "line,cardId,trackingType,state,operationId,httpStatus,errorCode,detail\r\n");
}

static void cell(struct text *text, const char *value, bool is_d1)
{
	scoped_text struct text shown = { 0 };

	text_append(text, ",", 1);
	if (is_d1 || !value[0] || !strchr("=+-@\t\r", value[0])) {
		text_csv_cell(text, value, strlen(value), ',');
		return;
	}
	text_printf(&shown, "'%s", value);
	text_csv_cell(text, shown.data, shown.length, ',');
}

/* D1: ^[A-Za-z0-9_-]{1,64}$ */
static bool is_operation_id(const char *value)
{
	size_t length = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return length >= 1 && length <= 64 && !value[length];
}

void receipt_row(struct text *text, const struct queue_receipt_row *row)
{
	text_printf(text, "%lld", (long long)row->line);
	cell(text, row->card_id, !track_check_field(TRACK_CARD_ID, row->card_id));
	cell(text, row->tracking_type, false);
	cell(text, row->state, false);
	cell(text, row->operation_id, is_operation_id(row->operation_id));
	text_append(text, ",", 1);
	if (row->http_status)
		text_printf(text, "%d", row->http_status);
	cell(text, row->error_code, false);
	cell(text, row->detail, false);
	text_append(text, "\r\n", 2);
}

void receipt_fate(struct text *text, const char *state, const char *reason)
{
	text_printf(text, ",,,%s,,,", state);
	cell(text, reason, false);
	text_append(text, "\r\n", 2);
}

void receipt_trailer(struct text *text, int64_t rows, int64_t accepted, bool settled)
{
	text_printf(text, "TRAILER,%lld,%lld,%s\r\n", (long long)rows, (long long)accepted, settled ? "SETTLED" : "OPEN");
}

bool receipt_is_open(const char *state)
{
	static const enum row_state states[] = { ROW_QUEUED, ROW_SENDING, ROW_IN_DOUBT, ROW_HELD };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(state, queue_state_name(states[i])) == 0)
			return true;
	}
	return false;
}

bool receipt_begin(const struct config *config, const struct queue_errand *errand, struct receipt **ret_receipt, struct error *err)
{
	struct receipt *receipt;
	struct sheet *sheet;

	if (!sheet_open(config, errand, "receipt", &sheet, err))
		return false;
	receipt = xcalloc(1, sizeof(*receipt));
	receipt->sheet = sheet;
	receipt->manifest = errand->manifest;
	receipt->rows_before = errand->rows;
	receipt->accepted_before = errand->accepted;
	receipt->open_before = errand->open;
	receipt_header(&receipt->slice);
	if (errand->rows == 0 && (strcmp(errand->state, "rejected") == 0 || strcmp(errand->state, "duplicate") == 0))
		receipt_fate(&receipt->slice, errand->state, errand->reason);
	*ret_receipt = receipt;
	return true;
}

static bool take_row(void *user, const struct queue_receipt_row *row)
{
	struct receipt *receipt = user;

	receipt_row(&receipt->slice, row);
	receipt->rows++;
	receipt->accepted += strcmp(row->state, queue_state_name(ROW_ACCEPTED)) == 0;
	receipt->open += receipt_is_open(row->state);
	receipt->shown++;
	return true;
}

/* Looks at the manifest once more: what the trailer says, and what is recorded, must hold at the end as well. */
static bool look_again(struct receipt *receipt, struct queue *queue, bool *ret_settled, int64_t *ret_open)
{
	struct queue_errand now;

	/* Of those with this number or a higher one it was due first, and still is unless it settled meanwhile. */
	if (!queue_errand_next(queue, QUEUE_RECEIPT, INT64_MAX, receipt->manifest - 1, &now))
		return false;
	*ret_settled = false;
	*ret_open = -1;
	if (now.manifest == receipt->manifest && now.open > 0)
		*ret_open = now.open;
	else if (now.manifest == receipt->manifest && !receipt->open_before && !receipt->open && now.accepted == receipt->accepted_before) {
		*ret_settled = true;
		*ret_open = 0;
	}
	queue_errand_free(&now);
	return true;
}

/* The counts must be those of the lines, else something is wrong that writing it again does not heal. */
static bool check_counts(const struct receipt *receipt, bool settled, struct error *err)
{
	if (receipt->rows == receipt->rows_before && (!settled || receipt->accepted == receipt->accepted_before))
		return true;
	return error_set(err, ERROR_INTERNAL, "%lld rows (%lld accepted) were found, %lld (%lld) are counted: run verify",
			 (long long)receipt->rows, (long long)receipt->accepted, (long long)receipt->rows_before,
			 (long long)receipt->accepted_before);
}

enum sheet_step receipt_slice(struct receipt *receipt, struct queue *queue, int64_t *ret_open, struct error *err)
{
	bool settled = false, last;
	int64_t open = -1;

	receipt->shown = 0;
	if (!queue_receipt_rows(queue, receipt->manifest, receipt->after, RECEIPT_SLICE_ROWS, take_row, receipt, &receipt->after))
		return SHEET_SPOILED;
	last = receipt->shown < RECEIPT_SLICE_ROWS;
	if (last) {
		if (!look_again(receipt, queue, &settled, &open))
			return SHEET_SPOILED;
		if (!check_counts(receipt, settled, err))
			return SHEET_FAILED;
		receipt_trailer(&receipt->slice, receipt->rows, receipt->accepted, settled);
	}
	if (!sheet_write(receipt->sheet, &receipt->slice, err))
		return SHEET_FAILED;
	text_clear(&receipt->slice);
	if (!last)
		return SHEET_MORE;
	if (!sheet_publish(receipt->sheet, err))
		return SHEET_FAILED;
	*ret_open = open;
	return SHEET_DONE;
}

void receipt_free(struct receipt *receipt)
{
	if (!receipt)
		return;
	sheet_free(receipt->sheet);
	text_free(&receipt->slice);
	free(receipt);
}
