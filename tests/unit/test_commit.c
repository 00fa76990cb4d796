/* SPDX-License-Identifier: Apache-2.0 */
/* An image with one layer more: what becomes of the base's config and manifest. */
#include "test.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/oci_json.h"
#include "oci/commit_config.h"

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define DIGEST_C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static const struct layer a_layer = {
	.diff_id = DIGEST_B, .digest = DIGEST_C, .size = 77, .entries = 3, .newest = 1700000000};

/* With members out of the usual order and one that nobody knows. */
static const char base[] =
	"{\"os\":\"linux\",\"strange\":{\"z\":1,\"a\":[2]},\"architecture\":\"amd64\",\"author\":\"who\","
	"\"created\":\"2020-01-02T03:04:05.678Z\",\"config\":{\"Env\":[\"PATH=/bin\",\"A=1\"],"
	"\"Cmd\":[\"sh\"],\"WorkingDir\":\"/srv\",\"Labels\":{\"x\":\"y\"}},"
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST_A "\"]},"
	"\"history\":[{\"created_by\":\"ADD rootfs\"}]}";

/* The new config as text. The caller frees it. */
static char *config_of(const char *from, const struct layer *layer, const struct commit_options *o)
{
	struct buffer out = {0};
	struct error err;

	CHECK_OK(commit_config(from, strlen(from), layer, o, &out, &err));
	buffer_u8(&out, 0);
	return (char *)out.data;
}

static void expect_config(const struct commit_options *o, const char *expected)
{
	_cleanup_free_ char *text = config_of(base, &a_layer, o);

	CHECK_TEXT(text, expected);
}

/* The member "config" once these changes are made to `from`. */
static void expect_changed(const char *from, char *const *changes, const char *expected)
{
	_cleanup_free_ char *whole = NULL, *text = NULL, *member = NULL;
	struct error err;
	json_t *root;

	(void)err;
	CHECK(asprintf(&whole,
		      "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":%s,\"rootfs\":{\"diff_ids\":[]"
		      "}}",
		      from) > 0);
	text = config_of(whole, &a_layer, &(struct commit_options){.changes = changes});
	root = json_loads(text, 0, NULL);
	member = json_dumps(json_object_get(root, "config"), JSON_COMPACT);
	json_decref(root);
	CHECK_TEXT(member, expected);
}

#define CHANGES(...) ((char *const[]){__VA_ARGS__, NULL})

static void expect_refused(char *change)
{
	_cleanup_buffer_ struct buffer out = {0};
	char *const changes[] = {change, NULL};
	struct error err;

	CHECK_ERROR(commit_config(base, strlen(base), &a_layer, &(struct commit_options){.changes = changes},
			    &out, &err),
		ERROR_USAGE);
}

TEST(a_config_keeps_what_it_has_and_its_order)
{
	expect_config(&(struct commit_options){.author = "me", .comment = "why", .created_by = "sh -c x"},
		"{\"os\":\"linux\",\"strange\":{\"z\":1,\"a\":[2]},\"architecture\":\"amd64\",\"author\":"
		"\"me\","
		"\"created\":\"2023-11-14T22:13:20Z\",\"config\":{\"Env\":[\"PATH=/bin\",\"A=1\"],"
		"\"Cmd\":[\"sh\"],\"WorkingDir\":\"/srv\",\"Labels\":{\"x\":\"y\"}},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST_A "\",\"" DIGEST_B "\"]},"
		"\"history\":[{\"created_by\":\"ADD rootfs\"},{\"created\":\"2023-11-14T22:13:20Z\","
		"\"created_by\":\"sh -c x\",\"author\":\"me\",\"comment\":\"why\"}]}");
}

