#include "intake/watch_table.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static struct watch_name *complete(struct watch_table *table, const char *name, int64_t mtime_ns, bool left_over)
{
	struct watch_name *entry = watch_table_add(table, name);

	assert_non_null(entry);
	entry->look.mtime_ns = mtime_ns;
	entry->left_over = left_over;
	watch_table_move(table, entry, WATCH_NAME_COMPLETE);
	return entry;
}

static void assert_oldest_in_turn(struct watch_table *table, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct watch_name *oldest = watch_table_oldest(table);

		assert_non_null(oldest);
		assert_string_equal(oldest->name, names[i]);
		watch_table_remove(table, oldest);
	}
	assert_null(watch_table_oldest(table));
}

static void left_overs_go_first_then_the_oldest_then_by_name(void **state)
{
	static const char *const expected[] = { "left-new", "a-old", "b-old", "a-new" };
	struct watch_table table;

	(void)state;
	watch_table_init(&table);
	complete(&table, "b-old", 1, false);
	complete(&table, "a-new", 2, false);
	complete(&table, "left-new", 3, true);
	complete(&table, "a-old", 1, false);
	assert_oldest_in_turn(&table, expected, 4);
	watch_table_clear(&table);
}

static void a_name_whose_time_changed_goes_to_its_new_place(void **state)
{
	static const char *const expected[] = { "c", "a", "b" };
	struct watch_table table;

	(void)state;
	watch_table_init(&table);
	complete(&table, "a", 2, false);
	complete(&table, "b", 1, false);
	complete(&table, "c", 3, false);
	complete(&table, "c", 0, false);
	complete(&table, "b", 9, false);
	assert_oldest_in_turn(&table, expected, 3);
	watch_table_clear(&table);
}

static void names_are_found_until_they_are_removed(void **state)
{
	struct watch_table table;
	struct watch_name *a;

	(void)state;
	watch_table_init(&table);
	assert_null(watch_table_find(&table, "a"));
	assert_null(watch_table_due(&table));
	a = watch_table_add(&table, "a");
	assert_ptr_equal(watch_table_add(&table, "a"), a);
	assert_ptr_equal(watch_table_find(&table, "a"), a);
	watch_table_move(&table, a, WATCH_NAME_UNFIT);
	watch_table_remove(&table, a);
	watch_table_remove(&table, NULL);
	assert_null(watch_table_find(&table, "a"));
	watch_table_clear(&table);
}

static void any_order_of_coming_and_going_leaves_the_earliest_first(void **state)
{
	struct watch_table table;
	char name[16];
	int64_t before = -1;
	uint32_t seed = 7;

	(void)state;
	watch_table_init(&table);
	for (int i = 0; i < 2000; i++) {
		struct watch_name *entry;

		seed = seed * 1664525 + 1013904223;
		snprintf(name, sizeof(name), "%u", (seed >> 16) % 500);
		entry = watch_table_add(&table, name);
		entry->due_ms = (seed >> 8) % 1000;
		watch_table_move(&table, entry, WATCH_NAME_DUE);
		if (i % 3 == 0) {
			snprintf(name, sizeof(name), "%u", (seed >> 20) % 500);
			watch_table_remove(&table, watch_table_find(&table, name));
		}
	}
	assert_int_equal(table.due.n, table.n);
	assert_true(table.n > 100);
	while (table.n) {
		struct watch_name *due = watch_table_due(&table);

		assert_true(due->due_ms >= before);
		before = due->due_ms;
		watch_table_remove(&table, due);
	}
	watch_table_clear(&table);
}

static void a_full_table_takes_no_new_name(void **state)
{
	struct watch_table table;
	char name[16];

	(void)state;
	watch_table_init(&table);
	for (int i = 0; i < WATCH_TABLE_MOST; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_non_null(watch_table_add(&table, name));
	}
	assert_null(watch_table_add(&table, "one more"));
	assert_non_null(watch_table_add(&table, "17"));
	watch_table_clear(&table);
	assert_int_equal(table.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(left_overs_go_first_then_the_oldest_then_by_name),
		cmocka_unit_test(a_name_whose_time_changed_goes_to_its_new_place),
		cmocka_unit_test(names_are_found_until_they_are_removed),
		cmocka_unit_test(any_order_of_coming_and_going_leaves_the_earliest_first),
		cmocka_unit_test(a_full_table_takes_no_new_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
