/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/secret.h"
#include "monofs/mount_wire.h"
#include "os/fs.h"
#include "os/process.h"
#include "os/unix_socket.h"

#define LOOK_SECONDS 5 /* for which a process may think about how it stands */

struct mount {
	int fd;
	struct mount_state state;
};

void mount_state_free(struct mount_state *s)
{
	free(s->repository);
	free(s->directory);
	free(s->revision);
	*s = (struct mount_state){0};
}

void mount_close(struct mount *m)
{
	if (m->fd >= 0)
		close(m->fd);
	mount_state_free(&m->state);
	free(m);
}

/* ---- messages ------------------------------------------------------------------------------------------ */

static int malformed(struct error *err)
{
	return error_set(err, ERROR_INVALID, "the process of a mount gave a malformed answer");
}

/* Sends a request, and takes its answer: *in stands behind the code, in `answer`. */
static int ask(
	int fd, const struct buffer *request, struct buffer *answer, struct cursor *in, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = mount_send(fd, request, err);
	uint32_t code;

	if (r == 0)
		r = mount_receive(fd, answer, err);
	if (r < 0)
		return r;
	*in = cursor_of(answer->data, answer->size);
	code = cursor_u32(in);
	if (in->failed || code >= ERROR_COUNT)
		return malformed(err);
	if (!code)
		return 0;
	text = cursor_string(in);
	return error_set(err, (enum error_code)code, "%s", text ? text : "the process of a mount failed");
}

static int ask_plain(const struct mount *m, const struct buffer *request, struct error *err)
{
	_cleanup_buffer_ struct buffer answer = {0};
	struct cursor in;

	return ask(m->fd, request, &answer, &in, err);
}

static int take_id(struct cursor *in, struct object_id *id)
{
	const uint8_t *bytes = cursor_take(in, OBJECT_ID_SIZE);

	if (!bytes)
		return -ERROR_INVALID;
	memcpy(id->bytes, bytes, OBJECT_ID_SIZE);
	return 0;
}

static int ask_state(int fd, struct mount_state *s, struct error *err)
{
	_cleanup_buffer_ struct buffer request = {0}, answer = {0};
	struct cursor in;
	int r;

	buffer_u32(&request, MOUNT_STATE);
	r = ask(fd, &request, &answer, &in, err);
	if (r < 0)
		return r;
	s->repository = cursor_string(&in);
	s->directory = cursor_string(&in);
	s->revision = cursor_string(&in);
	s->live = cursor_u8(&in);
	take_id(&in, &s->base);
	s->dirty = cursor_u64(&in);
	s->journal_bytes = cursor_u64(&in);
	s->since = cursor_u64(&in);
	s->pid = (pid_t)cursor_u32(&in);
	return cursor_done(&in) ? 0 : malformed(err);
}

/* ---- starting ------------------------------------------------------------------------------------------ */

static int absolute(const char *path, char **out, struct error *err)
{
	*out = realpath(path, NULL);
	return *out ? 0 : error_errno(err, errno, "%s", path);
}

static int make_start(struct repository *r, const char *directory, const struct mount_options *o,
	struct buffer *out, struct error *err)
{
	static const uint8_t none[CRYPT_KEY_SIZE];
	const uint8_t *master = repository_master(r);
	_cleanup_free_ char *repository = NULL, *place = NULL;
	int result = absolute(repository_path(r), &repository, err);

	if (result == 0)
		result = absolute(directory, &place, err);
	if (result < 0)
		return result;
	buffer_reserve(out, 2 * PATH_MAX + 1024); /* so that no copies of the key are left */
	buffer_u32(out, MOUNT_START);
	buffer_string(out, repository);
	buffer_string(out, place);
	buffer_string(out, o->revision);
	buffer_string(out, o->author);
	buffer_u32(out, (o->commit ? MOUNT_START_COMMIT : 0u) | (o->manual ? MOUNT_START_MANUAL : 0u) |
				(o->allow_other ? MOUNT_START_ALLOW_OTHER : 0u) |
				(master ? MOUNT_START_KEY : 0u) | (o->held ? MOUNT_START_HELD : 0u) |
				(o->nfs ? MOUNT_START_NFS : 0u));
	buffer_u64(out, o->quiet);
	buffer_u64(out, o->most);
	buffer_append(out, o->commit ? o->commit->bytes : none, OBJECT_ID_SIZE);
	buffer_append(out, master ? master : none, CRYPT_KEY_SIZE);
	return out->failed ? error_no_memory(err, "start mfsd") : 0;
}

