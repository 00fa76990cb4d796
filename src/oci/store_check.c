/* SPDX-License-Identifier: Apache-2.0 */
/* Every blob is read, every name followed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "disk/erofs_reader.h"
#include "oci/store_mark.h"
#include "oci/store_parts.h"
#include "os/fs.h"

#define READ_BYTES (1u << 20)
#define SHOW_EVERY MILLISECONDS(50)

struct check {
	struct store *s;
	bool remove;
	uint8_t *bytes; /* READ_BYTES */
	const struct progress *progress;
	void (*tell)(void *context, const struct store_problem *problem);
	void *context;
	uint64_t done, total, shown_at;
	struct map damaged; /* digests of blobs */
	const char *name;   /* that is being followed */
	bool any, broken;   /* of it: a manifest is there, something it needs is not */
};

static void tell(struct check *c, const char *name, const char *digest, const char *text)
{
	c->tell(c->context, &(struct store_problem){.name = name, .digest = digest, .text = text});
}

static void show(struct check *c, bool finished)
{
	uint64_t now = clock_monotonic();

	if (!finished && now - c->shown_at < SHOW_EVERY)
		return;
	c->shown_at = now;
	progress_report(c->progress, &(struct progress_event){.task = "check",
					     .unit = "bytes",
					     .done = c->done,
					     .total = c->total,
					     .finished = finished});
}

/* ---- blobs ------------------------------------------------------------------------------------------ */

