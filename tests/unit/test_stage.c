/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest tells of a staged volume, beside a directory of the host and applied to it. The archives are
 * made here, honest ones and others.
 */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/tar.h"
#include "os/fs.h"
#include "sandbox/stage/marks.h"
#include "sandbox/stage/pack.h"
#include "sandbox/stage/stage.h"
#include "vfs/native/native.h"

struct place {
	char path[64];
	struct vfs *fs;
	struct buffer tar;
	struct stage_view view;
	char told[4096]; /* paths that were applied */
};

static void place_open(struct place *p)
{
	struct native_options o = {.owners = NATIVE_OVERRIDE};
	struct error err;

	*p = (struct place){0};
	umask(022);
	snprintf(p->path, sizeof p->path, "/var/tmp/monocore-stage-XXXXXX");
	CHECK(mkdtemp(p->path));
	o.directory = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(native_new(&o, &p->fs, &err));
	close(o.directory);
	p->view = (struct stage_view){.fs = p->fs, .created = UINT64_MAX};
}

static void place_close(struct place *p)
{
	struct error err;

	vfs_destroy(p->fs);
	buffer_free(&p->tar);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->path, &err));
}

/* Valid until the next call but three. */
static const char *at(const struct place *p, const char *name)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", p->path, name);
	return path;
}

