#include "submit/pace.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

enum { FIRST = 1000, MOST = 15 * 60 * 1000, HOUR = 3600 * 1000 };

static const int64_t start = INT64_C(1795341600000);

/* A pace with its clock, and what a caller has under way. */
struct bench {
	struct pace pace;
	int64_t now;
	int in_flight;
	unsigned short seed[3];
};

static struct bench bench_new(int concurrency)
{
	return (struct bench){ .pace = pace_new(concurrency, 0, FIRST, MOST), .now = start, .seed = { 1, 2, 3 } };
}

static int take(struct bench *bench)
{
	bool changed;
	int slots = pace_free_slots(&bench->pace, bench->in_flight, bench->now, &changed);

	pace_took(&bench->pace, slots, bench->now);
	bench->in_flight += slots;
	return slots;
}

static bool tell(struct bench *bench, struct pace_event event)
{
	event.now_ms = bench->now;
	event.under_way = bench->in_flight > 0 ? bench->in_flight - 1 : 0;
	event.random = erand48(bench->seed);
	if (bench->in_flight > 0)
		bench->in_flight--;
	return pace_answered(&bench->pace, &event);
}

/* An answer of a card of its own. */
static bool answer(struct bench *bench, enum track_health health)
{
	static uint64_t card;

	return tell(bench, (struct pace_event){ .health = health, .card = ++card, .retry_after_ms = -1 });
}

static bool answer_of_card(struct bench *bench, enum track_health health, uint64_t card, bool token_was_fresh)
{
	return tell(bench, (struct pace_event){ .health = health, .card = card, .token_was_fresh = token_was_fresh, .retry_after_ms = -1 });
}

static void assert_state(const struct bench *bench, enum pace_state state, enum pace_reason reason)
{
	assert_int_equal(bench->pace.state, state);
	assert_int_equal(bench->pace.reason, reason);
}

/* Lets the pause pass and sends the probe. */
static void probe(struct bench *bench)
{
	bench->now = bench->pace.until_ms;
	assert_int_equal(take(bench), 1);
	assert_int_equal(bench->pace.state, PACE_PROBING);
}

static struct bench bench_paused(void)
{
	struct bench bench = bench_new(8);

	assert_false(answer(&bench, TRACK_HEALTH_UNREACHABLE));
	assert_true(answer(&bench, TRACK_HEALTH_UNREACHABLE));
	return bench;
}

static struct bench bench_probing(void)
{
	struct bench bench = bench_paused();

	probe(&bench);
	return bench;
}

static void a_new_endpoint_is_open_at_its_full_concurrency(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	assert_state(&bench, PACE_OPEN, PACE_NO_REASON);
	assert_int_equal(take(&bench), 8);
	assert_int_equal(take(&bench), 0);
	assert_int_equal(pace_next_ms(&bench.pace, 8, bench.now), INT64_MAX);
	assert_int_equal(pace_next_ms(&bench.pace, 7, bench.now), bench.now);
}

static void after_a_crash_one_request_goes_and_the_level_doubles(void **state)
{
	static const int levels[] = { 1, 2, 4, 8, 16, 20, 20 };
	struct bench bench = bench_new(20);

	(void)state;
	pace_after_crash(&bench.pace);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		assert_int_equal(take(&bench), levels[i]);
		while (bench.in_flight > 0)
			assert_false(answer(&bench, TRACK_HEALTH_GOOD));
	}
}

static void four_503_running_slow_down_and_the_fifth_pauses(void **state)
{
	static const int levels[] = { 3, 2, 1, 1 };
	struct bench bench = bench_new(4);

	(void)state;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		assert_false(answer(&bench, TRACK_HEALTH_BUSY));
		assert_int_equal(bench.pace.speed.level, levels[i]);
	}
	assert_true(answer(&bench, TRACK_HEALTH_BUSY));
	assert_state(&bench, PACE_PAUSED, PACE_OUTAGE);
	assert_int_equal(bench.pace.speed.level, 1);
}

static void a_good_answer_between_them_starts_the_count_anew(void **state)
{
	static const enum track_health kinds[] = { TRACK_HEALTH_BUSY, TRACK_HEALTH_BROKEN };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct bench bench = bench_new(4);

		for (int k = 0; k < 100; k++)
			assert_false(answer(&bench, k % PACE_REPEATED == PACE_REPEATED - 1 ? TRACK_HEALTH_GOOD : kinds[i]));
		assert_state(&bench, PACE_OPEN, PACE_NO_REASON);
	}
}

static void other_trouble_between_them_does_not_start_the_count_anew(void **state)
{
	struct bench bench = bench_new(4);

	(void)state;
	for (int k = 0; k < 4; k++) {
		assert_false(answer(&bench, TRACK_HEALTH_BUSY));
		assert_false(answer(&bench, TRACK_HEALTH_BROKEN));
	}
	assert_true(answer(&bench, TRACK_HEALTH_BUSY));
}

