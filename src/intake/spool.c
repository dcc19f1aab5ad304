#include "intake/spool.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { CHUNK = 128 * 1024 };

struct spool {
	char *name, *taken_name, *copy_path;
	int directory, original, copy;
	bool taken;            /* it bears taken_name in the directory */
	bool cloned;           /* the copy shares the original's blocks and only needs to be hashed */
	struct stat reference; /* of the original, after it was renamed: a rename changes the ctime */
	EVP_MD_CTX *digest;
	char *buffer;
	struct spool_file file;
};

/*
 * What speaks of this one file is its fault and lasts until it changes. Everything else (a full disk, a file system that is read-only for a
 * while, a network share that hangs) may pass by itself.
 */
static enum spool_step step_of(int errnum)
{
	switch (errnum) {
	case EACCES:
	case EPERM:
	case EEXIST:
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
	case ENXIO:
	case ENODEV:
	case EXDEV:
	case ENAMETOOLONG: return SPOOL_UNFIT;
	default: return SPOOL_FAILED;
	}
}

static enum spool_step with_errno(const struct spool *spool, enum spool_step step, int errnum, const char *what, struct error *err)
{
	scoped_text struct text name = { 0 };

	text_escape(&name, spool->name, strlen(spool->name));
	error_errno(err, errnum, "%s %s", name.data, what);
	return step;
}

static enum spool_step because(const struct spool *spool, enum spool_step step, const char *what, struct error *err)
{
	scoped_text struct text name = { 0 };

