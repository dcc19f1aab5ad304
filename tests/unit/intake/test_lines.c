#include "intake/lines.h"

#include "base/text.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1024 * 1024 };

static int file_of(const char *bytes, size_t length)
{
	int fd = memfd_create("lines", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, length), length);
	return fd;
}

/* Each line as "number@offset+length", with ! where it has no end and * where it is not plain. */
static void assert_lines(const char *bytes, size_t length, size_t unit, bool big_endian, const char *wanted)
{
	int fd = file_of(bytes, length);
	struct lines *lines = lines_open(fd, unit, big_endian, 0, 1);
	struct text got = { 0 };
	enum lines_step step;
	struct line line;
	struct error err;

	while ((step = lines_next(lines, &line, &err)) == LINES_LINE) {
		assert_memory_equal(line.bytes, bytes + line.offset, line.length);
		assert_int_equal(lines_terminated(lines), line.terminated);
		text_printf(&got, "%lld@%lld+%zu%s%s ", (long long)line.number, (long long)line.offset, line.length,
			    line.terminated ? "" : "!", line.plain ? "" : "*");
	}
	assert_int_equal(step, LINES_END);
	assert_int_equal(lines_next(lines, &line, &err), LINES_END);
	assert_int_equal(lines_offset(lines), length);
	assert_string_equal(got.length ? got.data : "", wanted);
	text_free(&got);
	lines_close(lines);
	close(fd);
}

#define ASSERT_LINES(bytes, unit, big_endian, wanted) assert_lines(bytes, sizeof(bytes) - 1, unit, big_endian, wanted)

static void cr_lf_and_crlf_end_a_line(void **state)
{
	(void)state;
	ASSERT_LINES("", 1, false, "");
	ASSERT_LINES("\n", 1, false, "1@0+1 ");
	ASSERT_LINES("a\nbc\r\n\rd\r\r\n\n\re", 1, false, "1@0+2 2@2+4 3@6+1 4@7+2 5@9+2 6@11+1 7@12+1 8@13+1! ");
	ASSERT_LINES("a\r", 1, false, "1@0+2 ");
	ASSERT_LINES("0123456789abcdef\r\n0123456\n", 1, false, "1@0+18 2@18+8 ");
}

static void only_lines_of_ascii_without_nul_are_plain(void **state)
{
	(void)state;
	ASSERT_LINES("\x01~ \x7f\n\xC3\xA9\nabc\na\0b\n", 1, false, "1@0+5 2@5+3* 3@8+4 4@12+4* ");
	ASSERT_LINES("0123456789abcdef\0hijklmnop\n0123456789abcdefghijklmnop\n\x80xxxxxxxyyyyyyyy\nx\n", 1, false,
		     "1@0+27* 2@27+27 3@54+17* 4@71+2 ");
}

static void wider_units_are_compared_whole(void **state)
{
	(void)state;
	/* U+0A0D, U+0D0A and U+0A00 hold the bytes of line ends and are none. */
	ASSERT_LINES("\x0d\x0a\x0a\x0d\x00\x0a\x0a\x00x\0\r\0\n\0\r\0y\0", 2, false, "1@0+8* 2@8+6* 3@14+2* 4@16+2!* ");
	ASSERT_LINES("\x0d\x0a\x0a\x0d\x0a\x00\x00\x0a\0x\0\r\0\n\0\r\0y", 2, true, "1@0+8* 2@8+6* 3@14+2* 4@16+2!* ");
	ASSERT_LINES("x\0\0\0\n\0\0\0\0\0\0\n", 4, false, "1@0+8* 2@8+4!* ");
	ASSERT_LINES("\0\0\0x\0\0\0\n", 4, true, "1@0+8* ");
}

static void half_a_unit_at_the_end_belongs_to_the_last_line(void **state)
{
	(void)state;
	ASSERT_LINES("x\0\n\0y", 2, false, "1@0+4* 2@4+1!* ");
	ASSERT_LINES("x\0\r\0\n", 2, false, "1@0+4* 2@4+1!* ");
}

static void reading_goes_on_at_any_line(void **state)
{
	static const char bytes[] = "a\nbb\r\nccc";
	int fd = file_of(bytes, sizeof(bytes) - 1);
	struct lines *lines = lines_open(fd, 1, false, 6, 3);
	struct error err;
	struct line line;

	(void)state;
	assert_true(lines_terminated(lines));
	assert_int_equal(lines_next(lines, &line, &err), LINES_LINE);
	assert_int_equal(line.number, 3);
	assert_int_equal(line.offset, 6);
	assert_int_equal(line.length, 3);
	assert_int_equal(lines_number(lines), 4);
	lines_close(lines);
	lines = lines_open(fd, 1, false, 9, 4);
	assert_false(lines_terminated(lines));
	assert_int_equal(lines_next(lines, &line, &err), LINES_END);
	lines_close(lines);
	close(fd);
}

