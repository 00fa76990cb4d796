/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of an image: what is taken of them, what is refused and how the place of a mistake is named.
 */
#include "test.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/oci_json.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENTRY  "{\"digest\":\"" DIGEST "\",\"size\":7"

static int parse_index(const char *json, struct oci_index *index, struct error *err)
{
	return oci_index_parse(json, strlen(json), index, err);
}

static int parse_manifest(const char *json, struct oci_manifest *m, struct error *err)
{
	return oci_manifest_parse(json, strlen(json), m, err);
}

static int parse_config(const char *json, struct oci_config *c, struct error *err)
{
	return oci_config_parse(json, strlen(json), c, err);
}

TEST(an_index_gives_its_descriptors)
{
	struct oci_index index;
	struct error err;

	CHECK_OK(parse_index("{\"manifests\":[" ENTRY ",\"mediaType\":\"m\",\"platform\":{\"os\":\"linux\","
			     "\"architecture\":\"arm\",\"variant\":\"v7\"},\"annotations\":{"
			     "\"org.opencontainers.image.ref.name\":\"3.12\"}}," ENTRY
			     ",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}}]}",
		&index, &err));
	CHECK_INT(index.count, 2);
	CHECK_TEXT(index.manifests[0].digest, DIGEST);
	CHECK_INT(index.manifests[0].size, 7);
	CHECK_TEXT(index.manifests[0].variant, "v7");
	CHECK_TEXT(index.manifests[0].name, "3.12");
	CHECK(!index.manifests[0].attestation && index.manifests[1].attestation);
	CHECK_TEXT(index.manifests[1].os, "");
	oci_index_free(&index);
}

TEST(a_manifest_gives_config_and_layers_in_order)
{
	struct oci_manifest m;
	struct error err;

	CHECK_OK(parse_manifest("{\"schemaVersion\":2,\"config\":" ENTRY "},\"layers\":[" ENTRY
				",\"mediaType\":\"one\"}," ENTRY ",\"mediaType\":\"two\"}]}",
		&m, &err));
	CHECK_INT(m.count, 2);
	CHECK_TEXT(m.layers[0].media_type, "one");
	CHECK_TEXT(m.layers[1].media_type, "two");
	CHECK_TEXT(m.config.digest, DIGEST);
	oci_manifest_free(&m);
}

TEST(a_config_gives_what_a_process_needs)
{
	struct oci_config c;
	struct error err;

	CHECK_OK(parse_config(
		"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Entrypoint\":[\"/e\",\"\"],"
		"\"Cmd\":null,\"Env\":[\"A=b=c\"],\"WorkingDir\":\"/w\",\"User\":\"u:g\","
		"\"StopSignal\":\"SIGINT\",\"Volumes\":{\"/v\":{}},\"ExposedPorts\":{\"80/tcp\":{}},"
		"\"Labels\":{\"k\":\"v\"}},\"rootfs\":{\"diff_ids\":[\"" DIGEST "\"]}}",
		&c, &err));
	CHECK_TEXT(c.entrypoint[0], "/e");
	CHECK_TEXT(c.entrypoint[1], "");
	CHECK(!c.entrypoint[2] && !c.cmd);
	CHECK_TEXT(c.env[0], "A=b=c");
	CHECK_TEXT(c.workdir, "/w");
	CHECK_TEXT(c.user, "u:g");
	CHECK_TEXT(c.stop_signal, "SIGINT");
	CHECK_TEXT(c.volumes[0], "/v");
	CHECK_TEXT(c.exposed_ports[0], "80/tcp");
	CHECK_TEXT(c.labels[0], "k=v");
	CHECK_TEXT(c.diff_ids[0], DIGEST);
	CHECK_TEXT(c.variant, "");
	oci_config_free(&c);
	CHECK_OK(parse_config("{\"rootfs\":{}}", &c, &err));
	CHECK(!c.entrypoint && !c.diff_ids && !*c.user);
	oci_config_free(&c);
}

static int parse_health(const char *config, struct oci_config *c, struct error *err)
{
	char json[1024];

	snprintf(json, sizeof json, "{\"config\":%s,\"rootfs\":{}}", config);
	return parse_config(json, c, err);
}

TEST(a_healthcheck_is_a_command_with_its_times)
{
	struct oci_config c;
	struct error err;

	CHECK_OK(parse_health("{\"Healthcheck\":{\"Test\":[\"CMD\",\"curl\",\"-f\"],\"Interval\":5000000000,"
			      "\"Timeout\":1000000000,\"StartPeriod\":7,\"Retries\":2}}",
		&c, &err));
	CHECK_TEXT(c.health.command[0], "curl");
	CHECK_TEXT(c.health.command[1], "-f");
	CHECK(!c.health.command[2]);
	CHECK_INT(c.health.interval, 5000000000);
	CHECK_INT(c.health.timeout, 1000000000);
	CHECK_INT(c.health.start_period, 7);
	CHECK_INT(c.health.retries, 2);
	oci_config_free(&c);
	CHECK_OK(parse_health("{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"a || b\"]}}", &c, &err));
	CHECK_TEXT(c.health.command[0], "/bin/sh");
	CHECK_TEXT(c.health.command[2], "a || b");
	CHECK_INT(c.health.interval, 0);
	oci_config_free(&c);
	CHECK_OK(parse_health(
		"{\"Shell\":[\"/bin/ash\",\"-ec\"],\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"x\"]}}", &c,
		&err));
	CHECK_TEXT(c.health.command[0], "/bin/ash");
	CHECK_TEXT(c.health.command[2], "x");
	oci_config_free(&c);
}

