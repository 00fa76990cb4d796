/* SPDX-License-Identifier: Apache-2.0 */
#include "store_make.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "oci/import.h"
#include "os/fs.h"

void store_place_open(struct store_place *p)
{
	*p = (struct store_place){0};
	snprintf(p->path, sizeof p->path, "/tmp/monocore-store-XXXXXX");
	assert(mkdtemp(p->path));
	snprintf(p->home, sizeof p->home, "%s/home", p->path);
	snprintf(p->image, sizeof p->image, "%s/image", p->path);
	assert(mkdir(p->image, 0755) == 0);
	assert(store_open(p->home, &p->store, NULL) == 0);
}

void store_place_close(struct store_place *p)
{
	store_free(p->store);
	fs_remove_tree(AT_FDCWD, p->path, NULL);
}

size_t store_place_count(const struct store_place *p, const char *part)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/store/%s", p->home, part);
	DIR *d = opendir(path);
	size_t n = 0;

	assert(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

bool store_place_has(const struct store_place *p, const char *digest)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/store/blobs/sha256/%s", p->home, digest + 7);

	return access(path, F_OK) == 0;
}

char *store_make_directory(const struct store_place *p, const char *name)
{
	char *path = text_format(NULL, "%s/%s", p->path, name);

	assert(path && mkdir(path, 0755) == 0);
	return path;
}

void store_make_file(const char *directory, const char *name, const void *bytes, size_t n)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/%s", directory, name);
	FILE *f = fopen(path, "w");

	assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

void store_make_blob(const char *directory, const void *bytes, size_t n, char digest[OCI_DIGEST_SIZE])
{
	_cleanup_free_ char *path = text_format(NULL, "%s/blobs/sha256", directory);
	uint8_t hash[SHA256_SIZE];

	assert(sha256_of(bytes, n, hash, NULL) == 0);
	sha256_digest(hash, digest);
	assert(fs_make_directories(AT_FDCWD, path, 0755, NULL) == 0);
	store_make_file(path, digest + 7, bytes, n);
}

void store_make_index(const char *directory, const char *descriptors)
{
	_cleanup_free_ char *json =
		text_format(NULL, "{\"schemaVersion\":2,\"manifests\":[%s]}", descriptors);

	store_make_file(directory, "index.json", json, strlen(json));
}

int store_make_import(struct store *s, const char *directory, const char *name, struct error *err)
{
	struct plan_options o = {.platform = "linux/amd64", .layers = 512};
	_cleanup_(image_plan_free) struct image_plan plan = {0};
	_cleanup_blobs_ struct blobs b = {.fd = -1};
	_cleanup_hold_ struct store_hold hold = {0};
	char manifest[OCI_DIGEST_SIZE];
	int r = blobs_open(directory, &b, err);

	if (r == 0)
		r = blobs_has(&b, "index.json") ? plan_layout(&b, &o, &plan, err)
						: plan_archive(&b, &o, &plan, err);
	return r < 0 ? r : import_plan(s, &b, &plan, name, &hold, manifest, err);
}

void store_make_damage(const struct store_place *p, const char *digest)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/store/blobs/sha256/%s", p->home, digest + 7);
	_cleanup_fd_ int fd = -1;
	uint8_t byte;

	assert(chmod(path, 0600) == 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert(fd >= 0 && pread(fd, &byte, 1, 3) == 1);
	byte ^= 1;
	assert(pwrite(fd, &byte, 1, 3) == 1 && fchmod(fd, 0400) == 0);
}

struct tally {
	unsigned problems;
	char *text;
};

static void tell(void *context, const struct store_problem *p)
{
	struct tally *t = context;

	t->problems++;
	if (t->text && (*p->name || !*t->text))
		snprintf(t->text, 256, "%s %s %s", p->name, p->digest, p->text);
}

unsigned store_make_check(struct store *s, bool remove, char *text)
{
	struct tally t = {.text = text};

	if (text)
		*text = 0;
	assert(store_check_all(s, remove, NULL, tell, &t, NULL) == 0);
	return t.problems;
}
