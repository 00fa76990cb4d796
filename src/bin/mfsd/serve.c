/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/mfsd/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "bin/mfsd/confine.h"
#include "bin/mfsd/control.h"
#include "bin/mfsd/keeper.h"
#include "bin/mfsd/nfs.h"
#include "monofs/live.h"
#include "monofs/mount_wire.h"
#include "monofs/repository.h"
#include "monofs/view.h"
#include "vfs/fuse/fuse.h"

#define FILES_MOST 65536u
/* Nobody but this mount's users changes what it shows; a tree that is taken back tells of it (vfs_watch()).
 */
#define CACHE (86400 * NANOSECONDS_PER_SECOND)

int mfsd_start_decode(const struct buffer *message, struct mfsd_start *s, struct error *err)
{
	struct cursor in = cursor_of(message->data, message->size);
	uint32_t what = cursor_u32(&in);
	const uint8_t *commit, *key;

	s->repository = cursor_string(&in);
	s->directory = cursor_string(&in);
	s->revision = cursor_string(&in);
	s->author = cursor_string(&in);
	s->flags = cursor_u32(&in);
	s->quiet = cursor_u64(&in);
	s->most = cursor_u64(&in);
	commit = cursor_take(&in, OBJECT_ID_SIZE);
	key = cursor_take(&in, CRYPT_KEY_SIZE);
	if (what != MOUNT_START || !cursor_done(&in))
		return error_set(err, ERROR_INVALID, "mfsd was not started by monofs of the same version");
	memcpy(s->commit.bytes, commit, OBJECT_ID_SIZE);
	memcpy(s->master, key, CRYPT_KEY_SIZE);
	return 0;
}

void mfsd_start_forget(struct mfsd_start *s)
{
	free(s->repository);
	free(s->directory);
	free(s->revision);
	free(s->author);
	explicit_bzero(s, sizeof *s);
}

/* ---- what is served ------------------------------------------------------------------------------------ */

struct served {
	struct repository *repository;
	int claim;
	struct vfs *fs;
	struct fuse_server *server; /* one of these */
	struct mfsd_nfs *nfs;
};

static bool is_live(const struct mfsd_start *start)
{
	return !(start->flags & MOUNT_START_COMMIT);
}

static struct served *running; /* of the signal's handler */

static void served_close(struct served *s)
{
	running = NULL;
	fuse_server_free(s->server);
	mfsd_nfs_free(s->nfs);
	vfs_destroy(s->fs);
	if (s->repository)
		repository_close(s->repository);
	if (s->claim >= 0)
		close(s->claim);
	*s = (struct served){.claim = -1};
}

static int open_live(struct served *s, const struct mfsd_start *start, struct error *err)
{
	const struct live_options o = {.quiet = start->quiet,
		.most = start->most,
		.no_automatic = start->flags & MOUNT_START_MANUAL,
		.author = start->author};
	_cleanup_free_ char *who = text_format(err, "mounted at %s", start->directory);
	int r = who ? repository_claim(s->repository, who, &s->claim, err) : -ERROR_NO_MEMORY;

	return r < 0 ? r : live_new(s->repository, &o, &s->fs, err);
}

static int open_tree(struct served *s, const struct mfsd_start *start, struct error *err)
{
	const struct repository_secret secret = {
		.master = start->flags & MOUNT_START_KEY ? start->master : NULL};
	int r = repository_open(start->repository, &secret, !is_live(start), NULL, &s->repository, err);

	if (r < 0)
		return r;
	return is_live(start) ? open_live(s, start, err)
			      : view_new(s->repository, &start->commit, &s->fs, err);
}

static int mount_tree(struct served *s, const struct mfsd_start *start, int keeper, struct error *err)
{
	const struct fuse_options o = {.name = "monofs",
		.cache = CACHE,
		.told_cache = CACHE,
		.keep_contents = true,
		.told_contents = true,
		.allow_other = start->flags & MOUNT_START_ALLOW_OTHER};
	int r;

	if (start->flags & MOUNT_START_NFS)
		return mfsd_nfs_open(repository_directory(s->repository), s->fs, &s->nfs, err);
	r = mfsd_keeper_tell(keeper, start->directory, err);
	return r < 0 ? r : fuse_server_mount(s->fs, start->directory, &o, &s->server, err);
}

