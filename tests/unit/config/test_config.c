#include "base/file.h"
#include "config/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

static struct config *read_good(const char *path)
{
	struct config *config = NULL;
	struct error err = { 0 };

	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/run/credentials/tb", 1), 0);
	if (!config_read(path, &config, &err))
		fail_msg("%s", err.text);
	return config;
}

static void every_endpoint_key_is_read(void **state)
{
	struct config *config = read_good(TEST_DATA "/config/every-key.yaml");
	const struct config_endpoint *endpoint = &config->endpoints[0];

	(void)state;
	assert_int_equal(config->n_endpoints, 2);
	assert_string_equal(endpoint->name, "bankfr");
	assert_string_equal(endpoint->api_url, "https://api.d1.example/banking/v1");
	assert_string_equal(endpoint->token_url, "https://api.d1.example/authz/v1/oauth2/token");
	assert_int_equal(endpoint->n_issuers, 2);
	assert_string_equal(endpoint->issuers[1], "BANKFR_-02");
	assert_string_equal(endpoint->jwt.issuer, "AGGREGATOR1");
	assert_string_equal(endpoint->jwt.audience, "https://d1");
	assert_string_equal(endpoint->jwt.key, TEST_DATA "/config/keys/jwt.key");
	assert_string_equal(endpoint->jwt.key_id, "2026-01");
	assert_int_equal(endpoint->jwt.lifetime_ms, 600000);
	assert_string_equal(endpoint->tls.certificate, "/run/credentials/tb/tls.pem");
	assert_string_equal(endpoint->tls.key, "/run/credentials/tb/tls.key");
	assert_string_equal(endpoint->tls.ca, TEST_DATA "/ca.pem");
	assert_int_equal(endpoint->concurrency, 64);
	assert_true(endpoint->rate > 12.4 && endpoint->rate < 12.6);
	assert_int_equal(endpoint->timeout_ms, 80000);
	assert_int_equal(endpoint->connect_timeout_ms, 5000);
	assert_int_equal(endpoint->http, CONFIG_HTTP_AUTO);
	assert_string_equal(endpoint->proxy, "http://proxy:3128");
	assert_int_equal(endpoint->retry.first_ms, 500);
	assert_int_equal(endpoint->retry.most_ms, 1200000);
	assert_int_equal(endpoint->retry.give_up_after_ms, 172800000);
	assert_true(endpoint->resend_unknown);
	assert_true(endpoint->retry_not_found);
	assert_string_equal(config->endpoints[1].jwt.key, "pkcs11:token=d1;object=jwt");
	assert_int_equal(config->endpoints[1].http, CONFIG_HTTP_2);
	config_free(config);
}

static void every_source_key_is_read(void **state)
{
	struct config *config = read_good(TEST_DATA "/config/every-key.yaml");
	const struct config_source *source = &config->sources[0];

	(void)state;
	assert_int_equal(config->n_sources, 2);
	assert_string_equal(source->name, "lyon");
	assert_string_equal(source->drop, "/srv/lyon/in");
	assert_string_equal(source->receipts, "/srv/lyon/out");
	assert_int_equal(source->n_match, 2);
	assert_string_equal(source->match[1], "*.CSV");
	assert_int_equal(source->complete.when, CONFIG_MARKER);
	assert_int_equal(source->complete.quiet_ms, 1000);
	assert_string_equal(source->complete.marker, ".trg");
	assert_int_equal(source->scan_ms, 10000);
	assert_string_equal(source->format.encoding, "ISO-8859-1");
	assert_string_equal(source->format.delimiter, "|");
	assert_int_equal(source->format.quote, '\'');
	assert_true(source->format.header);
	assert_int_equal(source->format.skip_lines, 2);
	assert_true(source->trailer.present);
	assert_string_equal(source->trailer.first_column, "TRL");
	assert_int_equal(source->trailer.count_column, 3);
	assert_int_equal(source->trailer.counts, CONFIG_ROWS_HEADER_TRAILER);
	assert_true(source->shipment_without_number_is_production);
	assert_int_equal(source->n_identity, 2);
	assert_string_equal(source->identity[0].name, "ORDER");
	assert_null(source->identity[1].name);
	assert_int_equal(source->identity[1].number, 4);
	assert_true(source->reject_file);
	assert_true(source->allow_pan_like);
	assert_int_equal(source->expect_every_ms, 93600000);
	assert_int_equal(source->max_file_bytes, INT64_C(1) << 30);
	assert_int_equal(source->max_rows, 1000);
	assert_int_equal(source->max_cell_bytes, 4096);
	assert_int_equal(source->max_columns, 50);
	assert_int_equal(config->sources[1].complete.when, CONFIG_RENAMED);
	assert_string_equal(config->sources[1].drop, TEST_DATA "/config/in");
	config_free(config);
}

