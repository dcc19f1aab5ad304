#include "submit/pace.h"

#include <math.h>
#include <string.h>

static bool waits_for_command(const struct pace *pace)
{
	return pace->reason == PACE_OPERATOR || pace->reason == PACE_RESTORED;
}

static double burst(const struct pace *pace)
{
	return pace->rate > 10 ? pace->rate / 10 : 1;
}

struct pace pace_new(int concurrency, double rate, int64_t first_ms, int64_t most_ms)
{
	struct pace pace = {
		.state = PACE_OPEN,
		.first_ms = first_ms,
		.most_ms = most_ms,
		.most = concurrency,
		.level = concurrency,
		.rate = rate,
	};

	pace.tokens = burst(&pace);
	return pace;
}

static void begin_slowly(struct pace *pace)
{
	pace->level = 1;
	pace->slow_start = true;
	pace->good_since_growth = 0;
}

void pace_after_crash(struct pace *pace)
{
	begin_slowly(pace);
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
	pace->busy = pace->broken = pace->forbidden = pace->unauthorized = 0;
}

/* Begins a pause of the endpoint's own, or the next one where a probe has failed. */
static void pause_for(struct pace *pace, enum pace_reason reason, int64_t least_ms, int64_t now_ms, double random)
{
	int64_t pause = pace_backoff_ms(pace->first_ms, pace->most_ms, pace->step, random);

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
	begin_slowly(pace);
}

static void grow(struct pace *pace)
{
	if (++pace->good_since_growth < pace->level)
		return;
	pace->good_since_growth = 0;
	if (pace->level > pace->most / 2 && pace->slow_start)
		pace->level = pace->most;
	else if (pace->level < pace->most)
		pace->level = pace->slow_start ? pace->level * 2 : pace->level + 1;
}

/* True when this is the third card running. */
static bool count_forbidden(struct pace *pace, uint64_t card)
{
	for (int i = 0; i < pace->forbidden; i++) {
		if (pace->forbidden_cards[i] == card)
			return false;
	}
	pace->forbidden_cards[pace->forbidden++] = card;
	return pace->forbidden == PACE_FORBIDDEN_CARDS;
}

/* True when a second card is told so. A card that is alone in the queue would fetch tokens for ever, so that one ends it as well. */
static bool count_unauthorized(struct pace *pace, uint64_t card)
{
	if (pace->unauthorized == 0)
		pace->unauthorized_card = card;
	pace->unauthorized++;
	return pace->unauthorized_card != card || pace->unauthorized == PACE_REPEATED;
}

static void slow_down(struct pace *pace)
{
	pace->level = pace->level > 1 ? pace->level / 2 : 1;
	pace->slow_start = false;
	pace->good_since_growth = 0;
}

/* What an open endpoint's answer asks for: PACE_NO_REASON to go on, else the reason of a pause. */
static enum pace_reason trouble_when_open(struct pace *pace, const struct pace_event *event)
{
	switch (event->health) {
	case TRACK_HEALTH_GOOD:
		forget_answers(pace);
		grow(pace);
		return PACE_NO_REASON;
	case TRACK_HEALTH_TOKEN: return event->token_was_fresh && count_unauthorized(pace, event->card) ? PACE_CREDENTIALS : PACE_NO_REASON;
	case TRACK_HEALTH_FORBIDDEN: return count_forbidden(pace, event->card) ? PACE_CREDENTIALS : PACE_NO_REASON;
	case TRACK_HEALTH_BUSY: slow_down(pace); return ++pace->busy == PACE_REPEATED ? PACE_OUTAGE : PACE_NO_REASON;
	case TRACK_HEALTH_BROKEN: return ++pace->broken == PACE_REPEATED ? PACE_OUTAGE : PACE_NO_REASON;
	case TRACK_HEALTH_UNREACHABLE: return PACE_OUTAGE;
	case TRACK_HEALTH_CERTIFICATE: return PACE_CERTIFICATE;
	case TRACK_HEALTH_REDIRECT: return PACE_REDIRECT;
	case TRACK_HEALTH_PROXY: return PACE_PROXY;
	}
	return PACE_NO_REASON;
}

