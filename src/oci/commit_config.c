/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/commit_config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/oci_json.h"
#include "oci/commit_change.h"

#define LATEST_TIME 253402300799 /* 9999-12-31T23:59:59Z, the last that RFC 3339 can tell */

static int set(json_t *object, const char *key, json_t *value, struct error *err)
{
	return json_object_set_new(object, key, value) < 0
		       ? error_set(err, ERROR_INVALID, "%s: no memory for it, or no UTF-8", key)
		       : 0;
}

/* Sets a text, or removes the member where it is NULL or "". */
static int set_text(json_t *object, const char *key, const char *text, struct error *err)
{
	if (text && *text)
		return set(object, key, json_string(text), err);
	json_object_del(object, key);
	return 0;
}

static int set_list(json_t *object, const char *key, char *const *list, struct error *err)
{
	_cleanup_json_ json_t *array = json_array();

	for (size_t i = 0; list[i]; i++)
		if (json_array_append_new(array, json_string(list[i])) < 0)
			return error_set(err, ERROR_INVALID, "%s: '%s' is not UTF-8", key, list[i]);
	if (array && !json_array_size(array)) {
		json_object_del(object, key);
		return 0;
	}
	return set(object, key, TAKE_PTR(array), err);
}

/* ---- time ------------------------------------------------------------------------------------------ */

/* Seconds since 1970 of an RFC 3339 text, its fraction cut off; false: it is none. */
static bool parse_time(const char *text, int64_t *seconds)
{
	int hours = 0, minutes = 0, n = 0;
	struct tm t = {0};
	char sign = 'Z';

	if (sscanf(text, "%4d-%2d-%2d%*1[Tt]%2d:%2d:%2d%n", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour,
		    &t.tm_min, &t.tm_sec, &n) != 6 ||
		!n)
		return false;
	text += n;
	if (*text == '.')
		text += 1 + strspn(text + 1, "0123456789");
	if (*text != 'Z' && *text != 'z' &&
		(sscanf(text, "%c%2d:%2d", &sign, &hours, &minutes) != 3 || (sign != '+' && sign != '-')))
		return false;
	t.tm_year -= 1900;
	t.tm_mon--;
	*seconds = timegm(&t) - (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return true;
}

static int set_created(json_t *root, int64_t newest, struct error *err)
{
	const char *base = json_string_value(json_object_get(root, "created"));
	time_t when = (time_t)newest;
	char text[32];
	int64_t before;
	struct tm t;

	if (newest < 0 || newest > LATEST_TIME || (base && parse_time(base, &before) && before >= newest))
		return 0;
	if (!gmtime_r(&when, &t) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &t))
		return error_set(err, ERROR_INVALID, "the time of the layer is out of range");
	return set(root, "created", json_string(text), err);
}

/* ---- config ---------------------------------------------------------------------------------------- */

static int set_run(json_t *config, const struct commit_run *run, struct error *err)
{
	int r = run->entrypoint ? set_list(config, "Entrypoint", run->entrypoint, err) : 0;

	if (r == 0 && run->cmd)
		r = set_list(config, "Cmd", run->cmd, err);
	if (r == 0 && run->env)
		r = set_list(config, "Env", run->env, err);
	if (r == 0 && run->workdir)
		r = set_text(config, "WorkingDir", run->workdir, err);
	if (r == 0 && run->user)
		r = set_text(config, "User", run->user, err);
	if (r == 0 && run->stop_signal)
		r = set_text(config, "StopSignal", run->stop_signal, err);
	for (size_t i = 0; r == 0 && run->labels && run->labels[i]; i++)
		r = commit_set_label(config, run->labels[i], err);
	return r;
}

static int change_config(json_t *root, const struct commit_options *o, struct error *err)
{
	json_t *config = json_object_get(root, "config");
	struct commit_changer changer = {0};
	int r = 0;

	if (!json_is_object(config)) {
		r = set(root, "config", json_object(), err);
		config = json_object_get(root, "config");
	}
	if (r == 0 && o->run)
		r = set_run(config, o->run, err);
	changer.config = config;
	for (size_t i = 0; r == 0 && o->changes && o->changes[i]; i++)
		r = commit_change(&changer, o->changes[i], err);
	return r;
}

/* A history that says nothing of the layers before this one. */
static json_t *make_history(json_t *root, const struct layer *layer)
{
	size_t layers = json_array_size(json_object_get(json_object_get(root, "rootfs"), "diff_ids"));
	json_t *history = json_array();

	for (size_t i = layer->entries ? 1 : 0; i < layers; i++)
		if (json_array_append_new(history, json_object()) < 0)
			return NULL;
	return json_object_set_new(root, "history", history) < 0 ? NULL : history;
}

static int add_history(
	json_t *root, const struct layer *layer, const struct commit_options *o, struct error *err)
{
	json_t *history = json_object_get(root, "history");
	_cleanup_json_ json_t *entry = json_object();
	int r;

	if (!json_is_array(history) && o->history && !(history = make_history(root, layer)))
		return error_no_memory(err, "write the history");
	r = set_text(entry, "created", json_string_value(json_object_get(root, "created")), err);

	if (!json_is_array(history))
		return 0;
	if (r == 0)
		r = set_text(entry, "created_by", o->created_by, err);
	if (r == 0)
		r = set_text(entry, "author", o->author, err);
	if (r == 0)
		r = set_text(entry, "comment", o->comment, err);
	if (r == 0 && !layer->entries)
		r = set(entry, "empty_layer", json_true(), err);
	if (r == 0 && json_array_append(history, entry) < 0)
		return error_no_memory(err, "write the history");
	return r;
}