static void every_field_key_is_read(void **state)
{
	struct config *config = read_good(TEST_DATA "/config/every-key.yaml");
	const struct config_field *fields = config->sources[0].fields;
	const struct config_field *type = &fields[TRACK_TYPE], *date = &fields[TRACK_SHIPMENT_DATE];

	(void)state;
	for (enum track_field i = 0; i < TRACK_N_FIELDS; i++)
		assert_true(fields[i].present);
	assert_string_equal(fields[TRACK_ISSUER_ID].value, "BANKFR0001");
	assert_null(fields[TRACK_ISSUER_ID].column);
	assert_string_equal(fields[TRACK_CARD_ID].column, "CARD_REF");
	assert_int_equal(type->column_number, 3);
	assert_null(type->column);
	assert_int_equal(type->n_map, 4);
	assert_string_equal(type->map[2].from, "RTS");
	assert_string_equal(type->map[2].to, "RETURN");
	assert_null(type->map[3].to);
	assert_int_equal(type->otherwise, CONFIG_OTHERWISE_SKIP);
	assert_string_equal(fields[TRACK_PRODUCTION_SITE].default_value, "Lyon");
	assert_string_equal(fields[TRACK_TRACKING_NUMBER].column, "7");
	assert_int_equal(fields[TRACK_TRACKING_NUMBER].column_number, 0);
	assert_int_equal(fields[TRACK_POSTAL_CODE].letter_case, CONFIG_CASE_UPPER);
	assert_int_equal(fields[TRACK_COUNTRY_CODE].letter_case, CONFIG_CASE_LOWER);
	assert_int_equal(fields[TRACK_COUNTRY_CODE].otherwise, CONFIG_OTHERWISE_KEEP);
	assert_string_equal(date->date_format, "%d/%m/%Y");
	assert_string_equal(date->timezone, "Europe/Paris");
	assert_int_equal(date->default_time_s, 43200);
	assert_string_equal(date->default_value, "01/01/2026");
	assert_false(config->sources[1].fields[TRACK_SHIPMENT_DATE].present);
	assert_string_equal(config->sources[1].fields[TRACK_PRODUCTION_SITE].value, "");
	config_free(config);
}

static void every_top_key_is_read(void **state)
{
	struct config *config = read_good(TEST_DATA "/config/every-key.yaml");

	(void)state;
	assert_string_equal(config->path, TEST_DATA "/config/every-key.yaml");
	assert_string_equal(config->state_dir, "/var/lib/tb");
	assert_string_equal(config->control_socket, "/run/tb/control.sock");
	assert_string_equal(config->metrics_file, TEST_DATA "/config/metrics/tb.prom");
	assert_int_equal(config->stop_timeout_ms, 90000);
	assert_int_equal(config->min_free_space, 1073741824);
	assert_int_equal(config->retention.rows_ms, INT64_C(43200000000));
	assert_int_equal(config->retention.bodies_ms, INT64_C(2592000000));
	assert_int_equal(config->retention.archive_ms, INT64_C(1728000000));
	config_free(config);
}

/* Defaults of the top and of an endpoint; expected are those of the commented default file as well, which shows each of them. */
static void expect_default_endpoint(const struct config *config)
{
	const struct config_endpoint *endpoint = &config->endpoints[0];

	assert_string_equal(config->state_dir, "/var/lib/trackbridge");
	assert_string_equal(config->control_socket, "/run/trackbridge/control.sock");
	assert_null(config->metrics_file);
	assert_int_equal(config->stop_timeout_ms, 70000);
	assert_int_equal(config->min_free_space, 268435456);
	assert_int_equal(config->retention.rows_ms, INT64_C(34560000000));
	assert_int_equal(config->retention.bodies_ms, INT64_C(3024000000));
	assert_int_equal(config->retention.archive_ms, INT64_C(3024000000));
	assert_null(endpoint->jwt.audience);
	assert_int_equal(endpoint->jwt.lifetime_ms, 300000);
	assert_null(endpoint->tls.ca);
	assert_int_equal(endpoint->concurrency, 8);
	assert_true(endpoint->rate < 0.001);
	assert_int_equal(endpoint->timeout_ms, 60000);
	assert_int_equal(endpoint->connect_timeout_ms, 10000);
	assert_int_equal(endpoint->http, CONFIG_HTTP_1_1);
	assert_null(endpoint->proxy);
	assert_int_equal(endpoint->retry.first_ms, 1000);
	assert_int_equal(endpoint->retry.most_ms, 900000);
	assert_int_equal(endpoint->retry.give_up_after_ms, 259200000);
	assert_false(endpoint->resend_unknown);
	assert_false(endpoint->retry_not_found);
}

