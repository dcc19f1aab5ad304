#include "base/clock.h"
#include "base/file.h"
#include "cli/status.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>

/* The other screen, without a cursor; and back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

struct screen {
	struct termios before;
	sigset_t blocked;
	int signals;
};

static bool enter(struct screen *screen, struct error *err)
{
	struct termios raw;
	sigset_t wanted;

	if (tcgetattr(STDIN_FILENO, &screen->before) < 0 || !isatty(STDOUT_FILENO))
		return error_set(err, ERROR_USAGE, "--watch redraws a terminal, and standard input or output is none");
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	sigaddset(&wanted, SIGQUIT);
	sigaddset(&wanted, SIGWINCH);
	sigprocmask(SIG_BLOCK, &wanted, &screen->blocked);
	screen->signals = signalfd(-1, &wanted, SFD_CLOEXEC);
	if (screen->signals < 0)
		return error_errno(err, errno, "signalfd");
	raw = screen->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	/* A stopped one would leave the terminal as it is now. */
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	return file_write_all(STDOUT_FILENO, ENTER, strlen(ENTER)) || error_errno(err, errno, "writing the output");
}

static void leave(struct screen *screen)
{
	(void)file_write_all(STDOUT_FILENO, LEAVE, strlen(LEAVE));
	tcsetattr(STDIN_FILENO, TCSADRAIN, &screen->before);
	close(screen->signals);
	sigprocmask(SIG_SETMASK, &screen->blocked, NULL);
}

/* A line is cut where the screen ends, between two code points. */
static size_t fitting(const char *line, size_t length, size_t columns)
{
	size_t at = 0;

	for (size_t n = 0; at < length && n < columns; n++) {
		at++;
		while (at < length && ((unsigned char)line[at] & 0xc0) == 0x80)
			at++;
	}
	return at;
}

static bool show(const struct text *text, const char *footer, struct error *err)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	scoped_text struct text out = { 0 };
	const char *line = text->data, *end = text->data + text->length;

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	if (!size.ws_row || !size.ws_col)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	text_append_string(&out, "\033[H");
	for (int row = 1; line < end && row < size.ws_row; row++) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t length = (size_t)((newline ? newline : end) - line);

		text_append(&out, line, fitting(line, length, size.ws_col));
		text_append_string(&out, "\033[K\r\n");
		line = newline ? newline + 1 : end;
	}
	text_append_string(&out, "\033[J");
	text_append(&out, footer, fitting(footer, strlen(footer), size.ws_col));
	return file_write_all(STDOUT_FILENO, out.data, out.length) || error_errno(err, errno, "writing the output");
}

enum stop { GO_ON, DRAW_AGAIN, STOP };

/* Waits for a key, a signal or the time. */
static enum stop wait_for(const struct screen *screen, int64_t until_ms)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = screen->signals, .events = POLLIN } };
	int64_t left = until_ms - clock_steady_ms();
	struct signalfd_siginfo info;
	char key;

	if (left <= 0)
		return DRAW_AGAIN;
	if (poll(fds, 2, left > 60000 ? 60000 : (int)left) < 0)
		return errno == EINTR ? GO_ON : STOP;
	if (fds[1].revents)
		return read(screen->signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGWINCH ? DRAW_AGAIN : STOP;
	if (fds[0].revents)
		return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != 3 && key != 4 ? GO_ON : STOP;
	return GO_ON;
}

static bool redraw(struct screen *screen, status_draw *draw, void *user, int64_t every_ms, struct error *err)
{
	enum stop stop = DRAW_AGAIN;
	char footer[64];

	snprintf(footer, sizeof(footer), "every %g s; q ends it", (double)every_ms / 1000);
	while (stop != STOP) {
		int64_t next_ms = clock_steady_ms() + every_ms;
		scoped_text struct text text = { 0 };

		draw(user, &text);
		if (!show(&text, footer, err))
			return false;
		do
			stop = wait_for(screen, next_ms);
		while (stop == GO_ON);
	}
	return true;
}

bool status_watch(status_draw *draw, void *user, int64_t every_ms, struct error *err)
{
	struct screen screen = { .signals = -1 };
	bool good = enter(&screen, err);

	if (screen.signals < 0)
		return false;
	good = good && redraw(&screen, draw, user, every_ms, err);
	leave(&screen);
	return good;
}
