#include "base/text.h"
#include "config/parts.h"
#include "config/path.h"
#include "config/value.h"

#include <iconv.h>
#include <string.h>

#define AT(member) offsetof(struct config_source, member)

enum { MOST_SOURCES = 256, MOST_PATTERNS = 64, MOST_IDENTITY = 64, MOST_PATTERN = 255, MOST_MARKER = 32 };

static bool take_match(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct config_source *source = target;
	const char **patterns;
	size_t n = 0;

	(void)key;
	if (!mapping_list(place, node, MOST_PATTERNS))
		return false;
	patterns = arena_alloc(place->reader->arena, node->n, sizeof(*patterns));
	for (const struct yaml_node *entry = node->first; entry; entry = entry->next, n++) {
		if (!value_text(place, entry, NULL, &patterns[n]))
			return false;
		if (strchr(patterns[n], '/') || strlen(patterns[n]) > MOST_PATTERN)
			return mapping_fault(place, entry, "must be patterns of names, without a slash and of at most %d bytes",
					     MOST_PATTERN);
	}
	source->match = patterns;
	source->n_match = n;
	return true;
}

static bool take_marker(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	if (!value_text(place, node, key, &text))
		return false;
	if (text[0] != '.' || !text[1] || strchr(text, '/') || strlen(text) > MOST_MARKER)
		return mapping_fault(place, node, "must be the end of a name, like .done, of at most %d bytes", MOST_MARKER);
	*(const char **)target = text;
	return true;
}

static bool take_encoding(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;
	iconv_t converter;

	if (!value_text(place, node, key, &text))
		return false;
	/* Behind a slash or comma glibc takes orders, such as to leave out what it cannot convert. */
	converter = strpbrk(text, "/,") ? (iconv_t)-1 : iconv_open("UTF-8", text);
	if (converter == (iconv_t)-1)
		return mapping_fault(place, node, "must be an encoding that iconv -l lists, like utf-8, iso-8859-1 or utf-16le, not '%s'",
				     mapping_shown(place->reader, text));
	iconv_close(converter);
	*(const char **)target = text;
	return true;
}

static bool is_between(unsigned char c, unsigned char first, unsigned char last)
{
	return c >= first && c <= last;
}

/* Whether text, which is UTF-8 and not empty, is one character that could separate cells. */
static bool is_separator(const char *text)
{
	unsigned char c = (unsigned char)text[0];
	size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return strlen(text) == length && !is_between(c, '0', '9') && !is_between(c, 'A', 'Z') && !is_between(c, 'a', 'z') && c != '\r' &&
	       c != '\n';
}

static bool take_delimiter(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	(void)key;
	if (!value_string(place, node, false, &text))
		return false;
	if (strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0)
		text = "\t";
	if (!is_separator(text) || text[0] == '"' || text[0] == '\'')
		return mapping_fault(place, node, "must be one character that is no letter, digit, quote or line end, or tab");
	*(const char **)target = arena_string(place->reader->arena, text);
	return true;
}

static bool take_quote(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *text;

	(void)key;
	if (!value_string(place, node, false, &text))
		return false;
	if (strcmp(text, "none") == 0) {
		*(char *)target = 0;
		return true;
	}
	if (!is_separator(text) || text[1] || (unsigned char)text[0] <= ' ' || text[0] == 0x7f)
		return mapping_fault(place, node, "must be one ASCII character that is no letter, digit or blank, or none");
	*(char *)target = text[0];
	return true;
}

static bool take_identity(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct config_source *source = target;
	struct config_column *identity;
	size_t n = 0;

	(void)key;
	/* An empty list is what stands in the documentation for none. */
	if (node->kind == YAML_KIND_LIST && node->n == 0)
		return true;
	if (!mapping_list(place, node, MOST_IDENTITY))
		return false;
	identity = arena_alloc(place->reader->arena, node->n, sizeof(*identity));
	for (const struct yaml_node *entry = node->first; entry; entry = entry->next, n++) {
		if (!field_column(place, entry, &identity[n].name, &identity[n].number))
			return false;
		for (size_t i = 0; i < n; i++) {
			if (identity[i].name && identity[n].name ? strcmp(identity[i].name, identity[n].name) == 0
								 : identity[i].number && identity[i].number == identity[n].number)
				return mapping_fault(place, entry, "has '%s' twice", mapping_shown(place->reader, entry->text));
		}
	}
	source->identity = identity;
	source->n_identity = n;
	return true;
}

static const struct mapping_word when_words[] = {
	{ "closed", CONFIG_CLOSED }, { "renamed", CONFIG_RENAMED }, { "stable", CONFIG_STABLE }, { "marker", CONFIG_MARKER }, { 0 },
};

