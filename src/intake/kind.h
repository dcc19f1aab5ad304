/*
 * kind: what a file is that is obviously no CSV, told from its first bytes, so that whoever reads why it was rejected knows what to do. A
 * guess for people: nothing is decided by it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { KIND_HEAD = 32 }; /* bytes of a file's start that are looked at */

/*
 * kind_hint gives a sentence about a file that begins with head (up to KIND_HEAD bytes), or NULL where it may well be CSV. unit and
 * big_endian tell the code unit (1, 2 or 4 bytes) that the source's encoding gives it: another one's byte order mark is worth a hint too.
 */
const char *kind_hint(const char *head, size_t length, size_t unit, bool big_endian);
