#include "base/clock.h"
#include "cli/check.h"
#include "submit/http.h"
#include "submit/token.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>

struct outcome {
	bool fetched;
	enum token_trouble trouble;
	char detail[1024];
};

static void on_fetched(void *user, enum token_trouble trouble, const char *detail)
{
	struct outcome *outcome = user;

	outcome->fetched = true;
	outcome->trouble = trouble;
	snprintf(outcome->detail, sizeof(outcome->detail), "%s", detail);
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void wait_for(struct http *http, const struct outcome *outcome, int64_t deadline_ms)
{
	int64_t left;

	while (!outcome->fetched && (left = deadline_ms - clock_steady_ms()) > 0) {
		struct pollfd ready = { .fd = http_descriptor(http), .events = POLLIN };
		int64_t timeout = http_timeout_ms(http);

		poll(&ready, 1, (int)least(timeout < 0 ? left : timeout, least(left, 60000)));
		http_run(http);
	}
}

static const char *trouble_text(enum token_trouble trouble)
{
	switch (trouble) {
	case TOKEN_OK: return "a token";
	case TOKEN_CREDENTIALS: return "no token (credentials)";
	case TOKEN_REDIRECT: return "no token (redirect)";
	case TOKEN_CERTIFICATE: return "no token (certificate)";
	case TOKEN_OUTAGE: return "no token (outage)";
	}
	return "";
}

static void judge(struct check *check, const char *what, const struct config_endpoint *endpoint, const struct outcome *outcome,
		  const struct token *token)
{
	struct error err;

	if (outcome->fetched && outcome->trouble == TOKEN_OK) {
		check_ok(check, what, "%s gave a token for %lld s", endpoint->token_url,
			 (long long)((token_expires_at(token) - clock_wall_ms() + 500) / 1000));
		return;
	}
	if (outcome->fetched)
		error_set(&err, ERROR_UNAVAILABLE, "%s gave %s: %s", endpoint->token_url, trouble_text(outcome->trouble), outcome->detail);
	else
		error_set(&err, ERROR_UNAVAILABLE, "%s gave no answer within %lld s", endpoint->token_url,
			  (long long)(endpoint->timeout_ms / 1000));
	check_error(check, what, &err);
}

static void check_endpoint(struct check *check, struct http *http, const struct config_endpoint *endpoint)
{
	struct outcome outcome = { 0 };
	struct http_client *client;
	struct token *token;
	struct error err;
	char what[128];

	snprintf(what, sizeof(what), "endpoint %s", endpoint->name);
	if (!http_client_new(http, endpoint, &client, &err)) {
		check_error(check, what, &err);
		return;
	}
	token = token_new(endpoint, client, on_fetched, &outcome);
	token_fetch(token, clock_steady_ms());
	/* The transfer has the same limit of its own; a moment more lets it say what it waited for. */
	wait_for(http, &outcome, clock_steady_ms() + endpoint->timeout_ms + 500);
	http_abort_all(http);
	judge(check, what, endpoint, &outcome, token);
	token_free(token);
	http_client_free(client);
}

void check_online(struct check *check)
{
	struct http *http;
	struct error err;

	signal(SIGPIPE, SIG_IGN);
	if (!http_new(&http, &err)) {
		check_error(check, "online", &err);
		return;
	}
	for (size_t i = 0; i < check->config->n_endpoints; i++)
		check_endpoint(check, http, &check->config->endpoints[i]);
	http_free(http);
}