static const struct mapping_key complete_keys[] = {
	{ .name = "when", .take = value_word, .offset = AT(complete.when), .preset = "closed", .words = when_words },
	/* The default depends on when: check_complete. */
	{ .name = "quiet", .take = value_duration, .offset = AT(complete.quiet_ms), .least = "10ms", .most = "24h" },
	{ .name = "marker", .take = take_marker, .offset = AT(complete.marker), .preset = ".done" },
	{ 0 },
};

static const struct mapping_key format_keys[] = {
	{ .name = "encoding", .take = take_encoding, .offset = AT(format.encoding), .preset = "utf-8" },
	{ .name = "delimiter", .take = take_delimiter, .offset = AT(format.delimiter), .preset = ";" },
	{ .name = "quote", .take = take_quote, .offset = AT(format.quote), .preset = "\"" },
	{ .name = "header", .take = value_bool, .offset = AT(format.header), .preset = "true" },
	{ .name = "skip_lines", .take = value_integer, .offset = AT(format.skip_lines), .preset = "0", .least = "0", .most = "1000" },
	{ 0 },
};

static const struct mapping_word counts_words[] = {
	{ "rows", CONFIG_ROWS },
	{ "rows+trailer", CONFIG_ROWS_TRAILER },
	{ "rows+header+trailer", CONFIG_ROWS_HEADER_TRAILER },
	{ 0 },
};

static const struct mapping_key trailer_keys[] = {
	{ .name = "first_column", .take = value_text, .offset = AT(trailer.first_column), .required = true },
	{ .name = "count_column",
	  .take = value_integer,
	  .offset = AT(trailer.count_column),
	  .least = "2",
	  .most = FIELD_MOST_COLUMN_TEXT,
	  .required = true },
	{ .name = "counts", .take = value_word, .offset = AT(trailer.counts), .preset = "rows", .words = counts_words },
	{ 0 },
};

/* Without the key there is no trailer, so that this is no mapping_section, whose absence would be an empty one. */
static bool take_trailer(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct config_source *source = target;

	(void)key;
	source->trailer.present = true;
	return mapping_read(place, node, trailer_keys, source);
}

static const struct mapping_key fields_keys[] = {
	{ .name = "issuerId", .take = field_take, .offset = AT(fields[TRACK_ISSUER_ID]), .required = true },
	{ .name = "cardId", .take = field_take, .offset = AT(fields[TRACK_CARD_ID]), .required = true },
	{ .name = "trackingType", .take = field_take, .offset = AT(fields[TRACK_TYPE]), .required = true },
	{ .name = "productionSite", .take = field_take, .offset = AT(fields[TRACK_PRODUCTION_SITE]), .required = true },
	{ .name = "trackingNumber", .take = field_take, .offset = AT(fields[TRACK_TRACKING_NUMBER]) },
	{ .name = "postalCode", .take = field_take, .offset = AT(fields[TRACK_POSTAL_CODE]) },
	{ .name = "countryCode", .take = field_take, .offset = AT(fields[TRACK_COUNTRY_CODE]) },
	{ .name = "shipmentDate", .take = field_take, .offset = AT(fields[TRACK_SHIPMENT_DATE]) },
	{ 0 },
};

static const struct mapping_word number_words[] = { { "reject", false }, { "production", true }, { 0 } };
static const struct mapping_word invalid_words[] = { { "reject_row", false }, { "reject_file", true }, { 0 } };

static const struct mapping_key source_keys[] = {
	{ .name = "name", .take = value_name, .offset = AT(name), .required = true },
	{ .name = "drop", .take = path_take, .offset = AT(drop), .required = true },
	{ .name = "receipts", .take = path_take, .offset = AT(receipts) },
	{ .name = "match", .take = take_match },
	{ .name = "complete", .take = mapping_section, .keys = complete_keys },
	{ .name = "scan", .take = value_duration, .offset = AT(scan_ms), .preset = "30s", .least = "100ms", .most = "24h" },
	{ .name = "format", .take = mapping_section, .keys = format_keys },
	{ .name = "trailer", .take = take_trailer },
	{ .name = "fields", .take = mapping_section, .keys = fields_keys, .required = true },
	{ .name = "shipment_without_number",
	  .take = value_switch,
	  .offset = AT(shipment_without_number_is_production),
	  .preset = "reject",
	  .words = number_words },
	{ .name = "identity", .take = take_identity },
	{ .name = "invalid_rows", .take = value_switch, .offset = AT(reject_file), .preset = "reject_row", .words = invalid_words },
	{ .name = "allow_pan_like", .take = value_bool, .offset = AT(allow_pan_like), .preset = "false" },
	{ .name = "expect_every", .take = value_duration, .offset = AT(expect_every_ms), .least = "1s", .most = "400d" },
	{ .name = "max_file_bytes",
	  .take = value_size,
	  .offset = AT(max_file_bytes),
	  .preset = "4GiB",
	  .least = "1KiB",
	  .most = "1024GiB" },
	{ .name = "max_rows", .take = value_integer, .offset = AT(max_rows), .preset = "20000000", .least = "1", .most = "999999999" },
	{ .name = "max_cell_bytes",
	  .take = value_size,
	  .offset = AT(max_cell_bytes),
	  .preset = "64KiB",
	  .least = "1KiB",
	  .most = "1024KiB" },
	{ .name = "max_columns",
	  .take = value_integer,
	  .offset = AT(max_columns),
	  .preset = FIELD_MOST_COLUMN_TEXT,
	  .least = "1",
	  .most = FIELD_MOST_COLUMN_TEXT },
	{ 0 },
};