static void a_card_that_is_told_so_again_does_not_slow_down(void **state)
{
	struct bench bench = bench_new(16);

	(void)state;
	for (int k = 0; k < 1000; k++) {
		assert_false(tell(&bench, (struct pace_event){ .health = k % 2 ? TRACK_HEALTH_BUSY : TRACK_HEALTH_SLOW, .again = true }));
		assert_false(answer(&bench, TRACK_HEALTH_GOOD));
	}
	assert_int_equal(bench.pace.speed.level, 16);
	for (int k = 1; k < PACE_REPEATED; k++)
		assert_false(tell(&bench, (struct pace_event){ .health = TRACK_HEALTH_BUSY, .again = true }));
	assert_true(tell(&bench, (struct pace_event){ .health = TRACK_HEALTH_BUSY, .again = true }));
	assert_state(&bench, PACE_PAUSED, PACE_OUTAGE);
}

static void five_unknown_outcomes_running_pause(void **state)
{
	struct bench bench = bench_new(16);

	(void)state;
	for (int k = 0; k < 4; k++)
		assert_false(answer(&bench, TRACK_HEALTH_BROKEN));
	assert_int_equal(bench.pace.speed.level, 16);
	assert_true(answer(&bench, TRACK_HEALTH_BROKEN));
	assert_state(&bench, PACE_PAUSED, PACE_OUTAGE);
}

static void what_takes_too_long_slows_down_as_well(void **state)
{
	struct bench bench = bench_new(16);

	(void)state;
	assert_false(answer(&bench, TRACK_HEALTH_SLOW));
	assert_int_equal(bench.pace.speed.level, 15);
	for (int k = 0; k < 3; k++)
		assert_false(answer(&bench, k % 2 ? TRACK_HEALTH_SLOW : TRACK_HEALTH_BROKEN));
	assert_true(answer(&bench, TRACK_HEALTH_SLOW));
	assert_state(&bench, PACE_PAUSED, PACE_OUTAGE);
}

static const struct {
	enum track_health health;
	enum pace_reason reason;
} witnessed[] = {
	{ TRACK_HEALTH_UNREACHABLE, PACE_OUTAGE },
	{ TRACK_HEALTH_CERTIFICATE, PACE_CERTIFICATE },
	{ TRACK_HEALTH_REDIRECT, PACE_REDIRECT },
	{ TRACK_HEALTH_PROXY, PACE_PROXY },
};

static void some_troubles_pause_when_a_second_card_says_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(witnessed) / sizeof(witnessed[0]); i++) {
		struct bench bench = bench_new(16);

		assert_false(answer(&bench, witnessed[i].health));
		assert_state(&bench, PACE_OPEN, PACE_NO_REASON);
		assert_true(answer(&bench, witnessed[i].health));
		assert_state(&bench, PACE_PAUSED, witnessed[i].reason);
		assert_int_equal(take(&bench), 0);
	}
}

static void one_card_alone_pauses_only_where_nothing_good_comes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(witnessed) / sizeof(witnessed[0]); i++) {
		struct bench bench = bench_new(16);

		for (int k = 0; k < 100; k++) {
			assert_false(answer_of_card(&bench, witnessed[i].health, 7, false));
			assert_false(answer(&bench, TRACK_HEALTH_GOOD));
		}
		for (int k = 1; k < PACE_REPEATED; k++)
			assert_false(answer_of_card(&bench, witnessed[i].health, 7, false));
		assert_true(answer_of_card(&bench, witnessed[i].health, 7, false));
		assert_state(&bench, PACE_PAUSED, witnessed[i].reason);
	}
}

static void two_cards_refused_with_a_fresh_token_pause_for_credentials(void **state)
{
	struct bench bench = bench_new(4);

	(void)state;
	assert_false(answer_of_card(&bench, TRACK_HEALTH_TOKEN, 1, true));
	assert_false(answer_of_card(&bench, TRACK_HEALTH_TOKEN, 1, true));
	assert_true(answer_of_card(&bench, TRACK_HEALTH_TOKEN, 2, true));
	assert_state(&bench, PACE_PAUSED, PACE_CREDENTIALS);
}

static void a_401_on_a_token_that_was_good_before_counts_nothing(void **state)
{
	struct bench bench = bench_new(4);

	(void)state;
	for (int k = 0; k < 100; k++)
		assert_false(answer(&bench, TRACK_HEALTH_TOKEN));
	assert_state(&bench, PACE_OPEN, PACE_NO_REASON);
}

static void a_good_answer_between_two_401_starts_the_count_anew(void **state)
{
	struct bench bench = bench_new(4);

	(void)state;
	for (uint64_t card = 1; card < 20; card++) {
		assert_false(answer_of_card(&bench, TRACK_HEALTH_TOKEN, card, true));
		assert_false(answer(&bench, TRACK_HEALTH_GOOD));
	}
}

static void a_card_alone_cannot_fetch_tokens_for_ever(void **state)
{
	struct bench bench = bench_new(4);

	(void)state;
	for (int k = 0; k < PACE_REPEATED - 1; k++)
		assert_false(answer_of_card(&bench, TRACK_HEALTH_TOKEN, 1, true));
	assert_true(answer_of_card(&bench, TRACK_HEALTH_TOKEN, 1, true));
	assert_state(&bench, PACE_PAUSED, PACE_CREDENTIALS);
}

