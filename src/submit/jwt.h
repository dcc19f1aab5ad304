/*
 * jwt: the assertion of RFC 7523 that D1's token endpoint takes: ES256 (RFC 7518, 3.4) with a kid. Key files are read anew for each
 * assertion, so that a rotated key is used at the next token. Keys come through OSSL_STORE: a PEM file, or a pkcs11: URI where a provider
 * is installed.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdint.h>

/* JWT claims and header; audience NULL: no aud. expires_at in seconds since 1970, D1: at most 15 minutes ahead. jti is made at random. */
struct jwt_claims {
	const char *key_id;
	const char *issuer;
	const char *audience;
	int64_t expires_at;
};

struct jwt_key;

/* jwt_key_open loads a private key and checks that it is EC P-256. Errors name the file, never its content. */
bool jwt_key_open(const char *path, struct jwt_key **ret_key, struct error *err);
void jwt_key_close(struct jwt_key *key);

/* jwt_sign appends header.claims.signature; the signature is raw R‖S, each half left-padded to 32 bytes. */
bool jwt_sign(const struct jwt_key *key, const struct jwt_claims *claims, struct text *ret_assertion, struct error *err);

/* jwt_secret_is_private fails (ERROR_CONFIG) where a secret file can be read by others (mode & 0007) or does not exist; pkcs11: URIs pass.
 */
bool jwt_secret_is_private(const char *path, struct error *err);

/* jwt_certificate_end gives when the first certificate of a PEM file expires, in seconds since 1970. */
bool jwt_certificate_end(const char *path, int64_t *ret_expires_at, struct error *err);

/* A certificate file and the key that should fit it. */
struct jwt_certificate {
	int64_t expires_at; /* seconds since 1970 */
	bool matches_key;
};

/* jwt_certificate_read looks at the first certificate of a PEM file and at a key. */
bool jwt_certificate_read(const char *certificate_path, const char *key_path, struct jwt_certificate *ret_certificate, struct error *err);
