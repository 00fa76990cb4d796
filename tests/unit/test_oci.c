/* SPDX-License-Identifier: Apache-2.0 */
/* Images of every form from disk to the store; lies, damage, limits; builders that meet, fail and die. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/tar.h"
#include "merge_make.h"
#include "oci/image.h"
#include "oci/store.h"
#include "oci_make.h"
#include "os/fs.h"

CLEANUP_DEFINE(image, struct image, image_free);

/* A place on disk for one test: a home with its store, and a directory for the image. */
struct place {
	char path[64], home[80], image[80], archive[80];
	struct store *store;
};

static void place_open(struct place *p)
{
	struct error err;

	snprintf(p->path, sizeof p->path, "/tmp/monocore-oci-XXXXXX");
	CHECK(mkdtemp(p->path));
	snprintf(p->home, sizeof p->home, "%s/home", p->path);
	snprintf(p->image, sizeof p->image, "%s/image", p->path);
	snprintf(p->archive, sizeof p->archive, "%s/image.tar", p->path);
	CHECK(mkdir(p->image, 0755) == 0);
	CHECK_OK(store_open(p->home, &p->store, &err));
}

static void place_close(struct place *p)
{
	store_free(p->store);
	fs_remove_tree(AT_FDCWD, p->path, NULL);
}

