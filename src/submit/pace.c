#include "submit/pace.h"

#include <string.h>

static bool waits_for_command(const struct pace *pace)
{
	return pace->reason == PACE_OPERATOR || pace->reason == PACE_RESTORED;
}

struct pace pace_new(int concurrency, double rate, int64_t first_ms, int64_t most_ms)
{
	return (struct pace){
		.state = PACE_OPEN,
		.first_ms = first_ms,
		.most_ms = most_ms,
		.speed = speed_new(concurrency, rate, first_ms),
	};
}

void pace_after_crash(struct pace *pace)
{
	speed_begin_slowly(&pace->speed, false);
}

int64_t pace_backoff_ms(int64_t first_ms, int64_t most_ms, int step, double random)
{
	int64_t longest = most_ms, part;

	/* Compared by shifting down, since first * 2^step may not fit. */
	if (step < 63 && first_ms <= most_ms >> (step > 0 ? step : 0))
		longest = first_ms << (step > 0 ? step : 0);
	part = longest - (int64_t)(random * (double)longest);
	return part < 1 ? 1 : part;
}

static void forget_answers(struct pace *pace)
{
	pace->busy = pace->broken = 0;
	memset(pace->suspicions, 0, sizeof(pace->suspicions));
}

/* Begins a pause of the endpoint's own, or the next one where a probe has failed. */
static void pause_for(struct pace *pace, enum pace_reason reason, int64_t least_ms, int64_t now_ms, double random)
{
	int64_t pause = pace_backoff_ms(pace->first_ms, pace->most_ms, pace->step, random);

	pace->overwhelmed = pace->overwhelmed && pace->state != PACE_OPEN;
	pace->state = PACE_PAUSED;
	pace->reason = reason;
	pace->until_ms = now_ms + (least_ms > pause ? least_ms : pause);
	if (pace->step < INT32_MAX)
		pace->step++;
	forget_answers(pace);
}

static void open_slowly(struct pace *pace)
{
	pace->state = PACE_OPEN;
	pace->reason = PACE_NO_REASON;
	pace->until_ms = 0;
	pace->step = 0;
	forget_answers(pace);
	speed_begin_slowly(&pace->speed, pace->overwhelmed);
	pace->overwhelmed = false;
}

/* True when so many cards running have said the same, or one often enough that nothing good can have come in between for long. */
static bool is_believed(struct pace_suspicion *suspicion, uint64_t card, int witnesses)
{
	bool known = false;

	for (int i = 0; i < suspicion->n_cards; i++)
		known = known || suspicion->cards[i] == card;
	if (!known && suspicion->n_cards < PACE_MOST_WITNESSES)
		suspicion->cards[suspicion->n_cards++] = card;
	return suspicion->n_cards >= witnesses || ++suspicion->told >= PACE_REPEATED;
}

/* How the health of an answer is called as the reason of a pause. */
static enum pace_reason reason_of(enum track_health health)
{
	switch (health) {
	case TRACK_HEALTH_GOOD: return PACE_NO_REASON;
	case TRACK_HEALTH_TOKEN:
	case TRACK_HEALTH_FORBIDDEN: return PACE_CREDENTIALS;
	case TRACK_HEALTH_BUSY:
	case TRACK_HEALTH_BROKEN:
	case TRACK_HEALTH_SLOW:
	case TRACK_HEALTH_UNREACHABLE: return PACE_OUTAGE;
	case TRACK_HEALTH_CERTIFICATE: return PACE_CERTIFICATE;
	case TRACK_HEALTH_REDIRECT: return PACE_REDIRECT;
	case TRACK_HEALTH_PROXY: return PACE_PROXY;
	}
	return PACE_OUTAGE;
}

/* A card that is told so time and again may be the only one: what is too much for the endpoint, others show as well. */
static void slow_down(struct pace *pace, const struct pace_event *event)
{
	if (!event->again)
		speed_busy(&pace->speed);
}

/* Whether an open endpoint is to be paused for this answer. */
static bool is_trouble(struct pace *pace, const struct pace_event *event)
{
	struct pace_suspicion *suspicion;

	if ((size_t)event->health >= TRACK_N_HEALTHS)
		return false;
	suspicion = &pace->suspicions[event->health];
	switch (event->health) {
	case TRACK_HEALTH_GOOD:
		forget_answers(pace);
		speed_good(&pace->speed);
		return false;
	case TRACK_HEALTH_TOKEN: return event->token_was_fresh && is_believed(suspicion, event->card, 2);
	case TRACK_HEALTH_FORBIDDEN: return is_believed(suspicion, event->card, 3);
	case TRACK_HEALTH_BUSY:
		slow_down(pace, event);
		/* Turning away is quicker than answering: good answers may still come, and then it was only too much. */
		return ++pace->busy >= PACE_REPEATED && event->under_way == 0;
	case TRACK_HEALTH_SLOW: slow_down(pace, event); return ++pace->broken >= PACE_REPEATED;
	case TRACK_HEALTH_BROKEN: return ++pace->broken >= PACE_REPEATED;
	case TRACK_HEALTH_UNREACHABLE:
	case TRACK_HEALTH_CERTIFICATE:
	case TRACK_HEALTH_REDIRECT:
	case TRACK_HEALTH_PROXY: return is_believed(suspicion, event->card, 2);
	}
	return false;
}

