#include "intake/fields.h"

#include "intake/cell.h"
#include "intake/columns.h"
#include "intake/date.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_KEPT = 256 }; /* bytes of a value that D1 would not take, for the receipt */

/* One field of the mapping, ready for use. */
struct field {
	enum track_field id;
	const struct config_field *config;
	size_t index;           /* of its cell, where it has a column */
	char *column;           /* as reasons name it */
	struct config_map *map; /* sorted by from */
	struct text value;      /* in the present row */
};

struct fields {
	const struct config_source *source;
	struct columns *columns;
	struct field fields[TRACK_N_FIELDS];
	size_t *identity; /* indexes of cells */
	struct fields_row row;
	struct text scratch;
	bool skipped;
};

/* What a field has come to in a row. */
enum outcome {
	OUTCOME_VALUE,
	OUTCOME_EMPTY,
	OUTCOME_SKIP,
	OUTCOME_FAULT,   /* the row is rejected for it */
	OUTCOME_UNKNOWN, /* the row is rejected already, and its cell is not there or not readable */
};

static int by_from(const void *a, const void *b)
{
	const struct config_map *one = a, *other = b;

	return strcmp(one->from, other->from);
}

static bool open_field(struct fields *fields, enum track_field id, struct error *err)
{
	const struct config_field *config = &fields->source->fields[id];
	struct field *field = &fields->fields[id];

	field->id = id;
	field->config = config;
	if (config->n_map) {
		field->map = xrealloc_array(NULL, config->n_map, sizeof(*field->map));
		memcpy(field->map, config->map, config->n_map * sizeof(*field->map));
		qsort(field->map, config->n_map, sizeof(*field->map), by_from);
	}
	if (!config->present || config->value) {
		field->column = xstrdup(track_field_name(id));
		return true;
	}
	if (!columns_find(fields->columns, config->column, config->column_number, &field->index, err))
		return false;
	field->column = xstrdup(columns_name(fields->columns, field->index));
	return true;
}

static bool open_identity(struct fields *fields, struct error *err)
{
	const struct config_source *source = fields->source;

	fields->identity = xcalloc(source->n_identity, sizeof(*fields->identity));
	for (size_t i = 0; i < source->n_identity; i++) {
		if (!columns_find(fields->columns, source->identity[i].name, source->identity[i].number, &fields->identity[i], err))
			return false;
	}
	return true;
}

bool fields_open(const struct config_source *source, const struct csv_record *header, struct fields **ret_fields, struct error *err)
{
	struct fields *fields = xcalloc(1, sizeof(*fields));
	bool opened;

	fields->source = source;
	opened = columns_open(header, &fields->columns, err);
	for (enum track_field id = 0; opened && id < TRACK_N_FIELDS; id++)
		opened = open_field(fields, id, err);
	if (!opened || !open_identity(fields, err)) {
		fields_close(fields);
		return false;
	}
	*ret_fields = fields;
	return true;
}

void fields_close(struct fields *fields)
{
	if (!fields)
		return;
	for (size_t i = 0; i < TRACK_N_FIELDS; i++) {
		free(fields->fields[i].column);
		free(fields->fields[i].map);
		text_free(&fields->fields[i].value);
	}
	columns_close(fields->columns);
	free(fields->identity);
	text_free(&fields->row.reason);
	text_free(&fields->row.identity);
	text_free(&fields->scratch);
	free(fields);
}

/* The first reason stands; later ones are consequences more often than not. */
static enum outcome reject(struct fields *fields, const char *column, const char *reason)
{
	if (fields->row.result != FIELDS_REJECTED) {
		fields->row.result = FIELDS_REJECTED;
		fields->row.column = column;
		text_append_string(&fields->row.reason, reason);
	}
	return OUTCOME_FAULT;
}

/* Card ids are left out of reasons: those end up in logs. */
static enum outcome reject_value(struct fields *fields, const struct field *field, const char *words)
{
	struct text *reason = &fields->scratch;

