/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs and names; garbage that goes and what must stay; damage that is found; processes that are killed. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "disk/ext4.h"
#include "oci/catalog.h"
#include "oci/image.h"
#include "store_make.h"

#define NAME  "docker.io/library/a:1"
#define OTHER "docker.io/library/b:1"
#define INDEX "application/vnd.oci.image.index.v1+json"

CLEANUP_DEFINE(image, struct image, image_free);

static const char *const layers[] = {"d a\nf a/b 1\n", "f c 2\n", NULL};
static const char *const other_layers[] = {"d a\nf a/b 1\n", "f d 3\n", NULL};

static void make(const struct store_place *p, const char *const *of, const char *name, struct oci_made *made)
{
	struct oci_make image = {.layers = of, .compression = OCI_MAKE_GZIP};
	_cleanup_free_ char *directory = store_make_directory(p, name + sizeof "docker.io/library/" - 1);
	struct error err;

	oci_make_layout(directory, &image, made);
	CHECK_OK(store_make_import(p->store, directory, name, &err));
}

static void put(struct store *s, const char *text, char digest[OCI_DIGEST_SIZE])
{
	struct error err;
	int fd;

	CHECK_OK(store_blob_put(s, text, strlen(text), NULL, digest, &fd, &err));
	close(fd);
}

static struct store_garbage collect(struct store *s, const struct store_keep *keep, bool dry_run)
{
	struct store_garbage garbage;
	struct error err;

	CHECK_OK(store_collect(s, keep, dry_run, &garbage, &err));
	return garbage;
}

/* ---- blobs ------------------------------------------------------------------------------------------ */

TEST(a_blob_has_its_place_only_with_the_digest_that_it_must_have)
{
	char digest[OCI_DIGEST_SIZE], expected[OCI_DIGEST_SIZE];
	_cleanup_buffer_ struct buffer bytes = {0};
	struct store_place p;
	struct error err;
	int fd;

	store_place_open(&p);
	put(p.store, "one", expected);
	CHECK_ERROR(store_blob_put(p.store, "two", 3, expected, digest, &fd, &err), ERROR_CORRUPT);
	CHECK_INT(store_place_count(&p, "blobs/sha256"), 1);
	CHECK_INT(store_place_count(&p, "tmp"), 0);
	CHECK_OK(store_blob_read(p.store, expected, 100, &bytes, NULL, &err));
	CHECK(bytes.size == 3 && !memcmp(bytes.data, "one", 3));
	CHECK_ERROR(store_blob_read(p.store, expected, 2, &bytes, NULL, &err), ERROR_LIMIT);
	store_make_damage(&p, (put(p.store, "three", digest), digest));
	CHECK_ERROR(store_blob_read(p.store, digest, 100, &bytes, NULL, &err), ERROR_CORRUPT);
	store_place_close(&p);
}

TEST(what_another_process_holds_is_not_collected_until_it_lets_go)
{
	char digest[OCI_DIGEST_SIZE];
	struct store_place p;
	int ready[2], go[2], status;
	char byte;
	pid_t pid;

	store_place_open(&p);
	put(p.store, "held", digest);
	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	pid = fork();
	if (pid == 0) {
		struct store *own;
		uint64_t size;
		int fd;

		if (store_open(p.home, &own, NULL) < 0 || store_blob_open(own, digest, &fd, &size, NULL) < 0)
			_exit(1);
		close(go[1]);
		_exit(write(ready[1], "x", 1) == 1 && read(go[0], &byte, 1) == 0 ? 0 : 1);
	}
	CHECK(read(ready[0], &byte, 1) == 1);
	CHECK_INT(collect(p.store, NULL, false).blobs, 0);
	CHECK(store_place_has(&p, digest));
	close(go[0]);
	close(go[1]);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK_INT(collect(p.store, NULL, false).blobs, 1);
	CHECK(!store_place_has(&p, digest));
	close(ready[0]);
	close(ready[1]);
	store_place_close(&p);
}

