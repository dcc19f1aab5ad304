#include "queue/read.h"

#include "base/file.h"
#include "queue/card.h"
#include "queue/db.h"
#include "queue/read_sql.h"
#include "queue/read_trouble.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 500 };

struct queue_reader {
	struct db db;
	sqlite3_stmt *event;
};

struct queue_cursor {
	struct queue_reader *reader;
	sqlite3_stmt *statement;
	bool paged; /* the first column is the key by which it goes on */
	bool more;
	int64_t after, last, left;
	const char **names;
	size_t n_columns;
	struct queue_value *values;
	size_t n_rows, room, next;
	struct text bytes;
};

bool queue_reader_open(const char *path, struct queue_reader **ret_reader, struct error *err)
{
	struct queue_reader *reader = xcalloc(1, sizeof(*reader));
	struct error why = { 0 };

	if (!db_open_read_only(&reader->db, path, &why)) {
		free(reader);
		read_explain(path, &why);
		*err = why;
		return false;
	}
	*ret_reader = reader;
	return true;
}

void queue_reader_close(struct queue_reader *reader)
{
	if (!reader)
		return;
	sqlite3_finalize(reader->event);
	db_close(&reader->db);
	free(reader);
}

static bool prepare(struct queue_reader *reader, enum read_sql sql, sqlite3_stmt **ret_statement, struct error *err)
{
	int result = sqlite3_prepare_v2(reader->db.handle, read_sql[sql], -1, ret_statement, NULL);

	if (result == SQLITE_OK)
		return true;
	return error_set(err, (result & 0xff) == SQLITE_ERROR ? ERROR_INTERNAL : ERROR_IO, "%s: %s", reader->db.path,
			 sqlite3_errmsg(reader->db.handle));
}

/* Steps a statement: true with a row; false at the end, or where healthy says no. */
static bool step(struct queue_reader *reader, sqlite3_stmt *statement, bool *ret_healthy, struct error *err)
{
	bool row = db_row(&reader->db, statement);

	*ret_healthy = db_healthy(&reader->db);
	if (!*ret_healthy) {
		*err = reader->db.why;
		reader->db.spoiled = false;
	}
	return row;
}

static void bind_text(sqlite3_stmt *statement, const char *name, const char *value)
{
	int at = sqlite3_bind_parameter_index(statement, name);

	if (at)
		sqlite3_bind_text(statement, at, value, -1, SQLITE_STATIC);
}

static void bind_number(sqlite3_stmt *statement, const char *name, bool present, int64_t value)
{
	int at = sqlite3_bind_parameter_index(statement, name);

	if (at && present)
		sqlite3_bind_int64(statement, at, value);
	else if (at)
		sqlite3_bind_null(statement, at);
}

static void bind_card(sqlite3_stmt *statement, const char *card_id)
{
	struct card_range keys = card_id ? card_keys(card_id) : (struct card_range){ 0 };

	bind_text(statement, ":card", card_id);
	bind_number(statement, ":first_key", card_id != NULL, keys.first);
	bind_number(statement, ":last_key", card_id != NULL, keys.last);
}

static void bind_filter(sqlite3_stmt *statement, const struct queue_filter *filter, int state)
{
	bind_card(statement, filter->card);
	bind_text(statement, ":source", filter->source);
	bind_text(statement, ":operation_id", filter->operation_id);
	bind_text(statement, ":state_name", filter->state);
	bind_number(statement, ":state", state >= 0, state);
	bind_number(statement, ":row", true, filter->row);
	bind_number(statement, ":manifest", filter->manifest != 0, filter->manifest);
	bind_number(statement, ":now", true, filter->now_ms);
	bind_number(statement, ":since", filter->since_ms != 0, filter->since_ms);
}

static bool needs_attention(int state)
{
	return state == ROW_SENDING || state == ROW_REFUSED || state == ROW_IN_DOUBT || state == ROW_HELD || state == ROW_EXPIRED;
}

