/*
 * path: paths and secrets' paths as the configuration writes them. Paths become absolute, without '.', '..' or doubled slashes, by their
 * text alone; the file system is not asked.
 */
#pragma once

#include "config/mapping.h"

#include <stdbool.h>

mapping_take path_take;     /* const char *: a path */
mapping_take path_secret;   /* const char *: a path, or credential:NAME for $CREDENTIALS_DIRECTORY/NAME */
mapping_take path_sign_key; /* const char *: as path_secret, or a pkcs11: URI, which is kept as it is */

/* path_normal gives the absolute, shortest form of path, which is relative to the absolute folder unless it begins with a slash. */
char *path_normal(struct arena *arena, const char *folder, const char *path);

/* path_is_inside tells whether path is the folder or lies inside it; both in the form of path_normal. */
bool path_is_inside(const char *path, const char *folder);
