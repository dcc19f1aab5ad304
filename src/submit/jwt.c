#include "submit/jwt.h"

#include "base/file.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { HALF = 32, RANDOM_ID = 16, MOST_OBJECTS = 64 };

struct jwt_key {
	EVP_PKEY *pkey;
};

static bool is_pkcs11(const char *path)
{
	return strncmp(path, "pkcs11:", strlen("pkcs11:")) == 0;
}

/* OpenSSL's own words for the oldest error of its queue, which names the cause; they never hold key material. */
static bool openssl_error(struct error *err, const char *path, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	error_set(err, ERROR_CONFIG, "%s: %s%s%s", path, what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return false;
}

/* A daemon has nobody to ask for a pass phrase, and must never wait on a terminal. */
static int refuse_to_ask(UI *ui, UI_STRING *string)
{
	bool *ret_asked = UI_get0_user_data(ui);

	(void)string;
	*ret_asked = true;
	return 0;
}

static EVP_PKEY *first_private_key(const char *path, bool *ret_asked)
{
	UI_METHOD *silent = UI_create_method("no questions");
	OSSL_STORE_CTX *store;
	EVP_PKEY *pkey = NULL;

	if (!silent)
		abort();
	UI_method_set_reader(silent, refuse_to_ask);
	store = OSSL_STORE_open(path, silent, ret_asked, NULL, NULL);
	if (store)
		OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
	/* What is no private key, such as the curve that ecparam writes in front, gives NULL and is passed over. */
	for (int i = 0; i < MOST_OBJECTS && store && !pkey && !OSSL_STORE_eof(store); i++) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			pkey = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	UI_destroy_method(silent);
	return pkey;
}

static bool is_regular_file(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set(err, ERROR_CONFIG, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_CONFIG, "%s is not a regular file", path);
	return true;
}

static bool load_private_key(const char *path, EVP_PKEY **ret_pkey, struct error *err)
{
	bool asked = false;
	EVP_PKEY *pkey;

	if (!is_pkcs11(path) && !is_regular_file(path, err))
		return false;
	ERR_clear_error();
	pkey = first_private_key(path, &asked);
	if (!pkey && asked) {
		ERR_clear_error();
		return error_set(err, ERROR_CONFIG, "%s is encrypted: the daemon needs the key without a pass phrase", path);
	}
	if (!pkey)
		return openssl_error(err, path, "holds no private key that can be read");
	ERR_clear_error();
	*ret_pkey = pkey;
	return true;
}

static bool is_p256(const EVP_PKEY *pkey)
{
	char group[80] = "";

	/* Providers for hardware keys say P-256. */
	return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
	       (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

bool jwt_key_open(const char *path, struct jwt_key **ret_key, struct error *err)
{
	EVP_PKEY *pkey;

	if (!load_private_key(path, &pkey, err))
		return false;
	if (!is_p256(pkey)) {
		EVP_PKEY_free(pkey);
		ERR_clear_error();
		return error_set(err, ERROR_CONFIG, "%s is no EC P-256 key, the only kind that ES256 takes", path);
	}
	*ret_key = xcalloc(1, sizeof(**ret_key));
	(*ret_key)->pkey = pkey;
	return true;
}

void jwt_key_close(struct jwt_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

/* RFC 7515, 2: the URL-safe alphabet without padding. */
static void append_base64url(struct text *text, const uint8_t *bytes, size_t length)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (size_t i = 0; i < length; i += 3) {
		size_t n = length - i < 3 ? length - i : 3;
		unsigned int bits = (unsigned int)bytes[i] << 16;
		char out[4];

		if (n > 1)
			bits |= (unsigned int)bytes[i + 1] << 8;
		if (n > 2)
			bits |= bytes[i + 2];
		for (size_t k = 0; k < 4; k++)
			out[k] = alphabet[bits >> (18 - 6 * k) & 63];
		text_append(text, out, n + 1);
	}
}

/* One member "name":"value" of a JSON object (RFC 8259, 7), a comma before all but the first. */
static void append_member(struct text *json, const char *name, const char *value)
{
	text_printf(json, "%c\"%s\":\"", json->length ? ',' : '{', name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			text_printf(json, "\\%c", *value);
		else if ((unsigned char)*value < 0x20)
			text_printf(json, "\\u%04x", (unsigned int)*value);
		else
			text_append(json, value, 1);
	}
	text_append_string(json, "\"");
}

static void append_header(struct text *text, const struct jwt_claims *claims)
{
	scoped_text struct text json = { 0 };

	append_member(&json, "alg", "ES256");
	append_member(&json, "typ", "JWT");
	append_member(&json, "kid", claims->key_id);
	text_append_string(&json, "}");
	append_base64url(text, (const uint8_t *)json.data, json.length);
}

/* Without iat: a server whose clock is a little behind would refuse an assertion from its future. */
static bool append_claims(struct text *text, const struct jwt_claims *claims)
{
	scoped_text struct text json = { 0 };
	uint8_t id[RANDOM_ID];
	char hex[2 * RANDOM_ID + 1];

	if (RAND_bytes(id, sizeof(id)) != 1)
		return false;
	text_hex(hex, id, sizeof(id));
	append_member(&json, "iss", claims->issuer);
	append_member(&json, "sub", claims->issuer);
	if (claims->audience)
		append_member(&json, "aud", claims->audience);
	append_member(&json, "jti", hex);
	text_printf(&json, ",\"exp\":%" PRId64 "}", claims->expires_at);
	append_base64url(text, (const uint8_t *)json.data, json.length);
	return true;
}

/* OpenSSL signs in DER, whose integers are as short as they can be; JWS wants each half at its full length (RFC 7518, 3.4). */
static bool raw_signature(const uint8_t *der, size_t length, uint8_t ret_raw[static 2 * HALF])
{
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);
	bool good = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret_raw, HALF) == HALF &&
		    BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret_raw + HALF, HALF) == HALF;

	ECDSA_SIG_free(signature);
	return good;
}

