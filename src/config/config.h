/*
 * config: the whole of trackbridge.yaml as one immutable struct. Reading is strict: an unknown or repeated key, a wrong type or an absurd
 * value is an error that says file:line:column and, where a key was misspelt, the nearest right one. Relative paths are made absolute
 * against the file's folder. No secret is in here, only the paths to secrets. Nothing but the file is looked at: config_read does not check
 * that directories or keys exist (the command `check` does).
 */
#pragma once

#include "base/error.h"
#include "track/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_http { CONFIG_HTTP_1_1, CONFIG_HTTP_2, CONFIG_HTTP_AUTO };

struct config_endpoint {
	const char *name;
	const char *api_url;   /* https, or http to a loopback address; without a slash at the end */
	const char *token_url; /* likewise */
	const char *const *issuers;
	size_t n_issuers;
	struct {
		const char *issuer;   /* iss and sub */
		const char *audience; /* NULL: no aud claim */
		const char *key;      /* path of a PEM file, or a pkcs11: URI as it is */
		const char *key_id;   /* kid */
		int64_t lifetime_ms;
	} jwt;
	struct {
		const char *certificate; /* paths */
		const char *key;
		const char *ca; /* NULL: the system's */
	} tls;
	int concurrency; /* 1 to 1024 */
	double rate;     /* requests a second, 0 = no limit */
	int64_t timeout_ms;
	int64_t connect_timeout_ms;
	enum config_http http;
	const char *proxy; /* NULL: none, whatever the environment says */
	struct {
		int64_t first_ms, most_ms, give_up_after_ms;
	} retry;
	bool resend_unknown;  /* on_unknown_outcome: resend */
	bool retry_not_found; /* on_not_found: retry */
};

enum config_complete { CONFIG_CLOSED, CONFIG_RENAMED, CONFIG_STABLE, CONFIG_MARKER };
enum config_counts { CONFIG_ROWS, CONFIG_ROWS_TRAILER, CONFIG_ROWS_HEADER_TRAILER };
enum config_case { CONFIG_CASE_KEEP, CONFIG_CASE_UPPER, CONFIG_CASE_LOWER };
enum config_otherwise { CONFIG_OTHERWISE_REJECT, CONFIG_OTHERWISE_KEEP, CONFIG_OTHERWISE_SKIP };

/* One line of a map; to is NULL for the target `skip`. */
struct config_map {
	const char *from;
	const char *to;
};

/* Where a field's value comes from. Absent fields have present = false. Either value, or a column by name or by number. */
struct config_field {
	bool present;
	const char *value;  /* constant; NULL where there is a column */
	const char *column; /* header name, or NULL */
	int column_number;  /* from 1, or 0 */
	enum config_case letter_case;
	const struct config_map *map;
	size_t n_map; /* 0: no map */
	enum config_otherwise otherwise;
	const char *default_value; /* NULL: none */
	/* TRACK_SHIPMENT_DATE alone: */
	const char *date_format; /* strptime; NULL: ISO 8601 with an offset */
	const char *timezone;    /* IANA name; NULL: the text must carry an offset */
	int default_time_s;      /* seconds of the day, -1: none */
};

/* A column by name, or by number from 1 where there is no header (name is NULL then). */
struct config_column {
	const char *name;
	int number;
};

struct config_source {
	const char *name;
	const char *drop;
	const char *receipts;     /* NULL: kept in the archive only */
	const char *const *match; /* fnmatch patterns */
	size_t n_match;
	struct {
		enum config_complete when;
		int64_t quiet_ms;
		const char *marker; /* suffix, ".done" */
	} complete;
	int64_t scan_ms;
	struct {
		const char *encoding;  /* iconv's name */
		const char *delimiter; /* one character, in UTF-8 */
		char quote;            /* 0: cells are never quoted */
		bool header;
		int skip_lines;
	} format;
	struct {
		bool present;
		const char *first_column; /* the text in the first cell that marks the trailer */
		int count_column;         /* from 1 */
		enum config_counts counts;
	} trailer;
	struct config_field fields[TRACK_N_FIELDS];
	bool shipment_without_number_is_production;
	const struct config_column *identity;
	size_t n_identity;
	bool reject_file; /* invalid_rows: reject_file */
	bool allow_pan_like;
	int64_t expect_every_ms; /* 0: not watched */
	int64_t max_file_bytes;
	int max_rows;
	int64_t max_cell_bytes; /* of UTF-8 */
	int max_columns;
};

struct config {
	const char *path; /* of the file, absolute */
	const char *state_dir;
	const char *control_socket;
	const char *metrics_file; /* NULL: none */
	int64_t stop_timeout_ms;
	int64_t min_free_space; /* bytes */
	struct {
		int64_t rows_ms, bodies_ms, archive_ms;
	} retention;
	const struct config_endpoint *endpoints;
	size_t n_endpoints;
	const struct config_source *sources;
	size_t n_sources;
};

/* config_read gives the file's configuration, or the first error in it (ERROR_CONFIG; ERROR_NO_INPUT where there is no such file). The
 * caller frees it. */
bool config_read(const char *path, struct config **ret_config, struct error *err);

/* config_free takes NULL. */
void config_free(struct config *config);

/* config_is_plain tells whether requests to an address go without TLS. */
#define CONFIG_PLAIN "http://"
bool config_is_plain(const char *url);

/* config_endpoint_of gives the index of the endpoint that has the issuer, or -1. */
int config_endpoint_of(const struct config *config, const char *issuer_id);

/* config_source_named gives the index of a source, or -1. */
int config_source_named(const struct config *config, const char *name);