static size_t count_files(const struct place *p, const char *part)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/store/%s", p->home, part);
	DIR *d = opendir(path);
	size_t n = 0;

	CHECK(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static int open_image(struct place *p, const char *reference, struct image **image, struct error *err)
{
	struct image_options options = {.platform = "linux/amd64"};

	return image_open(p->store, reference, &options, image, err);
}

static void must_hold(struct place *p, const char *reference, const char *expected)
{
	_cleanup_(cleanup_image) struct image *image = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_fd_ int fd = -1;
	struct error err;

	CHECK_OK(open_image(p, reference, &image, &err));
	CHECK_OK(image_open_root(p->store, image, "erofs", &fd, &err));
	text = merge_make_text(fd, &err);
	CHECK_TEXT(text, expected);
	CHECK_INT(count_files(p, "tmp"), 0);
}

/* The image is refused, and nothing of it stays. */
static void must_fail(struct place *p, const char *reference, enum error_code code, const char *word)
{
	struct image *image = NULL;
	struct error err = {0};
	int r = open_image(p, reference, &image, &err);

	if (r != -(int)code || !strstr(err.text, word))
		test_fail(__FILE__, __LINE__, "%s: %d: %s: expected %d and '%s'", reference, r, err.text,
			-(int)code, word);
	CHECK(!image && err.code == code);
	CHECK_INT(count_files(p, "rootfs"), 0);
	CHECK_INT(count_files(p, "tmp"), 0);
}

static const char *const two_layers[] = {"d a 0755\nf a/b 1\nf a/c 1\n", "f a/.wh.b\nf a/d 2\n", NULL};
#define TWO_LAYERS "d a 0644\nf a/c 1\nf a/d 2\n"

/* ---- forms ------------------------------------------------------------------------------------------ */

TEST(a_layout_opens_as_a_directory_and_as_a_tar_in_every_compression)
{
	for (int how = OCI_MAKE_PLAIN; how <= OCI_MAKE_ZSTD; how++) {
		struct oci_make image = {.layers = two_layers, .compression = (enum oci_make_compression)how};
		char reference[100];
		struct place p;

		place_open(&p);
		oci_make_layout(p.image, &image, NULL);
		must_hold(&p, p.image, TWO_LAYERS);
		oci_make_archive(p.image, p.archive);
		snprintf(reference, sizeof reference, "oci:%s", p.archive);
		must_hold(&p, reference, TWO_LAYERS);
		CHECK_INT(count_files(&p, "rootfs"), 1);
		place_close(&p);
	}
}

TEST(an_archive_of_docker_save_opens_with_its_config)
{
	struct oci_make image = {.layers = two_layers, .tag = "registry/name:1.2"};
	_cleanup_(cleanup_image) struct image *opened = NULL;
	_cleanup_free_ char *reference = NULL;
	struct error err;
	struct place p;

	place_open(&p);
	oci_make_docker(p.image, &image);
	oci_make_archive(p.image, p.archive);
	must_hold(&p, p.archive, TWO_LAYERS);
	reference = text_format(NULL, "docker-archive:%s:1.2", p.archive);
	must_hold(&p, reference, TWO_LAYERS);
	CHECK_OK(open_image(&p, reference, &opened, &err));
	CHECK_TEXT(opened->config.cmd[0], "/bin/sh");
	CHECK_TEXT(opened->config.user, "7");
	CHECK(text_starts(opened->digest, "sha256:") && strlen(opened->root_id) == 64);
	place_close(&p);
}

static void make_tree(const struct place *p)
{
	_cleanup_fd_ int top = open(p->image, O_RDONLY | O_DIRECTORY);
	_cleanup_fd_ int fd = -1;

	CHECK(mkdirat(top, "d", 0700) == 0 && symlinkat("../x", top, "d/s") == 0);
	fd = openat(top, "d/f", O_CREAT | O_WRONLY, 0600);
	CHECK(write(fd, "1", 1) == 1 && linkat(top, "d/f", top, "h", 0) == 0);
	close(fd);
	fd = openat(top, ".wh.plain", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && mkfifoat(top, "p", 0600) == 0);
	close(fd);
	fd = openat(top, "sparse", O_CREAT | O_WRONLY, 0600);
	CHECK(pwrite(fd, "begin", 5, 0) == 5 && pwrite(fd, "end", 3, 5000000 - 3) == 3);
}

TEST(a_directory_is_taken_as_it_is_and_anew_when_it_changed)
{
	_cleanup_free_ char *reference = NULL, *path = NULL;
	struct place p;

	place_open(&p);
	make_tree(&p);
	reference = text_format(NULL, "rootfs:%s", p.image);
	must_hold(&p, reference,
		"f .wh.plain\nd d 0700\nf d/f 1\ns d/s ../x\nh h d/f\np p\nf sparse @5000000\n");
	must_hold(&p, reference,
		"f .wh.plain\nd d 0700\nf d/f 1\ns d/s ../x\nh h d/f\np p\nf sparse @5000000\n");
	CHECK_INT(count_files(&p, "rootfs"), 1);
	path = text_format(NULL, "%s/sparse", p.image);
	CHECK(unlink(path) == 0);
	must_hold(&p, reference, "f .wh.plain\nd d 0700\nf d/f 1\ns d/s ../x\nh h d/f\np p\n");
	CHECK_INT(count_files(&p, "rootfs"), 2);
	place_close(&p);
}

/* More than is kept in memory, so that it goes through a file. */
TEST(hidden_data_of_any_size_are_kept_for_a_visible_name)
{
	_cleanup_buffer_ struct buffer oldest = {0}, expected = {0};
	const char *layers[] = {NULL, "f a 2\n", NULL};
	struct oci_make image = {.layers = layers, .compression = OCI_MAKE_ZSTD};
	_cleanup_free_ char *text = NULL, *wanted = NULL;
	struct place p;

	buffer_append_text(&oldest, "f a ");
	for (unsigned i = 0; i < 3000001; i++)
		buffer_u8(&oldest, (uint8_t)('a' + (i * 7 + i / 1000) % 26));
	buffer_append_text(&expected, "f a 2\nf b ");
	buffer_append(&expected, oldest.data + 4, oldest.size - 4);
	buffer_u8(&expected, '\n');
	buffer_append_text(&oldest, "\nf c other\nh b a\n");
	buffer_append_text(&expected, "f c other\n");
	text = buffer_take_text(&oldest);
	wanted = buffer_take_text(&expected);
	layers[0] = text;
	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	must_hold(&p, p.image, wanted);
	place_close(&p);
}

TEST(an_image_that_the_store_has_is_not_read_again)
{
	struct oci_make image = {.layers = two_layers};
	struct oci_made made;
	struct place p;
	_cleanup_free_ char *blob = NULL;

	place_open(&p);
	oci_make_layout(p.image, &image, &made);
	must_hold(&p, p.image, TWO_LAYERS);
	blob = text_format(NULL, "%s/blobs/sha256/%s", p.image, made.layers[0] + 7);
	CHECK(unlink(blob) == 0);
	must_hold(&p, p.image, TWO_LAYERS);
	place_close(&p);
}

TEST(a_tag_chooses_and_an_unknown_one_names_what_there_is)
{
	struct oci_make image = {.layers = two_layers, .tag = "3.12"};
	char reference[120];
	struct place p;

	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	snprintf(reference, sizeof reference, "oci:%s:3.13", p.image);
	must_fail(&p, reference, ERROR_NOT_FOUND, "3.12");
	snprintf(reference, sizeof reference, "oci:%s:3.12", p.image);
	must_hold(&p, reference, TWO_LAYERS);
	place_close(&p);
}

/* ---- lies ------------------------------------------------------------------------------------------- */

static void damage_blob(const struct place *p, const char *digest, off_t at)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/blobs/sha256/%s", p->image, digest + 7);
	_cleanup_fd_ int fd = open(path, O_RDWR);
	char byte;

	CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
	byte ^= 1;
	CHECK(pwrite(fd, &byte, 1, at) == 1);
}