	text_escape(&name, spool->name, strlen(spool->name));
	error_set(err, ERROR_DATA, "%s %s", name.data, what);
	return step;
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_content(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && same_time(a->st_mtim, b->st_mtim);
}

static int rename_to_free_name(int directory, const char *from, const char *to)
{
	struct stat st;

	if (renameat2(directory, from, directory, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	/* NFS and some others have no such flag; the gap between looking and renaming remains there. */
	if (fstatat(directory, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return errno == ENOENT ? renameat(directory, from, directory, to) : -1;
}

static void give_name_back(struct spool *spool)
{
	/* Where a new file has that name by now, the old one stays a left-over. */
	if (spool->taken)
		rename_to_free_name(spool->directory, spool->taken_name, spool->name);
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

static enum spool_step open_original(struct spool *spool, const char *directory, bool left_over, struct error *err)
{
	struct stat st;

	spool->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (spool->directory < 0)
		return with_errno(spool, step_of(errno), errno, "cannot be taken, its directory cannot be opened", err);
	/* Non-blocking, because somebody may have put a pipe in its place since it was looked at. */
	spool->original = openat(spool->directory, left_over ? spool->taken_name : spool->name,
				 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (spool->original < 0 && errno == ELOOP)
		return because(spool, SPOOL_UNFIT, "is a link, not a file", err);
	if (spool->original < 0)
		return with_errno(spool, step_of(errno), errno, "cannot be opened", err);
	if (fstat(spool->original, &st) < 0)
		return with_errno(spool, SPOOL_FAILED, errno, "cannot be looked at", err);
	if (!S_ISREG(st.st_mode))
		return because(spool, SPOOL_UNFIT, "is not a file", err);
	/* A left-over may be what another daemon, or this one, is taking at this moment. A new file's writer may hold a lock: no matter. */
	if (flock(spool->original, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK && left_over)
		return because(spool, SPOOL_UNFIT, "is already being taken", err);
	return SPOOL_MORE;
}

static enum spool_step take_name(struct spool *spool, bool left_over, struct error *err)
{
	struct stat st;

	if (!left_over && rename_to_free_name(spool->directory, spool->name, spool->taken_name) < 0) {
		if (errno == EEXIST)
			return because(spool, SPOOL_UNFIT, "cannot be taken, an earlier file is still there under its .trackbridge- name",
				       err);
		return with_errno(spool, step_of(errno), errno, "cannot be renamed in its directory", err);
	}
	spool->taken = true;
	if (fstatat(spool->directory, spool->taken_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return with_errno(spool, step_of(errno), errno, "was renamed and then cannot be looked at", err);
	if (fstat(spool->original, &spool->reference) < 0)
		return with_errno(spool, SPOOL_FAILED, errno, "cannot be looked at", err);
	if (!same_inode(&st, &spool->reference))
		return because(spool, SPOOL_UNFIT, "was replaced while it was being taken", err);
	return SPOOL_MORE;
}

static enum spool_step begin(struct spool *spool, const char *directory, bool left_over, struct error *err)
{
	enum spool_step step = open_original(spool, directory, left_over, err);

	if (step != SPOOL_MORE)
		return step;
	/* Before the rename: a full disk on our side then leaves no trace in the directory. */
	spool->copy = open(spool->copy_path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (spool->copy < 0)
		return with_errno(spool, SPOOL_FAILED, errno, "cannot be copied into the spool", err);
	step = take_name(spool, left_over, err);
	if (step != SPOOL_MORE)
		return step;
	if (EVP_DigestInit_ex(spool->digest, EVP_sha256(), NULL) != 1) {
		error_set(err, ERROR_INTERNAL, "OpenSSL has no SHA-256");
		return SPOOL_FAILED;
	}
	spool->cloned = ioctl(spool->copy, FICLONE, spool->original) == 0;
	return SPOOL_MORE;
}

bool spool_start(const char *directory, const char *name, const char *taken_name, bool left_over, const char *copy,
		 struct spool **ret_spool, enum spool_step *ret_step, struct error *err)
{
	struct spool *spool = xcalloc(1, sizeof(*spool));

	*spool = (struct spool){
		.name = xstrdup(name),
		.taken_name = xstrdup(taken_name),
		.copy_path = xstrdup(copy),
		.directory = -1,
		.original = -1,
		.copy = -1,
		.digest = EVP_MD_CTX_new(),
		.buffer = xmalloc(CHUNK),
	};
	if (!spool->digest)
		abort();
	*ret_step = begin(spool, directory, left_over, err);
	if (*ret_step != SPOOL_MORE) {
		/* A left-over stays what it is: it was not taken by us, and perhaps is being taken by somebody else. */
		spool->taken = spool->taken && !left_over;
		spool_drop(spool);
		return false;
	}
	*ret_spool = spool;
	return true;
}

static bool sync_copy(const struct spool *spool, struct error *err)
{
	const char *slash = strrchr(spool->copy_path, '/');
	scoped_free char *folder = slash ? xstrndup(spool->copy_path, (size_t)(slash - spool->copy_path) + 1) : xstrdup(".");

	if (fsync(spool->copy) < 0)
		return error_errno(err, errno, "%s cannot be synced", spool->copy_path);
	return file_sync_directory(folder, err);
}

static enum spool_step last_byte_read(struct spool *spool, struct error *err)
{
	struct stat now;

	if (fstat(spool->original, &now) < 0)
		return with_errno(spool, SPOOL_FAILED, errno, "cannot be looked at", err);
	if (!same_content(&now, &spool->reference) || !same_time(now.st_ctim, spool->reference.st_ctim) ||
	    spool->file.bytes != (int64_t)now.st_size)
		return because(spool, SPOOL_CHANGED, "changed while it was copied", err);
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

static enum spool_step copy_chunk(struct spool *spool, struct error *err)
{
	/* What is hashed must be what is kept: of a clone that is the clone, whatever happens to the original. */
	ssize_t got = pread(spool->cloned ? spool->copy : spool->original, spool->buffer, CHUNK, spool->file.bytes);

	if (got < 0)
		return errno == EINTR ? SPOOL_MORE : with_errno(spool, SPOOL_FAILED, errno, "cannot be read", err);
	if (got == 0)
		return last_byte_read(spool, err);
	if (EVP_DigestUpdate(spool->digest, spool->buffer, (size_t)got) != 1) {
		error_set(err, ERROR_INTERNAL, "OpenSSL cannot compute SHA-256");
		return SPOOL_FAILED;
	}
	if (!spool->cloned && !file_write_all(spool->copy, spool->buffer, (size_t)got))
		return with_errno(spool, SPOOL_FAILED, errno, "cannot be copied into the spool", err);
	spool->file.bytes += got;
	/* At once, or a file that grows as fast as it is read would fill the disk. */
	if (spool->file.bytes > (int64_t)spool->reference.st_size)
		return because(spool, SPOOL_CHANGED, "grew while it was copied", err);
	return SPOOL_MORE;
}

enum spool_step spool_copy(struct spool *spool, struct error *err)
{
	int64_t begin_at = spool->file.bytes;
	enum spool_step step = SPOOL_MORE;

	while (step == SPOOL_MORE && spool->file.bytes < begin_at + SPOOL_SLICE)
		step = copy_chunk(spool, err);
	switch (step) {
	case SPOOL_MORE:
		/* The disk begins to write now, so that the fsync at the end does not stall the loop for the whole file. */
		if (!spool->cloned)
			(void)sync_file_range(spool->copy, begin_at, spool->file.bytes - begin_at, SYNC_FILE_RANGE_WRITE);
		break;
	case SPOOL_COPIED: break;
	case SPOOL_CHANGED:
	case SPOOL_UNFIT:
	case SPOOL_FAILED: give_name_back(spool); remove_copy(spool);
	}
	return step;
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

static bool remove_original(struct spool *spool, struct error *err)
{
	struct stat st;

	if (fstatat(spool->directory, spool->taken_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return true;
		with_errno(spool, SPOOL_FAILED, errno, "was loaded and then cannot be looked at", err);
		return false;
	}
	if (!same_inode(&st, &spool->reference)) {
		because(spool, SPOOL_UNFIT, "was loaded; what has its .trackbridge- name now is another file and is left alone", err);
		return false;
	}
	if (!same_content(&st, &spool->reference)) {
		give_name_back(spool);
		because(spool, SPOOL_CHANGED, "was written to after it was loaded, and is loaded again", err);
		return false;
	}
	/* Whoever swaps files between the look above and here loses what he put under our name. */
	if (unlinkat(spool->directory, spool->taken_name, 0) < 0 && errno != ENOENT) {
		with_errno(spool, SPOOL_FAILED, errno, "was loaded and then cannot be removed", err);
		return false;
	}
	sync_directory(spool);
	return true;
}

bool spool_finish(struct spool *spool, struct error *err)
{
	bool removed = remove_original(spool, err);

	release(spool);
	return removed;
}

void spool_drop(struct spool *spool)
{
	if (!spool)
		return;
	give_name_back(spool);
	remove_copy(spool);
	release(spool);
}
