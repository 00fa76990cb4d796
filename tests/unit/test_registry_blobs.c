/* SPDX-License-Identifier: Apache-2.0 */
/* The client of registries against a server that answers from tables: what is fetched and sent, and what is
 * believed of the answers. */
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

/* ---- manifests -------------------------------------------------------------------------------------- */

#define EMPTY_DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" /* of "{}" */

TEST(a_manifest_is_what_its_digest_says)
{
	static const struct http_answer table[] = {
		{.target = "/v2/a/b/manifests/" EMPTY_DIGEST,
			.status = 200,
			.times = 1,
			.headers = "Content-Type: application/json; charset=utf-8\r\n"
				   "Docker-Content-Digest: sha512:who-knows\r\n",
			.body = "{}"},
		{.target = "/v2/a/b/manifests/" EMPTY_DIGEST,
			.status = 200,
			.times = 1,
			.headers = JSON "Docker-Content-Digest: " BLOB "\r\n",
			.body = "{}"},
		{.target = "/v2/a/b/manifests/" EMPTY_DIGEST, .status = 200, .headers = JSON, .body = "{ }"},
		END,
	};
	struct scene s = scene_make(table);
	struct registry_manifest m;
	struct error err = {0};

	scene_open(&s);
	CHECK_OK(registry_manifest_get(s.registry, EMPTY_DIGEST, &m, &err));
	CHECK_TEXT(m.digest, EMPTY_DIGEST);
	CHECK_TEXT(m.media_type, "application/json");
	CHECK_INT(m.size, 2);
	registry_manifest_free(&m);
	for (int i = 0; i < 2; i++)
		CHECK_ERROR(registry_manifest_get(s.registry, EMPTY_DIGEST, &m, &err), ERROR_CORRUPT);
	scene_end(&s);
}

TEST(what_is_no_manifest_is_refused)
{
	static const struct {
		const char *body;
		size_t size;
	} rows[] = {{"<html><title>Sign in</title></html>", 0}, {"", 0}, {" \n", 0}, {"\0{}", 3}, {"[]", 0}};
	_cleanup_free_ char *large = calloc(1, OCI_JSON_MAX + 1);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct http_answer table[] = {
			{.target = MANIFEST, .status = 200, .body = rows[i].body, .size = rows[i].size}, END};
		struct error err = {0};

		CHECK_ERROR(scene_try(table, &err), ERROR_INVALID);
	}
	CHECK(large);
	memset(large, ' ', OCI_JSON_MAX + 1);
	large[0] = '{';
	{
		const struct http_answer table[] = {
			{.target = MANIFEST, .status = 200, .body = large, .size = OCI_JSON_MAX + 1}, END};
		struct error err = {0};

		CHECK_ERROR(scene_try(table, &err), ERROR_LIMIT);
	}
}

TEST(a_manifest_that_broke_off_is_fetched_again)
{
	static const struct http_answer table[] = {
		{.target = MANIFEST, .times = 1, .status = 200, .headers = JSON, .body = "{   }", .cut = 2},
		{.target = MANIFEST, .status = 200, .headers = JSON, .body = "{   }"},
		END,
	};
	struct error err = {0};

	CHECK_OK(scene_try(table, &err));
}

TEST(a_head_tells_digest_and_size_or_that_it_does_not)
{
	static const struct http_answer table[] = {
		{.method = "HEAD",
			.target = MANIFEST,
			.times = 1,
			.status = 200,
			.headers = JSON "Docker-Content-Digest: " EMPTY_DIGEST "\r\nContent-Length: 2\r\n"},
		{.method = "HEAD",
			.target = MANIFEST,
			.times = 1,
			.status = 200,
			.headers = "Docker-Content-Digest: md5:x\r\nContent-Length: 99999999999\r\n"},
		END,
	};
	struct scene s = scene_make(table);
	struct registry_manifest m;
	struct error err = {0};

	scene_open(&s);
	CHECK_OK(registry_manifest_head(s.registry, "1", &m, &err));
	CHECK_TEXT(m.digest, EMPTY_DIGEST);
	CHECK_INT(m.size, 2);
	registry_manifest_free(&m);
	CHECK_OK(registry_manifest_head(s.registry, "1", &m, &err));
	CHECK_TEXT(m.digest, "");
	CHECK_TEXT(m.media_type, "");
	CHECK_INT(m.size, 0);
	registry_manifest_free(&m);
	CHECK_ERROR(registry_manifest_head(s.registry, "1", &m, &err), ERROR_NOT_FOUND);
	scene_end(&s);
}

