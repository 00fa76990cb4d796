/* SPDX-License-Identifier: Apache-2.0 */
/* The client of registries against a server that answers from tables: redirects, retries, who is asked for
 * credentials and who gets them. */
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/oci_json.h"
#include "codec/sha256.h"
#include "http_server.h"
#include "oci/registry.h"
#include "oci/registry_parts.h"
#include "registry_scene.h"

static char empty[1] = "";

/* ---- redirects -------------------------------------------------------------------------------------- */

TEST(a_redirect_to_another_origin_is_followed_without_credentials)
{
	static const struct http_answer elsewhere[] = {
		{.target = "/x", .status = 200, .headers = JSON, .body = "{}"}, END};
	static const struct http_answer table[] = {
		{.target = MANIFEST,
			.when = "authorization: basic",
			.status = 307,
			.headers = "Location: {other}/x\r\n"},
		{.target = MANIFEST, .status = 401, .headers = BASIC},
		END,
	};
	struct http_server *other = http_server_start(elsewhere, NULL);
	struct scene s = scene_prepare(table, other);
	struct error err = {0};

	s.who.username = "ann";
	s.who.password = "p:w";
	scene_open(&s);
	CHECK_OK(scene_get(&s, &err));
	CHECK_TEXT(http_server_log(s.server), "GET " MANIFEST " -\nGET " MANIFEST " Basic YW5uOnA6dw==\n");
	CHECK_TEXT(http_server_log(other), "GET /x -\n");
	scene_end(&s);
	http_server_stop(other);
}

TEST(a_redirect_may_be_relative)
{
	static const struct http_answer table[] = {
		{.target = MANIFEST, .status = 302, .headers = "Location: ../over/there?x=1#part\r\n"},
		{.target = "/v2/a/b/over/there?x=1",
			.status = 301,
			.headers = "Location: //127.0.0.1:1/\r\n",
			.times = 0,
			.when = "never"},
		{.target = "/v2/a/b/over/there?x=1", .status = 308, .headers = "Location: /top\r\n"},
		{.target = "/top", .status = 200, .headers = JSON, .body = "{}"},
		END,
	};
	struct error err = {0};

	CHECK_OK(scene_try(table, &err));
}

TEST(redirects_end_after_a_few)
{
	static const struct http_answer table[] = {
		{.target = "/v2/*", .status = 307, .headers = "Location: " MANIFEST "\r\n"}, END};
	struct scene s = scene_make(table);
	struct error err = {0};

	scene_open(&s);
	CHECK_ERROR(scene_get(&s, &err), ERROR_INVALID);
	CHECK(strstr(err.text, "circles"));
	CHECK_INT(http_server_count(s.server, "GET"), 6);
	scene_end(&s);
}

TEST(a_redirect_leads_to_http_and_holds_no_user)
{
	static const struct {
		const char *headers;
		enum error_code code;
	} rows[] = {
		{"Location: file:///etc/passwd\r\n", ERROR_DENIED},
		{"Location: ftp://127.0.0.1/x\r\n", ERROR_DENIED},
		{"Location: http://ann@127.0.0.1:1/x\r\n", ERROR_INVALID},
		{"Location: http://[/x\r\n", ERROR_INVALID},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct http_answer table[] = {
			{.target = MANIFEST, .status = 307, .headers = rows[i].headers}, END};
		struct error err = {0};

		CHECK_ERROR(scene_try(table, &err), rows[i].code);
		CHECK(strstr(err.text, "redirect"));
	}
}

/* ---- what is tried again ---------------------------------------------------------------------------- */

TEST(what_fails_in_passing_is_tried_again)
{
	static const int statuses[] = {0, 408, 429, 500, 502, 503, 504};

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		const struct http_answer table[] = {
			{.target = MANIFEST, .times = 1, .status = statuses[i], .headers = AT_ONCE},
			{.target = MANIFEST, .status = 200, .headers = JSON, .body = "{}"},
			END,
		};
		struct error err = {0};

		CHECK_OK(scene_try(table, &err));
	}
}

