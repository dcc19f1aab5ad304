#include "intake/decode.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct decoder *decoder_of(const char *encoding, const char *head, size_t head_length)
{
	struct decoder *decoder = NULL;
	struct error err;

	assert_true(decode_open(encoding, head, head_length, &decoder, &err));
	return decoder;
}

/* All runs of a line behind one another; a fault as {what it is}, and its U+FFFD left out. */
static void read_line(struct decoder *decoder, const char *bytes, size_t length, bool plain, struct text *ret_text)
{
	struct decode_run run;

	decode_line(decoder, bytes, length, plain);
	while (decode_next(decoder, &run)) {
		assert_true(run.text.length > 0);
		assert_true(text_utf8_valid(run.text.data, run.text.length));
		if (run.fault) {
			assert_int_equal(run.text.length, 3);
			assert_memory_equal(run.text.data, "\xEF\xBF\xBD", 3);
			text_printf(ret_text, "{%s}", run.fault);
		} else {
			text_append(ret_text, run.text.data, run.text.length);
		}
	}
	assert_false(decode_next(decoder, &run));
}

static void assert_decoded(const char *encoding, const char *bytes, size_t length, const char *wanted)
{
	struct decoder *decoder = decoder_of(encoding, bytes, length < DECODE_HEAD ? length : DECODE_HEAD);
	struct text got = { 0 };

	read_line(decoder, bytes, length, false, &got);
	assert_string_equal(got.length ? got.data : "", wanted);
	text_clear(&got);
	/* A second line is not changed by what the first one was. */
	read_line(decoder, bytes, length, false, &got);
	assert_string_equal(got.length ? got.data : "", wanted);
	text_free(&got);
	decode_close(decoder);
}

#define ASSERT_DECODED(encoding, bytes, wanted) assert_decoded(encoding, bytes, sizeof(bytes) - 1, wanted)

static void every_encoding_becomes_utf_8(void **state)
{
	(void)state;
	ASSERT_DECODED("utf-8",
		       "Orl\xC3\xA9"
		       "ans\r\n",
		       "Orléans\r\n");
	ASSERT_DECODED("UTF8", "", "");
	ASSERT_DECODED("us-ascii", "abc\n", "abc\n");
	ASSERT_DECODED("iso-8859-1",
		       "Orl\xE9"
		       "ans\n",
		       "Orléans\n");
	ASSERT_DECODED("windows-1252", "\x80 5", "€ 5");
	ASSERT_DECODED("IBM850", "\x82\n", "é\n");
	ASSERT_DECODED("SHIFT_JIS", "\x93\x8C\n", "東\n");
	ASSERT_DECODED("ISO-2022-JP", "\x1b$BEl\x1b(B;a\n", "東;a\n");
	ASSERT_DECODED("UTF-16LE", "\xE9\0\n\0", "é\n");
	ASSERT_DECODED("utf_16be", "\0\xE9\0\n", "é\n");
	ASSERT_DECODED("UTF-16", "\xE9\0\n\0", "é\n");
	ASSERT_DECODED("UTF-16", "\xFF\xFE\xE9\0", "\xEF\xBB\xBFé");
	ASSERT_DECODED("UTF-16", "\xFE\xFF\0\xE9", "\xEF\xBB\xBFé");
	ASSERT_DECODED("UTF-16", "\x3D\xD8\x00\xDE", "😀");
	ASSERT_DECODED("utf-32", "\xE9\0\0\0", "é");
	ASSERT_DECODED("utf-32", "\0\0\xFE\xFF\0\0\0\xE9", "\xEF\xBB\xBFé");
	ASSERT_DECODED("UCS-2", "\xE9\0", "é");
}

static void a_letter_that_was_held_back_for_an_accent_comes_out(void **state)
{
	(void)state;
	ASSERT_DECODED("CP1258", "a\xEC", "á");
	ASSERT_DECODED("CP1258", "xa", "xa");
}

static void what_the_encoding_does_not_have_is_a_fault(void **state)
{
	(void)state;
	ASSERT_DECODED("utf-8",
		       "a\xFF"
		       "b\xC3\n",
		       "a{has bytes that are not utf-8}b{has bytes that are not utf-8}\n");
	ASSERT_DECODED("utf-8", "\xED\xA0\x80",
		       "{has bytes that are not utf-8}{has bytes that are not utf-8}{has bytes that are not utf-8}");
	ASSERT_DECODED("ascii",
		       "a\xE9"
		       "b",
		       "a{has bytes that are not ascii}b");
	ASSERT_DECODED("windows-1252",
		       "\x81"
		       "a",
		       "{has bytes that are not windows-1252}a");
	ASSERT_DECODED("SHIFT_JIS", "a\x93\n", "a{has bytes that are not SHIFT_JIS}\n");
	ASSERT_DECODED("UTF-16LE", "a\0\x3D\xD8\n\0", "a{has bytes that are not UTF-16LE}\n");
	ASSERT_DECODED("UTF-16LE", "a\0\x00\xDE\n\0", "a{has bytes that are not UTF-16LE}\n");
	ASSERT_DECODED("UTF-16LE", "a\0b", "a{has bytes that are not UTF-16LE}");
	ASSERT_DECODED("UTF-32LE", "a\0\0\0\0\0\x11\0b\0\0\0", "a{has bytes that are not UTF-32LE}b");
}

