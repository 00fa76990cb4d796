/* SPDX-License-Identifier: Apache-2.0 */
/* Images into the store and out of it. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "catalog_make.h"
#include "oci/load.h"
#include "oci/save.h"
#include "os/fs.h"
#include "test.h"

#define MEDIA    "application/vnd.oci.image."
#define MANIFEST MEDIA "manifest.v1+json"
#define INDEX    MEDIA "index.v1+json"

/* ---- load ------------------------------------------------------------------------------------------- */

static int load_fd(const struct store_place *p, int fd, const char *name, char ***names, struct error *err)
{
	struct load_options o = {.name = name};
	_cleanup_ingest_ struct store_ingest spool = {.fd = -1};
	_cleanup_blobs_ struct blobs b = {.fd = -1};
	int r = load_open(p->store, fd, "FILE", &o, &spool, &b, err);

	*names = NULL;
	return r < 0 ? r : load_images(p->store, &b, &o, names, err);
}

static int load_path(
	const struct store_place *p, const char *path, const char *name, char ***names, struct error *err)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	return load_fd(p, fd, name, names, err);
}

TEST(a_docker_archive_gets_a_manifest_that_is_always_the_same)
{
	struct oci_make image = {.layers = store_place_layers, .tag = "x/y:2"};
	_cleanup_text_list_ char **names = NULL, **again = NULL;
	struct store_name n, m;
	struct store_place p;
	struct error err;
	char archive[100];

	store_place_open(&p);
	oci_make_docker(p.image, &image);
	snprintf(archive, sizeof archive, "%s.tar", p.image);
	oci_make_archive(p.image, archive);
	CHECK_OK(load_path(&p, archive, NULL, &names, &err));
	CHECK_INT(text_list_size(names), 1);
	CHECK_TEXT(names[0], "docker.io/x/y:2");
	CHECK_OK(load_path(&p, p.image, "quay.io/z:3", &again, &err));
	CHECK_TEXT(again[0], "quay.io/z:3");
	CHECK_OK(store_name_get(p.store, names[0], &n, &err));
	CHECK_OK(store_name_get(p.store, again[0], &m, &err));
	CHECK_TEXT(n.digest, m.digest);
	CHECK_TEXT(n.media_type, MANIFEST);
	CHECK_INT(store_make_check(p.store, false, NULL), 0);
	store_name_free(&n);
	store_name_free(&m);
	store_place_close(&p);
}

TEST(an_archive_that_is_damaged_anywhere_sets_no_name)
{
	struct oci_make image = {.layers = store_place_layers, .tag = "x/y:2"};
	_cleanup_free_ char *layer = NULL;
	struct oci_made made;
	struct store_name *list;
	struct store_place p;
	struct error err;
	char **names;
	size_t count;

	store_place_open(&p);
	oci_make_layout(p.image, &image, &made);
	layer = text_format(NULL, "%s/blobs/sha256/%s", p.image, made.layers[1] + 7);
	CHECK(truncate(layer, 100) == 0);
	CHECK_ERROR(load_path(&p, p.image, NULL, &names, &err), ERROR_INVALID);
	CHECK(truncate(layer, 2048) == 0); /* the size that it had, filled up with zeroes */
	CHECK_ERROR(load_path(&p, p.image, NULL, &names, &err), ERROR_CORRUPT);
	CHECK(strstr(err.text, "layer 2 of 2"));
	CHECK(unlink(layer) == 0);
	CHECK_ERROR(load_path(&p, p.image, NULL, &names, &err), ERROR_NOT_FOUND);
	CHECK_OK(store_name_list(p.store, &list, &count, &err));
	CHECK_INT(count, 0);
	store_name_list_free(list, count);
	CHECK_INT(store_place_count(&p, "tmp"), 0);
	CHECK_INT(store_make_check(p.store, false, NULL), 0);
	store_place_close(&p);
}

