/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation, and every write, sync and rename, fails once in turn: the call then returns an error,
 * leaks nothing and leaves no half-made file; without a fault it succeeds afterwards. A write that takes only
 * a part of its bytes changes nothing.
 */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/cpio.h"
#include "codec/decompress.h"
#include "codec/oci_json.h"
#include "codec/passwd.h"
#include "codec/tar.h"
#include "disk/ext4.h"
#include "fault.h"
#include "merge_make.h"
#include "oci/catalog.h"
#include "oci/image.h"
#include "oci/save.h"
#include "oci_make.h"
#include "os/fs.h"
#include "store_make.h"
#include "tar_make.h"

static size_t open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* `call` returns 0 or an error and holds nothing afterwards. `check`, where given, looks at what it left. */
struct subject {
	int (*call)(void *context, struct error *err);
	void (*check)(void *context, bool failed);
	void *context;
	bool may_succeed; /* with a fault, too: what failed was not needed */
};

static void one_turn(const struct subject *s, enum fault_kind kind, unsigned n)
{
	struct error err = {.code = ERROR_NONE};
	long blocks = fault_blocks();
	size_t files = open_files();
	int r = s->call(s->context, &err);
	bool failed = fault_happened();

	if (kind == FAULT_SHORT && r < 0)
		test_fail(__FILE__, __LINE__, "short write %u: %s", n, err.text);
	if (failed && r == 0 && !s->may_succeed && kind != FAULT_SHORT)
		test_fail(__FILE__, __LINE__, "fault %u did not show", n);
	if (r < 0 && !failed)
		test_fail(__FILE__, __LINE__, "without a fault: %s", err.text);
	if (r == -ERROR_CORRUPT)
		test_fail(__FILE__, __LINE__, "fault %u made: %s", n, err.text);
	if (r < 0 && (r != -(int)err.code || !*err.text))
		test_fail(__FILE__, __LINE__, "fault %u: %d, but the error is %d: %s", n, r, err.code,
			err.text);
	if (fault_blocks() != blocks)
		test_fail(__FILE__, __LINE__, "fault %u leaks %ld blocks: %s", n, fault_blocks() - blocks,
			err.text);
	if (open_files() != files)
		test_fail(__FILE__, __LINE__, "fault %u leaks descriptors: %s", n, err.text);
	if (s->check) {
		fault_disarm();
		s->check(s->context, r < 0);
	}
}

static void each_turn(enum fault_kind kind, struct subject s)
{
	bool happened = true;
	unsigned n;

	for (n = 1; happened; n++) {
		fault_disarm();
		fault_arm(kind, n);
		one_turn(&s, kind, n);
		happened = fault_happened();
		CHECK(n < 20000);
	}
	fault_disarm();
	printf("# %u turns\n", n - 2);
	CHECK(n > 2);
}

/* ---- cores ------------------------------------------------------------------------------------------ */

static int read_tar(void *context, struct error *err)
{
	const struct buffer *archive = context;
	struct tar_reader *reader = tar_reader_new(NULL, err);
	enum tar_event event = TAR_ENTRY;
	const uint8_t *in = archive->data;
	size_t n = archive->size;
	int r = reader ? 0 : -ERROR_NO_MEMORY;

	while (r == 0 && event != TAR_MORE)
		r = tar_reader_step(reader, &in, &n, &event, err);
	if (r == 0)
		r = tar_reader_finish(reader, err);
	tar_reader_free(reader);
	return r;
}

static void set_sparse(uint8_t *block)
{
	memcpy(block + 386,
		"00000000000\0"
		"00000000005",
		24);
	memcpy(block + 483, "00000020000", 12);
}

TEST(reading_an_archive_survives_the_loss_of_any_allocation)
{
	_cleanup_buffer_ struct buffer a = {0}, records = {0};
	char name[200] = {0};

	memset(name, 'n', sizeof name - 1);
	tar_make_header(&a, "@", sizeof name, 'L', NULL);
	tar_make_data(&a, name, sizeof name);
	tar_make_header(&a, "@", sizeof name, 'K', NULL);
	tar_make_data(&a, name, sizeof name);
	tar_make_header(&a, "l", 0, '2', NULL);
	tar_make_text_record(&records, "path", "p");
	tar_make_text_record(&records, "path", "q");
	tar_make_text_record(&records, "linkpath", "q");
	tar_make_text_record(&records, "SCHILY.xattr.user.a", "1");
	tar_make_text_record(&records, "SCHILY.xattr.user.b", "2");
	tar_make_text_record(&records, "SCHILY.xattr.user.a", "3");
	tar_make_pax(&a, 'x', &records);
	tar_make_ustar(&a, "l", 0, '1', NULL);
	tar_make_text_record(&records, "GNU.sparse.size", "9");
	tar_make_text_record(&records, "GNU.sparse.map", "0,1,3,1");
	tar_make_text_record(&records, "GNU.sparse.name", "s");
	tar_make_pax(&a, 'x', &records);
	tar_make_ustar(&a, "s", 2, '0', NULL);
	tar_make_data(&a, "12", 2);
	tar_make_header(&a, "s", 5, 'S', set_sparse);
	tar_make_data(&a, "12345", 5);
	each_turn(FAULT_MEMORY, (struct subject){.call = read_tar, .context = &a});
}

