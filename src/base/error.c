#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void set_text(struct error *err, enum error_code code, const char *format, va_list arguments)
{
	err->code = code;
	vsnprintf(err->text, sizeof(err->text), format, arguments);
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
	va_list arguments;

	if (!err)
		return false;
	va_start(arguments, format);
	set_text(err, code, format, arguments);
	va_end(arguments);
	return false;
}

static enum error_code code_of(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR: return ERROR_NO_INPUT;
	case EACCES:
	case EPERM: return ERROR_PERMISSION;
	case ENOSPC:
	case EDQUOT:
	case EAGAIN:
	case EMFILE:
	case ENFILE: return ERROR_TRY_LATER;
	default: return ERROR_IO;
	}
}

bool error_errno(struct error *err, int errnum, const char *format, ...)
{
	va_list arguments;
	size_t length;

	if (!err)
		return false;
	va_start(arguments, format);
	set_text(err, code_of(errnum), format, arguments);
	va_end(arguments);
	length = strlen(err->text);
	snprintf(err->text + length, sizeof(err->text) - length, ": %s", strerror(errnum));
	return false;
}

bool error_prefix(struct error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list arguments;
	size_t length;

	if (!err)
		return false;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	length = strlen(text);
	snprintf(text + length, sizeof(text) - length, "%s", err->text);
	memcpy(err->text, text, sizeof(text));
	return false;
}