/* What one probe alone says against opening. A 401 on a token that had been good merely asks for a new one: *ret_decided is false. */
static enum pace_reason trouble_of_probe(const struct pace_event *event, bool *ret_decided)
{
	*ret_decided = true;
	switch (event->health) {
	case TRACK_HEALTH_GOOD: return PACE_NO_REASON;
	case TRACK_HEALTH_TOKEN: *ret_decided = event->token_was_fresh; return PACE_CREDENTIALS;
	case TRACK_HEALTH_FORBIDDEN: return PACE_CREDENTIALS;
	case TRACK_HEALTH_BUSY:
	case TRACK_HEALTH_BROKEN:
	case TRACK_HEALTH_UNREACHABLE: return PACE_OUTAGE;
	case TRACK_HEALTH_CERTIFICATE: return PACE_CERTIFICATE;
	case TRACK_HEALTH_REDIRECT: return PACE_REDIRECT;
	case TRACK_HEALTH_PROXY: return PACE_PROXY;
	}
	return PACE_OUTAGE;
}

bool pace_answered(struct pace *pace, const struct pace_event *event)
{
	enum pace_reason reason = PACE_NO_REASON;
	bool decided = true;

	switch (pace->state) {
	case PACE_OPEN: reason = trouble_when_open(pace, event); break;
	case PACE_PROBING:
		reason = trouble_of_probe(event, &decided);
		if (!decided)
			return false;
		if (reason == PACE_NO_REASON) {
			open_slowly(pace);
			return true;
		}
		break;
	case PACE_PAUSED:
		/* A request that was under way when the pause began: the same trouble, not a new one. */
		if (!waits_for_command(pace) && event->now_ms + event->retry_after_ms > pace->until_ms && event->retry_after_ms > 0)
			pace->until_ms = event->now_ms + event->retry_after_ms;
		return false;
	}
	if (reason == PACE_NO_REASON)
		return false;
	pause_for(pace, reason, event->retry_after_ms, event->now_ms, event->random);
	return true;
}

bool pace_trouble(struct pace *pace, enum pace_reason reason, int64_t now_ms, double random)
{
	if (pace->state == PACE_PAUSED && (waits_for_command(pace) || now_ms < pace->until_ms))
		return false;
	pause_for(pace, reason, -1, now_ms, random);
	return true;
}

static double tokens_at(const struct pace *pace, int64_t now_ms)
{
	double tokens = pace->tokens;

	if (now_ms > pace->filled_ms)
		tokens += (double)(now_ms - pace->filled_ms) * pace->rate / 1000;
	return tokens < burst(pace) ? tokens : burst(pace);
}

/* How many of the wanted requests the bucket has; what rounding took from the last one does not count. */
static int within_rate(const struct pace *pace, int wanted, int64_t now_ms)
{
	double whole = floor(tokens_at(pace, now_ms) + 1e-6);

	if (pace->rate <= 0 || whole >= wanted)
		return wanted;
	return whole > 0 ? (int)whole : 0;
}

static int allowed(const struct pace *pace)
{
	switch (pace->state) {
	case PACE_OPEN: return pace->level;
	case PACE_PROBING: return 1;
	case PACE_PAUSED: return 0;
	}
	return 0;
}

int pace_free_slots(struct pace *pace, int in_flight, int64_t now_ms, bool *ret_changed)
{
	int slots;

	/* What is still under way must end first: otherwise its answer would be taken for the probe's. */
	*ret_changed = pace->state == PACE_PAUSED && !waits_for_command(pace) && now_ms >= pace->until_ms && in_flight == 0;
	if (*ret_changed)
		pace->state = PACE_PROBING;
	slots = allowed(pace) - in_flight;
	return slots > 0 ? within_rate(pace, slots, now_ms) : 0;
}

void pace_took(struct pace *pace, int n, int64_t now_ms)
{
	pace->tokens = tokens_at(pace, now_ms) - n;
	pace->filled_ms = now_ms;
}

int64_t pace_next_ms(const struct pace *pace, int in_flight, int64_t now_ms)
{
	if (pace->state == PACE_PAUSED) {
		if (waits_for_command(pace) || in_flight > 0)
			return INT64_MAX;
		return pace->until_ms > now_ms ? pace->until_ms : now_ms;
	}
	if (in_flight >= allowed(pace))
		return INT64_MAX;
	if (within_rate(pace, 1, now_ms) > 0)
		return now_ms;
	return now_ms + (int64_t)ceil((1 - tokens_at(pace, now_ms)) / pace->rate * 1000);
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
