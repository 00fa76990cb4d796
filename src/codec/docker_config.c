/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/docker_config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/secret.h"

#define HUB        "docker.io"
#define HUB_KEY    "https://index.docker.io/v1/"
#define TOKEN_USER "<token>"

static void cleanup_secret_json(json_t **root)
{
	json_wipe(*root);
	json_decref(*root);
}
#define _cleanup_secret_json_ _cleanup_(cleanup_secret_json)

void docker_auth_free(struct docker_auth *a)
{
	free(a->key);
	secret_free(a->username);
	secret_free(a->password);
	secret_free(a->identity_token);
	secret_free(a->registry_token);
	*a = (struct docker_auth){0};
}

void docker_config_free(struct docker_config *c)
{
	for (size_t i = 0; i < c->auth_count; i++)
		docker_auth_free(&c->auths[i]);
	for (size_t i = 0; i < c->helper_count; i++) {
		free(c->helpers[i].key);
		free(c->helpers[i].name);
	}
	free(c->auths);
	free(c->helpers);
	free(c->store);
	*c = (struct docker_config){0};
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static int load(const void *json, size_t n, const char *what, json_t **root, struct error *err)
{
	const char *text = json;

	/* An empty file says nothing; docker leaves such after a full disk. */
	while (n > 0 && strchr(" \t\r\n", text[n - 1]) && text[n - 1])
		n--;
	return n ? json_parse(json, n, DOCKER_CONFIG_MAX, true, what, root, err)
		 : json_parse("{}", 2, DOCKER_CONFIG_MAX, true, what, root, err);
}

static int take_text(const json_t *object, const char *key, const char *where, char **out, struct error *err)
{
	const char *text;
	int r = json_text(object, key, where, &text, err);

	if (r == 0 && !(*out = text_copy(text ? text : "", err)))
		r = -ERROR_NO_MEMORY;
	return r;
}

/* Base64 of "user:password". Docker pads the password with NULs in old files. */
static int take_pair(const char *auth, struct docker_auth *a, struct error *err)
{
	size_t n = strlen(auth), size;
	_cleanup_secret_buffer_ struct buffer pair = {0};
	char *colon;

	if (!buffer_reserve(&pair, n + 1))
		return error_no_memory(err, "read credentials");
	a->broken = !base64_decode(auth, n, pair.data, &size);
	while (size > 0 && pair.data[size - 1] == 0)
		size--;
	pair.data[size] = 0;
	colon = strchr((char *)pair.data, ':');
	a->broken = a->broken || !colon || strlen((char *)pair.data) != size;
	if (a->broken)
		return 0;
	*colon = 0;
	secret_free(a->username);
	secret_free(a->password);
	a->username = text_copy((char *)pair.data, err);
	a->password = text_copy(colon + 1, err);
	return a->username && a->password ? 0 : -ERROR_NO_MEMORY;
}

static int read_auth(
	const char *key, const json_t *entry, const char *where, struct docker_auth *a, struct error *err)
{
	const char *auth;
	int r;

	if (!json_is_object(entry))
		return error_set(err, ERROR_INVALID, "%s: not an object", where);
	a->key = text_copy(key, err);
	if (!a->key)
		return -ERROR_NO_MEMORY;
	if ((r = take_text(entry, "username", where, &a->username, err)) < 0 ||
		(r = take_text(entry, "password", where, &a->password, err)) < 0 ||
		(r = take_text(entry, "identitytoken", where, &a->identity_token, err)) < 0 ||
		(r = take_text(entry, "registrytoken", where, &a->registry_token, err)) < 0 ||
		(r = json_text(entry, "auth", where, &auth, err)) < 0)
		return r;
	return auth && *auth ? take_pair(auth, a, err) : 0;
}

static int read_auths(json_t *object, const char *what, struct docker_config *c, struct error *err)
{
	const char *key;
	json_t *entry;
	int r = 0;

	if (!object || json_is_null(object))
		return 0;
	if (!json_is_object(object))
		return error_set(err, ERROR_INVALID, "%s: auths is not an object", what);
	c->auths = calloc(json_object_size(object) + 1, sizeof *c->auths);
	if (!c->auths)
		return error_no_memory(err, what);
	json_object_foreach(object, key, entry)
	{
		_cleanup_free_ char *where = text_format(err, "%s: auths: '%s'", what, key);

		r = where ? read_auth(key, entry, where, &c->auths[c->auth_count++], err) : -ERROR_NO_MEMORY;
		if (r < 0)
			break;
	}
	return r;
}

static int read_helpers(json_t *object, const char *what, struct docker_config *c, struct error *err)
{
	const char *key;
	json_t *name;

	if (!object || json_is_null(object))
		return 0;
	if (!json_is_object(object))
		return error_set(err, ERROR_INVALID, "%s: credHelpers is not an object", what);
	c->helpers = calloc(json_object_size(object) + 1, sizeof *c->helpers);
	if (!c->helpers)
		return error_no_memory(err, what);
	json_object_foreach(object, key, name)
	{
		struct docker_helper *h = &c->helpers[c->helper_count++];

		if (!json_is_string(name))
			return error_set(
				err, ERROR_INVALID, "%s: credHelpers: '%s': not a string", what, key);
		h->key = text_copy(key, err);
		h->name = text_copy(json_string_value(name), err);
		if (!h->key || !h->name)
			return -ERROR_NO_MEMORY;
	}
	return 0;
}

int docker_config_parse(
	const void *json, size_t n, const char *what, struct docker_config *c, struct error *err)
{
	_cleanup_secret_json_ json_t *root = NULL;
	int r = load(json, n, what, &root, err);

	*c = (struct docker_config){0};
	if (r < 0)
		return r;
	if ((r = read_auths(json_object_get(root, "auths"), what, c, err)) < 0 ||
		(r = read_helpers(json_object_get(root, "credHelpers"), what, c, err)) < 0 ||
		(r = take_text(root, "credsStore", what, &c->store, err)) < 0)
		docker_config_free(c);
	return r;
}

/* ---- writing ---------------------------------------------------------------------------------------- */

struct writer {
	struct buffer *out;
	bool line_start;
};

/* The library indents with spaces; line breaks stand only where it puts them. */
static int write_piece(const char *bytes, size_t n, void *context)
{
	struct writer *w = context;

	for (size_t i = 0; i < n; i++) {
		char c = w->line_start && bytes[i] == ' ' ? '\t' : bytes[i];

		w->line_start = c == '\n' || (w->line_start && c == '\t');
		buffer_u8(w->out, (uint8_t)c);
	}
	return w->out->failed ? -1 : 0;
}

static int write_out(const json_t *root, size_t size, size_t layout, struct buffer *out, struct error *err)
{
	struct writer w = {.out = out};

	/* So that it does not move as it grows; in the worst case it does. */
	if (!buffer_reserve(out, 4 * size + 65536) || json_dump_callback(root, write_piece, &w, layout) < 0)
		return error_no_memory(err, "write credentials");
	return 0;
}

static int set_text(json_t *entry, const char *key, const char *text, struct error *err)
{
	if (!*text) {
		json_object_del(entry, key);
		return 0;
	}
	return json_object_set_new(entry, key, json_string(text)) < 0
		       ? error_set(err, ERROR_INVALID, "credentials: %s is no UTF-8 text", key)
		       : 0;
}

/* Puts the pair where docker looks first; what else would speak for somebody else goes. */
static int fill_entry(json_t *entry, const struct docker_auth *a, struct error *err)
{
	_cleanup_secret_ char *pair = text_format(err, "%s:%s", a->username, a->password);
	_cleanup_secret_ char *encoded = pair ? base64_encode(pair, strlen(pair), err) : NULL;
	int r;

	if (!encoded)
		return -ERROR_NO_MEMORY;
	if ((r = set_text(entry, "auth", *a->username || *a->password ? encoded : "", err)) < 0 ||
		(r = set_text(entry, "identitytoken", a->identity_token, err)) < 0)
		return r;
	json_object_del(entry, "username");
	json_object_del(entry, "password");
	json_object_del(entry, "registrytoken");
	return 0;
}

/* The member, made where it is missing. */
static int get_object(json_t *parent, const char *key, const char *what, json_t **object, struct error *err)
{
	*object = json_object_get(parent, key);
	if (*object && !json_is_object(*object) && !json_is_null(*object))
		return error_set(err, ERROR_INVALID, "%s: '%s' is not an object", what, key);
	if (json_is_object(*object))
		return 0;
	*object = json_object();
	if (!*object || json_object_set_new(parent, key, *object) < 0)
		return error_set(err, ERROR_INVALID, "%s: '%s' cannot be kept there", what, key);
	return 0;
}

int docker_config_set(const void *json, size_t n, const char *what, const struct docker_auth *auth,
	struct buffer *out, struct error *err)
{
	_cleanup_secret_json_ json_t *root = NULL;
	json_t *auths, *entry;
	int r;

	if (strchr(auth->username, ':'))
		return error_set(err, ERROR_INVALID, "the user name '%s' has a ':' in it", auth->username);
	if ((r = load(json, n, what, &root, err)) < 0 ||
		(r = get_object(root, "auths", what, &auths, err)) < 0 ||
		(r = get_object(auths, auth->key, what, &entry, err)) < 0 ||
		(r = fill_entry(entry, auth, err)) < 0)
		return r;
	return write_out(root, n, JSON_INDENT(1), out, err);
}

int docker_config_remove(
	const void *json, size_t n, const char *what, const char *key, struct buffer *out, struct error *err)
{
	_cleanup_secret_json_ json_t *root = NULL;
	int r = load(json, n, what, &root, err);
	json_t *auths;

	if (r < 0)
		return r;
	auths = json_object_get(root, "auths");
	json_wipe(json_object_get(auths, key));
	json_object_del(auths, key);
	return write_out(root, n, JSON_INDENT(1), out, err);
}

/* ---- keys ------------------------------------------------------------------------------------------- */

const char *docker_config_key(const char *registry)
{
	return strcmp(registry, HUB) == 0 ? HUB_KEY : registry;
}

static bool is_host(const char *text, size_t n, const char *host)
{
	return n == strlen(host) && strncasecmp(text, host, n) == 0;
}

size_t docker_config_fit(const char *key, const char *registry, const char *repository, bool *whole)
{
	bool scheme = text_starts(key, "https://") || text_starts(key, "http://");
	const char *host = scheme ? strstr(key, "://") + 3 : key, *path;
	size_t n = strcspn(host, "/"), size;
	bool hub = is_host(host, n, "index.docker.io") || is_host(host, n, "registry-1.docker.io");

	if (whole)
		*whole = false;
	if (!is_host(host, n, registry) && !(hub && strcmp(registry, HUB) == 0))
		return 0;
	path = host + n + strspn(host + n, "/");
	size = strlen(path);
	while (size > 0 && path[size - 1] == '/')
		size--;
	/* Docker Hub's key with another path, such as ".../v1/access-token", is for something else. */
	if (is_host(path, size, "v1") || is_host(path, size, "v2") || (scheme && !hub))
		size = 0;
	if (scheme && size > 0)
		return 0;
	if (size > 0 &&
		(strncmp(repository, path, size) != 0 || (repository[size] && repository[size] != '/')))
		return 0;
	if (whole)
		*whole = size == 0;
	return 1 + 2 * size + (size == 0 && strcmp(key, docker_config_key(registry)) == 0);
}

/* ---- helpers ---------------------------------------------------------------------------------------- */

static int read_helper(const json_t *root, const char *what, struct docker_auth *auth, struct error *err)
{
	_cleanup_secret_ char *username = NULL, *secret = NULL;
	bool token;
	int r;

	if ((r = take_text(root, "Username", what, &username, err)) < 0 ||
		(r = take_text(root, "Secret", what, &secret, err)) < 0)
		return r;
	token = strcmp(username, TOKEN_USER) == 0;
	auth->username = text_copy(token ? "" : username, err);
	auth->password = text_copy(token ? "" : secret, err);
	auth->identity_token = text_copy(token ? secret : "", err);
	auth->registry_token = text_copy("", err);
	return auth->username && auth->password && auth->identity_token && auth->registry_token
		       ? 0
		       : -ERROR_NO_MEMORY;
}

int docker_helper_parse(
	const void *json, size_t n, const char *what, struct docker_auth *auth, struct error *err)
{
	_cleanup_secret_json_ json_t *root = NULL;
	int r = json_parse(json, n, DOCKER_CONFIG_MAX, false, what, &root, err);

	*auth = (struct docker_auth){0};
	if (r == 0)
		r = read_helper(root, what, auth, err);
	if (r < 0)
		docker_auth_free(auth);
	return r;
}

int docker_helper_request(const struct docker_auth *auth, struct buffer *out, struct error *err)
{
	bool token = *auth->identity_token != 0;
	const char *secret = token ? auth->identity_token : auth->password;
	_cleanup_secret_json_ json_t *root = json_pack("{s:s,s:s,s:s}", "ServerURL", auth->key, "Username",
		token ? TOKEN_USER : auth->username, "Secret", secret);

	if (!root)
		return error_set(err, ERROR_INVALID, "credentials: user name or password is no UTF-8 text");
	/* One line, as docker writes it: helpers that are shell scripts count on it. */
	return write_out(root, strlen(secret), JSON_COMPACT, out, err);
}

bool docker_helper_not_found(const void *output, size_t n)
{
	static const char words[] = "credentials not found";
	const char *p = output, *end = n ? p + n : p;

	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return (size_t)(end - p) >= strlen(words) && strncasecmp(p, words, strlen(words)) == 0;
}
