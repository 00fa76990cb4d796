/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/registries.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "codec/json.h"
#include "os/fs.h"

#define FILE_MAX    ((size_t)1 << 20)
#define MIRRORS_MAX 16u
#define DOCKER_API  "registry-1.docker.io"

enum setting { SETTING_NONE, SETTING_NO, SETTING_YES };

/* What is said of one prefix. Names in it are as name_parse_prefix() has them, "registry" or "registry/path".
 */
struct entry {
	char *key;
	char *to;       /* or NULL */
	char **mirrors; /* or NULL */
	enum setting plain_http, insecure;
	char *ca_file; /* or NULL */
	size_t file;   /* number of the file that says it */
};

struct registries {
	char *fallback;
	char *files[2]; /* the system's, the home's */
	struct entry *entries;
	size_t count;
};

static void free_entry(struct entry *e)
{
	free(e->key);
	free(e->to);
	text_list_free(e->mirrors);
	free(e->ca_file);
	*e = (struct entry){0};
}

void registries_free(struct registries *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		free_entry(&r->entries[i]);
	free(r->entries);
	free(r->fallback);
	for (size_t i = 0; i < ARRAY_SIZE(r->files); i++)
		free(r->files[i]);
	free(r);
}

const char *registries_default(const struct registries *r)
{
	return r->fallback ? r->fallback : NAME_DEFAULT_REGISTRY;
}

/* ---- the file --------------------------------------------------------------------------------------- */

/* Of an object, members that nobody knows. `where`: the file and the place in it. */
static int check_members(json_t *object, const char *where, const char *const *known, struct error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		const char *near = text_nearest(key, known);
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (known[i])
			continue;
		return error_set(err, ERROR_INVALID, "%s: unknown member '%s'%s%s%s", where, key,
			near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	return 0;
}

/* "registry/path" of what the user wrote. */
static int read_prefix(const char *text, const char *where, char **out, struct error *err)
{
	_cleanup_free_ char *registry = NULL, *repository = NULL;
	int r = name_parse_prefix(text, &registry, &repository, err);

	*out = NULL;
	if (r < 0) {
		error_prefix(err, "%s", where);
		return r;
	}
	*out = text_format(err, "%s%s%s", registry, *repository ? "/" : "", repository);
	return *out ? 0 : -ERROR_NO_MEMORY;
}

static int read_mirrors(const json_t *list, const char *where, char ***mirrors, struct error *err)
{
	size_t n = json_array_size(list);
	int r = 0;

	if (!list)
		return 0;
	if (!json_is_array(list))
		return error_set(err, ERROR_INVALID, "%s: mirrors is not a list of strings", where);
	if (n > MIRRORS_MAX)
		return error_set(err, ERROR_LIMIT, "%s: over %u mirrors", where, MIRRORS_MAX);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		_cleanup_free_ char *mirror = NULL;

		if (!text)
			return error_set(err, ERROR_INVALID, "%s: mirrors is not a list of strings", where);
		r = read_prefix(text, where, &mirror, err);
		if (r == 0)
			r = text_list_add(mirrors, mirror, err);
	}
	return r;
}

static int read_setting(
	const json_t *object, const char *key, const char *where, enum setting *setting, struct error *err)
{
	const json_t *value = json_object_get(object, key);

	if (value && !json_is_boolean(value))
		return error_set(err, ERROR_INVALID, "%s: %s is neither true nor false", where, key);
	*setting = !value ? SETTING_NONE : json_is_true(value) ? SETTING_YES : SETTING_NO;
	return 0;
}

static int read_ca_file(const json_t *object, const char *where, char **ca_file, struct error *err)
{
	const char *path;
	int r = json_text(object, "ca_file", where, &path, err);

	if (r < 0 || !path)
		return r;
	if (*path != '/')
		return error_set(err, ERROR_INVALID, "%s: ca_file is no path that starts with /", where);
	*ca_file = text_copy(path, err);
	return *ca_file ? 0 : -ERROR_NO_MEMORY;
}

