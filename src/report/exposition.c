#include "report/exposition.h"

#include <inttypes.h>
#include <stdio.h>

#define PREFIX "trackbridge_"

/* A backslash, a line feed and, in label values, a double quote are escaped; nothing else is (0.0.4, "Comments, help text, …"). */
static void append_escaped(struct text *out, const char *value, bool quoted)
{
	for (const char *c = value; *c; c++) {
		if (*c == '\\')
			text_append_string(out, "\\\\");
		else if (*c == '\n')
			text_append_string(out, "\\n");
		else if (*c == '"' && quoted)
			text_append_string(out, "\\\"");
		else
			text_append(out, c, 1);
	}
}

void exposition_family(struct text *out, const char *name, const char *type, const char *help)
{
	text_printf(out, "# HELP " PREFIX "%s ", name);
	append_escaped(out, help, false);
	text_printf(out, "\n# TYPE " PREFIX "%s %s\n", name, type);
}

static void begin_sample(struct text *out, const char *name, const char *suffix, const struct exposition_label *labels, const char *bound)
{
	const char *before = "{";

	text_printf(out, PREFIX "%s%s", name, suffix);
	for (; labels && labels->name; labels++, before = ",") {
		text_printf(out, "%s%s=\"", before, labels->name);
		append_escaped(out, labels->value, true);
		text_append_string(out, "\"");
	}
	if (bound) {
		text_printf(out, "%sle=\"%s\"", before, bound);
		before = ",";
	}
	text_append_string(out, before[0] == ',' ? "} " : " ");
}

void exposition_number(struct text *out, const char *name, const struct exposition_label *labels, int64_t value)
{
	begin_sample(out, name, "", labels, NULL);
	text_printf(out, "%" PRId64 "\n", value);
}

static void append_seconds(struct text *out, int64_t ms)
{
	text_printf(out, "%s%" PRId64 ".%03d\n", ms < 0 ? "-" : "", ms < 0 ? -(ms / 1000) : ms / 1000,
		    (int)(ms < 0 ? -(ms % 1000) : ms % 1000));
}

void exposition_seconds(struct text *out, const char *name, const struct exposition_label *labels, int64_t value_ms)
{
	begin_sample(out, name, "", labels, NULL);
	append_seconds(out, value_ms);
}

void exposition_histogram(struct text *out, const char *name, const struct exposition_label *label, const struct histogram *histogram)
{
	int64_t sum = 0;
	char bound[32];

	for (int i = 0; i <= HISTOGRAM_BUCKETS; i++) {
		if (i < HISTOGRAM_BUCKETS)
			snprintf(bound, sizeof(bound), "%g", (double)histogram_bounds_ms[i] / 1000);
		else
			snprintf(bound, sizeof(bound), "+Inf");
		sum += histogram->by_bucket[i];
		begin_sample(out, name, "_bucket", label, bound);
		text_printf(out, "%" PRId64 "\n", sum);
	}
	begin_sample(out, name, "_sum", label, NULL);
	append_seconds(out, histogram->sum_ms);
	begin_sample(out, name, "_count", label, NULL);
	text_printf(out, "%" PRId64 "\n", sum);
}
