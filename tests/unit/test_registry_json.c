/* SPDX-License-Identifier: Apache-2.0 */
/* What registries answer: headers and bodies, as Docker Hub, GHCR, Quay and others write them, and hostile
 * ones. */
#include "test.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/challenge.h"
#include "codec/date.h"
#include "codec/http_headers.h"
#include "codec/printable.h"
#include "codec/registry_json.h"

/* ---- WWW-Authenticate ------------------------------------------------------------------------------- */

static const struct {
	const char *value;
	size_t count; /* of challenges; 0: an error */
	enum challenge_scheme scheme;
	const char *realm, *service, *scope, *error; /* of the last one */
} challenge_rows[] = {
	/* Docker Hub, GHCR, Quay, docker-registry with htpasswd */
	{"Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
	 "scope=\"repository:library/alpine:pull\"",
		1, CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io",
		"repository:library/alpine:pull", ""},
	{"Bearer realm=\"https://ghcr.io/token\",service=\"ghcr.io\",scope=\"repository:user/image:pull\"", 1,
		CHALLENGE_BEARER, "https://ghcr.io/token", "ghcr.io", "repository:user/image:pull", ""},
	{"Bearer realm=\"https://quay.io/v2/auth\",service=\"quay.io\"", 1, CHALLENGE_BEARER,
		"https://quay.io/v2/auth", "quay.io", "", ""},
	{"Basic realm=\"Registry Realm\"", 1, CHALLENGE_BASIC, "Registry Realm", "", "", ""},
	/* a scope with a comma; what an expired token gets */
	{"Bearer realm=\"r\",scope=\"repository:a:pull,push\",error=\"invalid_token\"", 1, CHALLENGE_BEARER,
		"r", "", "repository:a:pull,push", "invalid_token"},
	/* names of schemes and parameters in any case, blanks where the grammar has them */
	{"bEARER  REALM = \"r\" ,\tService\t=\ts", 1, CHALLENGE_BEARER, "r", "s", "", ""},
	{",, Basic realm=\"r\" ,, ", 1, CHALLENGE_BASIC, "r", "", "", ""},
	/* escapes */
	{"Basic realm=\"a \\\"b\\\" \\\\ \\c\"", 1, CHALLENGE_BASIC, "a \"b\" \\ c", "", "", ""},
	{"Basic realm=\"\"", 1, CHALLENGE_BASIC, "", "", "", ""},
	/* no quotes around a URL */
	{"Bearer realm=https://x.y/t?a=b,service=s", 1, CHALLENGE_BEARER, "https://x.y/t?a=b", "s", "", ""},
	/* several */
	{"Basic realm=\"a\", Bearer realm=\"b\", service=\"s\"", 2, CHALLENGE_BEARER, "b", "s", "", ""},
	{"Negotiate, Basic realm=\"a\"", 2, CHALLENGE_BASIC, "a", "", "", ""},
	{"Negotiate YII/+Q==, Basic realm=\"a\"", 2, CHALLENGE_BASIC, "a", "", "", ""},
	{"Basic realm=\"a\", Negotiate", 2, CHALLENGE_OTHER, "", "", "", ""},
	{"Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"", 2,
		CHALLENGE_BASIC, "simple", "", "", ""},
	{"Basic", 1, CHALLENGE_BASIC, "", "", "", ""},
	{"Basic data", 1, CHALLENGE_BASIC, "", "", "", ""}, /* a token68 */
	/* not to be read */
	{"realm=\"a\"", 0, 0, "", "", "", ""},
	{"Basic realm=\"a", 0, 0, "", "", "", ""},
	{"Basic realm=\"a\\", 0, 0, "", "", "", ""},
	{"Basic realm=\"a\" service=\"b\"", 0, 0, "", "", "", ""},
	{"Basic realm=\"a\", realm=\"b\"", 0, 0, "", "", "", ""},
	{"Basic realm=\"a\r\nSet-Cookie: b\"", 0, 0, "", "", "", ""},
	{"Basic realm=, x=y\x01", 0, 0, "", "", "", ""},
	{"Bearer realm=\"a\", (comment)", 0, 0, "", "", "", ""},
	{"\"Bearer\"", 0, 0, "", "", "", ""},
};

