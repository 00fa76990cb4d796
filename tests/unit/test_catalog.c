/* SPDX-License-Identifier: Apache-2.0 */
/* What a user writes to name images, and what is told of them. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "catalog_make.h"
#include "test.h"

#define MEDIA    "application/vnd.oci.image."
#define MANIFEST MEDIA "manifest.v1+json"
#define INDEX    MEDIA "index.v1+json"

/* ---- find ------------------------------------------------------------------------------------------- */

TEST(an_image_is_found_by_each_form_of_its_name)
{
	char text[200];
	struct oci_made a;
	struct store_place p;

	store_place_open(&p);
	store_place_make(&p, store_place_layers, "docker.io/library/a:1", &a);
	store_place_make(&p, store_place_layers, "localhost:5000/x/y:latest", NULL);
	CHECK_FOUND("a:1", "a:1");
	CHECK_FOUND("docker.io/a:1", "a:1");
	CHECK_FOUND("index.docker.io/library/a:1", "a:1");
	CHECK_FOUND("localhost:5000/x/y", "localhost:5000/x/y:latest");
	snprintf(text, sizeof text, "a@%s", a.manifest);
	CHECK_FOUND(text, "a:1");
	snprintf(text, sizeof text, "a:1@%s", a.manifest);
	CHECK_FOUND(text, "a:1");
	snprintf(text, sizeof text, "a:2@%s", a.manifest);
	CHECK_SAYS(text, "NOT_FOUND");
	store_place_close(&p);
}

TEST(an_image_is_found_by_the_start_of_a_digest_that_only_it_has)
{
	char start[16];
	struct oci_made a, b;
	struct store_place p;

	store_place_open(&p);
	store_place_make(&p, store_place_layers, "docker.io/library/a:1", &a);
	store_place_make(&p, store_place_other_layers, "docker.io/library/b:1", &b);
	store_place_make(&p, store_place_other_layers, "docker.io/library/b:2", NULL);
	CHECK_FOUND(a.manifest, "a:1");
	CHECK_FOUND(a.manifest + 7, "a:1");
	CHECK_FOUND(a.config, "a:1");
	snprintf(start, sizeof start, "%.8s", a.config + 7);
	CHECK_FOUND(start, "a:1");
	snprintf(start, sizeof start, "%.12s", a.config);
	CHECK_FOUND(start, "a:1");
	snprintf(start, sizeof start, "%.8s", b.manifest + 7);
	CHECK_FOUND(start, "b:1 and more");
	snprintf(start, sizeof start, "%.3s", a.config + 7);
	CHECK_SAYS(start, "NOT_FOUND");
	CHECK_SAYS(a.layers[0], "NOT_FOUND");
	store_place_close(&p);
}

/* Blobs whose digests start alike are made by trying. */
TEST(a_start_that_several_have_says_what_it_could_be)
{
	struct store_name n = {.media_type = (char *)MANIFEST, .name = (char *)"docker.io/library/a:1"};
	char first[OCI_DIGEST_SIZE] = "", start[8];
	struct store_place p;
	struct error err;
	uint8_t hash[SHA256_SIZE];
	char text[16];

	store_place_open(&p);
	for (unsigned i = 0; i < 1000000; i++) {
		snprintf(text, sizeof text, "%u", i);
		CHECK_OK(sha256_of(text, strlen(text), hash, &err));
		sha256_digest(hash, n.digest);
		if (!*first || !strncmp(first, n.digest, 7 + 4)) {
			CHECK_OK(store_name_set(p.store, &n, NULL, &err));
			n.name = (char *)"docker.io/library/b:1";
			if (*first)
				break;
			memcpy(first, n.digest, sizeof first);
		}
	}
	snprintf(start, sizeof start, "%.4s", first + 7);
	CHECK_SAYS(start, "INVALID");
	CHECK_SAYS(start, "(a:1)");
	CHECK_SAYS(start, "(b:1)");
	snprintf(text, sizeof text, "%.12s", first + 7);
	CHECK_FOUND(text, "a:1");
	store_place_close(&p);
}

