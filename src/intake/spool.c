#include "intake/spool.h"

#include "intake/spool_inside.h"
#include "intake/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_content(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && same_time(a->st_mtim, b->st_mtim);
}

static void give_name_back(struct spool *spool)
{
	/* Where a new file has that name by now, the old one stays a left-over. */
	if (spool->taken)
		spool_rename(spool, spool->taken_name, spool->name);
	spool->taken = false;
}

static void remove_copy(struct spool *spool)
{
	if (spool->copy < 0)
		return;
	unlink(spool->copy_path);
	close(spool->copy);
	spool->copy = -1;
}

static void release(struct spool *spool)
{
	cleanup_close(&spool->copy);
	cleanup_close(&spool->original);
	cleanup_close(&spool->directory);
	EVP_MD_CTX_free(spool->digest);
	free(spool->buffer);
	free(spool->name);
	free(spool->taken_name);
	free(spool->copy_path);
	free(spool);
}

bool spool_hash_begin(struct spool *spool, struct error *err)
{
	spool->digest = EVP_MD_CTX_new();
	if (!spool->digest)
		abort();
	return EVP_DigestInit_ex(spool->digest, EVP_sha256(), NULL) == 1 || error_set(err, ERROR_INTERNAL, "OpenSSL has no SHA-256");
}

static bool sync_copy(const struct spool *spool, struct error *err)
{
	return fsync(spool->copy) == 0 || error_errno(err, errno, "%s cannot be synced", spool->copy_path);
}

static enum spool_step last_byte_read(struct spool *spool, struct error *err)
{
	struct stat now;

	/* Asked first: a writer that is gone by then has left its time. */
	if (writer_is_there(spool->original))
		return spool_because(spool, SPOOL_CHANGED, err, "was opened for writing while it was copied");
	if (fstat(spool->original, &now) < 0)
		return spool_with_errno(spool, SPOOL_STUCK, errno, "cannot be looked at", err);
	if (!same_content(&now, &spool->reference) || !same_time(now.st_ctim, spool->reference.st_ctim) ||
	    spool->file.bytes != (int64_t)now.st_size)
		return spool_because(spool, SPOOL_CHANGED, err, "changed while it was copied");
	if (EVP_DigestFinal_ex(spool->digest, spool->file.sha256, NULL) != 1) {
		error_set(err, ERROR_INTERNAL, "OpenSSL cannot compute SHA-256");
		return SPOOL_FAILED;
	}
	if (!sync_copy(spool, err))
		return SPOOL_FAILED;
	spool->file.name = spool->name;
	spool->file.device = spool->reference.st_dev;
	spool->file.inode = spool->reference.st_ino;
	spool->file.mtime_ns = (int64_t)spool->reference.st_mtim.tv_sec * 1000000000 + spool->reference.st_mtim.tv_nsec;
	return SPOOL_COPIED;
}

static enum spool_step cannot_read(const struct spool *spool, int errnum, struct error *err)
{
	if (errnum == EINTR)
		return SPOOL_MORE;
	return spool_with_errno(spool, spool->cloned ? SPOOL_FAILED : SPOOL_STUCK, errnum, "cannot be read", err);
}

static enum spool_step cannot_write(const struct spool *spool, int errnum, struct error *err)
{
	bool full = errnum == ENOSPC || errnum == EDQUOT;

	return spool_with_errno(spool, full ? SPOOL_FULL : SPOOL_FAILED, errnum, "cannot be copied into the spool", err);
}

static enum spool_step copy_chunk(struct spool *spool, struct error *err)
{
	/* What is hashed must be what is kept: of a clone that is the clone, whatever happens to the original. */
	ssize_t got = pread(spool->cloned ? spool->copy : spool->original, spool->buffer, SPOOL_CHUNK, spool->file.bytes);

