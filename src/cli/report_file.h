/*
 * report_file: a page of ours as a file: whole under its name, or not there. It takes the place of an earlier page and of nothing else, so
 * that a slip of the hand costs no database and no key.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"

#include <stdbool.h>

/* report_file_check tells whether a page may be written there, before it is made. */
bool report_file_check(const struct config *config, const char *path, struct error *err);

bool report_file_write(const char *path, const struct text *page, struct error *err);