static void three_cards_forbidden_running_pause_for_credentials(void **state)
{
	struct bench bench = bench_new(4);

	(void)state;
	assert_false(answer_of_card(&bench, TRACK_HEALTH_FORBIDDEN, 1, false));
	assert_false(answer_of_card(&bench, TRACK_HEALTH_FORBIDDEN, 2, false));
	assert_false(answer_of_card(&bench, TRACK_HEALTH_FORBIDDEN, 1, false));
	assert_false(answer_of_card(&bench, TRACK_HEALTH_FORBIDDEN, 2, false));
	assert_true(answer_of_card(&bench, TRACK_HEALTH_FORBIDDEN, 3, false));
	assert_state(&bench, PACE_PAUSED, PACE_CREDENTIALS);
}

static void a_good_answer_between_403_starts_the_count_anew(void **state)
{
	struct bench bench = bench_new(4);

	(void)state;
	for (uint64_t card = 1; card < 20; card++) {
		assert_false(answer_of_card(&bench, TRACK_HEALTH_FORBIDDEN, card, false));
		if (card % 2 == 0)
			assert_false(answer(&bench, TRACK_HEALTH_GOOD));
	}
}

static void many_failures_in_flight_are_one_step(void **state)
{
	struct bench bench = bench_new(64);
	int64_t until;

	(void)state;
	assert_int_equal(take(&bench), 64);
	assert_false(answer(&bench, TRACK_HEALTH_UNREACHABLE));
	assert_true(answer(&bench, TRACK_HEALTH_UNREACHABLE));
	until = bench.pace.until_ms;
	while (bench.in_flight > 0)
		assert_false(answer(&bench, bench.in_flight % 2 ? TRACK_HEALTH_UNREACHABLE : TRACK_HEALTH_REDIRECT));
	assert_state(&bench, PACE_PAUSED, PACE_OUTAGE);
	assert_int_equal(bench.pace.step, 1);
	assert_int_equal(bench.pace.until_ms, until);
}

static void a_late_good_answer_does_not_end_a_pause(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	take(&bench);
	answer(&bench, TRACK_HEALTH_UNREACHABLE);
	answer(&bench, TRACK_HEALTH_UNREACHABLE);
	assert_false(answer(&bench, TRACK_HEALTH_GOOD));
	assert_state(&bench, PACE_PAUSED, PACE_OUTAGE);
}

static void the_probe_waits_for_what_is_still_in_flight(void **state)
{
	struct bench bench = bench_new(3);

	(void)state;
	take(&bench);
	answer(&bench, TRACK_HEALTH_UNREACHABLE);
	answer(&bench, TRACK_HEALTH_UNREACHABLE);
	bench.now = bench.pace.until_ms;
	assert_int_equal(take(&bench), 0);
	assert_int_equal(bench.pace.state, PACE_PAUSED);
	assert_int_equal(pace_next_ms(&bench.pace, bench.in_flight, bench.now), INT64_MAX);
	answer(&bench, TRACK_HEALTH_BROKEN);
	assert_int_equal(pace_next_ms(&bench.pace, bench.in_flight, bench.now), bench.now);
	assert_int_equal(take(&bench), 1);
	assert_state(&bench, PACE_PROBING, PACE_OUTAGE);
}

static void a_pause_ends_at_its_time_with_one_probe(void **state)
{
	struct bench bench = bench_paused();
	bool changed = true;

	(void)state;
	assert_int_equal(pace_next_ms(&bench.pace, 0, bench.now), bench.pace.until_ms);
	bench.now = bench.pace.until_ms - 1;
	assert_int_equal(pace_free_slots(&bench.pace, 0, bench.now, &changed), 0);
	assert_false(changed);
	bench.now++;
	assert_int_equal(pace_free_slots(&bench.pace, 0, bench.now, &changed), 1);
	assert_true(changed);
	assert_int_equal(pace_free_slots(&bench.pace, 0, bench.now, &changed), 1);
	assert_false(changed);
	assert_int_equal(pace_free_slots(&bench.pace, 1, bench.now, &changed), 0);
	assert_int_equal(pace_next_ms(&bench.pace, 1, bench.now), INT64_MAX);
}

static void a_good_probe_opens_at_one_and_ramps_up_by_doubling(void **state)
{
	static const int levels[] = { 1, 2, 4, 8, 8 };
	struct bench bench = bench_probing();

	(void)state;
	assert_true(answer(&bench, TRACK_HEALTH_GOOD));
	assert_state(&bench, PACE_OPEN, PACE_NO_REASON);
	assert_int_equal(bench.pace.step, 0);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		assert_int_equal(take(&bench), levels[i]);
		while (bench.in_flight > 0)
			answer(&bench, TRACK_HEALTH_GOOD);
	}
}

static void what_was_counted_before_a_pause_is_forgotten_after_it(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	for (int k = 0; k < 4; k++)
		answer(&bench, TRACK_HEALTH_BROKEN);
	answer(&bench, TRACK_HEALTH_UNREACHABLE);
	answer(&bench, TRACK_HEALTH_UNREACHABLE);
	probe(&bench);
	answer(&bench, TRACK_HEALTH_GOOD);
	for (int k = 0; k < 4; k++)
		assert_false(answer(&bench, TRACK_HEALTH_BROKEN));
}

