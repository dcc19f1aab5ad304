#include "config/path.h"

#include "base/text.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

char *path_normal(struct arena *arena, const char *folder, const char *path)
{
	const char *from = path[0] == '/' ? path : arena_printf(arena, "%s/%s", folder, path);
	char *normal = arena_alloc(arena, strlen(from) + 2, 1);
	size_t end = 0; /* of what is kept; always behind a name, or 0 */

	while (*from) {
		size_t length = strcspn(from, "/");

		if (length == 2 && memcmp(from, "..", 2) == 0) {
			while (end > 0 && normal[--end] != '/')
				;
		} else if (length > 0 && !(length == 1 && from[0] == '.')) {
			normal[end++] = '/';
			memcpy(normal + end, from, length);
			end += length;
		}
		from += length + (from[length] == '/');
	}
	if (end == 0)
		normal[end++] = '/';
	normal[end] = '\0';
	return normal;
}

bool path_is_inside(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

bool path_take(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	if (!value_text(place, node, key, &text))
		return false;
	*(const char **)target = path_normal(place->reader->arena, place->reader->folder, text);
	return true;
}

static bool take_credential(const struct mapping_place *place, const struct yaml_node *node, const char *name, void *target)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");

	if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return mapping_fault(place, node, "must be credential:NAME, where NAME is the name of one file");
	if (!directory || directory[0] != '/')
		return mapping_fault(place, node,
				     "is a systemd credential, but $CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with "
				     "LoadCredential=%s:/path",
				     mapping_shown(place->reader, name));
	*(const char **)target = path_normal(place->reader->arena, directory, name);
	return true;
}

bool path_secret(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	static const char prefix[] = "credential:";
	const char *text;

	if (!value_text(place, node, key, &text))
		return false;
	if (strncmp(text, prefix, strlen(prefix)) == 0)
		return take_credential(place, node, text + strlen(prefix), target);
	if (strncmp(text, "pkcs11:", 7) == 0)
		return mapping_fault(place, node, "must be a path or credential:NAME; only 'jwt.key' may be a pkcs11: URI");
	return path_take(place, node, key, target);
}

bool path_sign_key(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	if (!value_text(place, node, key, &text))
		return false;
	if (strncmp(text, "pkcs11:", 7) != 0)
		return path_secret(place, node, key, target);
	/* RFC 7512: the PIN itself; pin-source, a file, is fine. */
	if (strstr(text, "pin-value"))
		return mapping_fault(place, node, "must not hold a PIN; no secret is ever a value in this file (use pin-source)");
	*(const char **)target = text;
	return true;
}
