#include "base/file.h"
#include "config/parts.h"
#include "config/scalar.h"
#include "config/value.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Walks through the conversions of a strptime format: the letter of the next one, 0 at the end, or '?' where there is none behind a %. */
static char next_conversion(const char **format)
{
	/* glibc takes flags, a width and the modifiers E and O. */
	const char *at = strchr(*format, '%');

	if (!at)
		return 0;
	at++;
	at += strspn(at, "-_0^#123456789");
	if (*at == 'E' || *at == 'O')
		at++;
	if (!*at || !strchr("%aAbBcCdDeFgGhHIjklmMnprRsStTuUVwWxXyYzZ", *at))
		return '?';
	*format = at + 1;
	return *at;
}

static bool has_conversion(const char *format, const char *letters)
{
	for (char c; (c = next_conversion(&format));) {
		if (strchr(letters, c))
			return true;
	}
	return false;
}

/* A Z that ends the text itself is ISO 8601's sign for UTC; %Z, a zone's short name, says nothing that can be relied on. */
static bool has_offset(const char *format)
{
	const char *rest = format;
	size_t length;

	if (has_conversion(format, "zs"))
		return true;
	while (next_conversion(&rest))
		;
	length = strlen(rest);
	return length > 0 && rest[length - 1] == 'Z';
}

bool moment_format(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text, *rest;
	bool any = false;

	if (!value_text(place, node, key, &text))
		return false;
	rest = text;
	for (char c; (c = next_conversion(&rest)); any = any || c != '%') {
		if (c == '?')
			return mapping_fault(place, node, "has a %% without one of strptime's letters behind it: '%s'",
					     mapping_shown(place->reader, text));
	}
	if (!any)
		return mapping_fault(place, node, "must be a strptime format like \"%%d/%%m/%%Y %%H:%%M\", not '%s'",
				     mapping_shown(place->reader, text));
	*(const char **)target = text;
	return true;
}

/* Whether the system's tz database has the zone: its files begin with TZif (RFC 8536), the lists beside them do not. */
static bool is_zone(const char *name)
{
	scoped_free char *path = NULL;
	scoped_close int fd = -1;
	char magic[4];

	if (name[0] == '/' || name[0] == '.' || strstr(name, ".."))
		return false;
	path = file_join("/usr/share/zoneinfo", name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd >= 0 && read(fd, magic, sizeof(magic)) == sizeof(magic) && memcmp(magic, "TZif", sizeof(magic)) == 0;
}

bool moment_timezone(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	if (!value_text(place, node, key, &text))
		return false;
	if (!is_zone(text))
		return mapping_fault(place, node, "must be an IANA time zone that /usr/share/zoneinfo has, like Europe/Paris, not '%s'",
				     mapping_shown(place->reader, text));
	*(const char **)target = text;
	return true;
}

bool moment_time(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	if (!value_text(place, node, key, &text))
		return false;
	if (!scalar_time(text, target))
		return mapping_fault(place, node, "must be a time of day like \"12:00\", not '%s'", mapping_shown(place->reader, text));
	return true;
}

bool moment_can_be_read(const struct mapping_place *place, const struct yaml_node *node, const struct config_field *field)
{
	const struct yaml_node *format = yaml_tree_nearest(node, "format");

	if (!field->date_format)
		return true;
	if (!field->timezone && !has_offset(field->date_format))
		return mapping_fault(place, format, "has neither 'timezone' nor %%z in its 'format'");
	if (field->default_time_s < 0 && !has_conversion(field->date_format, "cHIklrRsTX"))
		return mapping_fault(place, format, "has neither 'time' nor a time of day in its 'format'");
	return true;
}
