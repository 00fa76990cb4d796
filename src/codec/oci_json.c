/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/oci_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

CLEANUP_DEFINE(json, json_t, json_decref);

#define MEDIA_OCI    "application/vnd.oci.image."
#define MEDIA_DOCKER "application/vnd.docker."

static const struct {
	const char *start; /* of the media type */
	enum oci_media media;
} media_types[] = {
	{MEDIA_OCI "index.v1+json", OCI_MEDIA_INDEX},
	{MEDIA_DOCKER "distribution.manifest.list.v2+json", OCI_MEDIA_INDEX},
	{MEDIA_OCI "manifest.v1+json", OCI_MEDIA_MANIFEST},
	{MEDIA_DOCKER "distribution.manifest.v2+json", OCI_MEDIA_MANIFEST},
	{MEDIA_OCI "config.v1+json", OCI_MEDIA_CONFIG},
	{MEDIA_DOCKER "container.image.v1+json", OCI_MEDIA_CONFIG},
	{MEDIA_OCI "layer.nondistributable.v1.tar", OCI_MEDIA_FOREIGN_LAYER},
	{MEDIA_DOCKER "image.rootfs.foreign.diff.tar", OCI_MEDIA_FOREIGN_LAYER},
	{MEDIA_OCI "layer.v1.tar", OCI_MEDIA_LAYER},
	{MEDIA_DOCKER "image.rootfs.diff.tar", OCI_MEDIA_LAYER},
};

enum oci_media oci_media_type(const char *media_type)
{
	for (size_t i = 0; i < ARRAY_SIZE(media_types); i++) {
		const char *rest = media_type + strlen(media_types[i].start);

		/* Layers have suffixes for the compression ("+gzip", ".gzip", "+zstd"). */
		if (text_starts(media_type, media_types[i].start) &&
			(!*rest || media_types[i].media >= OCI_MEDIA_LAYER))
			return media_types[i].media;
	}
	return OCI_MEDIA_OTHER;
}

static const char *known_type(const char *media_type)
{
	for (size_t i = 0; i < ARRAY_SIZE(media_types) && media_types[i].media <= OCI_MEDIA_MANIFEST; i++)
		if (media_type && !strcmp(media_types[i].start, media_type))
			return media_types[i].start;
	return NULL;
}

static const char *type_of(const json_t *root)
{
	const char *type = known_type(json_string_value(json_object_get(root, "mediaType")));

	if (type)
		return type;
	if (json_is_array(json_object_get(root, "manifests")))
		return MEDIA_OCI "index.v1+json";
	if (json_is_array(json_object_get(root, "layers")) && json_is_object(json_object_get(root, "config")))
		return MEDIA_OCI "manifest.v1+json";
	return "";
}

/* Where memory is out, the library mostly says nothing at all. */
static bool is_no_memory(const json_error_t *why)
{
	return json_error_code(why) == json_error_out_of_memory || !*why->text;
}

int oci_document_type(const void *json, size_t n, const char **type, struct error *err)
{
	_cleanup_(cleanup_json) json_t *root = NULL;
	json_error_t why = {.text = "too large"};

	*type = "";
	/* Or that a token is not valid where it is: so a document is none only when it is none twice. */
	for (unsigned i = 0; i < 2 && !root && n <= OCI_JSON_MAX; i++) {
		root = json_loadb(n ? json : "", n, 0, &why);
		if (!root && is_no_memory(&why))
			return error_no_memory(err, "a manifest");
	}
	*type = type_of(root);
	return 0;
}

bool oci_digest_valid(const char *digest)
{
	return text_starts(digest, "sha256:") && strlen(digest) == OCI_DIGEST_SIZE - 1 &&
	       strspn(digest + 7, "0123456789abcdef") == 64;
}

/* ---- values, with the name of their field for errors ------------------------------------------------ */

static int wrong(struct error *err, const char *field, const char *wanted)
{
	return error_set(err, ERROR_INVALID, "%s: %s", field, wanted);
}

static void name_field(char *out, size_t size, const char *where, const char *key)
{
	snprintf(out, size, "%s%s%s", where, text_ends(where, ": ") ? "" : ".", key);
}

