#include "track/verdict.h"

#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_403 = 5 };

/* The copy ends in a NUL because cJSON before 1.7.18 reads one byte too far where a body is cut behind a comma (CVE-2023-53154). */
static cJSON *read_body(const struct track_answer *answer)
{
	char *copy;
	cJSON *root;

	if (answer->body_length == 0)
		return NULL;
	copy = xstrndup(answer->body, answer->body_length);
	root = cJSON_ParseWithLength(copy, answer->body_length + 1);
	free(copy);
	return root;
}

static const char *string_of(const cJSON *root, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, key));
}

/* detail_add cuts between code points and between escapes, so that what remains is readable. */
static void detail_add(struct track_verdict *verdict, const char *words)
{
	size_t length = strlen(verdict->detail);
	struct text piece = { 0 };

	for (size_t n; *words; words += n) {
		for (n = 1; n < 4 && (words[n] & 0xc0) == 0x80; n++)
			;
		text_clear(&piece);
		text_escape(&piece, words, n);
		if (length + piece.length > TRACK_MOST_DETAIL)
			break;
		memcpy(verdict->detail + length, piece.data, piece.length);
		length += piece.length;
	}
	verdict->detail[length] = '\0';
	text_free(&piece);
}

static bool is_usable_id(const char *id)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t length = strspn(id, allowed);

	return length >= 1 && length <= TRACK_MOST_OPERATION_ID && id[length] == '\0';
}

static bool is_sane_code(const char *code)
{
	size_t length = 0;

	while (code[length] >= 0x20 && code[length] <= 0x7e)
		length++;
	return length >= 1 && length <= TRACK_MOST_ERROR_CODE && code[length] == '\0';
}

static void judge_accepted(struct track_verdict *verdict, const struct track_answer *answer)
{
	cJSON *root = read_body(answer);
	const char *id = string_of(root, "operationId");

	verdict->outcome = TRACK_ACCEPTED;
	if (id && is_usable_id(id)) {
		memcpy(verdict->operation_id, id, strlen(id) + 1);
	} else if (id) {
		detail_add(verdict, "accepted without a usable operationId: ");
		detail_add(verdict, id);
	} else {
		detail_add(verdict, root ? "accepted without an operationId" : "accepted without an operationId: no JSON in the answer");
	}
	cJSON_Delete(root);
}

static void set_unknown(struct track_verdict *verdict, const struct track_policy *policy, enum track_health health)
{
	verdict->outcome = policy->resend_unknown ? TRACK_BACK : TRACK_IN_DOUBT;
	verdict->later = policy->resend_unknown;
	verdict->health = health;
}

static void set_back(struct track_verdict *verdict, bool later, enum track_health health)
{
	verdict->outcome = TRACK_BACK;
	verdict->later = later;
	verdict->health = health;
}

static void judge_unknown(struct track_verdict *verdict, const struct track_answer *answer, const struct track_policy *policy)
{
	cJSON *root = read_body(answer);
	const char *id = string_of(root, "operationId");

	set_unknown(verdict, policy, answer->http_status == 408 || answer->http_status == 504 ? TRACK_HEALTH_SLOW : TRACK_HEALTH_BROKEN);
	snprintf(verdict->detail, sizeof(verdict->detail), "status %d %s the whole request was sent: it may have been done",
		 answer->http_status, answer->body_handed_over ? "after" : "before");
	/* Whoever resolves the row by hand will want to know it. */
	if (id) {
		detail_add(verdict, "; operationId ");
		detail_add(verdict, id);
	}
	cJSON_Delete(root);
}

/* What D1 says about an error is for people; only errorCode is looked at, and that for 403 alone. */
static void read_error(struct track_verdict *verdict, const struct track_answer *answer)
{
	cJSON *root = read_body(answer);
	const char *code = string_of(root, "errorCode"), *error = string_of(root, "error");

	if (code && is_sane_code(code))
		memcpy(verdict->error_code, code, strlen(code) + 1);
	if (error)
		detail_add(verdict, error);
	else if (answer->body_length && !cJSON_IsObject(root))
		detail_add(verdict, "the answer's body is not D1's JSON");
	cJSON_Delete(root);
}