/* ---- ranges of blobs -------------------------------------------------------------------------------- */

#define BLOB_PATH "/v2/a/b/blobs/" BLOB

static int add(void *context, const uint8_t *bytes, size_t n, struct error *err)
{
	(void)err;
	buffer_append(context, bytes, n);
	return 0;
}

/* Bytes 4 to 7 of 10. */
static int get_range(const struct http_answer *table, struct registry_place *place, bool *again, char got[16],
	struct error *err)
{
	struct scene s = scene_make(table);
	_cleanup_buffer_ struct buffer bytes = {0};
	int r;

	scene_open(&s);
	r = registry_blob_get(s.registry, place, BLOB, 4, 4, 10, add, &bytes, again, err);
	snprintf(got, 16, "%.*s", (int)bytes.size, bytes.size ? (const char *)bytes.data : "");
	scene_end(&s);
	return r;
}

TEST(ranges_of_a_blob_are_what_was_asked_for)
{
	static const struct {
		const char *headers, *body;
		size_t cut;
		enum error_code code;
		bool again;
		const char *got;
	} rows[] = {
		{"Content-Range: bytes 4-7/10\r\n", "4567", 0, ERROR_NONE, false, "4567"},
		{"Content-Range: bytes 4-7/*\r\n", "4567", 0, ERROR_NONE, false, "4567"},
		{"Content-Range: bytes 4-7/11\r\n", "4567", 0, ERROR_INVALID, false, ""},
		{"Content-Range: bytes 0-3/10\r\n", "0123", 0, ERROR_INVALID, false, ""},
		{"Content-Range: bytes 4-6/10\r\n", "456", 0, ERROR_CLOSED, true, "456"},
		{"Content-Range: bytes 4-7/10\r\n", "4567", 2, ERROR_CLOSED, true, "45"},
		{"Content-Range: bytes 4-9/10\r\n", "456789", 0, ERROR_INVALID, false, ""},
		{"Content-Range: lines 4-7/10\r\n", "4567", 0, ERROR_UNAVAILABLE, false, ""},
		{"", "4567", 0, ERROR_UNAVAILABLE, false, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct http_answer table[] = {
			{.target = BLOB_PATH,
				.when = "range: bytes=4-7\r\n",
				.status = 206,
				.headers = rows[i].headers,
				.body = rows[i].body,
				.cut = rows[i].cut},
			END,
		};
		struct registry_place place = {0};
		struct error err = {0};
		char got[16];
		bool again;
		int r = get_range(table, &place, &again, got, &err);

		if (r != -(int)rows[i].code || again != rows[i].again)
			test_fail(__FILE__, __LINE__, "row %zu: %d, again %d: %s", i, r, again, err.text);
		CHECK_TEXT(got, rows[i].got);
		registry_place_free(&place);
	}
}

TEST(a_server_without_ranges_is_found_out_before_a_byte_is_taken)
{
	static const struct http_answer table[] = {
		{.target = BLOB_PATH, .status = 200, .body = "0123456789"}, END};
	struct registry_place place = {0};
	struct error err = {0};
	char got[16];
	bool again;

	CHECK_ERROR(get_range(table, &place, &again, got, &err), ERROR_UNAVAILABLE);
	CHECK_TEXT(got, "");
	CHECK(place.whole);
	CHECK_ERROR(get_range(table, &place, &again, got, &err), ERROR_UNAVAILABLE);
	registry_place_free(&place);
}

TEST(a_blob_that_is_larger_than_said_is_cut_off)
{
	static const struct http_answer table[] = {
		{.target = BLOB_PATH, .status = 200, .body = "0123456789ab"}, END};
	struct scene s = scene_make(table);
	_cleanup_buffer_ struct buffer bytes = {0};
	struct registry_place place = {0};
	struct error err = {0};
	bool again;

	scene_open(&s);
	CHECK_ERROR(registry_blob_get(s.registry, &place, BLOB, 0, 10, 10, add, &bytes, &again, &err),
		ERROR_INVALID);
	CHECK(!again && bytes.size <= 10);
	scene_end(&s);
}

TEST(where_a_blob_is_is_kept_and_asked_for_anew_when_it_has_gone_stale)
{
	static const struct http_answer elsewhere[] = {
		{.target = "/x?signed=1",
			.times = 2,
			.status = 206,
			.headers = "Content-Range: bytes 4-7/10\r\n",
			.body = "4567"},
		{.target = "/x?signed=1", .status = 403, .body = "<Error><Code>ExpiredToken</Code></Error>"},
		{.target = "/x?signed=2",
			.status = 206,
			.headers = "Content-Range: bytes 4-7/10\r\n",
			.body = "4567"},
		END,
	};
	static const struct http_answer table[] = {
		{.target = BLOB_PATH,
			.times = 1,
			.status = 307,
			.headers = "Location: {other}/x?signed=1\r\n"},
		{.target = BLOB_PATH, .status = 307, .headers = "Location: {other}/x?signed=2\r\n"},
		END,
	};
	struct http_server *other = http_server_start(elsewhere, NULL);
	struct scene s = scene_prepare(table, other);
	struct registry_place place = {0};
	_cleanup_buffer_ struct buffer bytes = {0};
	struct error err = {0};
	bool again;

	scene_open(&s);
	for (int i = 0; i < 2; i++)
		CHECK_OK(registry_blob_get(s.registry, &place, BLOB, 4, 4, 10, add, &bytes, &again, &err));
	CHECK_INT(http_server_count(s.server, "GET"), 1);
	CHECK(registry_blob_get(s.registry, &place, BLOB, 4, 4, 10, add, &bytes, &again, &err) < 0);
	CHECK(again && !place.url);
	CHECK_OK(registry_blob_get(s.registry, &place, BLOB, 4, 4, 10, add, &bytes, &again, &err));
	registry_place_free(&place);
	scene_end(&s);
	http_server_stop(other);
}

/* ---- uploads ---------------------------------------------------------------------------------------- */

#define UPLOADS "/v2/a/b/blobs/uploads/"
#define DONE(target_) \
	{ \
		.method = "PUT", .target = target_ "digest=" BLOB, .status = 201 \
	}

/* "0123456789" goes up; what the server took is `received`. */
static int put(const struct http_answer *table, const char *received, char **log, struct error *err)
{
	struct scene s = scene_make(table);
	_cleanup_fd_ int fd = memfd_create("blob", MFD_CLOEXEC);
	const char *bytes;
	size_t n;
	int r;

	CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10);
	s.options.push = true;
	scene_open(&s);
	r = registry_blob_put(s.registry, BLOB, fd, 10, NULL, NULL, err);
	bytes = http_server_received(s.server, &n);
	if (received && (n != strlen(received) || (n && memcmp(bytes, received, n) != 0)))
		test_fail(__FILE__, __LINE__, "the server took '%.*s': %s", (int)n, bytes,
			http_server_log(s.server));
	if (log)
		*log = text_copy(http_server_log(s.server), NULL);
	scene_end(&s);
	return r;
}