TEST(an_empty_layer_is_only_history)
{
	_cleanup_buffer_ struct buffer out = {0};
	const struct layer none = {.diff_id = DIGEST_B, .digest = DIGEST_C, .newest = INT64_MIN};
	_cleanup_free_ char *text = config_of(base, &none, &(struct commit_options){0});
	struct oci_manifest m;
	struct error err;
	static const char manifest[] =
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" COMMIT_CONFIG_MEDIA_TYPE
		"\",\"digest\":\"" DIGEST_A "\",\"size\":1},\"layers\":[]}";

	CHECK(strstr(text, "\"diff_ids\":[\"" DIGEST_A "\"]"));
	CHECK(strstr(text, "{\"created\":\"2020-01-02T03:04:05.678Z\",\"empty_layer\":true}]"));
	CHECK_OK(commit_manifest(manifest, strlen(manifest), &none, DIGEST_B, 5, &out, &err));
	CHECK_OK(oci_manifest_parse(out.data, out.size, &m, &err));
	CHECK_INT(m.count, 0);
	oci_manifest_free(&m);
}

TEST(a_base_without_a_history_gets_none_made_up)
{
	_cleanup_free_ char *text =
		config_of("{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[]}}",
			&a_layer, &(struct commit_options){.comment = "x"});

	CHECK_TEXT(text, "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"" DIGEST_B
			 "\"]},\"created\":\"2023-11-14T22:13:20Z\",\"config\":{}}");
}

TEST(an_image_is_never_older_than_its_base)
{
	static const struct {
		const char *base;
		int64_t newest;
		const char *created;
	} cases[] = {{"2023-11-14T22:13:20Z", 1700000000, "2023-11-14T22:13:20Z"},
		{"2023-11-14T22:13:20.5Z", 1700000001, "2023-11-14T22:13:21Z"},
		{"2023-11-14T23:13:21+01:00", 1700000000, "2023-11-14T23:13:21+01:00"},
		{"2023-11-14T20:13:19-02:00", 1700000000, "2023-11-14T22:13:20Z"},
		{"2030-01-01T00:00:00Z", 1700000000, "2030-01-01T00:00:00Z"},
		{"yesterday", 1700000000, "2023-11-14T22:13:20Z"},
		{"2023-11-14T22:13:20Z", INT64_MAX, "2023-11-14T22:13:20Z"},
		{"2023-11-14T22:13:20Z", -5, "2023-11-14T22:13:20Z"}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct layer layer = a_layer;
		_cleanup_free_ char *from = NULL, *text = NULL;
		json_t *root;

		layer.newest = cases[i].newest;
		CHECK(asprintf(&from,
			      "{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"%s\",\"rootfs\":{"
			      "\"diff_ids\":[]}}",
			      cases[i].base) > 0);
		text = config_of(from, &layer, &(struct commit_options){0});
		root = json_loads(text, 0, NULL);
		CHECK_TEXT(json_string_value(json_object_get(root, "created")), cases[i].created);
		json_decref(root);
	}
}

TEST(an_image_runs_as_the_sandbox_was_run)
{
	const struct commit_run run = {.entrypoint = CHANGES("/init"),
		.cmd = (char *const[]){NULL},
		.env = CHANGES("B=2"),
		.labels = CHANGES("x=z", "n="),
		.workdir = "/",
		.user = "7:8",
		.stop_signal = "SIGINT"};
	_cleanup_free_ char *text = config_of(base, &a_layer, &(struct commit_options){.run = &run});

	CHECK(strstr(text,
		"\"config\":{\"Env\":[\"B=2\"],\"WorkingDir\":\"/\",\"Labels\":{\"x\":\"z\",\"n\":\"\"},"
		"\"Entrypoint\":[\"/init\"],\"User\":\"7:8\",\"StopSignal\":\"SIGINT\"}"));
}

