#include "http_pair.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/trackbridge-http-XXXXXX";
char ca[200], other_ca[200], client_pem[200], client_key[200], other_pem[200], other_key[200];

void on_done(void *user, const struct http_answer *answer)
{
	struct result *result = user;
	int shown = answer->body_length < MOST_BODY ? (int)answer->body_length : MOST_BODY - 1;

	result->calls++;
	result->fault = answer->fault;
	result->body_handed_over = answer->body_handed_over;
	result->status = answer->status;
	result->body_length = answer->body_length;
	result->took_ms = answer->took_ms;
	snprintf(result->retry_after, sizeof(result->retry_after), "%s", answer->retry_after ? answer->retry_after : "-");
	snprintf(result->date, sizeof(result->date), "%s", answer->date ? answer->date : "-");
	snprintf(result->body, sizeof(result->body), "%.*s", shown, answer->body ? answer->body : "");
	snprintf(result->what, sizeof(result->what), "%s", answer->what ? answer->what : "-");
}

static struct config_endpoint plain_endpoint(void)
{
	return (struct config_endpoint){ .name = "test",
					 .tls = { .certificate = client_pem, .key = client_key, .ca = ca },
					 .concurrency = 8,
					 .timeout_ms = 5000,
					 .connect_timeout_ms = 5000 };
}

void connect_client(struct pair *pair)
{
	struct error err = { 0 };

	assert_true(http_new(&pair->http, &err));
	assert_true(http_client_new(pair->http, &pair->endpoint, &pair->client, &err));
}

void open_pair(struct pair *pair, const struct tls_server_options *options)
{
	static const struct tls_server_options plain;

	memset(pair, 0, sizeof(*pair));
	pair->server = tls_server_start(folder, options ? options : &plain);
	pair->endpoint = plain_endpoint();
}

void close_pair(struct pair *pair)
{
	http_client_free(pair->client);
	http_free(pair->http);
	tls_server_stop(pair->server);
}

void post_url(struct pair *pair, const char *url, struct result *result)
{
	static const char body[] = "{\"trackingType\":\"RETURN\"}";
	struct http_request request = { .url = url,
					.content_type = "application/json",
					.bearer = "token-1",
					.correlation_id = "corr-1",
					.body = body,
					.body_length = sizeof(body) - 1 };

	memset(result, 0, sizeof(*result));
	http_post(pair->client, &request, on_done, result);
	assert_int_equal(result->calls, 0);
}

void post(struct pair *pair, const char *path, struct result *result)
{
	char url[200];

	snprintf(url, sizeof(url), "https://localhost:%d%s", tls_server_port(pair->server), path);
	post_url(pair, url, result);
}

/* As the daemon's loop does it: wait for the descriptor or the time-out, then run. */
void run_until(struct pair *pair, const int *calls, int wanted)
{
	int64_t end = clock_monotonic_us() + 10 * 1000000;

	while (*calls < wanted) {
		struct pollfd ready = { .fd = http_descriptor(pair->http), .events = POLLIN };
		int64_t wait = http_timeout_ms(pair->http);

		poll(&ready, 1, wait < 0 || wait > 1000 ? 1000 : (int)wait);
		http_run(pair->http);
		if (clock_monotonic_us() > end)
			fail_msg("no answer for 10 s");
	}
	assert_int_equal(*calls, wanted);
}

struct result exchange(struct pair *pair, const char *path)
{
	struct result result;

	post(pair, path, &result);
	run_until(pair, &result.calls, 1);
	return result;
}

int http_pair_set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(folder))
		return -1;
	snprintf(ca, sizeof(ca), "%s/ca.pem", folder);
	snprintf(other_ca, sizeof(other_ca), "%s/other-ca.pem", folder);
	snprintf(client_pem, sizeof(client_pem), "%s/client.pem", folder);
	snprintf(client_key, sizeof(client_key), "%s/client.key", folder);
	snprintf(other_pem, sizeof(other_pem), "%s/other.pem", folder);
	snprintf(other_key, sizeof(other_key), "%s/other.key", folder);
	tls_server_make_keys(folder);
	return 0;
}

int http_pair_tear_down(void **state)
{
	static const char *const names[] = { "ca", "other-ca", "server", "client", "other" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char path[200];

		snprintf(path, sizeof(path), "%s/%s.pem", folder, names[i]);
		unlink(path);
		snprintf(path, sizeof(path), "%s/%s.key", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

const char *http_pair_folder(void)
{
	return folder;
}