/* What is asked of rows by their manifest narrows the rows to a range of numbers, since a manifest's rows stand together. */
static bool find_range(struct queue_reader *reader, const struct queue_filter *filter, int64_t *ret_after, int64_t *ret_last,
		       struct error *err)
{
	sqlite3_stmt *statement;
	bool healthy;

	*ret_after = 0;
	*ret_last = INT64_MAX;
	if (filter->row) {
		*ret_after = filter->row - 1;
		*ret_last = filter->row;
	}
	if (!filter->manifest && !filter->source && !filter->since_ms)
		return true;
	if (!prepare(reader, READ_RANGE, &statement, err))
		return false;
	bind_filter(statement, filter, -1);
	if (step(reader, statement, &healthy, err)) {
		int64_t first = sqlite3_column_int64(statement, 0), last = sqlite3_column_int64(statement, 1);

		*ret_after = first - 1 > *ret_after ? first - 1 : *ret_after;
		*ret_last = last < *ret_last ? last : *ret_last;
	}
	sqlite3_finalize(statement);
	return healthy;
}

static bool row_state_of(const char *name, int *ret_state, struct error *err)
{
	*ret_state = -1;
	for (int i = 0; name && i < ROW_N_STATES; i++) {
		if (strcmp(name, queue_state_name((enum row_state)i)) == 0)
			*ret_state = i;
	}
	return !name || *ret_state >= 0 || error_set(err, ERROR_USAGE, "'%s' is no state of a row", name);
}

/* Which text, and where it begins. */
static bool choose(struct queue_reader *reader, enum queue_query query, const struct queue_filter *filter, struct queue_cursor *cursor,
		   int *ret_state, enum read_sql *ret_sql, struct error *err)
{
	*ret_state = -1;
	*ret_sql = READ_SQL_N;
	cursor->paged = query == QUEUE_STATUS || query == QUEUE_MANIFEST_STATUS || query == QUEUE_RECEIPT_ROWS || query == QUEUE_COUNTS;
	switch (query) {
	case QUEUE_STATUS:
		if (!row_state_of(filter->state, ret_state, err) || !find_range(reader, filter, &cursor->after, &cursor->last, err))
			return false;
		*ret_sql = filter->card ? READ_ROWS_OF_CARD : needs_attention(*ret_state) ? READ_ROWS_IN_ATTENTION : READ_ROWS_IN_RANGE;
		break;
	case QUEUE_MANIFEST_STATUS: *ret_sql = READ_MANIFESTS; break;
	case QUEUE_RECEIPT_ROWS:
		if (!find_range(reader, filter, &cursor->after, &cursor->last, err))
			return false;
		*ret_sql = READ_RECEIPT_ROWS;
		break;
	case QUEUE_ENDPOINT_STATUS: *ret_sql = READ_ENDPOINTS; break;
	case QUEUE_SOURCE_STATUS: *ret_sql = READ_SOURCES; break;
	case QUEUE_ATTEMPT_HISTORY: *ret_sql = READ_ATTEMPTS; break;
	case QUEUE_OPERATOR_ACTION_LOG: *ret_sql = READ_OPERATOR_ACTIONS; break;
	case QUEUE_REQUEST: *ret_sql = READ_REQUEST; break;
	case QUEUE_OVERVIEW: *ret_sql = READ_OVERVIEW; break;
	case QUEUE_CERTIFICATES: *ret_sql = READ_CERTIFICATES; break;
	case QUEUE_ACTIVITY: *ret_sql = READ_ACTIVITY; break;
	case QUEUE_READY: *ret_sql = READ_READY; break;
	case QUEUE_TROUBLE: *ret_sql = READ_TROUBLE; break;
	case QUEUE_OLDEST_WAITING: *ret_sql = READ_OLDEST_WAITING; break;
	case QUEUE_COUNTS: *ret_sql = READ_COUNTS; break;
	case QUEUE_SOURCES_NOW: *ret_sql = READ_SOURCES_NOW; break;
	case QUEUE_ENDPOINTS_AND_CERTIFICATES: *ret_sql = READ_ENDPOINTS_AND_CERTIFICATES; break;
	case QUEUE_WAITING_MANIFESTS: *ret_sql = READ_WAITING_MANIFESTS; break;
	case QUEUE_LATEST_ACTIONS: *ret_sql = READ_LATEST_ACTIONS; break;
	}
	return true;
}