static void put(const struct place *p, const char *name, const char *text)
{
	struct error err;
	int fd = open(at(p, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK_OK(fs_write_all(fd, text, strlen(text), name, &err));
	close(fd);
}

static void put_directory(const struct place *p, const char *name)
{
	CHECK(mkdir(at(p, name), 0755) == 0);
}

static char *get(const struct place *p, const char *name)
{
	struct buffer b = {0};
	struct error err;

	CHECK_OK(fs_read_file(AT_FDCWD, at(p, name), 1 << 20, &b, &err));
	return buffer_take_text(&b);
}

static bool is_there(const struct place *p, const char *name)
{
	struct stat s;

	return lstat(at(p, name), &s) == 0;
}

static uint32_t mode_of(const struct place *p, const char *name)
{
	struct stat s;

	CHECK(lstat(at(p, name), &s) == 0);
	return s.st_mode;
}

/* ---- archives ------------------------------------------------------------------------------------------ */

static void add(struct place *p, const struct tar_entry *e, const char *data)
{
	static const char zeroes[512];
	struct error err;

	CHECK_OK(tar_write_entry(&p->tar, e, &err));
	if (!data)
		return;
	buffer_append(&p->tar, data, e->size);
	buffer_append(&p->tar, zeroes, tar_padding(e->size));
}

static void add_file(struct place *p, const char *path, uint32_t mode, const char *text)
{
	const struct tar_entry e = {.type = TAR_FILE,
		.path = (char *)(uintptr_t)path,
		.mode = mode,
		.size = strlen(text),
		.mtime = 1000};

	add(p, &e, text);
}

static void add_plain(struct place *p, enum tar_type type, const char *path, uint32_t mode, const char *link)
{
	const struct tar_entry e = {
		.type = type, .path = (char *)(uintptr_t)path, .mode = mode, .link = (char *)(uintptr_t)link};

	add(p, &e, NULL);
}

static void add_removed(struct place *p, const char *path)
{
	add_plain(p, TAR_CHARACTER_DEVICE, path, 0, NULL);
}

static void add_marked(struct place *p, const char *path, const char *mark)
{
	struct tar_xattr x = {(char *)(uintptr_t)mark, (uint8_t *)(uintptr_t) "y", 1};
	const struct tar_entry e = {.type = TAR_DIRECTORY,
		.path = (char *)(uintptr_t)path,
		.mode = 0755,
		.xattrs = &x,
		.xattr_count = 1};

	add(p, &e, NULL);
}

static int diff_in(struct place *p, size_t piece, struct stage_changes *changes, struct error *err)
{
	struct stage_diff *d = NULL;
	int r = stage_diff_new(&p->view, &d, err);

	*changes = (struct stage_changes){0};
	for (size_t i = 0; r == 0 && i < p->tar.size; i += piece)
		r = stage_diff_feed(
			d, p->tar.data + i, p->tar.size - i < piece ? p->tar.size - i : piece, err);
	if (r == 0)
		r = stage_diff_finish(d, changes, err);
	stage_diff_free(d);
	return r;
}

/* "A path [mark]!" a line, "!" for conflicts. */
static char *text_of(const struct stage_changes *c)
{
	struct buffer b = {0};

	for (size_t i = 0; i < c->count; i++) {
		const struct stage_change *x = &c->list[i];

		if (!x->selected)
			continue;
		buffer_format(&b, "%c %s%s%s%s%s\n", x->kind, *x->path ? x->path : ".", x->mark ? " [" : "",
			x->mark ? x->mark : "", x->mark ? "]" : "", x->conflict ? " !" : "");
	}
	return buffer_take_text(&b);
}

static void expect_diff(struct place *p, const char *expected)
{
	static const size_t pieces[] = {1 << 20, 7};

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct stage_changes changes;
		struct error err;
		_cleanup_free_ char *text = NULL;

		CHECK_OK(diff_in(p, pieces[i], &changes, &err));
		text = text_of(&changes);
		CHECK_TEXT(text, expected);
		stage_changes_free(&changes);
	}
}

static void note(void *context, const struct stage_change *c, uint64_t changed)
{
	struct place *p = context;

	CHECK((changed == 0) == (c->kind == STAGE_DELETED));
	snprintf(
		p->told + strlen(p->told), sizeof p->told - strlen(p->told), "%s ", *c->path ? c->path : ".");
}

/* Cuts the archive after `size` bytes, as a kill would. */
static int apply_cut(struct place *p, size_t size, struct error *err)
{
	struct stage_changes changes;
	struct stage_apply *a = NULL;
	int r = diff_in(p, 1 << 20, &changes, err);

	p->told[0] = '\0';
	if (r == 0)
		r = stage_apply_new(&p->view, &changes, note, p, &a, err);
	if (r == 0)
		r = stage_apply_feed(a, p->tar.data, size < p->tar.size ? size : p->tar.size, err);
	if (r == 0 && size >= p->tar.size)
		r = stage_apply_finish(a, err);
	stage_apply_free(a);
	stage_changes_free(&changes);
	return r;
}

static int apply(struct place *p, struct error *err)
{
	return apply_cut(p, SIZE_MAX, err);
}

static void expect_applied(struct place *p)
{
	struct error err;

	CHECK_OK(apply(p, &err));
	expect_diff(p, "");
}

static void refuse(struct place *p, enum error_code code)
{
	struct stage_changes changes;
	struct error err;

	CHECK_ERROR(diff_in(p, 1 << 20, &changes, &err), code);
	stage_changes_free(&changes);
	place_close(p);
	place_open(p);
}

/* ---- what is told -------------------------------------------------------------------------------------- */

TEST(nothing_staged_is_no_change)
{
	struct place p;

	place_open(&p);
	put(&p, "file", "x");
	expect_diff(&p, "");
	CHECK(tar_write_end(&p.tar));
	expect_diff(&p, "");
	place_close(&p);
}

TEST(each_kind_of_change_is_told_and_what_is_the_same_is_not)
{
	struct place p;

	place_open(&p);
	put(&p, "changed", "before");
	put(&p, "gone", "x");
	put(&p, "mode", "x");
	put(&p, "same", "same");
	put(&p, "size", "12");
	put(&p, "type", "x");
	add_file(&p, "changed", 0644, "behind");
	add_removed(&p, "gone");
	add_removed(&p, "gone-already");
	add_file(&p, "mode", 0600, "x");
	add_plain(&p, TAR_DIRECTORY, "new", 0755, NULL);
	add_file(&p, "new/file", 0644, "x");
	add_file(&p, "same", 0644, "same");
	add_file(&p, "size", 0644, "123");
	add_plain(&p, TAR_SYMBOLIC_LINK, "type", 0777, "same");
	expect_diff(&p, "M changed\nD gone\nM mode\nA new\nA new/file\nM size\nT type\n");
	expect_applied(&p);
	CHECK(!is_there(&p, "gone") && S_ISLNK(mode_of(&p, "type")));
	CHECK_INT(mode_of(&p, "mode") & 07777, 0600);
	place_close(&p);
}

TEST(what_is_deleted_with_a_directory_is_named_file_by_file)
{
	struct place p;

	place_open(&p);
	put_directory(&p, "d");
	put_directory(&p, "d/e");
	put(&p, "d/e/f", "x");
	put(&p, "d/g", "x");
	put_directory(&p, "o");
	put_directory(&p, "o/sub");
	put(&p, "o/sub/hidden", "x");
	put(&p, "o/a", "x");
	put(&p, "o/kept", "kept");
	put(&p, "o/z", "x");
	put_directory(&p, "t");
	put(&p, "t/in", "x");
	add_removed(&p, "d");
	add_marked(&p, "o", "trusted.overlay.opaque");
	add_file(&p, "o/kept", 0644, "kept");
	add_file(&p, "o/new", 0644, "x");
	add_file(&p, "t", 0644, "now a file");
	expect_diff(&p,
		"D d\nD d/e\nD d/e/f\nD d/g\nD o/a\nA o/new\nD o/sub\nD o/sub/hidden\nD o/z\nT t\nD t/in\n");
	expect_applied(&p);
	CHECK(!is_there(&p, "d") && !is_there(&p, "o/sub") && is_there(&p, "o/kept") &&
		S_ISREG(mode_of(&p, "t")));
	place_close(&p);
}

TEST(an_archive_of_a_stranger_is_held_to_its_order)
{
	struct place p;

	place_open(&p);
	add_file(&p, "b", 0644, "x");
	add_file(&p, "a", 0644, "x");
	refuse(&p, ERROR_INVALID);
	add_file(&p, "a", 0644, "x");
	add_file(&p, "a", 0644, "x");
	refuse(&p, ERROR_INVALID);
	add_file(&p, "d/file", 0644, "x"); /* nobody told of d */
	refuse(&p, ERROR_INVALID);
	add_plain(&p, TAR_SYMBOLIC_LINK, "d", 0777, "/");
	add_file(&p, "d/file", 0644, "x");
	refuse(&p, ERROR_INVALID);
	add_plain(&p, TAR_DIRECTORY, "d", 0755, NULL);
	add_plain(&p, TAR_DIRECTORY, "e", 0755, NULL);
	add_file(&p, "d/file", 0644, "x"); /* d is over */
	refuse(&p, ERROR_INVALID);
	add_plain(&p, TAR_DIRECTORY, "d", 0755, NULL);
	add_plain(&p, TAR_DIRECTORY, ".", 0755, NULL);
	refuse(&p, ERROR_INVALID);
	place_close(&p);
}

TEST(a_name_that_leads_out_is_refused)
{
	static const char *const names[] = {"../x", "/x", "a/../../x", "a//b", "..", "./..", "a/.", "a/./b"};
	char longest[300];
	struct place p;

	place_open(&p);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		add_plain(&p, TAR_DIRECTORY, "a", 0755, NULL);
		p.tar.size = *names[i] == 'a' ? p.tar.size : 0;
		add_file(&p, names[i], 0644, "x");
		refuse(&p, ERROR_INVALID);
	}
	memset(longest, 'x', sizeof longest);
	longest[256] = '\0';
	add_file(&p, longest, 0644, "x");
	refuse(&p, ERROR_INVALID);
	longest[255] = '\0';
	add_file(&p, longest, 0644, "x");
	expect_applied(&p);
	place_close(&p);
}

