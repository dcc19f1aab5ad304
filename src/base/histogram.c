#include "base/histogram.h"

const int64_t histogram_bounds_ms[HISTOGRAM_BUCKETS] = { 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000 };

void histogram_count(struct histogram *histogram, int64_t took_ms)
{
	int64_t ms = took_ms > 0 ? took_ms : 0;
	int i = 0;

	while (i < HISTOGRAM_BUCKETS && ms > histogram_bounds_ms[i])
		i++;
	histogram->by_bucket[i]++;
	histogram->sum_ms += ms;
}
