#include "bad.h"

static void an_unknown_or_repeated_key_is_named_with_the_nearest_right_one(void **state)
{
	static const struct bad cases[] = {
		{ "#endpoint", "conncurrency: 8", "7:5: unknown key 'conncurrency' in endpoint 'bankfr'; did you mean 'concurrency'?" },
		{ "#top", "endpoint: []", "2:1: unknown key 'endpoint'; did you mean 'endpoints'?" },
		{ "#top", "frobnicate: 1", "2:1: unknown key 'frobnicate'" },
		{ "key_id: k1", "key_id: k1, audiense: x",
		  "9:58: unknown key 'jwt.audiense' in endpoint 'bankfr'; did you mean 'jwt.audience'?" },
		{ "#source", "colour: red", "14:5: unknown key 'colour' in source 'lyon'" },
		{ "cardId: CARD", "cardId: { colum: CARD }",
		  "17:17: unknown key 'fields.cardId.colum' in source 'lyon'; did you mean 'fields.cardId.column'?" },
		{ "#field", "trackingNo: T",
		  "20:7: unknown key 'fields.trackingNo' in source 'lyon'; did you mean 'fields.trackingType'?" },
		{ "#endpoint", "\"a\\tb\": 1", "7:5: unknown key 'a\\x09b' in endpoint 'bankfr'" },
		{ "#top", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: 1",
		  "2:1: unknown key 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'" },
		{ "#endpoint", "<<: {}", "7:5: unknown key '<<' in endpoint 'bankfr'" },
		{ "#endpoint", "name: twice", "7:5: key 'name' is repeated; it stands in line 4 already" },
		{ "#top", "version: 1", "2:1: key 'version' is repeated; it stands in line 1 already" },
		{ "#field", "cardId: CARD2", "20:7: key 'cardId' is repeated; it stands in line 17 already" },
		{ "#source", "match: [\"*.csv\"]\n    match: [\"*.txt\"]", "15:5: key 'match' is repeated; it stands in line 14 already" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void a_missing_key_is_named_with_its_owner(void **state)
{
	static const struct bad cases[] = {
		{ NULL, HEAD ENDPOINTS, "1:1: the file has no 'sources'" },
		{ NULL, HEAD SOURCES, "1:1: the file has no 'endpoints'" },
		{ "    api_url: https://d1.example/banking/v1\n", "", "4:5: endpoint 'bankfr' has no 'api_url'" },
		{ "    issuers: [BANKFR0001]\n", "", "4:5: endpoint 'bankfr' has no 'issuers'" },
		{ "    jwt: { issuer: BANKFR0001, key: jwt.key, key_id: k1 }\n", "", "4:5: endpoint 'bankfr' has no 'jwt'" },
		{ "    tls: { certificate: client.pem, key: client.key }\n", "", "4:5: endpoint 'bankfr' has no 'tls'" },
		{ "issuer: BANKFR0001, ", "", "9:10: endpoint 'bankfr' has no 'jwt.issuer'" },
		{ ", key: jwt.key", "", "9:10: endpoint 'bankfr' has no 'jwt.key'" },
		{ ", key_id: k1", "", "9:10: endpoint 'bankfr' has no 'jwt.key_id'" },
		{ "certificate: client.pem, ", "", "10:10: endpoint 'bankfr' has no 'tls.certificate'" },
		{ "    drop: /srv/lyon/in\n", "", "12:5: source 'lyon' has no 'drop'" },
		{ "      cardId: CARD\n", "", "16:7: source 'lyon' has no 'fields.cardId'" },
		{ "      trackingType: TYPE\n", "", "16:7: source 'lyon' has no 'fields.trackingType'" },
		{ "      productionSite: SITE\n", "", "16:7: source 'lyon' has no 'fields.productionSite'" },
		{ "      issuerId: { value: BANKFR0001 }\n", "", "16:7: source 'lyon' has no 'fields.issuerId'" },
		{ "  - name: bankfr\n    api_url", "  - api_url", "4:5: endpoint 1 has no 'name'" },
		{ "  - name: lyon\n    drop", "  - drop", "12:5: source 1 has no 'name'" },
		{ "    fields:\n      issuerId: { value: BANKFR0001 }\n      cardId: CARD\n      trackingType: TYPE\n      productionSite: SITE\n      #field\n",
		  "", "12:5: source 'lyon' has no 'fields'" },
		{ "#source", "trailer: { count_column: 2 }", "14:14: source 'lyon' has no 'trailer.first_column'" },
		{ "#source", "trailer: { first_column: TRL }", "14:14: source 'lyon' has no 'trailer.count_column'" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static void a_name_that_is_cut_stays_utf8(void **state)
{
	scoped_free char *key = bad_repeat("x", "é", 40, ": 1");
	scoped_free char *expected = bad_repeat("2:1: unknown key 'x", "é", 31, "…'");

	(void)state;
	expect_error("#top", key, expected);
}

static void lists_are_bounded(void **state)
{
	static const char issuers[] = ", BANK00%zu";
	scoped_free char *many_issuers = bad_repeat("[BANKFR0001", issuers, 256, "]");
	scoped_free char *many_endpoints = bad_repeat("endpoints: [", "{},", 65, "]\n");
	scoped_free char *many_sources = bad_repeat(HEAD ENDPOINTS "sources: [", "{},", 257, "]\n");

	(void)state;
	expect_error("[BANKFR0001]", many_issuers, "8:14: 'issuers' of endpoint 'bankfr' has 257 entries; at most 256 are possible");
	expect_error(NULL, many_endpoints, "1:12: 'endpoints' has 65 entries; at most 64 are possible");
	expect_error(NULL, many_sources, "11:10: 'sources' has 257 entries; at most 256 are possible");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unknown_or_repeated_key_is_named_with_the_nearest_right_one),
		cmocka_unit_test(a_missing_key_is_named_with_its_owner),
		cmocka_unit_test(a_name_that_is_cut_stays_utf8),
		cmocka_unit_test(lists_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
