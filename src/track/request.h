/*
 * request: what D1's operation "Track Card" takes, and nothing else. Pure: no I/O, no clock, no state.
 * Rules from D1's published OpenAPI: POST /issuers/{issuerId}/physicalCards/{cardId}/track, a body of one of three shapes in which
 * no other property is allowed.
 */
#pragma once

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum track_type {
	TRACK_PRODUCTION = 1,
	TRACK_SHIPMENT = 2,
	TRACK_RETURN = 3,
};

enum track_field {
	TRACK_ISSUER_ID,
	TRACK_CARD_ID,
	TRACK_TYPE,
	TRACK_PRODUCTION_SITE,
	TRACK_TRACKING_NUMBER,
	TRACK_POSTAL_CODE,
	TRACK_COUNTRY_CODE,
	TRACK_SHIPMENT_DATE,
	TRACK_N_FIELDS,
};

/*
 * One request. Strings are borrowed from whoever made it and are NUL-terminated. NULL means absent; the optional fields of a type and
 * all that the type does not have are NULL. production_site is never NULL in a valid request (it may be ""). shipment_date is in
 * seconds since 1970 and counts for TRACK_SHIPMENT alone.
 */
struct track_request {
	const char *issuer_id;
	const char *card_id;
	enum track_type type;
	const char *production_site;
	const char *tracking_number;
	const char *postal_code;
	const char *country_code;
	int64_t shipment_date;
};

/* track_type_name gives "PRODUCTION", "SHIPMENT" or "RETURN". */
const char *track_type_name(enum track_type type);
bool track_type_parse(const char *name, enum track_type *ret_type);

/* track_field_name gives the field's name in the API ("issuerId", …, "shipmentDate"); track_field_parse is the way back. */
const char *track_field_name(enum track_field field);
bool track_field_parse(const char *name, enum track_field *ret_field);

/* track_type_takes tells whether a request of this type may carry the field at all (D1: no other property is allowed). */
bool track_type_takes(enum track_type type, enum track_field field);

/*
 * track_check_field checks one value against D1's rule for its field, by itself. NULL where it is good, else a static text that
 * says what the field must be, e.g. "must be 1 to 48 letters, digits, '_' or '-'". For TRACK_TYPE and TRACK_SHIPMENT_DATE the value
 * is the API's text form (the date must also exist: 2026-02-30 does not). For TRACK_COUNTRY_CODE: two capital letters.
 */
const char *track_check_field(enum track_field field, const char *value);

/*
 * track_date_text writes seconds since 1970 as D1 wants them, 2026-11-22T10:00:00Z; false outside the years 0000 to 9999.
 */
bool track_date_text(char ret_text[static 21], int64_t seconds);

/* track_request_body appends the JSON body, always with the same keys in the same order for the same request, on one line. */
void track_request_body(struct text *text, const struct track_request *request);

/* track_request_path appends "/issuers/…/physicalCards/…/track"; the checked ids need no escaping. */
void track_request_path(struct text *text, const struct track_request *request);

/* track_looks_like_pan tells whether a card id is 13 to 19 digits with a valid Luhn check digit (ISO/IEC 7812-1). */
bool track_looks_like_pan(const char *card_id);