/* ---- its life ------------------------------------------------------------------------------------------ */

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max < FILES_MOST ? limit.rlim_max : FILES_MOST;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* fusermount3 has said what it had to say; whoever reads our standard error waits for its end. */
static void leave_standard_error(void)
{
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nowhere >= 0) {
		dup2(nowhere, STDERR_FILENO);
		close(nowhere);
	}
}

static void greet(const struct served *s, int r, const struct error *err)
{
	_cleanup_buffer_ struct buffer answer = {0};

	buffer_u32(&answer, r < 0 ? (uint32_t)err->code : 0);
	if (r < 0)
		buffer_string(&answer, err->text);
	if (r == 0 && s->nfs) {
		buffer_u16(&answer, mfsd_nfs_port(s->nfs));
		buffer_string(&answer, mfsd_nfs_export(s->nfs));
	}
	mount_send(MOUNT_START_FD, &answer, NULL);
	close(MOUNT_START_FD);
}

/* Everything that was written is a revision. */
static int conclude(const struct served *s, const struct mfsd_start *start, struct error *err)
{
	struct object_id id;
	bool made;

	return is_live(start) ? live_commit(s->fs, start->author, NULL, &id, &made, err) : 0;
}

struct leaving {
	struct served *served;
	const struct mfsd_start *start;
	int keeper;
};

/* Clients of NFS hold nothing that this process could see. */
static int end_service(void *context, bool force, struct error *err)
{
	const struct leaving *l = context;

	if (!l->served->nfs)
		return mfsd_keeper_unmount(l->keeper, force, err);
	mfsd_nfs_stop(l->served->nfs);
	return 0;
}

/* Those who hold something of the mount would be served for as long as they do: they get errors once this
 * process has gone. What they may still write behind the revision is in the journal, as after any death. */
static void leave(void *context, struct control *control)
{
	struct leaving *l = context;
	struct error err = {0};
	int r = conclude(l->served, l->start, &err);

	if (l->served->claim >= 0)
		close(TAKE_FD(l->served->claim));
	control_end(control, r, &err);
	_exit(r < 0);
}

/* Whoever asked for the end may have the repository when he hears of it. */
static int serve(struct served *s, const struct mfsd_start *start, int keeper)
{
	struct leaving leaving = {.served = s, .start = start, .keeper = keeper};
	const struct control_options o = {.start = start,
		.repository = s->repository,
		.fs = s->fs,
		.end = end_service,
		.leave = leave,
		.context = &leaving};
	_cleanup_(cleanup_control) struct control *control = NULL;
	struct error err = {0};
	int r = control_new(&o, &control, &err);

	if (r == 0)
		r = mfsd_confine(repository_directory(s->repository), &err);
	if (r == 0 && is_live(start))
		r = live_start(s->fs, &err);
	if (r == 0)
		r = control_run(control, &err);
	greet(s, r, &err);
	if (r < 0) {
		end_service(&leaving, true, NULL);
		return 1;
	}
	if (s->nfs)
		mfsd_nfs_run(s->nfs, &err);
	else
		fuse_server_run(s->server, &err);
	/* However that ends, what was written is in the journal. */
	control_stop(control);
	r = conclude(s, start, &err);
	if (!s->nfs && fuse_server_is_mounted(s->server)) /* a signal has ended it */
		mfsd_keeper_unmount(keeper, true, NULL);
	served_close(s);
	control_end(control, r, &err);
	return r < 0 ? 1 : 0;
}

static void end(int number)
{
	(void)number;
	if (running && running->nfs)
		mfsd_nfs_stop(running->nfs);
	else if (running)
		fuse_server_stop(running->server);
}

static void catch_signals(void)
{
	const struct sigaction action = {.sa_handler = end};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

int mfsd_serve(int keeper, const struct mfsd_start *start)
{
	struct served s = {.claim = -1};
	struct error err = {0};
	int r, status = 1;

	raise_limit();
	r = open_tree(&s, start, &err);
	if (r == 0)
		r = mount_tree(&s, start, keeper, &err);
	if (r < 0) {
		greet(&s, r, &err);
	} else {
		leave_standard_error();
		running = &s;
		catch_signals();
		status = serve(&s, start, keeper);
	}
	served_close(&s);
	return status;
}
