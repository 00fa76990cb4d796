/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs_place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fs.h"
#include "test.h"

static char places[64][64];
static unsigned place_count;
static pid_t maker;

static void remove_places(void)
{
	if (getpid() != maker)
		return;
	for (unsigned i = 0; i < place_count; i++)
		(void)fs_remove_tree(AT_FDCWD, places[i], NULL);
}

const char *monofs_place(void)
{
	char *place = places[place_count];

	CHECK(place_count < sizeof places / sizeof *places);
	if (place_count++ == 0) {
		maker = getpid();
		atexit(remove_places);
	}
	strcpy(place, "/tmp/mc-monofs-XXXXXX");
	CHECK(mkdtemp(place));
	return place;
}

const char *monofs_path(const char *place, const char *name, char out[256])
{
	snprintf(out, 256, "%s/%s", place, name);
	return out;
}

int monofs_store_make(const char *place, const char *name)
{
	static const char *const parts[] = {"packs", "locks", "sessions"};
	char path[256];
	int fd;

	monofs_path(place, name, path);
	CHECK(mkdir(path, 0700) == 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(mkdirat(fd, parts[i], 0700) == 0);
	return fd;
}

void monofs_crypt(struct crypt *c, uint8_t key)
{
	const struct chunker_sizes sizes = {.min = 4096, .average = 16384, .max = 65536};
	uint8_t base[CRYPT_KEY_SIZE];
	struct error err;

	memset(base, key, sizeof base);
	CHECK_OK(crypt_init(c, key ? base : NULL, &sizes, &err));
}

uint64_t monofs_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void monofs_bytes(uint8_t *out, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t value = monofs_random(&seed);

		memcpy(out + i, &value, n - i < 8 ? n - i : 8);
	}
}

void monofs_text(uint8_t *out, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)("etaoin shrdlu\n"[monofs_random(&seed) % 14]);
}