TEST(what_is_not_there_is_answered_with_the_nearest)
{
	struct store_place p;

	store_place_open(&p);
	CHECK_SAYS("debian", "monocore images");
	store_place_make(&p, store_place_layers, "docker.io/library/debian:12", NULL);
	CHECK_SAYS("debian", "did you mean 'debian:12'?");
	CHECK_SAYS("debain:12", "did you mean 'debian:12'?");
	CHECK_SAYS("debain", "did you mean 'debian");
	CHECK_SAYS("zzz/zzzzzzzz", "monocore images");
	CHECK_SAYS("Debian", "INVALID");
	store_place_close(&p);
}

/* A name may look like the start of a digest. */
TEST(a_name_goes_before_the_start_of_a_digest)
{
	char start[OCI_DIGEST_SIZE], name[100];
	struct oci_made a;
	struct store_place p;

	store_place_open(&p);
	store_place_make(&p, store_place_layers, "docker.io/library/a:1", &a);
	snprintf(start, sizeof start, "%.6s", a.manifest + 7);
	CHECK_FOUND(start, "a:1");
	snprintf(name, sizeof name, "docker.io/library/%s:latest", start);
	store_place_make(&p, store_place_other_layers, name, NULL);
	snprintf(name, sizeof name, "%s:latest", start);
	CHECK_FOUND(start, name);
	store_place_close(&p);
}

/* ---- tell ------------------------------------------------------------------------------------------- */

TEST(the_catalog_tells_size_platform_and_what_is_damaged_is_empty)
{
	struct catalog c;
	struct oci_made a;
	struct store_place p;

	store_place_open(&p);
	store_place_make(&p, store_place_layers, "docker.io/library/a:1", &a);
	c = store_place_look(&p);
	CHECK_INT(c.count, 1);
	CHECK_TEXT(c.images[0].manifest, a.manifest);
	CHECK_TEXT(c.images[0].config, a.config);
	CHECK_TEXT(c.images[0].platform, "linux/amd64");
	CHECK(c.images[0].size > 100 && c.images[0].root_size == 0 && c.images[0].updated > 0);
	catalog_free(&c);
	store_make_damage(&p, a.config);
	c = store_place_look(&p);
	CHECK_INT(c.count, 1);
	CHECK_TEXT(c.images[0].manifest, "");
	CHECK_TEXT(c.images[0].target, a.manifest);
	CHECK(!c.images[0].platforms);
	catalog_free(&c);
	store_place_close(&p);
}

static const char history_members[] =
	"\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2020-01-02T03:04:05.6Z\",\"config\":{},"
	"\"history\":[{\"created_by\":\"ADD base\"},{\"created_by\":\"ENV "
	"a=b\",\"empty_layer\":true,\"comment\":\"c\"},"
	"{\"created_by\":\"RUN x\",\"created\":\"2020-01-02T03:04:05Z\"}]";