static void judge_forbidden(struct track_verdict *verdict, const struct track_policy *policy)
{
	if (strcmp(verdict->error_code, "OPERATION_NOT_ALLOWED") == 0)
		return;
	/* Told so again and again while others are accepted, it is about this row after all. */
	if (policy->forbidden_before >= MOST_403 - 1)
		verdict->health = TRACK_HEALTH_FORBIDDEN;
	else
		set_back(verdict, true, TRACK_HEALTH_FORBIDDEN);
}

static void judge_status(struct track_verdict *verdict, const struct track_answer *answer, const struct track_policy *policy)
{
	int status = answer->http_status;

	if (status == 202) {
		judge_accepted(verdict, answer);
		return;
	}
	if (status >= 300 && status <= 399) {
		set_back(verdict, true, TRACK_HEALTH_REDIRECT);
		return;
	}
	if (status < 300 || status == 408 || (status > 500 && status != 503)) {
		judge_unknown(verdict, answer, policy);
		return;
	}
	/* What is left is 4xx, 500 and 503: refused unless it is named here. */
	read_error(verdict, answer);
	if (status == 401)
		set_back(verdict, false, TRACK_HEALTH_TOKEN);
	else if (status == 403)
		judge_forbidden(verdict, policy);
	else if (status == 404 && policy->retry_not_found)
		set_back(verdict, true, TRACK_HEALTH_GOOD);
	else if (status == 407)
		set_back(verdict, true, TRACK_HEALTH_PROXY);
	else if (status == 429 || status == 503)
		set_back(verdict, true, TRACK_HEALTH_BUSY);
}

static enum track_health health_of_silence(enum track_fault fault)
{
	switch (fault) {
	case TRACK_FAULT_CERTIFICATE: return TRACK_HEALTH_CERTIFICATE;
	case TRACK_FAULT_TIME_OUT: return TRACK_HEALTH_SLOW;
	case TRACK_FAULT_CONNECTION:
	case TRACK_FAULT_NONE: return TRACK_HEALTH_BROKEN;
	}
	return TRACK_HEALTH_BROKEN;
}

static void judge_silence(struct track_verdict *verdict, const struct track_answer *answer, const struct track_policy *policy)
{
	bool certificate = answer->fault == TRACK_FAULT_CERTIFICATE;

	if (answer->body_handed_over) {
		set_unknown(verdict, policy, health_of_silence(answer->fault));
		detail_add(verdict, "no answer after the whole request was sent");
	} else {
		set_back(verdict, true, certificate ? TRACK_HEALTH_CERTIFICATE : TRACK_HEALTH_UNREACHABLE);
		detail_add(verdict, "the request was not sent whole");
	}
	if (answer->what) {
		detail_add(verdict, ": ");
		detail_add(verdict, answer->what);
	}
}

struct track_verdict track_judge(const struct track_answer *answer, const struct track_policy *policy)
{
	struct track_verdict verdict = { .outcome = TRACK_REFUSED, .health = TRACK_HEALTH_GOOD };

	/* A complete status line decides, whatever went wrong behind it; 1xx is not yet an answer. */
	if (answer->http_status >= 200)
		judge_status(&verdict, answer, policy);
	else
		judge_silence(&verdict, answer, policy);
	return verdict;
}

const char *track_outcome_name(enum track_outcome outcome)
{
	static const char *const names[] = {
		"", [TRACK_ACCEPTED] = "accepted", [TRACK_REFUSED] = "refused", [TRACK_IN_DOUBT] = "in_doubt", [TRACK_BACK] = "back",
	};

	return (size_t)outcome <= TRACK_BACK ? names[outcome] : "";
}
