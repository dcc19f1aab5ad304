/*
 * event: which event a row is, as one number. The same event is the same issuer, card and type with the same values in the source's
 * identity columns; without identity, or where those cells are empty, the same request. Identity is compared within its source, the request
 * across all sources.
 */
#pragma once

#include "config/config.h"
#include "intake/fields.h"

#include <stdint.h>

/* event_of gives the first 64 bits of SHA-256 over the row's canonical form. The queue compares it within one card only, where a handful of
 * rows stand against 2^64. */
int64_t event_of(const struct config_source *source, const struct fields_row *row);
