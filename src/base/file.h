/*
 * file: the durable half of the file system. What is written here is complete or absent, never half there.
 * Paths come from our configuration; names in drop directories are other people's and are handled in intake/ on descriptors.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

/* A descriptor or a block of memory that goes with its scope. Descriptors start as -1, pointers as NULL. */
#define scoped_close __attribute__((cleanup(cleanup_close)))
#define scoped_free __attribute__((cleanup(cleanup_free)))
#define scoped_text __attribute__((cleanup(text_free)))

/* file_read appends the whole file to ret_text; one larger than most bytes is an error (ERROR_DATA), not a truncation. */
bool file_read(const char *path, size_t most, struct text *ret_text, struct error *err);

/* file_write_all writes every byte or fails with errno set. */
bool file_write_all(int fd, const char *bytes, size_t length);

/* file_sync_directory makes the names in a directory durable. */
bool file_sync_directory(const char *path, struct error *err);

/* file_make_directories is mkdir -p with mode for what is missing; each new name is synced in its parent. */
bool file_make_directories(const char *path, mode_t mode, struct error *err);

/* file_join gives "directory/name"; the caller frees it. */
char *file_join(const char *directory, const char *name);
