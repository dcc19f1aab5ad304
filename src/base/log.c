#include "base/log.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Messages are built with our own formats here, not the file and line of this function. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

enum { MOST_FIELDS = 8, MOST_MESSAGE = 2048, MOST_FIELD = 512 };

static int most_verbose = LOG_INFO;
static bool to_journal;

void log_open(int most_verbose_priority)
{
	const char *stream = secure_getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	most_verbose = most_verbose_priority;
	/* systemd.exec(5): the variable alone proves nothing, since children inherit it with another standard error. */
	to_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
		     st.st_ino == inode;
}

static void to_journal_fields(int priority, const char *message, const struct log_field *fields, size_t n_fields)
{
	char buffers[MOST_FIELDS + 2][MOST_MESSAGE];
	struct iovec parts[MOST_FIELDS + 2];
	size_t n = 0;

	snprintf(buffers[n++], MOST_MESSAGE, "MESSAGE=%s", message);
	snprintf(buffers[n++], MOST_MESSAGE, "PRIORITY=%d", priority);
	for (size_t i = 0; i < n_fields && i < MOST_FIELDS; i++) {
		int written = snprintf(buffers[n], MOST_MESSAGE, "TRACKBRIDGE_%s=%s", fields[i].key, fields[i].value);
		size_t name = strlen("TRACKBRIDGE_") + strlen(fields[i].key);

		if (written < 0 || name >= MOST_MESSAGE)
			continue;
		for (size_t k = 0; k < name; k++) {
			if (buffers[n][k] >= 'a' && buffers[n][k] <= 'z')
				buffers[n][k] = (char)(buffers[n][k] - 'a' + 'A');
		}
		n++;
	}
	for (size_t i = 0; i < n; i++)
		parts[i] = (struct iovec){ .iov_base = buffers[i], .iov_len = strlen(buffers[i]) };
	sd_journal_sendv(parts, (int)n);
}

static void to_stderr(int priority, const char *message, const struct log_field *fields, size_t n_fields)
{
	static const char *const names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };
	struct text line = { 0 };

	text_printf(&line, "level=%s msg=", names[priority & 7]);
	text_logfmt(&line, message);
	for (size_t i = 0; i < n_fields; i++) {
		text_printf(&line, " %s=", fields[i].key);
		text_logfmt(&line, fields[i].value);
	}
	text_append(&line, "\n", 1);
	/* One write, so that lines of several processes do not mix; nobody can be told that it failed. */
	(void)!write(STDERR_FILENO, line.data, line.length);
	text_free(&line);
}

__attribute__((format(printf, 4, 0))) static void emit(int priority, const struct log_field *fields, size_t n_fields, const char *format,
						       va_list arguments)
{
	char message[MOST_MESSAGE - sizeof("MESSAGE=")];
	struct text shown = { 0 };

	if (priority > most_verbose)
		return;
	vsnprintf(message, sizeof(message), format, arguments);
	text_escape(&shown, message, strlen(message));
	if (to_journal)
		to_journal_fields(priority, shown.data, fields, n_fields);
	else
		to_stderr(priority, shown.data, fields, n_fields);
	text_free(&shown);
}

void log_write(int priority, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	emit(priority, NULL, 0, format, arguments);
	va_end(arguments);
}

void log_fields(int priority, const struct log_field *fields, size_t n_fields, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	emit(priority, fields, n_fields, format, arguments);
	va_end(arguments);
}
