/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/record.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/volume.h"
#include "sandbox/fields.h"
#include "sandbox/json_file.h"

#define X(name, kind) {#name, FIELD_##kind, offsetof(struct record, name)},
static const struct field record_fields[] = {RECORD_FIELDS(X)};
#undef X

#define X(name, kind) {#name, FIELD_##kind, offsetof(struct status, name)},
static const struct field status_fields[] = {STATUS_FIELDS(X)};
#undef X

#define X(name, kind) {#name, FIELD_##kind, offsetof(struct record_mount, name)},
static const struct field mount_fields[] = {RECORD_MOUNT_FIELDS(X)};
#undef X

void record_mount_free(struct record_mount *m)
{
	fields_free(mount_fields, ARRAY_SIZE(mount_fields), m);
}

bool record_has_staged(const struct record *r)
{
	for (uint32_t i = 0; i < r->mount_count; i++)
		if (r->mounts[i].stage)
			return true;
	return false;
}

bool record_is_kept(const struct record *r)
{
	return !r->discard || record_has_staged(r);
}

bool record_has_overlay(const struct record *r)
{
	return r->rootfs && !strcmp(r->rootfs, RECORD_OVERLAY);
}

bool record_has_disk(const struct record *r)
{
	return record_has_staged(r) || (!r->read_only && !record_has_overlay(r));
}

void record_free(struct record *r)
{
	for (uint32_t i = 0; i < r->mount_count; i++)
		record_mount_free(&r->mounts[i]);
	free(TAKE_PTR(r->mounts));
	r->mount_count = 0;
	fields_free(record_fields, ARRAY_SIZE(record_fields), r);
}

void status_free(struct status *s)
{
	fields_free(status_fields, ARRAY_SIZE(status_fields), s);
}

static json_t *rlimits_to_json(const struct record *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list && i < r->rlimit_count; i++)
		json_array_append_new(
			list, json_pack("[I,I,I]", (json_int_t)r->rlimits[i].resource,
				      (json_int_t)r->rlimits[i].soft, (json_int_t)r->rlimits[i].hard));
	return list;
}

static int rlimits_from_json(const json_t *list, struct record *r, struct error *err)
{
	size_t n = json_array_size(list);

	if (n > RECORD_RLIMITS_MAX)
		return error_set(err, ERROR_CORRUPT, "config.json: more than %d rlimits", RECORD_RLIMITS_MAX);
	for (size_t i = 0; i < n; i++) {
		json_int_t resource, soft, hard;

		if (json_unpack(json_array_get(list, i), "[I,I,I!]", &resource, &soft, &hard) < 0)
			return error_set(err, ERROR_CORRUPT, "config.json: a malformed rlimit");
		r->rlimits[i] = (struct message_rlimit){(uint32_t)resource, (uint64_t)soft, (uint64_t)hard};
	}
	r->rlimit_count = (uint32_t)n;
	return 0;
}

static json_t *mounts_to_json(const struct record *r, struct error *err)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list && i < r->mount_count; i++)
		json_array_append_new(
			list, fields_to_json(mount_fields, ARRAY_SIZE(mount_fields), &r->mounts[i], err));
	return list;
}

static int mounts_from_json(const json_t *list, struct record *r, struct error *err)
{
	size_t n = json_array_size(list);

	if (n > VOLUMES_MAX)
		return error_set(err, ERROR_CORRUPT, "config.json: more than %u mounts", VOLUMES_MAX);
	r->mounts = n ? calloc(n, sizeof *r->mounts) : NULL;
	if (n && !r->mounts)
		return error_no_memory(err, "read config.json");
	for (size_t i = 0; i < n; i++) {
		int result = fields_from_json(
			mount_fields, ARRAY_SIZE(mount_fields), json_array_get(list, i), &r->mounts[i], err);

		if (result < 0)
			return error_prefix(err, "config.json: a mount");
		r->mount_count++;
	}
	return 0;
}

static json_t *record_to_json(const struct record *r, struct error *err)
{
	json_t *json = fields_to_json(record_fields, ARRAY_SIZE(record_fields), r, err);

	if (json && (json_object_set_new(json, "rlimits", rlimits_to_json(r)) < 0 ||
			    json_object_set_new(json, "mounts", mounts_to_json(r, err)) < 0)) {
		json_decref(json);
		json = NULL;
		error_no_memory(err, "write config.json");
	}
	return json;
}

int record_read(int fd, struct record *r, struct error *err)
{
	_cleanup_json_ json_t *json = NULL;
	int result = json_file_read(fd, "config.json", &json, err);

	*r = (struct record){0};
	if (result == 0)
		result = fields_from_json(record_fields, ARRAY_SIZE(record_fields), json, r, err);
	if (result == 0)
		result = rlimits_from_json(json_object_get(json, "rlimits"), r, err);
	if (result == 0)
		result = mounts_from_json(json_object_get(json, "mounts"), r, err);
	if (result == 0 && r->version != RECORD_VERSION)
		result = error_set(err, ERROR_CORRUPT, "config.json: version %llu, this monocore knows %d",
			(unsigned long long)r->version, RECORD_VERSION);
	if (result < 0)
		record_free(r);
	return result;
}

int record_write(int fd, const struct record *r, bool durable, struct error *err)
{
	_cleanup_json_ json_t *json = record_to_json(r, err);

	return json ? json_file_write(fd, "config.json", json, durable, err) : -ERROR_NO_MEMORY;
}

int status_read(int fd, struct status *s, struct error *err)
{
	_cleanup_json_ json_t *json = NULL;
	int r;

	*s = (struct status){0};
	if (faccessat(fd, "state.json", F_OK, 0) < 0)
		json = json_pack("{s:s}", "state", "created");
	else if ((r = json_file_read(fd, "state.json", &json, err)) < 0)
		return r;
	return fields_from_json(status_fields, ARRAY_SIZE(status_fields), json, s, err);
}

int status_write(int fd, const struct status *s, bool durable, struct error *err)
{
	_cleanup_json_ json_t *json = fields_to_json(status_fields, ARRAY_SIZE(status_fields), s, err);

	return json ? json_file_write(fd, "state.json", json, durable, err) : -ERROR_NO_MEMORY;
}

char *record_describe(const struct record *r, const struct status *s, json_t *network, struct error *err)
{
	_cleanup_json_ json_t *json = record_to_json(r, err);
	char *text;

	if (!json)
		return NULL;
	if (json_object_set_new(
		    json, "status", fields_to_json(status_fields, ARRAY_SIZE(status_fields), s, err)) < 0)
		return NULL;
	if (network && json_object_set(json, "network", network) < 0)
		return NULL;
	text = json_dumps(json, JSON_INDENT(2));
	if (!text)
		error_no_memory(err, "describe a sandbox");
	return text;
}
