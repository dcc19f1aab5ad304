/*
 * clock_shim: a library that is preloaded into a program under test and lets the test say what time it is. Knobs are two numbers in a
 * file ($CLOCK_SHIM, struct knobs below) that may change at any moment:
 *
 *   wall_ns  is added to the wall clock alone, as if somebody had set it;
 *   leap_ns  is added to every clock, as if so much time had passed; what sleeps in epoll, in poll or on a timerfd until then wakes up.
 *
 * Otherwise time passes at its true pace, so that an answer which takes 20 ms takes 20 ms. The program tells in the same file how often it
 * asked epoll, until when (by its own monotonic clock) it sleeps, and on how many connections it waits for something, so that a test can
 * count turns, and leap where nothing is under way.
 *
 * Kernel calls are made directly: the sanitizers' own interceptors stand behind this library and are not ready when it is first asked.
 * nanosleep, and waiting for a mutex or a condition, are left as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* tests/support/clock.py knows this layout. */
struct knobs {
	_Atomic int64_t wall_ns, leap_ns; /* the test's */
	_Atomic int64_t polls;            /* times that epoll was asked */
	_Atomic int64_t asleep_until_ns;  /* 0: awake; INT64_MAX: until something comes */
	_Atomic int64_t waiting;          /* connections on which the last thing was ours: connecting, or bytes sent */
};

enum { SLICE_MS = 1, MOST_TIMERS = 32, MOST_SOCKETS = 4096, KERNEL_SIGSET = 8 };

/* A timer of the kernel's that has to be set anew when time leaps. */
struct timer {
	int fd;
	clockid_t clock;
	int64_t at_ns; /* by the program's clock; 0: not set */
	int64_t interval_ns;
	int64_t shift_ns; /* that the kernel's setting allows for */
};

enum side { NO_CONNECTION, OURS, THEIRS };

static struct timer timers[MOST_TIMERS];
static int n_timers;
static _Atomic enum side sides[MOST_SOCKETS];

static struct knobs *knobs(void)
{
	static struct knobs true_time, *found;
	const char *path;
	void *map;
	int fd;

	if (found)
		return found;
	found = &true_time;
	path = getenv("CLOCK_SHIM");
	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return found;
	map = mmap(NULL, sizeof(struct knobs), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		found = map;
	return found;
}

static int64_t shift_ns(clockid_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI: return knobs()->leap_ns + knobs()->wall_ns;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM: return knobs()->leap_ns;
	}
	return 0;
}

static int64_t ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec t = { 0 };

	syscall(SYS_clock_gettime, clock, &t);
	return ns_of(t) + shift_ns(clock);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int64_t shift = shift_ns(clock);

	if (syscall(SYS_clock_gettime, clock, t) < 0)
		return -1;
	if (shift)
		*t = timespec_of(ns_of(*t) + shift);
	return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	int64_t ns = now_ns(CLOCK_REALTIME);

	(void)zone;
	*t = (struct timeval){ .tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000 / 1000 };
	return 0;
}

time_t time(time_t *t)
{
	time_t seconds = now_ns(CLOCK_REALTIME) / 1000000000;

	if (t)
		*t = seconds;
	return seconds;
}

int timespec_get(struct timespec *t, int base)
{
	if (base != TIME_UTC)
		return 0;
	*t = timespec_of(now_ns(CLOCK_REALTIME));
	return base;
}

int timerfd_create(clockid_t clock, int flags)
{
	int fd = (int)syscall(SYS_timerfd_create, clock, flags), i = 0;

	/* A number that is given out again belongs to the newer one. */
	while (i < n_timers && timers[i].fd != fd)
		i++;
	if (fd >= 0 && i < MOST_TIMERS) {
		timers[i] = (struct timer){ .fd = fd, .clock = clock };
		n_timers += i == n_timers;
	}
	return fd;
}

static int set_timer(struct timer *timer, int flags, struct itimerspec *ret_old)
{
	struct itimerspec to = { .it_interval = timespec_of(timer->interval_ns) };
	int64_t at;

	timer->shift_ns = shift_ns(timer->clock);
	at = timer->at_ns - timer->shift_ns;
	if (timer->at_ns)
		to.it_value = timespec_of(at > 0 ? at : 1);
	return (int)syscall(SYS_timerfd_settime, timer->fd, flags | TFD_TIMER_ABSTIME, &to, ret_old);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *ret_old)
{
	int64_t at = ns_of(to->it_value);

	for (int i = 0; i < n_timers; i++) {
		struct timer *timer = &timers[i];

		if (timer->fd != fd)
			continue;
		timer->at_ns = at && !(flags & TFD_TIMER_ABSTIME) ? at + now_ns(timer->clock) : at;
		timer->interval_ns = ns_of(to->it_interval);
		return set_timer(timer, flags, ret_old);
	}
	return (int)syscall(SYS_timerfd_settime, fd, flags, to, ret_old);
}

