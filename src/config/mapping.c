#include "config/mapping.h"

#include "base/file.h"
#include "base/text.h"
#include "config/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_KEYS = 32, MOST_SHOWN = 64, MOST_MESSAGE = 800 };

static bool fail(const struct mapping_reader *reader, const struct yaml_node *node, const char *what)
{
	return error_set(reader->err, ERROR_CONFIG, "%s:%d:%d: %s", reader->file, node->line, node->column, what);
}

bool mapping_fail(const struct mapping_reader *reader, const struct yaml_node *node, const char *format, ...)
{
	char what[MOST_MESSAGE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	return fail(reader, node, what);
}

bool mapping_fault(const struct mapping_place *place, const struct yaml_node *node, const char *format, ...)
{
	char what[MOST_MESSAGE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (place->item && place->path[0])
		return mapping_fail(place->reader, node, "'%s' of %s %s", place->path, place->item, what);
	if (place->item)
		return mapping_fail(place->reader, node, "%s %s", place->item, what);
	if (place->path[0])
		return mapping_fail(place->reader, node, "'%s' %s", place->path, what);
	return mapping_fail(place->reader, node, "the file %s", what);
}

const char *mapping_shown(struct mapping_reader *reader, const char *text)
{
	scoped_text struct text shown = { 0 };
	size_t length = strlen(text);

	if (length > MOST_SHOWN) {
		length = MOST_SHOWN;
		while (((unsigned char)text[length] & 0xc0) == 0x80)
			length--;
	}
	text_escape(&shown, text, length);
	if (text[length])
		text_append_string(&shown, "…");
	return arena_string(reader->arena, shown.data);
}

struct mapping_place mapping_inner(const struct mapping_place *parent, const char *key)
{
	struct mapping_place place = { .reader = parent->reader, .item = parent->item };

	snprintf(place.path, sizeof(place.path), "%s%s%s", parent->path, parent->path[0] ? "." : "", key);
	return place;
}

static bool unknown_key(const struct mapping_place *parent, const struct yaml_node *key, const struct mapping_key *keys)
{
	const char *names[MOST_KEYS], *nearest;
	const char *dot = parent->path[0] ? "." : "";
	const char *in = parent->item ? " in " : "", *item = parent->item ? parent->item : "";
	const char *shown = mapping_shown(parent->reader, key->text);
	size_t n = 0;

	for (; keys[n].name; n++)
		names[n] = keys[n].name;
	nearest = text_nearest(key->text, names, n);
	if (!nearest)
		return mapping_fail(parent->reader, key, "unknown key '%s%s%s'%s%s", parent->path, dot, shown, in, item);
	return mapping_fail(parent->reader, key, "unknown key '%s%s%s'%s%s; did you mean '%s%s%s'?", parent->path, dot, shown, in, item,
			    parent->path, dot, nearest);
}

static const struct mapping_key *key_named(const struct mapping_key *keys, const char *name)
{
	for (; keys->name; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

/* What becomes of a key that is not there. */
static bool take_absent(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct yaml_node stand_in = {
		.kind = YAML_KIND_SCALAR, .line = node->line, .column = node->column, .text = key->preset, .plain = true
	};

	if (key->required) {
		const char *owner = place->item ? place->item : "the file";

		return mapping_fail(place->reader, node, "%s has no '%s'", owner, place->path);
	}
	if (!key->keys && !key->preset)
		return true;
	if (key->keys)
		stand_in.kind = YAML_KIND_MAPPING;
	return key->take(place, &stand_in, key, target);
}

bool mapping_read(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *keys, void *base)
{
	if (node->kind != YAML_KIND_MAPPING)
		return mapping_fault(place, node, "must be a mapping (key: value)");
	for (const struct yaml_node *entry = node->first; entry; entry = entry->next) {
		const struct mapping_key *key = key_named(keys, entry->key->text);
		struct mapping_place inner;

		if (!key)
			return unknown_key(place, entry->key, keys);
		inner = mapping_inner(place, key->name);
		if (!key->take(&inner, entry, key, (char *)base + key->offset))
			return false;
	}
	for (const struct mapping_key *key = keys; key->name; key++) {
		struct mapping_place inner = mapping_inner(place, key->name);

		if (!yaml_tree_entry(node, key->name) && !take_absent(&inner, node, key, (char *)base + key->offset))
			return false;
	}
	return true;
}

bool mapping_section(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	return mapping_read(place, node, key->keys, target);
}

bool mapping_list(const struct mapping_place *place, const struct yaml_node *node, size_t most)
{
	if (node->kind != YAML_KIND_LIST)
		return mapping_fault(place, node, "must be a list");
	if (node->n == 0)
		return mapping_fault(place, node, "must not be empty");
	if (node->n > most)
		return mapping_fault(place, node, "has %zu entries; at most %zu are possible", node->n, most);
	return true;
}

const char *mapping_item(struct mapping_reader *reader, const struct yaml_node *node, const char *kind, size_t index)
{
	const struct yaml_node *name = yaml_tree_entry(node, "name");

	if (name && name->kind == YAML_KIND_SCALAR && value_is_name(name->text))
		return arena_printf(reader->arena, "%s '%s'", kind, name->text);
	return arena_printf(reader->arena, "%s %zu", kind, index + 1);
}
