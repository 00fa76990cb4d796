/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/current.h"

#include <string.h>

#include "base/cleanup.h"
#include "oci/image_parts.h"
#include "oci/remote.h"

/* An index has it among its manifests: one of a platform is what a sandbox is made of. */
static int is_within(
	struct store *s, const char *index, const char *manifest, bool *within, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_(oci_index_free) struct oci_index parsed = {0};
	int r = store_blob_read(s, index, OCI_JSON_MAX, &bytes, NULL, err);

	if (r == 0)
		r = oci_index_parse(bytes.data, bytes.size, &parsed, err);
	for (size_t i = 0; r == 0 && i < parsed.count; i++)
		*within |= !strcmp(parsed.manifests[i].digest, manifest);
	return r;
}

static int ask_store(struct store *s, const char *text, const char *manifest, bool *other, struct error *err)
{
	_cleanup_(cleanup_registries) struct registries *configuration = NULL;
	_cleanup_name_ struct name parsed = {0};
	_cleanup_(store_name_free) struct store_name known = {0};
	_cleanup_free_ char *name = NULL;
	bool within = false;
	int r = registries_load(store_home(s), &configuration, err);

	if (r == 0)
		r = name_parse(text, registries_default(configuration), &parsed, err);
	if (r == 0 && !(name = remote_store_name(&parsed, err)))
		r = -ERROR_NO_MEMORY;
	if (r == 0)
		r = store_name_get(s, name, &known, err);
	if (r < 0)
		return r;
	within = !strcmp(known.digest, manifest);
	if (!within && oci_media_type(known.media_type) == OCI_MEDIA_INDEX)
		r = is_within(s, known.digest, manifest, &within, err);
	*other = r == 0 && !within;
	return r;
}

static int ask_disk(const struct reference *ref, const char *manifest, bool *other, struct error *err)
{
	_cleanup_blobs_ struct blobs b = {.fd = -1};
	_cleanup_(image_plan_free) struct image_plan plan = {0};
	int r = blobs_open(ref->path, &b, err);

	if (r == 0)
		r = image_make_plan(&b, ref, NULL, &plan, err);
	*other = r == 0 && strcmp(plan.digest, manifest) != 0;
	return r;
}

int image_is_other(struct store *s, const char *text, const char *manifest, bool *other, struct error *err)
{
	_cleanup_(reference_free) struct reference ref = {0};
	int r = reference_parse(text, &ref, err);

	*other = false;
	/* A directory has no digest: it is what it is when a sandbox is made of it. */
	if (r < 0 || ref.kind == REFERENCE_DIRECTORY || !*manifest)
		return r;
	r = ref.kind == REFERENCE_NAME ? ask_store(s, ref.path, manifest, other, err)
				       : ask_disk(&ref, manifest, other, err);
	/* Gone, or the start of an id: who has been made of it stays. */
	return r == -ERROR_NO_MEMORY ? r : 0;
}

int image_is_named(struct store *s, const char *name, const char *manifest, bool *named, struct error *err)
{
	bool other = false;
	int r = ask_store(s, name, manifest, &other, err);

	*named = r == 0 && !other;
	return r == -ERROR_NOT_FOUND ? 0 : r;
}
