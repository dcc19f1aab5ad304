/*
 * yaml: a YAML document as a small tree with line and column, read strictly: one document in UTF-8, no repeated key, no anchor, alias or
 * tag, and bounded in bytes, depth and entries. No scalar may hold a PEM block, since no secret is ever a value in the file. The only part
 * of the program that includes libyaml's header is yaml.c.
 */
#pragma once

#include "base/error.h"
#include "config/arena.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	YAML_MOST_BYTES = 1024 * 1024,
	YAML_MOST_DEPTH = 16,
	YAML_MOST_ENTRIES = 4096, /* of one list or mapping */
};

enum yaml_kind { YAML_KIND_SCALAR, YAML_KIND_LIST, YAML_KIND_MAPPING };

struct yaml_node {
	enum yaml_kind kind;
	int line, column; /* from 1; columns are characters */
	const char *text; /* a scalar's, without NUL bytes inside */
	bool plain;       /* a scalar without quotes */
	/* entries of a list or mapping, in the order of the file */
	struct yaml_node *first;
	size_t n;
	/* as an entry: */
	struct yaml_node *next;
	const struct yaml_node *key; /* NULL in a list */
};

/*
 * yaml_tree_read gives the root of the document in bytes; file is for messages only. Nodes live in the arena, whose owner frees them even
 * after a failure (ERROR_CONFIG, "FILE:LINE:COLUMN: …").
 */
bool yaml_tree_read(const char *file, const char *bytes, size_t length, struct arena *arena, const struct yaml_node **ret_root,
		    struct error *err);

/* yaml_tree_entry gives the value of a key, or NULL where there is no such key or the node is no mapping. */
const struct yaml_node *yaml_tree_entry(const struct yaml_node *node, const char *key);

/* yaml_tree_nearest follows the keys of a dotted path as far as they exist, to say where something is or would have been. */
const struct yaml_node *yaml_tree_nearest(const struct yaml_node *node, const char *path);

/* yaml_tree_element gives a list's element by its index, which must exist. */
const struct yaml_node *yaml_tree_element(const struct yaml_node *list, size_t index);