TEST(a_blob_that_is_not_what_its_digest_says_is_refused)
{
	struct oci_make image = {.layers = two_layers};
	struct oci_made made;
	struct place p;

	place_open(&p);
	oci_make_layout(p.image, &image, &made);
	/* The header's checksum, the data of a file, the last byte. */
	for (int i = 0; i < 3; i++) {
		static const off_t at[] = {150, 1024, 2559};

		damage_blob(&p, made.layers[0], at[i]);
		must_fail(&p, p.image, ERROR_CORRUPT, "layer 1 of 2");
		damage_blob(&p, made.layers[0], at[i]);
	}
	damage_blob(&p, made.config, 3);
	must_fail(&p, p.image, ERROR_CORRUPT, "config");
	damage_blob(&p, made.config, 3);
	damage_blob(&p, made.manifest, 3);
	must_fail(&p, p.image, ERROR_CORRUPT, "manifest");
	damage_blob(&p, made.manifest, 3);
	must_hold(&p, p.image, TWO_LAYERS);
	place_close(&p);
}

static void check_refused(const struct oci_make *image, enum error_code code, const char *word)
{
	struct place p;

	place_open(&p);
	oci_make_layout(p.image, image, NULL);
	must_fail(&p, p.image, code, word);
	place_close(&p);
}

TEST(a_config_that_lies_about_the_contents_is_refused)
{
	char digest[OCI_DIGEST_SIZE] = "sha256:";

	memset(digest + 7, 'a', 64);
	digest[71] = 0;
	check_refused(
		&(struct oci_make){.layers = two_layers, .diff_id = digest}, ERROR_CORRUPT, "layer 2 of 2");
	check_refused(
		&(struct oci_make){.layers = two_layers, .wrong_size = true}, ERROR_CORRUPT, "layer 2 of 2");
}

TEST(a_layer_that_was_cut_before_it_got_its_digest_is_refused)
{
	for (int how = OCI_MAKE_PLAIN; how <= OCI_MAKE_ZSTD; how++)
		for (size_t cut = 1; cut < 20; cut += 9) {
			struct oci_make image = {.layers = two_layers,
				.compression = (enum oci_make_compression)how,
				.cut = cut};

			check_refused(&image, how == OCI_MAKE_PLAIN ? ERROR_CORRUPT : ERROR_INVALID,
				"layer 2 of 2");
		}
}

TEST(an_image_for_another_machine_is_refused)
{
	check_refused(&(struct oci_make){.layers = two_layers, .architecture = "arm64"}, ERROR_UNAVAILABLE,
		"linux/arm64");
}

TEST(layers_that_make_no_sense_are_refused_by_name)
{
	static const char *const up[] = {"f a\n", "f ../b\n", NULL};
	static const char *const dangling[] = {"f a\n", "h b c\n", NULL};

	check_refused(&(struct oci_make){.layers = up}, ERROR_INVALID, "layer 2 of 2");
	check_refused(&(struct oci_make){.layers = dangling}, ERROR_INVALID, "names c");
}

/* ---- archives --------------------------------------------------------------------------------------- */

