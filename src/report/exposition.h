/*
 * exposition: writing Prometheus' text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/): families of
 * samples, each family with its help and type. Knows the syntax and nothing of what is counted. The caller writes each family in one go
 * and no family twice.
 */
#pragma once

#include "base/histogram.h"
#include "base/text.h"

#include <stdint.h>

/* A list of labels ends with one that has no name; NULL is the empty list. Values are escaped, names are ours. */
struct exposition_label {
	const char *name, *value;
};

/* exposition_family begins a family: trackbridge_ is put before the name. type: "gauge", "counter" or "histogram". */
void exposition_family(struct text *out, const char *name, const char *type, const char *help);

/* exposition_number writes one sample of the family; exposition_seconds one that is given in milliseconds. */
void exposition_number(struct text *out, const char *name, const struct exposition_label *labels, int64_t value);
void exposition_seconds(struct text *out, const char *name, const struct exposition_label *labels, int64_t value_ms);

/* exposition_histogram writes one histogram, its buckets added up as the format wants it; bounds are in seconds. */
void exposition_histogram(struct text *out, const char *name, const struct exposition_label *label, const struct histogram *histogram);