static void expect_default_source(const struct config *config)
{
	const struct config_source *source = &config->sources[0];

	assert_int_equal(source->n_match, 1);
	assert_string_equal(source->match[0], "*.csv");
	assert_int_equal(source->complete.when, CONFIG_CLOSED);
	assert_int_equal(source->complete.quiet_ms, 5000);
	assert_string_equal(source->complete.marker, ".done");
	assert_int_equal(source->scan_ms, 30000);
	assert_string_equal(source->format.encoding, "utf-8");
	assert_string_equal(source->format.delimiter, ";");
	assert_int_equal(source->format.quote, '"');
	assert_true(source->format.header);
	assert_int_equal(source->format.skip_lines, 0);
	assert_false(source->trailer.present);
	assert_false(source->shipment_without_number_is_production);
	assert_int_equal(source->n_identity, 0);
	assert_false(source->reject_file);
	assert_false(source->allow_pan_like);
	assert_int_equal(source->expect_every_ms, 0);
	assert_int_equal(source->max_file_bytes, INT64_C(4) << 30);
	assert_int_equal(source->max_rows, 20000000);
	assert_int_equal(source->max_cell_bytes, 65536);
	assert_int_equal(source->max_columns, 4096);
}

static void what_is_left_out_has_its_default(void **state)
{
	struct config *config = read_good(TEST_DATA "/config/least.yaml");

	(void)state;
	expect_default_endpoint(config);
	expect_default_source(config);
	assert_null(config->sources[0].receipts);
	assert_int_equal(config->sources[0].fields[TRACK_CARD_ID].letter_case, CONFIG_CASE_KEEP);
	assert_int_equal(config->sources[0].fields[TRACK_CARD_ID].otherwise, CONFIG_OTHERWISE_REJECT);
	assert_null(config->sources[0].fields[TRACK_CARD_ID].default_value);
	assert_int_equal(config->sources[0].fields[TRACK_SHIPMENT_DATE].default_time_s, -1);
	config_free(config);
}

static void the_shipped_file_shows_the_defaults(void **state)
{
	struct config *config = read_good(TEST_SOURCE "/config/trackbridge.yaml");

	(void)state;
	expect_default_endpoint(config);
	expect_default_source(config);
	config_free(config);
}

static void every_example_can_be_read(void **state)
{
	glob_t examples;

	(void)state;
	assert_int_equal(glob(TEST_SOURCE "/config/examples/*.yaml", 0, NULL, &examples), 0);
	assert_true(examples.gl_pathc >= 5);
	for (size_t i = 0; i < examples.gl_pathc; i++)
		config_free(read_good(examples.gl_pathv[i]));
	globfree(&examples);
}

static void a_relative_path_to_the_file_becomes_absolute(void **state)
{
	struct config *config;

	(void)state;
	assert_int_equal(chdir(TEST_DATA), 0);
	config = read_good("config/../config/least.yaml");
	assert_string_equal(config->path, TEST_DATA "/config/least.yaml");
	assert_string_equal(config->endpoints[0].jwt.key, TEST_DATA "/config/jwt.key");
	config_free(config);
}

static void a_file_that_does_not_exist_is_no_bad_configuration(void **state)
{
	struct config *config = NULL;
	struct error err = { 0 };

	(void)state;
	assert_false(config_read(TEST_DATA "/config/none.yaml", &config, &err));
	assert_int_equal(err.code, ERROR_NO_INPUT);
	assert_null(config);
	assert_false(config_read(TEST_DATA "/config/none.yaml", &config, NULL));
	config_free(NULL);
}

static void a_working_directory_that_is_gone_is_said_so(void **state)
{
	char directory[] = "/tmp/trackbridge-config-XXXXXX";
	struct config *config = NULL;
	struct error err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(rmdir(directory), 0);
	assert_false(config_read("t.yaml", &config, &err));
	assert_non_null(strstr(err.text, "the working directory"));
	assert_int_equal(chdir("/"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_top_key_is_read),
		cmocka_unit_test(every_endpoint_key_is_read),
		cmocka_unit_test(every_source_key_is_read),
		cmocka_unit_test(every_field_key_is_read),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(the_shipped_file_shows_the_defaults),
		cmocka_unit_test(every_example_can_be_read),
		cmocka_unit_test(a_relative_path_to_the_file_becomes_absolute),
		cmocka_unit_test(a_file_that_does_not_exist_is_no_bad_configuration),
		cmocka_unit_test(a_working_directory_that_is_gone_is_said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