static void write_archive(const struct place *p, const struct buffer *b)
{
	_cleanup_fd_ int fd = open(p->archive, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	struct error err;

	CHECK(fd >= 0 && !b->failed);
	CHECK_OK(fs_write_all(fd, b->data, b->size, p->archive, &err));
}

TEST(an_archive_cut_anywhere_is_an_error)
{
	struct oci_make image = {.layers = two_layers};
	_cleanup_buffer_ struct buffer whole = {0};
	struct error err;
	struct place p;

	place_open(&p);
	oci_make_docker(p.image, &image);
	oci_make_archive(p.image, p.archive);
	CHECK_OK(fs_read_file(AT_FDCWD, p.archive, 1 << 20, &whole, &err));
	for (size_t n = 0; n + 1024 + 512 < whole.size; n += 509) {
		struct image *opened = NULL;
		struct buffer cut = {.data = whole.data, .size = n};

		write_archive(&p, &cut);
		CHECK(open_image(&p, p.archive, &opened, &err) < 0);
		CHECK_INT(count_files(&p, "rootfs") + count_files(&p, "tmp"), 0);
	}
	place_close(&p);
}

TEST(a_member_that_claims_exabytes_takes_no_time)
{
	struct tar_entry e = {.type = TAR_FILE, .path = "manifest.json", .size = INT64_MAX};
	_cleanup_buffer_ struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	CHECK_OK(tar_write_entry(&tar, &e, &err));
	write_archive(&p, &tar);
	must_fail(&p, p.archive, ERROR_INVALID, "cut");
	place_close(&p);
}

TEST(a_compressed_archive_is_refused_with_advice)
{
	_cleanup_buffer_ struct buffer tar = {0}, packed = {0};
	struct place p;

	place_open(&p);
	oci_make_layer("f a\n", &tar);
	oci_make_compressed(OCI_MAKE_GZIP, &tar, &packed);
	write_archive(&p, &packed);
	must_fail(&p, p.archive, ERROR_UNAVAILABLE, "uncompress");
	place_close(&p);
}

TEST(links_between_members_in_a_circle_are_not_found)
{
	_cleanup_buffer_ struct buffer tar = {0};
	struct place p;

	place_open(&p);
	oci_make_layer("s manifest.json a\ns a b\ns b a\n", &tar);
	write_archive(&p, &tar);
	must_fail(&p, p.archive, ERROR_INVALID, "not an image");
	place_close(&p);
}

/* ---- limits ----------------------------------------------------------------------------------------- */

static void check_limit(struct image_limits limits, const char *word)
{
	static const char *const layers[] = {"f a\nf b\nf c\nf d 12345678901234567890\n", "f x\n", NULL};
	struct oci_make image = {.layers = layers, .compression = OCI_MAKE_GZIP};
	struct image_options options = {.platform = "linux/amd64", .limits = limits};
	struct image *opened = NULL;
	struct error err;
	struct place p;

	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	CHECK_ERROR(image_open(p.store, p.image, &options, &opened, &err), ERROR_LIMIT);
	CHECK(strstr(err.text, word));
	CHECK_INT(count_files(&p, "rootfs") + count_files(&p, "tmp"), 0);
	place_close(&p);
}

TEST(an_image_over_a_limit_is_refused_and_the_limit_named)
{
	check_limit((struct image_limits){.layers = 1}, "layers");
	check_limit((struct image_limits){.entries = 6}, "entries");
	check_limit((struct image_limits){.root_bytes = 4096}, "root_bytes");
	check_limit((struct image_limits){.layer_bytes = 2048}, "layer_bytes");
}

/* ---- the store -------------------------------------------------------------------------------------- */

struct work {
	const char *counter; /* a file that gets a byte for each call */
	unsigned sleep;      /* microseconds */
	int ready;           /* told when it is in the middle */
	bool die, fail;
};

static const char *const one_layer[] = {"f a 1\n", NULL};

static int work(void *context, int fd, int directory, struct error *err)
{
	const struct work *w = context;
	_cleanup_fd_ int counter = open(w->counter, O_WRONLY | O_APPEND | O_CREAT, 0600);
	_cleanup_free_ char *text = NULL;

	(void)directory;
	if (write(counter, "x", 1) != 1 || write(fd, "half", 4) != 4)
		return error_set(err, ERROR_SYSTEM, "write");
	if (w->ready && write(w->ready, "x", 1) != 1)
		return error_set(err, ERROR_SYSTEM, "write");
	usleep(w->sleep);
	if (w->die)
		kill(getpid(), SIGKILL);
	if (w->fail)
		return error_set(err, ERROR_INVALID, "as told");
	text = merge_make(one_layer, 1, fd, err);
	return text && text_starts(text, "f a") ? 0 : -ERROR_SYSTEM;
}

/* A process that makes the root file system "id"; its exit status is 0 where it has it. */
static pid_t start_work(const struct place *p, struct work w)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct store *store;
		struct error err;
		uint64_t size;
		int fd;

		if (store_open(p->home, &store, &err) < 0)
			_exit(2);
		_exit(store_make(store, "id", "erofs", work, &w, NULL, &fd, &size, &err) < 0);
	}
	CHECK(pid > 0);
	return pid;
}

