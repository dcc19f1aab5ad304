#include "report/name.h"

#include "base/file.h"
#include "base/text.h"

#include <string.h>

/* The longest start of valid UTF-8 that has at most most bytes. */
static size_t cut(const struct text *text, size_t most)
{
	if (text->length <= most)
		return text->length;
	while (((unsigned char)text->data[most] & 0xc0) == 0x80)
		most--;
	return most;
}

static size_t stem_length(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? (size_t)(dot - name) : strlen(name);
}

/* start + stem + end, the stem shortened where that is too long. */
static char *put_together(const char *start, const struct text *stem, const char *end)
{
	struct text whole = { 0 };
	bool fits = strlen(start) + stem->length + strlen(end) <= NAME_MOST;

	text_append_string(&whole, start);
	text_append(&whole, stem->data, fits ? stem->length : cut(stem, NAME_MOST_STEM));
	text_append_string(&whole, end);
	return whole.data;
}

char *name_of_sheet(const char *name, int64_t manifest, const char *kind)
{
	scoped_text struct text stem = { 0 }, end = { 0 };

	text_escape(&stem, name, stem_length(name));
	text_printf(&end, ".%lld.%s.csv", (long long)manifest, kind);
	return put_together("", &stem, end.data);
}

char *name_of_archived(const char *name, int64_t manifest)
{
	scoped_text struct text start = { 0 }, stem = { 0 }, extension = { 0 };
	size_t length = stem_length(name);

	text_printf(&start, "%lld-", (long long)manifest);
	text_escape(&extension, name + length, strlen(name) - length);
	/* A dot with a novel behind it is no extension. */
	if (start.length + NAME_MOST_STEM + extension.length > NAME_MOST) {
		text_clear(&extension);
		length = strlen(name);
	}
	text_escape(&stem, name, length);
	return put_together(start.data, &stem, extension.data);
}

char *name_of_day(int64_t unix_ms)
{
	char time[32];

	text_time(time, unix_ms);
	time[strcspn(time, "T")] = '\0';
	for (char *c = time; *c; c++) {
		if (*c == '-')
			*c = '/';
	}
	return xstrdup(time);
}
