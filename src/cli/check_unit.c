#include "base/file.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/unit.h"
#include "config/path.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A word of a unit file (systemd.syntax(7)); in a command line a dollar is doubled as well. */
static void append_word(struct text *out, const char *word, bool of_command)
{
	bool bare = word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+@:,=")] == '\0';

	if (!bare)
		text_append_string(out, "\"");
	for (const char *c = word; *c; c++) {
		if (*c == '"' || *c == '\\')
			text_append_string(out, "\\");
		if (*c == '%' || (*c == '$' && of_command))
			text_append(out, c, 1);
		text_append(out, c, 1);
	}
	if (!bare)
		text_append_string(out, "\"");
}

/* The rest of a line after NAME: is taken as it stands, but for what a percent sign begins. */
static void append_credential(struct text *out, const struct unit_credential *credential)
{
	scoped_free char *file = unit_credential_file(credential);

	text_printf(out, "LoadCredential=%s:", credential->name);
	for (const char *c = file; *c; c++)
		text_append(out, *c == '%' ? "%%" : c, *c == '%' ? 2 : 1);
	text_append_string(out, "\n");
}

static void append_command(struct text *out, const struct unit_needs *needs)
{
	const struct config *config = needs->config;

	if (strcmp(config->path, CLI_DEFAULT_CONFIG) == 0)
		return;
	text_append_string(out, "ExecStart=\nExecStart=/usr/sbin/trackbridge -c ");
	append_word(out, config->path, true);
	text_append_string(out, " run\n");
}

static void append_directories(struct text *out, const struct unit_needs *needs)
{
	if (needs->n_paths) {
		text_append_string(out, "# Everything else is read-only for the service. They have to exist when it starts.\n");
		for (size_t i = 0; i < needs->n_paths; i++) {
			text_append_string(out, "ReadWritePaths=");
			append_word(out, needs->paths[i], false);
			text_append_string(out, "\n");
		}
	}
	if (needs->in_home)
		text_append_string(
			out,
			"# Some of them lie under /home, /root or /run/user, which are hidden from the service: better put them elsewhere.\n"
			"ProtectHome=no\n");
	if (needs->in_tmp)
		text_append_string(out, "# Some of them lie under /tmp or /var/tmp, of which the service has its own.\nPrivateTmp=no\n");
	if (needs->n_groups)
		text_append_string(out, "# The groups of these directories, in which the service's user is not.\n");
	for (size_t i = 0; i < needs->n_groups; i++)
		text_printf(out, "SupplementaryGroups=%s\n", needs->groups[i]);
}

static void append_unit(struct text *out, const struct unit_needs *needs)
{
	text_printf(out, "# Drop-in of trackbridge.service for %s (`trackbridge check --unit`).\n[Service]\n", needs->config->path);
	append_command(out, needs);
	append_directories(out, needs);
	if (needs->n_credentials)
		text_append_string(out, "# Keys: files of root's with mode 0400.\n");
	for (size_t i = 0; i < needs->n_credentials; i++)
		append_credential(out, &needs->credentials[i]);
	if (needs->stop_timeout_s)
		text_printf(out, "# Longer than stop_timeout.\nTimeoutStopSec=%" PRId64 "s\n", needs->stop_timeout_s);
	if (needs->leases)
		text_append_string(out, "# To see that a writer of another user still has a file open. Without it, `quiet` alone decides.\n"
					"CapabilityBoundingSet=CAP_LEASE\nAmbientCapabilities=CAP_LEASE\n");
}

int check_unit_print(const struct config *config)
{
	struct unit_needs needs = { 0 };
	scoped_text struct text out = { 0 };
	struct error err;

	unit_needs_of(config, &needs);
	append_unit(&out, &needs);
	unit_needs_free(&needs);
	fputs(out.data, stdout);
	return cli_flush(&err) ? ERROR_NONE : cli_fail(&err);
}

/* What the unit has already, as systemd has it loaded; a finding only where systemd can be asked. */
void check_unit(const struct check *check)
{
	struct unit_needs needs = { 0 };
	scoped_text struct text missing = { 0 };

	if (strcmp(check->config->path, CLI_DEFAULT_CONFIG) != 0)
		return;
	unit_needs_of(check->config, &needs);
	if (unit_lacks(&needs, &missing)) {
		if (missing.length)
			check_warning(check, "unit",
				      "trackbridge.service lacks%s: `trackbridge check --unit` prints a drop-in that has it (systemctl "
				      "daemon-reload makes it known)",
				      missing.data);
		else
			check_ok(check, "unit", "trackbridge.service has the directories and the keys of the configuration");
	}
	unit_needs_free(&needs);
}
