/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/fuse/session.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/volume.h"
#include "vfs/fuse/message.h"

/* libfuse has no place for it: what it hands to requests and to writers is one pointer for the session. */
static _Thread_local struct fuse_call *current;

bool fuse_call_is_again(void)
{
	return current && current->again;
}

bool fuse_call_drops(void)
{
	return current && current->drop;
}

void *fuse_call_room(size_t size)
{
	return current && current->room ? current->room(current, size) : NULL;
}

/* Whether setuid and setgid bits have to go with this request (Linux 5.12, fuse_kernel.h: KILL_SUIDGID). */
static bool says_drop(const struct fuse_in_header *h)
{
	const void *body = h + 1;
	const struct fuse_write_in *w = body;
	const struct fuse_setattr_in *s = body;
	const struct fuse_open_in *o = body;
	const struct fuse_create_in *c = body;

	switch (h->opcode) {
	case FUSE_WRITE:
		return w->write_flags & FUSE_WRITE_KILL_SUIDGID;
	case FUSE_SETATTR:
		return s->valid & FATTR_KILL_SUIDGID;
	case FUSE_OPEN:
		return o->open_flags & FUSE_OPEN_KILL_SUIDGID;
	case FUSE_CREATE:
		return c->open_flags & FUSE_OPEN_KILL_SUIDGID;
	default:
		return false;
	}
}

static bool offers_privileges(const struct fuse_in_header *h)
{
	const struct fuse_init_in *i = (const void *)(h + 1);

	return h->opcode == FUSE_INIT && i->flags & FUSE_HANDLE_KILLPRIV_V2;
}

/* libfuse's answer to FUSE_INIT is amended. */
static void amend(struct fuse_session_data *data, const struct iovec *vectors, int count)
{
	const struct fuse_out_header *h = vectors[0].iov_base;
	struct fuse_init_out *i;

	if (h->error || count < 2 || vectors[1].iov_len < sizeof *i)
		return;
	i = vectors[1].iov_base;
	i->flags |= FUSE_HANDLE_KILLPRIV_V2;
	data->privileges = true;
}

static ssize_t send_answer(int fd, struct iovec *vectors, int count, void *context)
{
	const struct fuse_out_header *h = vectors[0].iov_base;
	struct fuse_session_data *data = context;

	(void)fd;
	if (!current && !h->unique && data->notice)
		return data->notice(data, vectors, count);
	if (!current || h->unique != current->unique) {
		errno = ENOENT; /* nobody takes what was not asked for, nor libfuse's complaint */
		return -1;
	}
	if (current->init)
		amend(data, vectors, count);
	return current->send(current, vectors, count);
}

/* Messages come by fuse_session_serve(). */
static ssize_t read_nothing(int fd, void *bytes, size_t room, void *context)
{
	(void)fd;
	(void)bytes;
	(void)room;
	(void)context;
	errno = ENODEV;
	return -1;
}

static void answer_error(struct fuse_call *call, int error)
{
	struct fuse_out_header h = {.len = sizeof h, .error = error, .unique = call->unique};
	struct iovec vector = {.iov_base = &h, .iov_len = sizeof h};

	call->send(call, &vector, 1);
}

void fuse_session_serve(struct fuse_session *session, struct fuse_call *call, const void *bytes, size_t size)
{
	const struct fuse_buf buffer = {.mem = (void *)(uintptr_t)bytes, .size = size};
	const struct fuse_in_header *h = bytes;
	int r;

	if (size < sizeof *h)
		return;
	call->unique = h->unique;
	r = fuse_message_check(bytes, size);
	if (r < 0) {
		if (fuse_message_is_answered(h->opcode))
			answer_error(call, r);
		return;
	}
	/* Nothing that is served waits for its interruption, and libfuse would keep those that come for
	 * nothing. */
	if (h->opcode == FUSE_INTERRUPT)
		return;
	call->drop = says_drop(h);
	call->again = h->unique & VOLUME_AGAIN;
	call->init = offers_privileges(h);
	current = call;
	fuse_session_process_buf(session, &buffer);
	current = NULL;
}

/* ---- start ------------------------------------------------------------------------------------------ */

void fuse_session_prepare(struct fuse_session_data *data, struct vfs *fs, const struct fuse_options *o)
{
	*data = (struct fuse_session_data){.fs = fs,
		.timeout = (double)o->cache / (double)NANOSECONDS_PER_SECOND,
		.told_timeout = (double)o->cache / (double)NANOSECONDS_PER_SECOND,
		.no_open = o->no_open,
		.keep = o->keep_contents || (fs->read_only && o->cache > 0),
		.told_contents = o->told_contents};
}

static int make_arguments(const struct fuse_options *o, struct fuse_args *args, struct error *err)
{
	_cleanup_free_ char *options = text_format(err, "fsname=%s,subtype=monocore%s%s",
		o->name ? o->name : "monocore", o->allow_other ? ",allow_other" : "",
		o->own_permissions ? "" : ",default_permissions");

	if (!options)
		return -ERROR_NO_MEMORY;
	for (char *c = options; *c; c++) /* in options commas part them */
		if (*c == '\\')
			*c = '/';
	if (fuse_opt_add_arg(args, "monocore") < 0 || fuse_opt_add_arg(args, "-o") < 0 ||
		fuse_opt_add_arg(args, options) < 0)
		return error_no_memory(err, "FUSE");
	return 0;
}

int fuse_session_take(struct fuse_session *session, int fd, struct error *err)
{
	static const struct fuse_custom_io io = {.read = read_nothing, .writev = send_answer};

	return fuse_session_custom_io(session, &io, fd) < 0
		       ? error_set(err, ERROR_SYSTEM, "start a FUSE session")
		       : 0;
}

int fuse_session_make(struct fuse_session_data *data, const struct fuse_options *options, int fd,
	struct fuse_session **out, struct error *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session = NULL;
	int r = make_arguments(options, &args, err);

	if (r == 0)
		session = fuse_session_new(&args, &fuse_requests, sizeof fuse_requests, data);
	fuse_opt_free_args(&args);
	if (r == 0 && !session)
		r = error_set(err, ERROR_SYSTEM, "start a FUSE session");
	if (r == 0 && fd >= 0)
		r = fuse_session_take(session, fd, err);
	if (r == 0)
		*out = session;
	else if (session)
		fuse_session_destroy(session);
	return r;
}