TEST(a_challenge_is_read_as_the_rfc_writes_it_or_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(challenge_rows); i++) {
		_cleanup_challenges_ struct challenges c = {0};
		const char *value = challenge_rows[i].value;
		const struct challenge *last;
		struct error err = {0};
		int r = challenges_add(&c, value, strlen(value), &err);

		if (challenge_rows[i].count == 0) {
			if (r != -ERROR_INVALID || c.count != 0)
				test_fail(__FILE__, __LINE__, "%s was read", value);
			continue;
		}
		if (r < 0 || c.count != challenge_rows[i].count)
			test_fail(__FILE__, __LINE__, "%s: %zu challenges: %s", value, c.count, err.text);
		last = &c.list[c.count - 1];
		CHECK_INT(last->scheme, challenge_rows[i].scheme);
		CHECK_TEXT(last->realm, challenge_rows[i].realm);
		CHECK_TEXT(last->service, challenge_rows[i].service);
		CHECK_TEXT(last->scope, challenge_rows[i].scope);
		CHECK_TEXT(last->error, challenge_rows[i].error);
	}
}

TEST(challenges_of_several_headers_add_up_and_a_bad_one_changes_nothing)
{
	_cleanup_challenges_ struct challenges c = {0};
	struct error err;

	CHECK_OK(challenges_add(&c, "Basic realm=a", 13, &err));
	CHECK_ERROR(challenges_add(&c, "Bearer realm=b, =", 17, &err), ERROR_INVALID);
	CHECK_INT(c.count, 1);
	CHECK_OK(challenges_add(&c, "Bearer realm=b", 14, &err));
	CHECK_INT(c.count, 2);
	CHECK_TEXT(challenges_find(&c, CHALLENGE_BEARER)->realm, "b");
	CHECK_TEXT(challenges_find(&c, CHALLENGE_BASIC)->realm, "a");
	CHECK(!challenges_find(&c, CHALLENGE_OTHER));
}

TEST(challenges_without_end_are_refused)
{
	_cleanup_challenges_ struct challenges c = {0};
	_cleanup_buffer_ struct buffer many = {0};
	struct error err;

	for (size_t i = 0; i <= CHALLENGES_MAX; i++)
		buffer_append_text(&many, "Basic,");
	CHECK_ERROR(challenges_add(&c, (char *)many.data, many.size, &err), ERROR_LIMIT);
	CHECK_INT(c.count, 0);
	while (many.size <= HTTP_HEADER_MAX)
		buffer_append_text(&many, ",,,,,,,,");
	CHECK_ERROR(challenges_add(&c, (char *)many.data, many.size, &err), ERROR_LIMIT);
}

/* ---- Link, Retry-After, ranges ---------------------------------------------------------------------- */