/* Who has brought it has locked it, and has not named it yet. */
TEST(a_blob_that_two_bring_at_once_is_kept_for_the_one_that_is_left)
{
	char first[OCI_DIGEST_SIZE], second[OCI_DIGEST_SIZE];
	struct store_ingest in[2];
	struct store_place p;
	struct error err;
	int fd, other;

	store_place_open(&p);
	for (size_t i = 0; i < 2; i++) {
		CHECK_OK(store_ingest_start(p.store, &in[i], &err));
		CHECK_OK(store_ingest_write(&in[i], "same", 4, &err));
	}
	CHECK_OK(store_ingest_finish(&in[0], NULL, first, &fd, &err));
	CHECK_OK(store_ingest_finish(&in[1], NULL, second, &other, &err));
	close(other);
	CHECK_INT(collect(p.store, NULL, false).blobs, 0);
	CHECK_OK(store_partial_open(p.store, first, true, &other, &err));
	CHECK(write(other, "same", 4) == 4);
	CHECK_OK(store_partial_publish(p.store, first, other, &err));
	close(other);
	CHECK_INT(store_place_count(&p, "partial"), 0);
	CHECK_INT(collect(p.store, NULL, false).blobs, 0);
	CHECK(store_place_has(&p, first));
	close(fd);
	CHECK_INT(collect(p.store, NULL, false).blobs, 1);
	for (size_t i = 0; i < 2; i++)
		store_ingest_free(&in[i]);
	CHECK_INT(store_place_count(&p, "tmp"), 0);
	store_place_close(&p);
}

TEST(a_download_that_a_process_works_on_stays_and_one_that_nobody_does_goes)
{
	char digest[OCI_DIGEST_SIZE] =
		"sha256:0123456789012345678901234567890123456789012345678901234567890123";
	struct store_place p;
	struct error err;
	int fd;

	store_place_open(&p);
	CHECK_OK(store_partial_open(p.store, digest, true, &fd, &err));
	CHECK(write(fd, "half", 4) == 4);
	collect(p.store, NULL, false);
	CHECK_INT(store_place_count(&p, "partial"), 1);
	close(fd);
	collect(p.store, NULL, true);
	CHECK_INT(store_place_count(&p, "partial"), 1);
	collect(p.store, NULL, false);
	CHECK_INT(store_place_count(&p, "partial"), 0);
	store_place_close(&p);
}

/* ---- names ------------------------------------------------------------------------------------------ */

TEST(names_are_set_replaced_listed_in_order_and_removed)
{
	struct store_name n = {.media_type = (char *)INDEX, .size = 7, .source = (char *)"https://x/y"};
	struct store_name got, *list;
	struct store_place p;
	struct error err;
	size_t count;

	store_place_open(&p);
	n.name = (char *)OTHER;
	put(p.store, "1", n.digest);
	CHECK_OK(store_name_set(p.store, &n, NULL, &err));
	n.name = (char *)NAME;
	CHECK_OK(store_name_set(p.store, &n, NULL, &err));
	n.size = 8;
	n.source = NULL;
	CHECK_OK(store_name_set(p.store, &n, NULL, &err));
	CHECK_OK(store_name_list(p.store, &list, &count, &err));
	CHECK_INT(count, 2);
	CHECK_TEXT(list[0].name, NAME);
	CHECK_INT(list[0].size, 8);
	CHECK_TEXT(list[0].source, "");
	CHECK_TEXT(list[1].source, "https://x/y");
	store_name_list_free(list, count);
	CHECK_OK(store_name_remove(p.store, NAME, &err));
	CHECK_ERROR(store_name_remove(p.store, NAME, &err), ERROR_NOT_FOUND);
	CHECK_ERROR(store_name_get(p.store, NAME, &got, &err), ERROR_NOT_FOUND);
	CHECK_OK(store_name_get(p.store, OTHER, &got, &err));
	CHECK_TEXT(got.digest, n.digest);
	store_name_free(&got);
	store_place_close(&p);
}

/* ---- garbage ---------------------------------------------------------------------------------------- */

TEST(what_names_lead_to_stays_and_what_they_share_goes_with_the_last)
{
	struct oci_made a, b;
	struct store_place p;
	struct error err;

	store_place_open(&p);
	make(&p, layers, NAME, &a);
	make(&p, other_layers, OTHER, &b);
	CHECK_INT(store_place_count(&p, "blobs/sha256"), 7);
	CHECK_INT(collect(p.store, NULL, false).blobs, 0);
	CHECK_OK(store_name_remove(p.store, NAME, &err));
	CHECK_INT(collect(p.store, NULL, true).blobs, 3);
	CHECK_INT(store_place_count(&p, "blobs/sha256"), 7);
	CHECK_INT(collect(p.store, NULL, false).blobs, 3);
	CHECK(!store_place_has(&p, a.manifest) && !store_place_has(&p, a.layers[1]));
	CHECK(store_place_has(&p, a.layers[0]));
	CHECK_INT(store_make_check(p.store, false, NULL), 0);
	CHECK_OK(store_name_remove(p.store, OTHER, &err));
	CHECK_INT(collect(p.store, NULL, false).blobs, 4);
	CHECK_INT(store_place_count(&p, "blobs/sha256"), 0);
	store_place_close(&p);
}

