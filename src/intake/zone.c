#include "intake/zone.h"

#include "base/file.h"
#include "track/civil.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_NAME = 64, DAY = 86400, N_DAYS = 128 };

/* The offsets before and after a local day, in seconds east of UTC. The same: no clock change is near. */
struct day {
	bool known;
	int64_t number; /* since 1970 */
	int64_t before, after;
};

/* C has one time zone for the whole process, so what belongs to it cannot be held by a caller. */
static struct {
	char setting[3 + MOST_NAME + 1];
	bool put;
	struct day days[N_DAYS];
} zone = { .setting = "TZ=" };

bool zone_exists(const char *name)
{
	const char *folder = secure_getenv("TZDIR");
	char path[PATH_MAX], magic[4];
	scoped_close int fd = -1;
	size_t length = strlen(name);

	if (length == 0 || length > MOST_NAME || name[0] == '/' ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") != length)
		return false;
	snprintf(path, sizeof(path), "%s/%s", folder ? folder : "/usr/share/zoneinfo", name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) && memcmp(magic, "TZif", sizeof(magic)) == 0;
}

static bool use(const char *name)
{
	char *setting = zone.setting + 3;

	if (zone.put && strcmp(setting, name) == 0)
		return true;
	if (!zone_exists(name))
		return false;
	memset(setting, 0, MOST_NAME);
	memcpy(setting, name, strlen(name));
	if (!zone.put && putenv(zone.setting) != 0)
		abort();
	zone.put = true;
	tzset();
	memset(zone.days, 0, sizeof(zone.days));
	return true;
}

static int64_t offset_at(int64_t seconds)
{
	time_t time = seconds;
	struct tm tm = { 0 };

	localtime_r(&time, &tm);
	return tm.tm_gmtoff;
}

/* No zone has had two changes of its offset within four days since 1970, so a look at either side tells whether there is one. */
static const struct day *day_of(int64_t local)
{
	int64_t number = local / DAY;
	struct day *day = &zone.days[number % N_DAYS];

	if (!day->known || day->number != number)
		*day = (struct day){ true, number, offset_at((number - 1) * DAY), offset_at((number + 2) * DAY) };
	return day;
}

/* ISO 8601 with the offset: what the clock shows, and which second is meant. */
static void append_reading(struct text *text, int64_t local, int64_t offset)
{
	struct civil c = { 0 };
	int64_t size = offset < 0 ? -offset : offset;

	civil_from_seconds(local, &c);
	text_printf(text, "%04d-%02d-%02dT%02d:%02d:%02d%c%02" PRId64 ":%02" PRId64, c.year, c.month, c.day, c.hour, c.minute, c.second,
		    offset < 0 ? '-' : '+', size / 3600, size / 60 % 60);
}

static bool unclear(struct text *ret_reason, const char *what, const char *name, int64_t shift, int64_t local, const struct day *day)
{
	text_printf(ret_reason, "%s in %s: ", what, name);
	append_reading(ret_reason, local - shift, day->before);
	text_append_string(ret_reason, " or ");
	append_reading(ret_reason, local + shift, day->after);
	text_append_string(ret_reason, "?");
	return false;
}

bool zone_seconds(const char *name, int64_t local, int64_t *ret_seconds, struct text *ret_reason)
{
	const struct day *day;
	bool before, after;

	if (!use(name)) {
		text_printf(ret_reason, "is local time of an unknown time zone, %s", name);
		return false;
	}
	day = day_of(local);
	if (day->before == day->after) {
		*ret_seconds = local - day->before;
		return true;
	}
	before = offset_at(local - day->before) == day->before;
	after = offset_at(local - day->after) == day->after;
	if (!before && !after)
		return unclear(ret_reason, "does not exist", name, day->after - day->before, local, day);
	if (before && after)
		return unclear(ret_reason, "happens twice", name, 0, local, day);
	*ret_seconds = local - (before ? day->before : day->after);
	return true;
}
