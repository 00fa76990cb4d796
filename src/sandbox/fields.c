/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/fields.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static void *member(const void *object, const struct field *f)
{
	return (char *)object + f->offset;
}

static json_t *text_to_json(const char *text)
{
	json_t *json = json_string(text ? text : ""), *bytes;

	if (json)
		return json;
	bytes = json_array();
	for (const char *p = text; bytes && *p; p++)
		if (json_array_append_new(bytes, json_integer((unsigned char)*p)) < 0) {
			json_decref(bytes);
			return NULL;
		}
	return bytes;
}

static char *text_from_bytes(const json_t *bytes, struct error *err)
{
	size_t n = json_array_size(bytes);
	char *text = calloc(1, n + 1);

	if (!text) {
		error_no_memory(err, "read text");
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		json_int_t v = json_integer_value(json_array_get(bytes, i));

		if (v < 1 || v > 255) {
			error_set(err, ERROR_CORRUPT, "text holds a byte %lld", (long long)v);
			free(text);
			return NULL;
		}
		text[i] = (char)v;
	}
	return text;
}

static char *text_from_json(const json_t *json, struct error *err)
{
	if (json_is_string(json))
		return text_copy(json_string_value(json), err);
	if (json_is_array(json))
		return text_from_bytes(json, err);
	if (!json)
		return text_copy("", err);
	error_set(err, ERROR_CORRUPT, "text expected");
	return NULL;
}

static json_t *list_to_json(char *const *list)
{
	json_t *json = json_array();

	for (size_t i = 0; json && list && list[i]; i++)
		if (json_array_append_new(json, text_to_json(list[i])) < 0) {
			json_decref(json);
			return NULL;
		}
	return json;
}

static int list_from_json(const json_t *json, char ***list, struct error *err)
{
	size_t n = json_array_size(json);

	if (json && !json_is_array(json))
		return error_set(err, ERROR_CORRUPT, "a list expected");
	if (n == 0)
		return 0;
	*list = calloc(n + 1, sizeof **list);
	if (!*list)
		return error_no_memory(err, "read a list");
	for (size_t i = 0; i < n; i++)
		if (!((*list)[i] = text_from_json(json_array_get(json, i), err)))
			return -ERROR_CORRUPT;
	return 0;
}

static json_t *member_to_json(const struct field *f, const void *object)
{
	switch (f->kind) {
	case FIELD_TEXT:
		return text_to_json(*(char **)member(object, f));
	case FIELD_LIST:
		return list_to_json(*(char ***)member(object, f));
	case FIELD_NUMBER:
		return json_integer((json_int_t) * (uint64_t *)member(object, f));
	default:
		return json_boolean(*(bool *)member(object, f));
	}
}

json_t *fields_to_json(const struct field *fields, size_t count, const void *object, struct error *err)
{
	json_t *json = json_object();

	for (size_t i = 0; json && i < count; i++)
		if (json_object_set_new(json, fields[i].name, member_to_json(&fields[i], object)) < 0) {
			json_decref(json);
			json = NULL;
		}
	if (!json)
		error_no_memory(err, "write JSON");
	return json;
}

static int member_from_json(const struct field *f, const json_t *json, void *object, struct error *err)
{
	switch (f->kind) {
	case FIELD_TEXT:
		return (*(char **)member(object, f) = text_from_json(json, err)) ? 0 : -ERROR_CORRUPT;
	case FIELD_LIST:
		return list_from_json(json, member(object, f), err);
	case FIELD_NUMBER:
		if (json && (!json_is_integer(json) || json_integer_value(json) < 0))
			return error_set(err, ERROR_CORRUPT, "a number expected");
		*(uint64_t *)member(object, f) = (uint64_t)json_integer_value(json);
		return 0;
	default:
		if (json && !json_is_boolean(json))
			return error_set(err, ERROR_CORRUPT, "true or false expected");
		*(bool *)member(object, f) = json_is_true(json);
		return 0;
	}
}

int fields_from_json(
	const struct field *fields, size_t count, const json_t *json, void *object, struct error *err)
{
	int r = json_is_object(json) ? 0 : error_set(err, ERROR_CORRUPT, "a JSON object expected");

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = member_from_json(&fields[i], json_object_get(json, fields[i].name), object, err);
		if (r < 0)
			error_prefix(err, "member '%s'", fields[i].name);
	}
	if (r < 0)
		fields_free(fields, count, object);
	return r;
}

void fields_free(const struct field *fields, size_t count, void *object)
{
	for (size_t i = 0; i < count; i++)
		if (fields[i].kind == FIELD_TEXT) {
			free(*(char **)member(object, &fields[i]));
			*(char **)member(object, &fields[i]) = NULL;
		} else if (fields[i].kind == FIELD_LIST) {
			text_list_free(*(char ***)member(object, &fields[i]));
			*(char ***)member(object, &fields[i]) = NULL;
		}
}
