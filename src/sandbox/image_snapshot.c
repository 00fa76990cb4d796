/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/image_snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "sandbox/network.h"
#include "sandbox/snapshot.h"

#define PREFIX    "image-"
#define ALGORITHM "sha256:"
#define DIGITS    40 /* of the digest's; the record of the snapshot has all of them */

bool image_snapshot_tag(const char *digest, char tag[IMAGE_SNAPSHOT_TAG_SIZE])
{
	if (!text_starts(digest, ALGORITHM) || strlen(digest) < strlen(ALGORITHM) + DIGITS)
		return false;
	snprintf(tag, IMAGE_SNAPSHOT_TAG_SIZE, PREFIX "%.*s", DIGITS, digest + strlen(ALGORITHM));
	return true;
}

bool image_snapshot_is(const char *tag)
{
	return text_starts(tag, PREFIX) && strlen(tag) == strlen(PREFIX) + DIGITS &&
	       strspn(tag + strlen(PREFIX), "0123456789abcdef") == DIGITS;
}

/* ---- what fits ---------------------------------------------------------------------------------------- */

static bool same_list(char *const *a, char *const *b)
{
	size_t n = text_list_size(a);

	if (n != text_list_size(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

static bool same_mounts(const struct record *a, const struct record *b)
{
	if (a->mount_count != b->mount_count)
		return false;
	for (uint32_t i = 0; i < a->mount_count; i++) {
		const struct record_mount *x = &a->mounts[i], *y = &b->mounts[i];

		if (strcmp(x->type, y->type) || strcmp(x->source, y->source) ||
			strcmp(x->target, y->target) || x->read_only != y->read_only ||
			x->squash != y->squash || x->stage != y->stage)
			return false;
	}
	return true;
}

static bool same_rlimits(const struct record *a, const struct record *b)
{
	if (a->rlimit_count != b->rlimit_count)
		return false;
	for (uint32_t i = 0; i < a->rlimit_count; i++) {
		const struct message_rlimit *x = &a->rlimits[i], *y = &b->rlimits[i];

		if (x->resource != y->resource || x->soft != y->soft || x->hard != y->hard)
			return false;
	}
	return true;
}

/* What a machine has for all its life is the same, and so is the main process. What is the host's matter, or
 * becomes the sandbox's own as it wakes, may differ. NULL, or the first thing that is another. */
static const char *other(const struct record *a, const struct record *b)
{
	const struct {
		bool same;
		const char *what;
	} all[] = {{!strcmp(a->digest, b->digest) && !strcmp(a->root_id, b->root_id), "image"},
		{!a->no_template && !b->no_template, "way to start"}, {a->memory == b->memory, "memory"},
		{a->cpus == b->cpus, "number of cpus"}, {a->disk == b->disk, "size of its disk"},
		{!strcmp(a->engine, b->engine), "engine"},
		{!strcmp(a->rootfs, b->rootfs) && a->read_only == b->read_only, "kind of root"},
		{!strcmp(a->volume_driver, b->volume_driver) && same_mounts(a, b), "volumes"},
		{same_list(a->argv, b->argv), "command"}, {same_list(a->env, b->env), "environment"},
		{!strcmp(a->workdir, b->workdir), "working directory"}, {!strcmp(a->user, b->user), "user"},
		{a->tty == b->tty && a->stdin_open == b->stdin_open, "terminal or standard input"},
		{a->pids == b->pids && same_rlimits(a, b), "limits"}};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!all[i].same)
			return all[i].what;
	return NULL;
}

static int check(int fd, const struct record *record, size_t networks, const char **why, struct error *err)
{
	_cleanup_network_ struct network network = {0};
	_cleanup_record_ struct record saved = {0};
	int r = record_read(fd, &saved, err);

	if (r == 0)
		r = network_read(fd, &network, err);
	if (r == 0)
		*why = network.group_count == networks ? other(record, &saved) : "number of networks";
	return r < 0 || *why ? r : snapshot_check(fd, record, err);
}

int image_snapshot_find(
	const struct home *home, struct record *record, size_t networks, int *fd, struct error *err)
{
	char tag[IMAGE_SNAPSHOT_TAG_SIZE];
	_cleanup_fd_ int found = -1;
	const char *why = NULL;
	struct error reason;
	int r;

	*fd = -1;
	if (!image_snapshot_tag(record->digest, tag))
		return 0;
	found = openat(home->snapshots, tag, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (found < 0)
		return 0;
	r = check(found, record, networks, &why, &reason);
	if (r == -ERROR_NO_MEMORY)
		return error_no_memory(err, "make a sandbox");
	if (r < 0 || why) {
		log_debug("%s starts anew, not from the saved state of its image: %s%s", record->name,
			r < 0 ? "" : "not the same ", r < 0 ? reason.text : why);
		return 0;
	}
	free(record->snapshot);
	record->snapshot = text_copy(tag, err);
	*fd = TAKE_FD(found);
	return record->snapshot ? 0 : -ERROR_NO_MEMORY;
}
