#include "submit/certificate.h"

#include "submit/jwt.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOUR = 3600 * 1000, DAY_S = 86400 };

static const int64_t wall = INT64_C(1795341600000);

/* What stands in place of reading a certificate. */
static struct {
	int64_t expires_at;
	int times;
} file;

bool jwt_certificate_end(const char *path, int64_t *ret_expires_at, struct error *err)
{
	(void)path;
	(void)err;
	file.times++;
	if (!file.expires_at)
		return false;
	*ret_expires_at = file.expires_at;
	return true;
}

static char path[] = "/tmp/certificate-XXXXXX";

static void write_file(const char *content)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(content, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	(void)state;
	file.times = 0;
	file.expires_at = wall / 1000 + 10 * DAY_S;
	write_file("one");
	return 0;
}

static void a_file_is_looked_at_once_an_hour_and_read_where_it_changed(void **state)
{
	struct certificate certificate = { 0 };

	(void)state;
	certificate_look(&certificate, path, 0, wall);
	assert_int_equal(certificate.expires_at, file.expires_at);
	write_file("another one");
	file.expires_at += 100 * DAY_S;
	certificate_look(&certificate, path, HOUR - 1, wall);
	assert_int_equal(file.times, 1);
	certificate_look(&certificate, path, HOUR, wall);
	assert_int_equal(certificate.expires_at, file.expires_at);
	certificate_look(&certificate, path, 2 * HOUR, wall);
	assert_int_equal(file.times, 2);
}

static void one_that_ends_within_thirty_days_is_told_once_a_day(void **state)
{
	struct certificate certificate = { 0 };
	int told = 0;

	(void)state;
	for (int hour = 0; hour < 72; hour++)
		told += certificate_look(&certificate, path, (hour + 1) * (int64_t)HOUR, wall + hour * (int64_t)HOUR);
	assert_int_equal(told, 3);
}

static void thirty_days_are_the_border(void **state)
{
	struct certificate soon = { 0 }, later = { 0 }, over = { 0 };

	(void)state;
	file.expires_at = wall / 1000 + 30 * DAY_S - 1;
	assert_true(certificate_look(&soon, path, 1, wall));
	file.expires_at++;
	assert_false(certificate_look(&later, path, 1, wall));
	file.expires_at = wall / 1000 - 1;
	assert_true(certificate_look(&over, path, 1, wall));
}

static void a_new_one_that_ends_soon_is_told_at_once(void **state)
{
	struct certificate certificate = { 0 };

	(void)state;
	assert_true(certificate_look(&certificate, path, 1, wall));
	write_file("the wrong one again");
	file.expires_at -= DAY_S;
	assert_true(certificate_look(&certificate, path, 1 + HOUR, wall));
}

static void one_that_cannot_be_read_has_no_end(void **state)
{
	struct certificate certificate = { 0 };

	(void)state;
	assert_true(certificate_look(&certificate, path, 1, wall));
	assert_int_equal(unlink(path), 0);
	assert_false(certificate_look(&certificate, path, 1 + HOUR, wall));
	assert_int_equal(certificate.expires_at, 0);
	write_file("no certificate");
	file.expires_at = 0;
	assert_false(certificate_look(&certificate, path, 1 + 2 * HOUR, wall));
	assert_int_equal(certificate.expires_at, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_file_is_looked_at_once_an_hour_and_read_where_it_changed, set_up),
		cmocka_unit_test_setup(one_that_ends_within_thirty_days_is_told_once_a_day, set_up),
		cmocka_unit_test_setup(thirty_days_are_the_border, set_up),
		cmocka_unit_test_setup(a_new_one_that_ends_soon_is_told_at_once, set_up),
		cmocka_unit_test_setup(one_that_cannot_be_read_has_no_end, set_up),
	};
	int fd = mkstemp(path), failed;

	assert_true(fd >= 0);
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
