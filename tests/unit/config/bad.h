/*
 * bad: a good configuration and ways to spoil it. Each case replaces one piece of it (or, with find NULL, all of it) and gives the whole
 * message behind the file's name: line, column and words.
 */
#pragma once

#include "base/file.h"
#include "config/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define HEAD \
	"version: 1\n" \
	"#top\n"
#define ENDPOINTS \
	"endpoints:\n" \
	"  - name: bankfr\n" \
	"    api_url: https://d1.example/banking/v1\n" \
	"    token_url: https://d1.example/authz/v1/oauth2/token\n" \
	"    #endpoint\n" \
	"    issuers: [BANKFR0001]\n" \
	"    jwt: { issuer: BANKFR0001, key: jwt.key, key_id: k1 }\n" \
	"    tls: { certificate: client.pem, key: client.key }\n"
#define SOURCES \
	"sources:\n" \
	"  - name: lyon\n" \
	"    drop: /srv/lyon/in\n" \
	"    #source\n" \
	"    fields:\n" \
	"      issuerId: { value: BANKFR0001 }\n" \
	"      cardId: CARD\n" \
	"      trackingType: TYPE\n" \
	"      productionSite: SITE\n" \
	"      #field\n"
/* clang-format on */

struct bad {
	const char *find, *replace, *expected;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* bad_text gives the good configuration with its first find replaced; the caller frees it. */
static inline char *bad_text(const char *find, const char *replace)
{
	static const char good[] = HEAD ENDPOINTS SOURCES;
	struct text text = { 0 };
	const char *at = find ? strstr(good, find) : NULL;

	if (find && !at)
		fail_msg("not in the good configuration: %s", find);
	if (at) {
		text_append(&text, good, (size_t)(at - good));
		text_append_string(&text, replace);
		text_append_string(&text, at + strlen(find));
	} else {
		text_append_string(&text, replace);
	}
	return text.data;
}

/* bad_read writes text into t.yaml in a directory of its own and reads it with that directory as the working directory. */
static inline bool bad_read(const char *text, struct config **ret_config, struct error *err)
{
	char directory[] = "/tmp/trackbridge-config-XXXXXX";
	int fd;
	bool good;

	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	fd = open("t.yaml", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && file_write_all(fd, text, strlen(text)));
	close(fd);
	good = config_read("t.yaml", ret_config, err);
	assert_int_equal(unlink("t.yaml"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(directory), 0);
	return good;
}

static inline void expect_error(const char *find, const char *replace, const char *expected)
{
	scoped_free char *text = bad_text(find, replace);
	struct config *config = NULL;
	struct error err = { 0 };

	unsetenv("CREDENTIALS_DIRECTORY");
	if (bad_read(text, &config, &err))
		fail_msg("accepted: %s", replace);
	assert_null(config);
	assert_int_equal(err.code, ERROR_CONFIG);
	assert_memory_equal(err.text, "t.yaml:", 7);
	assert_string_equal(err.text + 7, expected);
}

static inline void expect_errors(const struct bad *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_error(cases[i].find, cases[i].replace, cases[i].expected);
}

/* expect_good reads the spoilt configuration, which must be a good one after all; the caller frees it. */
static inline struct config *expect_good(const char *find, const char *replace)
{
	scoped_free char *text = bad_text(find, replace);
	struct config *config = NULL;
	struct error err = { 0 };

	if (!bad_read(text, &config, &err))
		fail_msg("%s", err.text);
	return config;
}

/* bad_repeat gives piece n times between head and tail; each %zu in piece is its number. The caller frees it. */
static inline char *bad_repeat(const char *head, const char *piece, size_t n, const char *tail)
{
	struct text text = { 0 };

	text_append_string(&text, head);
	for (size_t i = 0; i < n; i++) {
		const char *rest = piece;

		for (const char *at; (at = strstr(rest, "%zu")); rest = at + 3) {
			text_append(&text, rest, (size_t)(at - rest));
			text_printf(&text, "%04zu", i);
		}
		text_append_string(&text, rest);
	}
	text_append_string(&text, tail);
	return text.data;
}
