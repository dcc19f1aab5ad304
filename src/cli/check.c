#include "cli/check.h"

#include "base/file.h"
#include "cli/cli.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: trackbridge [-c FILE] check [--online]\n"
	"       trackbridge [-c FILE] check --unit\n"
	"\n"
	"Checks the configuration, keys and certificates, directories and the database, one finding a line:\n"
	"ok|warning|error  WHAT: TEXT. Run it as the user of the service, since what may be read and written is judged for the\n"
	"user that asks. Exit 0 if there is no error, 78 if the configuration is wrong, else the status of the worst finding.\n"
	"\n"
	"  --online  also fetch a token from each endpoint (69 where one gives none)\n"
	"  --unit    print instead the drop-in that trackbridge.service needs for this configuration: directories to be written,\n"
	"            their groups, and the keys that systemd hands over\n";

static void print(const char *level, const char *what, const char *text)
{
	scoped_text struct text line = { 0 };

	text_printf(&line, "%-7s  ", level);
	text_escape(&line, what, strlen(what));
	text_append_string(&line, ": ");
	text_escape(&line, text, strlen(text));
	puts(line.data);
}

void check_ok(const struct check *check, const char *what, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!check->silent)
		print("ok", what, text);
}

void check_warning(const struct check *check, const char *what, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!check->silent)
		print("warning", what, text);
}

void check_error(struct check *check, const char *what, const struct error *err)
{
	if (!check->silent)
		print("error", what, err->text);
	if (err->code > check->worst)
		check->worst = err->code;
	if (check->first.code == ERROR_NONE && err->code != ERROR_TRY_LATER) {
		check->first = *err;
		error_prefix(&check->first, "%s: ", what);
	}
}

static void check_user(const struct check *check)
{
	const struct passwd *user = getpwuid(geteuid());

	if (geteuid() == 0)
		check_warning(check, "user", "checked as root, who may do everything: run this as the user of the service");
	else
		check_ok(check, "user", "checked as %s", user ? user->pw_name : "a user without a name");
}

/* Requests of these two types have no date, so that a second one looks like the first. */
static bool may_repeat(const struct config_source *source)
{
	const struct config_field *field = &source->fields[TRACK_TYPE];
	enum track_type type;

	if (source->shipment_without_number_is_production)
		return true;
	if (field->value)
		return track_type_parse(field->value, &type) && type != TRACK_SHIPMENT;
	if (field->n_map == 0 || field->otherwise == CONFIG_OTHERWISE_KEEP)
		return true;
	for (size_t i = 0; i < field->n_map; i++) {
		if (field->map[i].to && track_type_parse(field->map[i].to, &type) && type != TRACK_SHIPMENT)
			return true;
	}
	return field->default_value && track_type_parse(field->default_value, &type) && type != TRACK_SHIPMENT;
}

static void check_identity(const struct check *check)
{
	const struct config *config = check->config;

	for (size_t i = 0; i < config->n_sources; i++) {
		const struct config_source *source = &config->sources[i];
		char what[128];

		if (source->n_identity || !may_repeat(source))
			continue;
		snprintf(what, sizeof(what), "source %s", source->name);
		check_warning(check, what,
			      "PRODUCTION and RETURN have no date: a card that comes back twice, or whose id is used again, is taken for a "
			      "repeat and not sent; if that happens here, name a date column in identity");
	}
}

static void check_plain(const struct check *check)
{
	const struct config *config = check->config;

	for (size_t i = 0; i < config->n_endpoints; i++) {
		const struct config_endpoint *endpoint = &config->endpoints[i];
		char what[128];

		if (!config_is_plain(endpoint->api_url) && !config_is_plain(endpoint->token_url))
			continue;
		snprintf(what, sizeof(what), "endpoint %s", endpoint->name);
		check_warning(check, what, "requests go to this machine itself without TLS (http://): for tests only");
	}
}

static void check_database(struct check *check)
{
	struct queue_reader *reader;
	struct error err;

	if (cli_open_queue(check->config, &reader, &err)) {
		check_ok(check, "database", "%s/queue.db can be read", check->config->state_dir);
		queue_reader_close(reader);
	} else if (err.code == ERROR_NO_INPUT) {
		check_ok(check, "database", "there is none yet in %s; the first run makes it", check->config->state_dir);
	} else {
		check_error(check, "database", &err);
	}
}

static int run(const struct cli_options *options, int argc, char **argv)
{
	enum { ONLINE = 256, UNIT };
	static const struct option known[] = { { "online", no_argument, NULL, ONLINE }, { "unit", no_argument, NULL, UNIT }, { 0 } };
	struct check check = { 0 };
	struct config *config;
	struct error err;
	bool online = false, unit = false;
	int option, status;

	while ((option = cli_next_option(argc, argv, known)) != -1) {
		switch (option) {
		case ONLINE: online = true; break;
		case UNIT: unit = true; break;
		default: return ERROR_USAGE;
		}
	}
	if (online && unit)
		return cli_usage(argv[0], "--unit looks at nothing: --online has no place beside it");
	if (optind < argc)
		return cli_usage(argv[0], "too many words: '%s'", argv[optind]);
	if (!cli_read_config(options, &config, &err)) {
		if (unit)
			return cli_fail(&err);
		check_error(&check, "configuration", &err);
		return cli_flush(&err) ? (int)check.worst : cli_fail(&err);
	}
	if (unit) {
		status = check_unit_print(config);
		config_free(config);
		return status;
	}
	check.config = config;
	check_ok(&check, "configuration", "%s: %zu endpoint%s, %zu source%s", config->path, config->n_endpoints,
		 config->n_endpoints == 1 ? "" : "s", config->n_sources, config->n_sources == 1 ? "" : "s");
	check_identity(&check);
	check_plain(&check);
	check_user(&check);
	check_secrets(&check);
	check_directories(&check);
	check_database(&check);
	check_unit(&check);
	if (online)
		check_online(&check);
	config_free(config);
	return cli_flush(&err) ? (int)check.worst : cli_fail(&err);
}

const struct cli_command cli_check = {
	.name = "check",
	.summary = "configuration, keys, certificates, directories, database",
	.usage = usage,
	.run = run,
};
