#include "submit/jwt.h"

#include "base/file.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIGNATURES = 4096 };

static const struct jwt_claims claims = { .key_id = "2026-01", .issuer = "BANKFR0001", .expires_at = 1795341600 };
static char folder[] = "/tmp/trackbridge-jwt-XXXXXX";
static EVP_PKEY *p256, *p384, *rsa;

static const char *path_of(const char *name)
{
	static char paths[4][128];
	static int at;

	at = (at + 1) % 4;
	snprintf(paths[at], sizeof(paths[at]), "%s/%s", folder, name);
	return paths[at];
}

static void write_file(const char *name, const char *bytes)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	fputs(bytes, file);
	fclose(file);
}

static void write_key(const char *name, EVP_PKEY *pkey, const char *passphrase)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PKCS8PrivateKey(file, pkey, passphrase ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL, (void *)passphrase),
			 1);
	fclose(file);
}

/* The older form: a header in the PEM says how it is encrypted. */
static void write_old_encrypted_key(const char *name, EVP_PKEY *pkey)
{
	BIO *bio = BIO_new_file(path_of(name), "w");

	assert_non_null(bio);
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, pkey, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL),
			 1);
	BIO_free(bio);
}

static void write_public_key(const char *name, EVP_PKEY *pkey)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PUBKEY(file, pkey), 1);
	fclose(file);
}

