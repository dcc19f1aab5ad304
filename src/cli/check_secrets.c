#include "base/clock.h"
#include "base/file.h"
#include "cli/check.h"
#include "config/path.h"
#include "submit/certificate.h"
#include "submit/jwt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { DAY_S = 24 * 60 * 60 };

/* Without the service, what systemd hands over to it is nowhere. */
static void check_secret_error(struct check *check, const char *what, const char *path, const struct error *err)
{
	struct error said = *err;

	if (path_is_inside(path, "/run/credentials") && faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) < 0 && errno == ENOENT)
		error_set(&said, err->code, "%s: systemd puts it there for as long as the service runs (`trackbridge check --unit`)",
			  err->text);
	check_error(check, what, &said);
}

static void check_sign_key(struct check *check, const char *what, const struct config_endpoint *endpoint)
{
	struct jwt_key *key;
	struct error err;

	if (!jwt_secret_is_private(endpoint->jwt.key, &err) || !jwt_key_open(endpoint->jwt.key, &key, &err)) {
		check_secret_error(check, what, endpoint->jwt.key, &err);
		return;
	}
	jwt_key_close(key);
	check_ok(check, what, "the key for assertions is an EC P-256 key (key_id %s)", endpoint->jwt.key_id);
}

static void check_expiry(struct check *check, const char *what, int64_t expires_at)
{
	int64_t left = expires_at - clock_wall_ms() / 1000;
	struct error err;
	char time[32];

	text_time(time, expires_at * 1000);
	if (left <= 0) {
		error_set(&err, ERROR_CONFIG, "the certificate expired at %s", time);
		check_error(check, what, &err);
	} else if (left < (int64_t)CERTIFICATE_WARN_DAYS * DAY_S) {
		check_warning(check, what, "the certificate expires at %s, in %lld days", time, (long long)(left / DAY_S));
	} else {
		check_ok(check, what, "the certificate and its key belong together; it expires at %s", time);
	}
}

static void check_certificate(struct check *check, const char *what, const struct config_endpoint *endpoint)
{
	struct jwt_certificate certificate;
	struct error err;

	if (!jwt_secret_is_private(endpoint->tls.key, &err) ||
	    !jwt_certificate_read(endpoint->tls.certificate, endpoint->tls.key, &certificate, &err)) {
		check_secret_error(check, what, endpoint->tls.key, &err);
		return;
	}
	if (!certificate.matches_key) {
		error_set(&err, ERROR_CONFIG, "%s is not the key of the certificate %s", endpoint->tls.key, endpoint->tls.certificate);
		check_error(check, what, &err);
		return;
	}
	check_expiry(check, what, certificate.expires_at);
}

static void check_ca(struct check *check, const char *what, const char *path)
{
	struct error err;

	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0)
		return;
	error_errno(&err, errno, "ca %s cannot be read", path);
	check_error(check, what, &err);
}

void check_secrets(struct check *check)
{
	for (size_t i = 0; i < check->config->n_endpoints; i++) {
		const struct config_endpoint *endpoint = &check->config->endpoints[i];
		char what[128];

		snprintf(what, sizeof(what), "endpoint %s", endpoint->name);
		check_sign_key(check, what, endpoint);
		check_certificate(check, what, endpoint);
		if (endpoint->tls.ca)
			check_ca(check, what, endpoint->tls.ca);
	}
}
