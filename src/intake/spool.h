/*
 * spool: takes one complete file out of a drop directory without trusting whoever owns that directory. The steps, each safe to be
 * interrupted at: see that nobody of this machine is writing to it and that it fits, rename to .trackbridge-NAME (O_NOFOLLOW, fstat, the
 * same inode), copy into spool/ in slices with SHA-256 on the way, check that it did not change meanwhile, sync. Recording it is the
 * caller's; after that is durable, spool_finish removes the original. Memory is bounded; no slice blocks for long.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdint.h>

struct spool; /* one file being taken */

enum spool_step {
	SPOOL_MORE,    /* call again */
	SPOOL_COPIED,  /* complete, hashed and synced: record it */
	SPOOL_CHANGED, /* it changed, or was opened for writing, while it was copied: given its name back, to be looked at later */
	SPOOL_BUSY,    /* a process of this machine has it open for writing: left as it is, to be looked at later */
	SPOOL_UNFIT,   /* not a regular file, vanished, too large, or cannot be renamed: left alone until it changes */
	SPOOL_FULL,    /* there is no room for it now: left as it is, or given its name back */
	SPOOL_STUCK,   /* the drop directory's side says no for now (read-only, I/O): as SPOOL_FULL */
	SPOOL_FAILED,  /* our side says no for now: as SPOOL_FULL */
};

struct spool_wish {
	const char *directory;
	const char *name;       /* as it is recorded; what the file is called in the directory, unless it is a left-over */
	const char *taken_name; /* what it is called there while it is being taken */
	const char *copy;       /* path to copy to, until spool_move */
	bool left_over;         /* it bears its taken name since a crash */
	int64_t min_free;       /* so many bytes must stay free where the copy is */
	int64_t most_bytes;     /* a larger file is unfit; 0: any */
};

struct spool_file {
	const char *name; /* the original's name as it was in the directory (bytes) */
	uint8_t sha256[32];
	int64_t bytes;
	uint64_t device, inode;
	int64_t mtime_ns;
};

enum { SPOOL_SLICE = 4 * 1024 * 1024, SPOOL_MOST_STEM = 200 };

/*
 * spool_start begins to take a file. False with the reason in ret_step (CHANGED and COPIED apart) and err; the file then bears the name it
 * had, and nothing of it is in the spool. While it is being taken it is locked (flock), so that no second process takes it as a left-over.
 * Room is for the whole file, unless the copy shares its blocks (reflink), and at least min_free beside it.
 */
bool spool_start(const struct spool_wish *wish, struct spool **ret_spool, enum spool_step *ret_step, struct error *err);

/* spool_copy does one slice, and sees that min_free stays free. After any step but SPOOL_MORE and SPOOL_COPIED, spool_drop is all that is
 * left to be called. */
enum spool_step spool_copy(struct spool *spool, struct error *err);

/* spool_move gives what was copied another path in the same folder, and makes that durable. Where it fails, it has one of the two. */
bool spool_move(struct spool *spool, const char *copy, struct error *err);

/* spool_file describes what was copied; valid after SPOOL_COPIED until spool_finish or spool_drop. */
const struct spool_file *spool_file(const struct spool *spool);

/*
 * spool_finish removes the original after the record is durable, and frees. An original that is another inode by now is left alone; one
 * that was written to since it was copied gets its name back, to be taken again. False then, or where it cannot be removed: err says so.
 * ret_gone: nothing is left there that bears what was recorded of it.
 */
bool spool_finish(struct spool *spool, bool *ret_gone, struct error *err);

/* spool_drop gives the original its name back (if that name is free), removes the copy, and frees. Takes NULL. */
void spool_drop(struct spool *spool);

/* spool_digest gives the SHA-256 of a whole file, as it is recorded of a manifest. */
bool spool_digest(int fd, uint8_t ret_sha256[static 32], struct error *err);

/* spool_taken_name gives ".trackbridge-<name>", shortened (the stem to SPOOL_MOST_STEM bytes) where it would not fit 255 bytes; the caller
 * frees it. */
char *spool_taken_name(const char *name);

/* spool_is_ignored tells whether a name is never taken: starting with '.', or ending in .tmp .part .partial .filepart. */
bool spool_is_ignored(const char *name);

/* spool_original_name gives the name behind a .trackbridge- prefix, or NULL where there is none. */
const char *spool_original_name(const char *taken_name);
