/*
 * spool_inside: what the parts of spool share: spool_start.c gets hold of a file, spool.c copies it and lets it go. Included by these
 * alone.
 */
#pragma once

#include "base/file.h"
#include "intake/spool.h"

#include <sys/stat.h>

struct evp_md_ctx_st; /* OpenSSL's EVP_MD_CTX */

enum { SPOOL_CHUNK = 128 * 1024 };

struct spool {
	char *name, *taken_name, *copy_path;
	bool left_over;
	int64_t min_free, most_bytes;
	int directory, original, copy;
	bool taken;            /* it bears taken_name in the directory, and may be renamed and removed */
	bool cloned;           /* the copy shares the original's blocks and only needs to be hashed */
	struct stat reference; /* of the original, after it was renamed: a rename changes the ctime */
	struct evp_md_ctx_st *digest;
	char *buffer;
	struct spool_file file;
};

/* Each sets err to a text that begins with the file's name, and gives step back. */
enum spool_step spool_because(const struct spool *spool, enum spool_step step, struct error *err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
enum spool_step spool_with_errno(const struct spool *spool, enum spool_step step, int errnum, const char *what, struct error *err);

/* spool_hash_begin makes the digest. */
bool spool_hash_begin(struct spool *spool, struct error *err);

/* spool_clone makes the copy share the original's blocks where the file system can. */
bool spool_clone(const struct spool *spool);

/* spool_has_room tells whether min_free would stay free beside bytes more. */
enum spool_step spool_has_room(const struct spool *spool, int64_t bytes, struct error *err);

bool spool_same_inode(const struct stat *a, const struct stat *b);

/* spool_rename is rename within the directory to a name that must be free; -1 with errno. */
int spool_rename(const struct spool *spool, const char *from, const char *to);