TEST(the_next_page_is_found_among_the_links)
{
	static const struct {
		const char *value, *target; /* NULL: none; "!": an error */
	} rows[] = {
		{"</v2/a/tags/list?last=b&n=2>; rel=\"next\"", "/v2/a/tags/list?last=b&n=2"},
		{"<https://quay.io/v2/x?next_page=abc%3D>; rel=next",
			"https://quay.io/v2/x?next_page=abc%3D"},
		{"<a>; rel=\"prev\", <b>; title=\"x, <c>; rel=next\"; REL=\"first NEXT\"", "b"},
		{"<a>;rel=\"prev\";rel=\"next\"", NULL}, /* only the first rel counts */
		{"<a>; rel=\"next\"; anchor=\"/other\"", NULL},
		{"<a>; rel=\"nextpage\"", NULL},
		{"<a>", NULL},
		{"", NULL},
		{", ,<>; rel=next", ""},
		{"a; rel=next", "!"},
		{"<a; rel=next", "!"},
		{"<a b>; rel=next", "!"},
		{"<a\r\nX: y>; rel=next", "!"},
		{"<a>; rel=\"next", "!"},
		{"<a>; rel=prev <b>; rel=next", "!"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *target = NULL;
		struct error err = {0};
		int r = http_link_next(rows[i].value, strlen(rows[i].value), &target, &err);

		if (rows[i].target && !strcmp(rows[i].target, "!")) {
			CHECK_INT(r, -ERROR_INVALID);
			continue;
		}
		CHECK_OK(r);
		if (!rows[i].target)
			CHECK(!target);
		else
			CHECK_TEXT(target, rows[i].target);
	}
}

TEST(retry_after_is_seconds_or_any_of_the_three_dates)
{
	static const struct {
		const char *value;
		int64_t seconds; /* -1: not to be read */
	} rows[] = {
		{"0", 0},
		{" 120\t", 120},
		{"99999999999999999999999", INT64_MAX},
		{"Sun, 06 Nov 1994 08:49:37 GMT", 37},
		{"Sunday, 06-Nov-94 08:49:37 GMT", 37},
		{"Sun Nov  6 08:49:37 1994", 37},
		{"Sun, 06 Nov 1994 08:48:59 GMT", 0},
		{"Mon, 07 Nov 1994 08:49:00 GMT", 86400},
		{"Thu, 29 Feb 1996 00:00:00 GMT", 41440260},
		{"Wed, 29 Feb 1995 00:00:00 GMT", -1},
		{"Sun, 06 Nov 1994 24:00:00 GMT", -1},
		{"Sun, 06 Xov 1994 08:49:37 GMT", -1},
		{"Sun, 06 anF 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nov 1994 08:49:37 GMT+1", -1},
		{"Sun, 06 Nov 1994 08:49:37", -1},
		{"Sun, -6 Nov 1994 08:49:37 GMT", -1},
		{"", -1},
		{"-1", -1},
		{"1.5", -1},
		{"soon", -1},
	};
	const uint64_t now = 784111740; /* 1994-11-06 08:49:00 */

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t seconds = 1;
		bool read = http_retry_after(rows[i].value, strlen(rows[i].value), now, &seconds);

		if (read != (rows[i].seconds >= 0) || (read && seconds != (uint64_t)rows[i].seconds))
			test_fail(__FILE__, __LINE__, "'%s' is %llu", rows[i].value,
				(unsigned long long)seconds);
	}
}

TEST(a_year_of_two_digits_is_at_most_fifty_years_ahead)
{
	uint64_t seconds;

	CHECK(date_parse_http("Friday, 01-Jan-71 00:00:00 GMT", 30, 1800000000, &seconds)); /* now: 2027 */
	CHECK_INT(seconds, 3187296000);                                                     /* 2071 */
	CHECK(date_parse_http("Friday, 01-Jan-80 00:00:00 GMT", 30, 1800000000, &seconds));
	CHECK_INT(seconds, 315532800); /* 1980 */
}

TEST(rfc3339_dates_are_read_with_their_zone)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-01-31T23:59:59Z", 1769903999},
		{"2026-01-31T23:59:59.123456789z", 1769903999},
		{"2026-02-01 01:59:59+02:00", 1769903999},
		{"2026-01-31T18:29:59-05:30", 1769903999},
		{"2000-02-29T00:00:00Z", 951782400},
		{"9999-12-31T23:59:59Z", 253402300799},
		{"1970-01-01T00:00:00+00:01", -1},
		{"2026-01-31T23:59:59", -1},
		{"2026-01-31T23:59:59.Z", -1},
		{"2026-1-31T23:59:59Z", -1},
		{"2026-13-31T23:59:59Z", -1},
		{"2026-02-29T23:59:59Z", -1},
		{"2100-02-29T23:59:59Z", -1},
		{"2026-01-31T23:59:59Zx", -1},
		{"2026-01-31T23:59:59+24:00", -1},
		{"", -1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t seconds = 1;
		bool read = date_parse_rfc3339(rows[i].text, strlen(rows[i].text), &seconds);

		if (read != (rows[i].seconds >= 0) || (read && seconds != (uint64_t)rows[i].seconds))
			test_fail(__FILE__, __LINE__, "'%s' is %llu", rows[i].text,
				(unsigned long long)seconds);
	}
}

