/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of the NFS server: in pieces, and from memory for as long as that holds. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "nfs3_peer.h"
#include "os/fs.h"
#include "test.h"
#include "vfs/native/native.h"
#include "vfs/nfs3/parts.h"

/* ---- in pieces ---------------------------------------------------------------------------------------- */

/* The handle of an entry leads to it. What p->reply holds is still being read. */
static void check_entry(struct peer *p, const struct nfs3_entry *e)
{
	struct buffer kept = p->reply;

	p->reply = (struct buffer){0};
	CHECK_INT(attributes_of(p, e->handle).fileid, e->fileid);
	buffer_free(&p->reply);
	p->reply = kept;
}

/* Lists all in pieces of `most` bytes; *calls counts them. seen[i]: how often the file named i came. */
static size_t list_all(struct peer *p, struct nfs3_handle directory, uint32_t procedure, uint32_t most,
	unsigned *seen, size_t *calls)
{
	struct nfs3_arguments a = {.object = directory, .most = most, .directory_count = most};
	bool plus = procedure == NFS3_READDIRPLUS;
	struct nfs3_results r;
	struct nfs3_entry e;
	size_t count = 0;

	for (*calls = 0;; ++*calls) {
		struct xdr x;

		r = call(p, procedure, &a);
		CHECK_INT(r.status, NFS3_OK);
		CHECK(p->reply.size <= most + 100);
		/* The list ends with the word that says there is no more. */
		x = xdr_reader(r.entries.data, (size_t)r.entries.size + 4);
		for (; nfs3_code_entry(&x, plus, &e); count++) {
			unsigned number = 0;

			a.cookie = e.cookie;
			if (e.name.data[0] == '.')
				continue;
			for (uint32_t i = 0; i < e.name.size; i++)
				number = number * 10 + e.name.data[i] - '0';
			seen[number]++;
			CHECK(!plus || (e.attributes.there && e.has_handle));
			if (plus && number % 100 == 0)
				check_entry(p, &e);
		}
		if (r.end)
			return count;
	}
}

TEST(large_directories_are_listed_in_pieces)
{
	_cleanup_peer_ struct peer p;
	unsigned seen[1000];
	struct nfs3_handle d;
	size_t calls;

	peer_open(&p, &fixed);
	d = make_directory(&p, p.root, "d", 0755);
	for (unsigned i = 0; i < 1000; i++) {
		char name[8];

		snprintf(name, sizeof name, "%u", i);
		create_file(&p, d, name, 0644);
	}
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t procedure = i % 2 ? NFS3_READDIRPLUS : NFS3_READDIR, most = i < 2 ? 4096 : 1 << 20;

		memset(seen, 0, sizeof seen);
		CHECK_INT(list_all(&p, d, procedure, most, seen, &calls), 1002);
		CHECK(i < 2 ? calls > 5 : calls == 0);
		for (size_t n = 0; n < 1000; n++)
			CHECK_INT(seen[n], 1);
	}
}

TEST(a_list_that_holds_no_entry_is_too_small)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_arguments a = {.most = 100, .directory_count = 100};

	peer_open(&p, &fixed);
	a.object = p.root;
	CHECK_INT(call(&p, NFS3_READDIR, &a).status, NFS3ERR_TOOSMALL);
	CHECK_INT(call(&p, NFS3_READDIRPLUS, &a).status, NFS3ERR_TOOSMALL);
	a.cookie = INT64_MAX; /* behind the last entry; not even the end of the list fits */
	CHECK_INT(call(&p, NFS3_READDIR, &a).status, NFS3ERR_TOOSMALL);
	a.most = 200;
	CHECK_INT(call(&p, NFS3_READDIR, &a).status, NFS3_OK);
	a.cookie = 0;
	a.object = create_file(&p, p.root, "f", 0644);
	CHECK_INT(call(&p, NFS3_READDIR, &a).status, NFS3ERR_NOTDIR);
}