static int read_entry(json_t *object, const char *where, struct entry *e, struct error *err)
{
	static const char *const known[] = {"to", "mirrors", "plain_http", "insecure", "ca_file", NULL};
	const char *to;
	int r;

	if (!json_is_object(object))
		return error_set(err, ERROR_INVALID, "%s: not an object", where);
	if ((r = check_members(object, where, known, err)) < 0 ||
		(r = json_text(object, "to", where, &to, err)) < 0 ||
		(r = read_mirrors(json_object_get(object, "mirrors"), where, &e->mirrors, err)) < 0 ||
		(r = read_setting(object, "plain_http", where, &e->plain_http, err)) < 0 ||
		(r = read_setting(object, "insecure", where, &e->insecure, err)) < 0 ||
		(r = read_ca_file(object, where, &e->ca_file, err)) < 0)
		return r;
	if (!to)
		return 0;
	if (json_object_size(object) > 1)
		return error_set(err, ERROR_INVALID,
			"%s: 'to' stands alone: what else is to be said of '%s' is said under that key",
			where, to);
	return read_prefix(to, where, &e->to, err);
}

/* Puts an entry in the place of another file's for the same key, or behind the others. */
static int add_entry(struct registries *r, struct entry *e, struct error *err)
{
	struct entry *grown;
	size_t i = 0;

	while (i < r->count && strcmp(r->entries[i].key, e->key) != 0)
		i++;
	if (i < r->count && r->entries[i].file == e->file)
		return error_set(
			err, ERROR_INVALID, "%s: registries: '%s' is there twice", r->files[e->file], e->key);
	if (i == r->count) {
		grown = reallocarray(r->entries, r->count + 1, sizeof *grown);
		if (!grown)
			return error_no_memory(err, "read registries");
		r->entries = grown;
		grown[r->count++] = (struct entry){0};
	}
	free_entry(&r->entries[i]);
	r->entries[i] = *e;
	*e = (struct entry){0};
	return 0;
}

static int read_registries(struct registries *r, size_t file, json_t *object, struct error *err)
{
	const char *key;
	json_t *value;
	int result = 0;

	if (object && !json_is_object(object))
		return error_set(err, ERROR_INVALID, "%s: registries is not an object", r->files[file]);
	json_object_foreach(object, key, value)
	{
		_cleanup_free_ char *where = text_format(err, "%s: registries: '%s'", r->files[file], key);
		struct entry e = {.file = file};

		if (!where)
			return -ERROR_NO_MEMORY;
		result = read_prefix(key, where, &e.key, err);
		if (result == 0)
			result = read_entry(value, where, &e, err);
		if (result == 0)
			result = add_entry(r, &e, err);
		free_entry(&e);
		if (result < 0)
			return result;
	}
	return 0;
}

static int read_default(struct registries *r, size_t file, const json_t *root, struct error *err)
{
	_cleanup_name_ struct name n = {0};
	const char *text;
	int result = json_text(root, "default", r->files[file], &text, err);

	if (result < 0 || !text)
		return result;
	result = name_parse("x/x", text, &n, err);
	if (result < 0 && result != -ERROR_NO_MEMORY)
		return error_set(err, ERROR_INVALID,
			"%s: default: '%s' is no registry, such as \"docker.io\" or \"localhost:5000\"",
			r->files[file], text);
	if (result < 0)
		return result;
	free(r->fallback);
	r->fallback = TAKE_PTR(n.registry);
	return 0;
}

/* All of a file that only its owner, this user or root, may write. NOT_FOUND where there is none. */
static int read_file(const char *path, struct buffer *out, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, err);
	struct stat s;

	if (fd < 0)
		return fd;
	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "look at %s", path);
	if (!S_ISREG(s.st_mode))
		return error_set(err, ERROR_INVALID, "%s: not a file", path);
	if (s.st_uid != 0 && s.st_uid != geteuid())
		return error_set(err, ERROR_DENIED, "%s: it belongs to user %u, neither to you nor to root",
			path, s.st_uid);
	if (s.st_mode & (S_IWGRP | S_IWOTH))
		return error_set(err, ERROR_DENIED,
			"%s: other users may write it, and so choose whose images run: run 'chmod go-w %s'",
			path, path);
	return fs_read_fd(fd, path, FILE_MAX, out, err);
}