static int write_tar(void *context, struct error *err)
{
	struct tar_xattr xattr = {"user.a", (uint8_t *)"1", 1};
	char path[300] = {0};
	struct tar_entry e = {.type = TAR_SYMBOLIC_LINK, .path = path, .link = path, .xattrs = &xattr};
	_cleanup_buffer_ struct buffer out = {0};
	int r;

	(void)context;
	memset(path, 'p', sizeof path - 1);
	e.xattr_count = 1;
	r = tar_write_entry(&out, &e, err);
	if (r == 0 && !tar_write_end(&out))
		r = error_no_memory(err, "write");
	return r;
}

TEST(writing_an_archive_survives_the_loss_of_any_allocation)
{
	each_turn(FAULT_MEMORY, (struct subject){.call = write_tar});
}

static int write_cpio(void *context, struct error *err)
{
	_cleanup_buffer_ struct buffer out = {0};
	int r = cpio_write(&out, "init", S_IFREG, "1", 1, err);

	(void)context;
	return r < 0 ? r : cpio_write_end(&out, err);
}

TEST(writing_cpio_survives_the_loss_of_any_allocation)
{
	each_turn(FAULT_MEMORY, (struct subject){.call = write_cpio});
}

static int parse_json(void *context, struct error *err)
{
	static const char index[] = "{\"manifests\":[{\"mediaType\":\"a\",\"size\":1,\"digest\":\"sha256:"
				    "0123456789012345678901234567890123456789012345678901234567890123\","
				    "\"platform\":{\"os\":\"linux\"},\"annotations\":{\"a\":\"b\"}}]}";
	static const char config[] =
		"{\"os\":\"linux\",\"config\":{\"Cmd\":[\"a\",\"b\"],\"Volumes\":{\"/v\":{}},\"Labels\":{"
		"\"k\":\"v\"}},\"rootfs\":{\"diff_ids\":[]}}";
	static const char docker[] = "[{\"Config\":\"c\",\"RepoTags\":[\"t\"],\"Layers\":[\"l\"]}]";
	struct docker_images images;
	struct oci_config c;
	struct oci_index i;
	int r = oci_index_parse(index, sizeof index - 1, &i, err);

	(void)context;
	if (r == 0)
		oci_index_free(&i);
	if (r == 0)
		r = oci_config_parse(config, sizeof config - 1, &c, err);
	if (r == 0)
		oci_config_free(&c);
	if (r == 0)
		r = docker_images_parse(docker, sizeof docker - 1, &images, err);
	if (r == 0)
		docker_images_free(&images);
	return r;
}

static void *library_malloc(size_t n)
{
	return malloc(n);
}

static void library_free(void *p)
{
	free(p);
}

TEST(parsing_json_survives_the_loss_of_any_allocation_the_library_too)
{
	json_set_alloc_funcs(library_malloc, library_free);
	each_turn(FAULT_MEMORY, (struct subject){.call = parse_json});
}

static int resolve(void *context, struct error *err)
{
	static const char passwd[] = "u:x:1:2::/home/u:/bin/sh\n", group[] = "g:x:3:u\n";
	struct passwd_user u;
	int r = passwd_resolve("u", passwd, sizeof passwd - 1, group, sizeof group - 1, &u, err);

	(void)context;
	if (r == 0)
		passwd_user_free(&u);
	return r;
}

TEST(resolving_a_user_survives_the_loss_of_any_allocation)
{
	each_turn(FAULT_MEMORY, (struct subject){.call = resolve});
}

static int unpack(void *context, struct error *err)
{
	const struct buffer *packed = context;
	struct decompress *d;
	const uint8_t *in = packed->data;
	size_t n = packed->size, made;
	uint8_t out[8192];
	int r = decompress_new(NULL, &d, err);

	if (r < 0)
		return r;
	r = decompress_step(d, &in, &n, out, sizeof out, &made, err);
	if (r == 0)
		r = decompress_finish(d, err);
	decompress_free(d);
	return r;
}

