#include "cli/status.h"

#include <inttypes.h>

/* https://www.monitoring-plugins.org/doc/guidelines.html: the state, what there is to say, and behind `|` LABEL=VALUE[UNIT];WARN;CRIT;MIN.
 * A bar in the text would end it. */
static void append_plain(struct text *out, const char *text)
{
	for (const char *c = text; *c; c++)
		text_append(out, *c == '|' ? "/" : c, 1);
}

void status_check_line(struct text *out, const struct status *status, const struct status_limits *limits)
{
	static const char *const words[] = { [STATUS_OK] = "OK", [STATUS_WARNING] = "WARNING", [STATUS_CRITICAL] = "CRITICAL" };
	int64_t waited = status->ready_since_ms ? status->at_ms - status->ready_since_ms : 0;

	text_printf(out, "%s - ", words[status_worst(status)]);
	for (size_t i = 0; i < status->n_findings; i++) {
		text_append_string(out, i ? "; " : "");
		append_plain(out, status->findings[i].text);
	}
	if (!status->n_findings)
		text_printf(out, "%" PRId64 " queued, %.0f a minute accepted", status->by_state[ROW_QUEUED], status_rate(status));
	text_printf(out, " | waiting=%" PRId64 "s;%" PRId64 ";%" PRId64 ";0", waited > 0 ? waited / 1000 : 0, limits->warning_ms / 1000,
		    limits->critical_ms / 1000);
	text_printf(out, " queued=%" PRId64 ";;;0 sending=%" PRId64 ";;;0 accepted_per_minute=%.2f;;;0", status->by_state[ROW_QUEUED],
		    status->by_state[ROW_SENDING], status_rate(status));
	text_printf(out, " in_doubt=%" PRId64 ";;;0 held=%" PRId64 ";;;0 refused_day=%" PRId64 ";;;0 in_doubt_day=%" PRId64 ";;;0",
		    status->by_state[ROW_IN_DOUBT], status->by_state[ROW_HELD], status->refused_day, status->in_doubt_day);
	text_printf(out, " expired_day=%" PRId64 ";;;0", status->expired_day);
	if (status->free_bytes >= 0)
		text_printf(out, " free=%" PRId64 "B;;%" PRId64 ":;0", status->free_bytes, status->config->min_free_space);
	text_append_string(out, "\n");
}