TEST(a_healthcheck_that_is_none_or_malformed_is_said_to_be_so)
{
	static const char *const none[] = {"{}", "{\"Healthcheck\":null}", "{\"Healthcheck\":{\"Test\":[]}}",
		"{\"Healthcheck\":{\"Test\":[\"NONE\"]}}"};
	static const char *const wrong[] = {"{\"Healthcheck\":[]}", "{\"Healthcheck\":{\"Test\":\"x\"}}",
		"{\"Healthcheck\":{\"Test\":[\"CMD\"]}}",
		"{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"a\",\"b\"]}}",
		"{\"Healthcheck\":{\"Test\":[\"curl\"]}}",
		"{\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":-1}}",
		"{\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Retries\":\"3\"}}"};
	struct oci_config c;
	struct error err;

	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		CHECK_OK(parse_health(none[i], &c, &err));
		CHECK(!c.health.command);
		oci_config_free(&c);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK_ERROR(parse_health(wrong[i], &c, &err), ERROR_INVALID);
		CHECK(strstr(err.text, "Healthcheck"));
	}
}

TEST(manifest_json_of_docker_gives_names)
{
	static const char json[] =
		"[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\",\"b:2\"],\"Layers\":[\"1/layer.tar\"]},"
		"{\"Config\":\"d\",\"RepoTags\":null,\"Layers\":[]}]";
	struct docker_images images;
	struct error err;

	CHECK_OK(docker_images_parse(json, sizeof json - 1, &images, &err));
	CHECK_INT(images.count, 2);
	CHECK_TEXT(images.images[0].tags[1], "b:2");
	CHECK_TEXT(images.images[0].layers[0], "1/layer.tar");
	CHECK(!images.images[1].tags && !images.images[1].layers);
	docker_images_free(&images);
}

TEST(media_types_of_oci_and_docker_mean_the_same)
{
	static const struct {
		const char *text;
		enum oci_media media;
	} types[] = {{"application/vnd.oci.image.index.v1+json", OCI_MEDIA_INDEX},
		{"application/vnd.docker.distribution.manifest.list.v2+json", OCI_MEDIA_INDEX},
		{"application/vnd.oci.image.manifest.v1+json", OCI_MEDIA_MANIFEST},
		{"application/vnd.docker.distribution.manifest.v2+json", OCI_MEDIA_MANIFEST},
		{"application/vnd.oci.image.manifest.v1+jsonx", OCI_MEDIA_OTHER},
		{"application/vnd.oci.image.layer.v1.tar", OCI_MEDIA_LAYER},
		{"application/vnd.oci.image.layer.v1.tar+gzip", OCI_MEDIA_LAYER},
		{"application/vnd.oci.image.layer.v1.tar+zstd", OCI_MEDIA_LAYER},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_MEDIA_LAYER},
		{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", OCI_MEDIA_FOREIGN_LAYER},
		{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", OCI_MEDIA_FOREIGN_LAYER},
		{"", OCI_MEDIA_OTHER}, {"text/plain", OCI_MEDIA_OTHER}};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		CHECK_INT(oci_media_type(types[i].text), types[i].media);
}

struct mistake {
	const char *json, *word; /* of the message */
	enum error_code code;
};

static void must_refuse(const struct mistake *m, int r, const struct error *err)
{
	if (r != -(int)m->code || !strstr(err->text, m->word))
		test_fail(__FILE__, __LINE__, "%s: %d: %s: expected %d and '%s'", m->json, r, err->text,
			-(int)m->code, m->word);
}

TEST(mistakes_in_an_index_are_named)
{
	static const struct mistake mistakes[] = {{"", "index", ERROR_INVALID},
		{"{", "line 1", ERROR_INVALID}, {"[]", "index: manifests", ERROR_INVALID},
		{"{}", "index: manifests", ERROR_INVALID},
		{"{\"manifests\":{}}", "index: manifests", ERROR_INVALID},
		{"{\"manifests\":[1]}", "manifests[0]", ERROR_INVALID},
		{"{\"manifests\":[{}]}", "manifests[0].digest", ERROR_INVALID},
		{"{\"manifests\":[{\"digest\":\"sha256:00\",\"size\":1}]}", "manifests[0].digest",
			ERROR_INVALID},
		{"{\"manifests\":[{\"digest\":\"sha512:00\",\"size\":1}]}", "sha256", ERROR_UNAVAILABLE},
		{"{\"manifests\":[{\"digest\":\"" DIGEST "\"}]}", "manifests[0].size", ERROR_INVALID},
		{"{\"manifests\":[{\"digest\":\"" DIGEST "\",\"size\":-1}]}", "manifests[0].size",
			ERROR_INVALID},
		{"{\"manifests\":[{\"digest\":\"" DIGEST "\",\"size\":1.5}]}", "manifests[0].size",
			ERROR_INVALID},
		{"{\"manifests\":[{\"digest\":\"" DIGEST "\",\"size\":99999999999999999999}]}", "index: line",
			ERROR_INVALID},
		{"{\"manifests\":[" ENTRY ",\"mediaType\":5}]}", "manifests[0].mediaType", ERROR_INVALID},
		{"{\"manifests\":[" ENTRY ",\"platform\":[]}]}", "manifests[0].platform", ERROR_INVALID},
		{"{\"manifests\":[" ENTRY ",\"platform\":{\"os\":1}}]}", "platform.os", ERROR_INVALID},
		{"{\"manifests\":[" ENTRY ",\"annotations\":7}]}", "annotations", ERROR_INVALID}};

	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct oci_index index;
		struct error err;

		must_refuse(&mistakes[i], parse_index(mistakes[i].json, &index, &err), &err);
		CHECK(!index.manifests && !index.count);
	}
}