TEST(a_link_to_what_is_no_file_of_the_archive_is_refused)
{
	struct place p;

	place_open(&p);
	put(&p, "secret", "x");
	add_plain(&p, TAR_HARD_LINK, "link", 0644, "secret");
	refuse(&p, ERROR_INVALID);
	add_plain(&p, TAR_SYMBOLIC_LINK, "a", 0777, "/etc/passwd");
	add_plain(&p, TAR_HARD_LINK, "b", 0644, "a");
	refuse(&p, ERROR_INVALID);
	add_plain(&p, TAR_HARD_LINK, "b", 0644, "../b");
	refuse(&p, ERROR_INVALID);
	place_close(&p);
}

TEST(files_with_several_names_have_them_on_the_host_too)
{
	struct error err;
	struct place p;
	struct stat a, b;
	char *only[] = {(char *)(uintptr_t) "b", NULL};

	place_open(&p);
	put(&p, "a", "before");
	add_file(&p, "a", 0644, "after");
	add_plain(&p, TAR_HARD_LINK, "b", 0644, "a");
	expect_diff(&p, "M a\nA b\n");
	p.view.paths = only;
	CHECK_OK(apply(&p, &err)); /* the host's */
	p.view.paths = NULL;
	expect_diff(&p, "M a\nM b\n");
	expect_applied(&p);
	CHECK(stat(at(&p, "a"), &a) == 0 && stat(at(&p, "b"), &b) == 0 && a.st_ino == b.st_ino);
	place_close(&p);
}