static void a_bad_probe_pauses_again_one_step_deeper(void **state)
{
	static const struct {
		enum track_health health;
		enum pace_reason reason;
	} cases[] = {
		{ TRACK_HEALTH_FORBIDDEN, PACE_CREDENTIALS }, { TRACK_HEALTH_BUSY, PACE_OUTAGE },
		{ TRACK_HEALTH_BROKEN, PACE_OUTAGE },         { TRACK_HEALTH_SLOW, PACE_OUTAGE },
		{ TRACK_HEALTH_UNREACHABLE, PACE_OUTAGE },    { TRACK_HEALTH_CERTIFICATE, PACE_CERTIFICATE },
		{ TRACK_HEALTH_REDIRECT, PACE_REDIRECT },     { TRACK_HEALTH_PROXY, PACE_PROXY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench bench = bench_probing();

		assert_true(answer(&bench, cases[i].health));
		assert_state(&bench, PACE_PAUSED, cases[i].reason);
		assert_int_equal(bench.pace.step, 2);
	}
}

static void a_probe_with_a_worn_token_is_no_verdict_and_with_a_fresh_one_it_is(void **state)
{
	struct bench bench = bench_probing();

	(void)state;
	assert_false(answer_of_card(&bench, TRACK_HEALTH_TOKEN, 1, false));
	assert_state(&bench, PACE_PROBING, PACE_OUTAGE);
	assert_int_equal(take(&bench), 1);
	assert_true(answer_of_card(&bench, TRACK_HEALTH_TOKEN, 1, true));
	assert_state(&bench, PACE_PAUSED, PACE_CREDENTIALS);
}

static void retry_after_is_the_least_pause(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	for (int k = 0; k < 5; k++)
		tell(&bench, (struct pace_event){ .health = TRACK_HEALTH_BUSY, .retry_after_ms = 120000 });
	assert_int_equal(bench.pace.until_ms, start + 120000);
	probe(&bench);
	tell(&bench, (struct pace_event){ .health = TRACK_HEALTH_BUSY, .retry_after_ms = HOUR });
	assert_int_equal(bench.pace.until_ms, bench.now + HOUR);
}

static void retry_after_lengthens_a_pause_and_never_shortens_it(void **state)
{
	struct bench bench = bench_paused();
	int64_t until = bench.pace.until_ms;

	(void)state;
	tell(&bench, (struct pace_event){ .health = TRACK_HEALTH_BUSY, .retry_after_ms = 0 });
	assert_int_equal(bench.pace.until_ms, until);
	assert_true(tell(&bench, (struct pace_event){ .health = TRACK_HEALTH_BUSY, .retry_after_ms = 600000 }));
	assert_int_equal(bench.pace.until_ms, start + 600000);
	tell(&bench, (struct pace_event){ .health = TRACK_HEALTH_BUSY, .retry_after_ms = 599999 });
	assert_int_equal(bench.pace.until_ms, start + 600000);
	bench.now = start + 700000;
	answer(&bench, TRACK_HEALTH_BUSY);
	tell(&bench, (struct pace_event){ .health = TRACK_HEALTH_BUSY, .retry_after_ms = 0 });
	assert_int_equal(bench.pace.until_ms, start + 600000);
}

static void trouble_with_the_token_pauses(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	assert_true(pace_trouble(&bench.pace, PACE_CREDENTIALS, bench.now, 0.5));
	assert_state(&bench, PACE_PAUSED, PACE_CREDENTIALS);
	assert_int_equal(bench.pace.until_ms, start + FIRST / 2);
	assert_false(pace_trouble(&bench.pace, PACE_OUTAGE, bench.now, 0.5));
	assert_state(&bench, PACE_PAUSED, PACE_CREDENTIALS);
	probe(&bench);
	assert_true(pace_trouble(&bench.pace, PACE_OUTAGE, bench.now, 0));
	assert_state(&bench, PACE_PAUSED, PACE_OUTAGE);
	assert_int_equal(bench.pace.until_ms, bench.now + 2 * FIRST);
}

static void trouble_with_the_token_after_a_pause_whose_probe_has_not_gone_backs_off(void **state)
{
	struct bench bench = bench_paused();

	(void)state;
	bench.now = bench.pace.until_ms;
	assert_true(pace_trouble(&bench.pace, PACE_OUTAGE, bench.now, 0));
	assert_int_equal(bench.pace.step, 2);
	assert_int_equal(bench.pace.until_ms, bench.now + 2 * FIRST);
}

static void an_operators_pause_ends_by_command_alone(void **state)
{
	static const enum pace_reason reasons[] = { PACE_OPERATOR, PACE_RESTORED };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct bench bench = bench_new(8);

		pace_pause(&bench.pace, reasons[i]);
		bench.now += INT64_C(1000) * HOUR;
		assert_int_equal(take(&bench), 0);
		assert_int_equal(pace_next_ms(&bench.pace, 0, bench.now), INT64_MAX);
		for (enum track_health health = TRACK_HEALTH_GOOD; health <= TRACK_HEALTH_PROXY; health++)
			assert_false(tell(&bench, (struct pace_event){ .health = health, .retry_after_ms = 1000 }));
		assert_false(pace_trouble(&bench.pace, PACE_OUTAGE, bench.now, 0.5));
		assert_state(&bench, PACE_PAUSED, reasons[i]);
		assert_int_equal(bench.pace.until_ms, 0);
		pace_resume(&bench.pace);
		assert_state(&bench, PACE_OPEN, PACE_NO_REASON);
		assert_int_equal(take(&bench), 1);
	}
}

