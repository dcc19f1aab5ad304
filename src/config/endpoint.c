#include "base/text.h"
#include "config/parts.h"
#include "config/path.h"
#include "config/value.h"

#include <arpa/inet.h>
#include <string.h>

#define AT(member) offsetof(struct config_endpoint, member)

enum { MOST_ENDPOINTS = 64, MOST_ISSUERS = 256 };

static const char host_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";

/* A port number behind a colon, or nothing. */
static bool is_port(const char *text, size_t length)
{
	int64_t port = 0;

	if (length == 0)
		return true;
	if (text[0] != ':' || length < 2 || length > 6)
		return false;
	for (size_t i = 1; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (text[i] - '0');
	}
	return port >= 1 && port <= 65535;
}

/* A host name, an IPv4 address or an IPv6 address in brackets, with or without a port. */
static bool is_authority(const char *text, size_t length)
{
	size_t host;

	if (text[0] == '[') {
		host = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
		return host > 2 && text[host] == ']' && is_port(text + host + 1, length - host - 1);
	}
	host = strspn(text, host_characters);
	return host > 0 && text[0] != '.' && text[0] != '-' && is_port(text + host, length - host);
}

/* Messages never repeat the address: it may hold a password. */
static bool take_address(const struct mapping_place *place, const struct yaml_node *node, const char *const *schemes, const char *must_be,
			 const char **ret_address, const char **ret_rest)
{
	const char *text, *authority = NULL;
	size_t length;

	if (!value_text(place, node, NULL, &text))
		return false;
	for (; *schemes && !authority; schemes++) {
		if (strncmp(text, *schemes, strlen(*schemes)) == 0)
			authority = text + strlen(*schemes);
	}
	if (!authority)
		return mapping_fault(place, node, "must begin with %s", must_be);
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || strchr("\\\"<>^`{|}", *c))
			return mapping_fault(place, node, "has a character that cannot stand in an address (RFC 3986)");
	}
	length = strcspn(authority, "/?#");
	if (memchr(authority, '@', length))
		return mapping_fault(place, node, "must not hold a user or password");
	if (strpbrk(authority, "?#"))
		return mapping_fault(place, node, "must not have a query (?) or fragment (#)");
	if (!is_authority(authority, length))
		return mapping_fault(place, node, "has no valid host and port");
	*ret_address = text;
	*ret_rest = authority + length;
	return true;
}

