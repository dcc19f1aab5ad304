#include "submit/token.h"

#include "base/text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_TOKEN = 16 * 1024, MOST_CODE = 64 };

static const double DEFAULT_LIFE_S = 15 * 60;
static const double UNKNOWN_LIFE_S = 60;
static const double LONGEST_LIFE_S = 24 * 60 * 60;

static bool is_visible(char c)
{
	return c > ' ' && c < 0x7f;
}

static bool all_visible(const char *string)
{
	for (; *string; string++) {
		if (!is_visible(*string))
			return false;
	}
	return true;
}

/* Strings that cJSON copied out of the answer hold the token. */
static void wipe_and_delete(cJSON *json)
{
	for (cJSON *member = json ? json->child : NULL; member; member = member->next) {
		if (cJSON_IsString(member) && member->valuestring)
			explicit_bzero(member->valuestring, strlen(member->valuestring));
	}
	cJSON_Delete(json);
}

/* The whole body must be one JSON object. cJSON would end a string at an escaped NUL, so a body with one is none. */
static cJSON *read_object(const char *body, size_t length)
{
	cJSON *json = NULL;
	char *copy;

	if (!length || memchr(body, '\0', length))
		return NULL;
	copy = xstrndup(body, length);
	if (!strstr(copy, "\\u0000"))
		json = cJSON_ParseWithOpts(copy, NULL, true);
	explicit_bzero(copy, length);
	free(copy);
	if (json && !cJSON_IsObject(json)) {
		wipe_and_delete(json);
		return NULL;
	}
	return json;
}

static bool is_all_digits(const char *string)
{
	size_t length = strspn(string, "0123456789");

	return length > 0 && !string[length];
}

/* D1 documents a number and sends one; gateways and test servers are known for strings and for 0. */
static double life_s(const cJSON *json, char *ret_detail, size_t size)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "expires_in");
	double seconds = 0;

	if (!item || cJSON_IsNull(item))
		return DEFAULT_LIFE_S;
	if (cJSON_IsNumber(item))
		seconds = item->valuedouble;
	else if (cJSON_IsString(item) && is_all_digits(item->valuestring))
		seconds = strtod(item->valuestring, NULL);
	if (!(seconds >= 1)) {
		snprintf(ret_detail, size, "expires_in is no number of 1 or more: the token is used for %.0f s", UNKNOWN_LIFE_S);
		return UNKNOWN_LIFE_S;
	}
	return fmin(seconds, LONGEST_LIFE_S);
}

/* What is wrong with the object, or NULL. */
static const char *unusable(const cJSON *json)
{
	const cJSON *token = cJSON_GetObjectItemCaseSensitive(json, "access_token");
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(json, "token_type");

	if (!cJSON_IsString(token) || !token->valuestring[0])
		return "without an access_token";
	/* It becomes a header line: a line break in it would be a header of somebody else's making. */
	if (!all_visible(token->valuestring))
		return "with an access_token that is not printable ASCII";
	if (strlen(token->valuestring) > MOST_TOKEN)
		return "with an access_token over 16 KiB";
	if (type && !cJSON_IsNull(type) && !(cJSON_IsString(type) && strcasecmp(type->valuestring, "bearer") == 0))
		return "with a token_type that is not Bearer";
	return NULL;
}

static void read_success(struct token_answer *answer, const struct http_answer *http)
{
	cJSON *json = read_object(http->body, http->body_length);
	const char *why = json ? unusable(json) : "that is no JSON object";

	if (why) {
		answer->trouble = TOKEN_OUTAGE;
		snprintf(answer->detail, sizeof(answer->detail), "the token endpoint gave an answer %s (status %d)", why, http->status);
	} else {
		answer->trouble = TOKEN_OK;
		answer->access_token = xstrdup(cJSON_GetObjectItemCaseSensitive(json, "access_token")->valuestring);
		answer->lifetime_ms = (int64_t)(life_s(json, answer->detail, sizeof(answer->detail)) * 1000);
	}
	wipe_and_delete(json);
}

/* RFC 6749, 5.2: a code such as invalid_grant; its error_description is free text and stays out. */
static void read_refusal(struct token_answer *answer, const struct http_answer *http)
{
	cJSON *json = read_object(http->body, http->body_length);
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(json, "error");
	bool shown =
		cJSON_IsString(code) && code->valuestring[0] && strlen(code->valuestring) <= MOST_CODE && all_visible(code->valuestring);

	answer->trouble = TOKEN_CREDENTIALS;
	snprintf(answer->detail, sizeof(answer->detail), "the token endpoint refused the assertion: status %d%s%s", http->status,
		 shown ? ", " : "", shown ? code->valuestring : "");
	wipe_and_delete(json);
}

struct token_answer token_answer_read(const struct http_answer *http)
{
	struct token_answer answer = { .trouble = TOKEN_OUTAGE };
	int status = http->status;

	if (!status) {
		answer.trouble = http->fault == HTTP_FAULT_CERTIFICATE ? TOKEN_CERTIFICATE : TOKEN_OUTAGE;
		snprintf(answer.detail, sizeof(answer.detail), "the token endpoint gave no answer: %s",
			 http->what ? http->what : "no words");
	} else if (status >= 200 && status <= 299) {
		read_success(&answer, http);
	} else if (status >= 300 && status <= 399) {
		answer.trouble = TOKEN_REDIRECT;
		snprintf(answer.detail, sizeof(answer.detail), "the token endpoint redirects (status %d)", status);
	} else if (status == 400 || status == 401 || status == 403) {
		read_refusal(&answer, http);
	} else if (status == 407) {
		snprintf(answer.detail, sizeof(answer.detail), "the proxy wants a login (status 407)");
	} else {
		snprintf(answer.detail, sizeof(answer.detail), "the token endpoint answered with status %d", status);
	}
	return answer;
}

const char *token_trouble_name(enum token_trouble trouble)
{
	static const char *const names[TOKEN_N_TROUBLES] = {
		[TOKEN_OK] = "ok",
		[TOKEN_CREDENTIALS] = "credentials",
		[TOKEN_REDIRECT] = "redirect",
		[TOKEN_CERTIFICATE] = "certificate",
		[TOKEN_OUTAGE] = "outage",
	};

	return (int)trouble < (int)TOKEN_N_TROUBLES ? names[trouble] : "?";
}
