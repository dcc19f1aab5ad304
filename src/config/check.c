#include "base/text.h"
#include "config/parts.h"
#include "config/path.h"

#include <string.h>

static const struct yaml_node *item_of(const struct yaml_node *root, const char *list, size_t index)
{
	return yaml_tree_element(yaml_tree_entry(root, list), index);
}

static bool check_names(const struct mapping_reader *reader, const struct yaml_node *root, const struct config *config)
{
	for (size_t i = 0; i < config->n_endpoints; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(config->endpoints[k].name, config->endpoints[i].name) == 0)
				return mapping_fail(reader, yaml_tree_nearest(item_of(root, "endpoints", i), "name"),
						    "a second endpoint is called '%s'", config->endpoints[i].name);
		}
	}
	for (size_t i = 0; i < config->n_sources; i++) {
		int first = config_source_named(config, config->sources[i].name);

		if ((size_t)first != i)
			return mapping_fail(reader, yaml_tree_nearest(item_of(root, "sources", i), "name"),
					    "a second source is called '%s'", config->sources[i].name);
	}
	return true;
}

/* The endpoint that has the k-th issuer of the i-th endpoint before it gets there, or NULL. */
static const struct config_endpoint *earlier_owner(const struct config *config, size_t i, size_t k)
{
	const char *issuer = config->endpoints[i].issuers[k];

	for (size_t e = 0; e <= i; e++) {
		const struct config_endpoint *endpoint = &config->endpoints[e];
		size_t n = e == i ? k : endpoint->n_issuers;

		for (size_t j = 0; j < n; j++) {
			if (strcmp(endpoint->issuers[j], issuer) == 0)
				return endpoint;
		}
	}
	return NULL;
}

static bool check_issuers(const struct mapping_reader *reader, const struct yaml_node *root, const struct config *config)
{
	for (size_t i = 0; i < config->n_endpoints; i++) {
		for (size_t k = 0; k < config->endpoints[i].n_issuers; k++) {
			const struct config_endpoint *owner = earlier_owner(config, i, k);

			if (owner)
				return mapping_fail(reader, yaml_tree_element(yaml_tree_entry(item_of(root, "endpoints", i), "issuers"), k),
						    "issuer '%s' of endpoint '%s' belongs to endpoint '%s' already",
						    config->endpoints[i].issuers[k], config->endpoints[i].name, owner->name);
		}
	}
	return true;
}

/* What is in flight when the daemon is told to stop must have its time, or every stop makes doubt. */
static bool check_timeouts(const struct mapping_reader *reader, const struct yaml_node *root, const struct config *config)
{
	const struct yaml_node *stop = yaml_tree_entry(root, "stop_timeout");

	for (size_t i = 0; i < config->n_endpoints; i++) {
		if (config->stop_timeout_ms < config->endpoints[i].timeout_ms)
			return mapping_fail(reader, stop ? stop : yaml_tree_nearest(item_of(root, "endpoints", i), "timeout"),
					    "'stop_timeout' (70s unless given) is shorter than 'timeout' of endpoint '%s'",
					    config->endpoints[i].name);
	}
	return true;
}

/* A directory of ours in a directory that we watch would be taken for a factory's, and the other way round. */
static bool check_drop(const struct mapping_reader *reader, const struct yaml_node *root, const struct config *config, size_t i)
{
	const struct config_source *source = &config->sources[i];
	const struct yaml_node *drop = yaml_tree_nearest(item_of(root, "sources", i), "drop");

	if (path_is_inside(source->drop, config->state_dir))
		return mapping_fail(reader, drop, "'drop' of source '%s' lies in 'state_dir' (%s)", source->name, config->state_dir);
	for (size_t k = 0; k < i; k++) {
		if (strcmp(config->sources[k].drop, source->drop) == 0)
			return mapping_fail(reader, drop, "'drop' of source '%s' is also that of source '%s'", source->name,
					    config->sources[k].name);
	}
	return true;
}

static bool check_receipts(const struct mapping_reader *reader, const struct yaml_node *root, const struct config *config, size_t i)
{
	const struct config_source *source = &config->sources[i];
	const struct yaml_node *receipts = yaml_tree_nearest(item_of(root, "sources", i), "receipts");

	if (!source->receipts)
		return true;
	if (path_is_inside(source->receipts, config->state_dir))
		return mapping_fail(reader, receipts, "'receipts' of source '%s' lies in 'state_dir' (%s)", source->name,
				    config->state_dir);
	for (size_t k = 0; k < config->n_sources; k++) {
		if (path_is_inside(source->receipts, config->sources[k].drop))
			return mapping_fail(reader, receipts, "'receipts' of source '%s' lies in 'drop' of source '%s' (%s)", source->name,
					    config->sources[k].name, config->sources[k].drop);
	}
	return true;
}

bool check_whole(const struct mapping_reader *reader, const struct yaml_node *root, const struct config *config)
{
	if (!check_names(reader, root, config) || !check_issuers(reader, root, config) || !check_timeouts(reader, root, config))
		return false;
	for (size_t i = 0; i < config->n_sources; i++) {
		if (!check_drop(reader, root, config, i) || !check_receipts(reader, root, config, i))
			return false;
	}
	return true;
}
