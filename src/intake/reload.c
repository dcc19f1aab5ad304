#include "intake/reload.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static bool link_copy(const struct config *config, const struct queue_archived *archived, int64_t as, struct error *err)
{
	scoped_free char *archive = file_join(config->state_dir, "archive"), *from = file_join(archive, archived->path);
	scoped_free char *spool = file_join(config->state_dir, "spool");
	scoped_free char *to = NULL;
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)as);
	to = file_join(spool, number);
	/* Of a turn whose commit failed. */
	if (unlink(to) < 0 && errno != ENOENT)
		return error_errno(err, errno, "%s cannot be removed", to);
	if (link(from, to) == 0)
		return file_sync_directory(spool, err);
	if (errno == ENOENT)
		return error_set(err, ERROR_NO_INPUT, "manifest %lld: its copy %s is gone (retention.archive); drop the file again",
				 (long long)archived->manifest, from);
	return error_errno(err, errno, "%s cannot be linked to %s", to, from);
}

bool reload_manifest(const struct config *config, struct queue *queue, int64_t manifest, int64_t wall_ms, int64_t *ret_manifest,
		     struct error *err)
{
	struct queue_archived archived;
	scoped_free char *path = NULL;
	int64_t as, recorded;

	if (!queue_manifest_archived(queue, manifest, &archived) || !queue_manifest_next(queue, &as))
		return error_set(err, ERROR_IO, "the queue cannot be read");
	path = archived.path;
	if (!archived.manifest)
		return error_set(err, ERROR_NO_INPUT, "there is no manifest %lld", (long long)manifest);
	if (!path)
		return error_set(err, ERROR_TRY_LATER, "manifest %lld is %s and not in the archive yet", (long long)manifest,
				 archived.state);
	if (config_source_named(config, archived.source) < 0)
		return error_set(err, ERROR_CONFIG, "manifest %lld came from source %s, which is no longer configured", (long long)manifest,
				 archived.source);
	if (!link_copy(config, &archived, as, err))
		return false;
	if (!queue_manifest_reload(queue, manifest, wall_ms, &recorded))
		return error_set(err, ERROR_IO, "manifest %lld cannot be recorded anew", (long long)manifest);
	if (recorded != as)
		return error_set(err, ERROR_INTERNAL, "manifest %lld was to be recorded, it became %lld", (long long)as,
				 (long long)recorded);
	*ret_manifest = recorded;
	return true;
}