	text_clear(reason);
	if (field->id != TRACK_CARD_ID) {
		cell_quote(reason, field->value.data);
		text_append_string(reason, " ");
	}
	text_append_string(reason, words);
	return reject(fields, field->column, reason->data);
}

static void set_value(struct field *field, struct span value)
{
	text_clear(&field->value);
	text_append(&field->value, value.data, value.length);
}

static void change_case(struct text *value, enum config_case letter_case)
{
	char first = letter_case == CONFIG_CASE_UPPER ? 'a' : 'A';

	for (size_t i = 0; letter_case != CONFIG_CASE_KEEP && i < value->length; i++) {
		if (value->data[i] >= first && value->data[i] <= first + 25)
			value->data[i] ^= 'a' ^ 'A';
	}
}

static enum outcome not_in_map(struct fields *fields, const struct field *field)
{
	const struct config_field *config = field->config;
	char words[64];

	/* An empty cell lacks a value rather than having a wrong one; whether that is a fault is seen later. */
	if (field->value.length == 0 && (config->default_value || config->otherwise != CONFIG_OTHERWISE_SKIP))
		return OUTCOME_VALUE;
	switch (config->otherwise) {
	case CONFIG_OTHERWISE_KEEP: return OUTCOME_VALUE;
	case CONFIG_OTHERWISE_SKIP: return OUTCOME_SKIP;
	case CONFIG_OTHERWISE_REJECT: break;
	}
	snprintf(words, sizeof(words), "is not in the map of %s", track_field_name(field->id));
	return reject_value(fields, field, words);
}

static enum outcome apply_map(struct fields *fields, struct field *field)
{
	struct config_map key = { .from = field->value.data };
	const struct config_map *line;

	if (!field->config->n_map)
		return OUTCOME_VALUE;
	line = bsearch(&key, field->map, field->config->n_map, sizeof(key), by_from);
	if (!line)
		return not_in_map(fields, field);
	if (!line->to)
		return OUTCOME_SKIP;
	set_value(field, (struct span){ line->to, strlen(line->to) });
	return OUTCOME_VALUE;
}

/* Trim, case, map, default. */
static enum outcome take_value(struct fields *fields, struct field *field, const struct csv_record *record)
{
	const struct config_field *config = field->config;
	struct span cell = { "", 0 };
	enum outcome outcome;

	if (config->value)
		cell = (struct span){ config->value, strlen(config->value) };
	else if (config->present && (field->index >= record->n_cells || (record->spoiled && field->index == record->spoiled_cell)))
		return OUTCOME_UNKNOWN;
	else if (config->present)
		cell = record->cells[field->index];
	set_value(field, cell_trim(cell));
	change_case(&field->value, config->letter_case);
	outcome = apply_map(fields, field);
	if (outcome != OUTCOME_VALUE)
		return outcome;
	if (field->value.length == 0 && config->default_value)
		set_value(field, (struct span){ config->default_value, strlen(config->default_value) });
	return field->value.length ? OUTCOME_VALUE : OUTCOME_EMPTY;
}

static void take_empty(struct fields *fields, const struct field *field)
{
	const struct config_field *config = field->config;

	if (field->id == TRACK_PRODUCTION_SITE && (config->value || config->default_value))
		fields->row.request.production_site = field->value.data;
	else if (!config->present && field->id != TRACK_POSTAL_CODE && field->id != TRACK_COUNTRY_CODE)
		reject(fields, field->column, "is needed, and the source has no such field");
	else if (field->id != TRACK_POSTAL_CODE && field->id != TRACK_COUNTRY_CODE)
		reject(fields, field->column, "is empty");
}

static void put(struct track_request *request, const struct field *field)
{
	const char *value = field->value.data;

	switch (field->id) {
	case TRACK_ISSUER_ID: request->issuer_id = value; break;
	case TRACK_CARD_ID: request->card_id = value; break;
	case TRACK_PRODUCTION_SITE: request->production_site = value; break;
	case TRACK_TRACKING_NUMBER: request->tracking_number = value; break;
	case TRACK_POSTAL_CODE: request->postal_code = value; break;
	case TRACK_COUNTRY_CODE: request->country_code = value; break;
	case TRACK_TYPE: track_type_parse(value, &request->type); break;
	case TRACK_SHIPMENT_DATE: /* a number, which its reader has put already */
	case TRACK_N_FIELDS: break;
	}
}

