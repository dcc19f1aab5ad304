#include "intake/load.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/told.h"
#include "intake/manifest_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { AGAIN_MS = 5000 };

enum landing { LANDING_NONE, LANDING_RELEASED, LANDING_REJECTED };

struct load {
	const struct config *config;
	struct queue *queue;
	bool nothing; /* the database had no loading manifest when it was asked last */
	struct queue_loading at;
	int fd;
	struct manifest_reader *reader;
	int64_t again_at;
	int64_t said; /* manifest whose trouble was logged */
	int64_t n_rejected, n_duplicate;
	bool paused;          /* released, and paused in the same step */
	enum landing landing; /* in this turn */
	int64_t now_ms;       /* of this turn */
	int64_t done;         /* rows read, ever */
	struct told told;     /* lines about manifests that were not all good */
	int landed;
};

struct load *load_new(const struct config *config, struct queue *queue)
{
	struct load *load = xcalloc(1, sizeof(*load));

	load->config = config;
	load->queue = queue;
	load->fd = -1;
	return load;
}

static void close_manifest(struct load *load)
{
	manifest_reader_close(load->reader);
	load->reader = NULL;
	if (load->fd >= 0)
		close(load->fd);
	load->fd = -1;
	load->at = (struct queue_loading){ 0 };
}

static void tell_count(struct load *load, bool ending)
{
	int64_t counted = told_count(&load->told, load->now_ms, ending);

	if (counted)
		log_write(LOG_WARNING,
			  "%" PRId64 " more manifests were rejected, or released with rejected rows, counted and not written: "
			  "trackbridge manifests --since 2h",
			  counted);
}

void load_free(struct load *load)
{
	if (!load)
		return;
	tell_count(load, true);
	close_manifest(load);
	free(load);
}

static void put_off(struct load *load, int64_t now_ms, const char *why)
{
	load->again_at = now_ms + AGAIN_MS;
	if (load->said != load->at.manifest)
		log_write(LOG_ERR, "manifest %" PRId64 " (%s) cannot be loaded: %s; it is tried again", load->at.manifest,
			  load->at.shown_name, why);
	load->said = load->at.manifest;
	close_manifest(load);
}

static bool open_manifest(struct load *load, int64_t now_ms)
{
	int index = config_source_named(load->config, load->at.source);
	char path[PATH_MAX];
	struct error err;

	if (index < 0) {
		error_set(&err, ERROR_CONFIG, "source %s is no longer configured", load->at.source);
		put_off(load, now_ms, err.text);
		return false;
	}
	snprintf(path, sizeof(path), "%s/spool/%" PRId64, load->config->state_dir, load->at.manifest);
	load->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (load->fd < 0) {
		error_errno(&err, errno, "%s", path);
		put_off(load, now_ms, err.text);
		return false;
	}
	load->n_rejected = load->n_duplicate = 0;
	if (manifest_reader_open(load->fd, &load->config->sources[index], load->config, load->at.offset, &load->reader, &err))
		return true;
	put_off(load, now_ms, err.text);
	return false;
}

/* What was read up to here is stored, and then the manifest comes to its end. */
static void land(struct load *load, enum landing landing, const struct error *why, int64_t now_ms, int64_t wall_ms)
{
	if (!queue_manifest_progress(load->queue, load->at.manifest, manifest_reader_offset(load->reader),
				     manifest_reader_line(load->reader)))
		return;
	if (landing == LANDING_RELEASED) {
		if (queue_manifest_release(load->queue, load->at.manifest, now_ms, wall_ms, &load->paused))
			load->landing = LANDING_RELEASED;
	} else if (queue_manifest_condemn(load->queue, load->at.manifest, why->text)) {
		snprintf(load->at.verdict, sizeof(load->at.verdict), "%s", why->text);
	}
}

