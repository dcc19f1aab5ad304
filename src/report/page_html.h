/*
 * page_html: the small pieces of a report's page. What comes from files, from D1 or from people is escaped here and nowhere else: it can
 * neither end an element or an attribute, nor steer a terminal, nor turn the direction of the text around it. What is written is XML too.
 */
#pragma once

#include "base/text.h"

#include <stdint.h>

/* page_text appends text for an element or for an attribute in double quotes. Control and non-UTF-8 bytes, marks of direction and what is
 * no character appear as \xNN. NULL is nothing. */
void page_text(struct text *out, const char *string);

/* page_count appends a number with commas: 1,234,567. */
void page_count(struct text *out, int64_t number);

/* page_day appends a day since 1970 as 2026-11-22, page_short_day as 22 Nov. */
void page_day(struct text *out, int64_t day);
void page_short_day(struct text *out, int64_t day);

/* page_time appends a view's time to the minute, for people and for programs; a dash for NULL. page_moment: ms since 1970. */
void page_time(struct text *out, const char *iso);
void page_moment(struct text *out, int64_t unix_ms);
