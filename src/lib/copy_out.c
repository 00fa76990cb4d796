/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a sandbox to the host, or as a tar. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "codec/message.h"
#include "lib/copy.h"
#include "lib/extract.h"
#include "lib/files.h"
#include "lib/handle.h"
#include "os/fs.h"

struct receiver {
	struct extraction *extraction; /* or */
	int fd;
	struct copy_meter meter;
};

static void receiver_free(struct receiver *r)
{
	extraction_free(r->extraction);
}

static int take_piece(void *context, const void *data, size_t n, struct error *err)
{
	struct receiver *r = context;
	int result = r->extraction ? extraction_feed(r->extraction, data, n, err)
				   : fs_write_all(r->fd, data, n, "the archive", err);

	if (result == 0)
		copy_meter_add(&r->meter, n);
	return result;
}

static int receive(struct receiver *r, const char *name, const char *source, struct error *err)
{
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	int result = files_connect(r->meter.mc, name, &peer, err);

	if (result == 0)
		result = files_open(&peer, MESSAGE_GET, source, 0, err);
	if (result == 0)
		result = files_receive(&peer, take_piece, r, err);
	if (result == 0)
		copy_meter_finish(&r->meter);
	return result;
}

/* docker's rules: into a directory that is there; otherwise the target's name is the new name, in a directory
 * that must be there. A link at the very end is followed to a directory, which its owner has named, and
 * replaced by a file. */
static int choose_destination(
	const char *source, const char *target, int *directory, char **name, bool *wanted, struct error *err)
{
	_cleanup_free_ char *own = NULL, *parent = NULL;
	size_t n = strlen(target);
	struct stat s;
	int r = copy_source_name(source, &own, err);

	if (r < 0)
		return r;
	*wanted = !own;
	*name = NULL;
	if (!n)
		return error_set(err, ERROR_INVALID, "the target's path is empty");
	if (stat(target, &s) == 0 && S_ISDIR(s.st_mode)) {
		*directory = fs_open(AT_FDCWD, target, O_PATH | O_DIRECTORY, 0, err);
		*name = TAKE_PTR(own);
		return *directory < 0 ? *directory : 0;
	}
	*wanted |= target[n - 1] == '/';
	r = copy_split(target, &parent, name, err);
	if (r < 0)
		return r;
	*directory = fs_open(AT_FDCWD, parent, O_PATH | O_DIRECTORY, 0, err);
	return *directory < 0 ? *directory : 0;
}

static int copy_tree(
	struct monocore *mc, const char *name, const char *source, const char *target, struct error *err)
{
	_cleanup_(receiver_free) struct receiver receiver = {.fd = -1, .meter = {.mc = mc, .task = "copy"}};
	_cleanup_free_ char *leaf = NULL;
	_cleanup_fd_ int directory = -1;
	struct extract_options options = {0};
	uint64_t devices;
	int r = choose_destination(source, target, &directory, &leaf, &options.directory_wanted, err);

	if (r < 0)
		return r;
	options.directory = directory;
	options.name = leaf;
	r = extraction_new(&options, &receiver.extraction, err);
	if (r == 0)
		r = receive(&receiver, name, source, err);
	if (r == 0)
		r = extraction_finish(receiver.extraction, err);
	devices = r == 0 ? extraction_devices(receiver.extraction) : 0;
	if (devices)
		log_warning("copy '%s:%s': left out %llu device%s", name, source, (unsigned long long)devices,
			devices == 1 ? "" : "s");
	return r;
}

int monocore_copy_out(struct monocore *mc, const char *name, const char *source, const char *target,
	struct monocore_error *error)
{
	struct error err;
	int r = copy_tree(mc, name, source, target, &err);

	if (r == 0)
		return 0;
	error_prefix(&err, "copy '%s:%s' to '%s'", name, source, target);
	return give_error(error, &err);
}

int monocore_copy_out_tar(
	struct monocore *mc, const char *name, const char *source, int fd, struct monocore_error *error)
{
	struct receiver receiver = {.fd = fd, .meter = {.mc = mc, .task = "copy"}};
	struct error err;

	if (receive(&receiver, name, source, &err) == 0)
		return 0;
	error_prefix(&err, "copy '%s:%s'", name, source);
	return give_error(error, &err);
}
