/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the host, or a tar, into a sandbox. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/message.h"
#include "lib/copy.h"
#include "lib/files.h"
#include "lib/handle.h"
#include "lib/pack.h"

#define PIECE 65536

/* Where the agent is to unpack, and what it finds there: docker's rules, by what the target is now. */
struct destination {
	char *directory; /* in the sandbox */
	char *name;      /* of the source there; NULL: its contents go into the directory */
};

static void destination_free(struct destination *d)
{
	free(d->directory);
	free(d->name);
}

struct sender {
	struct peer peer;
	uint64_t window;
	struct copy_meter meter;
};

static void sender_free(struct sender *s)
{
	peer_close(&s->peer);
}

static int send_piece(void *context, const void *data, size_t n, struct error *err)
{
	struct sender *s = context;
	int r = files_send(&s->peer, &s->window, data, n, err);

	if (r == 0)
		copy_meter_add(&s->meter, n);
	return r;
}

static int sender_open(struct sender *s, struct monocore *mc, const char *name, const char *directory,
	uint32_t flags, struct error *err)
{
	int r = files_connect(mc, name, &s->peer, err);

	if (r == 0)
		r = files_open(&s->peer, MESSAGE_PUT, directory, flags, err);
	return r;
}

static int sender_finish(struct sender *s, struct error *err)
{
	int r = files_finish(&s->peer, err);

	if (r == 0)
		copy_meter_finish(&s->meter);
	return r;
}

/* What is at a path in the sandbox: its mode, 0 where there is nothing. */
static int stat_inside(
	struct monocore *mc, const char *name, const char *path, uint32_t *mode, struct error *err)
{
	struct monocore_file_info *info;
	struct monocore_error failure;

	*mode = 0;
	if (monocore_file_stat(mc, name, path, true, &info, &failure) == 0) {
		*mode = info->mode;
		monocore_file_list_free(info, 1);
		return 0;
	}
	if (failure.code != MONOCORE_NOT_FOUND)
		return error_set(err, (enum error_code)failure.code, "%s", failure.text);
	return 0;
}

/* The target is not there yet, or is a file: the source takes its place, in a directory that must be there.
 */
static int choose_new(struct monocore *mc, const char *sandbox, const char *target, struct destination *d,
	struct error *err)
{
	uint32_t mode;
	int r = copy_split(target, &d->directory, &d->name, err);

	if (r == 0 && !strcmp(d->directory, "."))
		d->directory[0] = '/';
	if (r == 0)
		r = stat_inside(mc, sandbox, d->directory, &mode, err);
	if (r == 0 && !S_ISDIR(mode))
		return error_set(
			err, ERROR_NOT_FOUND, "the directory '%s' is not there in the sandbox", d->directory);
	return r;
}

static int choose_destination(struct monocore *mc, const char *sandbox, const char *source,
	const char *target, struct destination *d, struct error *err)
{
	_cleanup_free_ char *name = NULL;
	size_t n = strlen(target);
	struct stat s;
	uint32_t mode;
	int r = copy_source_name(source, &name, err);

	if (r < 0)
		return r;
	if (!n)
		return error_set(err, ERROR_INVALID, "the target's path is empty");
	if (lstat(source, &s) < 0)
		return error_errno(err, errno, "read '%s'", source);
	r = stat_inside(mc, sandbox, target, &mode, err);
	if (r < 0)
		return r;
	if (S_ISDIR(mode)) {
		d->directory = text_copy(target, err);
		d->name = TAKE_PTR(name);
		return d->directory ? 0 : -ERROR_NO_MEMORY;
	}
	if (mode && S_ISDIR(s.st_mode))
		return error_set(err, ERROR_EXISTS, "'%s' is a directory, but '%s' in the sandbox is none",
			source, target);
	if (!S_ISDIR(s.st_mode) && target[n - 1] == '/')
		return error_set(
			err, ERROR_NOT_FOUND, "the directory '%s' is not there in the sandbox", target);
	return choose_new(mc, sandbox, target, d, err);
}

static int copy_tree(
	struct monocore *mc, const char *name, const char *source, const char *target, struct error *err)
{
	_cleanup_(destination_free) struct destination d = {0};
	_cleanup_(sender_free) struct sender s = {
		.peer = PEER_NONE, .window = STREAM_WINDOW, .meter = {.mc = mc, .task = "copy"}};
	int r = choose_destination(mc, name, source, target, &d, err);

	if (r == 0)
		r = sender_open(&s, mc, name, d.directory, PUT_KEEP_DIRECTORIES, err);
	if (r == 0)
		r = pack_tree(source, d.name, send_piece, &s, err);
	return r < 0 ? r : sender_finish(&s, err);
}

int monocore_copy_in(struct monocore *mc, const char *name, const char *source, const char *target,
	struct monocore_error *error)
{
	struct error err;
	int r = copy_tree(mc, name, source, target, &err);

	if (r == 0)
		return 0;
	error_prefix(&err, "copy '%s' to '%s:%s'", source, name, target);
	return give_error(error, &err);
}

static int send_all(struct sender *s, int fd, struct error *err)
{
	_cleanup_free_ char *piece = malloc(PIECE);

	if (!piece)
		return error_no_memory(err, "read the archive");
	for (;;) {
		ssize_t n = read(fd, piece, PIECE);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read the archive");
		if (n == 0)
			return 0;
		r = send_piece(s, piece, (size_t)n, err);
		if (r < 0)
			return r;
	}
}

int monocore_copy_in_tar(
	struct monocore *mc, const char *name, int fd, const char *directory, struct monocore_error *error)
{
	_cleanup_(sender_free) struct sender s = {
		.peer = PEER_NONE, .window = STREAM_WINDOW, .meter = {.mc = mc, .task = "copy"}};
	struct error err;
	int r = sender_open(&s, mc, name, directory, PUT_KEEP_OWNERS | PUT_KEEP_DIRECTORIES, &err);

	if (r == 0)
		r = send_all(&s, fd, &err);
	if (r == 0)
		r = sender_finish(&s, &err);
	if (r == 0)
		return 0;
	error_prefix(&err, "copy an archive to '%s:%s'", name, directory);
	return give_error(error, &err);
}