TEST(an_upload_goes_on_at_the_place_that_is_named)
{
	static const struct http_answer relative[] = {
		{.method = "POST", .target = UPLOADS, .status = 202, .headers = "Location: " UPLOADS "1\r\n"},
		{.method = "PATCH",
			.target = UPLOADS "1",
			.when = "content-range: 0-9\r\n",
			.status = 202,
			.headers = "Location: 2?_state=x%2Fy\r\nRange: 0-9\r\n"},
		DONE(UPLOADS "2?_state=x%2Fy&"),
		END,
	};
	static const struct http_answer absolute[] = {
		{.method = "POST", .target = UPLOADS, .status = 202, .headers = "Location: {url}/up?a=1\r\n"},
		{.method = "PATCH", .target = "/up?a=1", .status = 202, .headers = "Location: {url}/up\r\n"},
		DONE("/up?"),
		END,
	};
	struct error err = {0};

	CHECK_OK(put(relative, "0123456789", NULL, &err));
	CHECK_OK(put(absolute, "0123456789", NULL, &err));
}

TEST(an_upload_follows_redirects_that_keep_its_method)
{
	static const struct http_answer table[] = {
		{.method = "POST",
			.target = UPLOADS,
			.status = 307,
			.headers = "Location: /v2/moved/up/?x=1\r\n"},
		{.method = "POST",
			.target = "/v2/moved/up/?x=1",
			.status = 202,
			.headers = "Location: 1\r\n"},
		{.method = "PATCH", .target = "/v2/moved/up/1", .status = 308, .headers = "Location: /2\r\n"},
		{.method = "PATCH", .target = "/2", .status = 202, .headers = "Location: /3\r\n"},
		{.method = "PUT",
			.target = "/3?digest=" BLOB,
			.status = 307,
			.headers = "Location: /4?digest=" BLOB "\r\n"},
		DONE("/4?"),
		END,
	};
	static const struct http_answer other_method[] = {
		{.method = "POST", .target = UPLOADS, .status = 302, .headers = "Location: /x\r\n"},
		{.target = "/x", .status = 202, .headers = "Location: /y\r\n"},
		END,
	};
	struct error err = {0};

	CHECK_OK(put(table, "0123456789", NULL, &err));
	CHECK_ERROR(put(other_method, "", NULL, &err), ERROR_INVALID);
}