/* An image of three layers whose config has these members and their diff ids. */
static void make_configured(const struct store_place *p, const char *members, const char *name)
{
	_cleanup_free_ char *directory = store_make_directory(p, "configured"), *config, *manifest, *index;
	char layer[3][OCI_DIGEST_SIZE], digest[OCI_DIGEST_SIZE];
	size_t sizes[3];
	struct error err;

	for (size_t i = 0; i < 3; i++) {
		_cleanup_buffer_ struct buffer tar = {0};
		char text[] = "f a\n";

		text[2] = (char)('a' + i);
		oci_make_layer(text, &tar);
		sizes[i] = tar.size;
		store_make_blob(directory, tar.data, tar.size, layer[i]);
	}
	config =
		text_format(NULL, "{%s,\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\",\"%s\"]}}",
			members, layer[0], layer[1], layer[2]);
	store_make_blob(directory, config, strlen(config), digest);
	manifest = text_format(NULL,
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" MEDIA
		"config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":["
		"{\"mediaType\":\"" MEDIA "layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu},"
		"{\"mediaType\":\"" MEDIA "layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu},"
		"{\"mediaType\":\"" MEDIA "layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
		digest, strlen(config), layer[0], sizes[0], layer[1], sizes[1], layer[2], sizes[2]);
	store_make_blob(directory, manifest, strlen(manifest), digest);
	index = text_format(NULL, "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"%s\",\"size\":%zu}", digest,
		strlen(manifest));
	store_make_index(directory, index);
	CHECK_OK(store_make_import(p->store, directory, name, &err));
}

TEST(a_history_gives_each_step_its_layer_and_layers_without_one_come_last)
{
	struct catalog_step *steps;
	struct catalog c;
	struct store_place p;
	struct error err;
	size_t count;

	store_place_open(&p);
	make_configured(&p, history_members, "docker.io/library/a:1");
	c = store_place_look(&p);
	CHECK_OK(catalog_history(p.store, &c.images[0], &steps, &count, &err));
	CHECK_INT(count, 4);
	CHECK_TEXT(steps[0].created_by, "ADD base");
	CHECK(!steps[0].empty && steps[0].size > 0);
	CHECK(steps[1].empty && !*steps[1].digest);
	CHECK_TEXT(steps[1].comment, "c");
	CHECK_TEXT(steps[2].created_by, "RUN x");
	CHECK_INT(steps[2].created / 1000000000, 1577934245);
	CHECK_TEXT(steps[3].created_by, "");
	CHECK(*steps[3].digest);
	catalog_steps_free(steps, count);
	CHECK_INT(c.images[0].created / 1000000000, 1577934245);
	catalog_free(&c);
	store_place_close(&p);
}

TEST(a_description_has_dockers_members_and_no_byte_that_drives_a_terminal)
{
	static const char members[] =
		"\"architecture\":\"amd64\",\"os\":\"linux\",\"author\":\"\\u001b[2J\\u009b\xe2\x80\xae\","
		"\"config\":{\"Cmd\":[\"sh\"]}";
	struct catalog_match m;
	struct catalog c;
	struct store_place p;
	struct error err;
	char *json;

	store_place_open(&p);
	make_configured(&p, members, "docker.io/library/a:1");
	c = store_place_look(&p);
	CHECK_OK(catalog_find(&c, "a:1", &m, &err));
	CHECK_OK(catalog_describe(p.store, &c, &m, &json, &err));
	for (const char *const *key = (const char *const[]){"\"Id\": \"sha256:", "\"RepoTags\": [", "\"a:1\"",
		     "\"a@sha256:", "\"Architecture\": \"amd64\"", "\"Os\": \"linux\"", "\"Cmd\": [",
		     "\"Layers\": [", "\"Size\": ", "\"Source\": \"\"", NULL};
		*key; key++)
		if (!strstr(json, *key))
			test_fail(__FILE__, __LINE__, "%s is not in %s", *key, json);
	for (const unsigned char *b = (unsigned char *)json; *b; b++)
		CHECK(*b < 0x7f && (*b >= ' ' || *b == '\n'));
	free(json);
	catalog_match_free(&m);
	catalog_free(&c);
	store_place_close(&p);
}

/* ---- tag -------------------------------------------------------------------------------------------- */

TEST(a_tag_leads_where_the_image_does_and_keeps_it_when_the_first_name_goes)
{
	_cleanup_free_ char *name = NULL, *again = NULL;
	struct store_garbage garbage;
	struct store_name n;
	struct oci_made a;
	struct store_place p;
	struct error err;

	store_place_open(&p);
	store_place_make(&p, store_place_layers, "docker.io/library/a:1", &a);
	CHECK_OK(store_place_tag(&p, "a:1", "quay.io/x/y", &name, &err));
	CHECK_TEXT(name, "quay.io/x/y:latest");
	CHECK_OK(store_name_remove(p.store, "docker.io/library/a:1", &err));
	CHECK_OK(store_collect(p.store, NULL, false, &garbage, &err));
	CHECK_INT(garbage.blobs, 0);
	CHECK_OK(store_name_get(p.store, name, &n, &err));
	CHECK_TEXT(n.digest, a.manifest);
	store_name_free(&n);
	CHECK_ERROR(store_place_tag(&p, "quay.io/x/y", "b@sha256:0123", &again, &err), ERROR_INVALID);
	CHECK_ERROR(store_place_tag(&p, "nothing", "b", &again, &err), ERROR_NOT_FOUND);
	CHECK_ERROR(store_place_tag(&p, "quay.io/x/y", "B", &again, &err), ERROR_INVALID);
	store_place_close(&p);
}
