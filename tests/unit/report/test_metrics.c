#include "report/metrics.h"

#include "stand.h"

enum { NOW = 5000000 };

static const int64_t attempts[TRACK_BACK + 1] = { [TRACK_ACCEPTED] = 7, [TRACK_BACK] = 2 };
static const struct histogram latency = { .by_bucket = { 9 }, .sum_ms = 18 };
static struct config_endpoint endpoint = { .name = "bankfr" };
static char metrics_file[128];
static struct metrics *metrics;

static int set_up_metrics(void **state)
{
	if (set_up(state) < 0)
		return -1;
	snprintf(metrics_file, sizeof(metrics_file), "%s/tb.prom", stand.folder);
	stand.config.metrics_file = metrics_file;
	stand.config.endpoints = &endpoint;
	stand.config.n_endpoints = 1;
	stand.config.min_free_space = 1 << 20;
	metrics = metrics_new(&stand.config, stand.queue, 1800000000123);
	return 0;
}

static int tear_down_metrics(void **state)
{
	metrics_free(metrics);
	return tear_down(state);
}

static bool try_write(int64_t now_ms, const char *of_state, const char *reason, struct error *err)
{
	struct metrics_endpoint told = {
		.name = "bankfr",
		.state = of_state,
		.reason = reason,
		.concurrency = 8,
		.in_flight = 3,
		.attempts = attempts,
		.tokens = { { "ok", 4 }, { "credentials", 0 }, { "redirect", 0 }, { "certificate", 0 }, { "outage", 1 } },
		.latency = &latency,
		.certificate_expires_at = 1900000000,
	};

	return metrics_write(metrics, now_ms, stand.wall_ms, &told, 2, err);
}

static void write_at(int64_t now_ms)
{
	struct error err = { 0 };

	if (!try_write(now_ms, "open", "", &err))
		fail_msg("%s", err.text);
}

static void assert_told(const char *line)
{
	scoped_free char *found = get("tb.prom");

	if (!found || !strstr(found, line))
		fail_msg("%s is not in\n%s", line, found ? found : "(no file)");
}

static void it_is_due_at_once_then_after_a_minute_or_15_s_where_something_changed(void **state)
{
	(void)state;
	assert_true(metrics_next_ms(metrics) <= NOW);
	write_at(NOW);
	assert_int_equal(metrics_next_ms(metrics), NOW + METRICS_IDLE_MS);
	record(LYON, "a.csv", "x", 1);
	assert_int_equal(metrics_next_ms(metrics), NOW + METRICS_EVERY_MS);
	write_at(NOW + METRICS_EVERY_MS);
	assert_int_equal(metrics_next_ms(metrics), NOW + METRICS_EVERY_MS + METRICS_IDLE_MS);
}

