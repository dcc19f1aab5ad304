#include "cli/unit.h"

#include "base/file.h"
#include "config/path.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#define SERVICE_USER "trackbridge"

/* TimeoutStopSec= of systemd/trackbridge.service, and how much longer than stop_timeout it has to be. */
enum { STOP_TIMEOUT_S = 100, STOP_MARGIN_S = 30 };

enum { MOST_GROUPS = 256 };

static bool is_in_one_of(const char *path, const char *const *folders)
{
	for (; *folders; folders++) {
		if (path_is_inside(path, *folders))
			return true;
	}
	return false;
}

static void add_path(struct unit_needs *needs, const char *path)
{
	static const char *const given[] = { "/var/lib/trackbridge", "/run/trackbridge", NULL };
	static const char *const homes[] = { "/home", "/root", "/run/user", NULL };
	static const char *const temporary[] = { "/tmp", "/var/tmp", NULL };
	size_t kept = 0;

	if (is_in_one_of(path, given))
		return;
	for (size_t i = 0; i < needs->n_paths; i++) {
		if (path_is_inside(path, needs->paths[i]))
			return;
	}
	for (size_t i = 0; i < needs->n_paths; i++) {
		if (path_is_inside(needs->paths[i], path))
			free(needs->paths[i]);
		else
			needs->paths[kept++] = needs->paths[i];
	}
	needs->paths = xrealloc_array(needs->paths, kept + 1, sizeof(*needs->paths));
	needs->paths[kept] = xstrdup(path);
	needs->n_paths = kept + 1;
	needs->in_home |= is_in_one_of(path, homes);
	needs->in_tmp |= is_in_one_of(path, temporary);
}

static void add_folder_of(struct unit_needs *needs, const char *file)
{
	scoped_free char *folder = xstrndup(file, (size_t)(strrchr(file, '/') - file));

	add_path(needs, folder[0] ? folder : "/");
}

static bool user_is_in(gid_t group)
{
	const struct passwd *user = getpwnam(SERVICE_USER);
	gid_t groups[MOST_GROUPS];
	int n = MOST_GROUPS;

	if (!user)
		return false;
	if (getgrouplist(SERVICE_USER, user->pw_gid, groups, &n) < 0)
		n = 0;
	for (int i = 0; i < n; i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

/* Joining a group helps only where the group may do more than everybody. */
static void add_group_of(struct unit_needs *needs, const char *path)
{
	const struct passwd *user = getpwnam(SERVICE_USER);
	const struct group *group;
	struct stat st;

	if (stat(path, &st) < 0 || (user && st.st_uid == user->pw_uid) || (st.st_mode & S_IRWXG) != S_IRWXG ||
	    (st.st_mode & S_IRWXO) == S_IRWXO)
		return;
	if (st.st_gid == 0 || user_is_in(st.st_gid) || !(group = getgrgid(st.st_gid)))
		return;
	for (size_t i = 0; i < needs->n_groups; i++) {
		if (strcmp(needs->groups[i], group->gr_name) == 0)
			return;
	}
	needs->groups = xrealloc_array(needs->groups, needs->n_groups + 1, sizeof(*needs->groups));
	needs->groups[needs->n_groups++] = xstrdup(group->gr_name);
}

static void add_credential(struct unit_needs *needs, const char *path)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	const char *name;

	if (!path || !folder || path[0] != '/' || !path_is_inside(path, folder))
		return;
	name = strrchr(path, '/') + 1;
	for (size_t i = 0; i < needs->n_credentials; i++) {
		if (strcmp(needs->credentials[i].name, name) == 0)
			return;
	}
	needs->credentials = xrealloc_array(needs->credentials, needs->n_credentials + 1, sizeof(*needs->credentials));
	needs->credentials[needs->n_credentials++] = (struct unit_credential){ .name = xstrdup(name), .folder = needs->folder };
}

void unit_needs_of(const struct config *config, struct unit_needs *needs)
{
	needs->config = config;
	needs->folder = xstrndup(config->path, (size_t)(strrchr(config->path, '/') - config->path));
	add_path(needs, config->state_dir);
	add_folder_of(needs, config->control_socket);
	if (config->metrics_file)
		add_folder_of(needs, config->metrics_file);
	for (size_t i = 0; i < config->n_sources; i++) {
		const struct config_source *source = &config->sources[i];

		add_path(needs, source->drop);
		add_group_of(needs, source->drop);
		if (source->receipts) {
			add_path(needs, source->receipts);
			add_group_of(needs, source->receipts);
		}
		needs->leases |= source->complete.when != CONFIG_MARKER;
	}
	for (size_t i = 0; i < config->n_endpoints; i++) {
		add_credential(needs, config->endpoints[i].jwt.key);
		add_credential(needs, config->endpoints[i].tls.key);
		add_credential(needs, config->endpoints[i].tls.certificate);
		add_credential(needs, config->endpoints[i].tls.ca);
	}
	if (config->stop_timeout_ms > (STOP_TIMEOUT_S - STOP_MARGIN_S) * 1000)
		needs->stop_timeout_s = config->stop_timeout_ms / 1000 + STOP_MARGIN_S;
}

void unit_needs_free(struct unit_needs *needs)
{
	for (size_t i = 0; i < needs->n_paths; i++)
		free(needs->paths[i]);
	for (size_t i = 0; i < needs->n_groups; i++)
		free(needs->groups[i]);
	for (size_t i = 0; i < needs->n_credentials; i++)
		free(needs->credentials[i].name);
	free(needs->paths);
	free(needs->groups);
	free(needs->credentials);
	free(needs->folder);
	*needs = (struct unit_needs){ 0 };
}

char *unit_credential_file(const struct unit_credential *credential)
{
	static const char *const endings[] = { "", ".key", ".pem" };
	size_t length = strlen(credential->name);
	struct text file = { 0 };

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		text_clear(&file);
		text_printf(&file, "%s/%s%s", credential->folder, credential->name, endings[i]);
		if (access(file.data, F_OK) == 0)
			return file.data;
	}
	text_clear(&file);
	if (length > 4 && strcmp(credential->name + length - 4, "-key") == 0)
		text_printf(&file, "%s/%.*s.key", credential->folder, (int)(length - 4), credential->name);
	else
		text_printf(&file, "%s/%s", credential->folder, credential->name);
	return file.data;
}
