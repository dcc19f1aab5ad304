/*
 * unit: what the service's unit has to have because of the configuration, and does not have by itself: systemd/trackbridge.service makes
 * everything read-only but /var/lib/trackbridge and /run/trackbridge, and hands over no key.
 */
#pragma once

#include "base/text.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

/* A key or certificate that the configuration names as credential:NAME; folder is the configuration's, where its file is looked for. */
struct unit_credential {
	char *name;
	const char *folder;
};

struct unit_needs {
	const struct config *config;
	char **paths; /* directories to be written, none inside another one */
	size_t n_paths;
	bool in_home, in_tmp; /* some of them lie where the unit hides things */
	char **groups;        /* by name: directories are theirs, and the service's user is in none of them */
	size_t n_groups;
	struct unit_credential *credentials;
	size_t n_credentials;
	int64_t stop_timeout_s; /* 0: the unit's own is long enough */
	bool leases;            /* CAP_LEASE tells something about the files of a source */
	char *folder;
};

/* unit_needs_of fills all-zero needs, which unit_needs_free takes; config is borrowed. Directories are looked at for their groups. */
void unit_needs_of(const struct config *config, struct unit_needs *needs);
void unit_needs_free(struct unit_needs *needs);

/* unit_credential_file gives the file that a credential is likely to be made of: of those that can be seen, else by its name's pattern
 * (d1-jwt-key: d1-jwt.key). The caller frees it. */
char *unit_credential_file(const struct unit_credential *credential);

/* unit_lacks asks systemd for trackbridge.service, and appends " SETTING=VALUE" for each path and credential that it has not. False: there
 * is no systemd to ask, or it has no such unit. */
bool unit_lacks(const struct unit_needs *needs, struct text *ret_missing);
