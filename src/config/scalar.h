/*
 * scalar: the ways in which the configuration writes numbers, times and sizes. Each function takes the whole text and nothing else: no
 * blanks, no sign, no leading zeros (YAML 1.1 would take 010 for 8), no number that does not fit. False where it is none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* scalar_integer: 0 42. */
bool scalar_integer(const char *text, int64_t *ret_number);

/* scalar_number: 0 12 0.5, with at most nine digits on either side of the point. */
bool scalar_number(const char *text, double *ret_number);

/* scalar_duration: 500ms 30s 15m 72h 400d, in milliseconds. */
bool scalar_duration(const char *text, int64_t *ret_ms);

/* scalar_size: 64KiB 256MiB 1GiB, in bytes. */
bool scalar_size(const char *text, int64_t *ret_bytes);

/* scalar_bool: true or false, and none of YAML 1.1's other words for them. */
bool scalar_bool(const char *text, bool *ret_bool);

/* scalar_time: a time of day, 08:30 or 08:30:59, in seconds since midnight. */
bool scalar_time(const char *text, int *ret_seconds);