TEST(an_upload_that_names_no_place_or_a_bad_one_fails)
{
	static const char *const rows[] = {
		"", "Location: file:///etc/x\r\n", "Location: http://a:b@127.0.0.1/\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct http_answer table[] = {
			{.method = "POST", .target = UPLOADS, .status = 202, .headers = rows[i]}, END};
		struct error err = {0};
		int r = put(table, "", NULL, &err);

		CHECK(r == -ERROR_INVALID || r == -ERROR_DENIED);
	}
}

#define STARTS \
	{ \
		.method = "POST", .target = UPLOADS, .status = 202, .headers = "Location: " UPLOADS "1\r\n" \
	}

TEST(an_upload_that_was_interrupted_goes_on_where_the_registry_stands)
{
	static const int statuses[] = {0, 416, 500, 503};

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		const struct http_answer table[] = {
			STARTS,
			{.method = "PATCH", .target = UPLOADS "1", .times = 1, .status = statuses[i]},
			{.method = "GET",
				.target = UPLOADS "1",
				.status = 204,
				.headers = "Range: 0-3\r\nLocation: " UPLOADS "2\r\n"},
			{.method = "PATCH",
				.target = UPLOADS "2",
				.when = "content-range: 4-9\r\n",
				.status = 202,
				.headers = "Location: " UPLOADS "3\r\n"},
			DONE(UPLOADS "3?"),
			END,
		};
		struct error err = {0};

		CHECK_OK(put(table, "456789", NULL, &err));
	}
}

TEST(an_upload_that_the_registry_forgot_or_tells_nothing_of_begins_anew)
{
	static const struct http_answer forgot[] = {
		STARTS,
		{.method = "PATCH", .target = UPLOADS "1", .times = 1, .status = 404},
		{.method = "PATCH",
			.target = UPLOADS "1",
			.when = "content-range: 0-9\r\n",
			.status = 202,
			.headers = "Location: " UPLOADS "3\r\n"},
		DONE(UPLOADS "3?"),
		END,
	};
	static const struct http_answer silent[] = {
		STARTS,
		{.method = "PATCH", .target = UPLOADS "1", .times = 1, .status = 503},
		{.method = "GET", .target = UPLOADS "1", .status = 405},
		{.method = "PATCH",
			.target = UPLOADS "1",
			.when = "content-range: 0-9\r\n",
			.status = 202,
			.headers = "Location: " UPLOADS "3\r\n"},
		DONE(UPLOADS "3?"),
		END,
	};
	struct error err = {0};

	CHECK_OK(put(forgot, "0123456789", NULL, &err));
	CHECK_OK(put(silent, "0123456789", NULL, &err));
}

