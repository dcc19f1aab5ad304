#include "config/yaml.h"

#include "base/file.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* A list or mapping that is still open. */
struct level {
	struct yaml_node *node;
	struct yaml_node *last;
	struct yaml_node *key; /* of a mapping: read, and waiting for its value */
};

struct builder {
	const char *file;
	struct arena *arena;
	struct error *err;
	struct level levels[YAML_MOST_DEPTH];
	size_t depth;
	struct yaml_node *root;
	int documents;
};

static bool fail_at(struct builder *builder, const yaml_mark_t *mark, const char *format, ...) __attribute__((format(printf, 3, 4)));

static bool fail_at(struct builder *builder, const yaml_mark_t *mark, const char *format, ...)
{
	char what[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	return error_set(builder->err, ERROR_CONFIG, "%s:%zu:%zu: %s", builder->file, mark->line + 1, mark->column + 1, what);
}

static struct yaml_node *new_node(struct builder *builder, enum yaml_kind kind, const yaml_mark_t *mark)
{
	struct yaml_node *node = arena_alloc(builder->arena, 1, sizeof(*node));

	node->kind = kind;
	node->line = (int)mark->line + 1;
	node->column = (int)mark->column + 1;
	return node;
}

static bool repeated(struct builder *builder, const struct yaml_node *earlier, const struct yaml_node *key, const yaml_mark_t *mark)
{
	scoped_text struct text shown = { 0 };

	text_escape(&shown, key->text, strnlen(key->text, 64));
	return fail_at(builder, mark, "key '%s' is repeated; it stands in line %d already", shown.data, earlier->line);
}

/* Puts a node where it belongs: into the innermost open list or mapping, as a key or a value. */
static bool place(struct builder *builder, struct yaml_node *node, const yaml_mark_t *mark)
{
	struct level *level;

	if (builder->depth == 0) {
		builder->root = node;
		return true;
	}
	level = &builder->levels[builder->depth - 1];
	if (level->node->kind == YAML_KIND_MAPPING && !level->key) {
		if (node->kind != YAML_KIND_SCALAR)
			return fail_at(builder, mark, "a key must be a single word, not a list or mapping");
		for (const struct yaml_node *entry = level->node->first; entry; entry = entry->next) {
			if (strcmp(entry->key->text, node->text) == 0)
				return repeated(builder, entry->key, node, mark);
		}
		level->key = node;
		return true;
	}
	if (level->node->n == YAML_MOST_ENTRIES)
		return fail_at(builder, mark, "more than %d entries", YAML_MOST_ENTRIES);
	node->key = level->key;
	level->key = NULL;
	if (level->last)
		level->last->next = node;
	else
		level->node->first = node;
	level->last = node;
	level->node->n++;
	return true;
}

static bool take_scalar(struct builder *builder, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	struct yaml_node *node;

	if (strlen(text) != event->data.scalar.length)
		return fail_at(builder, &event->start_mark, "a NUL byte has no place here");
	/* The text is not repeated: it may be a private key, and errors are logged. */
	if (strstr(text, "-----BEGIN"))
		return fail_at(
			builder, &event->start_mark,
			"this looks like a PEM block; keys and certificates are never values: give the path of a file that holds it");
	node = new_node(builder, YAML_KIND_SCALAR, &event->start_mark);
	node->text = arena_string(builder->arena, text);
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return place(builder, node, &event->start_mark);
}

static bool open_level(struct builder *builder, const yaml_event_t *event, enum yaml_kind kind)
{
	struct yaml_node *node = new_node(builder, kind, &event->start_mark);

	if (!place(builder, node, &event->start_mark))
		return false;
	if (builder->depth == YAML_MOST_DEPTH)
		return fail_at(builder, &event->start_mark, "nested deeper than %d levels", YAML_MOST_DEPTH);
	builder->levels[builder->depth++] = (struct level){ .node = node };
	return true;
}

static bool no_extras(struct builder *builder, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return fail_at(builder, &event->start_mark,
			       "anchors (&) and aliases (*) have no place here; quote the text if it is meant as such");
	if (tag)
		return fail_at(builder, &event->start_mark, "tags (!) have no place here; quote the text if it is meant as such");
	return true;
}

static bool take_event(struct builder *builder, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (builder->documents++)
			return fail_at(builder, &event->start_mark, "a second document has no place here");
		return true;
	case YAML_ALIAS_EVENT: return no_extras(builder, event, event->data.alias.anchor, NULL);
	case YAML_SCALAR_EVENT:
		return no_extras(builder, event, event->data.scalar.anchor, event->data.scalar.tag) && take_scalar(builder, event);
	case YAML_SEQUENCE_START_EVENT:
		return no_extras(builder, event, event->data.sequence_start.anchor, event->data.sequence_start.tag) &&
		       open_level(builder, event, YAML_KIND_LIST);
	case YAML_MAPPING_START_EVENT:
		return no_extras(builder, event, event->data.mapping_start.anchor, event->data.mapping_start.tag) &&
		       open_level(builder, event, YAML_KIND_MAPPING);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT: builder->depth--; return true;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT: break;
	}
	return true;
}

/* libyaml's own complaint. Its texts are fixed words and repeat nothing of the file. */
static bool fail_parser(struct builder *builder, const yaml_parser_t *parser, const char *bytes)
{
	yaml_mark_t mark = parser->problem_mark;

	if (parser->error == YAML_MEMORY_ERROR)
		abort();
	if (parser->error == YAML_READER_ERROR) {
		mark = (yaml_mark_t){ 0 };
		for (size_t i = 0; i < parser->problem_offset; i++) {
			mark.column = bytes[i] == '\n' ? 0 : mark.column + 1;
			mark.line += bytes[i] == '\n';
		}
	}
	if (parser->context)
		return fail_at(builder, &mark, "not valid YAML: %s (%s that begins in line %zu)", parser->problem, parser->context,
			       parser->context_mark.line + 1);
	return fail_at(builder, &mark, "not valid YAML: %s", parser->problem);
}

bool yaml_tree_read(const char *file, const char *bytes, size_t length, struct arena *arena, const struct yaml_node **ret_root,
		    struct error *err)
{
	struct builder builder = { .file = file, .arena = arena, .err = err };
	yaml_parser_t parser;
	bool good = true, ended = false;

	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, length);
	while (good && !ended) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			good = fail_parser(&builder, &parser, bytes);
			break;
		}
		good = take_event(&builder, &event);
		ended = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (!good)
		return false;
	if (!builder.root)
		return error_set(err, ERROR_CONFIG, "%s:1:1: the file has no content", file);
	*ret_root = builder.root;
	return true;
}

const struct yaml_node *yaml_tree_entry(const struct yaml_node *node, const char *key)
{
	if (node->kind != YAML_KIND_MAPPING)
		return NULL;
	for (const struct yaml_node *entry = node->first; entry; entry = entry->next) {
		if (strcmp(entry->key->text, key) == 0)
			return entry;
	}
	return NULL;
}

const struct yaml_node *yaml_tree_nearest(const struct yaml_node *node, const char *path)
{
	while (*path) {
		size_t length = strcspn(path, ".");
		scoped_free char *key = xstrndup(path, length);
		const struct yaml_node *entry = yaml_tree_entry(node, key);

		if (!entry)
			return node;
		node = entry;
		path += length + (path[length] == '.');
	}
	return node;
}

const struct yaml_node *yaml_tree_element(const struct yaml_node *list, size_t index)
{
	const struct yaml_node *entry = list->first;

	while (index--)
		entry = entry->next;
	return entry;
}
