#include "config/parts.h"
#include "config/scalar.h"
#include "config/value.h"

#include <string.h>

#define AT(member) offsetof(struct config_field, member)

enum { MOST_MAP = 4096 };

bool field_column(const struct mapping_place *place, const struct yaml_node *node, const char **ret_name, int *ret_number)
{
	const char *text;
	int64_t number;

	if (!value_string(place, node, false, &text))
		return false;
	if (!node->plain || strspn(text + (text[0] == '-'), "0123456789") != strlen(text + (text[0] == '-')) || strcmp(text, "-") == 0) {
		*ret_name = arena_string(place->reader->arena, text);
		return true;
	}
	if (!scalar_integer(text, &number) || number < 1 || number > FIELD_MOST_COLUMN)
		return mapping_fault(place, node, "must be a column's number from 1 to %d, not %s (in quotes it is a header name)",
				     FIELD_MOST_COLUMN, mapping_shown(place->reader, text));
	*ret_number = (int)number;
	return true;
}

static bool take_column(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct config_field *field = target;

	(void)key;
	return field_column(place, node, &field->column, &field->column_number);
}

static bool take_constant(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	(void)key;
	if (!value_string(place, node, true, &text))
		return false;
	*(const char **)target = arena_string(place->reader->arena, text);
	return true;
}

static bool take_map(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct config_field *field = target;
	struct config_map *map;
	size_t n = 0;

	(void)key;
	if (node->kind != YAML_KIND_MAPPING || node->n == 0)
		return mapping_fault(place, node, "must be a mapping of what the file says to what is sent");
	map = arena_alloc(place->reader->arena, node->n, sizeof(*map));
	for (const struct yaml_node *entry = node->first; entry; entry = entry->next, n++) {
		const char *to;

		if (strlen(entry->key->text) > VALUE_MOST_TEXT)
			return mapping_fault(place, entry->key, "has a line longer than %d bytes", VALUE_MOST_TEXT);
		if (!value_string(place, entry, true, &to))
			return false;
		map[n].from = arena_string(place->reader->arena, entry->key->text);
		map[n].to = strcmp(to, "skip") == 0 ? NULL : arena_string(place->reader->arena, to);
	}
	field->map = map;
	field->n_map = n;
	return true;
}

static const struct mapping_word case_words[] = { { "upper", CONFIG_CASE_UPPER }, { "lower", CONFIG_CASE_LOWER }, { 0 } };
static const struct mapping_word otherwise_words[] = {
	{ "reject", CONFIG_OTHERWISE_REJECT },
	{ "keep", CONFIG_OTHERWISE_KEEP },
	{ "skip", CONFIG_OTHERWISE_SKIP },
	{ 0 },
};

static const struct mapping_key field_keys[] = {
	{ .name = "column", .take = take_column },
	{ .name = "value", .take = take_constant, .offset = AT(value) },
	{ .name = "case", .take = value_word, .offset = AT(letter_case), .words = case_words },
	{ .name = "map", .take = take_map },
	{ .name = "otherwise", .take = value_word, .offset = AT(otherwise), .preset = "reject", .words = otherwise_words },
	{ .name = "default", .take = take_constant, .offset = AT(default_value) },
	{ .name = "format", .take = moment_format, .offset = AT(date_format) },
	{ .name = "timezone", .take = moment_timezone, .offset = AT(timezone) },
	{ .name = "time", .take = moment_time, .offset = AT(default_time_s) },
	{ 0 },
};

static bool is_date_key(const char *key)
{
	return strcmp(key, "format") == 0 || strcmp(key, "timezone") == 0 || strcmp(key, "time") == 0;
}

/* Keys that are known but have no meaning in this combination. */
static bool check_combination(const struct mapping_place *place, const struct yaml_node *node, enum track_field field)
{
	bool constant = yaml_tree_entry(node, "value") != NULL;

	for (const struct mapping_key *key = field_keys; key->name; key++) {
		const struct yaml_node *entry = yaml_tree_entry(node, key->name);
		struct mapping_place inner = mapping_inner(place, key->name);

		if (entry && field != TRACK_SHIPMENT_DATE && is_date_key(key->name))
			return mapping_fault(&inner, entry->key, "belongs to shipmentDate alone");
		if (entry && constant && strcmp(key->name, "value") != 0)
			return mapping_fault(&inner, entry->key, "has no meaning beside 'value'");
		if (entry && strcmp(key->name, "otherwise") == 0 && !yaml_tree_entry(node, "map"))
			return mapping_fault(&inner, entry->key, "has no meaning without 'map'");
	}
	if (!constant && !yaml_tree_entry(node, "column"))
		return mapping_fault(place, node, "has neither 'column' nor 'value'");
	return true;
}

static bool check_constant(const struct mapping_place *place, const char *key, const struct yaml_node *node, enum track_field field,
			   const char *constant)
{
	const char *must_be = track_check_field(field, constant);
	struct mapping_place inner = mapping_inner(place, key);

	if (must_be)
		return mapping_fault(&inner, node, "%s, not '%s'", must_be, mapping_shown(place->reader, constant));
	return true;
}

/* A target may be empty where that leaves something: the default, or a request without the optional field. */
static bool check_targets(const struct mapping_place *place, const struct yaml_node *node, enum track_field index,
			  const struct config_field *field)
{
	bool may_be_empty = field->default_value || index >= TRACK_TRACKING_NUMBER;

	for (size_t i = 0; i < field->n_map; i++) {
		const char *to = field->map[i].to;

		if (to && (to[0] || !may_be_empty) &&
		    !check_constant(place, "map", yaml_tree_element(yaml_tree_entry(node, "map"), i), index, to))
			return false;
	}
	return true;
}

/* What can never be a valid value is a mistake now, not in each row. A date's default and targets are still to be read by its format. */
static bool check_constants(const struct mapping_place *place, const struct yaml_node *node, enum track_field index,
			    const struct config_field *field)
{
	const struct yaml_node *preset = yaml_tree_entry(node, "default");

	if (field->value)
		return check_constant(place, "value", yaml_tree_entry(node, "value"), index, field->value);
	if (index == TRACK_SHIPMENT_DATE) {
		struct mapping_place inner = mapping_inner(place, "default");

		if (preset && !field->default_value[0])
			return mapping_fault(&inner, preset, "must not be empty");
		return true;
	}
	if (preset && !check_constant(place, "default", preset, index, field->default_value))
		return false;
	return check_targets(place, node, index, field);
}

bool field_take(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct config_field *field = target;
	enum track_field index = TRACK_N_FIELDS;

	track_field_parse(key->name, &index);
	field->present = true;
	if (node->kind == YAML_KIND_SCALAR)
		return take_column(place, node, NULL, field);
	if (node->kind == YAML_KIND_LIST)
		return mapping_fault(place, node, "must be a column or a mapping, not a list");
	return mapping_read(place, node, field_keys, field) && check_combination(place, node, index) &&
	       check_constants(place, node, index, field) && moment_can_be_read(place, node, field);
}
