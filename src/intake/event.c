#include "intake/event.h"

#include "base/file.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

int64_t event_of(const struct config_source *source, const struct fields_row *row)
{
	/* Rows pass here one by one; the buffer grows once. A NUL cannot occur in a name or a field, so it separates. */
	scoped_text struct text canonical = { 0 };
	unsigned char digest[EVP_MAX_MD_SIZE];
	int64_t event;

	if (row->identity.length) {
		text_append(&canonical, "identity", sizeof("identity"));
		text_append(&canonical, source->name, strlen(source->name) + 1);
		text_append(&canonical, track_type_name(row->request.type), strlen(track_type_name(row->request.type)) + 1);
		text_append(&canonical, row->identity.data, row->identity.length);
	} else {
		text_append(&canonical, "request", sizeof("request"));
		track_request_body(&canonical, &row->request);
	}
	if (!EVP_Digest(canonical.data, canonical.length, digest, NULL, EVP_sha256(), NULL))
		abort(); /* SHA-256 over memory fails only where memory does */
	memcpy(&event, digest, sizeof(event));
	return event;
}