	if (got < 0)
		return cannot_read(spool, errno, err);
	if (got == 0)
		return last_byte_read(spool, err);
	if (EVP_DigestUpdate(spool->digest, spool->buffer, (size_t)got) != 1) {
		error_set(err, ERROR_INTERNAL, "OpenSSL cannot compute SHA-256");
		return SPOOL_FAILED;
	}
	if (!spool->cloned && !file_write_all(spool->copy, spool->buffer, (size_t)got))
		return cannot_write(spool, errno, err);
	spool->file.bytes += got;
	/* At once, or a file that grows as fast as it is read would fill the disk. */
	if (spool->file.bytes > (int64_t)spool->reference.st_size)
		return spool_because(spool, SPOOL_CHANGED, err, "grew while it was copied");
	return SPOOL_MORE;
}

enum spool_step spool_copy(struct spool *spool, struct error *err)
{
	int64_t begin_at = spool->file.bytes;
	enum spool_step step = SPOOL_MORE;

	while (step == SPOOL_MORE && spool->file.bytes < begin_at + SPOOL_SLICE)
		step = copy_chunk(spool, err);
	/* Others write to that disk as well. */
	if (step == SPOOL_MORE && !spool->cloned)
		step = spool_has_room(spool, 0, err);
	switch (step) {
	case SPOOL_MORE:
		/* The disk begins to write now, so that the fsync at the end does not stall the loop for the whole file. */
		if (!spool->cloned)
			(void)sync_file_range(spool->copy, begin_at, spool->file.bytes - begin_at, SYNC_FILE_RANGE_WRITE);
		break;
	case SPOOL_COPIED: break;
	case SPOOL_CHANGED:
	case SPOOL_BUSY:
	case SPOOL_UNFIT:
	case SPOOL_FULL:
	case SPOOL_STUCK:
	case SPOOL_FAILED: give_name_back(spool); remove_copy(spool);
	}
	return step;
}

bool spool_move(struct spool *spool, const char *copy, struct error *err)
{
	const char *slash = strrchr(copy, '/');
	scoped_free char *folder = slash ? xstrndup(copy, (size_t)(slash - copy) + 1) : xstrdup(".");

	if (rename(spool->copy_path, copy) < 0)
		return error_errno(err, errno, "%s cannot be renamed to %s", spool->copy_path, copy);
	free(spool->copy_path);
	spool->copy_path = xstrdup(copy);
	return file_sync_directory(folder, err);
}

const struct spool_file *spool_file(const struct spool *spool)
{
	return &spool->file;
}

/*
 * The caller records next that the original is gone, and no longer recognises it after that: it must not come back after a power cut. A
 * directory that cannot be opened or synced is not worth failing for: what came back would be taken for the duplicate that it is.
 */
static void sync_directory(const struct spool *spool)
{
	scoped_close int directory = openat(spool->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory >= 0)
		(void)fsync(directory);
}

/* Gives SPOOL_COPIED where it is gone, SPOOL_FAILED where it is still there as it was recorded. */
static enum spool_step remove_original(struct spool *spool, struct error *err)
{
	struct stat st;

	if (fstatat(spool->directory, spool->taken_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return SPOOL_COPIED;
		return spool_with_errno(spool, SPOOL_FAILED, errno, "was loaded and then cannot be looked at", err);
	}
	if (!spool_same_inode(&st, &spool->reference))
		return spool_because(spool, SPOOL_UNFIT, err,
				     "was loaded; what has its .trackbridge- name now is another file and is left alone");
	if (!same_content(&st, &spool->reference)) {
		give_name_back(spool);
		return spool_because(spool, SPOOL_CHANGED, err, "was written to after it was loaded, and is loaded again");
	}
	/* Whoever swaps files between the look above and here loses what he put under our name. */
	if (unlinkat(spool->directory, spool->taken_name, 0) < 0 && errno != ENOENT)
		return spool_with_errno(spool, SPOOL_FAILED, errno, "was loaded and then cannot be removed", err);
	sync_directory(spool);
	return SPOOL_COPIED;
}

bool spool_finish(struct spool *spool, bool *ret_gone, struct error *err)
{
	enum spool_step step = remove_original(spool, err);

	*ret_gone = step != SPOOL_FAILED;
	release(spool);
	return step == SPOOL_COPIED;
}

void spool_drop(struct spool *spool)
{
	if (!spool)
		return;
	give_name_back(spool);
	remove_copy(spool);
	release(spool);
}
