#include "submit/speed.h"

#include <math.h>

enum { LEAST_GAP_MS = 2, FIRST_GAP_MS = 16, LEAST_PATIENCE = 2, MOST_PATIENCE = 256 };

static double burst(const struct speed *speed)
{
	return speed->rate > 10 ? speed->rate / 10 : 1;
}

struct speed speed_new(int most, double rate, int64_t most_gap_ms)
{
	struct speed speed = { .most = most, .level = most, .rate = rate, .most_gap_ms = (double)most_gap_ms };

	speed.tokens = burst(&speed);
	return speed;
}

void speed_begin_slowly(struct speed *speed, bool overwhelmed)
{
	speed->ceiling = overwhelmed ? speed->level : 0;
	speed->patience = LEAST_PATIENCE;
	speed->level = 1;
	speed->doubling = true;
	speed->good = speed->held = 0;
}

static void shrink_gap(struct speed *speed)
{
	speed->gap_ms -= speed->gap_ms / (speed->doubling ? 2 : 32);
	if (speed->gap_ms < LEAST_GAP_MS)
		speed->gap_ms = 0;
}

/* Doubled until something good comes; after that it is near what it should be. */
static void grow_gap(struct speed *speed)
{
	speed->gap_ms = speed->gap_ms > 0 ? speed->gap_ms * (speed->good ? 1.5 : 2) : FIRST_GAP_MS;
	if (speed->gap_ms > speed->most_gap_ms)
		speed->gap_ms = speed->most_gap_ms;
}

/* Trying the ceiling again costs answers of the kind that made it one. */
static bool waits_below_ceiling(struct speed *speed)
{
	if (!speed->ceiling || speed->level + 1 != speed->ceiling)
		return false;
	return ++speed->held <= speed->patience;
}

static void grow(struct speed *speed)
{
	int next = speed->level + 1;

	if (speed->doubling) {
		next = 2 * speed->level;
		if (speed->ceiling && next >= speed->ceiling / 2) {
			next = speed->ceiling / 2 > speed->level ? speed->ceiling / 2 : speed->level;
			speed->doubling = false;
		}
	}
	if (speed->ceiling && speed->level >= speed->ceiling)
		speed->ceiling = 0;
	speed->level = next < speed->most ? next : speed->most;
	speed->held = 0;
}

void speed_good(struct speed *speed)
{
	speed->good++;
	if (speed->gap_ms > 0) {
		shrink_gap(speed);
		return;
	}
	if (speed->good < speed->level)
		return;
	speed->good = 0;
	if (speed->level < speed->most && !waits_below_ceiling(speed))
		grow(speed);
}

void speed_busy(struct speed *speed)
{
	bool wrong = speed->ceiling && speed->level >= speed->ceiling;

	if (speed->level == 1)
		grow_gap(speed);
	speed->patience = wrong ? 2 * speed->patience : LEAST_PATIENCE;
	if (speed->patience > MOST_PATIENCE)
		speed->patience = MOST_PATIENCE;
	speed->ceiling = speed->level;
	speed->level -= speed->level > 1;
	speed->doubling = false;
	speed->good = speed->held = 0;
}

static double tokens_at(const struct speed *speed, int64_t now_ms)
{
	double tokens = speed->tokens;

	if (now_ms > speed->filled_ms)
		tokens += (double)(now_ms - speed->filled_ms) * speed->rate / 1000;
	return tokens < burst(speed) ? tokens : burst(speed);
}

/* How many of the wanted requests the bucket has; what rounding took from the last one does not count. */
static int within_rate(const struct speed *speed, int wanted, int64_t now_ms)
{
	double whole = floor(tokens_at(speed, now_ms) + 1e-6);

	if (speed->rate <= 0 || whole >= wanted)
		return wanted;
	return whole > 0 ? (int)whole : 0;
}

/* When the gap is over; the past where there is none. */
static int64_t gap_ends(const struct speed *speed)
{
	return speed->took_ms + (int64_t)ceil(speed->gap_ms);
}

int speed_slots(const struct speed *speed, int allowed, int in_flight, int64_t now_ms)
{
	int slots = allowed - in_flight;

	if (slots <= 0 || now_ms < gap_ends(speed))
		return 0;
	return within_rate(speed, slots, now_ms);
}

void speed_took(struct speed *speed, int n, int64_t now_ms)
{
	speed->tokens = tokens_at(speed, now_ms) - n;
	speed->filled_ms = now_ms;
	if (n > 0)
		speed->took_ms = now_ms;
}

int64_t speed_next_ms(const struct speed *speed, int allowed, int in_flight, int64_t now_ms)
{
	int64_t next = now_ms;

	if (in_flight >= allowed)
		return INT64_MAX;
	if (within_rate(speed, 1, now_ms) == 0)
		next = now_ms + (int64_t)ceil((1 - tokens_at(speed, now_ms)) / speed->rate * 1000);
	return gap_ends(speed) > next ? gap_ends(speed) : next;
}