static void write_certificate(const char *name, EVP_PKEY *pkey, time_t end)
{
	X509 *certificate = X509_new();
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	ASN1_TIME_set(X509_getm_notBefore(certificate), end - 1000);
	ASN1_TIME_set(X509_getm_notAfter(certificate), end);
	X509_set_pubkey(certificate, pkey);
	assert_true(X509_sign(certificate, pkey, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	X509_free(certificate);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	p256 = EVP_EC_gen("P-256");
	p384 = EVP_EC_gen("P-384");
	rsa = EVP_RSA_gen(2048);
	write_key("p256.pem", p256, NULL);
	write_key("p384.pem", p384, NULL);
	write_key("rsa.pem", rsa, NULL);
	write_key("encrypted.pem", p256, "secret");
	write_old_encrypted_key("old-encrypted.pem", p256);
	write_public_key("public.pem", p256);
	write_file("garbage.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	write_file("empty.pem", "");
	write_certificate("p256.crt", p256, 1800000000);
	write_certificate("rsa.crt", rsa, 2000000000);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "p256.pem",    "p384.pem",  "rsa.pem",  "encrypted.pem", "old-encrypted.pem",  "public.pem",
					     "garbage.pem", "empty.pem", "p256.crt", "rsa.crt",       "with-parameters.pem" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unlink(path_of(names[i]));
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(rsa);
	return rmdir(folder);
}

/* Decodes one base64url part; gives its length and puts a NUL behind. */
static size_t decode(const char *part, size_t length, uint8_t *ret_bytes)
{
	unsigned int bits = 0, n_bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
		const char *at = strchr(alphabet, part[i]);

		assert_non_null(at);
		bits = bits << 6 | (unsigned int)(at - alphabet);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			ret_bytes[n++] = (uint8_t)(bits >> n_bits);
		}
	}
	ret_bytes[n] = 0;
	return n;
}

static struct text make(const struct jwt_claims *some)
{
	struct jwt_key *key = NULL;
	struct text assertion = { 0 };
	struct error err;

	assert_true(jwt_key_open(path_of("p256.pem"), &key, &err));
	assert_true(jwt_sign(key, some, &assertion, &err));
	jwt_key_close(key);
	return assertion;
}

/* Parses part number index (0: header, 1: claims) of an assertion. */
static cJSON *part_of(const struct text *assertion, int index)
{
	uint8_t bytes[2048];
	const char *start = assertion->data;
	cJSON *json;

	for (; index; index--)
		start = strchr(start, '.') + 1;
	decode(start, strcspn(start, "."), bytes);
	json = cJSON_ParseWithOpts((const char *)bytes, NULL, true);
	assert_non_null(json);
	return json;
}

static const char *string_of(const cJSON *json, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static void header_and_claims_are_what_d1_asks_for(void **state)
{
	struct text assertion = make(&claims);
	cJSON *header = part_of(&assertion, 0);
	cJSON *body = part_of(&assertion, 1);

	(void)state;
	assert_int_equal(cJSON_GetArraySize(header), 3);
	assert_string_equal(string_of(header, "alg"), "ES256");
	assert_string_equal(string_of(header, "typ"), "JWT");
	assert_string_equal(string_of(header, "kid"), "2026-01");
	assert_int_equal(cJSON_GetArraySize(body), 4);
	assert_string_equal(string_of(body, "iss"), "BANKFR0001");
	assert_string_equal(string_of(body, "sub"), "BANKFR0001");
	assert_int_equal(strlen(string_of(body, "jti")), 32);
	assert_true(cJSON_GetObjectItem(body, "exp")->valuedouble == 1795341600.0);
	cJSON_Delete(header);
	cJSON_Delete(body);
	text_free(&assertion);
}

static void an_audience_is_sent_where_one_is_configured(void **state)
{
	struct jwt_claims with = claims;
	struct text assertion;
	cJSON *body;

	(void)state;
	with.audience = "https://api.example/token";
	assertion = make(&with);
	body = part_of(&assertion, 1);
	assert_string_equal(string_of(body, "aud"), "https://api.example/token");
	cJSON_Delete(body);
	text_free(&assertion);
}

static void strings_are_escaped(void **state)
{
	struct jwt_claims odd = claims;
	struct text assertion;
	cJSON *header;

	(void)state;
	odd.key_id = "a\"b\\c\nd\x01 \xc3\xa9";
	assertion = make(&odd);
	header = part_of(&assertion, 0);
	assert_string_equal(string_of(header, "kid"), odd.key_id);
	cJSON_Delete(header);
	text_free(&assertion);
}

static void no_two_assertions_have_the_same_id(void **state)
{
	struct text one = make(&claims);
	struct text two = make(&claims);
	cJSON *first = part_of(&one, 1);
	cJSON *second = part_of(&two, 1);

	(void)state;
	assert_string_not_equal(string_of(first, "jti"), string_of(second, "jti"));
	cJSON_Delete(first);
	cJSON_Delete(second);
	text_free(&one);
	text_free(&two);
}

static void an_assertion_is_appended(void **state)
{
	struct jwt_key *key = NULL;
	struct text text = { 0 };
	struct error err;

	(void)state;
	text_append_string(&text, "assertion=");
	assert_true(jwt_key_open(path_of("p256.pem"), &key, &err));
	assert_true(jwt_sign(key, &claims, &text, &err));
	assert_memory_equal(text.data, "assertion=eyJ", 13);
	jwt_key_close(key);
	text_free(&text);
}

/* Puts the two halves back into the form in which OpenSSL verifies. */
static bool verifies(const char *data, size_t length, const uint8_t raw[static 64])
{
	ECDSA_SIG *signature = ECDSA_SIG_new();
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char *der = NULL;
	int der_length;
	bool good;

	ECDSA_SIG_set0(signature, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
	der_length = i2d_ECDSA_SIG(signature, &der);
	assert_true(der_length > 0);
	good = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, p256) == 1 &&
	       EVP_DigestVerify(context, der, (size_t)der_length, (const unsigned char *)data, length) == 1;
	OPENSSL_free(der);
	ECDSA_SIG_free(signature);
	EVP_MD_CTX_free(context);
	return good;
}

static void every_signature_is_64_bytes_and_verifies_short_halves_included(void **state)
{
	struct jwt_key *key = NULL;
	struct text assertion = { 0 };
	struct error err;
	int short_halves = 0;

	(void)state;
	assert_true(jwt_key_open(path_of("p256.pem"), &key, &err));
	for (int i = 0; i < SIGNATURES; i++) {
		const char *dot;
		uint8_t raw[80];

		text_clear(&assertion);
		assert_true(jwt_sign(key, &claims, &assertion, &err));
		dot = strrchr(assertion.data, '.');
		assert_int_equal(decode(dot + 1, strlen(dot + 1), raw), 64);
		assert_true(verifies(assertion.data, (size_t)(dot - assertion.data), raw));
		short_halves += (raw[0] == 0) + (raw[32] == 0);
	}
	/* 32 are expected; that none comes has a chance of one in 10^13. */
	print_message("%d signatures, %d halves with a leading zero byte\n", SIGNATURES, short_halves);
	assert_true(short_halves > 0);
	jwt_key_close(key);
	text_free(&assertion);
}

static void a_key_that_cannot_sign_es256_is_refused_by_name(void **state)
{
	static const struct {
		const char *name;
		const char *words;
	} cases[] = {
		{ "p384.pem", "P-256" },
		{ "rsa.pem", "P-256" },
		{ "public.pem", "no private key" },
		{ "garbage.pem", "no private key" },
		{ "empty.pem", "no private key" },
		{ "p256.crt", "no private key" },
		{ "encrypted.pem", "encrypted" },
		{ "old-encrypted.pem", "encrypted" },
		{ "missing.pem", "No such file" },
		{ "", "regular file" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct jwt_key *key = NULL;
		struct error err = { 0 };

		assert_false(jwt_key_open(path_of(cases[i].name), &key, &err));
		assert_null(key);
		assert_int_equal(err.code, ERROR_CONFIG);
		if (!strstr(err.text, cases[i].words) || !strstr(err.text, path_of(cases[i].name)))
			fail_msg("%s: %s", cases[i].name, err.text);
	}
}

static void a_pkcs11_uri_without_its_provider_is_refused(void **state)
{
	struct jwt_key *key = NULL;
	struct error err = { 0 };

	(void)state;
	assert_false(jwt_key_open("pkcs11:token=none;object=none", &key, &err));
	assert_int_equal(err.code, ERROR_CONFIG);
	assert_true(jwt_secret_is_private("pkcs11:token=none;object=none", &err));
}

static void a_key_may_be_preceded_by_its_curve(void **state)
{
	struct jwt_key *key = NULL;
	struct error err;
	BIO *bio = BIO_new_file(path_of("with-parameters.pem"), "w");

	(void)state;
	assert_int_equal(PEM_write_bio_Parameters(bio, p256), 1);
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, p256, NULL, NULL, 0, NULL, NULL), 1);
	BIO_free(bio);
	assert_true(jwt_key_open(path_of("with-parameters.pem"), &key, &err));
	jwt_key_close(key);
	jwt_key_close(NULL);
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} cases[] = { { 0600, true }, { 0400, true }, { 0640, true }, { 0644, false }, { 0602, false }, { 0601, false } };
	struct error err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(chmod(path_of("p384.pem"), cases[i].mode), 0);
		assert_int_equal(jwt_secret_is_private(path_of("p384.pem"), &err), cases[i].good);
	}
	assert_int_equal(err.code, ERROR_CONFIG);
	err.code = ERROR_NONE;
	assert_false(jwt_secret_is_private(path_of("missing.pem"), &err));
	assert_int_equal(err.code, ERROR_CONFIG);
}

