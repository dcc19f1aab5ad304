#include "base/file.h"
#include "base/log.h"
#include "intake/intake_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How often room for a file that has none is looked for. */
enum { ROOM_MS = 5000 };

static void log_state(const struct source *source)
{
	const struct log_field fields[] = { { "source", source->config->name } };

	if (source->state == WATCH_OPEN)
		log_fields(LOG_NOTICE, fields, 1, "%s: watching %s", source->config->name, source->config->drop);
	else
		log_fields(LOG_WARNING, fields, 1, "%s: waiting for %s: %s", source->config->name, source->config->drop, source->reason);
}

static void look_and_complain(struct intake *intake, int index)
{
	struct source *source = &intake->sources[index];
	struct text complaint = { 0 };

	if (watch_next_ms(source->watch) <= intake->now_ms)
		watch_run(source->watch, intake->now_ms);
	for (; watch_next_complaint(source->watch, &complaint); text_clear(&complaint))
		source_say(intake, index, LOG_WARNING, complaint.data);
	text_free(&complaint);
	source_tell_count(intake, index, false);
}

static void look_whether_late(struct intake *intake, int index)
{
	struct source *source = &intake->sources[index];
	const struct log_field fields[] = { { "source", source->config->name } };
	int64_t since;

	if (!source->late_begun && queue_source_since(intake->queue, index, &since)) {
		source->late = late_begin(source->config->expect_every_ms, since, intake->now_ms, intake->wall_ms);
		source->late_begun = true;
	}
	if (!late_look(&source->late, intake->now_ms))
		return;
	source->stored = false;
	log_fields(LOG_WARNING, fields, 1, "%s: is late: no manifest came for longer than expect_every", source->config->name);
}

/* All that a person should know of the source, in one line; "" where all is well. */
static void tell_reason(const struct source *source, struct text *text)
{
	const char *held = source->held == SPOOL_MORE ? "" : source->held_why;
	char since[32];

	text_append_string(text, source->reason);
	text_printf(text, "%s%s", text->length && held[0] ? "; " : "", held);
	if (source->late.is_late) {
		text_time(since, source->late.since_ms);
		text_printf(text, "%sno manifest since %s (expect_every)", text->length ? "; " : "", since);
	}
}

static void store(struct intake *intake, int index)
{
	struct source *source = &intake->sources[index];
	const char *state = source->state != WATCH_OPEN ? "waiting" : source->late.is_late ? "late" : "open";
	scoped_text struct text reason = { 0 };

	tell_reason(source, &reason);
	source->waiting_files = watch_waiting_files(source->watch);
	source->stored = queue_source_store(intake->queue, index, state, reason.data, source->waiting_files);
}

void source_look(struct intake *intake, int index)
{
	struct source *source = &intake->sources[index];
	enum watch_state state;
	const char *reason;

	look_and_complain(intake, index);
	state = watch_state(source->watch);
	reason = watch_reason(source->watch);
	if (!source->seen || state != source->state || strcmp(reason, source->reason) != 0) {
		source->seen = true;
		source->state = state;
		snprintf(source->reason, sizeof(source->reason), "%s", reason);
		source->stored = false;
		log_state(source);
	}
	look_whether_late(intake, index);
	if (!source->stored || source->waiting_files != watch_waiting_files(source->watch))
		store(intake, index);
}

void source_manifest_came(struct intake *intake, int index)
{
	struct source *source = &intake->sources[index];

	if (source->late.is_late) {
		log_write(LOG_NOTICE, "%s: a manifest came, it is late no more", source->config->name);
		source->stored = false;
	}
	late_came(&source->late, intake->now_ms, intake->wall_ms);
}

void source_say(struct intake *intake, int index, int priority, const char *line)
{
	struct source *source = &intake->sources[index];
	const struct log_field fields[] = { { "source", source->config->name } };

	if (told_may(&source->told, intake->now_ms))
		log_fields(priority, fields, 1, "%s: %s", source->config->name, line);
}