static void an_operator_overrides_a_pause_of_the_endpoints_own(void **state)
{
	struct bench bench = bench_paused();

	(void)state;
	pace_pause(&bench.pace, PACE_OPERATOR);
	bench.now += HOUR;
	assert_int_equal(take(&bench), 0);
	assert_state(&bench, PACE_PAUSED, PACE_OPERATOR);
}

static void resuming_an_endpoints_own_pause_probes_at_once(void **state)
{
	struct bench bench = bench_paused();

	(void)state;
	pace_resume(&bench.pace);
	assert_int_equal(take(&bench), 1);
	assert_state(&bench, PACE_PROBING, PACE_OUTAGE);
	assert_true(answer(&bench, TRACK_HEALTH_UNREACHABLE));
	assert_int_equal(bench.pace.step, 1);
}

static void resuming_what_is_not_paused_changes_nothing(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	pace_resume(&bench.pace);
	assert_int_equal(take(&bench), 8);
	bench = bench_probing();
	pace_resume(&bench.pace);
	assert_state(&bench, PACE_PROBING, PACE_OUTAGE);
}

static void a_pause_read_back_after_a_restart_goes_on(void **state)
{
	struct bench bench = bench_new(8), before = bench_probing();

	(void)state;
	answer(&before, TRACK_HEALTH_UNREACHABLE);
	bench.pace.state = before.pace.state;
	bench.pace.reason = before.pace.reason;
	bench.pace.until_ms = before.pace.until_ms;
	bench.pace.step = before.pace.step;
	assert_int_equal(take(&bench), 0);
	probe(&bench);
	answer(&bench, TRACK_HEALTH_UNREACHABLE);
	assert_int_equal(bench.pace.step, 3);
}

/* A server to send to, and what it has seen. */
struct server {
	enum track_health trouble; /* of every answer, or TRACK_HEALTH_GOOD */
	int most_at_once;          /* more are turned away; 0: no limit */
	double a_second;           /* likewise, with a burst of a tenth of it */
	int one_in;                /* one in so many is turned away; 0: none */
	int64_t takes_ms;          /* a good answer */
	int64_t served;
	double tokens;
	int64_t filled;
	int at_once, good, turned_away, pauses;
	int64_t first_good, full_level; /* when */
};

struct request {
	int64_t ends;
	uint64_t card;
	enum track_health health;
};

static enum track_health serve(struct server *server, int64_t now)
{
	double burst = server->a_second / 10 > 1 ? server->a_second / 10 : 1;

	server->tokens += (double)(now - server->filled) * server->a_second / 1000;
	server->tokens = server->tokens < burst ? server->tokens : burst;
	server->filled = now;
	if (server->trouble != TRACK_HEALTH_GOOD)
		return server->trouble;
	/* Spread, but not evenly. */
	if (server->one_in && server->served++ * 7919 % server->one_in == 0)
		return TRACK_HEALTH_BUSY;
	if ((server->most_at_once && server->at_once >= server->most_at_once) || (server->a_second > 0 && server->tokens < 1))
		return TRACK_HEALTH_BUSY;
	server->tokens--;
	server->at_once++;
	return TRACK_HEALTH_GOOD;
}

static void end(struct bench *bench, struct server *server, const struct request *request)
{
	enum pace_state before = bench->pace.state;
	bool good = request->health == TRACK_HEALTH_GOOD;

	server->at_once -= good;
	server->good += good;
	server->turned_away += !good;
	if (good && !server->first_good)
		server->first_good = bench->now;
	tell(bench, (struct pace_event){ .health = request->health, .card = request->card, .retry_after_ms = -1 });
	server->pauses += before == PACE_OPEN && bench->pace.state == PACE_PAUSED;
	if (good && bench->pace.speed.level == bench->pace.speed.most && !server->full_level)
		server->full_level = bench->now;
}

/* Sends rows without end to the server for so long. */
static void simulate(struct bench *bench, struct server *server, int64_t how_long)
{
	static uint64_t card;
	static struct request under_way[1024];
	int64_t stop = bench->now + how_long;
	int n = 0;

	while (bench->now < stop) {
		int64_t next;

		for (int slots = take(bench); slots > 0; slots--) {
			enum track_health health = serve(server, bench->now);
			int64_t takes = health == TRACK_HEALTH_GOOD ? server->takes_ms : 2;

			under_way[n++] = (struct request){ bench->now + takes, ++card, health };
		}
		next = pace_next_ms(&bench->pace, bench->in_flight, bench->now);
		for (int i = 0; i < n; i++)
			next = under_way[i].ends < next ? under_way[i].ends : next;
		bench->now = next < stop ? next : stop;
		for (int i = 0; i < n;) {
			if (under_way[i].ends > bench->now) {
				i++;
				continue;
			}
			end(bench, server, &under_way[i]);
			under_way[i] = under_way[--n];
		}
	}
	bench->in_flight = server->at_once = 0;
}

