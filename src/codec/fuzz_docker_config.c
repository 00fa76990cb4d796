/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses: a helper's answer, base64, or docker's config.json, which is read, changed and read
 * again: what was put there is there, and the rest is as it was. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/base64.h"
#include "codec/docker_config.h"
#include "codec/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct docker_auth *a, const struct docker_auth *b)
{
	assert(strcmp(a->key, b->key) == 0 && strcmp(a->username, b->username) == 0);
	assert(strcmp(a->password, b->password) == 0 && strcmp(a->identity_token, b->identity_token) == 0);
	assert(strcmp(a->registry_token, b->registry_token) == 0 && a->broken == b->broken);
}

/* The entries of both but `key` are the same, in the same order; the entry `key` is at *at of the second,
 * which is its length where it has none. */
static void check_others(
	const struct docker_config *a, const struct docker_config *b, const char *key, size_t *at)
{
	size_t i = 0;

	*at = b->auth_count;
	for (size_t k = 0; k < b->auth_count; k++) {
		if (strcmp(b->auths[k].key, key) == 0) {
			*at = k;
			continue;
		}
		while (i < a->auth_count && strcmp(a->auths[i].key, key) == 0)
			i++;
		assert(i < a->auth_count);
		check_same(&a->auths[i++], &b->auths[k]);
	}
	while (i < a->auth_count && strcmp(a->auths[i].key, key) == 0)
		i++;
	assert(i == a->auth_count && a->helper_count == b->helper_count && strcmp(a->store, b->store) == 0);
	for (size_t k = 0; k < a->helper_count; k++)
		assert(strcmp(a->helpers[k].key, b->helpers[k].key) == 0 &&
			strcmp(a->helpers[k].name, b->helpers[k].name) == 0);
}

static void change(const void *json, size_t n, const struct docker_config *before, char *key)
{
	struct docker_auth auth = {.key = key,
		.username = (char[]){"user"},
		.password = (char[]){"pass:word"},
		.identity_token = (char[]){""}};
	_cleanup_secret_buffer_ struct buffer set = {0}, removed = {0};
	struct docker_config after, gone;
	struct error err;
	size_t at;

	if (docker_config_set(json, n, "f", &auth, &set, &err) < 0)
		return;
	if (set.size > DOCKER_CONFIG_MAX)
		return;
	assert(docker_config_parse(set.data, set.size, "f", &after, &err) == 0);
	check_others(before, &after, key, &at);
	assert(at < after.auth_count && strcmp(after.auths[at].username, "user") == 0);
	assert(strcmp(after.auths[at].password, "pass:word") == 0 && !after.auths[at].broken);
	assert(docker_config_remove(set.data, set.size, "f", key, &removed, &err) == 0);
	assert(docker_config_parse(removed.data, removed.size, "f", &gone, &err) == 0);
	check_others(before, &gone, key, &at);
	assert(at == gone.auth_count);
	docker_config_free(&after);
	docker_config_free(&gone);
}

static int check_config(const void *json, size_t n, struct error *err)
{
	struct docker_config c;
	int r = docker_config_parse(json, n, "f", &c, err);
	bool whole;

	assert(r == 0 || (!c.auths && !c.helpers && !c.store));
	if (r < 0)
		return r;
	for (size_t i = 0; i < c.auth_count; i++) {
		assert(c.auths[i].username && c.auths[i].password && c.auths[i].identity_token);
		(void)docker_config_fit(c.auths[i].key, "docker.io", "library/alpine", &whole);
	}
	change(json, n, &c, (char[]){"https://index.docker.io/v1/"});
	change(json, n, &c, c.auth_count ? c.auths[c.auth_count - 1].key : (char[]){""});
	docker_config_free(&c);
	return 0;
}

static int check_helper(const void *json, size_t n, struct error *err)
{
	_cleanup_secret_buffer_ struct buffer request = {0};
	struct docker_auth auth, again;
	int r = docker_helper_parse(json, n, "helper", &auth, err);

	(void)docker_helper_not_found(json, n);
	assert(r == 0 || (!auth.username && !auth.password));
	if (r < 0)
		return r;
	auth.key = text_copy("k", NULL);
	assert(docker_helper_request(&auth, &request, NULL) == 0);
	assert(docker_helper_parse(request.data, request.size, "helper", &again, NULL) == 0);
	again.key = text_copy("k", NULL);
	check_same(&auth, &again);
	docker_auth_free(&auth);
	docker_auth_free(&again);
	return 0;
}

static int check_base64(const void *text, size_t n, struct error *err)
{
	uint8_t *bytes = malloc(n ? n : 1);
	size_t size;

	if (bytes && base64_decode(text, n, bytes, &size)) {
		_cleanup_free_ char *again = base64_encode(bytes, size, err);

		assert(again && strlen(again) == n && memcmp(again, text, n) == 0);
	}
	free(bytes);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const checks[])(const void *, size_t, struct error *) = {
		check_config, check_helper, check_base64};
	_cleanup_free_ char *copy = NULL;
	struct error err = {0};
	int r;

	/* A copy that ends where its bytes do, so that reading past them shows. */
	if (size < 1 || !(copy = malloc(size > 1 ? size - 1 : 1)))
		return 0;
	memcpy(copy, data + 1, size - 1);
	r = checks[data[0] % ARRAY_SIZE(checks)](copy, size - 1, &err);
	assert(r == 0 || (r == -(int)err.code && *err.text));
	return 0;
}
