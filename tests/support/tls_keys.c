#include "tls_server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct identity {
	EVP_PKEY *pkey;
	X509 *certificate;
};

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "tls_keys: %s\n", what);
	abort();
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	must(extension && X509_add_ext(certificate, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

/* Without an issuer it is a CA. */
static struct identity make_identity(const char *common_name, const struct identity *issuer, const char *alternative_name)
{
	static long serial = 1;
	struct identity identity = { .pkey = EVP_EC_gen("P-256"), .certificate = X509_new() };
	X509_NAME *name = X509_get_subject_name(identity.certificate);

	X509_set_version(identity.certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(identity.certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(identity.certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(identity.certificate), 24L * 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(identity.certificate, issuer ? X509_get_subject_name(issuer->certificate) : name);
	X509_set_pubkey(identity.certificate, identity.pkey);
	if (!issuer)
		add_extension(identity.certificate, NID_basic_constraints, "critical,CA:TRUE");
	if (alternative_name)
		add_extension(identity.certificate, NID_subject_alt_name, alternative_name);
	must(X509_sign(identity.certificate, issuer ? issuer->pkey : identity.pkey, EVP_sha256()) > 0, "sign");
	return identity;
}

static void identity_free(struct identity *identity)
{
	EVP_PKEY_free(identity->pkey);
	X509_free(identity->certificate);
}

static FILE *open_new(const char *folder, const char *name, const char *suffix)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.%s", folder, name, suffix);
	file = fopen(path, "w");
	must(file, path);
	return file;
}

static void write_identity(const char *folder, const char *name, const struct identity *identity)
{
	FILE *certificate = open_new(folder, name, "pem");
	FILE *key = open_new(folder, name, "key");

	must(PEM_write_X509(certificate, identity->certificate) == 1, "certificate");
	must(PEM_write_PrivateKey(key, identity->pkey, NULL, NULL, 0, NULL, NULL) == 1, "key");
	must(fclose(certificate) == 0 && fclose(key) == 0, "close");
}

static void make_and_write(const char *folder, const char *file, const char *common_name, const struct identity *issuer,
			   const char *alternative_name)
{
	struct identity identity = make_identity(common_name, issuer, alternative_name);

	write_identity(folder, file, &identity);
	identity_free(&identity);
}

void tls_server_make_keys(const char *folder)
{
	struct identity ca = make_identity("test CA", NULL, NULL);
	struct identity other_ca = make_identity("other CA", NULL, NULL);

	write_identity(folder, "ca", &ca);
	write_identity(folder, "other-ca", &other_ca);
	make_and_write(folder, "server", "localhost", &ca, "DNS:localhost");
	make_and_write(folder, "client", "client", &ca, NULL);
	make_and_write(folder, "other", "other", &other_ca, NULL);
	identity_free(&ca);
	identity_free(&other_ca);
}

void tls_server_make_client(const char *folder, const char *file, const char *common_name)
{
	struct identity ca = { 0 };
	char path[512];
	FILE *input;

	snprintf(path, sizeof(path), "%s/ca.key", folder);
	input = fopen(path, "r");
	must(input, path);
	ca.pkey = PEM_read_PrivateKey(input, NULL, NULL, NULL);
	fclose(input);
	snprintf(path, sizeof(path), "%s/ca.pem", folder);
	input = fopen(path, "r");
	must(input, path);
	ca.certificate = PEM_read_X509(input, NULL, NULL, NULL);
	fclose(input);
	make_and_write(folder, file, common_name, &ca, NULL);
	identity_free(&ca);
}