static void an_hour_of_trouble_costs_few_requests(void **state)
{
	static const enum track_health kinds[] = { TRACK_HEALTH_BUSY, TRACK_HEALTH_SLOW, TRACK_HEALTH_BROKEN, TRACK_HEALTH_UNREACHABLE };
	int most = 0, sum = 0, over = 0;

	(void)state;
	for (unsigned short seed = 0; seed < 2000; seed++) {
		struct server server = { .trouble = kinds[seed % 4], .takes_ms = 20 };
		struct bench bench = bench_new(8);

		bench.seed[0] = seed;
		simulate(&bench, &server, HOUR);
		assert_true(server.turned_away >= 8);
		sum += server.turned_away;
		most = server.turned_away > most ? server.turned_away : most;
		over += server.turned_away > 30;
	}
	print_message("an hour of trouble: %.1f requests on average, %d at most, %d of 2000 over 30\n", sum / 2000.0, most, over);
	assert_true(sum / 2000 <= 30);
	assert_true(most <= 50);
}

static void after_an_hour_of_trouble_full_speed_is_back_within_ten_seconds_of_the_first_good_answer(void **state)
{
	static const int concurrencies[] = { 1, 8, 64, 256, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(concurrencies) / sizeof(concurrencies[0]); i++) {
		struct bench bench = bench_new(concurrencies[i]);
		struct server server = { .trouble = TRACK_HEALTH_BUSY, .takes_ms = 80 };

		simulate(&bench, &server, HOUR);
		server.trouble = TRACK_HEALTH_GOOD;
		simulate(&bench, &server, MOST + 10000);
		assert_state(&bench, PACE_OPEN, PACE_NO_REASON);
		assert_true(server.first_good > 0);
		assert_true(server.full_level - server.first_good <= 10000);
	}
}

static void a_limit_on_requests_in_flight_is_found_and_kept(void **state)
{
	static const int limits[] = { 1, 2, 3, 7, 20, 100, 200 };

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct bench bench = bench_new(256);
		struct server server = { .most_at_once = limits[i], .takes_ms = 80 };
		int best = (int)(60000 / server.takes_ms * limits[i]);

		simulate(&bench, &server, 60000);
		server.good = server.turned_away = server.pauses = 0;
		simulate(&bench, &server, 60000);
		print_message("%d at once: %d of %d, %d turned away, %d pauses\n", limits[i], server.good, best, server.turned_away,
			      server.pauses);
		assert_true(server.good >= best * 8 / 10);
		assert_true(server.turned_away <= server.good / 20 + 5);
		assert_int_equal(server.pauses, 0);
	}
}