TEST(an_archive_without_a_name_asks_for_one_and_one_with_several_images_takes_none)
{
	struct oci_make image = {.layers = store_place_layers, .tag = "latest"};
	_cleanup_text_list_ char **set = NULL;
	struct store_place p;
	struct error err;
	char **names;

	store_place_open(&p);
	oci_make_layout(p.image, &image, NULL);
	CHECK_ERROR(load_path(&p, p.image, NULL, &names, &err), ERROR_USAGE);
	CHECK(strstr(err.text, "is called"));
	CHECK_OK(load_path(&p, p.image, "docker.io/library/n:1", &set, &err));
	store_make_index(p.image, "{\"mediaType\":\"" MANIFEST "\",\"size\":1,\"digest\":\"sha256:"
				  "0123456789012345678901234567890123456789012345678901234567890123\"},"
				  "{\"mediaType\":\"" MANIFEST "\",\"size\":1,\"digest\":\"sha256:"
				  "1123456789012345678901234567890123456789012345678901234567890123\"}");
	CHECK_ERROR(load_path(&p, p.image, "docker.io/library/n:1", &names, &err), ERROR_USAGE);
	store_make_index(p.image, "");
	CHECK_ERROR(load_path(&p, p.image, "docker.io/library/n:1", &names, &err), ERROR_NOT_FOUND);
	store_place_close(&p);
}

TEST(indexes_without_end_and_names_that_are_none_are_refused)
{
	struct oci_make image = {.layers = store_place_layers, .tag = "UPPER:case"};
	char digest[OCI_DIGEST_SIZE], text[400];
	struct oci_made made;
	struct store_place p;
	struct error err;
	size_t size = 0;
	char **names;

	store_place_open(&p);
	oci_make_layout(p.image, &image, &made);
	CHECK_ERROR(load_path(&p, p.image, NULL, &names, &err), ERROR_INVALID);
	snprintf(digest, sizeof digest, "%s", made.manifest);
	for (unsigned i = 0; i < 7; i++) {
		_cleanup_free_ char *path = text_format(NULL, "%s/blobs/sha256/%s", p.image, digest + 7);
		_cleanup_buffer_ struct buffer b = {0};

		CHECK_OK(fs_read_file(AT_FDCWD, path, 10000, &b, &err));
		size = b.size;
		snprintf(text, sizeof text,
			"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[{\"mediaType\":\"%s\","
			"\"digest\":\"%s\",\"size\":%zu}]}",
			INDEX, i ? INDEX : MANIFEST, digest, size);
		store_make_blob(p.image, text, strlen(text), digest);
	}
	snprintf(text, sizeof text, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", INDEX, digest,
		size);
	store_make_index(p.image, text);
	CHECK_ERROR(load_path(&p, p.image, "docker.io/library/n:1", &names, &err), ERROR_INVALID);
	store_place_close(&p);
}

/* ---- save ------------------------------------------------------------------------------------------- */

static int save(
	const struct store_place *p, const char *text, struct save_options o, int fd, struct error *err)
{
	struct catalog c = store_place_look(p);
	struct catalog_match m = {0};
	int r = catalog_find(&c, text, &m, err);

	if (r == 0)
		r = save_images(p->store, &m, 1, &o, fd, err);
	catalog_match_free(&m);
	catalog_free(&c);
	return r;
}

