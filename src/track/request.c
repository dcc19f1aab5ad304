#include "track/request.h"

#include "track/civil.h"

#include <string.h>

enum { ISSUER_LENGTH = 10, MOST_CARD = 48, MOST_SITE = 50, MOST_NUMBER = 64, MOST_POSTAL = 10, LEAST_PAN = 13, MOST_PAN = 19 };

static const char *const type_names[] = {
	"",
	[TRACK_PRODUCTION] = "PRODUCTION",
	[TRACK_SHIPMENT] = "SHIPMENT",
	[TRACK_RETURN] = "RETURN",
};

static const char *const field_names[TRACK_N_FIELDS] = {
	[TRACK_ISSUER_ID] = "issuerId",
	[TRACK_CARD_ID] = "cardId",
	[TRACK_TYPE] = "trackingType",
	[TRACK_PRODUCTION_SITE] = "productionSite",
	[TRACK_TRACKING_NUMBER] = "trackingNumber",
	[TRACK_POSTAL_CODE] = "postalCode",
	[TRACK_COUNTRY_CODE] = "countryCode",
	[TRACK_SHIPMENT_DATE] = "shipmentDate",
};

const char *track_type_name(enum track_type type)
{
	return (size_t)type <= TRACK_RETURN ? type_names[type] : "";
}

bool track_type_parse(const char *name, enum track_type *ret_type)
{
	for (enum track_type type = TRACK_PRODUCTION; type <= TRACK_RETURN; type++) {
		if (strcmp(name, type_names[type]) == 0) {
			*ret_type = type;
			return true;
		}
	}
	return false;
}

const char *track_field_name(enum track_field field)
{
	return (size_t)field < TRACK_N_FIELDS ? field_names[field] : "";
}

bool track_field_parse(const char *name, enum track_field *ret_field)
{
	for (enum track_field field = 0; field < TRACK_N_FIELDS; field++) {
		if (strcmp(name, field_names[field]) == 0) {
			*ret_field = field;
			return true;
		}
	}
	return false;
}

