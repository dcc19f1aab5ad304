#include "intake/spool_inside.h"
#include "intake/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

/* Names may be longer than a line of the log when all of their bytes are escaped. */
enum { MOST_SHOWN = 400 };

/*
 * What speaks of this one file is its fault and lasts until it changes; what speaks of this process is ours. Everything else (a file
 * system that is full, or read-only for a while, a network share that hangs) may pass by itself.
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
	case EMFILE:
	case ENFILE:
	case ENOMEM: return SPOOL_FAILED;
	default: return SPOOL_STUCK;
	}
}

static void show_name(const struct spool *spool, struct text *ret_name)
{
	text_escape(ret_name, spool->name, strlen(spool->name));
	if (ret_name->length <= MOST_SHOWN)
		return;
	ret_name->length = MOST_SHOWN;
	/* Not in the middle of a sequence or of an escape, of which nobody could tell what it was. */
	while (ret_name->length > MOST_SHOWN - 4 && ((unsigned char)ret_name->data[ret_name->length] & 0xc0) == 0x80)
		ret_name->length--;
	text_append_string(ret_name, "...");
}

enum spool_step spool_because(const struct spool *spool, enum spool_step step, struct error *err, const char *format, ...)
{
	scoped_text struct text name = { 0 };
	char why[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	show_name(spool, &name);
	error_set(err, ERROR_DATA, "%s %s", name.data, why);
	return step;
}

enum spool_step spool_with_errno(const struct spool *spool, enum spool_step step, int errnum, const char *what, struct error *err)
{
	scoped_text struct text name = { 0 };

