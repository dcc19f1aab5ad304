#include "config/config.h"

#include "base/file.h"
#include "base/text.h"
#include "config/parts.h"
#include "config/path.h"
#include "config/value.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define AT(member) offsetof(struct config, member)

/* What config_free gets back: the configuration comes first, and behind it what owns its strings. */
struct owned {
	struct config config;
	struct arena arena;
};

static bool take_version(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	(void)key;
	(void)target;
	/* What a package installs: were it 1, the examples in it would be sent to. */
	if (node->kind == YAML_KIND_SCALAR && node->plain && strcmp(node->text, "0") == 0)
		return mapping_fault(place, node,
				     "is 0: this file is not configured yet; make the endpoints and sources in it your own, then set "
				     "version to 1");
	if (node->kind != YAML_KIND_SCALAR || !node->plain || strcmp(node->text, "1") != 0)
		return mapping_fault(place, node, "must be 1; this program knows no other");
	return true;
}

static bool take_socket(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	const char *path;

	if (!path_take(place, node, key, &path))
		return false;
	if (strlen(path) > most)
		return mapping_fault(place, node, "must be at most %zu bytes as an absolute path (unix(7))", most);
	*(const char **)target = path;
	return true;
}

static const struct mapping_key retention_keys[] = {
	{ .name = "rows", .take = value_duration, .offset = AT(retention.rows_ms), .preset = "400d", .least = "1m", .most = "36500d" },
	{ .name = "bodies", .take = value_duration, .offset = AT(retention.bodies_ms), .preset = "35d", .least = "1m", .most = "36500d" },
	{ .name = "archive", .take = value_duration, .offset = AT(retention.archive_ms), .preset = "35d", .least = "1m", .most = "36500d" },
	{ 0 },
};

static const struct mapping_key top_keys[] = {
	{ .name = "version", .take = take_version, .preset = "1" },
	{ .name = "state_dir", .take = path_take, .offset = AT(state_dir), .preset = "/var/lib/trackbridge" },
	{ .name = "control_socket", .take = take_socket, .offset = AT(control_socket), .preset = "/run/trackbridge/control.sock" },
	{ .name = "metrics_file", .take = path_take, .offset = AT(metrics_file) },
	{ .name = "stop_timeout", .take = value_duration, .offset = AT(stop_timeout_ms), .preset = "70s", .least = "100ms", .most = "1h" },
	{ .name = "min_free_space",
	  .take = value_size,
	  .offset = AT(min_free_space),
	  .preset = "256MiB",
	  .least = "0KiB",
	  .most = "1024GiB" },
	{ .name = "retention", .take = mapping_section, .keys = retention_keys },
	{ .name = "endpoints", .take = endpoint_list, .required = true },
	{ .name = "sources", .take = source_list, .required = true },
	{ 0 },
};

static bool read_whole(const char *path, struct arena *tree, struct owned *owned, struct error *err)
{
	struct mapping_reader reader = { .file = path, .arena = &owned->arena, .err = err };
	struct mapping_place top = { .reader = &reader };
	scoped_text struct text bytes = { 0 };
	scoped_free char *here = getcwd(NULL, 0);
	const struct yaml_node *root;

	if (!here)
		return error_errno(err, errno, "the working directory");
	if (!file_read(path, YAML_MOST_BYTES, &bytes, err)) {
		if (err && err->code == ERROR_DATA)
			err->code = ERROR_CONFIG;
		return false;
	}
	owned->config.path = path_normal(&owned->arena, here, path);
	reader.folder = path_normal(&owned->arena, owned->config.path, "..");
	return yaml_tree_read(path, bytes.data, bytes.length, tree, &root, err) && mapping_read(&top, root, top_keys, &owned->config) &&
	       check_whole(&reader, root, &owned->config);
}

bool config_read(const char *path, struct config **ret_config, struct error *err)
{
	struct owned *owned = xcalloc(1, sizeof(*owned));
	struct arena tree = { 0 };
	bool good = read_whole(path, &tree, owned, err);

	arena_free(&tree);
	if (!good) {
		config_free(&owned->config);
		return false;
	}
	*ret_config = &owned->config;
	return true;
}

void config_free(struct config *config)
{
	struct owned *owned = (struct owned *)config;

	if (!owned)
		return;
	arena_free(&owned->arena);
	free(owned);
}

bool config_is_plain(const char *url)
{
	return strncmp(url, CONFIG_PLAIN, strlen(CONFIG_PLAIN)) == 0;
}

int config_endpoint_of(const struct config *config, const char *issuer_id)
{
	for (size_t i = 0; i < config->n_endpoints; i++) {
		for (size_t k = 0; k < config->endpoints[i].n_issuers; k++) {
			if (strcmp(config->endpoints[i].issuers[k], issuer_id) == 0)
				return (int)i;
		}
	}
	return -1;
}

int config_source_named(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_sources; i++) {
		if (strcmp(config->sources[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}