bool track_type_takes(enum track_type type, enum track_field field)
{
	return field <= TRACK_PRODUCTION_SITE || (type == TRACK_SHIPMENT && field < TRACK_N_FIELDS);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_of_id(char c)
{
	return is_digit(c) || is_capital(c) || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
}

static bool is_of_number(char c)
{
	return is_of_id(c) || c == ' ' || c == '.' || c == '/';
}

static bool is_of_postal(char c)
{
	return is_digit(c) || is_capital(c) || c == '-' || c == ' ';
}

static bool consists_of(const char *value, size_t least, size_t most, bool (*allowed)(char))
{
	size_t length = 0;

	for (; value[length]; length++) {
		if (length == most || !allowed(value[length]))
			return false;
	}
	return length >= least;
}

static bool is_site(const char *value)
{
	size_t length = strlen(value);

	return text_utf8_valid(value, length) && text_utf8_count(value, length) <= MOST_SITE;
}

static int number_at(const char *text, int digits)
{
	int number = 0;

	for (int i = 0; i < digits; i++)
		number = number * 10 + (text[i] - '0');
	return number;
}

static bool is_date(const char *value)
{
	static const char shape[] = "0000-00-00T00:00:00Z";
	struct civil civil;

	for (size_t i = 0; i < sizeof(shape); i++) {
		if (shape[i] == '0' ? !is_digit(value[i]) : value[i] != shape[i])
			return false;
	}
	civil = (struct civil){
		.year = number_at(value, 4),
		.month = number_at(value + 5, 2),
		.day = number_at(value + 8, 2),
		.hour = number_at(value + 11, 2),
		.minute = number_at(value + 14, 2),
		.second = number_at(value + 17, 2),
	};
	return civil_exists(&civil);
}

const char *track_check_field(enum track_field field, const char *value)
{
	enum track_type type;

	switch (field) {
	case TRACK_ISSUER_ID:
		/* D1 publishes the length alone; only what it has been seen to use is safe in a path. */
		return consists_of(value, ISSUER_LENGTH, ISSUER_LENGTH, is_of_id) ? NULL : "must be exactly 10 letters, digits, '_' or '-'";
	case TRACK_CARD_ID: return consists_of(value, 1, MOST_CARD, is_of_id) ? NULL : "must be 1 to 48 letters, digits, '_' or '-'";
	case TRACK_TYPE: return track_type_parse(value, &type) ? NULL : "must be PRODUCTION, SHIPMENT or RETURN";
	case TRACK_PRODUCTION_SITE: return is_site(value) ? NULL : "must be at most 50 characters of UTF-8";
	case TRACK_TRACKING_NUMBER:
		return consists_of(value, 1, MOST_NUMBER, is_of_number) ? NULL
									: "must be 1 to 64 letters, digits, blanks, '_', '-', '.' or '/'";
	case TRACK_POSTAL_CODE:
		return consists_of(value, 1, MOST_POSTAL, is_of_postal) ? NULL : "must be 1 to 10 capital letters, digits, blanks or '-'";
	case TRACK_COUNTRY_CODE: return consists_of(value, 2, 2, is_capital) ? NULL : "must be two capital letters (ISO 3166-1 alpha-2)";
	case TRACK_SHIPMENT_DATE: return is_date(value) ? NULL : "must be a date and time that exist, in UTC, like 2026-11-22T10:00:00Z";
	case TRACK_N_FIELDS: break;
	}
	return "is not a field";
}

static void put_number(char *ret_digits, int digits, int number)
{
	for (int i = digits; i-- > 0; number /= 10)
		ret_digits[i] = (char)('0' + number % 10);
}

bool track_date_text(char ret_text[static 21], int64_t seconds)
{
	struct civil civil;

	if (!civil_from_seconds(seconds, &civil))
		return false;
	memcpy(ret_text, "0000-00-00T00:00:00Z", 21);
	put_number(ret_text, 4, civil.year);
	put_number(ret_text + 5, 2, civil.month);
	put_number(ret_text + 8, 2, civil.day);
	put_number(ret_text + 11, 2, civil.hour);
	put_number(ret_text + 14, 2, civil.minute);
	put_number(ret_text + 17, 2, civil.second);
	return true;
}

/* RFC 8259, section 7: the quote, the backslash and what is below U+0020; everything else may stand as it is. */
static bool needs_escape(char c)
{
	return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static void append_escape(struct text *text, char c)
{
	static const char hex[] = "0123456789abcdef", letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	char escape[] = { '\\', 'u', '0', '0', hex[(c >> 4) & 15], hex[c & 15] };

	for (size_t i = 0; letters[i]; i += 2) {
		if (letters[i] == c) {
			escape[1] = letters[i + 1];
			text_append(text, escape, 2);
			return;
		}
	}
	text_append(text, escape, sizeof(escape));
}

/* opening is all that stands before the value: a brace or comma, the key, the colon and the value's first quote. */
static void append_member(struct text *text, const char *opening, const char *value)
{
	if (!value)
		return;
	text_append_string(text, opening);
	for (size_t run; *value; value += run) {
		for (run = 0; value[run] && !needs_escape(value[run]); run++)
			;
		text_append(text, value, run);
		if (value[run])
			append_escape(text, value[run++]);
	}
	text_append(text, "\"", 1);
}

void track_request_body(struct text *text, const struct track_request *request)
{
	bool shipment = request->type == TRACK_SHIPMENT;
	char date[21];

	append_member(text, "{\"trackingType\":\"", track_type_name(request->type));
	if (shipment) {
		append_member(text, ",\"trackingNumber\":\"", request->tracking_number);
		append_member(text, ",\"shipmentDate\":\"", track_date_text(date, request->shipment_date) ? date : NULL);
	}
	append_member(text, ",\"productionSite\":\"", request->production_site);
	if (shipment) {
		append_member(text, ",\"postalCode\":\"", request->postal_code);
		append_member(text, ",\"countryCode\":\"", request->country_code);
	}
	text_append(text, "}", 1);
}

void track_request_path(struct text *text, const struct track_request *request)
{
	text_append_string(text, "/issuers/");
	text_append_string(text, request->issuer_id);
	text_append_string(text, "/physicalCards/");
	text_append_string(text, request->card_id);
	text_append_string(text, "/track");
}

bool track_looks_like_pan(const char *card_id)
{
	size_t length;
	int sum = 0;

	if (!consists_of(card_id, LEAST_PAN, MOST_PAN, is_digit))
		return false;
	length = strlen(card_id);
	/* Luhn: from the right, every second digit counts twice, and its digits are added up. */
	for (size_t i = 0; i < length; i++) {
		int digit = card_id[length - 1 - i] - '0';

		sum += i % 2 == 0 ? digit : digit < 5 ? 2 * digit : 2 * digit - 9;
	}
	return sum % 10 == 0;
}
