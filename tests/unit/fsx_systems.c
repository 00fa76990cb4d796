/* SPDX-License-Identifier: Apache-2.0 */
#include "fsx_systems.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fsx_path.h"
#include "fsx_vfs.h"
#include "fuse_mount.h"
#include "nfs3_vfs.h"
#include "os/fs.h"
#include "vfs/memory/memory.h"
#include "vfs/native/native.h"
#include "vfs/overlay/overlay.h"
#include "vfs/resume/resume.h"
#include "vfs/virtiofs/virtiofs.h"
#include "vfs_make.h"
#include "virtiofs_vfs.h"

#define START 200000u /* bytes of a file that is in a lower at first */

static struct error err;

/* ---- what they are made of -------------------------------------------------------------------------- */

struct place {
	char path[64];
	int lower, upper; /* directories in it, which have the file, and "tree" and "work" */
	enum native_owners owners;
	char start[START];
};

static int make_directory(const struct place *p, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", p->path, name);
	CHECK(mkdir(path, 0755) == 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static void fill_start(char start[START])
{
	for (uint32_t i = 0; i < START; i++)
		start[i] = (char)(i * 2654435761u >> 24);
}

static void place_open(struct place *p, enum native_owners owners)
{
	_cleanup_fd_ int fd = -1;

	*p = (struct place){.path = "/tmp/monocore-test-XXXXXX", .owners = owners};
	fill_start(p->start);
	CHECK(mkdtemp(p->path));
	p->lower = make_directory(p, "lower");
	p->upper = make_directory(p, "upper");
	CHECK(mkdirat(p->upper, "tree", 0755) == 0 && mkdirat(p->upper, "work", 0755) == 0);
	fd = openat(p->lower, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK_INT(write(fd, p->start, START), START);
}

static void place_close(struct place *p)
{
	close(p->lower);
	close(p->upper);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->path, &err));
}

static struct vfs *new_native(int directory, enum native_owners owners)
{
	const struct native_options options = {
		.directory = directory, .owners = owners, .uid = geteuid(), .gid = getegid()};
	struct vfs *fs = NULL;

	return native_new(&options, &fs, &err) < 0 ? NULL : fs;
}

struct vfs *fsx_new_memory(void)
{
	const struct memory_options options = {.uid = geteuid(), .gid = getegid(), .mode = 0777};
	struct vfs *fs = NULL;

	return memory_new(&options, &fs, &err) < 0 ? NULL : fs;
}

static struct vfs *new_union(struct vfs *lower, struct vfs *upper, uint64_t tree, uint64_t work)
{
	const struct overlay_layer layer = {lower, VFS_ROOT};
	const struct overlay_options options = {.lowers = &layer,
		.lower_count = 1,
		.upper = {upper, tree},
		.work = work,
		.uid = geteuid(),
		.gid = getegid()};
	struct vfs *fs = NULL;

	return overlay_new(&options, &fs, &err) < 0 ? NULL : fs;
}

static struct fsx_options with_start(const struct fsx_options *o, const char *start)
{
	struct fsx_options all = *o;

	all.start = start;
	all.start_size = START;
	return all;
}

/* ---- by their calls ----------------------------------------------------------------------------------- */

static bool on_memory(const struct fsx_options *o, struct fsx_report *report)
{
	_cleanup_vfs_ struct vfs *fs = fsx_new_memory();

	return fsx_vfs_finds_nothing(fs, "file", true, o, report);
}

static bool on_resumed(const struct fsx_options *o, struct fsx_report *report)
{
	_cleanup_vfs_ struct vfs *fs = NULL;

	CHECK_OK(resume_new(fsx_new_memory(), UINT64_MAX, &fs, &err));
	return fsx_vfs_finds_nothing(fs, "file", true, o, report);
}

static bool on_native(const struct fsx_options *o, struct fsx_report *report)
{
	struct place p;
	struct vfs *fs;
	bool good;

	place_open(&p, (enum native_owners)(o->seed % 3));
	fs = new_native(p.upper, p.owners);
	good = fsx_vfs_finds_nothing(fs, "file", true, o, report);
	vfs_destroy(fs);
	place_close(&p);
	return good;
}

static bool on_union_of(
	struct vfs *lower, struct vfs *upper, const struct fsx_options *o, struct fsx_report *report)
{
	_cleanup_vfs_ struct vfs *fs = new_union(lower, upper, vfs_make_directory(upper, VFS_ROOT, "t"),
		vfs_make_directory(upper, VFS_ROOT, "w"));

	CHECK(fs != NULL);
	return fsx_vfs_finds_nothing(fs, "file", true, o, report);
}

static bool on_union(const struct fsx_options *o, struct fsx_report *report)
{
	static char start[START];
	_cleanup_vfs_ struct vfs *lower = fsx_new_memory(), *upper = fsx_new_memory();
	struct fsx_options all = with_start(o, start);

	fill_start(start);
	CHECK_INT(vfs_write(lower, vfs_make_file(lower, VFS_ROOT, "file"), VFS_NO_HANDLE, start, START, 0),
		START);
	return on_union_of(lower, upper, &all, report);
}

static bool on_union_of_directories(const struct fsx_options *o, struct fsx_report *report)
{
	static struct place p;
	struct vfs *lower, *upper;
	struct fsx_options all;
	bool good;

	place_open(&p, o->seed % 2 ? NATIVE_PLAIN : NATIVE_OVERRIDE);
	all = with_start(o, p.start);
	lower = new_native(p.lower, p.owners);
	upper = new_native(p.upper, p.owners);
	good = on_union_of(lower, upper, &all, report);
	vfs_destroy(lower);
	vfs_destroy(upper);
	place_close(&p);
	return good;
}

/* ---- by NFS and virtiofs --------------------------------------------------------------------------------
 */

static bool by_nfs(const struct fsx_options *o, struct fsx_report *report)
{
	_cleanup_vfs_ struct vfs *memory = fsx_new_memory(), *client = NULL;
	_cleanup_(cleanup_nfs3_server) struct nfs3_server *server = NULL;
	const struct nfs3_options options = {.export = "/e", .ids = NFS3_IDS_CLIENT};

	CHECK_OK(nfs3_server_new(memory, &options, &server, &err));
	client = nfs3_vfs_new(server, "/e");
	CHECK(client != NULL);
	return fsx_vfs_finds_nothing(client, "file", false, o, report);
}

static void *serve_virtiofs(void *context)
{
	struct error e;

	return virtiofs_server_run(context, &e) < 0 ? context : NULL;
}

static bool by_virtiofs(const struct fsx_options *o, struct fsx_report *report)
{
	const struct fuse_options options = {.threads = 4};
	_cleanup_vfs_ struct vfs *memory = fsx_new_memory();
	struct virtiofs_server *server;
	struct vfs *client;
	pthread_t thread;
	int ends[2];
	bool good;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK_OK(virtiofs_server_new(memory, ends[0], &options, &server, &err));
	CHECK_INT(pthread_create(&thread, NULL, serve_virtiofs, server), 0);
	client = virtiofs_vfs_new(ends[1]);
	good = fsx_vfs_finds_nothing(client, "file", true, o, report);
	vfs_destroy(client);
	CHECK_INT(pthread_join(thread, NULL), 0);
	virtiofs_server_free(server);
	return good;
}

/* ---- by the kernel's calls, through FUSE ----------------------------------------------------------------
 */

static struct vfs *serve_memory(const void *context, bool again)
{
	(void)context;
	(void)again;
	return fsx_new_memory();
}

static struct vfs *serve_native(const void *context, bool again)
{
	const struct place *p = context;
	struct vfs *fs = new_native(p->upper, p->owners), *resumed;

	if (!fs || !again)
		return fs;
	return resume_new(fs, UINT64_MAX, &resumed, &err) < 0 ? NULL : resumed;
}

static struct vfs *serve_union(const void *context, bool again)
{
	const struct place *p = context;
	struct vfs *lower = new_native(p->lower, p->owners), *upper = new_native(p->upper, p->owners);
	struct vfs_attributes tree, work;

	(void)again;
	if (!lower || !upper || vfs_lookup(upper, VFS_ROOT, "tree", &tree) < 0 ||
		vfs_lookup(upper, VFS_ROOT, "work", &work) < 0)
		return NULL;
	return new_union(lower, upper, tree.ino, work.ino);
}

static bool on_mount(struct fuse_mount *mount, const struct fsx_options *o, struct fsx_report *report)
{
	char path[128];
	bool good;

	snprintf(path, sizeof path, "%s/file", mount->path);
	good = fsx_path(path, FSX_PATH_HOLES | FSX_PATH_MAPS, o, report);
	fuse_mount_close(mount);
	return good;
}

/* With nothing cached, with names and attributes, with contents too. */
static bool by_fuse(const struct fsx_options *o, struct fsx_report *report)
{
	static const struct fuse_options all[] = {{0}, {.cache = NANOSECONDS_PER_SECOND},
		{.cache = NANOSECONDS_PER_SECOND, .keep_contents = true},
		{.cache = NANOSECONDS_PER_SECOND, .keep_contents = true, .told_contents = true}};
	struct fuse_mount mount;

	fuse_mount_open(&mount, serve_memory, NULL, &all[o->seed % ARRAY_SIZE(all)]);
	return on_mount(&mount, o, report);
}

static bool on_union_by_fuse(const struct fsx_options *o, struct fsx_report *report)
{
	static const struct fuse_options fuse = {.cache = NANOSECONDS_PER_SECOND, .keep_contents = true};
	static struct place p;
	struct fuse_mount mount;
	struct fsx_options all;
	bool good;

	place_open(&p, NATIVE_PLAIN);
	all = with_start(o, p.start);
	fuse_mount_open(&mount, serve_union, &p, &fuse);
	good = on_mount(&mount, &all, report);
	place_close(&p);
	return good;
}

static bool by_socket(const struct fsx_options *o, struct fsx_report *report)
{
	/* As volumes of sandboxes have it. */
	static const struct fuse_options fuse = {.cache = NANOSECONDS_PER_SECOND, .no_open = true};
	static const unsigned kills[] = {97, 0, 1000};
	static struct place p;
	struct fuse_mount mount;
	bool good;

	place_open(&p, NATIVE_OVERRIDE);
	fuse_mount_open_relayed(&mount, serve_native, &p, &fuse, kills[o->seed % ARRAY_SIZE(kills)]);
	good = on_mount(&mount, o, report);
	place_close(&p);
	return good;
}

const struct fsx_system fsx_systems[] = {{"memory", on_memory}, {"resumed", on_resumed},
	{"native", on_native}, {"union", on_union}, {"union of directories", on_union_of_directories},
	{"nfs", by_nfs}, {"virtiofs", by_virtiofs}, {"fuse", by_fuse},
	{"union of directories by fuse", on_union_by_fuse},
	{"socket, with servers that are killed", by_socket}, {NULL, NULL}};

void fsx_on(const char *system, uint32_t seed, unsigned operations)
{
	const struct fsx_options options = {.seed = seed, .operations = operations};
	const struct fsx_system *s = fsx_systems;
	static struct fsx_report report;

	while (s->name && strcmp(s->name, system) != 0)
		s++;
	CHECK(s->name != NULL);
	if (!s->run(&options, &report))
		test_fail(__FILE__, __LINE__, "%s: %s", s->name, report.text);
}