static int add_diff_id(json_t *root, const struct layer *layer, struct error *err)
{
	json_t *list = json_object_get(json_object_get(root, "rootfs"), "diff_ids");

	if (!layer->entries)
		return 0;
	if (!json_is_array(list))
		return error_set(err, ERROR_INVALID, "config: rootfs.diff_ids is missing");
	return json_array_append_new(list, json_string(layer->diff_id)) < 0
		       ? error_no_memory(err, "write the config")
		       : 0;
}

static int write_json(const json_t *root, struct buffer *out, struct error *err)
{
	size_t n = json_dumpb(root, NULL, 0, JSON_COMPACT);

	buffer_clear(out);
	if (!n || !buffer_reserve(out, n))
		return error_no_memory(err, "write JSON");
	out->size = json_dumpb(root, (char *)out->data, n, JSON_COMPACT);
	if (n > OCI_JSON_MAX)
		return error_set(err, ERROR_LIMIT, "a document of the image is over %u bytes", OCI_JSON_MAX);
	return 0;
}

int commit_config(const void *base, size_t n, const struct layer *layer, const struct commit_options *options,
	struct buffer *out, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	struct oci_config checked = {0};
	int r = oci_config_parse(base, n, &checked, err);

	oci_config_free(&checked);
	if (r == 0)
		r = json_parse(base, n, OCI_JSON_MAX, false, "config", &root, err);
	if (r == 0)
		r = set_created(root, layer->newest, err);
	if (r == 0)
		r = set_text(root, "author", options->author, err);
	if (r == 0)
		r = change_config(root, options, err);
	if (r == 0)
		r = add_diff_id(root, layer, err);
	if (r == 0)
		r = add_history(root, layer, options, err);
	return r < 0 ? r : write_json(root, out, err);
}

/* ---- manifest -------------------------------------------------------------------------------------- */

#define DOCKER_LAYER "application/vnd.docker.image.rootfs."
#define OCI_LAYER    "application/vnd.oci.image.layer."

/* docker's names of layers, and OCI's of the same. */
static const char *oci_name(const char *type)
{
	static const char *const names[][2] = {{DOCKER_LAYER "diff.tar", OCI_LAYER "v1.tar"},
		{DOCKER_LAYER "diff.tar.gzip", OCI_LAYER "v1.tar+gzip"},
		{DOCKER_LAYER "diff.tar.zstd", OCI_LAYER "v1.tar+zstd"},
		{DOCKER_LAYER "foreign.diff.tar", OCI_LAYER "nondistributable.v1.tar"},
		{DOCKER_LAYER "foreign.diff.tar.gzip", OCI_LAYER "nondistributable.v1.tar+gzip"}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i][0], type))
			return names[i][1];
	return type;
}

static json_t *descriptor(const char *type, const char *digest, uint64_t size)
{
	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)size);
}

/* The layers of the base, each as it is described there but for the name of its type. */
static int copy_layers(const json_t *base, json_t *layers, struct error *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(base, "layers"), i, item)
	{
		json_t *copy = json_deep_copy(item);
		const char *type = json_string_value(json_object_get(copy, "mediaType"));

		if (json_array_append_new(layers, copy) < 0)
			return error_no_memory(err, "write the manifest");
		if (!type || oci_media_type(type) == OCI_MEDIA_OTHER)
			return error_set(err, ERROR_INVALID, "manifest: layers[%zu] is no layer but '%s'", i,
				type ? type : "");
		if (json_object_set_new(copy, "mediaType", json_string(oci_name(type))) < 0)
			return error_no_memory(err, "write the manifest");
	}
	return 0;
}

int commit_manifest(const void *base, size_t n, const struct layer *layer, const char *config_digest,
	uint64_t config_size, struct buffer *out, struct error *err)
{
	_cleanup_json_ json_t *root = NULL, *layers = json_array(), *whole = NULL;
	struct oci_manifest checked = {0};
	int r = oci_manifest_parse(base, n, &checked, err);

	oci_manifest_free(&checked);
	if (r == 0)
		r = json_parse(base, n, OCI_JSON_MAX, false, "manifest", &root, err);
	if (r == 0)
		r = copy_layers(root, layers, err);
	if (r < 0)
		return r;
	if (layer->entries &&
		json_array_append_new(layers, descriptor(LAYER_MEDIA_TYPE, layer->digest, layer->size)) < 0)
		return error_no_memory(err, "write the manifest");
	whole = json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType", COMMIT_MANIFEST_MEDIA_TYPE,
		"config", descriptor(COMMIT_CONFIG_MEDIA_TYPE, config_digest, config_size), "layers", layers);
	return whole ? write_json(whole, out, err) : error_no_memory(err, "write the manifest");
}