static void a_certificate_tells_its_end_and_whether_the_key_is_its_own(void **state)
{
	struct jwt_certificate certificate;
	struct error err;

	(void)state;
	assert_true(jwt_certificate_read(path_of("p256.crt"), path_of("p256.pem"), &certificate, &err));
	assert_true(certificate.matches_key);
	assert_true(certificate.expires_at == 1800000000);
	assert_true(jwt_certificate_read(path_of("rsa.crt"), path_of("rsa.pem"), &certificate, &err));
	assert_true(certificate.matches_key);
	assert_true(certificate.expires_at == 2000000000);
	assert_true(jwt_certificate_read(path_of("p256.crt"), path_of("p384.pem"), &certificate, &err));
	assert_false(certificate.matches_key);
	assert_true(jwt_certificate_read(path_of("rsa.crt"), path_of("p256.pem"), &certificate, &err));
	assert_false(certificate.matches_key);
}

static void a_certificate_tells_its_end_without_its_key(void **state)
{
	int64_t end = 7;
	struct error err = { 0 };

	(void)state;
	assert_false(jwt_certificate_end(path_of("missing.crt"), &end, &err));
	assert_false(jwt_certificate_end(path_of("p256.pem"), &end, &err));
	assert_non_null(strstr(err.text, "p256.pem"));
	assert_true(end == 7);
	assert_true(jwt_certificate_end(path_of("p256.crt"), &end, &err));
	assert_true(end == 1800000000);
}

static void a_certificate_or_key_that_cannot_be_read_is_named(void **state)
{
	static const struct {
		const char *certificate, *key, *named;
	} cases[] = {
		{ "missing.crt", "p256.pem", "missing.crt" },     { "p256.pem", "p256.pem", "p256.pem" },
		{ "garbage.pem", "p256.pem", "garbage.pem" },     { "p256.crt", "missing.pem", "missing.pem" },
		{ "p256.crt", "encrypted.pem", "encrypted.pem" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct jwt_certificate certificate = { .expires_at = 7 };
		struct error err = { 0 };

		assert_false(jwt_certificate_read(path_of(cases[i].certificate), path_of(cases[i].key), &certificate, &err));
		assert_int_equal(err.code, ERROR_CONFIG);
		assert_non_null(strstr(err.text, cases[i].named));
		assert_true(certificate.expires_at == 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_and_claims_are_what_d1_asks_for),
		cmocka_unit_test(an_audience_is_sent_where_one_is_configured),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(no_two_assertions_have_the_same_id),
		cmocka_unit_test(an_assertion_is_appended),
		cmocka_unit_test(every_signature_is_64_bytes_and_verifies_short_halves_included),
		cmocka_unit_test(a_key_that_cannot_sign_es256_is_refused_by_name),
		cmocka_unit_test(a_pkcs11_uri_without_its_provider_is_refused),
		cmocka_unit_test(a_key_may_be_preceded_by_its_curve),
		cmocka_unit_test(a_secret_that_others_can_read_is_refused),
		cmocka_unit_test(a_certificate_tells_its_end_without_its_key),
		cmocka_unit_test(a_certificate_tells_its_end_and_whether_the_key_is_its_own),
		cmocka_unit_test(a_certificate_or_key_that_cannot_be_read_is_named),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