struct kept {
	const char *root, *digest;
};

static int list_kept(void *context, char ***roots, char ***digests, struct error *err)
{
	const struct kept *k = context;
	int r = text_list_add(roots, k->root, err);

	return r < 0 ? r : text_list_add(digests, k->digest, err);
}

TEST(what_sandboxes_are_made_of_stays_without_a_name)
{
	struct image_options options = {.platform = "linux/amd64", .pull = IMAGE_PULL_NEVER};
	_cleanup_(cleanup_image) struct image *image = NULL;
	struct store_keep keep = {.list = list_kept};
	struct store_garbage garbage;
	char root[sizeof image->root_id];
	struct oci_made made;
	struct store_place p;
	struct error err;

	store_place_open(&p);
	make(&p, layers, NAME, &made);
	CHECK_OK(image_open(p.store, NAME, &options, &image, &err));
	memcpy(root, image->root_id, sizeof root);
	image_free(TAKE_PTR(image));
	CHECK_INT(collect(p.store, NULL, false).roots, 0);
	CHECK_OK(store_name_remove(p.store, NAME, &err));
	keep.context = &(struct kept){root, made.manifest};
	garbage = collect(p.store, &keep, false);
	CHECK(garbage.blobs == 0 && garbage.roots == 0);
	garbage = collect(p.store, NULL, false);
	CHECK(garbage.blobs == 4 && garbage.roots == 1 && garbage.bytes > 4096);
	CHECK_INT(store_place_count(&p, "rootfs"), 0);
	store_place_close(&p);
}

static bool drop_first(void *context, const struct store_name *name)
{
	(void)context;
	return !strcmp(name->name, NAME);
}

static int list_nothing(void *context, char ***roots, char ***digests, struct error *err)
{
	(void)context;
	(void)roots;
	(void)digests;
	(void)err;
	return 0;
}

TEST(names_that_are_dropped_go_with_what_only_they_led_to)
{
	struct store_keep keep = {.list = list_nothing, .drop = drop_first};
	struct store_garbage garbage;
	struct oci_made a, b;
	struct store_place p;
	struct store_name n;
	struct error err;

	store_place_open(&p);
	make(&p, layers, NAME, &a);
	make(&p, other_layers, OTHER, &b);
	garbage = collect(p.store, &keep, true);
	CHECK(garbage.names == 1 && garbage.blobs == 3);
	CHECK_INT(store_place_count(&p, "blobs/sha256"), 7);
	garbage = collect(p.store, &keep, false);
	CHECK(garbage.names == 1 && garbage.blobs == 3);
	CHECK_ERROR(store_name_get(p.store, NAME, &n, &err), ERROR_NOT_FOUND);
	CHECK(!store_is_whole(p.store, a.manifest) && store_is_whole(p.store, b.manifest));
	CHECK_INT(store_make_check(p.store, false, NULL), 0);
	store_place_close(&p);
}

/* Names are followed in order, and the one that lies comes first. */
TEST(a_manifest_that_another_image_calls_its_layer_keeps_what_it_leads_to)
{
	struct store_name n = {
		.name = (char *)NAME, .media_type = (char *)"application/vnd.oci.image.manifest.v1+json"};
	_cleanup_free_ char *json = NULL;
	struct oci_made made;
	struct store_place p;
	struct error err;

	store_place_open(&p);
	make(&p, layers, OTHER, &made);
	json = text_format(NULL,
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"%s\",\"size\":1},"
		"\"layers\":[{\"mediaType\":\"x\",\"digest\":\"%s\",\"size\":1}]}",
		made.config, made.manifest);
	put(p.store, json, n.digest);
	CHECK_OK(store_name_set(p.store, &n, NULL, &err));
	CHECK_INT(collect(p.store, NULL, false).blobs, 0);
	CHECK_INT(store_place_count(&p, "blobs/sha256"), 5);
	store_place_close(&p);
}

/* An index within indexes leads to another image's manifest, so deep that it is not followed further. */
TEST(a_manifest_that_another_name_reaches_too_deep_keeps_what_it_leads_to)
{
	struct store_name n = {.name = (char *)NAME, .media_type = (char *)INDEX};
	struct oci_made made;
	struct store_place p;
	struct error err;

	store_place_open(&p);
	make(&p, layers, OTHER, &made);
	for (unsigned depth = 1; depth < 9; depth++) {
		const char *below = depth == 1 ? made.manifest : n.digest;
		_cleanup_free_ char *json = text_format(NULL,
			"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\","
			"\"size\":1}]}",
			INDEX, below);

		put(p.store, json, n.digest);
		CHECK_OK(store_name_set(p.store, &n, NULL, &err));
		collect(p.store, NULL, false);
		CHECK(store_place_has(&p, made.layers[0]) && store_place_has(&p, made.config));
	}
	store_place_close(&p);
}