TEST(an_upload_whose_last_answer_was_lost_is_done_where_the_blob_is_there)
{
	static const struct http_answer lost[] = {
		STARTS,
		{.method = "PATCH",
			.target = UPLOADS "1",
			.status = 202,
			.headers = "Location: " UPLOADS "3\r\n"},
		{.method = "PUT", .target = "*", .times = 1, .status = 0},
		{.method = "PUT", .target = "*", .status = 404},
		{.method = "HEAD", .target = BLOB_PATH, .status = 200},
		END,
	};
	static const struct http_answer gone[] = {
		STARTS,
		{.method = "PATCH",
			.target = UPLOADS "1",
			.status = 202,
			.headers = "Location: " UPLOADS "3\r\n"},
		{.method = "PUT", .target = "*", .times = 1, .status = 404},
		{.method = "HEAD", .target = BLOB_PATH, .status = 404},
		DONE(UPLOADS "3?"),
		END,
	};
	static const struct http_answer refused[] = {
		STARTS,
		{.method = "PATCH",
			.target = UPLOADS "1",
			.status = 202,
			.headers = "Location: " UPLOADS "3\r\n"},
		{.method = "PUT",
			.target = "*",
			.status = 400,
			.body = "{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"no\"}]}"},
		END,
	};
	struct error err = {0};

	CHECK_OK(put(lost, NULL, NULL, &err));
	CHECK_OK(put(gone, "01234567890123456789", NULL, &err));
	CHECK_ERROR(put(refused, NULL, NULL, &err), ERROR_INVALID);
	CHECK(strstr(err.text, "DIGEST_INVALID"));
}

TEST(a_piece_goes_up_whole_again_when_the_token_ends_in_the_middle)
{
	static const struct http_answer table[] = {
		{.target = "/token*", .times = 1, .status = 200, .body = "{\"token\":\"one\"}"},
		{.target = "/token*", .status = 200, .body = "{\"token\":\"two\"}"},
		{.method = "POST",
			.target = UPLOADS,
			.when = "bearer one",
			.status = 202,
			.headers = "Location: " UPLOADS "1\r\n"},
		{.method = "PATCH",
			.target = UPLOADS "1",
			.when = "bearer two",
			.status = 202,
			.headers = "Location: " UPLOADS "3\r\n"},
		{.method = "PUT", .target = UPLOADS "3?digest=" BLOB, .when = "bearer two", .status = 201},
		ASKS,
		END,
	};
	struct error err = {0};

	CHECK_OK(put(table, "0123456789", NULL, &err));
}

TEST(an_upload_that_never_moves_ends)
{
	static const struct http_answer table[] = {
		STARTS, {.method = "PATCH", .target = "*", .status = 404}, END};
	struct error err = {0};
	_cleanup_free_ char *log = NULL;

	CHECK_ERROR(put(table, "", &log, &err), ERROR_NOT_FOUND);
}

TEST(a_blob_is_mounted_or_is_to_be_uploaded)
{
	static const struct http_answer table[] = {
		{.method = "POST", .target = UPLOADS "?mount=" BLOB "&from=c%2Fd", .times = 1, .status = 201},
		{.method = "POST",
			.target = UPLOADS "?mount=" BLOB "&from=c%2Fd",
			.status = 202,
			.headers = "Location: " UPLOADS "1\r\n"},
		END,
	};
	struct scene s = scene_make(table);
	struct error err = {0};
	bool done;

	s.options.push = true;
	scene_open(&s);
	CHECK_OK(registry_blob_mount(s.registry, BLOB, "c/d", &done, &err));
	CHECK(done);
	CHECK_OK(registry_blob_mount(s.registry, BLOB, "c/d", &done, &err));
	CHECK(!done);
	scene_end(&s);
}

/* ---- lists ------------------------------------------------------------------------------------------ */

#define TAGS "/v2/a/b/tags/list"

TEST(tags_are_listed_over_all_pages)
{
	static const struct http_answer table[] = {
		{.target = TAGS,
			.status = 200,
			.headers = "Link: <" TAGS "?last=2&n=2>; rel=\"next\"\r\n",
			.body = "{\"name\":\"a/b\",\"tags\":[\"1\",\"2\"]}"},
		{.target = TAGS "?last=2&n=2",
			.status = 200,
			.headers = "Link: <{url}" TAGS "?last=3>; rel=next\r\n",
			.body = "{\"name\":\"a/b\",\"tags\":[\"3\"]}"},
		{.target = TAGS "?last=3", .status = 200, .body = "{\"name\":\"a/b\",\"tags\":null}"},
		END,
	};
	struct scene s = scene_make(table);
	_cleanup_text_list_ char **tags = NULL;
	struct error err = {0};

	scene_open(&s);
	CHECK_OK(registry_tags(s.registry, &tags, &err));
	CHECK_INT(text_list_size(tags), 3);
	CHECK_TEXT(tags[2], "3");
	scene_end(&s);
}

