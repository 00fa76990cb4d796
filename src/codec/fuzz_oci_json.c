/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses a document of an image; the rest is its JSON. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/oci_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_descriptor(const struct oci_descriptor *d)
{
	assert(oci_digest_valid(d->digest) && d->size <= INT64_MAX);
	assert(d->media_type && d->name && d->os && d->architecture && d->variant);
	(void)oci_media_type(d->media_type);
}

static int check_index(const void *json, size_t n, struct error *err)
{
	struct oci_index index;
	int r = oci_index_parse(json, n, &index, err);

	assert(index.count <= OCI_INDEX_MAX && (r == 0 || (index.count == 0 && !index.manifests)));
	for (size_t i = 0; i < index.count; i++)
		check_descriptor(&index.manifests[i]);
	oci_index_free(&index);
	return r;
}

static int check_manifest(const void *json, size_t n, struct error *err)
{
	struct oci_manifest m;
	int r = oci_manifest_parse(json, n, &m, err);

	assert(m.count <= OCI_LAYERS_MAX && (r == 0 || (m.count == 0 && !m.layers)));
	if (r == 0)
		check_descriptor(&m.config);
	for (size_t i = 0; i < m.count; i++)
		check_descriptor(&m.layers[i]);
	oci_manifest_free(&m);
	return r;
}

static int check_config(const void *json, size_t n, struct error *err)
{
	struct oci_config c;
	int r = oci_config_parse(json, n, &c, err);

	if (r == 0) {
		assert(c.workdir && c.user && c.stop_signal && c.os && c.architecture && c.variant &&
			c.created);
		for (char **id = c.diff_ids; id && *id; id++)
			assert(oci_digest_valid(*id));
		for (char **label = c.labels; label && *label; label++)
			assert(strchr(*label, '='));
	}
	oci_config_free(&c);
	return r;
}

static int check_docker(const void *json, size_t n, struct error *err)
{
	struct docker_images images;
	int r = docker_images_parse(json, n, &images, err);

	assert(images.count <= OCI_INDEX_MAX && (r == 0 || (images.count == 0 && !images.images)));
	for (size_t i = 0; i < images.count; i++)
		assert(images.images[i].config);
	docker_images_free(&images);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const checks[])(const void *, size_t, struct error *) = {
		check_index, check_manifest, check_config, check_docker};
	struct error err = {0};
	int r;

	if (size < 1)
		return 0;
	r = checks[data[0] % ARRAY_SIZE(checks)](data + 1, size - 1, &err);
	assert(r == -(int)err.code && (r == 0 || *err.text));
	return 0;
}