TEST(a_content_range_that_contradicts_itself_is_refused)
{
	static const struct {
		const char *value;
		bool read, known;
		uint64_t first, size, total;
	} rows[] = {
		{"bytes 0-99/1234", true, true, 0, 100, 1234},
		{"BYTES  100-1233/1234", true, true, 100, 1134, 1234},
		{"bytes 5-5/*", true, false, 5, 1, 0},
		{"bytes */1234", true, true, 0, 0, 1234},
		{"bytes */*", false, false, 0, 0, 0},
		{"bytes 9-5/20", false, false, 0, 0, 0},
		{"bytes 0-20/20", false, false, 0, 0, 0},
		{"bytes 0-5", false, false, 0, 0, 0},
		{"items 0-5/10", false, false, 0, 0, 0},
		{"bytes=0-5/10", false, false, 0, 0, 0},
		{"bytes 0-9223372036854775808/*", false, false, 0, 0, 0},
		{"bytes 0-18446744073709551616/18446744073709551617", false, false, 0, 0, 0},
		{"bytes 0-5/10,", false, false, 0, 0, 0},
		{"", false, false, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_range range;

		CHECK_INT(http_content_range(rows[i].value, strlen(rows[i].value), &range), rows[i].read);
		if (!rows[i].read)
			continue;
		CHECK_INT(range.first, rows[i].first);
		CHECK_INT(range.size, rows[i].size);
		CHECK_INT(range.total, rows[i].total);
		CHECK_INT(range.total_known, rows[i].known);
	}
}

TEST(the_range_of_an_upload_tells_how_much_has_arrived)
{
	uint64_t received;

	CHECK(http_upload_range("0-1023", 6, &received));
	CHECK_INT(received, 1024);
	CHECK(http_upload_range("bytes=0-0", 9, &received));
	CHECK_INT(received, 1);
	CHECK(!http_upload_range("1-1023", 6, &received));
	CHECK(!http_upload_range("0-", 2, &received));
	CHECK(!http_upload_range("0--1", 4, &received));
	CHECK(!http_upload_range("", 0, &received));
}

/* ---- bodies ----------------------------------------------------------------------------------------- */

static int parse_token(const char *json, struct registry_token *t, struct error *err)
{
	return registry_token_parse(json, strlen(json), t, err);
}

TEST(a_token_is_taken_from_either_member_with_its_lifetime)
{
	struct registry_token t;
	struct error err;

	CHECK_OK(parse_token("{\"token\":\"abc\",\"access_token\":\"abc\",\"expires_in\":300,"
			     "\"issued_at\":\"2026-01-31T23:59:59.5Z\"}",
		&t, &err));
	CHECK_TEXT(t.token, "abc");
	CHECK_TEXT(t.refresh_token, "");
	CHECK_INT(t.lifetime, 300);
	CHECK_INT(t.issued_at, 1769903999);
	registry_token_free(&t);
	CHECK(!t.token && !t.refresh_token);

	CHECK_OK(parse_token(
		"{\"access_token\":\"x.y\",\"refresh_token\":\"r\",\"token_type\":\"bearer\"}", &t, &err));
	CHECK_TEXT(t.token, "x.y");
	CHECK_TEXT(t.refresh_token, "r");
	CHECK_INT(t.lifetime, 60);
	CHECK_INT(t.issued_at, 0);
	registry_token_free(&t);

	CHECK_OK(parse_token(
		"{\"token\":\"\",\"access_token\":\"z\",\"expires_in\":0,\"issued_at\":\"?\"}", &t, &err));
	CHECK_TEXT(t.token, "z");
	CHECK_INT(t.lifetime, 60);
	registry_token_free(&t);

	CHECK_OK(parse_token("{\"token\":\"z\",\"expires_in\":1e300}", &t, &err));
	CHECK_INT(t.lifetime, 1000000000);
	registry_token_free(&t);
}

TEST(a_token_that_could_not_stand_in_a_header_is_refused)
{
	static const char *const bad[] = {
		"{\"token\":\"a\\r\\nX: y\"}",
		"{\"token\":\"a b\"}",
		"{\"token\":\"\\u00e9\"}",
		"{\"token\":\"\"}",
		"{}",
		"[]",
		"",
		"<html>",
		"{\"token\":1}",
		"{\"token\":\"a\",\"expires_in\":\"60\"}",
		"{\"token\":\"a\",\"expires_in\":-1}",
		"{\"token\":\"a\",\"refresh_token\":\"a\\nb\"}",
		"{\"token\":\"a\\u0000b\"}",
	};
	struct registry_token t;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_ERROR(parse_token(bad[i], &t, &err), ERROR_INVALID);
		CHECK(!t.token && !t.refresh_token);
	}
}