static void writing_changes_nothing_in_the_database(void **state)
{
	struct stat before, after;
	int64_t commits;

	(void)state;
	release(record(LYON, "a.csv", "x", 1));
	commits = queue_commits(stand.queue);
	assert_int_equal(stat(below("queue.db-wal"), &before), 0);
	for (int i = 0; i < 5; i++)
		write_at(NOW + i);
	assert_int_equal(stat(below("queue.db-wal"), &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	assert_int_equal(queue_commits(stand.queue), commits);
}

static void everybody_may_read_it_whatever_the_umask(void **state)
{
	mode_t before = umask(0077);
	struct stat st;

	(void)state;
	write_at(NOW);
	umask(before);
	assert_int_equal(stat(metrics_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_no_file("tb.prom.tmp");
}

static void it_tells_of_sources_rows_endpoints_and_files(void **state)
{
	int64_t manifest = record(LYON, "a.csv", "x", 1);
	char line[200];

	(void)state;
	add_queued(manifest, 2, "C-1");
	add_queued(manifest, 3, "C-2");
	add_rejected(manifest, 4, 0, 1, "SITE", "is empty");
	release(manifest);
	assert_true(queue_source_store(stand.queue, NANTES, "open", "", 12));
	must_commit();
	stand.wall_ms += 4250;
	write_at(clock_steady_ms());
	assert_told("trackbridge_rows{source=\"lyon\",state=\"queued\"} 2\n");
	assert_told("trackbridge_rows{source=\"lyon\",state=\"rejected\"} 1\n");
	assert_told("trackbridge_rows{source=\"nantes\",state=\"queued\"} 0\n");
	assert_told("trackbridge_manifests{source=\"lyon\",state=\"released\"} 1\n");
	assert_told("trackbridge_source_files_waiting{source=\"nantes\"} 12\n");
	assert_told("trackbridge_source_late{source=\"lyon\"} 0\n");
	assert_told("trackbridge_attempts_total{endpoint=\"bankfr\",outcome=\"accepted\"} 7\n");
	assert_told("trackbridge_attempts_total{endpoint=\"bankfr\",outcome=\"refused\"} 0\n");
	assert_told("trackbridge_attempts_total{endpoint=\"bankfr\",outcome=\"back\"} 2\n");
	assert_told("trackbridge_request_duration_seconds_count{endpoint=\"bankfr\"} 9\n");
	assert_told("trackbridge_token_refreshes_total{endpoint=\"bankfr\",result=\"outage\"} 1\n");
	assert_told("trackbridge_endpoint_state{endpoint=\"bankfr\",state=\"open\"} 1\n");
	assert_told("trackbridge_endpoint_concurrency{endpoint=\"bankfr\"} 8\n");
	assert_told("trackbridge_endpoint_in_flight{endpoint=\"bankfr\"} 3\n");
	assert_told("trackbridge_oldest_queued_age_seconds{endpoint=\"bankfr\"} 4.250\n");
	assert_told("trackbridge_certificate_expiry_timestamp_seconds{endpoint=\"bankfr\"} 1900000000\n");
	assert_told("trackbridge_state_free_minimum_bytes 1048576\n");
	assert_told("trackbridge_database_commits_failing 2\n");
	assert_told("trackbridge_process_start_time_seconds 1800000000.123\n");
	assert_told("trackbridge_build_info{version=\"" TRACKBRIDGE_VERSION "\"} 1\n");
	snprintf(line, sizeof(line), "trackbridge_metrics_last_write_timestamp_seconds %lld.%03d\n", (long long)(stand.wall_ms / 1000),
		 (int)(stand.wall_ms % 1000));
	assert_told(line);
}

static void a_source_is_late_where_the_queue_says_so(void **state)
{
	scoped_text struct text out = { 0 };
	struct queue_source_figures sources[] = { { .name = "lyon", .state = "late" }, { .name = "nantes", .state = "open" } };
	const struct metrics_facts facts = { .sources = sources, .n_sources = 2, .wal_bytes = -1 };

	(void)state;
	metrics_text(&out, &facts);
	assert_non_null(strstr(out.data, "trackbridge_source_late{source=\"lyon\"} 1\n"));
	assert_non_null(strstr(out.data, "trackbridge_source_late{source=\"nantes\"} 0\n"));
	assert_null(strstr(out.data, "trackbridge_source_last_manifest_timestamp_seconds{"));
	assert_null(strstr(out.data, "\ntrackbridge_database_wal_size_bytes "));
}

static void nothing_waits_for_a_paused_endpoint(void **state)
{
	int64_t manifest = record(LYON, "a.csv", "x", 1);
	struct error err;

	(void)state;
	add_queued(manifest, 2, "C-1");
	release(manifest);
	stand.wall_ms += 60000;
	assert_true(try_write(clock_steady_ms(), "paused", "outage", &err));
	assert_told("trackbridge_oldest_queued_age_seconds{endpoint=\"bankfr\"} 0.000\n");
	assert_told("trackbridge_endpoint_state{endpoint=\"bankfr\",state=\"paused\"} 1\n");
	assert_told("trackbridge_endpoint_state{endpoint=\"bankfr\",state=\"open\"} 0\n");
	assert_told("trackbridge_endpoint_paused{endpoint=\"bankfr\",reason=\"outage\"} 1\n");
	assert_told("trackbridge_endpoint_paused{endpoint=\"bankfr\",reason=\"operator\"} 0\n");
}

static void a_directory_that_is_missing_is_counted_and_tried_again(void **state)
{
	struct error err = { 0 };

	(void)state;
	snprintf(metrics_file, sizeof(metrics_file), "%s/later/tb.prom", stand.folder);
	metrics_free(metrics);
	metrics = metrics_new(&stand.config, stand.queue, 0);
	assert_false(try_write(NOW, "open", "", &err));
	assert_non_null(strstr(err.text, metrics_file));
	assert_int_equal(metrics_next_ms(metrics), NOW + METRICS_IDLE_MS);
	assert_false(queue_in_turn(stand.queue));
	assert_false(try_write(NOW, "open", "", &err));
	assert_int_equal(mkdir(below("later"), 0700), 0);
	write_at(NOW);
	assert_int_equal(rename(metrics_file, below("tb.prom")), 0);
	assert_told("trackbridge_metrics_write_failures_total 2\n");
}

static void what_lies_under_the_temporary_name_is_not_written_into(void **state)
{
	char target[128];

	(void)state;
	put_bytes("precious", "keep me", 7);
	snprintf(target, sizeof(target), "%s/precious", stand.folder);
	assert_int_equal(symlink(target, below("tb.prom.tmp")), 0);
	write_at(NOW);
	assert_file("precious", "keep me");
	assert_told("trackbridge_build_info");
	assert_no_file("tb.prom.tmp");
}

static void a_file_that_cannot_take_its_name_leaves_nothing_behind(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(mkdir(metrics_file, 0700), 0);
	assert_false(try_write(NOW, "open", "", &err));
	assert_no_file("tb.prom.tmp");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up_metrics, tear_down_metrics)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(it_is_due_at_once_then_after_a_minute_or_15_s_where_something_changed),
		T(writing_changes_nothing_in_the_database),
		T(everybody_may_read_it_whatever_the_umask),
		T(it_tells_of_sources_rows_endpoints_and_files),
		T(a_source_is_late_where_the_queue_says_so),
		T(nothing_waits_for_a_paused_endpoint),
		T(a_directory_that_is_missing_is_counted_and_tried_again),
		T(what_lies_under_the_temporary_name_is_not_written_into),
		T(a_file_that_cannot_take_its_name_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
