/*
 * cli: what the commands share. A command parses its own options, prints to standard output what was asked for and to standard error, as
 * "trackbridge: TEXT", what went wrong, and returns its exit status (enum error_code, sysexits.h). `--help` is answered by main.
 */
#pragma once

#include "base/error.h"
#include "cli/format.h"
#include "config/config.h"
#include "queue/read.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#define CLI_DEFAULT_CONFIG "/etc/trackbridge/trackbridge.yaml"

struct cli_options {
	const char *config_path;
	char **arguments; /* of the process, as they were given */
};

struct cli_command {
	const char *name;
	const char *summary; /* one line of trackbridge --help */
	const char *usage;   /* the whole of trackbridge NAME --help */
	int (*run)(const struct cli_options *options, int argc, char **argv);
};

extern const struct cli_command cli_check, cli_explain, cli_status, cli_manifests, cli_list, cli_show, cli_card;
extern const struct cli_command cli_retry, cli_hold, cli_release, cli_cancel, cli_resolve, cli_pause, cli_resume, cli_reload, cli_receipt;
extern const struct cli_command cli_verify, cli_backup, cli_purge, cli_report;

/* The daemon (run.c). */
int cli_run(const struct cli_options *options, int argc, char **argv);

/* cli_fail says what went wrong and gives the exit status. */
int cli_fail(const struct error *err);

/* cli_say puts one line on standard error; control characters in it are shown as \xNN. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* cli_usage says what is wrong with the command line, and where help is; gives ERROR_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * cli_next_option is getopt_long for the options of argv[0]: the option's val, -1 at the end (operands begin at argv[optind]), '?' after
 * telling what is wrong. options ends with a zero entry.
 */
int cli_next_option(int argc, char **argv, const struct option *options);

/* cli_operand gives the only operand, or NULL after telling that there is none, or more than one. what: "ROW". */
const char *cli_operand(int argc, char **argv, const char *what);

/* Values of options and operands; false after telling what is wrong. cli_time reads UTC ISO 8601 (date, or date and time) or a duration
 * back from now (90m, 2h, 3d) as ms since 1970. */
bool cli_format(const char *command, const char *value, enum format_kind *ret_kind);
bool cli_number(const char *command, const char *what, const char *value, int64_t *ret_number);
bool cli_time(const char *command, const char *what, const char *value, int64_t *ret_ms);

/* cli_word tells where a word is none of the candidates, with the nearest one. */
bool cli_word(const char *command, const char *what, const char *value, const char *const *candidates, size_t n_candidates);

/* cli_read_config reads the configuration for a command beside the daemon: secrets that systemd gives to the service are looked for where
 * it puts them (they are not read). */
bool cli_read_config(const struct cli_options *options, struct config **ret_config, struct error *err);

/* cli_open_queue opens the configuration's database for reading. */
bool cli_open_queue(const struct config *config, struct queue_reader **ret_reader, struct error *err);

/* cli_list_query is a listing as a whole: configuration, database, question, rows. Gives the exit status. */
int cli_list_query(const struct cli_options *options, enum queue_query query, const struct queue_filter *filter, enum format_kind kind,
		   const char *const *shown);

/* cli_flush makes sure that standard output took everything: ERROR_TRY_LATER for a full disk, else ERROR_IO. */
bool cli_flush(struct error *err);
