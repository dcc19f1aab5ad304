#include "control/json.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cJSON ends a string at an escaped NUL, so that what stands behind it would not be looked at. */
static bool has_escaped_nul(const char *json)
{
	while ((json = strchr(json, '\\'))) {
		if (strncmp(json, "\\u0000", 6) == 0)
			return true;
		json += json[1] ? 2 : 1;
	}
	return false;
}

static bool has_control_characters(const char *string)
{
	size_t length = strlen(string);
	scoped_text struct text escaped = { 0 };

	text_escape(&escaped, string, length);
	return escaped.length != length;
}

bool control_json_number(const cJSON *item, const struct control_key *key, int64_t *ret_number, struct error *err)
{
	double number = item->valuedouble;

	/* The comparison comes first: a conversion of what does not fit is undefined. */
	if (!cJSON_IsNumber(item) || !(number >= (double)key->least && number <= (double)key->most) || (double)(int64_t)number != number)
		return error_set(err, ERROR_DATA, "'%s' must be a whole number from %lld to %lld", key->name, (long long)key->least,
				 (long long)key->most);
	*ret_number = (int64_t)number;
	return true;
}

static bool take_string(const cJSON *item, const struct control_key *key, char *target, struct error *err)
{
	size_t length;

	if (!cJSON_IsString(item))
		return error_set(err, ERROR_DATA, "'%s' must be a string", key->name);
	length = strlen(item->valuestring);
	if (length == 0 || length >= key->size)
		return error_set(err, ERROR_DATA, "'%s' must have 1 to %zu bytes", key->name, key->size - 1);
	if (has_control_characters(item->valuestring))
		return error_set(err, ERROR_DATA, "'%s' has control characters in it", key->name);
	memcpy(target, item->valuestring, length + 1);
	return true;
}

static bool take_word(const cJSON *item, const struct control_key *key, int *target, struct error *err)
{
	scoped_text struct text list = { 0 };

	for (size_t i = 1; i < key->n_words; i++) {
		if (cJSON_IsString(item) && strcmp(item->valuestring, key->words[i]) == 0) {
			*target = (int)i;
			return true;
		}
		text_printf(&list, " %s", key->words[i]);
	}
	return error_set(err, ERROR_DATA, "'%s' must be one of:%s", key->name, list.data);
}

static bool take_member(const cJSON *item, const struct control_key *key, void *target, struct error *err)
{
	void *at = (char *)target + key->offset;

	switch (key->kind) {
	case CONTROL_FLAG:
		if (!cJSON_IsBool(item))
			return error_set(err, ERROR_DATA, "'%s' must be true or false", key->name);
		*(bool *)at = cJSON_IsTrue(item);
		return true;
	case CONTROL_NUMBER: return control_json_number(item, key, at, err);
	case CONTROL_STRING: return take_string(item, key, at, err);
	case CONTROL_WORD: return take_word(item, key, at, err);
	case CONTROL_OTHER: break;
	}
	return key->take(item, key, target, err);
}

static const struct control_key *find_key(const char *name, const struct control_key *keys, size_t n_keys)
{
	for (size_t i = 0; i < n_keys; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

static bool unknown_key(const char *name, struct error *err)
{
	scoped_text struct text shown = { 0 };

	text_escape(&shown, name, strnlen(name, 64));
	return error_set(err, ERROR_DATA, "'%s' is no known key", shown.data);
}

bool control_json_take(const cJSON *object, const struct control_key *keys, size_t n_keys, void *target, struct error *err)
{
	uint64_t seen = 0;

	for (const cJSON *item = object->child; item; item = item->next) {
		const struct control_key *key = find_key(item->string, keys, n_keys);
		uint64_t bit = key ? UINT64_C(1) << (key - keys) : 0;

		if (!key)
			return unknown_key(item->string, err);
		if (seen & bit)
			return error_set(err, ERROR_DATA, "'%s' stands there twice", key->name);
		seen |= bit;
		if (!take_member(item, key, target, err))
			return false;
	}
	for (size_t i = 0; i < n_keys; i++) {
		if (keys[i].required && !(seen & UINT64_C(1) << i))
			return error_set(err, ERROR_DATA, "'%s' is missing", keys[i].name);
	}
	return true;
}

/* cJSON takes any byte below 0x21 for a blank, and does not look at the encoding. */
static bool is_clean(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < 0x20)
			return false;
	}
	return text_utf8_valid(line, length);
}

