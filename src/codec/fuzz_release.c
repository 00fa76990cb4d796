/* SPDX-License-Identifier: Apache-2.0 */
/* What says of itself that it is the manifest of a release: whatever is taken is what a release may have. */
#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "codec/release.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* It stays below where a release is unpacked. */
static void check_path(const char *path)
{
	assert(!strncmp(path, "bin/", 4) || !strncmp(path, "libexec/", 8) || !strncmp(path, "share/", 6));
	assert(!strstr(path, "/.") && !strstr(path, "//") && !strstr(path, "/-"));
	assert(strlen(path) <= 255 && path[strlen(path) - 1] != '/');
	for (; *path; path++)
		assert(isalnum((unsigned char)*path) || strchr("/_-.", *path));
}

static void check(const struct release *r)
{
	uint64_t bytes = 0;

	assert(release_version_valid(r->version) && *r->architecture);
	assert(release_compare(r->version, r->version) == 0);
	assert(release_compare(r->version, "1.2.3") == -release_compare("1.2.3", r->version));
	assert(r->count <= RELEASE_FILES_MOST && release_find(r, "bin/monocore"));
	for (size_t i = 0; i < r->count; i++) {
		const struct release_file *f = &r->files[i];

		check_path(f->path);
		assert(f->mode == 0644 || f->mode == 0755);
		assert(!i || strcmp(f[-1].path, f->path) < 0);
		assert(release_find(r, f->path) == f && !f->seen);
		bytes += f->size;
	}
	assert(bytes <= RELEASE_BYTES_MOST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_release_ struct release release;
	struct error err;

	if (release_parse(data, size, &release, &err) == 0)
		check(&release);
	else
		assert(*err.text);
	return 0;
}