TEST(commands_have_a_json_and_a_shell_form)
{
	expect_changed("{}", CHANGES("CMD [\"a\", \"b c\"]"), "{\"Cmd\":[\"a\",\"b c\"]}");
	expect_changed("{}", CHANGES("cmd  echo  $HOME "), "{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo  $HOME\"]}");
	expect_changed("{\"Shell\":[\"/bin/bash\",\"-ec\"]}", CHANGES("ENTRYPOINT exec x"),
		"{\"Shell\":[\"/bin/bash\",\"-ec\"],\"Entrypoint\":[\"/bin/bash\",\"-ec\",\"exec x\"]}");
	expect_changed("{\"Cmd\":[\"x\"]}", CHANGES("CMD []"), "{}");
}

TEST(a_new_entrypoint_drops_the_arguments_of_the_old)
{
	expect_changed("{\"Cmd\":[\"x\"]}", CHANGES("ENTRYPOINT [\"/e\"]"), "{\"Entrypoint\":[\"/e\"]}");
	expect_changed("{\"Cmd\":[\"x\"]}", CHANGES("CMD [\"y\"]", "ENTRYPOINT [\"/e\"]"),
		"{\"Cmd\":[\"y\"],\"Entrypoint\":[\"/e\"]}");
	expect_changed(
		"{\"Cmd\":[\"x\"],\"Entrypoint\":[\"/e\"]}", CHANGES("ENTRYPOINT []"), "{\"Cmd\":[\"x\"]}");
}

TEST(variables_and_labels_take_quotes_and_variables)
{
	expect_changed("{\"Env\":[\"PATH=/bin\"]}",
		CHANGES("ENV PATH=/x:$PATH B=\"two words\" C='$PATH' D=a\\ b E=${B}."),
		"{\"Env\":[\"PATH=/x:/bin\",\"B=two words\",\"C=$PATH\",\"D=a b\",\"E=two words.\"]}");
	expect_changed("{}", CHANGES("ENV OLD the old  form"), "{\"Env\":[\"OLD=the old  form\"]}");
	expect_changed("{\"Labels\":null}", CHANGES("LABEL a=b \"c d\"=\"e=f\""),
		"{\"Labels\":{\"a\":\"b\",\"c d\":\"e=f\"}}");
	expect_changed("{\"Labels\":{\"a\":\"b\"}}", CHANGES("LABEL a="), "{\"Labels\":{\"a\":\"\"}}");
}

TEST(ports_volumes_users_and_signals_are_set)
{
	expect_changed("{}", CHANGES("EXPOSE 80 53/UDP 8000-8002/tcp"),
		"{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{},\"8000/tcp\":{},\"8001/tcp\":{},\"8002/"
		"tcp\":{}}}");
	expect_changed("{\"Volumes\":{\"/a\":{}}}", CHANGES("VOLUME /b /c", "VOLUME [\"/d e\"]"),
		"{\"Volumes\":{\"/a\":{},\"/b\":{},\"/c\":{},\"/d e\":{}}}");
	expect_changed("{}", CHANGES("USER me:us", "STOPSIGNAL SIGRTMIN+3"),
		"{\"User\":\"me:us\",\"StopSignal\":\"SIGRTMIN+3\"}");
}

TEST(a_relative_working_directory_is_beneath_the_one_before)
{
	expect_changed("{}", CHANGES("WORKDIR a"), "{\"WorkingDir\":\"/a\"}");
	expect_changed("{\"WorkingDir\":\"/a\"}", CHANGES("WORKDIR b/./c", "WORKDIR ../d"),
		"{\"WorkingDir\":\"/a/b/d\"}");
	expect_changed("{\"WorkingDir\":\"/a\"}", CHANGES("WORKDIR /"), "{\"WorkingDir\":\"/\"}");
	expect_changed("{\"WorkingDir\":\"/a\"}", CHANGES("WORKDIR ../../.."), "{\"WorkingDir\":\"/\"}");
}

