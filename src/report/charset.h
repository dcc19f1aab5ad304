/*
 * charset: text of ours in the encoding of a source's file, and the file's text read well enough to count its cells. Knows the width of a
 * code unit, so that line ends are found in UTF-16 and UTF-32 as well. Characters that the encoding lacks become '?'.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"

struct charset;

/* charset_open takes iconv's name and up to 4 bytes of the start of the file: without LE or BE in the name its byte order mark decides
 * between them, without one it is little-endian. ERROR_CONFIG where iconv does not know it. */
bool charset_open(const char *encoding, const char *head, size_t head_length, struct charset **ret_charset, struct error *err);

/* charset_close takes NULL. */
void charset_close(struct charset *charset);

/* charset_unit gives the bytes of a code unit: 1, 2 or 4. */
size_t charset_unit(const struct charset *charset);

/* charset_mark gives the length of the byte order mark that the file begins with, or 0. */
size_t charset_mark(struct charset *charset, const char *head, size_t head_length);

/* charset_encode appends UTF-8 in the file's encoding; what is not UTF-8 becomes '?'. */
void charset_encode(struct charset *charset, struct text *text, const char *utf8, size_t length);

/* charset_decode shows the bytes as UTF-8, piece by piece; bytes that the encoding does not have are left out. */
typedef void charset_seen(void *user, const char *utf8, size_t length);
void charset_decode(struct charset *charset, const char *bytes, size_t length, charset_seen *seen, void *user);

/* charset_line finds the first line end in bytes from `from` on; ret_end is behind it. complete: nothing follows the bytes, so that a CR at
 * their end is no half of a CRLF. */
bool charset_line(const struct charset *charset, const char *bytes, size_t length, size_t from, bool complete, size_t *ret_end);

/* charset_line_end gives the bytes of the line end (CR, LF or CRLF) that the bytes end with, or 0. */
size_t charset_line_end(const struct charset *charset, const char *bytes, size_t length);
