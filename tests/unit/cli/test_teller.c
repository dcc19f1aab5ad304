#include "cli/teller.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static const struct teller_endpoint endpoints[] = { { "bankfr", "open", "" },
						    { "bankde", "paused", "outage" },
						    { "bankit", "probing", "proxy" } };

static void assert_says(const struct teller_facts *facts, size_t n_endpoints, const char *expected)
{
	struct text out = { 0 };

	teller_doing(&out, facts, endpoints, n_endpoints);
	assert_string_equal(out.length ? out.data : "", expected);
	text_free(&out);
}

static void what_is_ordinary_is_not_worth_a_word(void **state)
{
	(void)state;
	assert_says(&(struct teller_facts){ 0 }, 1, "");
}

static void each_thing_out_of_the_ordinary_has_its_words(void **state)
{
	(void)state;
	assert_says(&(struct teller_facts){ 0 }, 3, "bankde is paused: outage; bankit is probing: proxy; ");
	assert_says(&(struct teller_facts){ .loading = 7, .loaded_per_cent = 43 }, 1, "loading manifest 7, 43 %; ");
	assert_says(&(struct teller_facts){ .short_of_space = true }, 1, "less than min_free_space is free, no file is taken in; ");
	assert_says(&(struct teller_facts){ .failing = true }, 0, "the queue cannot be written, nothing is sent; ");
	assert_says(&(struct teller_facts){ .renewing = true }, 0, "starting anew with the new configuration; ");
}

static void the_stop_comes_first(void **state)
{
	(void)state;
	assert_says(&(struct teller_facts){ .stopping = true, .renewing = true }, 2,
		    "stopping: what is in flight may finish; bankde is paused: outage; ");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_ordinary_is_not_worth_a_word),
		cmocka_unit_test(each_thing_out_of_the_ordinary_has_its_words),
		cmocka_unit_test(the_stop_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