TEST(mistakes_in_a_manifest_are_named)
{
	static const struct mistake mistakes[] = {{"[]", "manifest", ERROR_INVALID},
		{"{\"schemaVersion\":1}", "schema 1", ERROR_UNAVAILABLE},
		{"{}", "manifest: config", ERROR_INVALID},
		{"{\"config\":" ENTRY "}}", "manifest: layers", ERROR_INVALID},
		{"{\"config\":" ENTRY "},\"layers\":[" ENTRY "},{}]}", "layers[1]", ERROR_INVALID}};

	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct oci_manifest m;
		struct error err;

		must_refuse(&mistakes[i], parse_manifest(mistakes[i].json, &m, &err), &err);
	}
}

TEST(mistakes_in_a_config_are_named)
{
	static const struct mistake mistakes[] = {{"7", "config", ERROR_INVALID},
		{"[]", "config", ERROR_INVALID}, {"{}", "config: rootfs", ERROR_INVALID},
		{"{\"rootfs\":1}", "config: rootfs", ERROR_INVALID},
		{"{\"rootfs\":{\"diff_ids\":[\"x\"]}}", "diff_ids[0]", ERROR_INVALID},
		{"{\"rootfs\":{\"diff_ids\":\"x\"}}", "rootfs.diff_ids", ERROR_INVALID},
		{"{\"rootfs\":{},\"config\":[]}", "config: config", ERROR_INVALID},
		{"{\"rootfs\":{},\"config\":{\"Cmd\":\"sh\"}}", "config.Cmd", ERROR_INVALID},
		{"{\"rootfs\":{},\"config\":{\"Cmd\":[\"a\",1]}}", "config.Cmd", ERROR_INVALID},
		{"{\"rootfs\":{},\"config\":{\"User\":0}}", "config.User", ERROR_INVALID},
		{"{\"rootfs\":{},\"config\":{\"Labels\":{\"a\":1}}}", "config.Labels", ERROR_INVALID},
		{"{\"rootfs\":{},\"config\":{\"Volumes\":[]}}", "config.Volumes", ERROR_INVALID},
		{"{\"rootfs\":{},\"os\":{}}", "config: os", ERROR_INVALID},
		{"{\"rootfs\":{},\"os\":\"a\\u0000b\"}", "config: line", ERROR_INVALID}};

	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct oci_config c;
		struct error err;

		must_refuse(&mistakes[i], parse_config(mistakes[i].json, &c, &err), &err);
		CHECK(!c.user && !c.diff_ids);
	}
}

TEST(documents_over_the_limits_are_refused)
{
	_cleanup_buffer_ struct buffer json = {0};
	_cleanup_free_ char *large = calloc(1, OCI_JSON_MAX + 1);
	struct oci_index index;
	struct error err;

	memset(large, ' ', OCI_JSON_MAX + 1);
	CHECK_ERROR(oci_index_parse(large, OCI_JSON_MAX + 1, &index, &err), ERROR_LIMIT);
	buffer_append_text(&json, "{\"manifests\":[");
	for (unsigned i = 0; i <= OCI_INDEX_MAX; i++)
		buffer_format(&json, "%s{}", i ? "," : "");
	buffer_append_text(&json, "]}");
	CHECK_ERROR(oci_index_parse(json.data, json.size, &index, &err), ERROR_LIMIT);
	memset(large, '[', OCI_JSON_MAX); /* as deep as it can be */
	CHECK_ERROR(oci_index_parse(large, OCI_JSON_MAX, &index, &err), ERROR_INVALID);
}

TEST(a_document_cut_at_any_byte_is_an_error)
{
	static const char json[] =
		"{\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"" DIGEST "\"]},\"config\":{\"Cmd\":[\"a\"]}}";

	for (size_t n = 0; n < sizeof json - 1; n++) {
		_cleanup_free_ char *cut = text_copy_bytes(json, n, NULL);
		struct oci_config c;
		struct error err;

		CHECK_ERROR(oci_config_parse(cut, n, &c, &err), ERROR_INVALID);
	}
}
