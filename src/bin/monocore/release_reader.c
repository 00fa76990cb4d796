/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/release_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/tar.h"
#include "os/fs.h"

#define BLOCK 65536u

enum part { PART_MANIFEST, PART_SIGNATURE, PART_FILES };

struct state {
	const struct release_reading *reading;
	struct release *release;
	enum part part;
	struct buffer manifest, signature;
	struct release_file *file; /* that is being read */
	struct sha256 sum;
	uint64_t done;
	int fd;
};

static void state_release(struct state *s)
{
	buffer_free(&s->manifest);
	buffer_free(&s->signature);
	sha256_free(&s->sum);
	if (s->fd >= 0)
		close(s->fd);
}

/* ---- the manifest ----------------------------------------------------------------------------------- */

static int check_head(const struct state *s, const struct tar_entry *e, struct error *err)
{
	const char *name = s->part == PART_MANIFEST ? "manifest" : "manifest.sig";
	uint64_t most = s->part == PART_MANIFEST ? RELEASE_MANIFEST_MOST : ED25519_SIGNATURE_SIZE;

	if (e->type != TAR_FILE || strcmp(e->path, name) != 0 || e->size > most)
		return error_set(err, ERROR_INVALID, "this is no release: its %s member is not the file %s",
			s->part == PART_MANIFEST ? "first" : "second", name);
	return 0;
}

static int verify(struct state *s, struct error *err)
{
	int r;

	if (s->signature.size != ED25519_SIGNATURE_SIZE)
		return error_set(err, ERROR_INVALID, "manifest.sig is no signature");
	r = ed25519_verify(s->reading->key, s->manifest.data, s->manifest.size, s->signature.data, err);
	if (r == 0)
		r = release_parse(s->manifest.data, s->manifest.size, s->release, err);
	if (r == 0 && s->reading->judge)
		r = s->reading->judge(s->reading->context, s->release, err);
	return r;
}

/* ---- files ------------------------------------------------------------------------------------------ */

static int open_file(struct state *s, struct error *err)
{
	_cleanup_free_ char *above = text_copy(s->file->path, err);
	int r;

	if (!above)
		return -ERROR_NO_MEMORY;
	*strrchr(above, '/') = 0;
	r = fs_make_directories(s->reading->directory, above, 0755, err);
	if (r < 0)
		return r;
	s->fd = fs_open(s->reading->directory, s->file->path, O_WRONLY | O_CREAT | O_EXCL, 0600, err);
	return s->fd < 0 ? s->fd : 0;
}

static int begin_file(struct state *s, const struct tar_entry *e, struct error *err)
{
	int r = 0;

	s->file = e->type == TAR_FILE ? release_find(s->release, e->path) : NULL;
	if (!s->file || s->file->seen)
		return error_set(err, ERROR_CORRUPT, "%s: the manifest does not name it%s", e->path,
			s->file ? " twice" : "");
	if (s->file->size != e->size)
		return error_set(err, ERROR_CORRUPT, "%s is not as large as the manifest says", e->path);
	s->file->seen = true;
	s->done = 0;
	if (s->reading->directory >= 0)
		r = open_file(s, err);
	return r < 0 ? r : sha256_init(&s->sum, err);
}

static int take_data(struct state *s, const struct tar_data *data, struct error *err)
{
	struct buffer *head = s->part == PART_MANIFEST ? &s->manifest : &s->signature;

	if (s->part != PART_FILES)
		return buffer_append(head, data->bytes, data->size) ? 0
								    : error_no_memory(err, "read a release");
	if (data->offset != s->done)
		return error_set(err, ERROR_CORRUPT, "%s has holes", s->file->path);
	s->done += data->size;
	sha256_update(&s->sum, data->bytes, data->size);
	return s->fd < 0 ? 0 : fs_write_all(s->fd, data->bytes, data->size, s->file->path, err);
}

static int end_file(struct state *s, struct error *err)
{
	uint8_t hash[SHA256_SIZE];
	int r = sha256_final(&s->sum, hash, err), fd = TAKE_FD(s->fd);

	if (r == 0 && (s->done != s->file->size || memcmp(hash, s->file->hash, sizeof hash) != 0))
		r = error_set(err, ERROR_CORRUPT, "%s is not what the manifest says", s->file->path);
	if (r == 0 && fd >= 0 && (fchmod(fd, s->file->mode) < 0 || fsync(fd) < 0))
		r = error_errno(err, errno, "write %s", s->file->path);
	if (fd >= 0)
		close(fd);
	return r;
}

static int check_all_seen(const struct state *s, struct error *err)
{
	if (s->part != PART_FILES)
		return error_set(
			err, ERROR_INVALID, "this is no release: it has no manifest with a signature");
	for (size_t i = 0; i < s->release->count; i++)
		if (!s->release->files[i].seen)
			return error_set(err, ERROR_CORRUPT, "%s is missing", s->release->files[i].path);
	return 0;
}

/* ---- the archive ------------------------------------------------------------------------------------ */

static int take_event(struct state *s, struct tar_reader *tar, enum tar_event event, struct error *err)
{
	const struct tar_entry *e = event == TAR_ENTRY ? tar_reader_entry(tar) : NULL;

	if (e && s->part == PART_FILES)
		return begin_file(s, e, err);
	if (e)
		return check_head(s, e, err);
	if (event == TAR_DATA)
		return take_data(s, tar_reader_data(tar), err);
	if (event != TAR_ENTRY_END)
		return 0;
	if (s->part == PART_FILES)
		return end_file(s, err);
	return s->part++ == PART_MANIFEST ? 0 : verify(s, err);
}

static int take_bytes(
	struct state *s, struct tar_reader *tar, const uint8_t *bytes, size_t n, struct error *err)
{
	for (;;) {
		enum tar_event event;
		int r = tar_reader_step(tar, &bytes, &n, &event, err);

		if (r < 0 || event == TAR_MORE)
			return r;
		r = take_event(s, tar, event, err);
		if (r < 0)
			return r;
		if (event == TAR_END && n == 0)
			return 0;
	}
}

CLEANUP_DEFINE(tar_reader, struct tar_reader, tar_reader_free);

int release_read(int fd, const struct release_reading *reading, struct release *release, struct error *err)
{
	_cleanup_(cleanup_tar_reader) struct tar_reader *tar = tar_reader_new(NULL, err);
	_cleanup_(state_release) struct state s = {.reading = reading, .release = release, .fd = -1};
	_cleanup_free_ uint8_t *block = malloc(BLOCK);
	int r = 0;

	*release = (struct release){0};
	if (!tar || !block)
		return error_no_memory(err, "read a release");
	while (r == 0) {
		ssize_t n = read(fd, block, BLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read a release");
		if (n == 0)
			break;
		r = take_bytes(&s, tar, block, (size_t)n, err);
	}
	if (r == 0)
		r = tar_reader_finish(tar, err);
	return r < 0 ? r : check_all_seen(&s, err);
}