int mount_start(struct repository *r, const char *directory, const struct mount_options *o, struct error *err)
{
	static const char *const argv[] = {"mfsd", NULL};
	_cleanup_secret_buffer_ struct buffer request = {0};
	_cleanup_buffer_ struct buffer answer = {0};
	_cleanup_fd_ int ours = -1, theirs = -1;
	struct cursor in;
	int ends[2], status, result = make_start(r, directory, o, &request, err);
	pid_t pid;

	if (result < 0)
		return result;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "make a socket for mfsd");
	ours = ends[0];
	theirs = ends[1];
	const struct process_fd fds[] = {{theirs, MOUNT_START_FD}, {STDERR_FILENO, STDERR_FILENO}};
	const struct process_spec spec = {.path = o->program,
		.argv = argv,
		.fds = fds,
		.fd_count = ARRAY_SIZE(fds),
		.new_session = true};

	result = process_spawn(&spec, &pid, NULL, err);
	if (result < 0)
		return result;
	close(TAKE_FD(theirs));
	result = ask(ours, &request, &answer, &in, err);
	if (result < 0) { /* it takes away what it has mounted, and ends */
		process_wait(pid, &status, NULL);
		return error_prefix(err, "mount %s", directory);
	}
	if (!o->nfs)
		return 0;
	o->nfs->port = cursor_u16(&in);
	o->nfs->export = cursor_string(&in);
	return o->nfs->export ? 0 : malformed(err);
}

/* ---- finding ------------------------------------------------------------------------------------------- */

/* Nobody listens at a socket of this name: a dead process has left it, or one that lives is just making it.
 */
static void remove_dead(int directory, const char *name)
{
	long pid = strtol(name, NULL, 10);

	if (pid <= 0 || (kill((pid_t)pid, 0) < 0 && errno == ESRCH))
		unlinkat(directory, name, 0);
}

