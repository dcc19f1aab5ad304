#include "submit/certificate.h"

#include "submit/jwt.h"

enum { HOUR_MS = 60 * 60 * 1000, DAY_MS = 24 * HOUR_MS, DAY_S = 24 * 60 * 60 };

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void look(struct certificate *certificate, const char *path)
{
	struct stat now = { 0 };

	if (stat(path, &now) < 0) {
		certificate->read = false;
		certificate->expires_at = 0;
		return;
	}
	if (certificate->read && same_file(&now, &certificate->as_read))
		return;
	certificate->as_read = now;
	certificate->read = true;
	certificate->warned_at = 0;
	if (!jwt_certificate_end(path, &certificate->expires_at, NULL))
		certificate->expires_at = 0;
}

bool certificate_look(struct certificate *certificate, const char *path, int64_t now_ms, int64_t wall_ms)
{
	if (certificate->looked && now_ms - certificate->looked_at < HOUR_MS)
		return false;
	certificate->looked = true;
	certificate->looked_at = now_ms;
	look(certificate, path);
	if (!certificate->expires_at || certificate->expires_at - wall_ms / 1000 >= (int64_t)CERTIFICATE_WARN_DAYS * DAY_S)
		return false;
	if (certificate->warned_at && now_ms - certificate->warned_at < DAY_MS)
		return false;
	certificate->warned_at = now_ms;
	return true;
}