bool queue_reader_query(struct queue_reader *reader, enum queue_query query, const struct queue_filter *filter,
			struct queue_cursor **ret_cursor, struct error *err)
{
	struct queue_cursor *cursor = xcalloc(1, sizeof(*cursor));
	enum read_sql sql;
	int state;

	cursor->reader = reader;
	cursor->more = true;
	cursor->left = filter->limit > 0 ? filter->limit : INT64_MAX;
	if (!choose(reader, query, filter, cursor, &state, &sql, err) || !prepare(reader, sql, &cursor->statement, err)) {
		free(cursor);
		return false;
	}
	bind_filter(cursor->statement, filter, state);
	bind_number(cursor->statement, ":last", true, cursor->last);
	cursor->n_columns = (size_t)sqlite3_column_count(cursor->statement);
	cursor->names = xcalloc(cursor->n_columns, sizeof(*cursor->names));
	for (size_t i = 0; i < cursor->n_columns; i++)
		cursor->names[i] = xstrdup(sqlite3_column_name(cursor->statement, (int)i));
	*ret_cursor = cursor;
	return true;
}

void queue_cursor_close(struct queue_cursor *cursor)
{
	if (!cursor)
		return;
	sqlite3_finalize(cursor->statement);
	for (size_t i = 0; i < cursor->n_columns; i++)
		free((char *)cursor->names[i]);
	free(cursor->names);
	free(cursor->values);
	text_free(&cursor->bytes);
	free(cursor);
}

const char *const *queue_cursor_columns(const struct queue_cursor *cursor, size_t *ret_n)
{
	*ret_n = cursor->n_columns;
	return cursor->names;
}

/* Texts are kept as offsets until the page is complete: its memory moves while it grows. */
static void keep_row(struct queue_cursor *cursor)
{
	struct queue_value *values;

	if (cursor->n_rows == cursor->room) {
		cursor->room = cursor->room ? 2 * cursor->room : 16;
		cursor->values = xrealloc_array(cursor->values, cursor->room * cursor->n_columns, sizeof(*cursor->values));
	}
	values = cursor->values + cursor->n_rows++ * cursor->n_columns;
	for (size_t i = 0; i < cursor->n_columns; i++) {
		int column = (int)i, type = sqlite3_column_type(cursor->statement, column);

		values[i] = (struct queue_value){ .type = QUEUE_NULL };
		if (type == SQLITE_INTEGER) {
			values[i].type = QUEUE_NUMBER;
			values[i].number = sqlite3_column_int64(cursor->statement, column);
		} else if (type != SQLITE_NULL) {
			const char *text = db_text(cursor->statement, column);

			values[i].type = QUEUE_TEXT;
			values[i].number = (int64_t)cursor->bytes.length;
			text_append(&cursor->bytes, text, strlen(text) + 1);
		}
	}
	if (cursor->paged)
		cursor->after = values[0].number;
}

static bool fetch_page(struct queue_cursor *cursor, struct error *err)
{
	int64_t most = cursor->paged && cursor->left > PAGE ? PAGE : cursor->left;
	bool healthy;

	text_clear(&cursor->bytes);
	cursor->n_rows = cursor->next = 0;
	sqlite3_reset(cursor->statement);
	bind_number(cursor->statement, ":after", true, cursor->after);
	bind_number(cursor->statement, ":page", true, most);
	while ((int64_t)cursor->n_rows < most && step(cursor->reader, cursor->statement, &healthy, err))
		keep_row(cursor);
	if ((int64_t)cursor->n_rows < most && !healthy)
		return false;
	sqlite3_reset(cursor->statement);
	cursor->left -= (int64_t)cursor->n_rows;
	cursor->more = cursor->paged && (int64_t)cursor->n_rows == most && cursor->left > 0;
	for (size_t i = 0; i < cursor->n_rows * cursor->n_columns; i++) {
		if (cursor->values[i].type == QUEUE_TEXT)
			cursor->values[i].text = cursor->bytes.data + cursor->values[i].number;
	}
	return true;
}