/* A process that answers at the socket; *m NULL: none does. */
static int connect_to(int directory, const char *name, struct mount **m, struct error *err)
{
	const struct timeval patience = {.tv_sec = LOOK_SECONDS}, none = {0};
	_cleanup_(cleanup_mount) struct mount *found = calloc(1, sizeof *found);
	int r;

	if (!found)
		return error_no_memory(err, "look for mounts");
	found->fd = -1;
	r = unix_socket_connect(directory, name, &found->fd, err);
	if (r == -ERROR_NOT_FOUND)
		remove_dead(directory, name);
	if (r < 0)
		return r == -ERROR_NOT_FOUND ? 0 : r;
	setsockopt(found->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	r = ask_state(found->fd, &found->state, err);
	setsockopt(found->fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
	if (r == 0)
		*m = TAKE_PTR(found);
	return r == -ERROR_CLOSED ? 0 : r; /* it ended just now */
}

/* Gives each mount to take(), which may keep it (TAKE_PTR). */
typedef int mount_judge(void *context, struct mount **m, struct error *err);
static int each(mount_judge *judge, void *context, struct error *err)
{
	_cleanup_fd_ int directory = mount_directory(err);
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = directory < 0 ? directory : fs_list_open(directory, ".", &list, err);

	while (r == 0 && (name = fs_list_next(list))) {
		_cleanup_(cleanup_mount) struct mount *m = NULL;

		r = connect_to(directory, name, &m, err);
		if (r == 0 && m)
			r = judge(context, &m, err);
	}
	return r;
}

struct showing {
	mount_take *take;
	void *context;
};

static int show(void *context, struct mount **m, struct error *err)
{
	const struct showing *s = context;

	return s->take(s->context, &(*m)->state, err);
}

int mount_each(mount_take *take, void *context, struct error *err)
{
	struct showing s = {take, context};

	return each(show, &s, err);
}

struct search {
	const char *path;
	bool live; /* path is a repository's, not one in a tree */
	struct mount *found;
	size_t depth; /* bytes of its directory's path: an inner mount is nearer */
};

static bool is_at_or_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return !strncmp(path, directory, n) && (!path[n] || path[n] == '/' || n == 1);
}

static int match(void *context, struct mount **m, struct error *err)
{
	const struct mount_state *s = &(*m)->state;
	struct search *f = context;
	size_t depth = strlen(s->directory);

	(void)err;
	if (f->live ? !s->live || strcmp(s->repository, f->path) != 0
		    : !is_at_or_below(f->path, s->directory))
		return 0;
	if (f->found && depth <= f->depth)
		return 0;
	if (f->found)
		mount_close(f->found);
	f->found = TAKE_PTR(*m);
	f->depth = depth;
	return 0;
}

static int search(const char *path, bool live, struct mount **m, struct error *err)
{
	_cleanup_free_ char *real = NULL;
	struct search f = {.live = live};
	int r = absolute(path, &real, err);

	if (r < 0)
		return r;
	f.path = real;
	r = each(match, &f, err);
	if (r < 0 && f.found)
		mount_close(f.found);
	if (r < 0)
		return r;
	*m = f.found;
	return f.found ? 0 : error_set(err, ERROR_NOT_FOUND, "%s is not mounted", path);
}

int mount_find(const char *path, struct mount **m, struct error *err)
{
	return search(path, false, m, err);
}

int mount_find_live(const char *repository, struct mount **m, struct error *err)
{
	return search(repository, true, m, err);
}

const struct mount_state *mount_state(const struct mount *m)
{
	return &m->state;
}

/* ---- what is asked of it ------------------------------------------------------------------------------- */

static int ask_commit(
	struct mount *m, const struct buffer *request, struct object_id *id, bool *made, struct error *err)
{
	_cleanup_buffer_ struct buffer answer = {0};
	struct cursor in;
	int r = ask(m->fd, request, &answer, &in, err);

	if (r < 0)
		return r;
	take_id(&in, id);
	*made = cursor_u8(&in);
	return cursor_done(&in) ? 0 : malformed(err);
}

int mount_commit(struct mount *m, const char *author, const char *message, struct object_id *id, bool *made,
	struct error *err)
{
	_cleanup_buffer_ struct buffer request = {0};

	buffer_u32(&request, MOUNT_COMMIT);
	buffer_string(&request, author);
	buffer_string(&request, message);
	buffer_u8(&request, message != NULL);
	return ask_commit(m, &request, id, made, err);
}

int mount_roll_back(struct mount *m, struct error *err)
{
	_cleanup_buffer_ struct buffer request = {0};

	buffer_u32(&request, MOUNT_ROLL_BACK);
	return ask_plain(m, &request, err);
}

int mount_hold(struct mount *m, unsigned what, const char *who, struct error *err)
{
	_cleanup_buffer_ struct buffer request = {0};

	buffer_u32(&request, MOUNT_HOLD);
	buffer_u32(&request, what);
	buffer_string(&request, who);
	return ask_plain(m, &request, err);
}

int mount_release(
	struct mount *m, bool well, const char *how, struct object_id *id, bool *made, struct error *err)
{
	_cleanup_buffer_ struct buffer request = {0};

	buffer_u32(&request, MOUNT_RELEASE);
	buffer_u8(&request, well);
	buffer_string(&request, how);
	return ask_commit(m, &request, id, made, err);
}

int mount_key(struct mount *m, uint8_t master[CRYPT_KEY_SIZE], struct error *err)
{
	_cleanup_secret_buffer_ struct buffer answer = {0};
	_cleanup_buffer_ struct buffer request = {0};
	const uint8_t *key;
	struct cursor in;
	int r;

	buffer_u32(&request, MOUNT_KEY);
	r = ask(m->fd, &request, &answer, &in, err);
	if (r < 0)
		return r;
	key = cursor_take(&in, CRYPT_KEY_SIZE);
	if (!key || !cursor_done(&in))
		return malformed(err);
	memcpy(master, key, CRYPT_KEY_SIZE);
	return 0;
}

int mount_stop(struct mount *m, bool force, struct error *err)
{
	_cleanup_buffer_ struct buffer request = {0};

	buffer_u32(&request, MOUNT_STOP);
	buffer_u8(&request, force);
	return ask_plain(m, &request, err);
}
