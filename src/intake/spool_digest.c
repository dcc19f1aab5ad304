#include "base/file.h"
#include "intake/spool.h"

#include <errno.h>
#include <openssl/evp.h>

bool spool_digest(int fd, uint8_t ret_sha256[static 32], struct error *err)
{
	enum { PIECE = 256 * 1024 };
	scoped_free char *buffer = xmalloc(PIECE);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	ssize_t got = 0;

	for (off_t at = 0; good && (got = pread(fd, buffer, PIECE, at)) > 0; at += got)
		good = EVP_DigestUpdate(context, buffer, (size_t)got);
	good = good && got == 0 && EVP_DigestFinal_ex(context, ret_sha256, NULL);
	EVP_MD_CTX_free(context);
	if (got < 0)
		return error_errno(err, errno, "reading");
	return good || error_set(err, ERROR_INTERNAL, "SHA-256 is not to be had");
}
