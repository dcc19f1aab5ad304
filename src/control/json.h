/*
 * json: one line of the control socket as a struct, and back, both by one table of keys. Reading is strict, because an order that is
 * understood in part moves other rows than were meant: an unknown or repeated key, a wrong type, a number out of its range, a string
 * that is empty or too long or holds control characters is refused, naming the key. What is absent stays as it was, which is zero.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a line with its line feed. */
enum { CONTROL_MOST_LINE = 64 * 1024 };

/* Numbers are exact up to here in every JSON reader. */
#define CONTROL_MOST_NUMBER INT64_C(9007199254740991)

enum control_kind {
	CONTROL_FLAG,   /* bool */
	CONTROL_NUMBER, /* int64_t, least to most; 0 is not written unless required */
	CONTROL_STRING, /* char[size] */
	CONTROL_WORD,   /* int: an index into words; 0 stands for none */
	CONTROL_OTHER,  /* take and give */
};

struct control_key {
	const char *name;
	enum control_kind kind;
	bool required;
	size_t offset, size;
	int64_t least, most;
	const char *const *words;
	size_t n_words;
	bool (*take)(const cJSON *item, const struct control_key *key, void *target, struct error *err);
	void (*give)(cJSON *object, const struct control_key *key, const void *source);
};

/* control_json_read fills target, which the caller has set to zero; what was taken before a fault stays in it. ERROR_DATA. */
bool control_json_read(const char *line, size_t length, const struct control_key *keys, size_t n_keys, void *target, struct error *err);

/* control_json_take reads the members of one object; for the objects inside an order's lists. */
bool control_json_take(const cJSON *object, const struct control_key *keys, size_t n_keys, void *target, struct error *err);

/* control_json_number takes a whole number from key->least to key->most. */
bool control_json_number(const cJSON *item, const struct control_key *key, int64_t *ret_number, struct error *err);

/* control_json_write appends the object and a line feed. control_json_give adds the members to an object. */
void control_json_write(const struct control_key *keys, size_t n_keys, const void *source, struct text *text);
void control_json_give(cJSON *object, const struct control_key *keys, size_t n_keys, const void *source);

/* control_json_add_… add a member to an object, or one to the end of a list. */
cJSON *control_json_add_list(cJSON *object, const char *name);
cJSON *control_json_add_object(cJSON *list);
void control_json_add_number(cJSON *list, int64_t number);
void control_json_add_string(cJSON *object, const char *name, const char *string);