static void read_slice(struct load *load, int64_t now_ms, int64_t wall_ms)
{
	int64_t end = clock_monotonic_us() + LOAD_US;
	struct queue_row_new row;
	enum row_state state;
	struct error err;

	for (int n = 0; n < LOAD_ROWS; n++) {
		if (n % 32 == 31 && clock_monotonic_us() >= end)
			break;
		load->done++;
		switch (manifest_reader_next(load->reader, &row, &err)) {
		case MANIFEST_ROW:
			if (!queue_row_add(load->queue, load->at.manifest, &row, wall_ms, &state))
				return;
			load->n_rejected += state == ROW_REJECTED;
			load->n_duplicate += state == ROW_DUPLICATE;
			break;
		case MANIFEST_PASSED: break;
		case MANIFEST_END: land(load, LANDING_RELEASED, NULL, now_ms, wall_ms); return;
		case MANIFEST_REJECT: land(load, LANDING_REJECTED, &err, now_ms, wall_ms); return;
		case MANIFEST_FAILED:
			/* What was added before stands; only what could not be read is tried again. */
			(void)queue_manifest_progress(load->queue, load->at.manifest, manifest_reader_offset(load->reader),
						      manifest_reader_line(load->reader));
			put_off(load, now_ms, err.text);
			return;
		}
	}
	if (manifest_reader_offset(load->reader) > load->at.offset)
		(void)queue_manifest_progress(load->queue, load->at.manifest, manifest_reader_offset(load->reader),
					      manifest_reader_line(load->reader));
}

void load_slice(struct load *load, int64_t now_ms, int64_t wall_ms)
{
	bool done = false;

	load->now_ms = now_ms;
	tell_count(load, false);
	if (load->nothing || now_ms < load->again_at)
		return;
	load->again_at = 0;
	if (!load->at.manifest) {
		if (!queue_manifest_loading(load->queue, &load->at))
			return;
		load->nothing = load->at.manifest == 0;
		if (load->nothing)
			return;
	}
	if (load->at.verdict[0]) {
		if (queue_manifest_reject_slice(load->queue, load->at.manifest, LOAD_ROWS, wall_ms, &done) && done)
			load->landing = LANDING_REJECTED;
		return;
	}
	if (load->reader || open_manifest(load, now_ms))
		read_slice(load, now_ms, wall_ms);
}

static void log_landing(struct load *load)
{
	char number[24];
	const struct log_field fields[] = { { "source", load->at.source }, { "manifest", number } };

	if ((load->landing == LANDING_REJECTED || load->n_rejected) && !load->paused && !told_may(&load->told, load->now_ms))
		return;

	snprintf(number, sizeof(number), "%" PRId64, load->at.manifest);
	if (load->landing == LANDING_RELEASED)
		log_fields(LOG_NOTICE, fields, 2,
			   "%s: manifest %s (%s) is released: %" PRId64 " rows, %" PRId64 " of them rejected, %" PRId64 " duplicate",
			   load->at.source, number, load->at.shown_name, manifest_reader_rows(load->reader), load->n_rejected,
			   load->n_duplicate);
	if (load->landing == LANDING_RELEASED && load->paused)
		log_fields(LOG_WARNING, fields, 2,
			   "%s: manifest %s (%s) is paused: most of its rows repeat accepted ones with another request; if that is meant: "
			   "trackbridge resume --manifest %s",
			   load->at.source, number, load->at.shown_name, number);
	if (load->landing == LANDING_REJECTED)
		log_fields(LOG_WARNING, fields, 2, "%s: manifest %s (%s) is rejected whole: %s", load->at.source, number,
			   load->at.shown_name, load->at.verdict);
}

void load_act(struct load *load, bool committed)
{
	if (!committed) {
		/* The database is where it was before this turn: go on from there. */
		close_manifest(load);
		load->nothing = false;
	} else if (load->landing != LANDING_NONE) {
		log_landing(load);
		close_manifest(load);
		load->landed++;
	}
	load->landing = LANDING_NONE;
}

bool load_busy(const struct load *load)
{
	return !load->nothing && load->again_at == 0;
}

bool load_idle(const struct load *load)
{
	return load->nothing || load->again_at != 0;
}

int64_t load_next_ms(const struct load *load)
{
	int64_t told = told_next_ms(&load->told);

	return !load->nothing && load->again_at && load->again_at < told ? load->again_at : told;
}

void load_wake(struct load *load)
{
	load->nothing = false;
}

bool load_at(const struct load *load, int64_t *ret_manifest, int *ret_per_cent)
{
	struct stat st;

	if (!load->reader || fstat(load->fd, &st) < 0)
		return false;
	*ret_manifest = load->at.manifest;
	*ret_per_cent = st.st_size > 0 ? (int)(manifest_reader_offset(load->reader) * 100 / st.st_size) : 0;
	return true;
}

int64_t load_done(const struct load *load)
{
	return load->done;
}

int load_landed(struct load *load)
{
	int landed = load->landed;

	load->landed = 0;
	return landed;
}