TEST(trying_ends)
{
	static const struct http_answer table[] = {
		{.target = MANIFEST, .status = 503, .headers = AT_ONCE}, END};
	static const struct http_answer later[] = {
		{.target = MANIFEST,
			.status = 429,
			.headers = "Retry-After: 3600\r\n",
			.body = "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"slow down\"}]}"},
		END,
	};
	struct scene s = scene_make(table);
	struct error err = {0};

	scene_open(&s);
	CHECK_ERROR(scene_get(&s, &err), ERROR_CLOSED);
	CHECK_INT(http_server_count(s.server, "GET"), 6);
	scene_end(&s);
	s = scene_make(later);
	scene_open(&s);
	CHECK_ERROR(scene_get(&s, &err), ERROR_LIMIT);
	CHECK(strstr(err.text, "3600"));
	CHECK_INT(http_server_count(s.server, "GET"), 1);
	scene_end(&s);
}

TEST(a_server_is_waited_for_as_long_as_it_asks)
{
	static const struct http_answer table[] = {
		{.target = MANIFEST, .times = 1, .status = 429, .headers = "Retry-After: 1\r\n"},
		{.target = MANIFEST, .status = 200, .headers = JSON, .body = "{}"},
		END,
	};
	uint64_t started = clock_monotonic();
	struct error err = {0};

	CHECK_OK(scene_try(table, &err));
	CHECK(clock_monotonic() - started >= NANOSECONDS_PER_SECOND);
}

TEST(what_is_refused_is_not_tried_again)
{
	static const struct {
		int status;
		enum error_code code;
	} rows[] = {{400, ERROR_INVALID}, {403, ERROR_DENIED}, {404, ERROR_NOT_FOUND}, {405, ERROR_INVALID},
		{413, ERROR_LIMIT}, {501, ERROR_CLOSED}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct http_answer table[] = {
			{.target = MANIFEST, .times = 1, .status = rows[i].status},
			{.target = MANIFEST, .status = 200, .headers = JSON, .body = "{}"},
			END,
		};
		struct error err = {0};

		CHECK_ERROR(scene_try(table, &err), rows[i].code);
	}
}

/* ---- who we are ------------------------------------------------------------------------------------- */

#define ASKED "/token?service=s&scope=repository%3Aa%2Fb%3Apull"
#define TAKES(token) \
	{ \
		.target = MANIFEST, .when = "bearer " token "\r\n", .status = 200, .headers = JSON, \
		.body = "{}" \
	}

TEST(a_token_is_asked_for_by_user_and_repository_and_used_again)
{
	static const struct http_answer table[] = {
		{.target = ASKED "&account=ann",
			.when = "basic YW5uOnB3\r\n",
			.status = 200,
			.body = "{\"token\":\"one\"}"},
		TAKES("one"),
		ASKS,
		END,
	};
	struct scene s = scene_make(table);
	struct error err = {0};

	s.who.username = "ann";
	s.who.password = "pw";
	scene_open(&s);
	CHECK_OK(scene_get(&s, &err));
	CHECK_OK(scene_get(&s, &err));
	CHECK_TEXT(http_server_log(s.server),
		"GET " MANIFEST " -\nGET " ASKED "&account=ann Basic YW5uOnB3\nGET " MANIFEST
		" Bearer one\nGET " MANIFEST " Bearer one\n");
	scene_end(&s);
}

TEST(a_token_that_has_ended_is_renewed_in_the_middle)
{
	static const struct http_answer table[] = {
		{.target = ASKED, .times = 1, .status = 200, .body = "{\"token\":\"one\"}"},
		{.target = ASKED, .times = 1, .status = 200, .body = "{\"token\":\"two\"}"},
		{.target = MANIFEST,
			.times = 3,
			.when = "bearer one",
			.status = 200,
			.headers = JSON,
			.body = "{}"},
		TAKES("two"),
		ASKS,
		END,
	};
	struct scene s = scene_make(table);
	struct error err = {0};

	scene_open(&s);
	for (int i = 0; i < 5; i++)
		CHECK_OK(scene_get(&s, &err));
	CHECK_INT(http_server_count(s.server, "GET /token"), 2);
	CHECK_INT(http_server_count(s.server, "GET /v2/"), 1 + 3 + 1 + 2);
	scene_end(&s);
}