static void a_limit_on_requests_a_second_is_found_and_kept(void **state)
{
	static const struct {
		double a_second;
		int64_t takes_ms;
		double least, waste; /* parts */
	} limits[] = {
		{ 2, 5, .7, .1 },      { 5, 5, .7, .1 },      { 20, 5, .9, .1 },      { 100, 5, .95, .1 },
		{ 400, 5, .95, .01 },  { 1000, 5, .95, .01 }, { 20, 80, .7, .5 }, /* between one and two in flight */
		{ 100, 80, .95, .01 }, { 300, 80, .95, .01 }, { 1000, 80, .95, .01 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct bench bench = bench_new(256);
		struct server server = { .a_second = limits[i].a_second, .takes_ms = limits[i].takes_ms };

		simulate(&bench, &server, 60000);
		server.good = server.turned_away = server.pauses = 0;
		simulate(&bench, &server, 60000);
		print_message("%.0f a second, %d ms: %d of %.0f, %d turned away, %d pauses\n", limits[i].a_second, (int)limits[i].takes_ms,
			      server.good, 60 * limits[i].a_second, server.turned_away, server.pauses);
		assert_true(server.good >= 60 * limits[i].a_second * limits[i].least);
		assert_true(server.turned_away <= server.good * limits[i].waste + 5);
		assert_int_equal(server.pauses, 0);
	}
}

/* One in forty is turned away, whatever is in flight: nothing is won by sending less. */
static void trouble_that_has_nothing_to_do_with_the_load_leaves_some_speed(void **state)
{
	struct bench bench = bench_new(64);
	struct server server = { .takes_ms = 20, .one_in = 40 };

	(void)state;
	simulate(&bench, &server, 60000);
	server.good = server.turned_away = server.pauses = 0;
	simulate(&bench, &server, 60000);
	print_message("one in 40: %d of %d, %d turned away, %d pauses\n", server.good, 60000 / 20 * 64, server.turned_away, server.pauses);
	assert_true(server.good >= 60000 / 20 * 8);
	assert_int_equal(server.pauses, 0);
}

static void a_limit_that_is_lifted_is_noticed(void **state)
{
	struct bench bench = bench_new(64);
	struct server server = { .most_at_once = 10, .takes_ms = 80 };

	(void)state;
	simulate(&bench, &server, 600000);
	assert_in_range(bench.pace.speed.level, 5, 11);
	server.most_at_once = 0;
	simulate(&bench, &server, 60000);
	assert_int_equal(bench.pace.speed.level, 64);
}

static void backoff_doubles_and_stays_between_one_and_the_most(void **state)
{
	static const double almost_one = 1 - 0x1p-53;

	(void)state;
	assert_int_equal(pace_backoff_ms(1000, 900000, 0, 0), 1000);
	assert_int_equal(pace_backoff_ms(1000, 900000, 1, 0), 2000);
	assert_int_equal(pace_backoff_ms(1000, 900000, 9, 0), 512000);
	assert_int_equal(pace_backoff_ms(1000, 900000, 10, 0), 900000);
	assert_int_equal(pace_backoff_ms(1000, 900000, 3, 0.5), 4000);
	assert_int_equal(pace_backoff_ms(5000, 1000, 0, 0), 1000);
	for (int step = 0; step < 80; step++) {
		assert_int_equal(pace_backoff_ms(1000, 900000, step, almost_one), 1);
		assert_in_range(pace_backoff_ms(1000, 900000, step, 0.999), 1, 900);
	}
	assert_int_equal(pace_backoff_ms(0, 0, 0, 0), 1);
}

static void backoff_survives_any_step(void **state)
{
	(void)state;
	assert_int_equal(pace_backoff_ms(1000, 900000, 62, 0), 900000);
	assert_int_equal(pace_backoff_ms(1000, 900000, 63, 0), 900000);
	assert_int_equal(pace_backoff_ms(1000, 900000, 64, 0), 900000);
	assert_int_equal(pace_backoff_ms(1000, 900000, INT32_MAX, 0), 900000);
	assert_int_equal(pace_backoff_ms(1000, 900000, -1, 0), 1000);
	assert_int_equal(pace_backoff_ms(1000, 900000, INT32_MIN, 0), 1000);
}

static void the_step_stops_at_its_greatest(void **state)
{
	struct bench bench = bench_probing();

	(void)state;
	bench.pace.step = INT32_MAX;
	answer(&bench, TRACK_HEALTH_UNREACHABLE);
	assert_int_equal(bench.pace.step, INT32_MAX);
	assert_in_range(bench.pace.until_ms, bench.now + 1, bench.now + MOST);
}

static void the_rate_is_kept_and_its_burst_is_a_tenth_of_a_second(void **state)
{
	struct bench bench = bench_new(1000);
	int sent = 0;

	(void)state;
	bench.pace = pace_new(1000, 100, FIRST, MOST);
	assert_int_equal(take(&bench), 10);
	assert_int_equal(take(&bench), 0);
	assert_int_equal(pace_next_ms(&bench.pace, 10, bench.now), bench.now + 10);
	for (int64_t end = bench.now + 10000; bench.now < end;) {
		bench.in_flight = 0;
		bench.now = pace_next_ms(&bench.pace, 0, bench.now);
		sent += take(&bench);
	}
	assert_in_range(sent, 999, 1001);
	bench.now += HOUR;
	bench.in_flight = 0;
	assert_int_equal(take(&bench), 10);
}

static void a_rate_above_what_may_be_in_flight_limits_nothing(void **state)
{
	struct bench bench = bench_new(4);

	(void)state;
	bench.pace = pace_new(4, 100, FIRST, MOST);
	assert_int_equal(pace_next_ms(&bench.pace, 0, bench.now), bench.now);
	assert_int_equal(take(&bench), 4);
}

static void a_slow_rate_lets_one_go_at_a_time(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	bench.pace = pace_new(8, 0.3, FIRST, MOST);
	for (int k = 0; k < 50; k++) {
		assert_int_equal(take(&bench), 1);
		bench.in_flight = 0;
		assert_int_equal(take(&bench), 0);
		assert_in_range(pace_next_ms(&bench.pace, 0, bench.now) - bench.now, 3333, 3334);
		bench.now = pace_next_ms(&bench.pace, 0, bench.now);
	}
}

static void requests_beyond_the_rate_are_paid_for_later(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	bench.pace = pace_new(8, 1, FIRST, MOST);
	pace_took(&bench.pace, 5, bench.now);
	assert_int_equal(take(&bench), 0);
	assert_int_equal(pace_next_ms(&bench.pace, 0, bench.now), bench.now + 5000);
}

static void more_in_flight_than_the_level_leaves_no_slot(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	take(&bench);
	answer(&bench, TRACK_HEALTH_BUSY);
	assert_int_equal(bench.pace.speed.level, 7);
	assert_int_equal(take(&bench), 0);
}

static void states_and_reasons_have_names(void **state)
{
	enum pace_reason parsed = PACE_NO_REASON;

	(void)state;
	assert_string_equal(pace_state_name(PACE_OPEN), "open");
	assert_string_equal(pace_state_name(PACE_PAUSED), "paused");
	assert_string_equal(pace_state_name(PACE_PROBING), "probing");
	assert_string_equal(pace_reason_name(PACE_NO_REASON), "");
	assert_string_equal(pace_reason_name(PACE_RESTORED), "restored");
	for (enum pace_reason reason = PACE_NO_REASON; reason <= PACE_RESTORED; reason++) {
		assert_true(pace_reason_parse(pace_reason_name(reason), &parsed));
		assert_int_equal(parsed, reason);
	}
	assert_false(pace_reason_parse("tired", &parsed));
	assert_int_equal(parsed, PACE_RESTORED);
}

/* No caller can bring these about; a broken memory or database must not start a storm. */
static void values_outside_the_enumerations_do_nothing(void **state)
{
	struct bench bench = bench_new(8);

	(void)state;
	assert_string_equal(pace_state_name((enum pace_state)3), "");
	assert_string_equal(pace_reason_name((enum pace_reason)(PACE_RESTORED + 1)), "");
	assert_false(answer(&bench, (enum track_health)(TRACK_HEALTH_PROXY + 1)));
	bench.pace.state = (enum pace_state)3;
	assert_false(answer(&bench, TRACK_HEALTH_GOOD));
	assert_int_equal(take(&bench), 0);
	bench = bench_probing();
	assert_true(answer(&bench, (enum track_health)(TRACK_HEALTH_PROXY + 1)));
	assert_state(&bench, PACE_PAUSED, PACE_OUTAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_endpoint_is_open_at_its_full_concurrency),
		cmocka_unit_test(after_a_crash_one_request_goes_and_the_level_doubles),
		cmocka_unit_test(four_503_running_slow_down_and_the_fifth_pauses),
		cmocka_unit_test(a_good_answer_between_them_starts_the_count_anew),
		cmocka_unit_test(other_trouble_between_them_does_not_start_the_count_anew),
		cmocka_unit_test(a_card_that_is_told_so_again_does_not_slow_down),
		cmocka_unit_test(five_unknown_outcomes_running_pause),
		cmocka_unit_test(what_takes_too_long_slows_down_as_well),
		cmocka_unit_test(some_troubles_pause_when_a_second_card_says_so),
		cmocka_unit_test(one_card_alone_pauses_only_where_nothing_good_comes),
		cmocka_unit_test(two_cards_refused_with_a_fresh_token_pause_for_credentials),
		cmocka_unit_test(a_401_on_a_token_that_was_good_before_counts_nothing),
		cmocka_unit_test(a_good_answer_between_two_401_starts_the_count_anew),
		cmocka_unit_test(a_card_alone_cannot_fetch_tokens_for_ever),
		cmocka_unit_test(three_cards_forbidden_running_pause_for_credentials),
		cmocka_unit_test(a_good_answer_between_403_starts_the_count_anew),
		cmocka_unit_test(many_failures_in_flight_are_one_step),
		cmocka_unit_test(a_late_good_answer_does_not_end_a_pause),
		cmocka_unit_test(the_probe_waits_for_what_is_still_in_flight),
		cmocka_unit_test(a_pause_ends_at_its_time_with_one_probe),
		cmocka_unit_test(a_good_probe_opens_at_one_and_ramps_up_by_doubling),
		cmocka_unit_test(what_was_counted_before_a_pause_is_forgotten_after_it),
		cmocka_unit_test(a_bad_probe_pauses_again_one_step_deeper),
		cmocka_unit_test(a_probe_with_a_worn_token_is_no_verdict_and_with_a_fresh_one_it_is),
		cmocka_unit_test(retry_after_is_the_least_pause),
		cmocka_unit_test(retry_after_lengthens_a_pause_and_never_shortens_it),
		cmocka_unit_test(trouble_with_the_token_pauses),
		cmocka_unit_test(trouble_with_the_token_after_a_pause_whose_probe_has_not_gone_backs_off),
		cmocka_unit_test(an_operators_pause_ends_by_command_alone),
		cmocka_unit_test(an_operator_overrides_a_pause_of_the_endpoints_own),
		cmocka_unit_test(resuming_an_endpoints_own_pause_probes_at_once),
		cmocka_unit_test(resuming_what_is_not_paused_changes_nothing),
		cmocka_unit_test(a_pause_read_back_after_a_restart_goes_on),
		cmocka_unit_test(an_hour_of_trouble_costs_few_requests),
		cmocka_unit_test(after_an_hour_of_trouble_full_speed_is_back_within_ten_seconds_of_the_first_good_answer),
		cmocka_unit_test(a_limit_on_requests_in_flight_is_found_and_kept),
		cmocka_unit_test(a_limit_on_requests_a_second_is_found_and_kept),
		cmocka_unit_test(trouble_that_has_nothing_to_do_with_the_load_leaves_some_speed),
		cmocka_unit_test(a_limit_that_is_lifted_is_noticed),
		cmocka_unit_test(backoff_doubles_and_stays_between_one_and_the_most),
		cmocka_unit_test(backoff_survives_any_step),
		cmocka_unit_test(the_step_stops_at_its_greatest),
		cmocka_unit_test(the_rate_is_kept_and_its_burst_is_a_tenth_of_a_second),
		cmocka_unit_test(a_rate_above_what_may_be_in_flight_limits_nothing),
		cmocka_unit_test(a_slow_rate_lets_one_go_at_a_time),
		cmocka_unit_test(requests_beyond_the_rate_are_paid_for_later),
		cmocka_unit_test(more_in_flight_than_the_level_leaves_no_slot),
		cmocka_unit_test(states_and_reasons_have_names),
		cmocka_unit_test(values_outside_the_enumerations_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
