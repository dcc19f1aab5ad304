#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct cli_command run_command = {
	.name = "run",
	.summary = "the daemon, in the foreground",
	.usage = "usage: trackbridge [-c FILE] run [--until-idle] [--debug]\n"
		 "\n"
		 "Watches the drop directories, queues what is dropped there and sends it to D1, until TERM or INT: then\n"
		 "what is in flight may finish, for stop_timeout at most.\n"
		 "\n"
		 "  --until-idle  end when every file present is loaded and no row can move without an operator or a later time;\n"
		 "                exit 0 if all rows ended accepted, duplicate or skipped, 65 if some did not\n"
		 "  --debug       log a line for each row as well\n",
	.run = cli_run,
};

static const struct cli_command *const commands[] = {
	&run_command, &cli_check,  &cli_explain, &cli_status,  &cli_manifests, &cli_list,    &cli_show,
	&cli_card,    &cli_retry,  &cli_hold,    &cli_release, &cli_cancel,    &cli_resolve, &cli_pause,
	&cli_resume,  &cli_reload, &cli_receipt, &cli_report,  &cli_verify,    &cli_backup,  &cli_purge,
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int print_help(void)
{
	struct error err;

	puts("usage: trackbridge [-c FILE] COMMAND ...\n");
	puts("Sends a card bureau's manifests to Thales D1 as Track Card requests.\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	puts("\n  -c, --config FILE  the configuration; default " CLI_DEFAULT_CONFIG);
	puts("      --help         this text; after a command, that command's");
	puts("      --version      the version");
	return cli_flush(&err) ? ERROR_NONE : cli_fail(&err);
}

static int print(const char *text)
{
	struct error err;

	fputs(text, stdout);
	return cli_flush(&err) ? ERROR_NONE : cli_fail(&err);
}

static int unknown_command(const char *name)
{
	const char *names[N_COMMANDS];
	const char *nearest;

	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i]->name;
	nearest = text_nearest(name, names, N_COMMANDS);
	if (nearest)
		return cli_usage("", "unknown command '%s': is %s meant?", name, nearest);
	return cli_usage("", "unknown command '%s'", name);
}

static int run_command_named(const struct cli_options *options, int argc, char **argv)
{
	const struct cli_command *command = NULL;

	for (size_t i = 0; i < N_COMMANDS && !command; i++) {
		if (strcmp(argv[0], commands[i]->name) == 0)
			command = commands[i];
	}
	if (!command)
		return unknown_command(argv[0]);
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return print(command->usage);
	}
	/* glibc begins anew with 0 (getopt(3)). */
	optind = 0;
	return command->run(options, argc, argv);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	struct cli_options options = { .config_path = CLI_DEFAULT_CONFIG, .arguments = argv };
	int option;

	umask(027);
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:c:h", known, NULL)) != -1) {
		switch (option) {
		case 'c': options.config_path = optarg; break;
		case 'h': return print_help();
		case 'v': return print("trackbridge " TRACKBRIDGE_VERSION "\n");
		case ':': return cli_usage("", "%s needs a value", argv[optind - 1]);
		default: return cli_usage("", "unknown option %s", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return cli_usage("", "which command?");
	return run_command_named(&options, argc - optind, argv + optind);
}