TEST(a_token_whose_time_is_over_is_renewed_before_anything_is_sent)
{
	static const struct http_answer table[] = {
		{.target = ASKED, .times = 1, .status = 200, .body = "{\"token\":\"one\",\"expires_in\":1}"},
		{.target = ASKED, .status = 200, .body = "{\"token\":\"two\"}"},
		TAKES("one"),
		TAKES("two"),
		ASKS,
		END,
	};
	struct scene s = scene_make(table);
	struct error err = {0};

	scene_open(&s);
	CHECK_OK(scene_get(&s, &err));
	usleep(1100000);
	CHECK_OK(scene_get(&s, &err));
	CHECK_TEXT(http_server_log(s.server), "GET " MANIFEST " -\nGET " ASKED " -\nGET " MANIFEST
					      " Bearer one\nGET " ASKED " -\nGET " MANIFEST " Bearer two\n");
	scene_end(&s);
}

TEST(a_token_that_never_does_is_not_asked_for_without_end)
{
	static const struct http_answer table[] = {
		{.target = "/token*", .status = 200, .body = "{\"token\":\"one\"}"}, ASKS, END};
	struct scene s = scene_make(table);
	struct error err = {0};

	scene_open(&s);
	CHECK_ERROR(scene_get(&s, &err), ERROR_DENIED);
	CHECK(strstr(err.text, "monocore login reg.test"));
	CHECK(http_server_count(s.server, "GET") <= 5);
	scene_end(&s);
}

static void *get_many(void *context)
{
	struct error err = {0};

	for (int i = 0; i < 20; i++)
		if (scene_get(context, &err) < 0)
			return err.code == ERROR_NONE ? "failed" : strdup(err.text);
	return NULL;
}

TEST(two_threads_share_a_token)
{
	static const struct http_answer table[] = {
		{.target = ASKED, .times = 2, .status = 200, .body = "{\"token\":\"one\"}"},
		{.target = ASKED, .status = 200, .body = "{\"token\":\"two\"}"},
		{.target = MANIFEST,
			.times = 15,
			.when = "bearer one",
			.status = 200,
			.headers = JSON,
			.body = "{}"},
		TAKES("two"),
		ASKS,
		END,
	};
	struct scene s = scene_make(table);
	pthread_t threads[2];
	void *failure;

	scene_open(&s);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, get_many, &s) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		CHECK(pthread_join(threads[i], &failure) == 0);
		CHECK_TEXT(failure ? (char *)failure : "", "");
	}
	CHECK(http_server_count(s.server, "GET /token") <= 6);
	scene_end(&s);
}

TEST(what_a_registry_names_is_asked_for_where_ours_is_refused_or_does_not_do)
{
	static const char other[] = "WWW-Authenticate: Bearer "
				    "realm=\"{url}/token\",service=\"s\",scope=\"repository:b:pull\"\r\n";
	/* A token server that knows ours not. */
	const struct http_answer refuses[] = {
		{.target = "/token?service=s&scope=repository%3Ab%3Apull",
			.status = 200,
			.body = "{\"token\":\"one\"}"},
		{.target = "/token*", .status = 403},
		TAKES("one"),
		{.target = "/v2/*", .status = 401, .headers = other},
		END,
	};
	/* One that gives a token for ours, which the registry does not take. */
	const struct http_answer adds[] = {
		{.target = ASKED "&scope=repository%3Ab%3Apull",
			.status = 200,
			.body = "{\"token\":\"one\"}"},
		{.target = ASKED, .status = 200, .body = "{\"token\":\"none\"}"},
		TAKES("one"),
		{.target = "/v2/*", .status = 401, .headers = other},
		END,
	};
	struct scene s;
	struct error err = {0};

	CHECK_OK(scene_try(refuses, &err));
	s = scene_make(adds);
	scene_open(&s);
	CHECK_OK(scene_get(&s, &err));
	CHECK_OK(scene_get(&s, &err));
	CHECK_INT(http_server_count(s.server, "GET /token"), 2);
	scene_end(&s);
}

