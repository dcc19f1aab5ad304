#include "report/charset.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static struct charset *opened(const char *encoding, const char *head, size_t head_length)
{
	struct charset *charset;
	struct error err;

	if (!charset_open(encoding, head, head_length, &charset, &err))
		fail_msg("%s", err.text);
	return charset;
}

static void width_and_byte_order_come_from_the_name_or_the_mark(void **state)
{
	static const struct {
		const char *encoding, *head;
		size_t head_length, unit, mark;
		const char *letter; /* 'a' */
	} cases[] = {
		{ "utf-8", "\xEF\xBB\xBFx", 4, 1, 3, "a" },
		{ "utf-8", "abcd", 4, 1, 0, "a" },
		{ "utf-8", "\xEF\xBB", 2, 1, 0, "a" },
		{ "iso-8859-1", "\xEF\xBB\xBFx", 4, 1, 0, "a" },
		{ "utf-16",
		  "\xFF\xFE"
		  "a",
		  4, 2, 2, "a" },
		{ "UTF16", "\xFE\xFF\0a", 4, 2, 2, "\0a" },
		{ "UTF_16", "", 0, 2, 0, "a" },
		{ "utf-16le", "\xFE\xFF\0a", 4, 2, 0, "a" },
		{ "utf-16be", "\xFE\xFF\0a", 4, 2, 2, "\0a" },
		{ "ucs-2", "\xFE\xFF\0a", 4, 2, 2, "\0a" },
		{ "utf-32", "\0\0\xFE\xFF", 4, 4, 4, "\0\0\0a" },
		{ "ucs-4le", "\xFF\xFE\0\0", 4, 4, 4, "a\0\0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct charset *charset = opened(cases[i].encoding, cases[i].head, cases[i].head_length);
		struct text text = { 0 };

		assert_int_equal(charset_unit(charset), cases[i].unit);
		assert_int_equal(charset_mark(charset, cases[i].head, cases[i].head_length), cases[i].mark);
		charset_encode(charset, &text, "a", 1);
		assert_int_equal(text.length, cases[i].unit);
		assert_memory_equal(text.data, cases[i].letter, text.length);
		text_free(&text);
		charset_close(charset);
	}
}

static void an_encoding_that_iconv_does_not_know_is_an_error(void **state)
{
	struct charset *charset;
	struct error err;

	(void)state;
	assert_false(charset_open("klingon", "", 0, &charset, &err));
	assert_int_equal(err.code, ERROR_CONFIG);
	charset_close(NULL);
}

static void what_cannot_be_written_becomes_a_question_mark(void **state)
{
	struct charset *latin = opened("iso-8859-1", "", 0), *shifting = opened("iso-2022-jp", "", 0);
	struct text text = { 0 };

	(void)state;
	charset_encode(latin, &text, "\xC3\xA9 \xE2\x82\xAC \xFF", 8);
	assert_string_equal(text.data, "\xE9 ? ?");
	text_clear(&text);
	/* It goes back to ASCII at the end of the cell. */
	charset_encode(shifting, &text, "\xE3\x81\x82", 3);
	assert_string_equal(text.data, "\x1B$B$\"\x1B(B");
	text_free(&text);
	charset_close(latin);
	charset_close(shifting);
}

static void keep(void *user, const char *utf8, size_t length)
{
	text_append(user, utf8, length);
}

static void what_cannot_be_read_is_left_out(void **state)
{
	struct charset *utf16 = opened("utf-16le", "", 0), *utf8 = opened("utf-8", "", 0);
	struct text text = { 0 };
	char long_text[20002];

	(void)state;
	charset_decode(utf16, "a\0\0\xDC;\0b\0c", 9, keep, &text);
	assert_string_equal(text.data, "a;b");
	text_clear(&text);
	charset_decode(utf8, "a\xFF;", 3, keep, &text);
	assert_string_equal(text.data, "a\xFF;");
	text_clear(&text);
	for (size_t i = 0; i < sizeof(long_text); i += 2)
		memcpy(long_text + i, "a", 2);
	charset_decode(utf16, long_text, sizeof(long_text), keep, &text);
	assert_int_equal(text.length, sizeof(long_text) / 2);
	text_free(&text);
	charset_close(utf16);
	charset_close(utf8);
}

static void a_line_ends_in_cr_lf_or_both(void **state)
{
	static const struct {
		const char *bytes;
		size_t from;
		bool complete;
		size_t end; /* 0: not found */
	} cases[] = {
		{ "ab\ncd", 0, false, 3 }, { "ab\ncd", 3, true, 0 }, { "ab\r\ncd", 0, false, 4 }, { "ab\rcd", 0, false, 3 },
		{ "ab\r", 0, false, 0 },   { "ab\r", 0, true, 3 },   { "ab\r\n", 2, false, 4 },   { "ab\r\r\n", 0, true, 3 },
	};
	struct charset *utf8 = opened("utf-8", "", 0), *utf16 = opened("utf-16be", "", 0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = strlen(cases[i].bytes), end = 0;
		struct text wide = { 0 };

		charset_line(utf8, cases[i].bytes, length, cases[i].from, cases[i].complete, &end);
		assert_int_equal(end, cases[i].end);
		charset_encode(utf16, &wide, cases[i].bytes, length);
		end = 0;
		charset_line(utf16, wide.data, wide.length, 2 * cases[i].from, cases[i].complete, &end);
		assert_int_equal(end, 2 * cases[i].end);
		text_free(&wide);
	}
	assert_int_equal(charset_line_end(utf8, "a\r\n", 3), 2);
	assert_int_equal(charset_line_end(utf8, "a\n", 2), 1);
	assert_int_equal(charset_line_end(utf8, "\n", 1), 1);
	assert_int_equal(charset_line_end(utf8, "a\r", 2), 1);
	assert_int_equal(charset_line_end(utf8, "a", 1), 0);
	assert_int_equal(charset_line_end(utf8, "", 0), 0);
	/* U+0A0D is no line end. */
	assert_int_equal(charset_line_end(utf16, "\x0A\x0D", 2), 0);
	charset_close(utf8);
	charset_close(utf16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(width_and_byte_order_come_from_the_name_or_the_mark),
		cmocka_unit_test(an_encoding_that_iconv_does_not_know_is_an_error),
		cmocka_unit_test(what_cannot_be_written_becomes_a_question_mark),
		cmocka_unit_test(what_cannot_be_read_is_left_out),
		cmocka_unit_test(a_line_ends_in_cr_lf_or_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