static int hash_file(struct check *c, int fd, char digest[OCI_DIGEST_SIZE], struct error *err)
{
	struct sha256 sum;
	uint8_t hash[SHA256_SIZE];
	ssize_t n;
	int r = sha256_init(&sum, err);

	if (r < 0)
		return r;
	while ((n = read(fd, c->bytes, READ_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sha256_update(&sum, c->bytes, (size_t)n);
		c->done += (uint64_t)n;
		show(c, false);
	}
	if (n < 0) {
		sha256_free(&sum);
		return error_errno(err, errno, "read a blob");
	}
	r = sha256_final(&sum, hash, err);
	sha256_digest(hash, digest);
	return r;
}

static int check_blob(void *context, const char *name, struct error *err)
{
	struct check *c = context;
	_cleanup_fd_ int fd = -1;
	char digest[OCI_DIGEST_SIZE], found[OCI_DIGEST_SIZE] = "", text[160];
	struct error local = {0};
	uint64_t size;
	int r;

	snprintf(digest, sizeof digest, "sha256:%.64s", name);
	if (!oci_digest_valid(digest) || strlen(name) != 64) {
		snprintf(text, sizeof text, "blobs/sha256/%.80s is no blob's name", name);
		tell(c, "", "", text);
		return 0;
	}
	r = store_blob_open(c->s, digest, &fd, &size, &local);
	if (r == -ERROR_NOT_FOUND)
		return 0; /* removed this moment */
	if (r == 0)
		r = hash_file(c, fd, found, &local);
	if (r == -ERROR_NO_MEMORY)
		return error_no_memory(err, "check a blob");
	if (r == 0 && !strcmp(found, digest))
		return 0;
	if (r < 0)
		snprintf(text, sizeof text, "%.150s", local.text);
	else
		snprintf(text, sizeof text, "it is damaged: its digest is %s", found);
	tell(c, "", digest, text);
	if (c->remove)
		unlinkat(c->s->blobs, name, 0);
	return map_set(&c->damaged, digest, strlen(digest), c, NULL, err);
}

static int add_size(void *context, const char *name, struct error *err)
{
	struct check *c = context;
	struct stat st;

	(void)err;
	if (fstatat(c->s->blobs, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		c->total += (uint64_t)st.st_size;
	return 0;
}

/* ---- root file systems ------------------------------------------------------------------------------ */

static int check_root(void *context, const char *name, struct error *err)
{
	struct check *c = context;
	char id[72], text[160];
	const char *dot = strchr(name, '.');
	struct error local = {0};
	uint64_t size;
	int fd = -1, r;

	(void)err;
	snprintf(id, sizeof id, "%.*s", dot ? (int)(dot - name) : 0, name);
	r = store_find(c->s, id, dot && !strcmp(dot, ".img") ? "erofs" : "ext4", &fd, &size, &local);
	if (r == 0)
		close(fd);
	if (r != -ERROR_CORRUPT && r != -ERROR_INVALID)
		return 0;
	snprintf(text, sizeof text, "%.150s", local.text);
	tell(c, "", "", text);
	if (c->remove)
		unlinkat(c->s->roots, name, 0);
	return 0;
}

/* ---- names ------------------------------------------------------------------------------------------ */

static bool is_index(const struct check *c, const char *digest)
{
	_cleanup_buffer_ struct buffer json = {0};
	const char *type = "";

	return store_blob_read(c->s, digest, OCI_JSON_MAX, &json, NULL, NULL) == 0 &&
	       oci_document_type(json.data, json.size, &type, NULL) == 0 &&
	       oci_media_type(type) == OCI_MEDIA_INDEX;
}

static int follow(void *context, const struct store_visit *v, struct error *err)
{
	struct check *c = context;
	char text[200];
	uint64_t size = 0;
	int fd = -1, r;

	(void)err;
	r = store_marked(&c->damaged, v->digest) ? -ERROR_CORRUPT
						 : store_blob_open(c->s, v->digest, &fd, &size, NULL);
	if (fd >= 0)
		close(fd);
	/* Of an index only the platforms that were pulled need to be here, which an index in it may have. */
	if ((v->optional || v->referrer) && !store_is_whole(c->s, v->digest))
		return r == 0 && is_index(c, v->digest) ? 0 : 1;
	if (r == 0 && v->size && size != v->size)
		snprintf(text, sizeof text, "it has %llu bytes, %.19s says %llu", (unsigned long long)size,
			*v->parent ? v->parent : "its name", (unsigned long long)v->size);
	else if (r == -ERROR_NOT_FOUND)
		snprintf(text, sizeof text, "it is missing, and %.19s needs it",
			*v->parent ? v->parent : "its name");
	else if (r < 0)
		snprintf(text, sizeof text, "it is damaged, and the image needs it");
	else
		return c->any |= v->media == OCI_MEDIA_CONFIG, 0;
	c->broken = true;
	tell(c, c->name, v->digest, text);
	return 0;
}

static int check_names(struct check *c, struct error *err)
{
	struct store_name *list = NULL;
	size_t count = 0;
	int r = store_name_list(c->s, &list, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		_cleanup_marks_ struct store_marks marks = {0};

		c->name = list[i].name;
		c->any = c->broken = false;
		r = store_mark(c->s, list[i].digest, list[i].size, &marks, follow, c, err);
		if (r == 0 && !c->any && !c->broken)
			tell(c, c->name, list[i].digest, "nothing of it is here, for any platform");
	}
	store_name_list_free(list, count);
	return r;
}

int store_check_all(struct store *s, bool remove, const struct progress *progress,
	void (*tell_call)(void *context, const struct store_problem *problem), void *context,
	struct error *err)
{
	struct check c = {
		.s = s, .remove = remove, .progress = progress, .tell = tell_call, .context = context};
	_cleanup_free_ uint8_t *bytes = malloc(READ_BYTES);
	int r;

	if (!bytes)
		return error_no_memory(err, "check the store");
	c.bytes = bytes;
	r = store_each(s->blobs, add_size, &c, err);
	if (r == 0)
		r = store_each(s->blobs, check_blob, &c, err);
	show(&c, true);
	if (r == 0)
		r = store_each(s->roots, check_root, &c, err);
	if (r == 0)
		r = check_names(&c, err);
	map_free(&c.damaged);
	return r;
}
