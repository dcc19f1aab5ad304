#include "config/scalar.h"

#include <stddef.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t factor;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the number at the start of a text and gives what is behind it, or NULL. */
static const char *leading_number(const char *text, int64_t *ret_number)
{
	int64_t number = 0;

	if (!is_digit(text[0]) || (text[0] == '0' && is_digit(text[1])))
		return NULL;
	for (; is_digit(*text); text++) {
		if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *text - '0', &number))
			return NULL;
	}
	*ret_number = number;
	return text;
}

static bool number_with_unit(const char *text, const struct unit *units, size_t n_units, int64_t *ret_number)
{
	int64_t number;
	const char *unit = leading_number(text, &number);

	for (size_t i = 0; unit && i < n_units; i++) {
		if (strcmp(unit, units[i].name) == 0 && !__builtin_mul_overflow(number, units[i].factor, &number)) {
			*ret_number = number;
			return true;
		}
	}
	return false;
}

bool scalar_integer(const char *text, int64_t *ret_number)
{
	static const struct unit none[] = { { "", 1 } };

	return number_with_unit(text, none, 1, ret_number);
}

bool scalar_number(const char *text, double *ret_number)
{
	enum { MOST_DIGITS = 9 };
	int64_t whole;
	const char *rest = leading_number(text, &whole);
	double fraction = 0, place = 1;
	size_t digits = 0;

	if (!rest || rest - text > MOST_DIGITS)
		return false;
	if (*rest == '.') {
		for (rest++; is_digit(*rest); rest++, digits++) {
			fraction = fraction * 10 + (*rest - '0');
			place *= 10;
		}
		if (digits == 0 || digits > MOST_DIGITS)
			return false;
	}
	if (*rest)
		return false;
	*ret_number = (double)whole + fraction / place;
	return true;
}

bool scalar_duration(const char *text, int64_t *ret_ms)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };

	return number_with_unit(text, units, sizeof(units) / sizeof(units[0]), ret_ms);
}

bool scalar_size(const char *text, int64_t *ret_bytes)
{
	static const struct unit units[] = { { "KiB", 1024 }, { "MiB", 1024 * 1024 }, { "GiB", 1024 * 1024 * 1024 } };

	return number_with_unit(text, units, sizeof(units) / sizeof(units[0]), ret_bytes);
}

bool scalar_bool(const char *text, bool *ret_bool)
{
	bool is_true = strcmp(text, "true") == 0;

	if (!is_true && strcmp(text, "false") != 0)
		return false;
	*ret_bool = is_true;
	return true;
}

/* Two digits below a bound; the text must be at least one character long. */
static bool two_digits(const char *text, int bound, int *ret_number)
{
	if (!is_digit(text[0]) || !is_digit(text[1]))
		return false;
	*ret_number = (text[0] - '0') * 10 + (text[1] - '0');
	return *ret_number < bound;
}

bool scalar_time(const char *text, int *ret_seconds)
{
	size_t length = strlen(text);
	int hour, minute, second = 0;

	if (length != 5 && length != 8)
		return false;
	if (!two_digits(text, 24, &hour) || text[2] != ':' || !two_digits(text + 3, 60, &minute))
		return false;
	if (length == 8 && (text[5] != ':' || !two_digits(text + 6, 60, &second)))
		return false;
	*ret_seconds = hour * 3600 + minute * 60 + second;
	return true;
}
