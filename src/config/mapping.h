/*
 * mapping: reads a YAML mapping into a struct by a table of its keys. One table is the one place where a mapping's keys, types, defaults
 * and bounds stand, written as a user would write them. Unknown and missing keys are found here; values are read by the table's functions
 * (value.h, path.h and those of endpoint.c, source.c and field.c). All errors are ERROR_CONFIG and begin with FILE:LINE:COLUMN.
 */
#pragma once

#include "base/error.h"
#include "config/arena.h"
#include "config/yaml.h"

#include <stdbool.h>
#include <stddef.h>

enum { MAPPING_MOST_PATH = 64 };

/* What all reading shares. */
struct mapping_reader {
	const char *file;    /* as it was given; for messages */
	const char *folder;  /* absolute; relative paths start here */
	struct arena *arena; /* owns whatever the configuration points to */
	struct error *err;
};

/* What is being read, for messages: "'retry.first' of endpoint 'bankfr'". */
struct mapping_place {
	struct mapping_reader *reader;
	const char *item; /* "endpoint 'bankfr'", or NULL outside of the lists */
	char path[MAPPING_MOST_PATH];
};

struct mapping_key;

/* mapping_take reads one value into target, which is the struct's address plus the key's offset. */
typedef bool mapping_take(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target);

struct mapping_word {
	const char *name;
	int number;
};

/* One key. Tables end with a key without a name, and so do words. */
struct mapping_key {
	const char *name;
	mapping_take *take;
	size_t offset;
	const char *preset;               /* the default, as text; NULL: none */
	const char *least, *most;         /* bounds of numbers, durations and sizes, as text */
	bool required;                    /* with mapping_section: its required keys make it so */
	const struct mapping_word *words; /* of value_word */
	const struct mapping_key *keys;   /* of mapping_section */
};

/* mapping_read reads a mapping into base: each key in the file's order, then what is missing is an error or gets its default. */
bool mapping_read(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *keys, void *base);

/* mapping_section is the mapping_take of a mapping inside a mapping; its keys' offsets count from its own target. */
mapping_take mapping_section;

/* mapping_list checks that the node is a list of 1 to most elements. */
bool mapping_list(const struct mapping_place *place, const struct yaml_node *node, size_t most);

/* mapping_inner gives the place of a key inside a place. */
struct mapping_place mapping_inner(const struct mapping_place *parent, const char *key);

/* mapping_item gives "KIND 'NAME'" where the node has a fit name, else "KIND INDEX" (from 1). */
const char *mapping_item(struct mapping_reader *reader, const struct yaml_node *node, const char *kind, size_t index);

/* mapping_fail says what is wrong at a node, mapping_fault what is wrong with the value of the place. Both return false. */
bool mapping_fail(const struct mapping_reader *reader, const struct yaml_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool mapping_fault(const struct mapping_place *place, const struct yaml_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* mapping_shown gives a text as messages show it: escaped, and cut to 64 bytes. */
const char *mapping_shown(struct mapping_reader *reader, const char *text);