TEST(a_token_without_end_is_refused)
{
	_cleanup_buffer_ struct buffer json = {0};
	struct registry_token t;
	struct error err;

	buffer_append_text(&json, "{\"token\":\"");
	while (json.size <= REGISTRY_TOKEN_MAX + 10)
		buffer_append_text(&json, "aaaaaaaaaaaaaaaa");
	buffer_append_text(&json, "\"}");
	CHECK_ERROR(registry_token_parse(json.data, json.size, &t, &err), ERROR_LIMIT);
	CHECK_ERROR(registry_token_parse(json.data, (size_t)REGISTRY_JSON_MAX + 1, &t, &err), ERROR_LIMIT);
}

TEST(a_refusal_is_one_short_line_whatever_its_form)
{
	static const struct {
		const char *body, *code, *text;
	} rows[] = {
		{"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\","
		 "\"detail\":{\"Tag\":\"x\"}}]}",
			"MANIFEST_UNKNOWN", "manifest unknown"},
		{"{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\",\"detail\":"
		 "[{\"Type\":\"repository\",\"Class\":\"\",\"Name\":\"library/x\",\"Action\":\"pull\"}]}]}\n",
			"UNAUTHORIZED", "authentication required (UNAUTHORIZED)"},
		{"{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"You have reached your pull rate "
		 "limit.\"}]}",
			"TOOMANYREQUESTS", "You have reached your pull rate limit. (TOOMANYREQUESTS)"},
		{"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"denied\"}]}", "DENIED", "denied"},
		{"{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"unknown error\",\"detail\":\"disk full\"},"
		 "{\"code\":\"DENIED\"},{\"code\":\"bad code\",\"message\":\"m\"},{\"message\":\"fourth\"}]}",
			"UNKNOWN", "unknown error (UNKNOWN): disk full; DENIED; m"},
		{"{\"errors\":[{\"status\":404,\"message\":\"not here\"}]}", "", "not here"},
		{"{\"errors\":[]}", "", ""},
		{"{\"errors\":[1,null,{}],\"message\":\"m\"}", "", "m"},
		{"{\"details\":\"incorrect username or password\"}", "", "incorrect username or password"},
		{"{\"error\":\"invalid_grant\",\"error_description\":\"no such user\"}", "", "no such user"},
		{"{\"error\":\"invalid_grant\"}", "", "invalid_grant"},
		{"{\"error\":{\"code\":\"DENIED\",\"message\":\"no billing\"}}", "DENIED",
			"no billing (DENIED)"},
		{"{\"a\":1}", "", ""},
		{"<html>\r\n<head><title>502 Bad\n Gateway &amp; more</title></head><body><h1>x</h1></html>",
			"", "502 Bad Gateway & more"},
		{"<!DOCTYPE html><TITLE lang=en>Log in</TITLE>", "", "Log in"},
		{"\n <!-- a > b --><style>p { x > y }</style><p>Please <b>log&nbsp;in</b>"
		 "<script>if (a<b) c>d</script> here</p>",
			"", "Please log in here"},
		{"<title></title><body>words", "", "words"},
		{"<title", "", ""},
		{"<", "", ""},
		{"404 page not found\n", "", "404 page not found"},
		{"\xef\xbb\xbfwith a mark", "", "with a mark"},
		{"\x1f\x8b\x08\x00", "", ""},
		{"red \x1b[31mtext, of which most is harmless", "",
			"red ?[31mtext, of which most is harmless"},
		{"\x1f\x8b\x08\xff\xfe\xfd\x01\x02z", "", ""},
		{"", "", ""},
		{" \n", "", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct registry_failure f;

		registry_failure_parse(rows[i].body, strlen(rows[i].body), &f);
		CHECK_TEXT(f.text, rows[i].text);
		CHECK_TEXT(f.code, rows[i].code);
	}
}

TEST(a_refusal_without_end_is_cut)
{
	_cleanup_buffer_ struct buffer json = {0}, html = {0};
	struct registry_failure f;

	buffer_append_text(&json, "{\"errors\":[{\"code\":\"A\",\"message\":\"");
	buffer_append_text(&html, "<p>");
	for (int i = 0; i < 100000; i++) {
		buffer_append_text(&json, "\xc3\xa9");
		buffer_append_text(&html, "<b>\xc3\xa9");
	}
	buffer_append_text(&json, "\"}]}");
	registry_failure_parse(json.data, json.size, &f);
	CHECK_TEXT(f.code, "A");
	CHECK_INT(strlen(f.text), sizeof f.text - 1);
	CHECK(text_ends(f.text, "\xc3\xa9..."));
	registry_failure_parse(html.data, html.size, &f);
	CHECK(text_starts(f.text, "\xc3\xa9 \xc3\xa9 ") && text_ends(f.text, "..."));
}

TEST(tags_are_listed_and_what_is_no_tag_is_refused)
{
	static const char *const bad[] = {"{\"tags\":[\"a b\"]}", "{\"tags\":[\"\\u001b[31m\"]}",
		"{\"tags\":[\"-a\"]}", "{\"tags\":[\".a\"]}", "{\"tags\":[\"\"]}", "{\"tags\":[1]}",
		"{\"tags\":{}}", "{\"tags\":[\"a/b\"]}", "[]", "{",
		"{\"tags\":["
		"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}"};
	const char *good = "{\"name\":\"a/b\",\"tags\":[\"1\",\"_x\",\"v1.2-RC_3\"]}";
	char **tags;
	struct error err;

	CHECK_OK(registry_tags_parse(good, strlen(good), &tags, &err));
	CHECK_INT(text_list_size(tags), 3);
	CHECK_TEXT(tags[2], "v1.2-RC_3");
	text_list_free(tags);
	CHECK_OK(registry_tags_parse("{\"tags\":null}", 13, &tags, &err));
	CHECK(tags && !tags[0]);
	text_list_free(tags);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_ERROR(registry_tags_parse(bad[i], strlen(bad[i]), &tags, &err), ERROR_INVALID);
		CHECK(!tags);
	}
}