static int load(const void *bytes, size_t n, const char *what, json_t **root, struct error *err)
{
	json_error_t where;

	if (n > OCI_JSON_MAX)
		return error_set(err, ERROR_LIMIT, "%s: over 8 MiB", what);
	*root = json_loadb(bytes, n, 0, &where);
	if (!*root && is_no_memory(&where))
		return error_no_memory(err, what);
	if (!*root)
		return error_set(err, ERROR_INVALID, "%s: line %d, column %d: %s", what, where.line,
			where.column, where.text);
	return 0;
}

/* A string, or "" where the field is missing or null. The caller owns it. */
static int get_text(const json_t *object, const char *key, const char *where, char **out, struct error *err)
{
	const json_t *value = json_object_get(object, key);
	char field[128];

	if (value && !json_is_null(value) && !json_is_string(value)) {
		name_field(field, sizeof field, where, key);
		return wrong(err, field, "not a string");
	}
	*out = text_copy(json_is_string(value) ? json_string_value(value) : "", err);
	return *out ? 0 : -ERROR_NO_MEMORY;
}

/* A list of strings, or NULL where the field is missing, null or empty. */
static int get_list(const json_t *object, const char *key, const char *where, char ***out, struct error *err)
{
	const json_t *value = json_object_get(object, key);
	_cleanup_free_ char **list = NULL;
	char field[128];
	size_t n;

	if (!value || json_is_null(value))
		return 0;
	n = json_array_size(value);
	list = calloc(n + 1, sizeof *list);
	if (!list)
		return error_no_memory(err, where);
	for (size_t i = 0; i < n || !json_is_array(value); i++) {
		const char *text = json_string_value(json_array_get(value, i));

		if (text)
			list[i] = text_copy(text, err);
		if (text && list[i])
			continue;
		text_list_free(TAKE_PTR(list));
		if (text)
			return -ERROR_NO_MEMORY;
		name_field(field, sizeof field, where, key);
		return wrong(err, field, "not a list of strings");
	}
	if (n > 0)
		*out = TAKE_PTR(list);
	return 0;
}

/* The keys of an object, "key=value" with `values`; NULL where it is missing, null or empty. */
static int get_keys(json_t *object, const char *name, bool values, char ***out, struct error *err)
{
	json_t *map = json_object_get(object, name), *value;
	_cleanup_free_ char **list = NULL;
	const char *key;
	char field[128];
	size_t n = 0;

	if (!map || json_is_null(map))
		return 0;
	snprintf(field, sizeof field, "config: config.%s", name);
	if (!json_is_object(map))
		return wrong(err, field, "not an object");
	list = calloc(json_object_size(map) + 1, sizeof *list);
	if (!list)
		return error_no_memory(err, field);
	json_object_foreach(map, key, value)
	{
		const char *text = json_string_value(value);

		if (!values || text)
			list[n] = values ? text_format(err, "%s=%s", key, text) : text_copy(key, err);
		if (list[n++])
			continue;
		text_list_free(TAKE_PTR(list));
		return values && !text ? wrong(err, field, "a value is not a string") : -ERROR_NO_MEMORY;
	}
	if (n > 0)
		*out = TAKE_PTR(list);
	return 0;
}

static int get_object(json_t *object, const char *key, const char *what, json_t **out, struct error *err)
{
	char field[128];

	*out = json_object_get(object, key);
	if (json_is_null(*out))
		*out = NULL;
	if (!*out || json_is_object(*out))
		return 0;
	name_field(field, sizeof field, what, key);
	return wrong(err, field, "not an object");
}

/* ---- descriptors ------------------------------------------------------------------------------------ */

static void descriptor_free(struct oci_descriptor *d)
{
	free(d->media_type);
	free(d->name);
	free(d->image);
	free(d->os);
	free(d->architecture);
	free(d->variant);
}

static void descriptors_free(struct oci_descriptor *list, size_t n)
{
	for (size_t i = 0; list && i < n; i++)
		descriptor_free(&list[i]);
	free(list);
}

