#include "cli/pulse.h"

enum { MOMENT_MS = 1 };

struct pulse pulse_new(int64_t every_ms)
{
	return (struct pulse){ .every_ms = every_ms, .fed_ms = INT64_MIN / 2, .alive = true };
}

void pulse_rested(struct pulse *pulse)
{
	pulse->alive = true;
}

void pulse_moved(struct pulse *pulse, int64_t ever)
{
	pulse->alive = pulse->alive || ever != pulse->moved;
	pulse->moved = ever;
}

bool pulse_beat(struct pulse *pulse, int64_t now_ms)
{
	if (!pulse->every_ms || !pulse->alive || now_ms - pulse->fed_ms < pulse->every_ms)
		return false;
	pulse->fed_ms = now_ms;
	pulse->alive = false;
	return true;
}

int64_t pulse_next_ms(const struct pulse *pulse, int64_t now_ms)
{
	if (!pulse->every_ms)
		return INT64_MAX;
	return now_ms - pulse->fed_ms < pulse->every_ms ? pulse->fed_ms + pulse->every_ms : now_ms + MOMENT_MS;
}