TEST(a_link_on_the_host_is_never_followed)
{
	struct place p, outside;
	struct error err;

	place_open(&p);
	place_open(&outside);
	put_directory(&outside, "d");
	put(&outside, "d/victim", "safe");
	CHECK(symlink(at(&outside, "d"), at(&p, "d")) == 0);
	CHECK(symlink(at(&outside, "d/victim"), at(&p, "file")) == 0);
	add_plain(&p, TAR_DIRECTORY, "d", 0755, NULL);
	add_removed(&p, "d/victim");
	add_file(&p, "file", 0644, "new");
	expect_diff(&p, "T d\nT file\n");
	expect_applied(&p);
	CHECK(S_ISDIR(mode_of(&p, "d")) && S_ISREG(mode_of(&p, "file")));
	{
		_cleanup_free_ char *text = get(&outside, "d/victim");

		CHECK_TEXT(text, "safe");
	}
	CHECK_OK(fs_remove_tree(AT_FDCWD, at(&p, "d"), &err));
	CHECK(symlink(at(&outside, "d"), at(&p, "d")) == 0);
	p.view.paths = (char *[]){(char *)(uintptr_t) "d/victim", NULL};
	CHECK_OK(apply(&p, &err));
	CHECK(is_there(&outside, "d/victim"));
	place_close(&outside);
	place_close(&p);
}

TEST(devices_and_setuid_bits_take_no_effect_here)
{
	const struct tar_entry device = {.type = TAR_BLOCK_DEVICE,
		.path = (char *)(uintptr_t) "disk",
		.mode = 0666,
		.device_major = 8};
	const struct tar_entry owned = {.type = TAR_FILE,
		.path = (char *)(uintptr_t) "su",
		.mode = 06755,
		.uid = 1000,
		.gid = 1001,
		.size = 1};
	char value[64] = "";
	struct place p;
	struct stat s;

	place_open(&p);
	add(&p, &device, NULL);
	add_plain(&p, TAR_FIFO, "fifo", 0644, NULL);
	add(&p, &owned, "x");
	expect_diff(&p, "A disk\nA fifo\nA su [executable]\n");
	expect_applied(&p);
	CHECK(S_ISREG(mode_of(&p, "disk")) && S_ISREG(mode_of(&p, "fifo")));
	CHECK(stat(at(&p, "su"), &s) == 0 && s.st_uid == geteuid() && !(s.st_mode & 07000));
	CHECK(getxattr(at(&p, "su"), "user.containers.override_stat", value, sizeof value - 1) > 0);
	CHECK_TEXT(value, "1000:1001:6755:file");
	place_close(&p);
}

TEST(attributes_are_compared_and_applied)
{
	struct tar_xattr x = {(char *)(uintptr_t) "user.note", (uint8_t *)(uintptr_t) "hi", 2};
	struct tar_entry e = {.type = TAR_FILE,
		.path = (char *)(uintptr_t) "file",
		.mode = 0644,
		.size = 1,
		.xattrs = &x,
		.xattr_count = 1};
	char value[8] = "";
	struct place p;

	place_open(&p);
	put(&p, "file", "x");
	add(&p, &e, "x");
	expect_diff(&p, "M file\n");
	expect_applied(&p);
	CHECK(getxattr(at(&p, "file"), "user.note", value, sizeof value) == 2);
	buffer_clear(&p.tar);
	add_file(&p, "file", 0644, "x"); /* it has none any more */
	expect_diff(&p, "M file\n");
	expect_applied(&p);
	CHECK(getxattr(at(&p, "file"), "user.note", value, sizeof value) < 0);
	place_close(&p);
}