TEST(repositories_are_listed)
{
	const char *json = "{\"repositories\":[\"a\",\"b/c-d__e.f/g\"]}";
	const char *bad = "{\"repositories\":[\"/etc/passwd\"]}";
	char **list;
	struct error err;

	CHECK_OK(registry_catalog_parse(json, strlen(json), &list, &err));
	CHECK_INT(text_list_size(list), 2);
	CHECK_TEXT(list[1], "b/c-d__e.f/g");
	text_list_free(list);
	CHECK_ERROR(registry_catalog_parse(bad, strlen(bad), &list, &err), ERROR_INVALID);
}

TEST(a_list_without_end_is_refused)
{
	_cleanup_buffer_ struct buffer json = {0};
	char **tags;
	struct error err;

	buffer_append_text(&json, "{\"tags\":[\"a\"");
	for (size_t i = 0; i < REGISTRY_LIST_MAX; i++)
		buffer_append_text(&json, ",\"a\"");
	buffer_append_text(&json, "]}");
	CHECK_ERROR(registry_tags_parse(json.data, json.size, &tags, &err), ERROR_LIMIT);
}

TEST(both_forms_of_search_results_are_read)
{
	const char *hub =
		"{\"num_pages\":2,\"num_results\":30,\"page\":1,\"page_size\":25,\"query\":\"alp\","
		"\"results\":["
		"{\"is_automated\":false,\"name\":\"alpine\",\"is_trusted\":false,\"is_official\":true,"
		"\"star_count\":11000,\"description\":\"A minimal\\nimage\\u001b[2J\"},"
		"{\"name\":\"acme/alpine\",\"description\":null,\"star_count\":-1}]}";
	const char *quay =
		"{\"results\":[{\"kind\":\"repository\",\"title\":\"repo\",\"namespace\":{\"kind\":"
		"\"organization\",\"name\":\"coreos\"},\"name\":\"etcd\",\"description\":\"d\",\"is_public\":"
		"true,\"score\":4.0,\"href\":\"/repository/coreos/etcd\",\"stars\":12,\"popularity\":3.5},"
		"{\"kind\":\"application\",\"namespace\":{\"name\":\"x\"},\"name\":\"app\"}],"
		"\"has_additional\":false,\"page\":1,\"page_size\":10,\"start_index\":0}";
	struct registry_search s;
	struct error err;

	CHECK_OK(registry_search_parse(hub, strlen(hub), &s, &err));
	CHECK_INT(s.count, 2);
	CHECK(s.more && s.list[0].official && !s.list[1].official);
	CHECK_TEXT(s.list[0].name, "alpine");
	CHECK_TEXT(s.list[0].description, "A minimal image?[2J");
	CHECK_INT(s.list[0].stars, 11000);
	CHECK_TEXT(s.list[1].name, "acme/alpine");
	CHECK_TEXT(s.list[1].description, "");
	CHECK_INT(s.list[1].stars, 0);
	registry_search_free(&s);

	CHECK_OK(registry_search_parse(quay, strlen(quay), &s, &err));
	CHECK_INT(s.count, 1);
	CHECK(!s.more);
	CHECK_TEXT(s.list[0].name, "coreos/etcd");
	CHECK_INT(s.list[0].stars, 12);
	registry_search_free(&s);
}