TEST(decompression_survives_the_loss_of_any_allocation)
{
	for (int how = OCI_MAKE_GZIP; how <= OCI_MAKE_ZSTD; how++) {
		_cleanup_buffer_ struct buffer tar = {0}, packed = {0};

		oci_make_layer("f a 1\n", &tar);
		oci_make_compressed((enum oci_make_compression)how, &tar, &packed);
		each_turn(FAULT_MEMORY, (struct subject){.call = unpack, .context = &packed});
	}
}

/* ---- merge ------------------------------------------------------------------------------------------ */

static int merge(void *context, struct error *err)
{
	static const char *const layers[] = {"d a\nf a/b 1\nf c @200000\nh d c\ns l a\nf x\n",
		"h y a/b\nf c new\nf .wh.x\nd e\nf e/f\n", "f l/b 2\np p\nf e/.wh..wh..opq\n", NULL};
	int fd = *(int *)context;
	char *text;

	if (ftruncate(fd, 0) < 0)
		return error_errno(err, errno, "empty");
	text = merge_make(layers, 1, fd, err);
	/* What makes the text allocates as well. */
	if (err->code == ERROR_NONE && !text)
		error_no_memory(err, "text");
	if (err->code == ERROR_NONE && !text_starts(text, "d a"))
		error_set(err, ERROR_CORRUPT, "%s", text);
	free(text);
	return -(int)err->code;
}

TEST(a_merge_survives_the_loss_of_any_allocation_and_write)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct subject s = {.call = merge, .context = &fd};

	each_turn(FAULT_MEMORY, s);
	each_turn(FAULT_DISK, s);
	each_turn(FAULT_SHORT, s);
	close(fd);
}

/* ---- images in the store ---------------------------------------------------------------------------- */

struct place {
	char path[64], home[80], image[80];
	bool directory;
};

static size_t count_files(const struct place *p, const char *part)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/store/%s", p->home, part);
	DIR *d = opendir(path);
	size_t n = 0;

	for (const struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static int open_image(void *context, struct error *err)
{
	const struct place *p = context;
	struct image_options options = {.platform = "linux/amd64"};
	char reference[100];
	struct image *image = NULL;
	struct store *store;
	int r = store_open(p->home, &store, err);

	if (r < 0)
		return r;
	snprintf(reference, sizeof reference, "%s%s", p->directory ? "rootfs:" : "", p->image);
	r = image_open(store, reference, &options, &image, err);
	image_free(image);
	store_free(store);
	return r;
}

/* What is in the store is whole, and nothing else is there. Then the next turn begins with an empty one. */
static void check_store(void *context, bool failed)
{
	const struct place *p = context;
	_cleanup_free_ char *path = text_format(NULL, "%s/store/rootfs", p->home);
	int top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = top < 0 ? NULL : fdopendir(top);
	struct error err;

	CHECK(failed || count_files(p, "rootfs") == 1);
	CHECK_INT(count_files(p, "tmp"), 0);
	for (const struct dirent *e; d && (e = readdir(d));) {
		_cleanup_free_ char *text = NULL;
		_cleanup_fd_ int fd = -1;

		if (e->d_name[0] == '.')
			continue;
		fd = openat(top, e->d_name, O_RDONLY | O_CLOEXEC);
		text = merge_make_text(fd, &err);
		CHECK(text && (text_starts(text, "d a") || text_starts(text, "f f")));
	}
	if (d)
		closedir(d);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->home, &err));
}

static void place_open(struct place *p)
{
	*p = (struct place){0};
	snprintf(p->path, sizeof p->path, "/tmp/monocore-fault-XXXXXX");
	CHECK(mkdtemp(p->path));
	snprintf(p->home, sizeof p->home, "%s/home", p->path);
	snprintf(p->image, sizeof p->image, "%s/image", p->path);
	CHECK(mkdir(p->image, 0755) == 0);
}

static void place_close(struct place *p)
{
	fs_remove_tree(AT_FDCWD, p->path, NULL);
}

TEST(an_image_survives_the_loss_of_any_allocation_and_write)
{
	static const char *const layers[] = {"d a\nf a/b 1\nf c 1\nh d c\n", "f c 2\nf a/.wh.b\n", NULL};
	struct oci_make image = {.layers = layers, .compression = OCI_MAKE_GZIP};
	struct place p;
	struct subject s = {.call = open_image, .check = check_store, .context = &p, .may_succeed = true};

	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	each_turn(FAULT_MEMORY, s);
	each_turn(FAULT_DISK, s);
	each_turn(FAULT_SHORT, s);
	place_close(&p);
}