static void check_value(struct fields *fields, const struct field *field)
{
	const struct config_field *config = field->config;
	const char *fault;

	if (field->id == TRACK_SHIPMENT_DATE) {
		text_clear(&fields->scratch);
		if (!date_parse(field->value.data, config->date_format, config->timezone, config->default_time_s,
				&fields->row.request.shipment_date, &fields->scratch))
			reject(fields, field->column, fields->scratch.data);
		return;
	}
	fault = track_check_field(field->id, field->value.data);
	if (fault)
		reject_value(fields, field, fault);
	if (!fault || field->value.length <= MOST_KEPT)
		put(&fields->row.request, field);
}

static void read_field(struct fields *fields, struct field *field, const struct csv_record *record)
{
	switch (take_value(fields, field, record)) {
	case OUTCOME_VALUE: check_value(fields, field); break;
	case OUTCOME_EMPTY: take_empty(fields, field); break;
	case OUTCOME_SKIP: fields->skipped = true; break;
	case OUTCOME_FAULT:
	case OUTCOME_UNKNOWN: break;
	}
}

static void read_type(struct fields *fields, const struct csv_record *record)
{
	struct track_request *request = &fields->row.request;

	read_field(fields, &fields->fields[TRACK_TYPE], record);
	if (request->type == TRACK_SHIPMENT && fields->source->shipment_without_number_is_production &&
	    take_value(fields, &fields->fields[TRACK_TRACKING_NUMBER], record) == OUTCOME_EMPTY)
		request->type = TRACK_PRODUCTION;
}

/* Each cell with its length before it, so that no two rows of cells look the same. */
static void write_identity(struct fields *fields, const struct csv_record *record)
{
	struct text *identity = &fields->row.identity;
	bool empty = true;

	for (size_t i = 0; i < fields->source->n_identity; i++) {
		struct span cell = cell_trim(record->cells[fields->identity[i]]);
		const char length[] = { (char)(cell.length >> 16), (char)(cell.length >> 8), (char)cell.length };

		text_append(identity, length, sizeof(length));
		text_append(identity, cell.data, cell.length);
		empty = empty && cell.length == 0;
	}
	if (empty)
		text_clear(identity);
}

static bool is_whole(struct fields *fields, const struct csv_record *record)
{
	if (record->spoiled) {
		reject(fields, columns_name(fields->columns, record->spoiled_cell), record->spoiled);
		return false;
	}
	text_clear(&fields->scratch);
	if (columns_fit(fields->columns, record, &fields->scratch))
		return true;
	reject(fields, "", fields->scratch.data);
	return false;
}

const struct fields_row *fields_read(struct fields *fields, const struct csv_record *record)
{
	struct fields_row *row = &fields->row;
	enum track_type type;
	bool whole;

	row->result = FIELDS_REQUEST;
	row->request = (struct track_request){ 0 };
	row->column = "";
	text_clear(&row->reason);
	text_clear(&row->identity);
	fields->skipped = false;
	whole = is_whole(fields, record);
	read_type(fields, record);
	/* Of an unknown type, what every type takes is read, for whoever asks about the card. */
	type = row->request.type ? row->request.type : TRACK_PRODUCTION;
	for (enum track_field id = 0; id < TRACK_N_FIELDS; id++) {
		if (id != TRACK_TYPE && track_type_takes(type, id))
			read_field(fields, &fields->fields[id], record);
	}
	if (!whole)
		return row;
	write_identity(fields, record);
	if (fields->skipped) {
		row->result = FIELDS_SKIPPED;
		row->column = "";
		text_clear(&row->reason);
	}
	return row;
}