/* ---- what is selected ---------------------------------------------------------------------------------- */

TEST(only_what_is_named_is_applied_and_what_is_around_it_is_made)
{
	char *only[] = {(char *)(uintptr_t) "new/deep/a", (char *)(uintptr_t) "gone", NULL};
	bool matched[3] = {false};
	struct error err;
	struct place p;

	place_open(&p);
	put(&p, "gone", "x");
	put(&p, "gone-too", "x");
	put(&p, "other", "x");
	add_removed(&p, "gone");
	add_removed(&p, "gone-too");
	add_plain(&p, TAR_DIRECTORY, "new", 0750, NULL);
	add_plain(&p, TAR_DIRECTORY, "new/deep", 0755, NULL);
	add_file(&p, "new/deep/a", 0644, "x");
	add_file(&p, "new/deep/b", 0644, "x");
	add_removed(&p, "other");
	p.view.paths = only;
	p.view.matched = matched;
	CHECK_OK(apply(&p, &err));
	CHECK(matched[0] && matched[1]);
	CHECK_TEXT(p.told, "new/deep/a gone ");
	CHECK(is_there(&p, "new/deep/a") && !is_there(&p, "new/deep/b") && !is_there(&p, "gone"));
	CHECK(is_there(&p, "gone-too") && is_there(&p, "other"));
	CHECK_INT(mode_of(&p, "new") & 07777, 0750);
	p.view.paths = NULL;
	expect_applied(&p);
	place_close(&p);
}

TEST(a_directory_with_something_that_nobody_told_of_stays)
{
	struct stage_changes changes;
	struct stage_apply *a;
	struct error err;
	struct place p;

	place_open(&p);
	put_directory(&p, "d");
	put(&p, "d/known", "x");
	add_removed(&p, "d");
	CHECK_OK(diff_in(&p, 512, &changes, &err));
	put(&p, "d/fresh", "x"); /* behind the look */
	CHECK_OK(stage_apply_new(&p.view, &changes, note, &p, &a, &err));
	CHECK_OK(stage_apply_feed(a, p.tar.data, p.tar.size, &err));
	CHECK_ERROR(stage_apply_finish(a, &err), ERROR_BUSY);
	CHECK(is_there(&p, "d/fresh") && !is_there(&p, "d/known"));
	stage_apply_free(a);
	stage_changes_free(&changes);
	place_close(&p);
}

/* ---- conflicts ----------------------------------------------------------------------------------------- */

TEST(what_the_host_has_changed_since_is_a_conflict_until_it_was_applied_from_here)
{
	struct map applied = {0};
	struct error err;
	struct place p;
	struct stat s;
	uint64_t changed;

	place_open(&p);
	p.view.created = p.view.started = 1;
	put(&p, "a", "host");
	put(&p, "gone", "host");
	add_file(&p, "a", 0644, "staged");
	add_removed(&p, "gone");
	expect_diff(&p, "M a !\nD gone !\n");
	CHECK(stat(at(&p, "a"), &s) == 0);
	changed = (uint64_t)s.st_ctim.tv_sec * 1000000000u + (uint64_t)s.st_ctim.tv_nsec;
	CHECK_OK(map_set(&applied, "a", 2, &changed, NULL, &err));
	p.view.applied = &applied;
	expect_diff(&p, "M a\nD gone !\n");
	p.view.created = changed + 1000000000u; /* all of it is older */
	p.view.applied = NULL;
	expect_diff(&p, "M a\nD gone\n");
	map_free(&applied);
	place_close(&p);
}

TEST(what_was_copied_from_the_host_and_is_not_there_any_more_is_a_conflict)
{
	struct place p;

	place_open(&p);
	add_marked(&p, "d", "trusted.overlay.origin");
	expect_diff(&p, "A d !\n");
	place_close(&p);
}