/* Spellings that mean this machine to every resolver and parser of addresses, and no others: host is what stands before port and path. */
static bool is_loopback(const char *host, size_t length)
{
	char address[sizeof("127.255.255.255")];
	struct in_addr parsed;

	if ((length == 9 && memcmp(host, "localhost", 9) == 0) || (length == 5 && memcmp(host, "[::1]", 5) == 0))
		return true;
	if (length >= sizeof(address))
		return false;
	memcpy(address, host, length);
	address[length] = '\0';
	return inet_pton(AF_INET, address, &parsed) == 1 && ntohl(parsed.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool take_token_url(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	static const char *const schemes[] = { "https://", CONFIG_PLAIN, NULL };
	const char *address, *host, *rest;

	(void)key;
	if (!take_address(place, node, schemes, "https://", &address, &rest))
		return false;
	if (config_is_plain(address)) {
		host = address + strlen(CONFIG_PLAIN);
		if (!is_loopback(host, host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/")))
			return mapping_fault(place, node,
					     "must begin with https:// (without TLS only to this machine itself: http://localhost, "
					     "http://127.0.0.1 or http://[::1])");
	}
	*(const char **)target = address;
	return true;
}

/* Paths are put behind it, so that a slash at its end would become two. */
static bool take_api_url(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	const char *url;
	size_t length;

	if (!take_token_url(place, node, key, &url))
		return false;
	length = strlen(url);
	while (url[length - 1] == '/')
		length--;
	*(const char **)target = arena_printf(place->reader->arena, "%.*s", (int)length, url);
	return true;
}

static bool take_proxy(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	static const char *const schemes[] = { "http://", "https://", NULL };
	const char *address, *rest;

	(void)key;
	if (!take_address(place, node, schemes, "http:// or https://", &address, &rest))
		return false;
	if (rest[0] && strcmp(rest, "/") != 0)
		return mapping_fault(place, node, "must be a scheme, a host and a port, without a path");
	*(const char **)target = address;
	return true;
}

static bool take_issuers(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct config_endpoint *endpoint = target;
	const char **issuers;
	size_t n = 0;

	(void)key;
	if (!mapping_list(place, node, MOST_ISSUERS))
		return false;
	issuers = arena_alloc(place->reader->arena, node->n, sizeof(*issuers));
	for (const struct yaml_node *entry = node->first; entry; entry = entry->next, n++) {
		const char *must_be;

		if (!value_text(place, entry, NULL, &issuers[n]))
			return false;
		must_be = track_check_field(TRACK_ISSUER_ID, issuers[n]);
		if (must_be)
			return mapping_fault(place, entry, "has '%s', but an issuer's id %s", mapping_shown(place->reader, issuers[n]),
					     must_be);
	}
	endpoint->issuers = issuers;
	endpoint->n_issuers = n;
	return true;
}

static const struct mapping_key jwt_keys[] = {
	{ .name = "issuer", .take = value_text, .offset = AT(jwt.issuer), .required = true },
	{ .name = "audience", .take = value_text, .offset = AT(jwt.audience) },
	{ .name = "key", .take = path_sign_key, .offset = AT(jwt.key), .required = true },
	{ .name = "key_id", .take = value_text, .offset = AT(jwt.key_id), .required = true },
	/* D1: exp is at most 15 minutes ahead. */
	{ .name = "lifetime", .take = value_duration, .offset = AT(jwt.lifetime_ms), .preset = "300s", .least = "10s", .most = "15m" },
	{ 0 },
};

static const struct mapping_key tls_keys[] = {
	{ .name = "certificate", .take = path_secret, .offset = AT(tls.certificate), .required = true },
	{ .name = "key", .take = path_secret, .offset = AT(tls.key), .required = true },
	{ .name = "ca", .take = path_secret, .offset = AT(tls.ca) },
	{ 0 },
};

static const struct mapping_key retry_keys[] = {
	{ .name = "first", .take = value_duration, .offset = AT(retry.first_ms), .preset = "1s", .least = "10ms", .most = "1h" },
	{ .name = "most", .take = value_duration, .offset = AT(retry.most_ms), .preset = "15m", .least = "10ms", .most = "24h" },
	{ .name = "give_up_after",
	  .take = value_duration,
	  .offset = AT(retry.give_up_after_ms),
	  .preset = "72h",
	  .least = "1s",
	  .most = "400d" },
	{ 0 },
};

static const struct mapping_word http_words[] = {
	{ "1.1", CONFIG_HTTP_1_1 },
	{ "2", CONFIG_HTTP_2 },
	{ "auto", CONFIG_HTTP_AUTO },
	{ 0 },
};

static const struct mapping_word outcome_words[] = { { "hold", false }, { "resend", true }, { 0 } };
static const struct mapping_word not_found_words[] = { { "refuse", false }, { "retry", true }, { 0 } };

static const struct mapping_key endpoint_keys[] = {
	{ .name = "name", .take = value_name, .offset = AT(name), .required = true },
	{ .name = "api_url", .take = take_api_url, .offset = AT(api_url), .required = true },
	{ .name = "token_url", .take = take_token_url, .offset = AT(token_url), .required = true },
	{ .name = "issuers", .take = take_issuers, .required = true },
	{ .name = "jwt", .take = mapping_section, .keys = jwt_keys, .required = true },
	{ .name = "tls", .take = mapping_section, .keys = tls_keys, .required = true },
	{ .name = "concurrency", .take = value_integer, .offset = AT(concurrency), .preset = "8", .least = "1", .most = "1024" },
	{ .name = "rate", .take = value_number, .offset = AT(rate), .preset = "0", .least = "0", .most = "100000" },
	{ .name = "timeout", .take = value_duration, .offset = AT(timeout_ms), .preset = "60s", .least = "100ms", .most = "1h" },
	{ .name = "connect_timeout",
	  .take = value_duration,
	  .offset = AT(connect_timeout_ms),
	  .preset = "10s",
	  .least = "100ms",
	  .most = "1h" },
	{ .name = "http", .take = value_word, .offset = AT(http), .preset = "1.1", .words = http_words },
	{ .name = "proxy", .take = take_proxy, .offset = AT(proxy) },
	{ .name = "retry", .take = mapping_section, .keys = retry_keys },
	{ .name = "on_unknown_outcome", .take = value_switch, .offset = AT(resend_unknown), .preset = "hold", .words = outcome_words },
	{ .name = "on_not_found", .take = value_switch, .offset = AT(retry_not_found), .preset = "refuse", .words = not_found_words },
	{ 0 },
};

/* The default of the shorter time gives way to the longer one that the file names: who asks for a time-out of 5 s need not name
 * connect_timeout. */
static bool check_pair(const struct mapping_place *place, const struct yaml_node *node, const char *shorter, const char *longer,
		       int64_t *shorter_ms, int64_t longer_ms)
{
	const struct yaml_node *entry = yaml_tree_entry(node, shorter);

	if (*shorter_ms <= longer_ms)
		return true;
	if (entry)
		return mapping_fail(place->reader, entry, "'%s' of %s is longer than '%s'", shorter, place->item, longer);
	*shorter_ms = longer_ms;
	return true;
}

static bool check_endpoint(const struct mapping_place *place, const struct yaml_node *node, struct config_endpoint *endpoint)
{
	const struct yaml_node *retry = yaml_tree_entry(node, "retry");

	/* Through a proxy without TLS the request, and the token in it, would be the proxy's to read, wherever it stands. */
	if (endpoint->proxy && (config_is_plain(endpoint->api_url) || config_is_plain(endpoint->token_url)))
		return mapping_fail(place->reader, yaml_tree_entry(node, "proxy"),
				    "'proxy' of %s needs https:// in 'api_url' and 'token_url'", place->item);
	return check_pair(place, node, "connect_timeout", "timeout", &endpoint->connect_timeout_ms, endpoint->timeout_ms) &&
	       (!retry || check_pair(place, retry, "first", "most", &endpoint->retry.first_ms, endpoint->retry.most_ms));
}

bool endpoint_list(const struct mapping_place *place, const struct yaml_node *node, const struct mapping_key *key, void *target)
{
	struct config *config = target;
	struct config_endpoint *endpoints;

	(void)key;
	if (!mapping_list(place, node, MOST_ENDPOINTS))
		return false;
	endpoints = arena_alloc(place->reader->arena, node->n, sizeof(*endpoints));
	for (size_t i = 0; i < node->n; i++) {
		const struct yaml_node *entry = yaml_tree_element(node, i);
		struct mapping_place item = { .reader = place->reader };

		item.item = mapping_item(place->reader, entry, "endpoint", i);
		if (!mapping_read(&item, entry, endpoint_keys, &endpoints[i]) || !check_endpoint(&item, entry, &endpoints[i]))
			return false;
	}
	config->endpoints = endpoints;
	config->n_endpoints = node->n;
	return true;
}
