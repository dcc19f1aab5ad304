#include "intake/late.h"

struct late late_begin(int64_t expect_ms, int64_t since_ms, int64_t now_ms, int64_t wall_ms)
{
	int64_t waited = wall_ms - since_ms;

	/* A clock that was put back must not make the wait longer than expect_ms. */
	if (waited < 0)
		waited = 0;
	if (waited > expect_ms)
		waited = expect_ms;
	return (struct late){ .expect_ms = expect_ms, .due_ms = now_ms + expect_ms - waited, .since_ms = since_ms };
}

void late_came(struct late *late, int64_t now_ms, int64_t wall_ms)
{
	*late = late_begin(late->expect_ms, wall_ms, now_ms, wall_ms);
}

bool late_look(struct late *late, int64_t now_ms)
{
	if (!late->expect_ms || late->is_late || now_ms < late->due_ms)
		return false;
	late->is_late = true;
	return true;
}

int64_t late_next_ms(const struct late *late)
{
	return late->expect_ms && !late->is_late ? late->due_ms : INT64_MAX;
}
