/*
 * parts: how the parts of the configuration are shared out among the files of this folder.
 */
#pragma once

#include "config/config.h"
#include "config/mapping.h"

mapping_take endpoint_list; /* struct config: endpoints */
mapping_take source_list;   /* struct config: sources */
mapping_take field_take;    /* struct config_field; the key's name is the field's */

enum { FIELD_MOST_COLUMN = 4096 };
#define FIELD_MOST_COLUMN_TEXT "4096"

/* field_column reads a header name, or a column's number from 1 where it stands without quotes. */
bool field_column(const struct mapping_place *place, const struct yaml_node *node, const char **ret_name, int *ret_number);

/* The keys of the date alone: a strptime(3) format (const char *), a time zone (const char *), a time of day (int, seconds). */
mapping_take moment_format;
mapping_take moment_timezone;
mapping_take moment_time;

/* moment_can_be_read tells whether a value can ever become a moment: from the format, or beside it, must come a zone and a time. */
bool moment_can_be_read(const struct mapping_place *place, const struct yaml_node *node, const struct config_field *field);

/* check_whole looks at what no part can see alone: names, issuers and directories that collide, time-outs that do not fit. */
bool check_whole(const struct mapping_reader *reader, const struct yaml_node *root, const struct config *config);