static int load_file(struct registries *r, size_t file, struct error *err)
{
	static const char *const known[] = {"default", "registries", NULL};
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_json_ json_t *root = NULL;
	int result;

	if (!r->files[file])
		return 0;
	result = read_file(r->files[file], &bytes, err);
	if (result == -ERROR_NOT_FOUND)
		return 0;
	if (result < 0 ||
		(result = json_parse(bytes.data, bytes.size, FILE_MAX, true, r->files[file], &root, err)) <
			0 ||
		(result = check_members(root, r->files[file], known, err)) < 0 ||
		(result = read_default(r, file, root, err)) < 0)
		return result;
	return read_registries(r, file, json_object_get(root, "registries"), err);
}

/* ---- what holds for a name -------------------------------------------------------------------------- */

static bool is_within(const char *text, const char *key)
{
	size_t n = strlen(key);

	return text_starts(text, key) && (text[n] == '/' || !text[n]);
}

static bool has_place(const struct entry *e)
{
	return e->to || e->mirrors;
}

static bool has_plain_http(const struct entry *e)
{
	return e->plain_http != SETTING_NONE;
}

static bool has_insecure(const struct entry *e)
{
	return e->insecure != SETTING_NONE;
}

static bool has_ca_file(const struct entry *e)
{
	return e->ca_file != NULL;
}

/* Of the entries that say something, the one with the longest key that `text` is in, or NULL. */
static const struct entry *longest(
	const struct registries *r, const char *text, bool (*says)(const struct entry *e))
{
	const struct entry *best = NULL;

	for (size_t i = 0; i < r->count; i++)
		if (says(&r->entries[i]) && is_within(text, r->entries[i].key) &&
			(!best || strlen(r->entries[i].key) > strlen(best->key)))
			best = &r->entries[i];
	return best;
}

/* "registry/repository" with another start. Docker Hub's repositories have two components at least. */
static char *replace_start(const char *text, const char *key, const char *with, struct error *err)
{
	const char *rest = text + strlen(key);
	bool library = strcmp(with, NAME_DEFAULT_REGISTRY) == 0 && *rest && !strchr(rest + 1, '/');

	return text_format(err, "%s%s%s", with, library ? "/library" : "", rest);
}

/* Follows mappings from *text on, which is replaced by where they end. *last gets the entry that has mirrors
 * for it, or NULL. No mapping is taken twice: what would, need not end. */
static int follow(const struct registries *r, char **text, const struct entry **last, struct error *err)
{
	_cleanup_free_ bool *taken = calloc(r->count + 1, sizeof *taken);

	if (!taken)
		return error_no_memory(err, "look up a registry");
	while ((*last = longest(r, *text, has_place)) && (*last)->to) {
		size_t number = (size_t)(*last - r->entries);
		char *next;

		if (taken[number])
			return error_set(err, ERROR_INVALID,
				"%s: registries: the mapping of '%s' leads in a circle",
				r->files[(*last)->file], (*last)->key);
		taken[number] = true;
		next = replace_start(*text, (*last)->key, (*last)->to, err);
		if (!next)
			return -ERROR_NO_MEMORY;
		free(*text);
		*text = next;
	}
	return 0;
}

static int check_circles(const struct registries *r, struct error *err)
{
	for (size_t i = 0; i < r->count; i++) {
		/* Some repository below the key, of a name that is no key. */
		_cleanup_free_ char *text = text_format(err, "%s/-", r->entries[i].key);
		const struct entry *last;
		int result = text ? follow(r, &text, &last, err) : -ERROR_NO_MEMORY;

		if (result < 0)
			return result;
	}
	return 0;
}

int registries_load_from(
	const char *system_file, const char *home, struct registries **out, struct error *err)
{
	_cleanup_(cleanup_registries) struct registries *r = calloc(1, sizeof *r);
	int result;

	*out = NULL;
	if (!r)
		return error_no_memory(err, "read registries");
	if (system_file && !(r->files[0] = text_copy(system_file, err)))
		return -ERROR_NO_MEMORY;
	r->files[1] = text_format(err, "%s/%s", home, REGISTRIES_FILE);
	if (!r->files[1])
		return -ERROR_NO_MEMORY;
	if ((result = load_file(r, 0, err)) < 0 || (result = load_file(r, 1, err)) < 0 ||
		(result = check_circles(r, err)) < 0)
		return result;
	*out = TAKE_PTR(r);
	return 0;
}