static int parse_digest(const char *digest, const char *field, char *out, struct error *err)
{
	if (digest && oci_digest_valid(digest)) {
		memcpy(out, digest, OCI_DIGEST_SIZE);
		return 0;
	}
	if (digest && text_starts(digest, "sha512:"))
		return error_set(err, ERROR_UNAVAILABLE, "%s: only sha256 digests are supported", field);
	return wrong(err, field, "not a digest (\"sha256:\" and 64 hexadecimal digits)");
}

static int parse_platform(json_t *json, const char *where, struct oci_descriptor *d, struct error *err)
{
	json_t *platform, *notes;
	char field[128];
	int r = get_object(json, "platform", where, &platform, err);

	snprintf(field, sizeof field, "%s.platform", where);
	if (r == 0)
		r = get_text(platform, "os", field, &d->os, err);
	if (r == 0)
		r = get_text(platform, "architecture", field, &d->architecture, err);
	if (r == 0)
		r = get_text(platform, "variant", field, &d->variant, err);
	if (r == 0)
		r = get_object(json, "annotations", where, &notes, err);
	if (r < 0)
		return r;
	d->attestation = json_object_get(notes, "vnd.docker.reference.type") != NULL;
	snprintf(field, sizeof field, "%s.annotations", where);
	r = get_text(notes, "org.opencontainers.image.ref.name", field, &d->name, err);
	return r < 0 ? r : get_text(notes, "io.containerd.image.name", field, &d->image, err);
}

static int parse_descriptor(json_t *json, const char *where, struct oci_descriptor *d, struct error *err)
{
	const json_t *size = json_object_get(json, "size");
	char field[128];
	int r;

	if (!json_is_object(json))
		return wrong(err, where, "not a descriptor");
	snprintf(field, sizeof field, "%s.digest", where);
	r = parse_digest(json_string_value(json_object_get(json, "digest")), field, d->digest, err);
	if (r < 0)
		return r;
	snprintf(field, sizeof field, "%s.size", where);
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return wrong(err, field, "not a size in bytes");
	d->size = (uint64_t)json_integer_value(size);
	r = get_text(json, "mediaType", where, &d->media_type, err);
	return r < 0 ? r : parse_platform(json, where, d, err);
}

static int parse_descriptors(json_t *root, const char *what, const char *key, size_t most,
	struct oci_descriptor **list, size_t *count, struct error *err)
{
	json_t *array = json_object_get(root, key);
	char field[64];
	size_t n = json_array_size(array);

