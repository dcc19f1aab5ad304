/*
 * fields: from the cells of one record to one request, by the source's field mapping. The order for each field is fixed: trim, case, map,
 * default, for the date the reading of it; then D1's rules. Pure but for the process's time zone (see date.h).
 */
#pragma once

#include "config/config.h"
#include "intake/csv.h"
#include "track/request.h"

struct fields;

enum fields_result {
	FIELDS_REQUEST,  /* ret_request is a valid request */
	FIELDS_SKIPPED,  /* the mapping says not to send it; ret_request holds what is known */
	FIELDS_REJECTED, /* column and reason are set; ret_request holds what is known */
};

/* What became of a record; everything points into the struct fields and is valid until the next call. */
struct fields_row {
	enum fields_result result;
	struct track_request request; /* rejected and skipped rows: unknown strings are NULL, an unknown type 0 */
	const char *column;           /* the file's column at fault, or the field's name where a constant is at fault, or "" */
	struct text reason;           /* one line, for people: '2026/11/22' does not match "%d/%m/%Y %H:%M" */
	struct text identity;         /* canonical bytes of the identity columns; empty where there are none or all are empty */
};

/*
 * fields_open prepares the mapping. header is the header record, or NULL where the source has none. Fails (ERROR_DATA) where a column that
 * a field or identity uses is missing or stands twice: the manifest is to be rejected with that text. The three columns that a rejects file
 * adds (line, column, reason) are ignored.
 */
bool fields_open(const struct config_source *source, const struct csv_record *header, struct fields **ret_fields, struct error *err);
void fields_close(struct fields *fields);

/* fields_read maps one record. A record with fewer cells than the header, or with more unless the rest are empty, is rejected. Does not
 * know which issuers exist. */
const struct fields_row *fields_read(struct fields *fields, const struct csv_record *record);
