#include "intake/watch.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

enum { QUIET = 5000, SCAN = 30000, HOUR = 3600000 };

static const char *const patterns[] = { "*.csv", "*.done" };

/* The directory, the clock and the watch of one test. */
static struct {
	char root[64], drop[80];
	struct config_source source;
	struct watch *watch;
	int inotify;
	int64_t now;
} t;

static int fail_looks, looks;

/* Stands before libc's. */
int fstatat(int directory, const char *restrict name, struct stat *restrict ret_stat, int flags)
{
	looks++;
	if (fail_looks) {
		fail_looks--;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_newfstatat, directory, name, ret_stat, flags);
}

static int set_up(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	/* In memory where possible: thousands of files are made here. */
	snprintf(t.root, sizeof(t.root), "%s/watch-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(t.root));
	snprintf(t.drop, sizeof(t.drop), "%s/drop", t.root);
	assert_int_equal(mkdir(t.drop, 0777), 0);
	t.source = (struct config_source){ .name = "lyon", .drop = t.drop, .match = patterns, .n_match = 2, .scan_ms = SCAN };
	t.source.complete.quiet_ms = QUIET;
	t.source.complete.marker = ".done";
	t.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	t.now = 1000000;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	watch_free(t.watch);
	close(t.inotify);
	return nftw(t.root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Hands over, or loses, what inotify has to say at this moment; then does what the clock says is due. */
static void hear_events(bool hear)
{
	_Alignas(struct inotify_event) char buffer[65536];
	ssize_t got;

	while ((got = read(t.inotify, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < got && hear;) {
			struct inotify_event *event = (struct inotify_event *)(void *)(buffer + at);

			if (event->wd == watch_descriptor(t.watch) || event->mask & IN_Q_OVERFLOW)
				watch_event(t.watch, event, t.now);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
	if (watch_next_ms(t.watch) <= t.now)
		watch_run(t.watch, t.now);
}

static void turn(void)
{
	hear_events(true);
}

static void pass(int64_t ms)
{
	for (int64_t end = t.now + ms; t.now < end;) {
		int64_t next = watch_next_ms(t.watch);

		t.now = next > t.now && next < end ? next : end;
		turn();
	}
}

static void watching(enum config_complete when)
{
	t.source.complete.when = when;
	t.watch = watch_new(&t.source, t.inotify);
	assert_int_equal(watch_next_ms(t.watch), 0);
	assert_int_equal(watch_state(t.watch), WATCH_WAITING);
	turn();
}

static const char *in_drop(const char *name)
{
	static char path[2][512];
	static int which;

	which = !which;
	snprintf(path[which], sizeof(path[which]), "%s/%s", t.drop, name);
	return path[which];
}

static int opened(const char *name)
{
	int fd = open(in_drop(name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	assert_true(fd >= 0);
	return fd;
}

static void say(int fd)
{
	assert_int_equal(write(fd, "row\n", 4), 4);
}

static void put(const char *name)
{
	int fd = opened(name);

	say(fd);
	close(fd);
}

static void move(const char *from, const char *to)
{
	assert_int_equal(rename(in_drop(from), in_drop(to)), 0);
}

static void put_by_rename(const char *name)
{
	put("upload.tmp");
	move("upload.tmp", name);
}

static void set_time(const char *name, int64_t ns)
{
	struct timespec times[2] = { { ns / 1000000000, ns % 1000000000 }, { ns / 1000000000, ns % 1000000000 } };

	assert_int_equal(utimensat(AT_FDCWD, in_drop(name), times, 0), 0);
}

/* An event for a name that need not exist. */
static void tell(const char *name, uint32_t mask)
{
	static char buffer[512] __attribute__((aligned(8)));
	struct inotify_event *event = (struct inotify_event *)(void *)buffer;

	*event = (struct inotify_event){ .wd = watch_descriptor(t.watch), .mask = mask, .len = 256 };
	snprintf(event->name, 256, "%s", name);
	watch_event(t.watch, event, t.now);
}

static void assert_oldest(const char *name)
{
	const char *oldest = watch_oldest(t.watch);

	if (!name) {
		assert_null(oldest);
		return;
	}
	assert_non_null(oldest);
	assert_string_equal(oldest, name);
}

static void take(const char *name)
{
	assert_oldest(name);
	watch_taken(t.watch, name);
	unlink(in_drop(name));
}

static void assert_left(const char *name, const char *why)
{
	const char *words = NULL, *left = watch_left(t.watch, &words);

	assert_int_equal(left != NULL, name != NULL);
	if (!name)
		return;
	assert_string_equal(left, name);
	assert_string_equal(words, why);
}

static void assert_complaint(const char *expected)
{
	struct text line = { 0 };

	assert_int_equal(watch_next_complaint(t.watch, &line), expected != NULL);
	if (expected)
		assert_string_equal(line.data, expected);
	text_free(&line);
}

static void a_renamed_file_is_complete_at_once(void **state)
{
	(void)state;
	watching(CONFIG_RENAMED);
	put_by_rename("x.csv");
	turn();
	assert_oldest("x.csv");
	assert_int_equal(watch_waiting_files(t.watch), 1);
	take("x.csv");
	turn();
	assert_oldest(NULL);
	assert_int_equal(watch_waiting_files(t.watch), 0);
}

static void a_completing_event_asks_for_a_turn(void **state)
{
	(void)state;
	watching(CONFIG_RENAMED);
	assert_true(watch_next_ms(t.watch) > t.now);
	put_by_rename("x.csv");
	tell("x.csv", IN_MOVED_TO);
	assert_true(watch_next_ms(t.watch) <= t.now);
	assert_oldest("x.csv");
}

static void events_of_other_directories_are_not_heard(void **state)
{
	struct inotify_event other = { .mask = IN_DELETE_SELF };

	(void)state;
	watching(CONFIG_RENAMED);
	other.wd = watch_descriptor(t.watch) + 1;
	watch_event(t.watch, &other, t.now);
	assert_true(watch_next_ms(t.watch) > t.now);
}

static void under_renamed_a_file_written_in_place_has_to_stand_still(void **state)
{
	int fd;

	(void)state;
	watching(CONFIG_RENAMED);
	fd = opened("x.csv");
	say(fd);
	turn();
	pass(2 * SCAN);
	assert_oldest(NULL); /* its writer is still there */
	say(fd);
	close(fd);
	turn();
	assert_oldest(NULL);
	pass(SCAN + QUIET);
	assert_oldest("x.csv");
}

static void a_closed_file_is_complete_after_quiet(void **state)
{
	(void)state;
	watching(CONFIG_CLOSED);
	put("x.csv");
	turn();
	pass(QUIET - 1);
	assert_oldest(NULL);
	pass(1);
	assert_oldest("x.csv");
}

static void closed_takes_a_renamed_file_after_quiet(void **state)
{
	(void)state;
	watching(CONFIG_CLOSED);
	put_by_rename("x.csv");
	turn();
	assert_oldest(NULL);
	pass(QUIET);
	assert_oldest("x.csv");
}

static void a_file_that_is_open_for_writing_is_not_closed(void **state)
{
	int fd;

	(void)state;
	watching(CONFIG_CLOSED);
	fd = opened("x.csv");
	say(fd);
	turn();
	pass(10 * SCAN);
	assert_oldest(NULL);
	say(fd);
	turn();
	pass(SCAN);
	assert_oldest(NULL);
	close(fd);
	turn();
	pass(QUIET);
	assert_oldest("x.csv");
}

static void a_writer_that_never_closes_is_believed_for_an_hour(void **state)
{
	int fd;

	(void)state;
	watching(CONFIG_CLOSED);
	fd = opened("x.csv");
	say(fd);
	turn();
	pass(HOUR);
	assert_oldest(NULL);
	pass(QUIET);
	assert_oldest("x.csv");
	close(fd);
}

static void rewriting_during_quiet_starts_it_again(void **state)
{
	static const char *const how[] = { "write", "rename", "touch" };

	(void)state;
	watching(CONFIG_CLOSED);
	for (size_t i = 0; i < 3; i++) {
		put("x.csv");
		turn();
		pass(QUIET - 1);
		if (how[i][0] == 'w')
			put("x.csv");
		else if (how[i][0] == 'r')
			put_by_rename("x.csv");
		else
			assert_int_equal(chmod(in_drop("x.csv"), 0600), 0);
		turn();
		pass(QUIET - 1);
		assert_oldest(NULL);
		pass(1);
		take("x.csv");
		turn();
	}
}

static void a_complete_file_that_is_written_to_is_no_longer_complete(void **state)
{
	int fd;

	(void)state;
	watching(CONFIG_CLOSED);
	put("x.csv");
	turn();
	pass(QUIET);
	assert_oldest("x.csv");
	fd = opened("x.csv");
	say(fd);
	turn();
	assert_oldest(NULL);
	pass(QUIET);
	assert_oldest(NULL);
	close(fd);
	turn();
	pass(QUIET);
	assert_oldest("x.csv");
}

static void a_change_without_events_is_seen_before_a_file_is_complete(void **state)
{
	(void)state;
	watching(CONFIG_CLOSED);
	put("x.csv");
	turn();
	t.now += QUIET;
	put("x.csv");
	hear_events(false);
	assert_oldest(NULL);
	pass(QUIET);
	assert_oldest("x.csv");
	set_time("x.csv", 5);
	hear_events(false);
	assert_oldest("x.csv");
	watch_rescan(t.watch);
	hear_events(false);
	assert_oldest(NULL);
}

static void under_stable_a_growing_file_is_not_complete(void **state)
{
	(void)state;
	watching(CONFIG_STABLE);
	for (int i = 0; i < 5; i++) {
		put("x.csv");
		turn();
		pass(QUIET - 1);
		assert_oldest(NULL);
	}
	pass(1);
	assert_oldest("x.csv");
}

static void under_stable_no_events_are_needed(void **state)
{
	(void)state;
	close(t.inotify);
	t.inotify = -1;
	watching(CONFIG_STABLE);
	assert_int_equal(watch_state(t.watch), WATCH_OPEN);
	assert_int_equal(watch_descriptor(t.watch), -1);
	put("x.csv");
	pass(SCAN);
	assert_oldest(NULL);
	assert_int_equal(watch_next_ms(t.watch), t.now + QUIET);
	pass(QUIET - 1);
	put("x.csv");
	pass(1);
	assert_oldest(NULL);
	pass(QUIET);
	assert_oldest("x.csv");
	assert_complaint(NULL);
}

static void stable_needs_no_close(void **state)
{
	int fd;

	(void)state;
	watching(CONFIG_STABLE);
	fd = opened("x.csv");
	for (int i = 0; i < 5; i++) {
		say(fd);
		turn();
		pass(QUIET / 2);
		assert_oldest(NULL);
	}
	pass(2 * QUIET);
	assert_oldest("x.csv");
	say(fd);
	turn();
	assert_oldest(NULL);
	close(fd);
}

static void a_file_that_a_scan_finds_has_to_stand_still(void **state)
{
	static const enum config_complete rules[] = { CONFIG_CLOSED, CONFIG_RENAMED, CONFIG_STABLE };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		put("before.csv");
		watching(rules[i]);
		pass(QUIET - 1);
		assert_oldest(NULL);
		pass(1);
		take("before.csv");
		put("lost.csv");
		hear_events(false);
		pass(SCAN);
		pass(QUIET - 1);
		take("lost.csv");
		watch_free(t.watch);
	}
	t.watch = NULL;
}

static void a_link_that_is_made_is_found_by_the_scan(void **state)
{
	(void)state;
	watching(CONFIG_CLOSED);
	put("elsewhere");
	assert_int_equal(link(in_drop("elsewhere"), in_drop("x.csv")), 0);
	turn();
	pass(SCAN + QUIET);
	assert_oldest("x.csv");
}

static void an_overflow_asks_for_a_scan_and_forgets_writers(void **state)
{
	struct inotify_event overflow = { .wd = -1, .mask = IN_Q_OVERFLOW };
	int fd;

	(void)state;
	watching(CONFIG_CLOSED);
	fd = opened("written.csv");
	say(fd);
	turn();
	close(fd);
	put("x.csv");
	hear_events(false);
	watch_event(t.watch, &overflow, t.now);
	turn();
	assert_int_equal(watch_waiting_files(t.watch), 2);
	pass(QUIET);
	set_time("x.csv", 1);
	turn();
	pass(QUIET);
	take("x.csv");
	take("written.csv");
}

static void a_directory_that_is_absent_is_waited_for(void **state)
{
	(void)state;
	assert_int_equal(rmdir(t.drop), 0);
	watching(CONFIG_RENAMED);
	assert_int_equal(watch_state(t.watch), WATCH_WAITING);
	assert_non_null(strstr(watch_reason(t.watch), "No such file"));
	assert_int_equal(watch_next_ms(t.watch), t.now + SCAN);
	assert_int_equal(mkdir(t.drop, 0777), 0);
	put(".trackbridge-old.csv");
	pass(SCAN);
	assert_int_equal(watch_state(t.watch), WATCH_OPEN);
	assert_string_equal(watch_reason(t.watch), "");
	take(".trackbridge-old.csv");
	put_by_rename("x.csv");
	turn();
	assert_oldest("x.csv");
}

static void a_directory_that_is_removed_is_waited_for(void **state)
{
	(void)state;
	watching(CONFIG_RENAMED);
	put_by_rename("x.csv");
	turn();
	unlink(in_drop("x.csv"));
	assert_int_equal(rmdir(t.drop), 0);
	turn();
	assert_int_equal(watch_state(t.watch), WATCH_WAITING);
	assert_int_equal(watch_descriptor(t.watch), -1);
	assert_oldest(NULL);
	assert_int_equal(mkdir(t.drop, 0777), 0);
	pass(SCAN);
	assert_int_equal(watch_state(t.watch), WATCH_OPEN);
}

static void a_directory_that_is_replaced_is_watched_anew(void **state)
{
	char aside[96];
	int descriptor;

	(void)state;
	watching(CONFIG_RENAMED);
	put_by_rename("old.csv");
	turn();
	descriptor = watch_descriptor(t.watch);
	snprintf(aside, sizeof(aside), "%s/aside", t.root);
	assert_int_equal(rename(t.drop, aside) | mkdir(t.drop, 0777), 0);
	put(".trackbridge-left.csv");
	hear_events(false);
	pass(SCAN);
	assert_int_not_equal(watch_descriptor(t.watch), descriptor);
	take(".trackbridge-left.csv");
	assert_oldest(NULL);
	put_by_rename("x.csv");
	turn();
	assert_oldest("x.csv");
}

static void without_inotify_a_replaced_directory_is_noticed_too(void **state)
{
	char aside[96];

	(void)state;
	close(t.inotify);
	t.inotify = -1;
	put("old.csv");
	watching(CONFIG_STABLE);
	pass(QUIET);
	assert_oldest("old.csv");
	snprintf(aside, sizeof(aside), "%s/aside", t.root);
	assert_int_equal(rename(t.drop, aside) | mkdir(t.drop, 0777), 0);
	put(".trackbridge-left.csv");
	pass(SCAN);
	take(".trackbridge-left.csv");
	assert_oldest(NULL);
}

static void inotify_that_cannot_be_had_is_said_once(void **state)
{
	char line[128];

	(void)state;
	close(t.inotify);
	t.inotify = open("/dev/null", O_RDONLY | O_CLOEXEC);
	put("x.csv");
	watching(CONFIG_CLOSED);
	snprintf(line, sizeof(line), "inotify: %s: files are found by the scan alone", strerror(EINVAL));
	assert_complaint(line);
	pass(3 * SCAN);
	assert_complaint(NULL);
	assert_oldest("x.csv");
}

static void an_unreadable_directory_is_waited_for(void **state)
{
	(void)state;
	put("x.csv");
	for (int mode = 0; mode <= 0444; mode += 0444) {
		assert_int_equal(chmod(t.root, 0755) | chmod(t.drop, (mode_t)mode), 0);
		if (geteuid() == 0)
			assert_int_equal(seteuid(65534), 0);
		watching(CONFIG_CLOSED);
		assert_int_equal(watch_state(t.watch), WATCH_WAITING);
		assert_non_null(strstr(watch_reason(t.watch), "Permission denied"));
		if (getuid() == 0)
			assert_int_equal(seteuid(0), 0);
		assert_int_equal(chmod(t.drop, 0777), 0);
		pass(SCAN + QUIET);
		assert_oldest("x.csv");
		watch_free(t.watch);
	}
	t.watch = NULL;
}

static void an_ended_inotify_watch_is_set_up_again(void **state)
{
	(void)state;
	watching(CONFIG_RENAMED);
	assert_int_equal(inotify_rm_watch(t.inotify, watch_descriptor(t.watch)), 0);
	turn();
	assert_true(watch_descriptor(t.watch) >= 0);
	put_by_rename("x.csv");
	turn();
	assert_oldest("x.csv");
}

static void ignored_and_other_names_are_not_looked_at(void **state)
{
	static const char *const names[] = { ".x.csv", "x.csv.part", "x.csv.tmp", "x.txt", ".trackbridge-x.csv" };

	(void)state;
	watching(CONFIG_RENAMED);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_by_rename(names[i]);
	put("y.txt");
	turn();
	pass(SCAN + QUIET);
	assert_oldest(NULL);
	assert_int_equal(watch_waiting_files(t.watch), 0);
}

static void the_oldest_file_goes_first_then_by_name(void **state)
{
	(void)state;
	put("b.csv");
	put("a.csv");
	put("c.csv");
	put("d.csv");
	set_time("a.csv", 2000000001);
	set_time("b.csv", 2000000000);
	set_time("c.csv", 3);
	set_time("d.csv", 2000000000);
	watching(CONFIG_CLOSED);
	pass(QUIET);
	take("c.csv");
	take("b.csv");
	take("d.csv");
	take("a.csv");
	assert_oldest(NULL);
}

static void left_overs_of_a_crash_come_first_and_at_once(void **state)
{
	(void)state;
	put(".trackbridge-b.csv");
	put(".trackbridge-notes.txt");
	put(".trackbridge-x.tmp");
	put("a.csv");
	set_time("a.csv", 1);
	assert_int_equal(mkdir(in_drop(".trackbridge-d.csv"), 0777), 0);
	watching(CONFIG_CLOSED);
	assert_int_equal(watch_waiting_files(t.watch), 2);
	assert_oldest(".trackbridge-b.csv");
	pass(QUIET);
	take(".trackbridge-b.csv");
	take("a.csv");
	assert_oldest(NULL);
	assert_complaint(NULL);
}

static void a_shortened_left_over_need_not_match(void **state)
{
	char name[256] = ".trackbridge-";

	(void)state;
	memset(name + 13, 'a', 200);
	put(name);
	watching(CONFIG_CLOSED);
	take(name);
}

static void a_file_in_our_hands_is_no_left_over(void **state)
{
	(void)state;
	watching(CONFIG_RENAMED);
	put_by_rename("x.csv");
	turn();
	assert_oldest("x.csv");
	move("x.csv", ".trackbridge-x.csv");
	watch_taken(t.watch, "x.csv");
	turn();
	pass(SCAN);
	assert_oldest(NULL);
	assert_int_equal(watch_waiting_files(t.watch), 0);
	/* Unless nobody has done anything with it for long. */
	pass(SCAN + 600000);
	assert_oldest(".trackbridge-x.csv");
}

static void a_name_that_is_given_back_has_to_stand_still(void **state)
{
	static const enum config_complete rules[] = { CONFIG_RENAMED, CONFIG_CLOSED, CONFIG_STABLE, CONFIG_MARKER };

	(void)state;
	put("x.csv");
	put("x.csv.done");
	for (size_t i = 0; i < 4; i++) {
		watching(rules[i]);
		pass(QUIET);
		assert_oldest("x.csv");
		move("x.csv", ".trackbridge-x.csv");
		watch_taken(t.watch, "x.csv");
		turn();
		move(".trackbridge-x.csv", "x.csv");
		turn();
		pass(QUIET - 1);
		if (rules[i] == CONFIG_MARKER)
			assert_oldest(NULL);
		else
			assert_oldest("x.csv.done");
		watch_taken(t.watch, "x.csv.done");
		assert_oldest(NULL);
		pass(1);
		assert_oldest("x.csv");
		watch_free(t.watch);
	}
	t.watch = NULL;
}

/* As spool does it: the two renames, and then the word that the file was not at fault. */
static void take_and_give_back(const char *name, bool rewritten, bool hear)
{
	char taken[128];

	snprintf(taken, sizeof(taken), ".trackbridge-%s", name);
	move(name, taken);
	watch_taken(t.watch, name);
	if (rewritten)
		put(taken);
	move(taken, name);
	watch_back(t.watch, name, t.now);
	hear_events(hear);
}

static void a_file_that_was_not_at_fault_keeps_its_place(void **state)
{
	static const enum config_complete rules[] = { CONFIG_RENAMED, CONFIG_CLOSED, CONFIG_STABLE, CONFIG_MARKER };

	(void)state;
	put("a.csv.done");
	put("b.csv.done");
	for (size_t i = 0; i < 4; i++) {
		for (int hear = 0; hear < 2; hear++) {
			put("a.csv");
			put("b.csv");
			set_time("a.csv", 1);
			watching(rules[i]);
			pass(QUIET);
			for (int again = 0; again < 3; again++) {
				assert_oldest("a.csv");
				take_and_give_back("a.csv", false, hear);
			}
			assert_oldest("a.csv");
			watch_free(t.watch);
			t.watch = NULL;
		}
	}
}

static void a_file_that_was_written_to_in_our_hands_has_to_stand_still(void **state)
{
	(void)state;
	for (int hear = 0; hear < 2; hear++) {
		put("x.csv");
		watching(CONFIG_CLOSED);
		pass(QUIET);
		assert_oldest("x.csv");
		take_and_give_back("x.csv", true, hear);
		assert_oldest(NULL);
		pass(SCAN + QUIET);
		assert_oldest("x.csv");
		watch_free(t.watch);
		t.watch = NULL;
	}
}

static void a_name_that_was_not_given_back_is_not_expected(void **state)
{
	(void)state;
	watching(CONFIG_RENAMED);
	put_by_rename("x.csv");
	turn();
	move("x.csv", ".trackbridge-x.csv");
	watch_taken(t.watch, "x.csv");
	watch_back(t.watch, "x.csv", t.now);
	turn();
	assert_oldest(NULL);
	assert_int_equal(watch_waiting_files(t.watch), 0);
}

static void a_busy_file_is_judged_again_after_quiet_and_said_once(void **state)
{
	static const enum config_complete rules[] = { CONFIG_RENAMED, CONFIG_CLOSED, CONFIG_STABLE, CONFIG_MARKER };

	(void)state;
	put("x.csv");
	for (size_t i = 0; i < 4; i++) {
		if (rules[i] == CONFIG_MARKER)
			put("x.done");
		watching(rules[i]);
		pass(QUIET);
		for (int again = 0; again < 3; again++) {
			assert_oldest("x.csv");
			assert_int_equal(watch_busy(t.watch, "x.csv", t.now), again == 0);
			assert_oldest(NULL);
			assert_int_equal(watch_waiting_files(t.watch), 1);
			pass(QUIET - 1);
			assert_oldest(NULL);
			pass(1);
		}
		assert_oldest("x.csv");
		watch_free(t.watch);
		t.watch = NULL;
	}
}

static void a_file_that_somebody_has_to_close_keeps_nobody_waiting(void **state)
{
	int fd;

	(void)state;
	watching(CONFIG_CLOSED);
	assert_true(watch_done(t.watch, t.now));
	put("x.csv");
	turn();
	assert_false(watch_settled(t.watch, t.now));
	assert_left(NULL, NULL);
	pass(QUIET);
	assert_true(watch_settled(t.watch, t.now));
	assert_false(watch_done(t.watch, t.now));
	watch_busy(t.watch, "x.csv", t.now);
	assert_true(watch_done(t.watch, t.now));
	assert_left("x.csv", "is still open for writing");
	/* Once it is closed, it may go. */
	fd = opened("x.csv");
	close(fd);
	turn();
	assert_false(watch_settled(t.watch, t.now));
	assert_left(NULL, NULL);
	pass(QUIET);
	take("x.csv");
	turn();
	assert_true(watch_done(t.watch, t.now));
}

static void a_writer_that_pauses_for_longer_than_quiet_keeps_nobody_waiting(void **state)
{
	int fd;

	(void)state;
	watching(CONFIG_CLOSED);
	fd = opened("x.csv");
	say(fd);
	turn();
	pass(QUIET - 1);
	assert_false(watch_settled(t.watch, t.now));
	pass(1);
	assert_true(watch_done(t.watch, t.now));
	assert_left("x.csv", "was written to, and not closed since");
	close(fd);
	turn();
	assert_false(watch_settled(t.watch, t.now));
}

static void of_files_that_are_left_the_first_is_named(void **state)
{
	static const char *const names[] = { "c.csv", "b.csv", "a.csv" };

	(void)state;
	put(".trackbridge-0.csv");
	watching(CONFIG_RENAMED);
	for (size_t i = 0; i < 3; i++) {
		put(names[i]);
		set_time(names[i], i == 2 ? 2 : 1);
	}
	watch_rescan(t.watch);
	turn();
	pass(QUIET);
	/* What is in somebody else's hands is not left by us. */
	watch_unfit(t.watch, ".trackbridge-0.csv");
	assert_left(NULL, NULL);
	for (size_t i = 0; i < 3; i++)
		watch_unfit(t.watch, names[i]);
	assert_true(watch_done(t.watch, t.now));
	assert_left("b.csv", "cannot be taken");
}

static void a_busy_left_over_is_not_left_for_long(void **state)
{
	(void)state;
	put(".trackbridge-x.csv");
	watching(CONFIG_RENAMED);
	assert_oldest(".trackbridge-x.csv");
	assert_true(watch_busy(t.watch, ".trackbridge-x.csv", t.now));
	assert_oldest(NULL);
	pass(QUIET);
	assert_oldest(".trackbridge-x.csv");
	assert_true(watch_busy(t.watch, "absent", t.now));
}

/* Times of files are set by their writers. */
static void quiet_is_measured_by_what_was_seen_and_not_by_the_file_s_time(void **state)
{
	static const int64_t times[] = { 0, 1, INT64_C(4102444800000000000) }; /* 1970, and the year 2100 */
	static const enum config_complete rules[] = { CONFIG_CLOSED, CONFIG_STABLE, CONFIG_RENAMED };

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		put("x.csv");
		set_time("x.csv", times[i / 3]);
		watching(rules[i % 3]);
		pass(QUIET - 1);
		assert_oldest(NULL);
		pass(1);
		take("x.csv");
		turn();
		put("y.csv");
		set_time("y.csv", times[i / 3]);
		turn();
		pass(QUIET - 1);
		assert_oldest(NULL);
		pass(SCAN + 1);
		take("y.csv");
		watch_free(t.watch);
		t.watch = NULL;
	}
}

static void a_marker_completes_its_file_at_once(void **state)
{
	static const char *const markers[] = { "x.csv.done", "x.done" };

	(void)state;
	watching(CONFIG_MARKER);
	for (size_t i = 0; i < 2; i++) {
		for (int marker_first = 0; marker_first < 2; marker_first++) {
			if (marker_first)
				put(markers[i]);
			put("x.csv");
			turn();
			if (!marker_first) {
				pass(2 * SCAN);
				assert_oldest(NULL);
				put(markers[i]);
				turn();
			}
			assert_string_equal(watch_marker(t.watch, "x.csv"), markers[i]);
			take("x.csv");
			unlink(in_drop(markers[i]));
			turn();
			assert_oldest(NULL);
			assert_null(watch_marker(t.watch, "x.csv"));
		}
	}
}

static void a_scan_finds_file_and_marker(void **state)
{
	(void)state;
	put("a.csv");
	put("a.done");
	put("b.csv");
	put("b.csv.done");
	put("c.csv");
	put(".done");
	set_time("a.csv", 1);
	watching(CONFIG_MARKER);
	assert_string_equal(watch_marker(t.watch, "b.csv"), "b.csv.done");
	take("a.csv");
	take("b.csv");
	assert_oldest(NULL);
	assert_int_equal(watch_waiting_files(t.watch), 1);
}

static void what_is_no_file_is_no_marker(void **state)
{
	(void)state;
	put("x.csv");
	assert_int_equal(mkdir(in_drop("x.csv.done"), 0777), 0);
	assert_int_equal(symlink("/etc/passwd", in_drop("x.done")), 0);
	watching(CONFIG_MARKER);
	assert_oldest(NULL);
	assert_null(watch_marker(t.watch, "x.csv"));
}

static void a_marker_belongs_to_a_left_over_unless_there_is_a_new_file(void **state)
{
	(void)state;
	put(".trackbridge-x.csv");
	put("x.csv.done");
	watching(CONFIG_MARKER);
	assert_oldest(".trackbridge-x.csv");
	assert_string_equal(watch_marker(t.watch, ".trackbridge-x.csv"), "x.csv.done");
	put("x.csv");
	turn();
	assert_null(watch_marker(t.watch, ".trackbridge-x.csv"));
	t.source.complete.when = CONFIG_CLOSED;
	assert_null(watch_marker(t.watch, "x.csv"));
	t.source.complete.when = CONFIG_MARKER;
}

static void a_marked_file_keeps_its_place_by_its_newest_time(void **state)
{
	(void)state;
	watching(CONFIG_MARKER);
	put("a.csv");
	put("b.csv");
	put("a.done");
	put("b.done");
	set_time("a.csv", 1);
	set_time("b.csv", 2);
	turn();
	assert_oldest("a.csv");
	set_time("a.csv", 3);
	turn();
	assert_oldest("b.csv");
}

static void what_is_no_file_is_told_once_and_never_complete(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	watching(CONFIG_RENAMED);
	put("target");
	assert_int_equal(mkdir(in_drop("upload"), 0777), 0);
	move("upload", "folder.csv");
	pass(SCAN);
	assert_complaint("folder.csv is a directory, not a file: left alone");
	assert_int_equal(symlink("target", in_drop("link.tmp")), 0);
	move("link.tmp", "link\n.csv");
	turn();
	assert_complaint("link\\x0A.csv is a link, not a file: left alone");
	assert_int_equal(mkfifo(in_drop("pipe.csv"), 0666), 0);
	turn();
	assert_complaint("pipe.csv is a pipe, not a file: left alone");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", in_drop("s.csv"));
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	turn();
	assert_complaint("s.csv is a socket, not a file: left alone");
	close(server);
	assert_int_equal(symlink("target", in_drop("gone.csv")), 0);
	turn();
	unlink(in_drop("gone.csv"));
	pass(3 * SCAN);
	assert_complaint(NULL);
	assert_oldest(NULL);
	assert_int_equal(watch_waiting_files(t.watch), 0);
}

static void complaints_are_bounded(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 20100; i++) {
		snprintf(name, sizeof(name), "%d.csv", i);
		assert_int_equal(symlink("target", in_drop(name)), 0);
	}
	watching(CONFIG_CLOSED);
	assert_complaint("20000 matching names are no files: further ones are not counted");
	for (int i = 0; i < 20000; i++) {
		struct text line = { 0 };

		assert_true(watch_next_complaint(t.watch, &line));
		text_free(&line);
	}
	pass(SCAN);
	assert_complaint(NULL);
}

static void an_unfit_file_is_left_alone_until_it_changes(void **state)
{
	(void)state;
	watching(CONFIG_RENAMED);
	put_by_rename("x.csv");
	turn();
	assert_true(watch_unfit(t.watch, "x.csv"));
	assert_false(watch_unfit(t.watch, "x.csv"));
	assert_oldest(NULL);
	assert_int_equal(watch_waiting_files(t.watch), 1);
	pass(3 * SCAN);
	assert_oldest(NULL);
	put("x.csv");
	turn();
	pass(QUIET);
	assert_oldest("x.csv");
	assert_true(watch_unfit(t.watch, "x.csv"));
	assert_int_equal(chmod(in_drop("x.csv"), 0600), 0);
	turn();
	pass(QUIET);
	assert_oldest("x.csv");
	assert_true(watch_unfit(t.watch, "absent"));
}

static void closing_an_unfit_file_without_a_change_leaves_it_unfit(void **state)
{
	(void)state;
	watching(CONFIG_CLOSED);
	put("x.csv");
	turn();
	pass(QUIET);
	assert_true(watch_unfit(t.watch, "x.csv"));
	close(opened("x.csv"));
	turn();
	pass(2 * QUIET);
	assert_oldest(NULL);
}

static void mending_the_directory_gives_unfit_files_another_chance(void **state)
{
	(void)state;
	watching(CONFIG_RENAMED);
	put_by_rename("x.csv");
	turn();
	assert_true(watch_unfit(t.watch, "x.csv"));
	assert_int_equal(chmod(t.drop, 0700), 0);
	pass(SCAN + QUIET);
	assert_oldest("x.csv");
}

static void a_free_taken_name_gives_the_unfit_file_another_chance(void **state)
{
	char name[256] = "", taken[256] = ".trackbridge-";

	(void)state;
	watching(CONFIG_RENAMED);
	put(".trackbridge-x.csv");
	put_by_rename("x.csv");
	turn();
	assert_true(watch_unfit(t.watch, "x.csv"));
	unlink(in_drop(".trackbridge-x.csv"));
	turn();
	pass(QUIET);
	take("x.csv");

	memset(name, 'a', 250);
	memcpy(name + 246, ".csv", 5);
	memset(taken + 13, 'a', 200);
	memcpy(taken + 213, ".csv", 5);
	put(taken);
	put_by_rename(name);
	turn();
	assert_true(watch_unfit(t.watch, name));
	unlink(in_drop(taken));
	turn();
	pass(QUIET);
	take(name);
}

static void a_file_that_vanishes_is_forgotten(void **state)
{
	(void)state;
	watching(CONFIG_CLOSED);
	put("a.csv");
	put("b.csv");
	put("c.csv");
	put("d.csv");
	turn();
	assert_int_equal(watch_waiting_files(t.watch), 4);
	unlink(in_drop("a.csv"));
	move("b.csv", "b.txt");
	turn();
	assert_int_equal(watch_waiting_files(t.watch), 2);
	unlink(in_drop("c.csv"));
	hear_events(false);
	pass(QUIET);
	assert_oldest("d.csv");
	assert_int_equal(watch_waiting_files(t.watch), 1);
	unlink(in_drop("d.csv"));
	hear_events(false);
	pass(SCAN);
	assert_oldest(NULL);
}

static void what_finds_no_room_waits_for_a_later_scan(void **state)
{
	char name[32];

	(void)state;
	watching(CONFIG_CLOSED);
	for (int i = 0; i < 100001; i++) {
		snprintf(name, sizeof(name), "%d.csv", i);
		tell(name, IN_MODIFY);
	}
	assert_int_equal(watch_waiting_files(t.watch), 100000);
	put("x.csv");
	hear_events(false);
	pass(SCAN);
	assert_int_equal(watch_waiting_files(t.watch), 1);
	watch_taken(t.watch, "absent");
	turn();
	pass(QUIET);
	assert_oldest("x.csv");
}

static void a_lack_of_descriptors_forgets_nothing(void **state)
{
	struct rlimit before, none;

	(void)state;
	watching(CONFIG_RENAMED);
	put_by_rename("x.csv");
	turn();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	t.now += SCAN;
	watch_run(t.watch, t.now);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(watch_state(t.watch), WATCH_OPEN);
	assert_int_equal(watch_next_ms(t.watch), t.now + 1000);
	assert_oldest("x.csv");
	pass(1000);
	assert_int_equal(watch_next_ms(t.watch), t.now + SCAN);
}

static void a_look_that_fails_is_repeated_by_the_scan(void **state)
{
	(void)state;
	watching(CONFIG_CLOSED);
	put("x.csv");
	turn();
	t.now += QUIET;
	fail_looks = 1;
	turn();
	assert_int_equal(watch_waiting_files(t.watch), 1);
	assert_oldest(NULL);
	fail_looks = 1;
	pass(SCAN);
	assert_int_equal(watch_waiting_files(t.watch), 1);
	pass(SCAN + QUIET);
	assert_oldest("x.csv");
}

static int64_t cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t cost_of_taking(int files)
{
	char name[32];
	int64_t begin;
	int taken = 0;

	for (int i = 0; i < files; i++) {
		snprintf(name, sizeof(name), "%05d.csv", (i * 7919) % files);
		assert_int_equal(mknod(in_drop(name), S_IFREG | 0666, 0), 0);
	}
	begin = cpu_us();
	watching(CONFIG_CLOSED);
	pass(QUIET);
	for (const char *oldest; (oldest = watch_oldest(t.watch)); taken++) {
		snprintf(name, sizeof(name), "%s", oldest);
		unlink(in_drop(name));
		watch_taken(t.watch, name);
		turn();
	}
	assert_int_equal(taken, files);
	watch_free(t.watch);
	t.watch = NULL;
	return cpu_us() - begin;
}

static void the_cost_of_a_file_does_not_grow_with_their_number(void **state)
{
	int64_t few = cost_of_taking(1000), many = cost_of_taking(10000);

	(void)state;
	print_message("1,000 files: %" PRId64 " us, 10,000 files: %" PRId64 " us\n", few, many);
	assert_true(many < 40 * few);
}

static void a_flood_of_writes_costs_no_look_each(void **state)
{
	(void)state;
	watching(CONFIG_CLOSED);
	put("x.csv");
	turn();
	looks = 0;
	for (int i = 0; i < 10000; i++)
		tell("x.csv", IN_MODIFY);
	assert_int_equal(looks, 0);
	assert_true(watch_next_ms(t.watch) > t.now);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_renamed_file_is_complete_at_once),
		TEST(a_completing_event_asks_for_a_turn),
		TEST(events_of_other_directories_are_not_heard),
		TEST(under_renamed_a_file_written_in_place_has_to_stand_still),
		TEST(a_closed_file_is_complete_after_quiet),
		TEST(closed_takes_a_renamed_file_after_quiet),
		TEST(a_file_that_is_open_for_writing_is_not_closed),
		TEST(a_writer_that_never_closes_is_believed_for_an_hour),
		TEST(rewriting_during_quiet_starts_it_again),
		TEST(a_complete_file_that_is_written_to_is_no_longer_complete),
		TEST(a_change_without_events_is_seen_before_a_file_is_complete),
		TEST(under_stable_a_growing_file_is_not_complete),
		TEST(under_stable_no_events_are_needed),
		TEST(stable_needs_no_close),
		TEST(a_file_that_a_scan_finds_has_to_stand_still),
		TEST(a_link_that_is_made_is_found_by_the_scan),
		TEST(an_overflow_asks_for_a_scan_and_forgets_writers),
		TEST(a_directory_that_is_absent_is_waited_for),
		TEST(a_directory_that_is_removed_is_waited_for),
		TEST(a_directory_that_is_replaced_is_watched_anew),
		TEST(without_inotify_a_replaced_directory_is_noticed_too),
		TEST(inotify_that_cannot_be_had_is_said_once),
		TEST(an_unreadable_directory_is_waited_for),
		TEST(an_ended_inotify_watch_is_set_up_again),
		TEST(ignored_and_other_names_are_not_looked_at),
		TEST(the_oldest_file_goes_first_then_by_name),
		TEST(left_overs_of_a_crash_come_first_and_at_once),
		TEST(a_shortened_left_over_need_not_match),
		TEST(a_file_in_our_hands_is_no_left_over),
		TEST(a_name_that_is_given_back_has_to_stand_still),
		TEST(a_file_that_was_not_at_fault_keeps_its_place),
		TEST(a_file_that_was_written_to_in_our_hands_has_to_stand_still),
		TEST(a_name_that_was_not_given_back_is_not_expected),
		TEST(a_busy_file_is_judged_again_after_quiet_and_said_once),
		TEST(a_file_that_somebody_has_to_close_keeps_nobody_waiting),
		TEST(a_writer_that_pauses_for_longer_than_quiet_keeps_nobody_waiting),
		TEST(of_files_that_are_left_the_first_is_named),
		TEST(a_busy_left_over_is_not_left_for_long),
		TEST(quiet_is_measured_by_what_was_seen_and_not_by_the_file_s_time),
		TEST(a_marker_completes_its_file_at_once),
		TEST(a_scan_finds_file_and_marker),
		TEST(what_is_no_file_is_no_marker),
		TEST(a_marker_belongs_to_a_left_over_unless_there_is_a_new_file),
		TEST(a_marked_file_keeps_its_place_by_its_newest_time),
		TEST(what_is_no_file_is_told_once_and_never_complete),
		TEST(complaints_are_bounded),
		TEST(an_unfit_file_is_left_alone_until_it_changes),
		TEST(closing_an_unfit_file_without_a_change_leaves_it_unfit),
		TEST(mending_the_directory_gives_unfit_files_another_chance),
		TEST(a_free_taken_name_gives_the_unfit_file_another_chance),
		TEST(a_file_that_vanishes_is_forgotten),
		TEST(what_finds_no_room_waits_for_a_later_scan),
		TEST(a_lack_of_descriptors_forgets_nothing),
		TEST(a_look_that_fails_is_repeated_by_the_scan),
		TEST(the_cost_of_a_file_does_not_grow_with_their_number),
		TEST(a_flood_of_writes_costs_no_look_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