TEST(an_archive_survives_the_loss_of_any_allocation)
{
	static const char *const layers[] = {"d a\nf a/b 1\n", NULL};
	struct oci_make image = {.layers = layers};
	struct place p;
	struct subject s = {.call = open_image, .check = check_store, .context = &p, .may_succeed = true};
	char archive[100];

	place_open(&p);
	oci_make_docker(p.image, &image);
	snprintf(archive, sizeof archive, "%s/image.tar", p.path);
	oci_make_archive(p.image, archive);
	snprintf(p.image, sizeof p.image, "%.60s/image.tar", p.path);
	each_turn(FAULT_MEMORY, s);
	place_close(&p);
}

/* ---- images taken in and saved ---------------------------------------------------------------------- */

#define IMPORTED "docker.io/library/a:1"

static int import_image(void *context, struct error *err)
{
	const struct place *p = context;
	struct store *store;
	int r = store_open(p->home, &store, err);

	if (r < 0)
		return r;
	r = store_make_import(store, p->image, IMPORTED, err);
	store_free(store);
	return r;
}

/* Either the name is there with all it needs, or it is not. */
static void check_import(void *context, bool failed)
{
	const struct place *p = context;
	struct store_name n;
	struct store *store;
	struct error err;
	char text[256];
	int r;

	CHECK_OK(store_open(p->home, &store, &err));
	r = store_name_get(store, IMPORTED, &n, &err);
	CHECK(r == 0 || failed);
	if (r == 0)
		store_name_free(&n);
	if (store_make_check(store, false, text) > 0)
		test_fail(__FILE__, __LINE__, "failed: %d: %s", failed, text);
	CHECK_INT(count_files(p, "tmp"), 0);
	store_free(store);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->home, &err));
}

/* SQLite reads what it has allocated again in ways of its own, so that not each fault must show. */
static void each_import(struct place *p)
{
	struct subject s = {.call = import_image, .check = check_import, .context = p, .may_succeed = true};

	each_turn(FAULT_MEMORY, s);
	each_turn(FAULT_DISK, s);
	each_turn(FAULT_SHORT, s);
}

TEST(taking_in_a_layout_survives_the_loss_of_any_allocation_and_write)
{
	static const char *const layers[] = {"d a\nf a/b 1\n", "f c 2\n", NULL};
	struct oci_make image = {.layers = layers, .compression = OCI_MAKE_GZIP};
	struct place p;

	json_set_alloc_funcs(library_malloc, library_free);
	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	each_import(&p);
	place_close(&p);
}

TEST(taking_in_a_docker_archive_survives_the_loss_of_any_allocation_and_write)
{
	static const char *const layers[] = {"d a\nf a/b 1\n", "f c 2\n", NULL};
	struct oci_make image = {.layers = layers};
	struct place p;

	json_set_alloc_funcs(library_malloc, library_free);
	place_open(&p);
	oci_make_docker(p.image, &image);
	each_import(&p);
	place_close(&p);
}

struct saving {
	struct store *store;
	int fd;
	size_t size; /* of the whole archive */
};

static int save_image(void *context, struct error *err)
{
	const struct saving *s = context;
	const struct save_options options = {.format = SAVE_OCI};
	_cleanup_catalog_ struct catalog c = {0};
	_cleanup_match_ struct catalog_match m = {0};
	int r = ftruncate(s->fd, 0) < 0 ? error_errno(err, errno, "empty") : 0;

	lseek(s->fd, 0, SEEK_SET);
	if (r == 0)
		r = catalog_open(s->store, NULL, &c, err);
	if (r == 0)
		r = catalog_find(&c, IMPORTED, &m, err);
	return r < 0 ? r : save_images(s->store, &m, 1, &options, s->fd, err);
}

static void check_saved(void *context, bool failed)
{
	const struct saving *s = context;

	if (!failed)
		CHECK_INT(lseek(s->fd, 0, SEEK_END), s->size);
}