int registries_load(const char *home, struct registries **out, struct error *err)
{
	return registries_load_from(REGISTRIES_SYSTEM_FILE, home, out, err);
}

/* ---- endpoints -------------------------------------------------------------------------------------- */

static void free_endpoint(struct endpoint *e)
{
	free(e->registry);
	free(e->host);
	free(e->repository);
	free(e->ca_file);
	*e = (struct endpoint){0};
}

void endpoints_free(struct endpoint *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free_endpoint(&list[i]);
	free(list);
}

static int check_place(
	const struct registries *r, const struct name *name, const char *place, struct error *err)
{
	const char *slash = strchr(place, '/');

	if (is_within(place, REGISTRIES_OWN))
		return error_set(err, ERROR_UNAVAILABLE,
			"image '%s/%s': nothing says which registry stands behind %s: write {\"registries\": "
			"{\"%s\": "
			"{\"to\": \"ghcr.io/OWNER\"}}} into %s",
			name->registry, name->repository, REGISTRIES_OWN, REGISTRIES_OWN, r->files[1]);
	if (!slash || !slash[1])
		return error_set(err, ERROR_INVALID,
			"image '%s/%s': it is mapped to '%s', which is no repository", name->registry,
			name->repository, place);
	if (strlen(slash + 1) > NAME_REPOSITORY_MAX)
		return error_set(err, ERROR_INVALID,
			"image '%s/%s': it is mapped to a repository whose name is over %u characters",
			name->registry, name->repository, NAME_REPOSITORY_MAX);
	return 0;
}

/* The endpoint of "registry/repository". */
static int make_endpoint(const struct registries *r, const struct name *name, const char *place, bool mirror,
	struct endpoint *e, struct error *err)
{
	const struct entry *plain_http = longest(r, place, has_plain_http);
	const struct entry *insecure = longest(r, place, has_insecure);
	const struct entry *ca_file = longest(r, place, has_ca_file);
	int result = check_place(r, name, place, err);
	const char *path;
	bool docker;

	if (result < 0)
		return result;
	path = strchr(place, '/') + 1;
	docker = is_within(place, NAME_DEFAULT_REGISTRY);
	e->mirror = mirror;
	e->plain_http = plain_http && plain_http->plain_http == SETTING_YES;
	e->insecure = insecure && insecure->insecure == SETTING_YES;
	e->registry = text_copy_bytes(place, (size_t)(path - place) - 1, err);
	e->host =
		docker ? text_copy(DOCKER_API, err) : text_copy_bytes(place, (size_t)(path - place) - 1, err);
	e->repository = text_copy(path, err);
	e->ca_file = text_copy(ca_file ? ca_file->ca_file : "", err);
	return e->registry && e->host && e->repository && e->ca_file ? 0 : -ERROR_NO_MEMORY;
}

static int make_endpoints(const struct registries *r, const struct name *name, const char *place,
	const struct entry *mirrored, struct endpoint *list, struct error *err)
{
	size_t n = mirrored ? text_list_size(mirrored->mirrors) : 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *mirror = replace_start(place, mirrored->key, mirrored->mirrors[i], err);
		int result = mirror ? make_endpoint(r, name, mirror, true, &list[i], err) : -ERROR_NO_MEMORY;

		if (result < 0)
			return result;
	}
	return make_endpoint(r, name, place, false, &list[n], err);
}

int registries_resolve(const struct registries *r, const struct name *name, struct endpoint **list,
	size_t *count, struct error *err)
{
	_cleanup_free_ char *place = text_format(err, "%s/%s", name->registry, name->repository);
	const struct entry *mirrored = NULL;
	struct endpoint *endpoints;
	size_t n;
	int result = place ? follow(r, &place, &mirrored, err) : -ERROR_NO_MEMORY;

	*list = NULL;
	*count = 0;
	if (result < 0)
		return result;
	n = (mirrored ? text_list_size(mirrored->mirrors) : 0) + 1;
	endpoints = calloc(n, sizeof *endpoints);
	if (!endpoints)
		return error_no_memory(err, "look up a registry");
	result = make_endpoints(r, name, place, mirrored, endpoints, err);
	if (result < 0) {
		endpoints_free(endpoints, n);
		return result;
	}
	*list = endpoints;
	*count = n;
	return 0;
}