/* Those that went off already stay as they are. */
static void follow_leaps(void)
{
	for (int i = 0; i < n_timers; i++) {
		struct timer *timer = &timers[i];
		int64_t shift = shift_ns(timer->clock);

		if (timer->at_ns && shift != timer->shift_ns && timer->at_ns > now_ns(timer->clock) - shift + timer->shift_ns)
			set_timer(timer, 0, NULL);
	}
}

static int64_t deadline_ns(int64_t timeout_ns)
{
	return timeout_ns < 0 ? INT64_MAX : now_ns(CLOCK_MONOTONIC) + timeout_ns;
}

/* How long to ask the kernel to wait before looking at the knobs again; 0: the time is over. */
static int slice_ms(int64_t deadline)
{
	int64_t left;

	if (deadline == INT64_MAX)
		return SLICE_MS;
	left = (deadline - now_ns(CLOCK_MONOTONIC) + 999999) / 1000000;
	if (left <= 0)
		return 0;
	return left < SLICE_MS ? (int)left : SLICE_MS;
}

static int wait_for_epoll(int epoll, struct epoll_event *events, int most, int64_t timeout_ns, const sigset_t *mask)
{
	int64_t deadline = deadline_ns(timeout_ns);
	int slice, n;

	knobs()->polls++;
	do {
		slice = timeout_ns ? slice_ms(deadline) : 0;
		follow_leaps();
		n = (int)syscall(SYS_epoll_pwait, epoll, events, most, 0, mask, KERNEL_SIGSET);
		if (n != 0 || !slice)
			break;
		knobs()->asleep_until_ns = deadline;
		n = (int)syscall(SYS_epoll_pwait, epoll, events, most, slice, mask, KERNEL_SIGSET);
	} while (n == 0);
	knobs()->asleep_until_ns = 0;
	return n;
}

int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout_ms, const sigset_t *mask)
{
	return wait_for_epoll(epoll, events, most, (int64_t)timeout_ms * 1000000, mask);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
	return wait_for_epoll(epoll, events, most, (int64_t)timeout_ms * 1000000, NULL);
}

int epoll_pwait2(int epoll, struct epoll_event *events, int most, const struct timespec *timeout, const sigset_t *mask)
{
	return wait_for_epoll(epoll, events, most, timeout ? ns_of(*timeout) : -1, mask);
}

static int wait_for_poll(struct pollfd *fds, nfds_t n_fds, int64_t timeout_ns, const sigset_t *mask)
{
	int64_t deadline = deadline_ns(timeout_ns);
	struct timespec slice;
	int n, ms;

	do {
		ms = timeout_ns ? slice_ms(deadline) : 0;
		slice = timespec_of((int64_t)ms * 1000000);
		follow_leaps();
		n = (int)syscall(SYS_ppoll, fds, n_fds, &slice, mask, KERNEL_SIGSET);
	} while (n == 0 && ms);
	return n;
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	return wait_for_poll(fds, n, timeout ? ns_of(*timeout) : -1, mask);
}

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return wait_for_poll(fds, n, (int64_t)timeout_ms * 1000000, NULL);
}

/* Whose turn it is on a connection now. */
static void turn_to(int fd, enum side side)
{
	enum side before;

	if (fd < 0 || fd >= MOST_SOCKETS)
		return;
	before = atomic_exchange(&sides[fd], side);
	knobs()->waiting += (side == THEIRS) - (before == THEIRS);
}

static bool is_connection(int fd)
{
	return fd >= 0 && fd < MOST_SOCKETS && sides[fd] != NO_CONNECTION;
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	if (address->sa_family == AF_INET || address->sa_family == AF_INET6)
		turn_to(fd, THEIRS);
	return (int)syscall(SYS_connect, fd, address, length);
}

ssize_t send(int fd, const void *data, size_t length, int flags)
{
	ssize_t n = syscall(SYS_sendto, fd, data, length, flags, NULL, 0);

	if (n > 0 && is_connection(fd))
		turn_to(fd, THEIRS);
	return n;
}

ssize_t recv(int fd, void *data, size_t length, int flags)
{
	ssize_t n = syscall(SYS_recvfrom, fd, data, length, flags, NULL, NULL);

	if (n >= 0 && !(flags & MSG_PEEK) && is_connection(fd))
		turn_to(fd, OURS);
	return n;
}

int close(int fd)
{
	turn_to(fd, NO_CONNECTION);
	return (int)syscall(SYS_close, fd);
}