static int saved(const struct store_place *p, const char *text, struct save_options o)
{
	int fd = memfd_create("saved", MFD_CLOEXEC);
	struct error err;

	CHECK_OK(save(p, text, o, fd, &err));
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static void read_all(int fd, struct buffer *b)
{
	struct error err;

	CHECK_OK(fs_read_fd(fd, "saved", 1 << 24, b, &err));
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
}

TEST(what_is_saved_is_loaded_with_the_same_digests_and_saved_again_has_the_same_bytes)
{
	_cleanup_buffer_ struct buffer first = {0}, second = {0};
	_cleanup_text_list_ char **names = NULL;
	struct store_place p, q;
	struct store_name n;
	struct oci_made a;
	struct error err;
	int one, two;

	store_place_open(&p);
	store_place_open(&q);
	store_place_make(&p, store_place_layers, "localhost:5000/a/b:1", &a);
	one = saved(&p, "localhost:5000/a/b:1", (struct save_options){0});
	CHECK_OK(load_fd(&q, one, NULL, &names, &err));
	CHECK_TEXT(names[0], "localhost:5000/a/b:1");
	CHECK_OK(store_name_get(q.store, names[0], &n, &err));
	CHECK_TEXT(n.digest, a.manifest);
	store_name_free(&n);
	two = saved(&q, "localhost:5000/a/b:1", (struct save_options){0});
	read_all(one, &first);
	read_all(two, &second);
	CHECK(first.size == second.size && first.size > 4096 && !memcmp(first.data, second.data, first.size));
	close(one);
	close(two);
	store_place_close(&p);
	store_place_close(&q);
}

TEST(each_form_that_is_saved_is_loaded_with_the_same_content)
{
	for (enum save_format f = SAVE_OCI; f <= SAVE_LAYOUT; f++) {
		_cleanup_text_list_ char **names = NULL;
		struct store_place p, q;
		struct oci_made a;
		struct catalog c;
		struct error err;
		int fd;

		store_place_open(&p);
		store_place_open(&q);
		store_place_make(&p, store_place_layers, "docker.io/library/a:1", &a);
		fd = f == SAVE_LAYOUT ? open(p.image, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
				      : memfd_create("saved", MFD_CLOEXEC);
		CHECK_OK(save(&p, "a:1", (struct save_options){.format = f}, fd, &err));
		lseek(fd, 0, SEEK_SET);
		CHECK_OK(load_fd(&q, fd, NULL, &names, &err));
		CHECK_TEXT(names[0], "docker.io/library/a:1");
		c = store_place_look(&q);
		CHECK_TEXT(c.images[0].config, a.config);
		CHECK((f == SAVE_DOCKER) == (strcmp(c.images[0].manifest, a.manifest) != 0));
		catalog_free(&c);
		CHECK_INT(store_make_check(q.store, false, NULL), 0);
		close(fd);
		store_place_close(&p);
		store_place_close(&q);
	}
}

struct pipe_writer {
	struct buffer *bytes;
	int fd;
};

static void *write_pipe(void *context)
{
	struct pipe_writer *w = context;

	fs_write_all(w->fd, w->bytes->data, w->bytes->size, "pipe", NULL);
	close(w->fd);
	return NULL;
}

TEST(a_pipe_is_loaded_compressed_or_not_and_one_that_is_cut_is_an_error)
{
	_cleanup_buffer_ struct buffer plain = {0};
	struct store_place p, q;
	int fd;

	store_place_open(&p);
	store_place_make(&p, store_place_layers, "docker.io/library/a:1", NULL);
	fd = saved(&p, "a:1", (struct save_options){0});
	read_all(fd, &plain);
	close(fd);
	for (int how = OCI_MAKE_PLAIN; how <= OCI_MAKE_ZSTD * 2 + 1; how++) {
		bool cut = how > OCI_MAKE_ZSTD;
		_cleanup_text_list_ char **names = NULL;
		_cleanup_buffer_ struct buffer packed = {0};
		struct pipe_writer w = {.bytes = &packed};
		pthread_t thread;
		struct error err;
		int ends[2], r;

		oci_make_compressed((enum oci_make_compression)(how % (OCI_MAKE_ZSTD + 1)), &plain, &packed);
		packed.size -= cut ? packed.size / 2 : 0;
		store_place_open(&q);
		CHECK(pipe(ends) == 0);
		w.fd = ends[1];
		CHECK(pthread_create(&thread, NULL, write_pipe, &w) == 0);
		r = load_fd(&q, ends[0], NULL, &names, &err);
		pthread_join(thread, NULL);
		close(ends[0]);
		CHECK_INT(r < 0, cut);
		CHECK_INT(text_list_size(names), !cut);
		CHECK_INT(store_place_count(&q, "tmp"), 0);
		store_place_close(&q);
	}
	store_place_close(&p);
}

TEST(a_damaged_blob_is_not_saved)
{
	struct oci_made a;
	struct store_place p;
	struct error err;
	int fd = memfd_create("saved", MFD_CLOEXEC);

	store_place_open(&p);
	store_place_make(&p, store_place_layers, "docker.io/library/a:1", &a);
	store_make_damage(&p, a.layers[0]);
	CHECK_ERROR(save(&p, "a:1", (struct save_options){0}, fd, &err), ERROR_CORRUPT);
	CHECK(strstr(err.text, a.layers[0]) && strstr(err.text, "--repair"));
	close(fd);
	store_place_close(&p);
}

/* ---- several platforms ------------------------------------------------------------------------------ */

/* A layout with an index of amd64 and arm64 and of one more that is not there; made: of arm64. */
static void make_platforms(const struct store_place *p, struct oci_made *made, char index[OCI_DIGEST_SIZE])
{
	struct oci_make image = {.layers = store_place_layers};
	struct oci_made amd64;
	_cleanup_free_ char *json = NULL, *top = NULL;
	struct error err;
	size_t sizes[2];

	oci_make_layout(p->image, &image, &amd64);
	image.layers = store_place_other_layers;
	image.architecture = "arm64";
	oci_make_layout(p->image, &image, made);
	for (size_t i = 0; i < 2; i++) {
		_cleanup_free_ char *path = text_format(
			NULL, "%s/blobs/sha256/%s", p->image, (i ? made->manifest : amd64.manifest) + 7);
		_cleanup_buffer_ struct buffer b = {0};

		CHECK_OK(fs_read_file(AT_FDCWD, path, 10000, &b, &err));
		sizes[i] = b.size;
	}
	json = text_format(NULL,
		"{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\",\"manifests\":["
		"{\"mediaType\":\"" MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":"
		"\"linux\",\"architecture\":\"amd64\"}},"
		"{\"mediaType\":\"" MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"os\":"
		"\"linux\",\"architecture\":\"arm64\"}},"
		"{\"mediaType\":\"" MANIFEST
		"\",\"digest\":\"sha256:0123456789012345678901234567890123456789012345678901234567890123\","
		"\"size\":5,\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}}]}",
		amd64.manifest, sizes[0], made->manifest, sizes[1]);
	store_make_blob(p->image, json, strlen(json), index);
	top = text_format(NULL,
		"{\"mediaType\":\"" INDEX "\",\"digest\":\"%s\",\"size\":%zu,"
		"\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/m:1\"}}",
		index, strlen(json));
	store_make_index(p->image, top);
}

TEST(of_an_index_all_that_is_there_is_loaded_saved_and_found)
{
	_cleanup_text_list_ char **names = NULL, **again = NULL;
	char index[OCI_DIGEST_SIZE];
	struct store_place p, q;
	struct oci_made arm;
	struct catalog c;
	struct error err;
	int fd;

	store_place_open(&p);
	store_place_open(&q);
	make_platforms(&p, &arm, index);
	CHECK_OK(load_path(&p, p.image, NULL, &names, &err));
	CHECK_INT(store_make_check(p.store, false, NULL), 0);
	fd = saved(&p, "m:1", (struct save_options){0});
	CHECK_OK(load_fd(&q, fd, NULL, &again, &err));
	close(fd);
	c = store_place_look(&q);
	CHECK_TEXT(c.images[0].target, index);
	CHECK_INT(text_list_size(c.images[0].platforms), 2);
	catalog_free(&c);
	CHECK_OK(catalog_open(q.store, "linux/arm64", &c, &err));
	CHECK_TEXT(c.images[0].manifest, arm.manifest);
	catalog_free(&c);
	CHECK_OK(catalog_open(q.store, "linux/s390x", &c, &err));
	CHECK_TEXT(c.images[0].manifest, "");
	catalog_free(&c);
	CHECK_INT(store_make_check(q.store, false, NULL), 0);
	store_place_close(&p);
	store_place_close(&q);
}

TEST(one_platform_is_saved_and_tagged_alone_when_it_is_asked_for)
{
	_cleanup_text_list_ char **names = NULL, **again = NULL;
	_cleanup_free_ char *name = NULL;
	struct catalog_match m = {0};
	char index[OCI_DIGEST_SIZE];
	struct store_place p, q;
	struct oci_made arm;
	struct store_name n;
	struct catalog c;
	struct error err;
	int fd = memfd_create("saved", MFD_CLOEXEC);

	store_place_open(&p);
	store_place_open(&q);
	make_platforms(&p, &arm, index);
	CHECK_OK(load_path(&p, p.image, NULL, &names, &err));
	CHECK_OK(catalog_open(p.store, "linux/arm64", &c, &err));
	CHECK_OK(catalog_find(&c, "m:1", &m, &err));
	CHECK_OK(save_images(p.store, &m, 1, &(struct save_options){.platform = true}, fd, &err));
	catalog_match_free(&m);
	catalog_free(&c);
	lseek(fd, 0, SEEK_SET);
	CHECK_OK(load_fd(&q, fd, NULL, &again, &err));
	close(fd);
	CHECK_OK(store_name_get(q.store, "docker.io/library/m:1", &n, &err));
	CHECK_TEXT(n.digest, arm.manifest);
	store_name_free(&n);
	CHECK_OK(store_place_tag(&p, arm.manifest, "arm", &name, &err));
	CHECK_OK(store_name_get(p.store, name, &n, &err));
	CHECK_TEXT(n.digest, arm.manifest);
	store_name_free(&n);
	store_place_close(&p);
	store_place_close(&q);
}

/* ---- referrers -------------------------------------------------------------------------------------- */

TEST(what_is_said_about_an_image_is_saved_and_loaded_with_it)
{
	_cleanup_text_list_ char **names = NULL, **referrers = NULL;
	_cleanup_free_ char *json = NULL;
	char digest[OCI_DIGEST_SIZE], empty[OCI_DIGEST_SIZE];
	struct store_garbage garbage;
	struct store_place p, q;
	struct oci_made a;
	struct error err;
	int fd;

	store_place_open(&p);
	store_place_open(&q);
	store_place_make(&p, store_place_layers, "docker.io/library/a:1", &a);
	CHECK_OK(store_blob_put(p.store, "{}", 2, NULL, empty, &fd, &err));
	close(fd);
	json = text_format(NULL,
		"{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST "\",\"artifactType\":\"application/x\","
		"\"config\":{\"mediaType\":\"application/"
		"vnd.oci.empty.v1+json\",\"digest\":\"%s\",\"size\":2},"
		"\"layers\":[],\"subject\":{\"mediaType\":\"" MANIFEST "\",\"digest\":\"%s\",\"size\":1}}",
		empty, a.manifest);
	CHECK_OK(store_blob_put(p.store, json, strlen(json), NULL, digest, &fd, &err));
	close(fd);
	CHECK_OK(store_referrer_add(p.store, a.manifest, digest, &err));
	fd = saved(&p, "a:1", (struct save_options){0});
	CHECK_OK(load_fd(&q, fd, NULL, &names, &err));
	close(fd);
	CHECK_INT(text_list_size(names), 1);
	CHECK_OK(store_referrers(q.store, a.manifest, &referrers, &err));
	CHECK_INT(text_list_size(referrers), 1);
	CHECK_TEXT(referrers[0], digest);
	CHECK_OK(store_collect(q.store, NULL, false, &garbage, &err));
	CHECK_INT(garbage.blobs, 0);
	CHECK(store_place_has(&q, digest) && store_place_has(&q, empty));
	store_place_close(&p);
	store_place_close(&q);
}