void source_tell_count(struct intake *intake, int index, bool ending)
{
	struct source *source = &intake->sources[index];
	const struct log_field fields[] = { { "source", source->config->name } };
	int64_t counted = told_count(&source->told, intake->now_ms, ending);

	if (counted)
		log_fields(LOG_WARNING, fields, 1,
			   "%s: %" PRId64 " more lines like those before were counted and not written: look into %s", source->config->name,
			   counted, source->config->drop);
	counted = told_count(&source->told_taken, intake->now_ms, ending);
	if (counted)
		log_fields(LOG_INFO, fields, 1, "%s: %" PRId64 " more files were taken, counted and not written", source->config->name,
			   counted);
}

void source_hold(struct intake *intake, int index, enum spool_step step, const char *name, const struct error *err)
{
	struct source *source = &intake->sources[index];
	/* A file system that says no says it of every file; room is a matter of each. */
	bool said = source->held == step && (step == SPOOL_STUCK || strcmp(source->held_name, name) == 0);

	source->again_at = intake->now_ms + (step == SPOOL_FULL ? ROOM_MS : source->config->scan_ms);
	if (said)
		return;
	source->held = step;
	free(source->held_name);
	source->held_name = xstrdup(name);
	snprintf(source->held_why, sizeof(source->held_why), "%s", err->text);
	source->stored = false;
	if (step == SPOOL_STUCK) {
		struct error why = *err;

		error_prefix(&why, "nothing can be taken now, it is tried again at each scan: ");
		source_say(intake, index, LOG_ERR, why.text);
	} else {
		source_say(intake, index, LOG_WARNING, err->text);
	}
}

void source_goes_on(struct intake *intake, int index)
{
	struct source *source = &intake->sources[index];

	if (source->held != SPOOL_MORE) {
		source->stored = false;
		log_write(LOG_NOTICE, "%s: files are taken again", source->config->name);
	}
	source->held = SPOOL_MORE;
	free(source->held_name);
	source->held_name = NULL;
}

const char *source_next(const struct intake *intake, int index)
{
	const struct source *source = &intake->sources[index];

	return intake->now_ms < source->again_at ? NULL : watch_oldest(source->watch);
}

static bool is_held(const struct intake *intake, const struct source *source)
{
	return watch_oldest(source->watch) && (intake->short_of_space || (source->held != SPOOL_MORE && intake->now_ms < source->again_at));
}

bool source_is_done(const struct intake *intake, int index)
{
	const struct source *source = &intake->sources[index];

	if (!source->stored)
		return false;
	/* A directory that is not there has no file present. */
	if (source->state != WATCH_OPEN)
		return true;
	return is_held(intake, source) ? watch_settled(source->watch, intake->now_ms) : watch_done(source->watch, intake->now_ms);
}

bool source_left(const struct intake *intake, int index, struct text *ret_line)
{
	const struct source *source = &intake->sources[index];
	const char *why = "waits until min_free_space is free again", *name = NULL;

	if (is_held(intake, source)) {
		name = watch_oldest(source->watch);
		if (!intake->short_of_space) {
			text_append_string(ret_line, source->held_why);
			return true;
		}
	} else if (source->state == WATCH_OPEN) {
		name = watch_left(source->watch, &why);
	}
	if (!name)
		return false;
	text_escape(ret_line, name, strlen(name));
	text_printf(ret_line, " %s", why);
	return true;
}

int64_t source_next_ms(const struct intake *intake, int index)
{
	const struct source *source = &intake->sources[index];
	int64_t next = watch_next_ms(source->watch), count = told_next_ms(&source->told), late = late_next_ms(&source->late);

	if (count < next)
		next = count;
	if (told_next_ms(&source->told_taken) < next)
		next = told_next_ms(&source->told_taken);
	if (late < next)
		next = late;
	if (intake->now_ms < source->again_at && source->again_at < next && watch_oldest(source->watch))
		next = source->again_at;
	return next;
}