TEST(what_was_applied_and_is_no_entry_any_more_was_deleted)
{
	static const char *const paths[] = {"a", "d", "d/b", "d/c", "e", "gone", ""};
	uint64_t never = 1;
	struct map applied = {0};
	struct error err;
	struct place p;

	place_open(&p);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		CHECK_OK(map_set(&applied, paths[i], strlen(paths[i]) + 1, &never, NULL, &err));
	p.view.applied = &applied;
	put(&p, "a", "x");
	put_directory(&p, "d");
	put(&p, "d/b", "x");
	put(&p, "d/c", "x");
	put(&p, "d/host", "x");
	put(&p, "e", "x");
	put(&p, "other", "x");
	add_file(&p, "a", 0644, "x");
	add_removed(&p, "e");
	expect_diff(&p, "D d\nD d/b\nD d/c\nD d/host\nD e\n");
	expect_applied(&p);
	CHECK(is_there(&p, "a") && is_there(&p, "other") && !is_there(&p, "d") && !is_there(&p, "e"));
	map_free(&applied);
	place_close(&p);
}

/* ---- whoever is killed --------------------------------------------------------------------------------- */

TEST(wherever_it_is_stopped_each_file_is_old_or_new_and_the_same_again_does_the_rest)
{
	struct error err;
	struct place p;

	place_open(&p);
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof name, "f%d", i);
		put(&p, name, "old");
		add_file(&p, name, 0644, "a new one that is longer");
	}
	for (size_t size = 0; size < p.tar.size; size += 256) {
		CHECK_OK(apply_cut(&p, size, &err));
		for (int i = 0; i < 4; i++) {
			char name[16];
			_cleanup_free_ char *text = NULL;

			snprintf(name, sizeof name, "f%d", i);
			text = get(&p, name);
			CHECK(!strcmp(text, "old") || !strcmp(text, "a new one that is longer"));
			put(&p, name, "old");
		}
	}
	put(&p, ".monocore-apply-0123456789abcdef0123456789abcdef", "left by a kill");
	expect_applied(&p);
	CHECK(!is_there(&p, ".monocore-apply-0123456789abcdef0123456789abcdef"));
	place_close(&p);
}

/* ---- the way back -------------------------------------------------------------------------------------- */

static int collect(void *context, const void *bytes, size_t n, struct error *err)
{
	return buffer_append(context, bytes, n) ? 0 : error_no_memory(err, "collect");
}

TEST(what_the_host_has_packed_is_no_change)
{
	static const char *const paths[] = {"d", "d/file", "d/link"};
	struct error err;
	struct place p;

	place_open(&p);
	put_directory(&p, "d");
	put(&p, "d/file", "text");
	CHECK(setxattr(at(&p, "d/file"), "user.a", "b", 1, 0) == 0);
	CHECK(symlink("file", at(&p, "d/link")) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		CHECK_OK(stage_pack(p.fs, paths[i], collect, &p.tar, &err));
	CHECK_OK(stage_pack(p.fs, "nothing/there", collect, &p.tar, &err));
	expect_diff(&p, "");
	put(&p, "d/file", "other");
	expect_diff(&p, "M d/file\n");
	place_close(&p);
}

/* ---- marks --------------------------------------------------------------------------------------------- */

TEST(what_the_host_would_run_is_marked)
{
	static const char *const marked[] = {".git/hooks/pre-commit", "sub/.git/config", ".git",
		".GIT/Hooks/x", ".git/modules/a/config", "bare.git/hooks/update", ".envrc",
		"a/.vscode/tasks.json", "package.json", ".github/workflows/ci.yml", ".idea/x/y"};
	static const char *const plain[] = {"git/hooks/x", ".git/objects/ab/cd", "src/main.c", "hooks/x",
		".gitignore", "package.json/x", "envrc", ".vscode"};

	for (size_t i = 0; i < ARRAY_SIZE(marked); i++)
		if (!stage_mark_of_path(marked[i]))
			test_fail(__FILE__, __LINE__, "'%s' has no mark", marked[i]);
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (stage_mark_of_path(plain[i]))
			test_fail(__FILE__, __LINE__, "'%s' has a mark", plain[i]);
	CHECK(stage_leads_out("a", "/etc") && stage_leads_out("a", "..") &&
		stage_leads_out("d/a", "../../x"));
	CHECK(stage_leads_out("d/a", "b/../../../x"));
	CHECK(!stage_leads_out("d/a", "../x") && !stage_leads_out("a", "b/../c") &&
		!stage_leads_out("a", "./b"));
}