static int wait_work(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(processes_that_want_the_same_build_it_once)
{
	struct place p;
	struct stat s;
	pid_t pids[6];
	char counter[80];
	uint64_t size;
	struct error err;
	int fd;

	place_open(&p);
	snprintf(counter, sizeof counter, "%s/counter", p.path);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = start_work(&p, (struct work){.counter = counter, .sleep = 50000});
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		CHECK_INT(wait_work(pids[i]), 0);
	CHECK(stat(counter, &s) == 0);
	CHECK_INT(s.st_size, 1);
	CHECK_OK(store_find(p.store, "id", "erofs", &fd, &size, &err));
	close(fd);
	CHECK_INT(count_files(&p, "rootfs"), 1);
	CHECK_INT(count_files(&p, "tmp"), 0);
	place_close(&p);
}

TEST(a_builder_that_is_killed_leaves_nothing_that_is_not_swept)
{
	struct place p;
	char counter[80], byte;
	pid_t killed, next;
	struct store *other;
	struct error err;
	int pipes[2];

	place_open(&p);
	snprintf(counter, sizeof counter, "%s/counter", p.path);
	CHECK(pipe(pipes) == 0);
	killed = start_work(
		&p, (struct work){.counter = counter, .sleep = 100000, .ready = pipes[1], .die = true});
	CHECK(read(pipes[0], &byte, 1) == 1);
	/* Waits for the first, then makes it itself. */
	next = start_work(&p, (struct work){.counter = counter});
	CHECK_INT(wait_work(killed), -SIGKILL);
	CHECK_INT(wait_work(next), 0);
	CHECK_INT(count_files(&p, "rootfs"), 1);
	fs_remove_tree(AT_FDCWD, p.home, NULL);
	killed = start_work(&p, (struct work){.counter = counter, .die = true});
	CHECK_INT(wait_work(killed), -SIGKILL);
	CHECK_INT(count_files(&p, "tmp"), 1);
	CHECK_OK(store_open(p.home, &other, &err));
	CHECK_INT(count_files(&p, "tmp"), 0);
	CHECK_INT(count_files(&p, "rootfs"), 0);
	store_free(other);
	close(pipes[0]);
	close(pipes[1]);
	place_close(&p);
}

TEST(what_a_living_builder_makes_is_not_swept)
{
	struct place p;
	char counter[80], byte;
	struct store *other;
	struct error err;
	int pipes[2];
	pid_t pid;

	place_open(&p);
	snprintf(counter, sizeof counter, "%s/counter", p.path);
	CHECK(pipe(pipes) == 0);
	pid = start_work(&p, (struct work){.counter = counter, .sleep = 100000, .ready = pipes[1]});
	CHECK(read(pipes[0], &byte, 1) == 1);
	CHECK_OK(store_open(p.home, &other, &err));
	CHECK_INT(count_files(&p, "tmp"), 1);
	CHECK_INT(wait_work(pid), 0);
	CHECK_INT(count_files(&p, "rootfs"), 1);
	store_free(other);
	close(pipes[0]);
	close(pipes[1]);
	place_close(&p);
}

TEST(a_build_that_fails_leaves_nothing_and_can_be_done_again)
{
	struct place p;
	char counter[80];

	place_open(&p);
	snprintf(counter, sizeof counter, "%s/counter", p.path);
	CHECK_INT(wait_work(start_work(&p, (struct work){.counter = counter, .fail = true})), 1);
	CHECK_INT(count_files(&p, "rootfs") + count_files(&p, "tmp"), 0);
	CHECK_INT(wait_work(start_work(&p, (struct work){.counter = counter})), 0);
	CHECK_INT(count_files(&p, "rootfs"), 1);
	place_close(&p);
}

TEST(a_damaged_root_file_system_is_made_anew)
{
	struct oci_make image = {.layers = two_layers};
	_cleanup_(cleanup_image) struct image *opened = NULL;
	_cleanup_free_ char *path = NULL;
	struct error err;
	struct place p;

	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	CHECK_OK(open_image(&p, p.image, &opened, &err));
	path = text_format(NULL, "%s/store/rootfs/%s.img", p.home, opened->root_id);
	CHECK(chmod(path, 0600) == 0 && truncate(path, 4096) == 0);
	must_hold(&p, p.image, TWO_LAYERS);
	place_close(&p);
}

TEST(a_root_file_system_in_use_is_locked_and_read_only)
{
	struct oci_make image = {.layers = two_layers};
	_cleanup_(cleanup_image) struct image *opened = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_fd_ int fd = -1;
	struct stat s;
	struct error err;
	struct place p;

	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	CHECK_OK(open_image(&p, p.image, &opened, &err));
	path = text_format(NULL, "%s/store/rootfs/%s.img", p.home, opened->root_id);
	CHECK(stat(path, &s) == 0);
	CHECK_INT(s.st_mode & 0777, 0400);
	CHECK(opened->root_size == (uint64_t)s.st_size);
	CHECK_OK(image_open_root(p.store, opened, "erofs", &fd, &err));
	{
		_cleanup_fd_ int other = open(path, O_RDONLY | O_CLOEXEC);

		CHECK(flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	}
	place_close(&p);
}

TEST(the_other_form_of_a_root_file_system_is_made_when_it_is_asked_for_and_kept)
{
	struct oci_make image = {.layers = two_layers};
	_cleanup_(cleanup_image) struct image *opened = NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_fd_ int first = -1, second = -1, third = -1;
	struct stat a, b, c;
	struct error err;
	struct place p;

	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	CHECK_OK(open_image(&p, p.image, &opened, &err));
	CHECK_INT(count_files(&p, "rootfs"), 1);
	CHECK_OK(image_open_root(p.store, opened, "ext4", &first, &err));
	CHECK_OK(image_open_root(p.store, opened, "ext4", &second, &err));
	CHECK(fstat(first, &a) == 0 && fstat(second, &b) == 0);
	CHECK(a.st_ino == b.st_ino && (a.st_mode & 0777) == 0400);
	CHECK_INT(count_files(&p, "rootfs"), 2);
	CHECK_INT(count_files(&p, "tmp"), 0);
	path = text_format(NULL, "%s/store/rootfs/%s.ext4", p.home, opened->root_id);
	CHECK(chmod(path, 0600) == 0 && truncate(path, 4096) == 0);
	CHECK_OK(image_open_root(p.store, opened, "ext4", &third, &err));
	CHECK(fstat(third, &c) == 0);
	CHECK(c.st_size == b.st_size && c.st_ino != a.st_ino);
	{
		_cleanup_fd_ int other = open(path, O_RDONLY | O_CLOEXEC);

		CHECK(flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	}
	must_hold(&p, p.image, TWO_LAYERS);
	place_close(&p);
}

TEST(a_root_file_system_that_is_not_there_has_no_other_form)
{
	struct image image = {.root_id = "0000000000000000000000000000000000000000000000000000000000000000"};
	struct error err;
	struct place p;
	int fd;

	place_open(&p);
	CHECK_ERROR(image_open_root(p.store, &image, "ext4", &fd, &err), ERROR_NOT_FOUND);
	CHECK_INT(count_files(&p, "rootfs") + count_files(&p, "tmp"), 0);
	place_close(&p);
}