/* ---- check ------------------------------------------------------------------------------------------ */

TEST(a_check_finds_a_flipped_bit_and_names_the_image_and_the_blob)
{
	struct oci_made made;
	struct store_place p;
	char text[256];

	store_place_open(&p);
	make(&p, layers, NAME, &made);
	CHECK_INT(store_make_check(p.store, false, NULL), 0);
	store_make_damage(&p, made.layers[1]);
	CHECK(store_make_check(p.store, false, text) > 0);
	CHECK(strstr(text, NAME) && strstr(text, made.layers[1]) && strstr(text, "damaged"));
	CHECK(store_place_has(&p, made.layers[1]));
	CHECK(store_make_check(p.store, true, text) > 0);
	CHECK(!store_place_has(&p, made.layers[1]));
	store_place_close(&p);
}

TEST(a_check_finds_a_blob_that_is_missing_and_one_that_is_too_short)
{
	_cleanup_free_ char *path = NULL;
	struct oci_made made;
	struct store_place p;
	char text[256];

	store_place_open(&p);
	make(&p, layers, NAME, &made);
	path = text_format(NULL, "%s/store/blobs/sha256/%s", p.home, made.layers[0] + 7);
	CHECK(chmod(path, 0600) == 0 && truncate(path, 5) == 0);
	CHECK(store_make_check(p.store, false, text) > 0);
	CHECK(strstr(text, NAME) && strstr(text, made.layers[0]));
	CHECK(unlink(path) == 0);
	CHECK_INT(store_make_check(p.store, false, text), 1);
	CHECK(strstr(text, NAME) && strstr(text, made.layers[0]) && strstr(text, "missing"));
	store_place_close(&p);
}

TEST(an_image_whose_layer_was_removed_as_damaged_is_whole_after_it_is_taken_in_again)
{
	_cleanup_free_ char *directory = NULL;
	struct oci_made made;
	struct store_place p;
	struct error err;

	store_place_open(&p);
	make(&p, layers, NAME, &made);
	store_make_damage(&p, made.layers[1]);
	store_make_check(p.store, true, NULL);
	directory = text_format(NULL, "%s/a:1", p.path);
	CHECK_OK(store_make_import(p.store, directory, NAME, &err));
	CHECK_INT(store_make_check(p.store, false, NULL), 0);
	store_place_close(&p);
}

/* ---- many at once, and killed ----------------------------------------------------------------------- */

#define NAMES 3

static int one_tag(struct store *s, const char *from, const char *to)
{
	_cleanup_catalog_ struct catalog c = {0};
	_cleanup_match_ struct catalog_match m = {0};
	_cleanup_free_ char *name = NULL;
	struct error err;
	int r = catalog_open(s, NULL, &c, &err);

	if (r == 0)
		r = catalog_find(&c, from, &m, &err);
	if (r == 0)
		r = catalog_tag(s, &c, &m, to, &name, &err);
	return r == -ERROR_NOT_FOUND ? 0 : r; /* removed by another */
}

/* Something with the store, chosen by chance; what others removed this moment is no failure. */
static int act(const struct store_place *p, struct store *s, unsigned *seed)
{
	static const char *const names[NAMES] = {NAME, OTHER, "docker.io/library/c:1"};
	unsigned what = (unsigned)rand_r(seed) % 6, which = (unsigned)rand_r(seed) % NAMES;
	_cleanup_free_ char *directory = text_format(NULL, "%s/source%u", p->path, which % 2);
	struct store_garbage garbage;
	struct error err;
	int r;

	if (what < 2)
		r = store_make_import(s, directory, names[which], &err);
	else if (what == 2)
		r = one_tag(s, names[which], names[(which + 1) % NAMES]);
	else if (what == 3)
		r = store_name_remove(s, names[which], &err);
	else
		r = store_collect(s, NULL, false, &garbage, &err);
	if (r < 0 && r != -ERROR_NOT_FOUND)
		printf("# %u: %s\n", what, err.text);
	return r == -ERROR_NOT_FOUND ? 0 : r;
}

static _Noreturn void act_for_ever(const struct store_place *p, unsigned seed, unsigned turns)
{
	struct store *s;

	if (store_open(p->home, &s, NULL) < 0)
		_exit(1);
	for (unsigned i = 0; i < turns; i++)
		if (act(p, s, &seed) < 0)
			_exit(2);
	_exit(0);
}