static void lines_do_not_depend_on_where_a_read_ends(void **state)
{
	enum { LENGTH = 3 * 128 * 1024 };
	char *bytes = xmalloc(LENGTH);

	(void)state;
	for (int shift = 0; shift < 3; shift++) {
		int64_t offset = 0, n = 0;
		struct lines *lines;
		struct error err;
		struct line line;
		int fd;

		for (int i = 0; i < LENGTH; i++)
			bytes[i] = "abc\r\n"[(i + shift) % 5];
		fd = file_of(bytes, LENGTH);
		lines = lines_open(fd, 1, false, 0, 1);
		for (; lines_next(lines, &line, &err) == LINES_LINE; n++) {
			assert_int_equal(line.offset, offset);
			assert_int_equal(line.number, n + 1);
			assert_true(line.plain);
			assert_true(line.length == 5 || n == 0 || !line.terminated);
			offset += (int64_t)line.length;
		}
		assert_int_equal(offset, LENGTH);
		lines_close(lines);
		close(fd);
	}
	free(bytes);
}

static void a_line_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
	char *bytes = xmalloc(LINES_MOST + 8);

	(void)state;
	for (int more = 0; more < 4; more++) {
		struct lines *lines;
		struct error err;
		struct line line;
		int fd;

		memset(bytes, 'x', LINES_MOST + 8);
		memcpy(bytes, "a\n", 2);
		bytes[LINES_MOST + more] = '\n';
		memcpy(bytes + LINES_MOST + more + 1, "b\n", 2);
		fd = file_of(bytes, (size_t)LINES_MOST + 8);
		lines = lines_open(fd, 1, false, 0, 1);
		assert_int_equal(lines_next(lines, &line, &err), LINES_LINE);
		if (more < 2) {
			assert_int_equal(lines_next(lines, &line, &err), LINES_LINE);
			assert_int_equal(line.length, LINES_MOST - 1 + more);
			assert_int_equal(lines_next(lines, &line, &err), LINES_LINE);
			assert_memory_equal(line.bytes, "b\n", 2);
		} else {
			assert_int_equal(lines_next(lines, &line, &err), LINES_TOO_LONG);
			assert_int_equal(lines_offset(lines), 2);
			assert_int_equal(lines_number(lines), 2);
		}
		lines_close(lines);
		close(fd);
	}
	free(bytes);
}

static void a_long_line_gives_its_memory_back(void **state)
{
	char *bytes = xmalloc(2 * MIB);
	struct lines *lines;
	struct error err;
	struct line line;
	int n = 0, fd;

	(void)state;
	memset(bytes, 'x', 2 * MIB);
	for (int i = MIB; i < 2 * MIB; i += i < MIB + MIB / 2 ? 100000 : 1000)
		bytes[i] = '\n';
	fd = file_of(bytes, 2 * MIB);
	lines = lines_open(fd, 1, false, 0, 1);
	while (lines_next(lines, &line, &err) == LINES_LINE)
		n++;
	assert_int_equal(n, 1 + 6 + 448 + 1);
	lines_close(lines);
	lines_close(NULL);
	close(fd);
	free(bytes);
}

static void a_read_that_fails_says_so(void **state)
{
	struct lines *lines = lines_open(-1, 1, false, 5, 2);
	struct error err;
	struct line line;

	(void)state;
	assert_int_equal(lines_next(lines, &line, &err), LINES_FAILED);
	assert_string_equal(err.text, "reading at byte 5: Bad file descriptor");
	lines_close(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cr_lf_and_crlf_end_a_line),
		cmocka_unit_test(only_lines_of_ascii_without_nul_are_plain),
		cmocka_unit_test(wider_units_are_compared_whole),
		cmocka_unit_test(half_a_unit_at_the_end_belongs_to_the_last_line),
		cmocka_unit_test(reading_goes_on_at_any_line),
		cmocka_unit_test(lines_do_not_depend_on_where_a_read_ends),
		cmocka_unit_test(a_line_may_be_as_long_as_the_limit_and_no_longer),
		cmocka_unit_test(a_long_line_gives_its_memory_back),
		cmocka_unit_test(a_read_that_fails_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