bool queue_cursor_next(struct queue_cursor *cursor, const struct queue_value **ret_row, struct error *err)
{
	if (cursor->next == cursor->n_rows && cursor->more && !fetch_page(cursor, err))
		return false;
	*ret_row = cursor->next < cursor->n_rows ? cursor->values + cursor->next++ * cursor->n_columns : NULL;
	return true;
}

bool queue_reader_freeze(struct queue_reader *reader, struct error *err)
{
	if (sqlite3_exec(reader->db.handle, statement_snapshot, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	error_set(err, ERROR_IO, "%s: %s", reader->db.path, sqlite3_errmsg(reader->db.handle));
	queue_reader_thaw(reader);
	return false;
}

void queue_reader_thaw(struct queue_reader *reader)
{
	if (!sqlite3_get_autocommit(reader->db.handle))
		sqlite3_exec(reader->db.handle, "ROLLBACK", NULL, NULL, NULL);
}

bool queue_reader_event(struct queue_reader *reader, const struct track_request *request, int64_t event, int64_t *ret_row,
			enum row_state *ret_state, struct error *err)
{
	sqlite3_stmt *statement = reader->event;
	int64_t row = 0;
	enum row_state state = ROW_QUEUED;
	bool healthy;

	if (!statement && !prepare(reader, READ_EVENT, &statement, err))
		return false;
	reader->event = statement;
	sqlite3_reset(statement);
	bind_text(statement, ":issuer", request->issuer_id);
	bind_card(statement, request->card_id);
	bind_text(statement, ":production_site", request->production_site);
	bind_text(statement, ":tracking_number", request->tracking_number);
	bind_text(statement, ":postal_code", request->postal_code);
	bind_text(statement, ":country_code", request->country_code);
	bind_number(statement, ":type", true, request->type);
	/* As queue_row_add stores it: a date of 0, the first second of 1970, is NULL there. */
	bind_number(statement, ":shipment_date", request->type == TRACK_SHIPMENT && request->shipment_date != 0, request->shipment_date);
	bind_number(statement, ":event", true, event);
	if (step(reader, statement, &healthy, err)) {
		row = sqlite3_column_int64(statement, 0);
		state = (enum row_state)sqlite3_column_int(statement, 1);
	}
	sqlite3_reset(statement);
	if (!healthy)
		return false;
	*ret_row = row;
	*ret_state = state;
	return true;
}

bool queue_reader_same_bytes(struct queue_reader *reader, const char *source, const uint8_t sha256[static 32], int64_t *ret_manifest,
			     struct error *err)
{
	sqlite3_stmt *statement;
	int64_t manifest = 0;
	bool healthy;

	if (!prepare(reader, READ_SAME_BYTES, &statement, err))
		return false;
	bind_text(statement, ":source", source);
	sqlite3_bind_blob(statement, sqlite3_bind_parameter_index(statement, ":sha256"), sha256, 32, SQLITE_STATIC);
	if (step(reader, statement, &healthy, err))
		manifest = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	if (healthy)
		*ret_manifest = manifest;
	return healthy;
}

bool queue_reader_restored(struct queue_reader *reader, int64_t *ret_copied_at, int64_t *ret_restored_at, struct error *err)
{
	sqlite3_stmt *statement = db_use(&reader->db, RESTORED, "");
	int64_t copied_at = 0, restored_at = 0;
	bool healthy;

	if (step(reader, statement, &healthy, err)) {
		copied_at = sqlite3_column_int64(statement, 0);
		restored_at = sqlite3_column_int64(statement, 1);
		sqlite3_reset(statement);
	}
	if (!healthy)
		return false;
	*ret_copied_at = copied_at;
	*ret_restored_at = restored_at;
	return true;
}
