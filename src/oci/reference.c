/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/reference.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"

void reference_free(struct reference *r)
{
	free(r->path);
	free(r->tag);
	free(r->digest);
	*r = (struct reference){0};
}

static int split(struct reference *r, struct error *err)
{
	char *slash = strrchr(r->path, '/'), *name = slash ? slash + 1 : r->path;
	char *at = strstr(name, "@sha256:"), *colon;

	if (access(r->path, F_OK) == 0)
		return 0;
	if (at) {
		r->digest = text_copy(at + 1, err);
		*at = 0;
		if (!r->digest)
			return -ERROR_NO_MEMORY;
		return sha256_digest_parse(r->digest, NULL, err);
	}
	/* A tag of docker may be a name with slashes ("docker-archive:x.tar:library/python:3"): the path is
	 * then the longest that is there. */
	for (colon = strchr(r->path, ':'); colon; colon = strchr(colon + 1, ':')) {
		*colon = 0;
		if (access(r->path, F_OK) == 0 && colon[1]) {
			r->tag = text_copy(colon + 1, err);
			return r->tag ? 0 : -ERROR_NO_MEMORY;
		}
		*colon = ':';
	}
	return 0;
}

static bool has(const char *path, const char *name)
{
	char text[4096];

	return (size_t)snprintf(text, sizeof text, "%s/%s", path, name) < sizeof text &&
	       faccessat(AT_FDCWD, text, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int look(struct reference *r, struct error *err)
{
	static const char *const roots[] = {"bin", "sbin", "usr", "etc", "lib"};
	struct stat s;
	int done = split(r, err);

	if (done < 0)
		return done;
	if (stat(r->path, &s) < 0)
		return error_errno(err, errno, "%s", r->path);
	if (!S_ISDIR(s.st_mode)) {
		r->kind = REFERENCE_FILE;
		return 0;
	}
	if (has(r->path, "index.json") || has(r->path, "oci-layout")) {
		r->kind = REFERENCE_LAYOUT;
		return 0;
	}
	r->kind = REFERENCE_DIRECTORY;
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
		if (has(r->path, roots[i]))
			return 0;
	return error_set(err, ERROR_INVALID,
		"%s is neither an OCI image layout (it has no index.json) nor a root file system (it has no "
		"bin, usr or etc): say which by oci:%s or rootfs:%s",
		r->path, r->path, r->path);
}

static int parse(const char *text, struct reference *r, struct error *err)
{
	static const struct {
		const char *prefix;
		enum reference_kind kind;
	} kinds[] = {{"oci:", REFERENCE_LAYOUT}, {"docker-archive:", REFERENCE_ARCHIVE},
		{"rootfs:", REFERENCE_DIRECTORY}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!text_starts(text, kinds[i].prefix))
			continue;
		r->kind = kinds[i].kind;
		r->path = text_copy(text + strlen(kinds[i].prefix), err);
		if (!r->path)
			return -ERROR_NO_MEMORY;
		if (!*r->path)
			return error_set(err, ERROR_USAGE, "image '%s': a path is missing", text);
		return r->kind == REFERENCE_DIRECTORY ? 0 : split(r, err);
	}
	r->path = text_copy(text, err);
	if (!r->path)
		return -ERROR_NO_MEMORY;
	if (text_starts(text, "/") || text_starts(text, "./") || text_starts(text, "../") ||
		!strcmp(text, ".") || !strcmp(text, ".."))
		return look(r, err);
	r->kind = sha256_digest_valid(text) ? REFERENCE_DIGEST : REFERENCE_NAME;
	return 0;
}

int reference_parse(const char *text, struct reference *r, struct error *err)
{
	int done;

	*r = (struct reference){0};
	done = parse(text, r, err);
	if (done < 0)
		reference_free(r);
	return done;
}
