#include "config/value.h"

#include "base/file.h"
#include "base/text.h"
#include "config/scalar.h"

#include <string.h>

bool value_is_name(const char *text)
{
	size_t length = strlen(text);

	return length >= 1 && length <= 64 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == length;
}

bool value_is_control_free(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	}
	return true;
}

static bool is_nothing(const struct yaml_node *node)
{
	static const char *const nothing[] = { "", "~", "null", "Null", "NULL" };

	for (size_t i = 0; node->plain && i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		if (strcmp(node->text, nothing[i]) == 0)
			return true;
	}
	return false;
}

bool value_string(const struct mapping_place *place, const struct yaml_node *node, bool may_be_empty, const char **ret_text)
{
	if (node->kind != YAML_KIND_SCALAR)
		return mapping_fault(place, node, "must be a single value, not a %s", node->kind == YAML_KIND_LIST ? "list" : "mapping");
	if (is_nothing(node))
		return mapping_fault(place, node, "has no value");
	if (!may_be_empty && !node->text[0])
		return mapping_fault(place, node, "must not be empty");
	if (strlen(node->text) > VALUE_MOST_TEXT)
		return mapping_fault(place, node, "is longer than %d bytes", VALUE_MOST_TEXT);
	*ret_text = node->text;
	return true;
}

bool value_text(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	(void)key;
	if (!value_string(place, node, false, &text))
		return false;
	if (!value_is_control_free(text))
		return mapping_fault(place, node, "must not have control characters");
	*(const char **)target = arena_string(place->reader->arena, text);
	return true;
}

bool value_name(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	(void)key;
	if (!value_string(place, node, false, &text))
		return false;
	if (!value_is_name(text))
		return mapping_fault(place, node, "must be 1 to 64 letters, digits, '_', '.' or '-', not '%s'",
				     mapping_shown(place->reader, text));
	*(const char **)target = arena_string(place->reader->arena, text);
	return true;
}

/* A number in some notation that must lie within the key's bounds, which are written in the same notation. */
static bool bounded(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key,
		    bool (*parse)(const char *, int64_t *), const char *what, int64_t *ret_number)
{
	const char *text;
	int64_t number, least = 0, most = 0;

	if (!value_string(place, node, false, &text))
		return false;
	if (!parse(text, &number))
		return mapping_fault(place, node, "must be %s, not '%s'", what, mapping_shown(place->reader, text));
	parse(key->least, &least);
	parse(key->most, &most);
	if (number < least || number > most)
		return mapping_fault(place, node, "must be %s to %s, not %s", key->least, key->most, mapping_shown(place->reader, text));
	*ret_number = number;
	return true;
}

/* Numbers, true and false are not written in quotes: "8" is a text, and whoever writes it may mean one. */
static bool is_unquoted(const struct mapping_place *place, const struct yaml_node *node, const char *what)
{
	if (node->kind == YAML_KIND_SCALAR && !node->plain)
		return mapping_fault(place, node, "must be %s without quotes", what);
	return true;
}

bool value_integer(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	int64_t number;

	if (!is_unquoted(place, node, "a whole number") || !bounded(place, node, key, scalar_integer, "a whole number", &number))
		return false;
	*(int *)target = (int)number;
	return true;
}

bool value_number(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;
	double number, least = 0, most = 0;

	if (!is_unquoted(place, node, "a number") || !value_string(place, node, false, &text))
		return false;
	if (!scalar_number(text, &number))
		return mapping_fault(place, node, "must be a number, not '%s'", mapping_shown(place->reader, text));
	scalar_number(key->least, &least);
	scalar_number(key->most, &most);
	if (number < least || number > most)
		return mapping_fault(place, node, "must be %s to %s, not %s", key->least, key->most, mapping_shown(place->reader, text));
	*(double *)target = number;
	return true;
}

bool value_bool(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	(void)key;
	if (!is_unquoted(place, node, "true or false") || !value_string(place, node, false, &text))
		return false;
	if (!scalar_bool(text, target))
		return mapping_fault(place, node, "must be true or false, not '%s'", mapping_shown(place->reader, text));
	return true;
}

bool value_duration(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	return bounded(place, node, key, scalar_duration, "a duration like 500ms, 30s, 15m, 72h or 400d", target);
}

bool value_size(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	return bounded(place, node, key, scalar_size, "a size like 64KiB, 256MiB or 1GiB", target);
}

static bool find_word(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, int *ret_number)
{
	scoped_text struct text all = { 0 };
	const char *text;

	if (!value_string(place, node, false, &text))
		return false;
	for (const struct mapping_word *word = key->words; word->name; word++) {
		if (strcmp(word->name, text) == 0) {
			*ret_number = word->number;
			return true;
		}
		text_printf(&all, "%s%s", all.length == 0 ? "" : word[1].name ? ", " : " or ", word->name);
	}
	return mapping_fault(place, node, "must be %s, not '%s'", all.data, mapping_shown(place->reader, text));
}

bool value_word(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	int number;

	if (!find_word(place, node, key, &number))
		return false;
	*(unsigned int *)target = (unsigned int)number;
	return true;
}

bool value_switch(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	int number;

	if (!find_word(place, node, key, &number))
		return false;
	*(bool *)target = number != 0;
	return true;
}
