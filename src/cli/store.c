#include "cli/store.h"

#include "base/file.h"
#include "base/log.h"
#include "cli/lock.h"
#include "track/verdict.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

/* Copies in the spool whose manifest was never recorded: the crash came first. Their originals are in the drop directory. */
static bool clear_spool(const struct config *config, struct queue *queue, struct error *err)
{
	scoped_free char *path = file_join(config->state_dir, "spool");
	DIR *directory = opendir(path);
	const struct dirent *entry;
	int64_t next, number;

	if (!directory)
		return error_errno(err, errno, "%s", path);
	if (!queue_manifest_next(queue, &next)) {
		closedir(directory);
		return queue_commit(queue, err);
	}
	while ((entry = readdir(directory))) {
		if (text_to_int64(entry->d_name, &number) && number >= next && unlinkat(dirfd(directory), entry->d_name, 0) < 0)
			log_write(LOG_WARNING, "%s/%s cannot be removed: %s", path, entry->d_name, strerror(errno));
	}
	closedir(directory);
	return true;
}

static bool make_state(const struct config *config, struct error *err)
{
	static const char *const folders[] = { "spool", "archive" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		scoped_free char *path = file_join(config->state_dir, folders[i]);

		if (!file_make_directories(path, 0750, err))
			return false;
	}
	return true;
}

static bool bind_queue(const struct config *config, struct queue *queue, struct error *err)
{
	for (size_t i = 0; i < config->n_endpoints; i++) {
		const struct config_endpoint *e = &config->endpoints[i];

		(void)queue_bind_endpoint(queue, (int)i, e->name, e->resend_unknown);
		for (size_t k = 0; k < e->n_issuers; k++)
			(void)queue_bind_issuer(queue, e->issuers[k], (int)i);
	}
	for (size_t i = 0; i < config->n_sources; i++)
		(void)queue_bind_source(queue, (int)i, config->sources[i].name, config->sources[i].drop);
	/* What failed above has spoiled the turn, and the commit tells. */
	return queue_commit(queue, err);
}

/* That a row is ever put back for. */
static int64_t longest_wait_ms(const struct config *config)
{
	int64_t longest = TRACK_MOST_RETRY_AFTER_MS;

	for (size_t i = 0; i < config->n_endpoints; i++) {
		if (config->endpoints[i].retry.most_ms > longest)
			longest = config->endpoints[i].retry.most_ms;
	}
	return longest;
}

static bool open_queue(const struct config *config, int64_t now_ms, int64_t wall_ms, struct queue **ret_queue, int64_t *ret_in_doubt,
		       struct error *err)
{
	scoped_free char *path = file_join(config->state_dir, "queue.db");

	if (!queue_open(path, ret_queue, err) || !bind_queue(config, *ret_queue, err))
		return false;
	(void)queue_recover(*ret_queue, longest_wait_ms(config), now_ms, wall_ms, ret_in_doubt);
	return queue_commit(*ret_queue, err) && clear_spool(config, *ret_queue, err);
}

bool store_open(const struct config *config, int64_t now_ms, int64_t wall_ms, struct store *ret_store, int64_t *ret_in_doubt,
		struct error *err)
{
	struct store store = { .lock = -1 };
	int64_t in_doubt = 0;

	if (!make_state(config, err) || !lock_take(config->state_dir, &store.lock, err) ||
	    !open_queue(config, now_ms, wall_ms, &store.queue, &in_doubt, err)) {
		store_close(&store);
		return false;
	}
	*ret_store = store;
	*ret_in_doubt = in_doubt;
	return true;
}

int store_release_lock(struct store *store)
{
	int lock = store->lock;

	store->lock = -1;
	return lock;
}

void store_close(struct store *store)
{
	queue_close(store->queue);
	if (store->lock > 0)
		close(store->lock);
	*store = (struct store){ 0 };
}

bool store_become_owner(const struct config *config, struct error *err)
{
	struct stat st;

	if (geteuid() != 0)
		return true;
	if (stat(config->state_dir, &st) < 0)
		return error_errno(err, errno, "%s", config->state_dir);
	if (st.st_uid == 0)
		return true;
	if (setgroups(0, NULL) < 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 || setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
		return error_errno(err, errno, "acting as the owner of %s", config->state_dir);
	return true;
}