TEST(healthchecks_and_shells_are_set)
{
	expect_changed("{}",
		CHANGES("HEALTHCHECK --interval=5s --retries=2 CMD wget -q x",
			"SHELL [\"/bin/bash\", \"-c\"]", "CMD a b"),
		"{\"Healthcheck\":{\"Interval\":5000000000,\"Retries\":2,\"Test\":[\"CMD-SHELL\",\"wget -q "
		"x\"]},"
		"\"Shell\":[\"/bin/bash\",\"-c\"],\"Cmd\":[\"/bin/bash\",\"-c\",\"a b\"]}");
	expect_changed("{}", CHANGES("HEALTHCHECK CMD [\"a\", \"b\"]"),
		"{\"Healthcheck\":{\"Test\":[\"CMD\",\"a\",\"b\"]}}");
	expect_changed("{}", CHANGES("HEALTHCHECK NONE"), "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}");
}

TEST(changes_that_are_none_are_refused)
{
	static char *const refused[] = {"", "CMD", "ONBUILD RUN x", "HEALTHCHECK true",
		"HEALTHCHECK --interval=x CMD y", "SHELL sh", "RUN x", "ENV", "ENV A", "ENV =x", "ENV A='x",
		"ENV A=${B:-c}", "EXPOSE 0", "EXPOSE 65536", "EXPOSE 9-8", "EXPOSE x", "EXPOSE 80/icmp",
		"EXPOSE 80x", "VOLUME data", "STOPSIGNAL a b", "LABEL x", "CMD \xff", "USER ''"};

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		expect_refused(refused[i]);
}

TEST(a_base_that_is_no_config_is_refused)
{
	static const char *const refused[] = {"", "[]", "{}", "{\"os\":1}", "{\"rootfs\":{\"diff_ids\":1}}"};
	_cleanup_buffer_ struct buffer out = {0};
	struct error err;

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		CHECK_ERROR(commit_config(refused[i], strlen(refused[i]), &a_layer,
				    &(struct commit_options){0}, &out, &err),
			ERROR_INVALID);
}

TEST(dockers_manifest_becomes_one_of_oci)
{
	static const char docker[] =
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\","
		"\"config\":{\"mediaType\":\"application/"
		"vnd.docker.container.image.v1+json\",\"size\":9,\"digest\":\"" DIGEST_A
		"\"},\"layers\":[{\"mediaType\":\"application/"
		"vnd.docker.image.rootfs.diff.tar.gzip\",\"size\":10,"
		"\"digest\":\"" DIGEST_B
		"\"},{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+zstd\",\"digest\":\"" DIGEST_A
		"\",\"size\":11,\"annotations\":{\"k\":\"v\"}}]}";
	_cleanup_buffer_ struct buffer out = {0};
	struct error err;

	CHECK_OK(commit_manifest(docker, strlen(docker), &a_layer, DIGEST_B, 123, &out, &err));
	buffer_u8(&out, 0);
	CHECK_TEXT((const char *)out.data,
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"config\":{\"mediaType\":\"application/"
		"vnd.oci.image.config.v1+json\",\"digest\":\"" DIGEST_B
		"\",\"size\":123},\"layers\":[{\"mediaType\":\"application/"
		"vnd.oci.image.layer.v1.tar+gzip\",\"size\":10,"
		"\"digest\":\"" DIGEST_B
		"\"},{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+zstd\",\"digest\":\"" DIGEST_A
		"\",\"size\":11,\"annotations\":{\"k\":\"v\"}},"
		"{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" DIGEST_C
		"\",\"size\":77}]}");
}

TEST(a_manifest_with_layers_of_another_kind_is_refused)
{
	static const char strange[] =
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" COMMIT_CONFIG_MEDIA_TYPE
		"\",\"size\":9,\"digest\":\"" DIGEST_A
		"\"},\"layers\":[{\"mediaType\":\"text/plain\",\"size\":10,\"digest\":\"" DIGEST_B "\"}]}";
	_cleanup_buffer_ struct buffer out = {0};
	struct error err;

	CHECK_ERROR(commit_manifest(strange, strlen(strange), &a_layer, DIGEST_B, 123, &out, &err),
		ERROR_INVALID);
}