/* ---- from memory -------------------------------------------------------------------------------------- */

#define WHILE  (5 * NANOSECONDS_PER_SECOND) /* less than what is kept lives by itself */
#define KEPT   (16u << 20)
#define COUNTS 64

/* A file system that counts how often it is asked to list. */
static struct vfs_operations counted;
static const struct vfs_operations *original;
static unsigned asked;

static int count_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	asked++;
	return original->readdir(fs, ino, handle, cookie, attributes, take, context);
}

static void count_listings(struct vfs *fs)
{
	original = fs->operations;
	counted = *original;
	counted.readdir = count_readdir;
	fs->operations = &counted;
	asked = 0;
}

/* A directory of this host. */
struct host {
	char path[32];
	int directory;
	struct peer peer;
};

static void host_open(struct host *h)
{
	struct native_options options = {.owners = NATIVE_PLAIN};
	struct error err;
	struct vfs *fs;

	strcpy(h->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(h->path));
	h->directory = options.directory = open(h->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(native_new(&options, &fs, &err));
	count_listings(fs);
	peer_open_over(&h->peer, fs, &users);
	be(&h->peer, geteuid(), getegid());
}

static void host_close(struct host *h)
{
	struct error err;

	peer_close(&h->peer);
	close(h->directory);
	CHECK_OK(fs_remove_tree(AT_FDCWD, h->path, &err));
}
#define _cleanup_host_ __attribute__((cleanup(host_close)))

struct listed {
	size_t count; /* but "." and ".." */
	bool true_to_life;
};

/* All in one piece; whether each entry's attributes are what GETATTR says, but the time of access. */
static struct listed list_plus(struct peer *p, struct nfs3_handle directory)
{
	struct nfs3_arguments a = {.object = directory, .most = 1 << 20, .directory_count = 1 << 20};
	struct listed listed = {.true_to_life = true};
	struct nfs3_results r = call(p, NFS3_READDIRPLUS, &a);
	struct buffer kept = p->reply;
	struct nfs3_entry e;
	struct xdr x;

	CHECK_INT(r.status, NFS3_OK);
	CHECK(r.end);
	p->reply = (struct buffer){0};
	x = xdr_reader(r.entries.data, (size_t)r.entries.size + 4);
	while (nfs3_code_entry(&x, true, &e)) {
		struct nfs3_arguments get = {.object = e.handle};
		struct nfs3_results now;

		if (e.name.data[0] == '.')
			continue;
		listed.count++;
		now = call(p, NFS3_GETATTR, &get);
		now.object.a.atime = e.attributes.a.atime;
		if (now.status != NFS3_OK || memcmp(&now.object.a, &e.attributes.a, sizeof now.object.a) != 0)
			listed.true_to_life = false;
	}
	buffer_free(&kept);
	return listed;
}

static void check_listed(struct peer *p, struct nfs3_handle directory, size_t count)
{
	struct listed listed = list_plus(p, directory);

	CHECK_INT(listed.count, count);
	CHECK(listed.true_to_life);
}

/* Until it is so by the file system's word, not since the answer grew old. */
static void await_listed(struct peer *p, struct nfs3_handle directory, size_t count)
{
	uint64_t deadline = clock_monotonic() + WHILE;
	struct listed listed;

	while (listed = list_plus(p, directory), listed.count != count || !listed.true_to_life) {
		CHECK(clock_monotonic() < deadline);
		poll(NULL, 0, 10);
	}
}

/* From now on it comes from memory. */
static void check_kept(struct peer *p, struct nfs3_handle directory, size_t count)
{
	unsigned before;

	check_listed(p, directory, count);
	before = asked;
	check_listed(p, directory, count);
	CHECK_INT(asked, before);
}

TEST(a_listing_that_still_holds_is_not_asked_for_again)
{
	_cleanup_host_ struct host h;
	struct nfs3_arguments a = {.most = 4096};
	struct nfs3_handle d, f;
	unsigned before;

	host_open(&h);
	d = make_directory(&h.peer, h.peer.root, "d", 0755);
	f = create_file(&h.peer, d, "f", 0644);
	check_kept(&h.peer, d, 1);
	check_kept(&h.peer, h.peer.root, 1);
	/* Nobody has changed it. */
	CHECK_INT(try_read(&h.peer, f, 0, 10).status, NFS3_OK);
	before = asked;
	check_listed(&h.peer, d, 1);
	CHECK_INT(asked, before);
	/* Names alone are kept for themselves. */
	a.object = d;
	CHECK_INT(call(&h.peer, NFS3_READDIR, &a).status, NFS3_OK);
	CHECK_INT(call(&h.peer, NFS3_READDIR, &a).status, NFS3_OK);
	CHECK_INT(asked, before + 1);
}

TEST(what_a_client_changes_shows_in_the_next_listing)
{
	_cleanup_host_ struct host h;
	struct peer *p = &h.peer;
	struct nfs3_handle d, e, f, g;
	struct nfs3_arguments a = {.to_name = text("moved")};

	host_open(&h);
	d = make_directory(p, p->root, "d", 0755);
	check_kept(p, d, 0);
	f = create_file(p, d, "f", 0644);
	check_kept(p, d, 1);
	CHECK_INT(try_write(p, f, 0, "text", NFS3_UNSTABLE).status, NFS3_OK);
	check_kept(p, d, 1);
	CHECK_INT(try_set(p, f, (struct nfs3_set){.set_mode = true, .mode = 0600}).status, NFS3_OK);
	check_kept(p, d, 1);
	CHECK_INT(try_set(p, f, (struct nfs3_set){.set_size = true, .size = 1}).status, NFS3_OK);
	check_kept(p, d, 1);
	e = make_directory(p, d, "e", 0755);
	check_kept(p, d, 2);
	g = create_file(p, e, "g", 0644); /* changes e, which d lists */
	check_kept(p, d, 2);
	check_kept(p, e, 1);
	a.object = d;
	a.name = text("f");
	a.to = e;
	CHECK_INT(call(p, NFS3_RENAME, &a).status, NFS3_OK);
	check_kept(p, d, 1);
	check_kept(p, e, 2);
	a.object = e;
	a.name = text("g");
	CHECK_INT(call(p, NFS3_RENAME, &a).status, NFS3_OK); /* over the other */
	CHECK_INT(at(p, NFS3_GETATTR, f).status, NFS3ERR_STALE);
	check_kept(p, e, 1);
	CHECK_INT(try_write(p, g, 0, "more", NFS3_UNSTABLE).status, NFS3_OK);
	check_kept(p, e, 1);
	CHECK_INT(named(p, NFS3_REMOVE, e, "moved").status, NFS3_OK);
	check_kept(p, e, 0);
	check_kept(p, d, 1);
	CHECK_INT(named(p, NFS3_RMDIR, d, "e").status, NFS3_OK);
	check_kept(p, d, 0);
}

/* What is written by one of its names changes it in all directories. */
TEST(a_file_with_several_names_is_listed_as_it_is)
{
	_cleanup_host_ struct host h;
	struct peer *p = &h.peer;
	struct nfs3_handle d, f;
	struct nfs3_arguments a = {.to_name = text("other")};
	unsigned before;

	host_open(&h);
	d = make_directory(p, p->root, "d", 0755);
	f = create_file(p, d, "f", 0644);
	check_kept(p, d, 1);
	a.object = f;
	a.to = p->root;
	CHECK_INT(call(p, NFS3_LINK, &a).status, NFS3_OK);
	check_listed(p, d, 1);
	before = asked;
	check_listed(p, d, 1);
	CHECK_INT(asked, before + 1);
	CHECK_INT(named(p, NFS3_REMOVE, p->root, "other").status, NFS3_OK);
	check_kept(p, d, 1);
	CHECK_INT(try_write(p, f, 0, "text", NFS3_UNSTABLE).status, NFS3_OK);
	check_kept(p, d, 1);
}

/* In another process. */
#define ELSEWHERE(h, statement) \
	do { \
		int status_; \
		pid_t pid_ = fork(); \
		if (pid_ == 0) \
			_exit(fchdir((h)->directory) == 0 && (statement) ? 0 : 1); \
		CHECK(pid_ > 0 && waitpid(pid_, &status_, 0) == pid_ && status_ == 0); \
	} while (0)

static bool put(const char *name, const char *bytes)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	bool good = fd >= 0 && write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes);

	close(fd);
	return good;
}

