#include "bad.h"

static void directories_that_collide_are_rejected(void **state)
{
	static const struct bad cases[] = {
		{ "      #field\n",
		  "      #field\n  - name: lyon\n    drop: /srv/b\n    fields: { issuerId: I, cardId: C, trackingType: T, productionSite: S }\n",
		  "21:11: a second source is called 'lyon'" },
		{ "      #field\n",
		  "      #field\n  - name: b\n    drop: /srv/x/../lyon//in/\n    fields: { issuerId: I, cardId: C, trackingType: T, productionSite: S }\n",
		  "22:11: 'drop' of source 'b' is also that of source 'lyon'" },
		{ "#source", "receipts: /srv/lyon/in",
		  "14:15: 'receipts' of source 'lyon' lies in 'drop' of source 'lyon' (/srv/lyon/in)" },
		{ "#source", "receipts: /srv/lyon/in/out",
		  "14:15: 'receipts' of source 'lyon' lies in 'drop' of source 'lyon' (/srv/lyon/in)" },
		{ "#source", "receipts: /var/lib/trackbridge/out",
		  "14:15: 'receipts' of source 'lyon' lies in 'state_dir' (/var/lib/trackbridge)" },
		{ "/srv/lyon/in", "/var/lib/trackbridge", "13:11: 'drop' of source 'lyon' lies in 'state_dir' (/var/lib/trackbridge)" },
		{ "/srv/lyon/in", "/var/lib/trackbridge/in", "13:11: 'drop' of source 'lyon' lies in 'state_dir' (/var/lib/trackbridge)" },
		{ "      #field\n",
		  "      #field\n  - name: b\n    drop: /srv/b\n    fields: { issuerId: I, cardId: C, trackingType: T, productionSite: S }\n    receipts: /srv/lyon/in\n",
		  "24:15: 'receipts' of source 'b' lies in 'drop' of source 'lyon' (/srv/lyon/in)" },
		{ "#top", "state_dir: /", "13:11: 'drop' of source 'lyon' lies in 'state_dir' (/)" },
		{ "#source", "receipts:", "14:14: 'receipts' of source 'lyon' has no value" },
		{ "drop: /srv/lyon/in", "drop: []", "13:11: 'drop' of source 'lyon' must be a single value, not a list" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void neighbours_do_not_collide(void **state)
{
	(void)state;
	config_free(expect_good("#source", "receipts: /srv/lyon/in-out"));
	config_free(expect_good("/srv/lyon/in", "/var/lib/trackbridge-in"));
	config_free(expect_good("#top", "stop_timeout: 60s"));
}

static void issuers_and_sources_are_found(void **state)
{
	static const char second[] = "  - name: bankbe\n"
				     "    api_url: https://d1.example\n"
				     "    token_url: https://d1.example/token\n"
				     "    issuers: [BANKBE0001, BANKBE0002]\n"
				     "    jwt: { issuer: BANKBE0001, key: jwt.key, key_id: k1 }\n"
				     "    tls: { certificate: client.pem, key: client.key }\n"
				     "sources:\n";
	struct config *config = expect_good("sources:\n", second);

	(void)state;
	assert_int_equal(config_endpoint_of(config, "BANKFR0001"), 0);
	assert_int_equal(config_endpoint_of(config, "BANKBE0002"), 1);
	assert_int_equal(config_endpoint_of(config, "BANKXX0001"), -1);
	assert_int_equal(config_source_named(config, "lyon"), 0);
	assert_int_equal(config_source_named(config, "lyo"), -1);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories_that_collide_are_rejected),
		cmocka_unit_test(neighbours_do_not_collide),
		cmocka_unit_test(issuers_and_sources_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
