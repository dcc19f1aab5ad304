#include "track/civil.h"

enum { DAY = 86400, DAYS_OF_400_YEARS = 146097 };

static int days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

bool civil_exists(const struct civil *civil)
{
	return civil->year >= 0 && civil->year <= 9999 && civil->month >= 1 && civil->month <= 12 && civil->day >= 1 &&
	       civil->day <= days_of_month(civil->year, civil->month) && civil->hour >= 0 && civil->hour <= 23 && civil->minute >= 0 &&
	       civil->minute <= 59 && civil->second >= 0 && civil->second <= 59;
}

/* Days are counted from 0000-03-01, so that the leap day is the last of its year and every month begins on the same day of it. */
enum { DAYS_TO_1970 = 719468 };

int64_t civil_seconds(const struct civil *civil)
{
	int64_t year = civil->month <= 2 ? civil->year - 1 : civil->year;
	int64_t month = (civil->month + 9) % 12;
	/* The years are made positive first, since January and February of 0000 belong to the year before. */
	int64_t days = (year + 400) * 365 + (year + 400) / 4 - (year + 400) / 100 + (year + 400) / 400 - DAYS_OF_400_YEARS +
		       (month * 153 + 2) / 5 + civil->day - 1 - DAYS_TO_1970;

	return days * DAY + civil->hour * 3600 + civil->minute * 60 + civil->second;
}

bool civil_from_seconds(int64_t seconds, struct civil *ret_civil)
{
	static const int64_t first = -62167219200, last = 253402300799;
	int64_t days, of_day, of_400, year, of_year, month;

	if (seconds < first || seconds > last)
		return false;
	/* Shifted by 400 years, the division is one of positive numbers. */
	days = (seconds - first) / DAY + DAYS_OF_400_YEARS - 60;
	of_day = (seconds - first) % DAY;
	of_400 = days % DAYS_OF_400_YEARS;
	year = (of_400 - of_400 / 1460 + of_400 / 36524 - of_400 / (DAYS_OF_400_YEARS - 1)) / 365;
	of_year = of_400 - (365 * year + year / 4 - year / 100);
	month = (5 * of_year + 2) / 153;
	ret_civil->year = (int)(year + days / DAYS_OF_400_YEARS * 400 - 400 + (month >= 10));
	ret_civil->month = (int)(month < 10 ? month + 3 : month - 9);
	ret_civil->day = (int)(of_year - (153 * month + 2) / 5 + 1);
	ret_civil->hour = (int)(of_day / 3600);
	ret_civil->minute = (int)(of_day / 60 % 60);
	ret_civil->second = (int)(of_day % 60);
	return true;
}