TEST(what_others_change_shows_in_listings_soon)
{
	_cleanup_host_ struct host h;
	struct peer *p = &h.peer;
	struct nfs3_handle d;

	host_open(&h);
	d = make_directory(p, p->root, "d", 0755);
	check_kept(p, d, 0);
	ELSEWHERE(&h, put("d/f", "one") && mkdir("d/e", 0755) == 0);
	await_listed(p, d, 2);
	check_kept(p, d, 2);
	ELSEWHERE(&h, put("d/f", "two"));
	await_listed(p, d, 2);
	ELSEWHERE(&h, chmod("d/f", 0600) == 0);
	await_listed(p, d, 2);
	ELSEWHERE(&h, chmod("d/e", 0700) == 0);
	await_listed(p, d, 2);
	ELSEWHERE(&h, put("d/e/g", "deep"));
	await_listed(p, d, 2);
	ELSEWHERE(&h, rename("d/f", "f") == 0);
	await_listed(p, d, 1);
	await_listed(p, p->root, 2);
	ELSEWHERE(&h, unlink("f") == 0);
	await_listed(p, p->root, 1);
}

TEST(who_may_not_search_a_directory_gets_no_attributes_that_others_got)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_arguments a = {.most = 4096, .directory_count = 4096};
	struct nfs3_results r;
	struct nfs3_entry e;
	struct xdr x;

	peer_open(&p, &users);
	a.object = make_directory(&p, p.root, "d", 0744);
	create_file(&p, a.object, "f", 0644);
	for (int i = 0; i < 4; i++) {
		be(&p, i % 2 ? 1000 : 0, i % 2 ? 1000 : 0);
		r = call(&p, NFS3_READDIRPLUS, &a);
		CHECK_INT(r.status, NFS3_OK);
		x = xdr_reader(r.entries.data, (size_t)r.entries.size + 4);
		while (nfs3_code_entry(&x, true, &e))
			CHECK_INT(e.has_handle, e.name.data[0] != '.' && i % 2 == 0);
	}
	be(&p, 0, 0);
	CHECK_INT(try_set(&p, a.object, (struct nfs3_set){.set_mode = true, .mode = 0711}).status, NFS3_OK);
	be(&p, 1000, 1000);
	CHECK_INT(call(&p, NFS3_READDIRPLUS, &a).status, NFS3ERR_ACCES);
}

TEST(what_is_kept_of_listings_is_bounded)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_arguments a = {.directory_count = 1 << 20};

	peer_open(&p, &fixed);
	a.object = make_directory(&p, p.root, "d", 0755);
	for (unsigned i = 0; i < 1000; i++) {
		char name[300];

		memset(name, 'n', sizeof name);
		snprintf(name + 200, sizeof name - 200, "%u", i);
		create_file(&p, a.object, name, 0644);
	}
	/* Each page is another one. */
	for (unsigned i = 0; i < COUNTS; i++) {
		a.most = (1 << 20) - 4 * i;
		CHECK_INT(call(&p, NFS3_READDIRPLUS, &a).status, NFS3_OK);
	}
	CHECK(p.server->pages.bytes > KEPT / 2 && p.server->pages.bytes <= KEPT);
}
