/*
 * certificate: when an endpoint's client certificate ends. The file is looked at once an hour, since it may be replaced under a running
 * daemon (the next connection uses the new one), and read only where it changed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { CERTIFICATE_WARN_DAYS = 30 };

struct certificate {
	struct stat as_read;
	bool looked, read;
	int64_t looked_at, warned_at; /* steady ms */
	int64_t expires_at;           /* seconds since 1970; 0: it cannot be read, which `check` and the endpoint's pause say */
};

/* certificate_look takes the file's state over, at most once an hour. True once a day while it ends within CERTIFICATE_WARN_DAYS or has
 * ended: people are to be told. */
bool certificate_look(struct certificate *certificate, const char *path, int64_t now_ms, int64_t wall_ms);