	show_name(spool, &name);
	error_errno(err, errnum, "%s %s", name.data, what);
	return step;
}

bool spool_same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int spool_rename(const struct spool *spool, const char *from, const char *to)
{
	int directory = spool->directory;
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

bool spool_clone(const struct spool *spool)
{
	return ioctl(spool->copy, FICLONE, spool->original) == 0;
}

enum spool_step spool_has_room(const struct spool *spool, int64_t bytes, struct error *err)
{
	struct statvfs fs;
	uint64_t free_bytes;

	/* Where it cannot be known, writing will tell. Some file systems have no size. */
	if (fstatvfs(spool->copy, &fs) < 0 || fs.f_blocks == 0)
		return SPOOL_MORE;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (free_bytes >= (uint64_t)spool->min_free && free_bytes - (uint64_t)spool->min_free >= (uint64_t)bytes)
		return SPOOL_MORE;
	return spool_because(spool, SPOOL_FULL, err,
			     "(%" PRId64 " bytes) has no room in the spool: %" PRIu64 " bytes are free there, and %" PRId64
			     " must stay so (min_free_space); it stays where it is, and is taken when there is room",
			     (int64_t)spool->reference.st_size, free_bytes, spool->min_free);
}

static enum spool_step look_at_original(struct spool *spool, struct error *err)
{
	if (fstat(spool->original, &spool->reference) < 0)
		return spool_with_errno(spool, SPOOL_STUCK, errno, "cannot be looked at", err);
	if (!S_ISREG(spool->reference.st_mode))
		return spool_because(spool, SPOOL_UNFIT, err, "is not a file");
	if (writer_is_there(spool->original))
		return spool_because(spool, SPOOL_BUSY, err, "is still open for writing: left until its writer has closed it");
	if (spool->most_bytes && (int64_t)spool->reference.st_size > spool->most_bytes)
		return spool_because(spool, SPOOL_UNFIT, err,
				     "has %" PRId64 " bytes, more than the %" PRId64
				     " that max_file_bytes of its source allows: left alone;"
				     " split it, or raise max_file_bytes and restart",
				     (int64_t)spool->reference.st_size, spool->most_bytes);
	/* A left-over may be what another daemon, or this one, is taking at this moment. A new file's writer may hold a lock: no matter. */
	if (flock(spool->original, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK && spool->left_over)
		return spool_because(spool, SPOOL_UNFIT, err, "is already being taken");
	return SPOOL_MORE;
}

static enum spool_step open_original(struct spool *spool, const char *directory, struct error *err)
{
	spool->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (spool->directory < 0)
		return spool_with_errno(spool, step_of(errno), errno, "cannot be taken, its directory cannot be opened", err);
	/* Non-blocking, because somebody may have put a pipe in its place since it was looked at. */
	spool->original = openat(spool->directory, spool->left_over ? spool->taken_name : spool->name,
				 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (spool->original < 0 && errno == ELOOP)
		return spool_because(spool, SPOOL_UNFIT, err, "is a link, not a file");
	/* A file server has a lease on it for a client that writes. */
	if (spool->original < 0 && errno == EWOULDBLOCK)
		return spool_because(spool, SPOOL_BUSY, err, "is in use by another process: left until that is done");
	if (spool->original < 0)
		return spool_with_errno(spool, step_of(errno), errno, "cannot be opened", err);
	return look_at_original(spool, err);
}

static enum spool_step take_name(struct spool *spool, struct error *err)
{
	struct stat st;

	if (!spool->left_over && spool_rename(spool, spool->name, spool->taken_name) < 0) {
		if (errno == EEXIST)
			return spool_because(spool, SPOOL_UNFIT, err,
					     "cannot be taken, an earlier file is still there under its .trackbridge- name");
		return spool_with_errno(spool, step_of(errno), errno, "cannot be renamed in its directory", err);
	}
	spool->taken = true;
	if (fstatat(spool->directory, spool->taken_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return spool_with_errno(spool, step_of(errno), errno, "was renamed and then cannot be looked at", err);
	if (fstat(spool->original, &spool->reference) < 0)
		return spool_with_errno(spool, SPOOL_STUCK, errno, "cannot be looked at", err);
	if (!spool_same_inode(&st, &spool->reference))
		return spool_because(spool, SPOOL_UNFIT, err, "was replaced while it was being taken");
	return SPOOL_MORE;
}

static enum spool_step begin(struct spool *spool, const char *directory, struct error *err)
{
	enum spool_step step = open_original(spool, directory, err);

	if (step != SPOOL_MORE)
		return step;
	/* Before the rename: a full disk on our side then leaves no trace in the directory. */
	spool->copy = open(spool->copy_path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (spool->copy < 0)
		return spool_with_errno(spool, SPOOL_FAILED, errno, "cannot be copied into the spool", err);
	/* A clone takes no room; whether there can be one shows only when it is tried. */
	step = spool_has_room(spool, (int64_t)spool->reference.st_size, err);
	if (step != SPOOL_MORE && (spool_has_room(spool, 0, NULL) != SPOOL_MORE || !spool_clone(spool)))
		return step;
	step = take_name(spool, err);
	if (step != SPOOL_MORE)
		return step;
	if (!spool_hash_begin(spool, err))
		return SPOOL_FAILED;
	/* Once more, perhaps: it must share what the file was after the look at it, and nothing may stay of what it was before. */
	spool->cloned = spool_clone(spool);
	if (!spool->cloned && ftruncate(spool->copy, 0) < 0)
		return spool_with_errno(spool, SPOOL_FAILED, errno, "cannot be copied into the spool", err);
	return SPOOL_MORE;
}

bool spool_start(const struct spool_wish *wish, struct spool **ret_spool, enum spool_step *ret_step, struct error *err)
{
	struct spool *spool = xcalloc(1, sizeof(*spool));

	*spool = (struct spool){
		.name = xstrdup(wish->name),
		.taken_name = xstrdup(wish->taken_name),
		.copy_path = xstrdup(wish->copy),
		.left_over = wish->left_over,
		.min_free = wish->min_free,
		.most_bytes = wish->most_bytes,
		.directory = -1,
		.original = -1,
		.copy = -1,
		.buffer = xmalloc(SPOOL_CHUNK),
	};
	*ret_step = begin(spool, wish->directory, err);
	if (*ret_step != SPOOL_MORE) {
		/* A left-over stays what it is: it was not taken by us, and perhaps is being taken by somebody else. */
		spool->taken = spool->taken && !spool->left_over;
		spool_drop(spool);
		return false;
	}
	*ret_spool = spool;
	return true;
}
