#include "base/text.h"
#include "intake/spool.h"

#include <limits.h>
#include <string.h>

static const char prefix[] = ".trackbridge-";

enum { PREFIX = sizeof(prefix) - 1, MOST_EXTENSION = NAME_MAX - PREFIX - SPOOL_MOST_STEM };

/* The length up to which a stem may be cut, at most most, so that no UTF-8 sequence is cut through. */
static size_t cut(const char *name, size_t most)
{
	size_t length = most;

	while (length && most - length < 3 && ((unsigned char)name[length] & 0xc0) == 0x80)
		length--;
	/* Four continuation bytes running are not UTF-8: any place is as good as another. */
	return ((unsigned char)name[length] & 0xc0) == 0x80 ? most : length;
}

char *spool_taken_name(const char *name)
{
	struct text taken = { 0 };
	size_t length = strlen(name);
	const char *extension = strrchr(name, '.');

	text_append(&taken, prefix, PREFIX);
	if (PREFIX + length <= NAME_MAX) {
		text_append(&taken, name, length);
		return taken.data;
	}
	/* A dot with a novel behind it is no extension. */
	if (!extension || strlen(extension) > MOST_EXTENSION)
		extension = "";
	text_append(&taken, name, cut(name, SPOOL_MOST_STEM));
	text_append_string(&taken, extension);
	return taken.data;
}

bool spool_is_ignored(const char *name)
{
	static const char *const endings[] = { ".tmp", ".part", ".partial", ".filepart" };
	size_t length = strlen(name);

	if (name[0] == '.')
		return true;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t ending = strlen(endings[i]);

		if (length >= ending && memcmp(name + length - ending, endings[i], ending) == 0)
			return true;
	}
	return false;
}

const char *spool_original_name(const char *taken_name)
{
	if (strncmp(taken_name, prefix, PREFIX) != 0 || !taken_name[PREFIX])
		return NULL;
	return taken_name + PREFIX;
}