static bool check_complete(const struct mapping_place *place, const struct yaml_node *node, struct config_source *source)
{
	const struct yaml_node *complete = yaml_tree_entry(node, "complete");
	const struct yaml_node *marker = complete ? yaml_tree_entry(complete, "marker") : NULL;

	if (marker && source->complete.when != CONFIG_MARKER)
		return mapping_fail(place->reader, marker->key, "'complete.marker' of %s has no meaning without 'when: marker'",
				    place->item);
	if (source->complete.quiet_ms == 0)
		source->complete.quiet_ms = source->complete.when == CONFIG_STABLE ? 10000 : 5000;
	return true;
}

static bool needs_header(const struct mapping_place *place, const struct yaml_node *node)
{
	return mapping_fail(place->reader, node, "%s has no header (format.header: false), so that a column is a number from 1, not '%s'",
			    place->item, mapping_shown(place->reader, node->text));
}

static bool check_without_header(const struct mapping_place *place, const struct yaml_node *node, const struct config_source *source)
{
	if (source->trailer.present && source->trailer.counts == CONFIG_ROWS_HEADER_TRAILER)
		return mapping_fail(place->reader, yaml_tree_nearest(node, "trailer.counts"),
				    "'trailer.counts' of %s counts a header, which it does not have (format.header: false)", place->item);
	for (enum track_field i = 0; i < TRACK_N_FIELDS; i++) {
		struct mapping_place inner = mapping_inner(place, "fields");
		struct mapping_place column;

		inner = mapping_inner(&inner, track_field_name(i));
		column = mapping_inner(&inner, "column");
		if (source->fields[i].column)
			return needs_header(place, yaml_tree_nearest(node, column.path));
	}
	for (size_t i = 0; i < source->n_identity; i++) {
		if (source->identity[i].name)
			return needs_header(place, yaml_tree_element(yaml_tree_entry(node, "identity"), i));
	}
	return true;
}

/* A delimiter that the encoding does not have would never be found. */
static bool check_delimiter(const struct mapping_place *place, const struct yaml_node *node, const struct config_source *source)
{
	char encoded[32], *from = (char *)source->format.delimiter, *to = encoded;
	size_t from_left = strlen(from), to_left = sizeof(encoded);
	iconv_t converter = iconv_open(source->format.encoding, "UTF-8");
	bool known = converter != (iconv_t)-1 && iconv(converter, &from, &from_left, &to, &to_left) == 0;

	if (converter != (iconv_t)-1)
		iconv_close(converter);
	if (!known)
		return mapping_fail(place->reader, yaml_tree_nearest(node, "format.delimiter"),
				    "'format.delimiter' of %s is no character of its encoding %s", place->item, source->format.encoding);
	return true;
}

static bool check_source(const struct mapping_place *place, const struct yaml_node *node, const struct config_source *source)
{
	if (source->format.delimiter[0] == source->format.quote)
		return mapping_fail(place->reader, yaml_tree_nearest(node, "format.delimiter"),
				    "'format.delimiter' and 'format.quote' of %s must not be the same", place->item);
	if (!check_delimiter(place, node, source))
		return false;
	return source->format.header || check_without_header(place, node, source);
}

static bool read_source(const struct mapping_place *place, const struct yaml_node *node, struct config_source *source)
{
	static const char *const default_match[] = { "*.csv" };

	source->match = default_match;
	source->n_match = 1;
	for (enum track_field i = 0; i < TRACK_N_FIELDS; i++)
		source->fields[i].default_time_s = -1;
	return mapping_read(place, node, source_keys, source) && check_complete(place, node, source) && check_source(place, node, source);
}

bool source_list(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct config *config = target;
	struct config_source *sources;

	(void)key;
	if (!mapping_list(place, node, MOST_SOURCES))
		return false;
	sources = arena_alloc(place->reader->arena, node->n, sizeof(*sources));
	for (size_t i = 0; i < node->n; i++) {
		const struct yaml_node *entry = yaml_tree_element(node, i);
		struct mapping_place item = { .reader = place->reader };

		item.item = mapping_item(place->reader, entry, "source", i);
		if (!read_source(&item, entry, &sources[i]))
			return false;
	}
	config->sources = sources;
	config->n_sources = node->n;
	return true;
}