bool control_json_read(const char *line, size_t length, const struct control_key *keys, size_t n_keys, void *target, struct error *err)
{
	scoped_free char *copy = NULL;
	cJSON *object;
	bool good;

	if (!is_clean(line, length))
		return error_set(err, ERROR_DATA, "no line of JSON in UTF-8");
	copy = xstrndup(line, length);
	if (has_escaped_nul(copy))
		return error_set(err, ERROR_DATA, "a string has a NUL in it");
	/* The copy is terminated: cJSON before 1.7.18 reads one byte too far where a text is cut behind a comma (CVE-2023-53154). */
	object = cJSON_ParseWithOpts(copy, NULL, true);
	if (cJSON_IsObject(object))
		good = control_json_take(object, keys, n_keys, target, err);
	else
		good = error_set(err, ERROR_DATA, "no JSON object");
	cJSON_Delete(object);
	return good;
}

static void *or_abort(void *item)
{
	if (!item)
		abort();
	return item;
}

cJSON *control_json_add_list(cJSON *object, const char *name)
{
	return or_abort(cJSON_AddArrayToObject(object, name));
}

static cJSON *add(cJSON *list, cJSON *item)
{
	cJSON_AddItemToArray(list, or_abort(item));
	return item;
}

cJSON *control_json_add_object(cJSON *list)
{
	return add(list, cJSON_CreateObject());
}

/* In digits: cJSON writes large numbers rounded to 15 of them. */
static const char *digits_of(char ret_digits[static 24], int64_t number)
{
	snprintf(ret_digits, 24, "%" PRId64, number);
	return ret_digits;
}

void control_json_add_number(cJSON *list, int64_t number)
{
	char digits[24];

	add(list, cJSON_CreateRaw(digits_of(digits, number)));
}

void control_json_add_string(cJSON *object, const char *name, const char *string)
{
	or_abort(cJSON_AddStringToObject(object, name, string));
}

static void give_member(cJSON *object, const struct control_key *key, const void *source)
{
	const void *at = (const char *)source + key->offset;
	char digits[24];

	switch (key->kind) {
	case CONTROL_FLAG:
		if (*(const bool *)at)
			or_abort(cJSON_AddTrueToObject(object, key->name));
		break;
	case CONTROL_NUMBER:
		if (key->required || *(const int64_t *)at)
			or_abort(cJSON_AddRawToObject(object, key->name, digits_of(digits, *(const int64_t *)at)));
		break;
	case CONTROL_STRING:
		if (key->required || *(const char *)at)
			or_abort(cJSON_AddStringToObject(object, key->name, at));
		break;
	case CONTROL_WORD:
		if (*(const int *)at > 0 && (size_t) * (const int *)at < key->n_words)
			or_abort(cJSON_AddStringToObject(object, key->name, key->words[*(const int *)at]));
		break;
	case CONTROL_OTHER: key->give(object, key, source); break;
	}
}

void control_json_give(cJSON *object, const struct control_key *keys, size_t n_keys, const void *source)
{
	for (size_t i = 0; i < n_keys; i++)
		give_member(object, &keys[i], source);
}

void control_json_write(const struct control_key *keys, size_t n_keys, const void *source, struct text *text)
{
	cJSON *object = or_abort(cJSON_CreateObject());
	char *json;

	control_json_give(object, keys, n_keys, source);
	json = or_abort(cJSON_PrintUnformatted(object));
	text_append_string(text, json);
	text_append(text, "\n", 1);
	cJSON_free(json);
	cJSON_Delete(object);
}
