/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/release.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/json.h"

#define WHAT      "the manifest"
#define PATH_MOST 255u

/* ---- versions --------------------------------------------------------------------------------------- */

/* A number of at most nine digits, none of them a 0 in front; NULL: there is none. */
static const char *read_number(const char *text, unsigned long *number)
{
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 9 || (n > 1 && *text == '0'))
		return NULL;
	*number = strtoul(text, NULL, 10);
	return text + n;
}

static bool read_version(const char *text, unsigned long numbers[3])
{
	for (int i = 0; i < 3; i++) {
		if (i && *text++ != '.')
			return false;
		text = read_number(text, &numbers[i]);
		if (!text)
			return false;
	}
	return !*text;
}

bool release_version_valid(const char *version)
{
	unsigned long numbers[3];

	return read_version(version, numbers);
}

int release_compare(const char *a, const char *b)
{
	unsigned long x[3] = {0}, y[3] = {0};

	read_version(a, x);
	read_version(b, y);
	for (int i = 0; i < 3; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------------ */

static bool path_valid(const char *path)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	if (!text_starts(path, "bin/") && !text_starts(path, "libexec/") && !text_starts(path, "share/"))
		return false;
	if (strlen(path) > PATH_MOST)
		return false;
	for (;;) {
		size_t n = strcspn(path, "/");

		if (n == 0 || *path == '.' || *path == '-' || strspn(path, letters) < n)
			return false;
		if (!path[n])
			return true;
		path += n + 1;
	}
}

static int parse_hash(const char *hex, uint8_t hash[SHA256_SIZE], struct error *err)
{
	_cleanup_free_ char *digest = text_format(err, "sha256:%s", hex);

	return digest ? sha256_digest_parse(digest, hash, err) : -ERROR_NO_MEMORY;
}

static int parse_file(const json_t *object, struct release_file *file, struct error *err)
{
	const json_t *size = json_object_get(object, "size"), *mode = json_object_get(object, "mode");
	const char *path = NULL, *hash = NULL;
	int r = json_text(object, "path", WHAT, &path, err);

	if (r == 0)
		r = json_text(object, "sha256", WHAT, &hash, err);
	if (r < 0)
		return r;
	if (!path || !path_valid(path))
		return error_set(err, ERROR_INVALID, WHAT ": '%s' is no path of a release", path ? path : "");
	if (!json_is_integer(size) || json_integer_value(size) < 0 || !hash)
		return error_set(err, ERROR_INVALID, WHAT ": %s lacks its size or its sha256", path);
	if (json_integer_value(mode) != 0644 && json_integer_value(mode) != 0755)
		return error_set(
			err, ERROR_INVALID, WHAT ": %s has a mode that no file of a release has", path);
	file->mode = (uint32_t)json_integer_value(mode);
	file->size = (uint64_t)json_integer_value(size);
	r = parse_hash(hash, file->hash, err);
	if (r == 0 && !(file->path = text_copy(path, err)))
		r = -ERROR_NO_MEMORY;
	return r;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct release_file *)a)->path, ((const struct release_file *)b)->path);
}

static int check_files(const struct release *release, struct error *err)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < release->count; i++) {
		const struct release_file *f = &release->files[i];

		if (i && !strcmp(f->path, f[-1].path))
			return error_set(err, ERROR_INVALID, WHAT ": %s is there twice", f->path);
		if (f->size > RELEASE_BYTES_MOST || (bytes += f->size) > RELEASE_BYTES_MOST)
			return error_set(err, ERROR_LIMIT, WHAT ": the files are over 1 GiB");
	}
	if (!release_find(release, "bin/monocore"))
		return error_set(err, ERROR_INVALID, WHAT ": there is no bin/monocore");
	return 0;
}

static int parse_files(const json_t *array, struct release *release, struct error *err)
{
	size_t count = json_array_size(array);
	int r = 0;

	if (count > RELEASE_FILES_MOST)
		return error_set(err, ERROR_LIMIT, WHAT ": over %u files", RELEASE_FILES_MOST);
	release->files = calloc(count + 1, sizeof *release->files);
	if (!release->files)
		return error_no_memory(err, "read " WHAT);
	for (; r == 0 && release->count < count; release->count++)
		r = parse_file(json_array_get(array, release->count), &release->files[release->count], err);
	if (r < 0)
		return r;
	qsort(release->files, count, sizeof *release->files, by_path);
	return check_files(release, err);
}

/* ---- all of it -------------------------------------------------------------------------------------- */

int release_parse(const void *bytes, size_t n, struct release *release, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	const char *version = NULL, *architecture = NULL;
	int r = json_parse(bytes, n, RELEASE_MANIFEST_MOST, true, WHAT, &root, err);

	*release = (struct release){0};
	if (r == 0 && json_integer_value(json_object_get(root, "format")) != 1)
		return error_set(
			err, ERROR_INVALID, WHAT ": its format is not 1: a newer one cannot be read");
	if (r == 0)
		r = json_text(root, "version", WHAT, &version, err);
	if (r == 0)
		r = json_text(root, "architecture", WHAT, &architecture, err);
	if (r < 0)
		return r;
	if (!version || !release_version_valid(version) || !architecture || !*architecture)
		return error_set(
			err, ERROR_INVALID, WHAT ": it lacks a version such as 1.2.3, or an architecture");
	release->version = text_copy(version, err);
	release->architecture = text_copy(architecture, err);
	if (!release->version || !release->architecture)
		return -ERROR_NO_MEMORY;
	return parse_files(json_object_get(root, "files"), release, err);
}

void release_free(struct release *release)
{
	for (size_t i = 0; release->files && i < release->count; i++)
		free(release->files[i].path);
	free(release->files);
	free(release->version);
	free(release->architecture);
	*release = (struct release){0};
}

struct release_file *release_find(const struct release *release, const char *path)
{
	const struct release_file key = {.path = (char *)path};

	return release->count ? bsearch(&key, release->files, release->count, sizeof *release->files, by_path)
			      : NULL;
}