TEST(a_scope_covers_each_of_its_actions_and_no_other_name)
{
	static const struct {
		const char *scopes, *wanted;
		bool covered;
	} rows[] = {
		{"repository:a/b:pull", "repository:a/b:pull", true},
		{"repository:a/b:pull,push", "repository:a/b:push", true},
		{"repository:a/b:pull,push", "repository:a/b:push,pull", true},
		{"repository:a/b:pull", "repository:a/b:pull,push", false},
		{"repository:a/b:pull", "repository:a/b:pul", false},
		{"repository:a/b:pull", "repository:a/b:pulled", false},
		{"repository:a/b:pull", "repository:b:pull", false},
		{"repository:a/b:pull repository:c:pull,push", "repository:c:push  repository:a/b:pull",
			true},
		{"repository:a/b:pull repository:c:pull", "repository:c:push", false},
		{"", "repository:c:push", false},
		{"repository:c:push", "", true},
		{"repository:c:push", " ", true},
		{"registry:catalog:*", "registry:catalog:*", true},
		{"repository:localhost:5000/a:pull", "repository:localhost:5000/a:pull", true},
		{"aws", "aws", true},
		{"awsome", "aws", false},
		{"repository:a:pull", "aws", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (registry_scope_covers(rows[i].scopes, rows[i].wanted) != rows[i].covered)
			test_fail(__FILE__, __LINE__, "'%s' and '%s'", rows[i].scopes, rows[i].wanted);
}

TEST(a_repository_to_mount_from_that_is_not_for_us_does_not_keep_us_from_a_push)
{
	static const struct http_answer table[] = {
		{.target = "/token?service=s&scope=repository%3Aa%2Fb%3Apull%2Cpush",
			.status = 200,
			.body = "{\"token\":\"one\"}"},
		{.target = "/token*", .status = 403},
		TAKES("one"),
		ASKS,
		END,
	};
	struct scene s = scene_make(table);
	struct error err = {0};

	s.options.push = true;
	s.options.from = "c/d";
	scene_open(&s);
	CHECK_OK(scene_get(&s, &err));
	CHECK(strstr(http_server_log(s.server),
		"GET /token?service=s&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%2Fd%3Apull "
		"-\n"));
	scene_end(&s);
}

TEST(an_identity_token_goes_by_form_or_where_there_is_none_as_a_password)
{
	static const struct http_answer by_form[] = {
		{.method = "POST", .target = "/token", .status = 200, .body = "{\"access_token\":\"one\"}"},
		TAKES("one"), ASKS, END};
	struct scene s = scene_make(by_form);
	static const int statuses[] = {400, 401, 404, 405};
	struct error err = {0};
	const char *form;
	size_t n;

	s.who.identity_token = "a&b";
	scene_open(&s);
	CHECK_OK(scene_get(&s, &err));
	form = http_server_received(s.server, &n);
	CHECK(n == strlen("grant_type=refresh_token&client_id=monocore&service=s&scope=repository%3Aa%2Fb%"
			  "3Apull"
			  "&refresh_token=a%26b") &&
		!memcmp(form,
			"grant_type=refresh_token&client_id=monocore&service=s&scope=repository%3Aa%2Fb%"
			"3Apull"
			"&refresh_token=a%26b",
			n));
	scene_end(&s);
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		const struct http_answer by_query[] = {
			{.method = "POST", .target = "/token", .status = statuses[i]},
			/* "<token>:a&b" */
			{.method = "GET",
				.target = ASKED,
				.when = "basic PHRva2VuPjphJmI=",
				.status = 200,
				.body = "{\"token\":\"one\"}"},
			TAKES("one"),
			ASKS,
			END,
		};

		s = scene_make(by_query);
		s.who.identity_token = "a&b";
		scene_open(&s);
		CHECK_OK(scene_get(&s, &err));
		scene_end(&s);
	}
}

TEST(who_was_refused_is_said)
{
	static const struct http_answer no_token[] = {
		{.target = "/token*", .status = 401, .body = "{\"details\":\"incorrect password\"}"}, ASKS,
		END};
	static const struct http_answer no_basic[] = {
		{.target = "/v2/*", .status = 401, .headers = BASIC}, END};
	static const struct http_answer *const tables[] = {no_token, no_basic};
	struct error err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		struct scene s = scene_make(tables[i]);

		s.who.username = "ann";
		s.who.password = "pw";
		scene_open(&s);
		CHECK_ERROR(scene_get(&s, &err), ERROR_DENIED);
		CHECK(strstr(err.text, "'ann'") && strstr(err.text, "monocore login reg.test"));
		CHECK(!strstr(err.text, "pw"));
		CHECK(http_server_count(s.server, "GET") <= 3);
		scene_end(&s);
	}
}