/* A request that was under way when the pause began tells of the same trouble, not of a new one. True where it lengthens the pause. */
static bool take_late_answer(struct pace *pace, const struct pace_event *event)
{
	if (waits_for_command(pace))
		return false;
	if (event->health == TRACK_HEALTH_GOOD && pace->reason == PACE_OUTAGE)
		pace->overwhelmed = true;
	if (event->retry_after_ms <= 0 || event->now_ms + event->retry_after_ms <= pace->until_ms)
		return false;
	pace->until_ms = event->now_ms + event->retry_after_ms;
	return true;
}

bool pace_answered(struct pace *pace, const struct pace_event *event)
{
	bool trouble = false;

	switch (pace->state) {
	case PACE_OPEN: trouble = is_trouble(pace, event); break;
	case PACE_PROBING:
		/* A 401 on a token that had been good merely asks for a new one. */
		if (event->health == TRACK_HEALTH_TOKEN && !event->token_was_fresh)
			return false;
		if (event->health == TRACK_HEALTH_GOOD) {
			open_slowly(pace);
			return true;
		}
		trouble = true;
		break;
	case PACE_PAUSED: return take_late_answer(pace, event);
	}
	if (!trouble)
		return false;
	pause_for(pace, reason_of(event->health), event->retry_after_ms, event->now_ms, event->random);
	return true;
}

bool pace_trouble(struct pace *pace, enum pace_reason reason, int64_t now_ms, double random)
{
	if (pace->state == PACE_PAUSED && (waits_for_command(pace) || now_ms < pace->until_ms))
		return false;
	pause_for(pace, reason, -1, now_ms, random);
	return true;
}

static int allowed(const struct pace *pace)
{
	switch (pace->state) {
	case PACE_OPEN: return pace->speed.level;
	case PACE_PROBING: return 1;
	case PACE_PAUSED: return 0;
	}
	return 0;
}

int pace_free_slots(struct pace *pace, int in_flight, int64_t now_ms, bool *ret_changed)
{
	/* What is still under way must end first: otherwise its answer would be taken for the probe's. */
	*ret_changed = pace->state == PACE_PAUSED && !waits_for_command(pace) && now_ms >= pace->until_ms && in_flight == 0;
	if (*ret_changed)
		pace->state = PACE_PROBING;
	return speed_slots(&pace->speed, allowed(pace), in_flight, now_ms);
}

void pace_took(struct pace *pace, int n, int64_t now_ms)
{
	speed_took(&pace->speed, n, now_ms);
}

int64_t pace_next_ms(const struct pace *pace, int in_flight, int64_t now_ms)
{
	if (pace->state == PACE_PAUSED) {
		if (waits_for_command(pace) || in_flight > 0)
			return INT64_MAX;
		return pace->until_ms > now_ms ? pace->until_ms : now_ms;
	}
	return speed_next_ms(&pace->speed, allowed(pace), in_flight, now_ms);
}

void pace_pause(struct pace *pace, enum pace_reason reason)
{
	pace->state = PACE_PAUSED;
	pace->reason = reason;
	pace->until_ms = 0;
	pace->step = 0;
	forget_answers(pace);
}

void pace_resume(struct pace *pace)
{
	if (pace->state != PACE_PAUSED)
		return;
	if (waits_for_command(pace)) {
		open_slowly(pace);
	} else {
		/* Whether the trouble is over, one row has to show. */
		pace->until_ms = 0;
		pace->step = 0;
	}
}

const char *pace_state_name(enum pace_state state)
{
	switch (state) {
	case PACE_OPEN: return "open";
	case PACE_PAUSED: return "paused";
	case PACE_PROBING: return "probing";
	}
	return "";
}

static const char *const reason_names[] = {
	[PACE_NO_REASON] = "",        [PACE_OUTAGE] = "outage", [PACE_CREDENTIALS] = "credentials", [PACE_CERTIFICATE] = "certificate",
	[PACE_REDIRECT] = "redirect", [PACE_PROXY] = "proxy",   [PACE_OPERATOR] = "operator",       [PACE_RESTORED] = "restored",
};

const char *pace_reason_name(enum pace_reason reason)
{
	return (size_t)reason <= PACE_RESTORED ? reason_names[reason] : "";
}

bool pace_reason_parse(const char *name, enum pace_reason *ret_reason)
{
	for (enum pace_reason reason = PACE_NO_REASON; reason <= PACE_RESTORED; reason++) {
		if (strcmp(name, reason_names[reason]) == 0) {
			*ret_reason = reason;
			return true;
		}
	}
	return false;
}
