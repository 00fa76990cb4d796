/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/krun/library.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "vm/krun/mckrun.h"

#if defined(__x86_64__)
#define TRIPLET "x86_64-linux-gnu"
#else
#define TRIPLET "aarch64-linux-gnu"
#endif

static const char *const places[] = {"/usr/local/lib64", "/usr/local/lib/" TRIPLET, "/usr/local/lib",
	"/usr/lib64", "/usr/lib/" TRIPLET, "/usr/lib", "/lib64", "/lib"};

void krun_library_free(struct krun_library *l)
{
	free(l->path);
	free(l->directory);
	*l = (struct krun_library){0};
}

static int is_part(const struct dirent *e)
{
	return text_starts(e->d_name, "libkrun");
}

/* libkrun.so.1.16.0, libkrunfw.so.5.0.0 and the links to them, sorted by name. */
static void digest_directory(struct sha256 *s, const char *directory)
{
	_cleanup_fd_ int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	int n = dir < 0 ? -1 : scandir(directory, &entries, is_part, alphasort);

	for (int i = 0; i < n; i++) {
		struct stat st;

		if (fstatat(dir, entries[i]->d_name, &st, 0) == 0) {
			const uint64_t facts[] = {(uint64_t)st.st_dev, st.st_ino, (uint64_t)st.st_size,
				(uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec,
				(uint64_t)st.st_ctim.tv_sec, (uint64_t)st.st_ctim.tv_nsec};

			sha256_update(s, entries[i]->d_name, strlen(entries[i]->d_name) + 1);
			sha256_update(s, facts, sizeof facts);
		}
		free(entries[i]);
	}
	free(entries);
}

static int digest_build(struct krun_library *l, struct error *err)
{
	_cleanup_sha256_ struct sha256 s = {0};
	uint8_t hash[SHA256_SIZE];
	int r = sha256_init(&s, err);

	if (r < 0)
		return r;
	sha256_update(&s, l->path, strlen(l->path) + 1);
	digest_directory(&s, l->directory);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		digest_directory(&s, places[i]);
	r = sha256_final(&s, hash, err);
	if (r == 0)
		sha256_hex(hash, l->build);
	return r;
}

int krun_library_at(const char *path, struct krun_library *l, struct error *err)
{
	const char *slash = strrchr(path, '/');
	int r = 0;

	*l = (struct krun_library){0};
	if (!slash || access(path, R_OK) < 0)
		return error_set(err, ERROR_UNAVAILABLE, MCKRUN_LIBRARY " is not installed at %s", path);
	l->path = text_copy(path, err);
	l->directory = text_format(err, "%.*s", (int)(slash - path), path);
	if (!l->path || !l->directory)
		r = -ERROR_NO_MEMORY;
	else
		r = digest_build(l, err);
	if (r < 0)
		krun_library_free(l);
	return r;
}

int krun_library_find(struct krun_library *l, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *path = text_format(err, "%s/" MCKRUN_LIBRARY, places[i]);

		if (!path)
			return -ERROR_NO_MEMORY;
		if (access(path, R_OK) == 0)
			return krun_library_at(path, l, err);
	}
	*l = (struct krun_library){0};
	return error_set(err, ERROR_UNAVAILABLE,
		MCKRUN_LIBRARY " is not installed (libkrun and libkrunfw: packages of Fedora, or "
			       "github.com/containers/libkrun); --engine qemu needs neither");
}
