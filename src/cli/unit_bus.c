#include "base/file.h"
#include "cli/unit.h"

#include <string.h>
#include <systemd/sd-bus.h>

static const char systemd[] = "org.freedesktop.systemd1";
static const char service[] = "org.freedesktop.systemd1.Service";

/* What systemd says of the unit. Owned are bus and object. */
struct unit_bus {
	sd_bus *bus;
	char *object;
};

static bool get_text(const struct unit_bus *unit, const char *interface, const char *property, char **ret_value)
{
	return sd_bus_get_property_string(unit->bus, systemd, unit->object, interface, property, NULL, ret_value) >= 0;
}

static bool open_unit(struct unit_bus *unit)
{
	scoped_free char *state = NULL;
	sd_bus_message *reply = NULL;
	const char *object;
	bool good;

	if (sd_bus_open_system(&unit->bus) < 0)
		return false;
	good = sd_bus_call_method(unit->bus, systemd, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "LoadUnit", NULL,
				  &reply, "s", "trackbridge.service") >= 0 &&
	       sd_bus_message_read(reply, "o", &object) >= 0;
	if (good)
		unit->object = xstrdup(object);
	sd_bus_message_unref(reply);
	return good && get_text(unit, "org.freedesktop.systemd1.Unit", "LoadState", &state) && strcmp(state, "loaded") == 0;
}

/* Writable as the unit is: anything where nothing is protected, else what is named, without the marks before a path. */
static bool can_write(char **paths, const char *path)
{
	for (; *paths; paths++) {
		const char *named = *paths + strspn(*paths, "-+");
		size_t length = strlen(named);

		if (strncmp(path, named, length) == 0 && (path[length] == '/' || !path[length]))
			return true;
	}
	return false;
}

static bool find_paths(const struct unit_bus *unit, const struct unit_needs *needs, struct text *ret_missing)
{
	scoped_free char *protection = NULL;
	char **paths = NULL;

	if (!get_text(unit, service, "ProtectSystem", &protection))
		return false;
	if (strcmp(protection, "strict") != 0)
		return true;
	if (sd_bus_get_property_strv(unit->bus, systemd, unit->object, service, "ReadWritePaths", NULL, &paths) < 0)
		return false;
	for (size_t i = 0; i < needs->n_paths; i++) {
		if (!paths || !can_write(paths, needs->paths[i]))
			text_printf(ret_missing, " ReadWritePaths=%s", needs->paths[i]);
	}
	for (char **path = paths; path && *path; path++)
		free(*path);
	free(paths);
	return true;
}

static bool find_credentials(const struct unit_bus *unit, const struct unit_needs *needs, struct text *ret_missing)
{
	scoped_free bool *there = xcalloc(needs->n_credentials + 1, sizeof(*there));
	sd_bus_message *reply = NULL;
	const char *name, *file;
	int result;

	if (sd_bus_get_property(unit->bus, systemd, unit->object, service, "LoadCredential", NULL, &reply, "a(ss)") < 0)
		return false;
	result = sd_bus_message_enter_container(reply, 'a', "(ss)");
	while (result >= 0 && (result = sd_bus_message_read(reply, "(ss)", &name, &file)) > 0) {
		for (size_t i = 0; i < needs->n_credentials; i++)
			there[i] |= strcmp(needs->credentials[i].name, name) == 0;
	}
	sd_bus_message_unref(reply);
	for (size_t i = 0; result >= 0 && i < needs->n_credentials; i++) {
		if (!there[i])
			text_printf(ret_missing, " LoadCredential=%s", needs->credentials[i].name);
	}
	return result >= 0;
}

bool unit_lacks(const struct unit_needs *needs, struct text *ret_missing)
{
	struct unit_bus unit = { 0 };
	bool known = open_unit(&unit) && find_paths(&unit, needs, ret_missing) && find_credentials(&unit, needs, ret_missing);

	sd_bus_flush_close_unref(unit.bus);
	free(unit.object);
	return known;
}
