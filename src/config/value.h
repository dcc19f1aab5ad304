/*
 * value: reads single values: each function is a mapping_take (mapping.h) whose target has the type named with it. Bounds are the key's.
 */
#pragma once

#include "config/mapping.h"

#include <stdbool.h>
#include <stdint.h>

enum { VALUE_MOST_TEXT = 1024 };

mapping_take value_text;     /* const char *: not empty, no control characters, at most VALUE_MOST_TEXT bytes */
mapping_take value_name;     /* const char *: what value_is_name accepts */
mapping_take value_integer;  /* int */
mapping_take value_number;   /* double */
mapping_take value_bool;     /* bool */
mapping_take value_duration; /* int64_t, milliseconds */
mapping_take value_size;     /* int64_t, bytes */
mapping_take value_word;     /* an enum: the number of the key's word */
mapping_take value_switch;   /* bool: whether the word's number is not 0 */

/* value_string gives the text of a scalar; where may_be_empty, "" in quotes is one. A key without a value is none (nor are ~ and null). */
bool value_string(const struct mapping_place *place, const struct yaml_node *node, bool may_be_empty, const char **ret_text);

/* value_is_name tells whether text can name an endpoint or a source: 1 to 64 of A-Z a-z 0-9 _ . - */
bool value_is_name(const char *text);

/* value_is_control_free tells whether text has no ASCII control characters. */
bool value_is_control_free(const char *text);