TEST(saving_an_image_survives_the_loss_of_any_allocation_and_write)
{
	static const char *const layers[] = {"d a\nf a/b 1\n", "f c 2\n", NULL};
	struct oci_make image = {.layers = layers, .compression = OCI_MAKE_GZIP};
	struct saving s = {.fd = memfd_create("saved", MFD_CLOEXEC)};
	struct subject subject = {
		.call = save_image, .check = check_saved, .context = &s, .may_succeed = true};
	struct place p;
	struct error err;

	json_set_alloc_funcs(library_malloc, library_free);
	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	CHECK_OK(store_open(p.home, &s.store, &err));
	CHECK_OK(store_make_import(s.store, p.image, IMPORTED, &err));
	CHECK_OK(save_image(&s, &err));
	s.size = (size_t)lseek(s.fd, 0, SEEK_END);
	each_turn(FAULT_MEMORY, subject);
	each_turn(FAULT_DISK, subject);
	each_turn(FAULT_SHORT, subject);
	store_free(s.store);
	close(s.fd);
	place_close(&p);
}

static int collect_garbage(void *context, struct error *err)
{
	struct store_garbage garbage;

	return store_collect(*(struct store **)context, NULL, false, &garbage, err);
}

static void check_collected(void *context, bool failed)
{
	(void)failed;
	CHECK_INT(store_make_check(*(struct store **)context, false, NULL), 0);
}

TEST(garbage_collection_takes_nothing_that_is_needed_whatever_allocation_is_lost)
{
	static const char *const layers[] = {"d a\nf a/b 1\n", "f c 2\n", NULL};
	struct oci_make image = {.layers = layers, .compression = OCI_MAKE_GZIP};
	struct store *store;
	struct place p;
	struct error err;

	json_set_alloc_funcs(library_malloc, library_free);
	place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	CHECK_OK(store_open(p.home, &store, &err));
	CHECK_OK(store_make_import(store, p.image, IMPORTED, &err));
	CHECK_OK(collect_garbage(&store, &err));
	each_turn(FAULT_MEMORY, (struct subject){.call = collect_garbage,
					.check = check_collected,
					.context = &store,
					.may_succeed = true});
	store_free(store);
	place_close(&p);
}

TEST(a_directory_survives_the_loss_of_any_allocation_and_write)
{
	struct place p;
	struct subject s = {.call = open_image, .check = check_store, .context = &p, .may_succeed = true};
	char path[100];
	int fd;

	place_open(&p);
	p.directory = true;
	snprintf(path, sizeof path, "%s/f", p.image);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	CHECK(write(fd, "1", 1) == 1);
	close(fd);
	usleep(50000); /* or every look at it waits for the clock of files to tick */
	each_turn(FAULT_MEMORY, s);
	each_turn(FAULT_DISK, s);
	each_turn(FAULT_SHORT, s);
	place_close(&p);
}

/* ---- files ------------------------------------------------------------------------------------------ */

static int write_atomic(void *context, struct error *err)
{
	return fs_write_atomic(*(int *)context, "file", "new", 3, 0600, err);
}

/* Old or new, and nothing beside it. */
static void check_atomic(void *context, bool failed)
{
	int directory = *(int *)context;
	_cleanup_buffer_ struct buffer b = {0};
	struct error err;
	size_t n = 0;
	DIR *d = fdopendir(dup(directory));

	rewinddir(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	CHECK_INT(n, 1);
	CHECK_OK(fs_read_file(directory, "file", 10, &b, &err));
	CHECK(b.size == 3 && (!memcmp(b.data, "new", 3) || (failed && !memcmp(b.data, "old", 3))));
	CHECK_OK(fs_write_atomic(directory, "file", "old", 3, 0600, &err));
}

TEST(a_file_replaced_as_a_whole_is_the_old_or_the_new_one)
{
	struct place p;
	struct error err;
	int directory;

	place_open(&p);
	directory = open(p.image, O_RDONLY | O_DIRECTORY);
	CHECK_OK(fs_write_atomic(directory, "file", "old", 3, 0600, &err));
	each_turn(FAULT_DISK,
		(struct subject){.call = write_atomic, .check = check_atomic, .context = &directory});
	each_turn(FAULT_SHORT,
		(struct subject){.call = write_atomic, .check = check_atomic, .context = &directory});
	each_turn(FAULT_MEMORY,
		(struct subject){.call = write_atomic, .check = check_atomic, .context = &directory});
	close(directory);
	place_close(&p);
}

static int make_ext4(void *context, struct error *err)
{
	struct ext4_options options = {.size = 16 << 20, .journal = true};
	int fd = memfd_create("disk", MFD_CLOEXEC), r = ext4_create(fd, &options, err);

	(void)context;
	close(fd);
	return r;
}

TEST(an_empty_ext4_survives_the_loss_of_any_write)
{
	each_turn(FAULT_DISK, (struct subject){.call = make_ext4});
	each_turn(FAULT_SHORT, (struct subject){.call = make_ext4});
}