TEST(a_password_is_shown_after_a_token_that_was_for_too_little)
{
	static const struct http_answer table[] = {
		{.target = ASKED "&account=ann", .status = 200, .body = "{\"token\":\"one\"}"},
		{.target = MANIFEST, .when = "basic YW5uOnB3", .status = 200, .headers = JSON, .body = "{}"},
		{.target = MANIFEST, .when = "bearer one", .status = 401, .headers = BASIC},
		ASKS,
		END,
	};
	struct scene s = scene_make(table);
	struct error err = {0};

	s.who.username = "ann";
	s.who.password = "pw";
	scene_open(&s);
	CHECK_OK(scene_get(&s, &err));
	scene_end(&s);
}

TEST(a_challenge_that_leads_nowhere_is_an_error)
{
	static const char *const rows[] = {"", "WWW-Authenticate: Digest realm=\"x\"\r\n",
		"WWW-Authenticate: Bearer realm=\"file:///etc/passwd\"\r\n",
		"WWW-Authenticate: Bearer realm=\"http://ann:pw@127.0.0.1:1/\"\r\n",
		"WWW-Authenticate: Bearer\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct http_answer table[] = {
			{.target = MANIFEST, .status = 401, .headers = rows[i]}, END};
		struct error err = {0};
		int r = scene_try(table, &err);

		CHECK(r == -ERROR_DENIED || r == -ERROR_INVALID);
	}
}

TEST(a_server_of_tokens_whose_answer_has_no_end_is_left)
{
	static char body[1 << 20];
	const struct http_answer table[] = {
		/* It stands still before the end that it has promised. */
		{.target = "/token*",
			.status = 200,
			.headers = "Content-Length: 999999999999\r\n",
			.body = body,
			.size = sizeof body,
			.stay = true},
		ASKS,
		END,
	};
	uint64_t started = clock_monotonic();
	struct error err = {0};

	memset(body, ' ', sizeof body);
	CHECK_ERROR(scene_try(table, &err), ERROR_LIMIT);
	CHECK(clock_monotonic() - started < 30 * NANOSECONDS_PER_SECOND);
}

TEST(a_login_shows_the_password_also_where_nobody_asks)
{
	static const struct http_answer open[] = {
		{.target = "/v2/", .when = "basic YW5uOnB3", .status = 200},
		{.target = "/v2/", .when = "authorization", .status = 401, .headers = BASIC},
		{.target = "/v2/", .status = 200},
		END,
	};
	static const struct http_answer tokens[] = {
		{.target = "/token?service=s&account=ann&client_id=monocore&offline_token=true",
			.status = 200,
			.body = "{\"token\":\"one\",\"refresh_token\":\"keep\"}"},
		{.target = "/v2/", .when = "bearer one", .status = 200},
		ASKS,
		END,
	};
	struct scene s = scene_make(open);
	struct error err = {0};
	char *identity;

	s.endpoint.repository = empty;
	s.who.username = "ann";
	s.who.password = "pw";
	s.options.login = true;
	scene_open(&s);
	CHECK_OK(registry_login(s.registry, &identity, &err));
	CHECK_TEXT(identity, "");
	free(identity);
	registry_free(s.registry);
	s.who.password = "no";
	scene_open(&s);
	CHECK_ERROR(registry_login(s.registry, &identity, &err), ERROR_DENIED);
	CHECK(!strstr(err.text, "run 'monocore login"));
	scene_end(&s);
	s = scene_make(tokens);
	s.endpoint.repository = empty;
	s.who.username = "ann";
	s.who.password = "pw";
	s.options.login = true;
	scene_open(&s);
	CHECK_OK(registry_login(s.registry, &identity, &err));
	CHECK_TEXT(identity, "keep");
	free(identity);
	scene_end(&s);
}
