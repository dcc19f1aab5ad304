#include "report/sheet.h"

#include "base/file.h"
#include "report/archive.h"
#include "report/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct sheet {
	int directory, file;
	char *path; /* of the directory, for people */
	char *name, *temporary;
	off_t written;
	bool published;
};

static bool make_place(const struct config *config, const struct queue_errand *errand, char **ret_path, struct error *err)
{
	if (errand->source >= 0 && config->sources[errand->source].receipts) {
		*ret_path = xstrdup(config->sources[errand->source].receipts);
		return true;
	}
	*ret_path = archive_directory(config, errand);
	return file_make_directories(*ret_path, 0750, err);
}

static bool open_temporary(struct sheet *sheet, struct error *err)
{
	sheet->directory = open(sheet->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sheet->directory < 0)
		return error_errno(err, errno, "%s: cannot be opened", sheet->path);
	/* What a crash left there is not ours to continue, and what somebody else put there is not to be followed. */
	if (unlinkat(sheet->directory, sheet->temporary, 0) < 0 && errno != ENOENT)
		return error_errno(err, errno, "%s: a left-over of ours cannot be removed", sheet->path);
	sheet->file = openat(sheet->directory, sheet->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (sheet->file < 0)
		return error_errno(err, errno, "%s: no file can be made there", sheet->path);
	return true;
}

bool sheet_open(const struct config *config, const struct queue_errand *errand, const char *kind, struct sheet **ret_sheet,
		struct error *err)
{
	struct sheet *sheet = xcalloc(1, sizeof(*sheet));
	struct text temporary = { 0 };

	text_printf(&temporary, ".trackbridge-%lld.%s", (long long)errand->manifest, kind);
	sheet->temporary = temporary.data;
	sheet->name = name_of_sheet(errand->name, errand->manifest, kind);
	sheet->directory = sheet->file = -1;
	if (!make_place(config, errand, &sheet->path, err) || !open_temporary(sheet, err)) {
		sheet_free(sheet);
		return false;
	}
	*ret_sheet = sheet;
	return true;
}

bool sheet_write(struct sheet *sheet, const struct text *bytes, struct error *err)
{
	if (!file_write_all(sheet->file, bytes->data, bytes->length))
		return error_errno(err, errno, "%s: cannot be written to", sheet->path);
	/* The disk begins now, so that the sync at the end does not stall the loop for the whole file. */
	(void)sync_file_range(sheet->file, sheet->written, (off_t)bytes->length, SYNC_FILE_RANGE_WRITE);
	sheet->written += (off_t)bytes->length;
	return true;
}

bool sheet_publish(struct sheet *sheet, struct error *err)
{
	if (fsync(sheet->file) < 0)
		return error_errno(err, errno, "%s: cannot be written to", sheet->path);
	if (renameat(sheet->directory, sheet->temporary, sheet->directory, sheet->name) < 0)
		return error_errno(err, errno, "%s: a finished file cannot be given its name", sheet->path);
	sheet->published = true;
	/* Some network shares cannot sync a directory; there the rename is theirs to keep. */
	if (fsync(sheet->directory) < 0 && errno != EINVAL && errno != EOPNOTSUPP)
		return error_errno(err, errno, "%s: cannot be synced", sheet->path);
	return true;
}

void sheet_free(struct sheet *sheet)
{
	if (!sheet)
		return;
	if (sheet->file >= 0 && !sheet->published)
		unlinkat(sheet->directory, sheet->temporary, 0);
	cleanup_close(&sheet->file);
	cleanup_close(&sheet->directory);
	free(sheet->path);
	free(sheet->name);
	free(sheet->temporary);
	free(sheet);
}
