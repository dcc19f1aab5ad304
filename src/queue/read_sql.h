/*
 * read_sql: what the reading commands ask, as one table. Private to read.c (and its test, which looks at the plans). Parameters are bound
 * by name; one that is NULL filters nothing.
 */
#pragma once

enum read_sql {
	READ_ROWS_OF_CARD,
	READ_ROWS_IN_ATTENTION, /* :state is one of those that the index row_attention has */
	READ_ROWS_IN_RANGE,
	READ_RANGE, /* first and last row of the manifests that fit */
	READ_MANIFESTS,
	READ_ENDPOINTS,
	READ_SOURCES,
	READ_ATTEMPTS,
	READ_OPERATOR_ACTIONS,
	READ_REQUEST,
	READ_OVERVIEW,
	READ_CERTIFICATES,
	READ_OLDEST_WAITING,
	READ_ACTIVITY,
	READ_READY,
	READ_TROUBLE,
	READ_COUNTS,
	READ_SOURCES_NOW,
	READ_ENDPOINTS_AND_CERTIFICATES,
	READ_WAITING_MANIFESTS,
	READ_LATEST_ACTIONS,
	READ_RECEIPT_ROWS,
	READ_EVENT,
	READ_SAME_BYTES,
	READ_SQL_N,
};

extern const char *const read_sql[READ_SQL_N];