static bool sign(EVP_PKEY *pkey, const char *data, size_t length, uint8_t ret_raw[static 2 * HALF])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t der[128];
	size_t der_length = sizeof(der);
	bool good = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey) == 1 &&
		    EVP_DigestSign(context, der, &der_length, (const uint8_t *)data, length) == 1 &&
		    raw_signature(der, der_length, ret_raw);

	EVP_MD_CTX_free(context);
	return good;
}

bool jwt_sign(const struct jwt_key *key, const struct jwt_claims *claims, struct text *ret_assertion, struct error *err)
{
	scoped_text struct text assertion = { 0 };
	uint8_t raw[2 * HALF];

	ERR_clear_error();
	append_header(&assertion, claims);
	text_append_string(&assertion, ".");
	if (!append_claims(&assertion, claims) || !sign(key->pkey, assertion.data, assertion.length, raw))
		return openssl_error(err, claims->key_id, "the assertion cannot be signed");
	text_append(ret_assertion, assertion.data, assertion.length);
	text_append_string(ret_assertion, ".");
	append_base64url(ret_assertion, raw, sizeof(raw));
	return true;
}

bool jwt_secret_is_private(const char *path, struct error *err)
{
	struct stat st;

	if (is_pkcs11(path))
		return true;
	if (stat(path, &st) < 0)
		return error_set(err, ERROR_CONFIG, "%s: %s", path, strerror(errno));
	if (st.st_mode & 0007)
		return error_set(err, ERROR_CONFIG, "%s can be read by others (mode %04o): chmod o= %s", path,
				 (unsigned int)(st.st_mode & 07777), path);
	return true;
}

/* The first certificate of a PEM file, or NULL. */
static X509 *open_certificate(const char *path, int64_t *ret_expires_at, struct error *err)
{
	X509 *certificate;
	struct tm end;
	BIO *file;

	if (!is_regular_file(path, err))
		return NULL;
	ERR_clear_error();
	file = BIO_new_file(path, "r");
	certificate = file ? PEM_read_bio_X509(file, NULL, NULL, "") : NULL;
	BIO_free(file);
	if (!certificate) {
		openssl_error(err, path, "holds no PEM certificate");
		return NULL;
	}
	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) {
		openssl_error(err, path, "its end of validity cannot be read");
		X509_free(certificate);
		return NULL;
	}
	*ret_expires_at = timegm(&end);
	return certificate;
}

bool jwt_certificate_end(const char *path, int64_t *ret_expires_at, struct error *err)
{
	X509 *certificate = open_certificate(path, ret_expires_at, err);
	bool good = certificate != NULL;

	X509_free(certificate);
	ERR_clear_error();
	return good;
}

bool jwt_certificate_read(const char *certificate_path, const char *key_path, struct jwt_certificate *ret_certificate, struct error *err)
{
	EVP_PKEY *pkey = NULL;
	int64_t expires_at;
	X509 *certificate = open_certificate(certificate_path, &expires_at, err);
	bool good = certificate && load_private_key(key_path, &pkey, err);

	if (good)
		*ret_certificate =
			(struct jwt_certificate){ .expires_at = expires_at, .matches_key = X509_check_private_key(certificate, pkey) == 1 };
	EVP_PKEY_free(pkey);
	X509_free(certificate);
	ERR_clear_error();
	return good;
}
