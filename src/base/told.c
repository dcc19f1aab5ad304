#include "base/told.h"

bool told_may(struct told *told, int64_t now_ms)
{
	if (!told->begun || now_ms - told->since_ms >= TOLD_HOUR_MS) {
		told->begun = true;
		told->since_ms = now_ms;
		told->named = 0;
	}
	if (told->named < TOLD_NAMED) {
		told->named++;
		return true;
	}
	if (told->counted++ == 0 && told->count_ms < now_ms + TOLD_FIRST_COUNT_MS)
		told->count_ms = now_ms + TOLD_FIRST_COUNT_MS;
	return false;
}

int64_t told_next_ms(const struct told *told)
{
	return told->counted ? told->count_ms : INT64_MAX;
}

int64_t told_count(struct told *told, int64_t now_ms, bool ending)
{
	int64_t counted = told->counted;

	if (!ending && now_ms < told_next_ms(told))
		return 0;
	told->counted = 0;
	told->count_ms = now_ms + TOLD_HOUR_MS;
	return counted;
}