	snprintf(field, sizeof field, "%s: %s", what, key);
	if (!json_is_array(array))
		return wrong(err, field, "not a list");
	if (n > most)
		return error_set(err, ERROR_LIMIT, "%s: over %zu entries", field, most);
	*list = calloc(n ? n : 1, sizeof **list);
	if (!*list)
		return error_no_memory(err, field);
	*count = n;
	for (size_t i = 0; i < n; i++) {
		int r;

		snprintf(field, sizeof field, "%s: %s[%zu]", what, key, i);
		r = parse_descriptor(json_array_get(array, i), field, &(*list)[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- documents -------------------------------------------------------------------------------------- */

void oci_index_free(struct oci_index *index)
{
	descriptors_free(index->manifests, index->count);
	*index = (struct oci_index){0};
}

int oci_index_parse(const void *bytes, size_t n, struct oci_index *index, struct error *err)
{
	_cleanup_(cleanup_json) json_t *root = NULL;
	int r = load(bytes, n, "index", &root, err);

	*index = (struct oci_index){0};
	if (r == 0)
		r = parse_descriptors(
			root, "index", "manifests", OCI_INDEX_MAX, &index->manifests, &index->count, err);
	if (r < 0)
		oci_index_free(index);
	return r;
}

void oci_manifest_free(struct oci_manifest *manifest)
{
	descriptor_free(&manifest->config);
	descriptors_free(manifest->layers, manifest->count);
	*manifest = (struct oci_manifest){0};
}

static int parse_manifest(json_t *root, struct oci_manifest *manifest, struct error *err)
{
	const json_t *version = json_object_get(root, "schemaVersion");
	int r;

	if (!json_is_object(root))
		return wrong(err, "manifest", "not an object");
	if (json_is_integer(version) && json_integer_value(version) == 1)
		return error_set(err, ERROR_UNAVAILABLE,
			"manifest: schemaVersion: docker's schema 1 is not supported: save the image anew");
	r = parse_descriptor(json_object_get(root, "config"), "manifest: config", &manifest->config, err);
	if (r < 0)
		return r;
	return parse_descriptors(
		root, "manifest", "layers", OCI_LAYERS_MAX, &manifest->layers, &manifest->count, err);
}

int oci_manifest_parse(const void *bytes, size_t n, struct oci_manifest *manifest, struct error *err)
{
	_cleanup_(cleanup_json) json_t *root = NULL;
	int r = load(bytes, n, "manifest", &root, err);

	*manifest = (struct oci_manifest){0};
	if (r == 0)
		r = parse_manifest(root, manifest, err);
	if (r < 0)
		oci_manifest_free(manifest);
	return r;
}

void oci_config_free(struct oci_config *c)
{
	text_list_free(c->entrypoint);
	text_list_free(c->cmd);
	text_list_free(c->env);
	text_list_free(c->volumes);
	text_list_free(c->exposed_ports);
	text_list_free(c->labels);
	text_list_free(c->diff_ids);
	free(c->workdir);
	free(c->user);
	free(c->stop_signal);
	free(c->os);
	free(c->architecture);
	free(c->variant);
	free(c->created);
	text_list_free(c->health.command);
	*c = (struct oci_config){0};
}

static const char health_field[] = "config: config.Healthcheck";

static int get_count(const json_t *object, const char *key, uint64_t *out, struct error *err)
{
	const json_t *value = json_object_get(object, key);
	char field[128];

	if (!value || json_is_null(value))
		return 0;
	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*out = (uint64_t)json_integer_value(value);
		return 0;
	}
	name_field(field, sizeof field, health_field, key);
	return wrong(err, field, "not a number, 0 or more");
}

/* ["CMD-SHELL", "line"] is run by the image's shell. */
static int shell_command(json_t *run, const char *line, char ***command, struct error *err)
{
	_cleanup_text_list_ char **list = NULL;
	int r = get_list(run, "Shell", "config: config", &list, err);

	if (r == 0 && !list &&
		(text_list_add(&list, "/bin/sh", err) < 0 || text_list_add(&list, "-c", err) < 0))
		return -ERROR_NO_MEMORY;
	if (r == 0)
		r = text_list_add(&list, line, err);
	if (r == 0)
		*command = TAKE_PTR(list);
	return r;
}

/* "Test": [] and ["NONE"] are none, ["CMD", argument…] is a command. */
static int health_command(json_t *run, char *const *test, char ***command, struct error *err)
{
	if (!test || !strcmp(test[0], "NONE"))
		return 0;
	if (!strcmp(test[0], "CMD-SHELL") && test[1] && !test[2])
		return shell_command(run, test[1], command, err);
	if (strcmp(test[0], "CMD") || !test[1])
		return wrong(err, health_field, "Test is neither NONE, CMD nor CMD-SHELL with a command");
	*command = text_list_copy(test + 1, err);
	return *command ? 0 : -ERROR_NO_MEMORY;
}

static int parse_health(json_t *run, struct oci_health *h, struct error *err)
{
	_cleanup_text_list_ char **test = NULL;
	json_t *check;
	int r = get_object(run, "Healthcheck", "config: config", &check, err);

	if (r == 0)
		r = get_list(check, "Test", health_field, &test, err);
	if (r == 0)
		r = get_count(check, "Interval", &h->interval, err);
	if (r == 0)
		r = get_count(check, "Timeout", &h->timeout, err);
	if (r == 0)
		r = get_count(check, "StartPeriod", &h->start_period, err);
	if (r == 0)
		r = get_count(check, "Retries", &h->retries, err);
	return r < 0 ? r : health_command(run, test, &h->command, err);
}

static int parse_run(json_t *root, struct oci_config *c, struct error *err)
{
	static const char where[] = "config: config";
	json_t *run;
	int r = get_object(root, "config", "config: ", &run, err);

	if (r == 0)
		r = get_list(run, "Entrypoint", where, &c->entrypoint, err);
	if (r == 0)
		r = get_list(run, "Cmd", where, &c->cmd, err);
	if (r == 0)
		r = get_list(run, "Env", where, &c->env, err);
	if (r == 0)
		r = get_text(run, "WorkingDir", where, &c->workdir, err);
	if (r == 0)
		r = get_text(run, "User", where, &c->user, err);
	if (r == 0)
		r = get_text(run, "StopSignal", where, &c->stop_signal, err);
	if (r == 0)
		r = get_keys(run, "Volumes", false, &c->volumes, err);
	if (r == 0)
		r = get_keys(run, "ExposedPorts", false, &c->exposed_ports, err);
	if (r == 0)
		r = get_keys(run, "Labels", true, &c->labels, err);
	return r < 0 ? r : parse_health(run, &c->health, err);
}

static int parse_root(json_t *root, struct oci_config *c, struct error *err)
{
	json_t *rootfs;
	char digest[OCI_DIGEST_SIZE], field[64];
	int r = get_object(root, "rootfs", "config: ", &rootfs, err);

	if (r == 0 && !rootfs)
		return wrong(err, "config: rootfs", "missing");
	if (r == 0)
		r = get_list(rootfs, "diff_ids", "config: rootfs", &c->diff_ids, err);
	for (size_t i = 0; r == 0 && c->diff_ids && c->diff_ids[i]; i++) {
		snprintf(field, sizeof field, "config: rootfs.diff_ids[%zu]", i);
		r = parse_digest(c->diff_ids[i], field, digest, err);
	}
	return r;
}

static int parse_config(json_t *root, struct oci_config *c, struct error *err)
{
	static const char where[] = "config: ";
	int r;

	if (!json_is_object(root))
		return wrong(err, "config", "not an object");
	r = parse_root(root, c, err);
	if (r == 0)
		r = parse_run(root, c, err);
	if (r == 0)
		r = get_text(root, "os", where, &c->os, err);
	if (r == 0)
		r = get_text(root, "architecture", where, &c->architecture, err);
	if (r == 0)
		r = get_text(root, "variant", where, &c->variant, err);
	return r < 0 ? r : get_text(root, "created", where, &c->created, err);
}

int oci_config_parse(const void *bytes, size_t n, struct oci_config *config, struct error *err)
{
	_cleanup_(cleanup_json) json_t *root = NULL;
	int r = load(bytes, n, "config", &root, err);

	*config = (struct oci_config){0};
	if (r == 0)
		r = parse_config(root, config, err);
	if (r < 0)
		oci_config_free(config);
	return r;
}

/* ---- docker save ------------------------------------------------------------------------------------ */

void docker_images_free(struct docker_images *images)
{
	for (size_t i = 0; i < images->count; i++) {
		free(images->images[i].config);
		text_list_free(images->images[i].tags);
		text_list_free(images->images[i].layers);
	}
	free(images->images);
	*images = (struct docker_images){0};
}

static int parse_docker(const json_t *root, struct docker_images *images, struct error *err)
{
	size_t n = json_array_size(root);
	int r = 0;

	if (!json_is_array(root))
		return wrong(err, "manifest.json", "not a list");
	if (n > OCI_INDEX_MAX)
		return error_set(err, ERROR_LIMIT, "manifest.json: over %u images", OCI_INDEX_MAX);
	images->images = calloc(n ? n : 1, sizeof *images->images);
	if (!images->images)
		return error_no_memory(err, "manifest.json");
	images->count = n;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const json_t *image = json_array_get(root, i);
		char where[64];

		snprintf(where, sizeof where, "manifest.json: [%zu]", i);
		if (!json_is_object(image))
			return wrong(err, where, "not an object");
		r = get_text(image, "Config", where, &images->images[i].config, err);
		if (r == 0)
			r = get_list(image, "RepoTags", where, &images->images[i].tags, err);
		if (r == 0)
			r = get_list(image, "Layers", where, &images->images[i].layers, err);
	}
	return r;
}

int docker_images_parse(const void *bytes, size_t n, struct docker_images *images, struct error *err)
{
	_cleanup_(cleanup_json) json_t *root = NULL;
	int r = load(bytes, n, "manifest.json", &root, err);

	*images = (struct docker_images){0};
	if (r == 0)
		r = parse_docker(root, images, err);
	if (r < 0)
		docker_images_free(images);
	return r;
}