static void make_sources(const struct store_place *p)
{
	const char *const *const of[] = {layers, other_layers};

	for (unsigned i = 0; i < 2; i++) {
		char name[16];
		struct oci_make image = {.layers = of[i], .compression = OCI_MAKE_GZIP};

		snprintf(name, sizeof name, "source%u", i);
		_cleanup_free_ char *directory = store_make_directory(p, name);
		oci_make_layout(directory, &image, NULL);
	}
}

static unsigned first_seed(void)
{
	const char *given = getenv("MC_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);

	printf("# MC_SEED=%u\n", seed);
	return seed;
}

TEST(processes_that_take_in_name_remove_and_collect_at_once_do_not_disturb_each_other)
{
	unsigned seed = first_seed();
	struct store_place p;
	pid_t pids[4];
	int status;

	store_place_open(&p);
	make_sources(&p);
	for (size_t i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			act_for_ever(&p, seed + (unsigned)i, 40);
	}
	for (size_t i = 0; i < 4; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK_INT(status, 0);
	}
	CHECK_INT(store_make_check(p.store, false, NULL), 0);
	CHECK_INT(store_place_count(&p, "tmp"), 0);
	store_place_close(&p);
}

TEST(processes_that_make_a_store_at_once_all_have_it)
{
	for (unsigned turn = 0; turn < 40; turn++) {
		struct store_place p;
		pid_t pids[4];
		int status, go[2];
		char byte;

		store_place_open(&p);
		CHECK(pipe(go) == 0);
		for (size_t i = 0; i < 4; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				close(go[1]);
				if (read(go[0], &byte, 1) != 0)
					_exit(2);
				_exit(store_name_remove(p.store, NAME, NULL) == -ERROR_NOT_FOUND ? 0 : 1);
			}
		}
		close(go[0]);
		close(go[1]);
		for (size_t i = 0; i < 4; i++) {
			CHECK(waitpid(pids[i], &status, 0) == pids[i]);
			CHECK_INT(status, 0);
		}
		store_place_close(&p);
	}
}

static int write_root(void *context, int fd, int directory, struct error *err)
{
	(void)context;
	(void)directory;
	return ext4_create(fd, &(struct ext4_options){.size = 16 << 20}, err);
}

/* Each root file system is made by whoever is first, and waited for, found or made anew by the others. */
static void make_roots(const struct store_place *p)
{
	char id[SHA256_SIZE * 2 + 1];
	struct store *s;

	if (store_open(p->home, &s, NULL) < 0)
		_exit(1);
	for (unsigned turn = 0; turn < 40; turn++) {
		uint64_t size;
		int fd;

		snprintf(id, sizeof id, "%064u", turn);
		if (store_make(s, id, "ext4", write_root, NULL, NULL, &fd, &size, NULL) < 0)
			_exit(2);
		close(fd);
	}
	_exit(0);
}

TEST(processes_that_make_the_same_root_file_systems_at_once_all_get_them)
{
	struct store_place p;
	pid_t pids[4];
	int status;

	store_place_open(&p);
	for (size_t i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			make_roots(&p);
	}
	for (size_t i = 0; i < 4; i++) {
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK_INT(status, 0);
	}
	CHECK_INT(store_place_count(&p, "rootfs"), 40);
	CHECK_INT(store_place_count(&p, "tmp"), 0);
	store_place_close(&p);
}

TEST(a_process_killed_at_any_instant_leaves_a_store_that_checks_clean)
{
	unsigned seed = first_seed();
	struct store_place p;
	char text[256];

	store_place_open(&p);
	make_sources(&p);
	for (unsigned turn = 0; turn < 120; turn++) {
		pid_t pids[2];

		for (unsigned i = 0; i < 2; i++) {
			pids[i] = fork();
			if (pids[i] == 0)
				act_for_ever(&p, seed + turn * 2 + i, 1000000);
		}
		usleep((unsigned)rand_r(&seed) % 60000);
		for (size_t i = 0; i < 2; i++)
			kill(pids[i], SIGKILL);
		for (size_t i = 0; i < 2; i++) {
			int status;

			CHECK(waitpid(pids[i], &status, 0) == pids[i] && WIFSIGNALED(status));
		}
		if (store_make_check(p.store, false, text) > 0)
			test_fail(__FILE__, __LINE__, "turn %u: %s", turn, text);
	}
	store_free(p.store);
	CHECK(store_open(p.home, &p.store, NULL) == 0);
	CHECK_INT(store_place_count(&p, "tmp"), 0);
	store_place_close(&p);
}