TEST(search_results_of_another_form_are_refused)
{
	static const char *const bad[] = {"{}", "{\"results\":{}}", "{\"results\":[{}]}", "{\"results\":[1]}",
		"{\"results\":[{\"name\":\"a\"},{\"name\":\"a b\"}]}",
		"{\"results\":[{\"name\":\"a\",\"description\":7}]}", "not found"};
	struct registry_search s;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_ERROR(registry_search_parse(bad[i], strlen(bad[i]), &s, &err), ERROR_INVALID);
		CHECK(!s.list && s.count == 0);
	}
}

TEST(a_printable_line_keeps_text_and_nothing_that_drives_a_terminal)
{
	static const struct {
		const char *text, *line;
		size_t replaced;
	} rows[] = {
		{" a \t\r\n b ", "a b", 0},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 0},
		{"\x1b]0;x\x07", "?]0;x?", 2},
		{"\xc2\x9b"
		 "31m",
			"?31m", 1}, /* a C1 control sequence */
		{"a\xe2\x80\xae"
		 "b",
			"a?b", 1},                    /* turns the direction */
		{"\xe2\x80\xa8", "?", 1},             /* a line separator */
		{"\xc0\xaf\xed\xa0\x80", "?????", 5}, /* overlong; half a pair */
		{"\xf4\x90\x80\x80", "????", 4},      /* over U+10FFFF */
		{"\xe2\x82", "??", 2},                /* cut */
		{"0123456789abcdefghij", "0123456789abcdefghij", 0},
		{"0123456789abcdefghijk", "0123456789abcdefg...", 0},
		{"0123456789abcdef\xe2\x82\xac\xe2\x82\xac", "0123456789abcdef...", 0},
	};
	char line[21];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CHECK_INT(printable_line(rows[i].text, strlen(rows[i].text), line, sizeof line),
			rows[i].replaced);
		CHECK_TEXT(line, rows[i].line);
	}
	CHECK_INT(printable_line("a\0b", 3, line, sizeof line), 1);
	CHECK_TEXT(line, "a?b");
}