TEST(pages_stay_at_the_registry_and_have_an_end)
{
	static const struct http_answer leaves[] = {
		{.target = TAGS,
			.status = 200,
			.headers = "Link: <http://127.0.0.1:1/x>; rel=\"next\"\r\n",
			.body = "{\"tags\":[\"1\"]}"},
		END};
	static const struct http_answer circle[] = {
		{.target = TAGS,
			.status = 200,
			.headers = "Link: <?a>; rel=\"next\"\r\n",
			.body = "{\"tags\":[\"1\"]}"},
		{.target = TAGS "?a",
			.status = 200,
			.headers = "Link: <?b>; rel=\"next\"\r\n",
			.body = "{\"tags\":[\"1\"]}"},
		{.target = TAGS "?b",
			.status = 200,
			.headers = "Link: <?c>; rel=\"next\"\r\n",
			.body = "{\"tags\":[\"1\"]}"},
		{.target = TAGS "?c",
			.status = 200,
			.headers = "Link: <?a>; rel=\"next\"\r\n",
			.body = "{\"tags\":[\"1\"]}"},
		END,
	};
	struct scene s = scene_make(leaves);
	struct error err = {0};
	char **tags;

	scene_open(&s);
	CHECK_ERROR(registry_tags(s.registry, &tags, &err), ERROR_INVALID);
	scene_end(&s);
	s = scene_make(circle);
	scene_open(&s);
	CHECK_ERROR(registry_tags(s.registry, &tags, &err), ERROR_LIMIT);
	CHECK(http_server_count(s.server, "GET") < 20);
	scene_end(&s);
}

TEST(referrers_come_from_the_interface_or_from_the_tag_that_stands_for_it)
{
#define INDEX \
	"{\"schemaVersion\":2,\"mediaType\":\"application/" \
	"vnd.oci.image.index.v1+json\",\"manifests\":[{\"mediaType\":" \
	"\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" EMPTY_DIGEST "\",\"size\":2}]}"
#define INDEX_TYPE "Content-Type: application/vnd.oci.image.index.v1+json\r\n"
	static const struct http_answer new[] = {
		{.target = "/v2/a/b/referrers/" BLOB, .status = 200, .headers = INDEX_TYPE, .body = INDEX},
		END};
	static const struct http_answer old[] = {{.target = "/v2/a/b/manifests/sha256-84d8*",
							 .status = 200,
							 .headers = INDEX_TYPE,
							 .body = INDEX},
		END};
	static const struct http_answer none[] = {END};
	static const struct http_answer *const tables[] = {new, old, none};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		struct scene s = scene_make(tables[i]);
		struct oci_index index;
		struct error err = {0};

		scene_open(&s);
		CHECK_OK(registry_referrers(s.registry, BLOB, &index, &err));
		CHECK_INT(index.count, i < 2);
		/* What is not there is not asked for by GET, which counts. */
		CHECK_INT(http_server_count(s.server, "GET /v2/a/b/manifests/"), i == 1);
		oci_index_free(&index);
		scene_end(&s);
	}
}

/* ---- how it is spoken to ---------------------------------------------------------------------------- */

TEST(without_tls_only_loopback_and_what_is_configured_is_spoken_to)
{
	static const struct http_answer table[] = {
		{.target = MANIFEST, .status = 200, .headers = JSON, .body = "{}"}, END};
	struct scene s = scene_make(table);
	struct error err = {0};

	/* TLS is tried first; the server hangs up. */
	s.endpoint.plain_http = false;
	scene_open(&s);
	CHECK_OK(scene_get(&s, &err));
	CHECK(text_starts(registry_url(s.registry), "http://127.0.0.1:"));
	scene_end(&s);
}

TEST(a_registry_that_stops_is_left_at_once)
{
	static const struct http_answer table[] = {
		{.target = MANIFEST, .status = 503, .headers = "Retry-After: 50\r\n"}, END};
	struct scene s = scene_make(table);
	atomic_bool stop = true;
	uint64_t started = clock_monotonic();
	struct error err = {0};

	s.options.stop = &stop;
	scene_open(&s);
	CHECK_ERROR(scene_get(&s, &err), ERROR_CLOSED);
	CHECK(clock_monotonic() - started < 30 * NANOSECONDS_PER_SECOND);
	scene_end(&s);
}
