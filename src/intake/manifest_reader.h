/*
 * manifest_reader: a whole manifest as rows for the queue, and the rules that hold for the manifest as a whole: a header that fits, a
 * trailer that counts right, at least one data row, invalid_rows: reject_file, card ids that look like PANs. csv finds the records, fields
 * maps them; the loader and the command `explain` both read through this, so that what is explained is what happens. Memory does not grow
 * with the file.
 *
 * Going on after a crash reads the file again from its start: the header, the count of rows and the card ids seen are restored that way. It
 * costs the parsing of what was loaded before, in the same slices as loading (MANIFEST_PASSED), and nothing in the database.
 */
#pragma once

#include "base/error.h"
#include "config/config.h"
#include "queue/queue.h"

#include <stdint.h>

enum { MANIFEST_PAN_ROWS = 20 }; /* fewer rows say nothing about the card ids */

struct manifest_reader;

enum manifest_step {
	MANIFEST_ROW,    /* ret_row is set */
	MANIFEST_PASSED, /* a row before resume_offset was read again: nothing to be done, call again */
	MANIFEST_END,    /* every byte was read; the manifest is good as a whole */
	MANIFEST_REJECT, /* the manifest is to be rejected whole; err says why (ERROR_DATA), without the file's name */
	MANIFEST_FAILED, /* reading failed; err is set; nothing is said about the manifest */
};

/*
 * manifest_reader_open borrows its arguments. resume_offset is 0, or what manifest_reader_offset told after the last row that is durable.
 * Fails with ERROR_CONFIG where iconv does not know the source's encoding, or where the file's beginning cannot be read.
 */
bool manifest_reader_open(int fd, const struct config_source *source, const struct config *config, int64_t resume_offset,
			  struct manifest_reader **ret_reader, struct error *err);

/* manifest_reader_close takes NULL. */
void manifest_reader_close(struct manifest_reader *reader);

/*
 * manifest_reader_next reads at most one data record. ret_row is ROW_QUEUED (with its event), ROW_REJECTED (column and reason set, an
 * issuer that no endpoint has included) or ROW_SKIPPED; its strings are valid until the next call. Under reject_file, and where card ids
 * look like PANs, all rows are given first and MANIFEST_REJECT stands in the place of MANIFEST_END. After that, or an error, there is
 * nothing more.
 */
enum manifest_step manifest_reader_next(struct manifest_reader *reader, struct queue_row_new *ret_row, struct error *err);

/* manifest_reader_offset and manifest_reader_line tell where the next record begins. */
int64_t manifest_reader_offset(const struct manifest_reader *reader);
int64_t manifest_reader_line(const struct manifest_reader *reader);

/* manifest_reader_rows counts the data rows read so far, those that were passed included; the trailer is none. */
int64_t manifest_reader_rows(const struct manifest_reader *reader);
