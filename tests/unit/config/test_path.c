#include "bad.h"

#include "config/path.h"

static void a_secret_is_never_a_value(void **state)
{
	static const struct bad cases[] = {
		{ "key: jwt.key", "key: \"-----BEGIN PRIVATE KEY-----\"",
		  "9:37: this looks like a PEM block; keys and certificates are never values: give the path of a file that holds it" },
		{ "key: client.key", "key: \"x -----BEGIN\"",
		  "10:42: this looks like a PEM block; keys and certificates are never values: give the path of a file that holds it" },
		{ "key: jwt.key", "key: \"credential:\"",
		  "9:37: 'jwt.key' of endpoint 'bankfr' must be credential:NAME, where NAME is the name of one file" },
		{ "key: jwt.key", "key: \"credential:a/b\"",
		  "9:37: 'jwt.key' of endpoint 'bankfr' must be credential:NAME, where NAME is the name of one file" },
		{ "key: jwt.key", "key: \"credential:..\"",
		  "9:37: 'jwt.key' of endpoint 'bankfr' must be credential:NAME, where NAME is the name of one file" },
		{ "key: jwt.key", "key: \"credential:.\"",
		  "9:37: 'jwt.key' of endpoint 'bankfr' must be credential:NAME, where NAME is the name of one file" },
		{ "key: jwt.key", "key: credential:jwt",
		  "9:37: 'jwt.key' of endpoint 'bankfr' is a systemd credential, but $CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with LoadCredential=jwt:/path" },
		{ "key: client.key", "key: \"pkcs11:object=tls\"",
		  "10:42: 'tls.key' of endpoint 'bankfr' must be a path or credential:NAME; only 'jwt.key' may be a pkcs11: URI" },
		{ "key: jwt.key", "key: \"pkcs11:object=jwt?pin-value=1234\"",
		  "9:37: 'jwt.key' of endpoint 'bankfr' must not hold a PIN; no secret is ever a value in this file (use pin-source)" },
		{ "key: jwt.key", "key: []", "9:37: 'jwt.key' of endpoint 'bankfr' must be a single value, not a list" },
		{ "key: client.key", "key: \"\"", "10:42: 'tls.key' of endpoint 'bankfr' must not be empty" },
		{ "key: client.key", "key: \"a\\nb\"", "10:42: 'tls.key' of endpoint 'bankfr' must not have control characters" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void a_path_becomes_absolute_and_short(void **state)
{
	static const struct {
		const char *folder, *path, *expected;
	} cases[] = {
		{ "/etc/trackbridge", "d1.pem", "/etc/trackbridge/d1.pem" },
		{ "/etc/trackbridge", "./keys//d1.pem", "/etc/trackbridge/keys/d1.pem" },
		{ "/etc/trackbridge", "../keys/d1.pem", "/etc/keys/d1.pem" },
		{ "/etc/trackbridge", "../../../x", "/x" },
		{ "/etc/trackbridge", "..", "/etc" },
		{ "/etc/trackbridge", "...", "/etc/trackbridge/..." },
		{ "/etc/trackbridge", ".hidden", "/etc/trackbridge/.hidden" },
		{ "/etc/trackbridge", "/srv/./in/", "/srv/in" },
		{ "/etc/trackbridge", "/srv/x/../in", "/srv/in" },
		{ "/etc/trackbridge", "/", "/" },
		{ "/", "x", "/x" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };

		assert_string_equal(path_normal(&arena, cases[i].folder, cases[i].path), cases[i].expected);
		arena_free(&arena);
	}
}

static void a_neighbour_with_a_longer_name_is_not_inside(void **state)
{
	(void)state;
	assert_true(path_is_inside("/srv/in", "/srv/in"));
	assert_true(path_is_inside("/srv/in/x", "/srv/in"));
	assert_true(path_is_inside("/srv/in", "/"));
	assert_false(path_is_inside("/srv/inbox", "/srv/in"));
	assert_false(path_is_inside("/srv", "/srv/in"));
}

static void a_credential_lies_in_systemds_directory(void **state)
{
	struct config *config;

	(void)state;
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/run/credentials/trackbridge.service", 1), 0);
	config = expect_good("key: client.key", "key: credential:tls");
	assert_string_equal(config->endpoints[0].tls.key, "/run/credentials/trackbridge.service/tls");
	config_free(config);
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void a_credential_needs_an_absolute_directory(void **state)
{
	scoped_free char *text = bad_text("key: client.key", "key: credential:tls");
	struct config *config = NULL;
	struct error err;

	(void)state;
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "credentials", 1), 0);
	assert_false(bad_read(text, &config, &err));
	assert_non_null(strstr(err.text, "$CREDENTIALS_DIRECTORY is not set"));
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void a_pkcs11_uri_is_kept_as_it_is(void **state)
{
	struct config *config = expect_good("key: jwt.key", "key: \"pkcs11:token=d1;object=jwt?pin-source=file:/etc/pin\"");

	(void)state;
	assert_string_equal(config->endpoints[0].jwt.key, "pkcs11:token=d1;object=jwt?pin-source=file:/etc/pin");
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_never_a_value),
		cmocka_unit_test(a_path_becomes_absolute_and_short),
		cmocka_unit_test(a_neighbour_with_a_longer_name_is_not_inside),
		cmocka_unit_test(a_credential_lies_in_systemds_directory),
		cmocka_unit_test(a_credential_needs_an_absolute_directory),
		cmocka_unit_test(a_pkcs11_uri_is_kept_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
