#include "report/complaints.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

static struct complaints complaints;

static int tear_down(void **state)
{
	(void)state;
	complaints_free(&complaints);
	return 0;
}

static void add(enum queue_errand_kind kind, const char *source, int64_t manifest, const char *reason)
{
	struct queue_errand errand = { .manifest = manifest };

	snprintf(errand.source_name, sizeof(errand.source_name), "%s", source);
	complaints_add(&complaints, kind, &errand, reason);
}

static void settle(enum queue_errand_kind kind, const char *source)
{
	struct queue_errand errand = { .manifest = 1 };

	snprintf(errand.source_name, sizeof(errand.source_name), "%s", source);
	complaints_settle(&complaints, kind, &errand);
}

static void assert_next(const char *expected)
{
	struct text line = { 0 };

	assert_int_equal(complaints_take(&complaints, &line), expected != NULL);
	if (expected)
		assert_string_equal(line.data, expected);
	text_free(&line);
}

static void a_reason_is_told_once_for_each_source_and_kind(void **state)
{
	(void)state;
	add(QUEUE_RECEIPT, "lyon", 1, "full");
	add(QUEUE_RECEIPT, "lyon", 2, "full");
	add(QUEUE_RECEIPT, "nantes", 3, "full");
	add(QUEUE_REJECTS, "lyon", 2, "full");
	add(QUEUE_ARCHIVE, "lyon", 2, "gone");
	assert_next("lyon: receipt of manifest 1: full");
	assert_next("nantes: receipt of manifest 3: full");
	assert_next("lyon: rejects file of manifest 2: full");
	assert_next("lyon: archive copy of manifest 2: gone");
	assert_next(NULL);
	add(QUEUE_RECEIPT, "lyon", 4, "full");
	assert_next(NULL);
}

static void a_reason_that_comes_back_is_told_again(void **state)
{
	(void)state;
	add(QUEUE_RECEIPT, "lyon", 1, "full");
	settle(QUEUE_RECEIPT, "lyon");
	assert_next("lyon: receipt of manifest 1: full");
	settle(QUEUE_REJECTS, "lyon");
	settle(QUEUE_RECEIPT, "nantes");
	add(QUEUE_RECEIPT, "lyon", 2, "full");
	assert_next(NULL);
	settle(QUEUE_RECEIPT, "lyon");
	add(QUEUE_RECEIPT, "lyon", 3, "full");
	assert_next("lyon: receipt of manifest 3: full");
}

static void the_oldest_reason_is_forgotten_first(void **state)
{
	(void)state;
	for (int i = 0; i <= COMPLAINTS_MOST; i++) {
		char reason[16];

		snprintf(reason, sizeof(reason), "%d", i);
		add(QUEUE_RECEIPT, "lyon", i, reason);
	}
	assert_next("lyon: receipt of manifest 1: 1");
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reason_is_told_once_for_each_source_and_kind),
		TEST(a_reason_that_comes_back_is_told_again),
		TEST(the_oldest_reason_is_forgotten_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
