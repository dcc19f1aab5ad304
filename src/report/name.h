/*
 * name: what the files are called that trackbridge makes for a manifest. The manifest's name is other people's bytes: control and non-UTF-8
 * bytes come out as \xNN, and no name is longer than a file system takes. Pure. The caller frees what it gets.
 */
#pragma once

#include <stdint.h>

enum {
	NAME_MOST = 255,      /* bytes that a file system takes */
	NAME_MOST_STEM = 200, /* of a name that would not fit otherwise */
};

/* name_of_sheet gives "<stem>.<manifest>.<kind>.csv". */
char *name_of_sheet(const char *name, int64_t manifest, const char *kind);

/* name_of_archived gives "<manifest>-<name>"; a name that does not fit keeps its extension. */
char *name_of_archived(const char *name, int64_t manifest);

/* name_of_day gives "YYYY/MM/DD" (UTC) of ms since 1970. */
char *name_of_day(int64_t unix_ms);