static void a_nul_character_is_a_fault(void **state)
{
	(void)state;
	ASSERT_DECODED("utf-8", "a\0\0b\xC3\xA9\n", "a{has a NUL character}{has a NUL character}bé\n");
	ASSERT_DECODED("iso-8859-1", "\0a\0b", "{has a NUL character}a{has a NUL character}b");
	ASSERT_DECODED("UTF-16LE", "a\0\0\0b\0", "a{has a NUL character}b");
}

static void a_plain_line_is_passed_through_where_ascii_stands_for_itself(void **state)
{
	static const char *const same[] = { "utf-8", "ascii", "windows-1252", "ISO-8859-15", "EUC-JP", "GB18030", "CP1258" };
	static const char line[] = "a;\"b\"\r\n";

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct decoder *decoder = decoder_of(same[i], "", 0);
		struct decode_run run;

		decode_line(decoder, line, sizeof(line) - 1, true);
		assert_true(decode_next(decoder, &run));
		assert_int_equal(run.text.length, sizeof(line) - 1);
		assert_ptr_equal(run.text.data, line);
		assert_false(decode_next(decoder, &run));
		decode_close(decoder);
	}
}

static void a_plain_line_is_converted_where_it_does_not(void **state)
{
	struct decoder *decoder = decoder_of("UTF-7", "", 0);
	struct text got = { 0 };

	(void)state;
	read_line(decoder, "Orl+AOk-ans\n", 12, true, &got);
	assert_string_equal(got.data, "Orléans\n");
	text_free(&got);
	decode_close(decoder);
}

static void a_long_line_comes_in_several_runs(void **state)
{
	enum { LENGTH = 100000 };
	char *bytes = xmalloc(LENGTH);
	struct decoder *decoder = decoder_of("iso-8859-1", "", 0);
	struct text got = { 0 };

	(void)state;
	memset(bytes, 0xE9, LENGTH);
	read_line(decoder, bytes, LENGTH, false, &got);
	assert_int_equal(got.length, 2 * LENGTH);
	assert_int_equal(text_utf8_count(got.data, got.length), LENGTH);
	text_free(&got);
	decode_close(decoder);
	free(bytes);
}

static void the_byte_order_mark_decides_where_the_name_does_not(void **state)
{
	static const struct {
		const char *encoding, *head;
		size_t length, unit;
		bool big_endian;
	} cases[] = {
		{ "utf-8", "\xFE\xFF", 2, 1, false },        { "utf-16", "", 0, 2, false },
		{ "utf-16", "\xFF\xFE", 2, 2, false },       { "utf-16", "\xFE\xFFxx", 4, 2, true },
		{ "utf-16", "\xFE", 1, 2, false },           { "utf-16le", "\xFE\xFF", 2, 2, false },
		{ "utf-16be", "\xFF\xFE", 2, 2, true },      { "utf-32", "\xFE\xFF", 2, 4, false },
		{ "utf-32", "\xFF\xFE\0\0", 4, 4, false },   { "utf-32", "\0\0\xFE\xFF", 4, 4, true },
		{ "utf-32le", "\0\0\xFE\xFF", 4, 4, false }, { "ucs-4be", "", 0, 4, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct decoder *decoder = decoder_of(cases[i].encoding, cases[i].head, cases[i].length);

		assert_int_equal(decode_unit(decoder), cases[i].unit);
		assert_int_equal(decode_big_endian(decoder), cases[i].big_endian);
		decode_close(decoder);
	}
}

static void an_encoding_that_cannot_be_read_is_an_error(void **state)
{
	static const char *const unknown[] = { "", "utf-9", "UTF-8//IGNORE", "latin1//TRANSLIT",
					       "windows-1252000000000000000000000000000000000000000000000000000000000000" };
	static const char *const other_ends[] = { "IBM037", "CP500", "UNICODELITTLE" };
	struct decoder *decoder = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_false(decode_open(unknown[i], "", 0, &decoder, &err));
		assert_int_equal(err.code, ERROR_CONFIG);
		assert_non_null(strstr(err.text, "is not known"));
	}
	for (size_t i = 0; i < sizeof(other_ends) / sizeof(other_ends[0]); i++) {
		assert_false(decode_open(other_ends[i], "", 0, &decoder, &err));
		assert_int_equal(err.code, ERROR_CONFIG);
		assert_non_null(strstr(err.text, "its line ends are not those of ASCII"));
	}
	assert_null(decoder);
	decode_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_encoding_becomes_utf_8),
		cmocka_unit_test(a_letter_that_was_held_back_for_an_accent_comes_out),
		cmocka_unit_test(what_the_encoding_does_not_have_is_a_fault),
		cmocka_unit_test(a_nul_character_is_a_fault),
		cmocka_unit_test(a_plain_line_is_passed_through_where_ascii_stands_for_itself),
		cmocka_unit_test(a_plain_line_is_converted_where_it_does_not),
		cmocka_unit_test(a_long_line_comes_in_several_runs),
		cmocka_unit_test(the_byte_order_mark_decides_where_the_name_does_not),
		cmocka_unit_test(an_encoding_that_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
