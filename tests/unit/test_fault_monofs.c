/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation, write, sync and rename of a repository's files fails once in turn: the call returns an
 * error, leaks nothing, what was there before stays, and what is there then has no damage.
 */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "monofs/tar_names.h"
#include "monofs_place.h"
#include "os/fs.h"

#define COUNT 12u

static struct crypt keys;
static struct object_id ids[COUNT];
static int directory;
static unsigned fresh; /* makes the objects of each turn other ones */

static size_t open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int put_all(struct store *s, struct error *err)
{
	_cleanup_(cleanup_store_writer) struct store_writer *w = NULL;
	int r = store_writer_new(s, &w, err);

	for (unsigned i = 0; r == 0 && i < COUNT; i++) {
		const unsigned value[2] = {i, fresh};

		r = store_put(w, OBJECT_CHUNK, value, sizeof value, &ids[i], NULL, err);
		if (r == 0 && i % 5 == 4)
			r = store_writer_flush(w, err);
	}
	return r < 0 ? r : store_writer_flush(w, err);
}

/* Two packs. */
static int write_store(struct error *err)
{
	_cleanup_(cleanup_store) struct store *s = NULL;
	int r = store_open_at(directory, &keys, false, NULL, &s, err);

	if (r == 0)
		r = put_all(s, err);
	if (r == 0)
		r = store_sync(s, err);
	fresh += 1000000;
	if (r == 0)
		r = put_all(s, err);
	return r < 0 ? r : store_sync(s, err);
}

static void no_damage(void *context, const struct object_id *id, const char *file, const char *what)
{
	(void)context;
	(void)id;
	test_fail(__FILE__, __LINE__, "%s: %s", file, what);
}

static void check_store(bool written)
{
	struct store_check check = {.read_data = true, .damaged = no_damage};
	struct store *s;
	struct error err;

	CHECK_OK(store_open_at(directory, &keys, false, NULL, &s, &err));
	CHECK_OK(store_check(s, &check, &err));
	for (unsigned i = 0; written && i < COUNT; i++)
		CHECK_INT(store_has(s, &ids[i], &err), 1);
	store_close(s);
}

/* One turn of many: before() makes what the call works on, check() looks at what it left. */
struct subject {
	void (*before)(void);
	int (*call)(struct error *err);
	void (*check)(bool done);
	bool counts; /* all that it frees was allocated by calls that are counted */
};

static bool one_turn(const struct subject *s, enum fault_kind kind, unsigned n)
{
	struct error err = {.code = ERROR_NONE};
	long blocks;
	size_t files;
	bool happened;
	int r;

	fault_disarm();
	if (s->before)
		s->before();
	blocks = fault_blocks();
	files = open_files();
	fault_arm(kind, n);
	r = s->call(&err);
	happened = fault_happened();
	fault_disarm();
	if (r < 0 && (!happened || kind == FAULT_SHORT))
		test_fail(__FILE__, __LINE__, "turn %u, without a fault: %s", n, err.text);
	if (r < 0 && (r != -(int)err.code || !*err.text || r == -ERROR_CORRUPT))
		test_fail(__FILE__, __LINE__, "fault %u: %d, %d: %s", n, r, err.code, err.text);
	if (s->counts && fault_blocks() != blocks)
		test_fail(__FILE__, __LINE__, "fault %u leaks %ld blocks: %s", n, fault_blocks() - blocks,
			err.text);
	if (open_files() != files)
		test_fail(__FILE__, __LINE__, "fault %u leaks descriptors: %s", n, err.text);
	if (s->check)
		s->check(r == 0);
	return happened;
}

static void each_turn(enum fault_kind kind, struct subject s)
{
	unsigned n = 1;

	while (one_turn(&s, kind, n))
		CHECK(n++ < 5000);
	printf("# %u turns\n", n - 1);
	CHECK(n > 1);
}

static void make_store(uint8_t key)
{
	monofs_crypt(&keys, key);
	directory = monofs_store_make(monofs_place(), "s");
}

TEST(a_full_disk_leaves_a_store_without_damage)
{
	make_store(1);
	each_turn(FAULT_DISK, (struct subject){.call = write_store, .check = check_store, .counts = true});
	close(directory);
}

TEST(writes_that_take_a_part_change_nothing)
{
	make_store(0);
	each_turn(FAULT_SHORT, (struct subject){.call = write_store, .check = check_store, .counts = true});
	close(directory);
}

TEST(no_memory_leaves_a_store_without_damage)
{
	make_store(1);
	each_turn(FAULT_MEMORY, (struct subject){.call = write_store, .check = check_store, .counts = true});
	close(directory);
}

/* ---- reading, sweeping, checking --------------------------------------------------------------------- */

static int read_some(bool (*which)(unsigned i), struct error *err)
{
	_cleanup_(cleanup_store) struct store *s = NULL;
	int r = store_open_at(directory, &keys, true, NULL, &s, err);

	for (unsigned i = 0; r == 0 && i < COUNT; i++) {
		struct store_bytes bytes;

		r = which(i) ? store_get(s, OBJECT_CHUNK, &ids[i], &bytes, err) : 1;
		if (r == 0)
			store_release(s, &bytes);
		r = r > 0 ? 0 : r;
	}
	return r;
}

static bool every(unsigned i)
{
	return i < COUNT;
}

static bool fourth(unsigned i)
{
	return i % 4 == 0;
}

static int read_store(struct error *err)
{
	return read_some(every, err);
}

TEST(reading_without_memory_is_an_error_and_no_more)
{
	struct error err;

	make_store(1);
	CHECK_OK(write_store(&err));
	each_turn(FAULT_MEMORY, (struct subject){.call = read_store, .counts = true});
	close(directory);
}

static int run_check(struct error *err)
{
	struct store_check check = {.read_data = true, .damaged = no_damage};
	_cleanup_(cleanup_store) struct store *s = NULL;
	int r = store_open_at(directory, &keys, false, NULL, &s, err);

	return r < 0 ? r : store_check(s, &check, err);
}

TEST(a_check_without_memory_calls_nothing_damaged)
{
	struct error err;

	make_store(0);
	CHECK_OK(write_store(&err));
	each_turn(FAULT_MEMORY, (struct subject){.call = run_check, .counts = true});
	close(directory);
}

static int mark(void *context, struct error *err)
{
	(void)context;
	(void)err;
	return 0;
}

static bool is_live(void *context, const struct object_id *id)
{
	(void)context;
	for (unsigned i = 0; i < COUNT; i++)
		if (fourth(i) && object_id_equal(id, &ids[i]))
			return true;
	return false;
}

/* What is needed a little is written anew; what nobody needs goes with the next. */
static int sweep_store(struct error *err)
{
	struct store_sweep sweep = {.mark = mark, .live = is_live, .keep_percent = 90};
	_cleanup_(cleanup_store) struct store *s = NULL;
	int r = store_open_at(directory, &keys, false, NULL, &s, err);

	return r < 0 ? r : store_tidy(s, &sweep, err);
}

static const char *stores;

static void fill(void)
{
	char old[256];
	struct error err;

	close(directory);
	CHECK_OK(fs_remove_tree(AT_FDCWD, monofs_path(stores, "s", old), &err));
	directory = monofs_store_make(stores, "s");
	CHECK_OK(write_store(&err));
}

static void check_swept(bool done)
{
	struct error err;

	(void)done;
	check_store(false);
	CHECK_OK(read_some(fourth, &err));
}

TEST(a_sweep_that_fails_takes_nothing_that_is_needed)
{
	stores = monofs_place();
	monofs_crypt(&keys, 1);
	directory = monofs_store_make(stores, "s");
	each_turn(FAULT_DISK,
		(struct subject){.before = fill, .call = sweep_store, .check = check_swept, .counts = true});
	each_turn(FAULT_MEMORY,
		(struct subject){.before = fill, .call = sweep_store, .check = check_swept, .counts = true});
	close(directory);
}

/* ---- repositories ------------------------------------------------------------------------------------ */

static const struct repository_secret secret = {.passphrase = "correct horse"};
static const struct repository_secret other = {.passphrase = "battery staple"};
static char place[256], path[256];

static void empty_place(void)
{
	monofs_path(place, "a.monofs", path);
	(void)fs_remove_tree(AT_FDCWD, path, NULL);
}

static int create(struct error *err)
{
	const struct repository_new o = {.secret = &secret, .weak = true};

	return repository_create(path, &o, err);
}

static void all_or_nothing(bool done)
{
	struct repository *r;
	struct error err;
	DIR *list = opendir(place);
	unsigned names = 0;

	while (readdir(list))
		names++;
	closedir(list);
	if (done) {
		CHECK_OK(repository_open(path, &secret, false, NULL, &r, &err));
		repository_close(r);
	}
	CHECK_INT(names, access(path, F_OK) == 0 ? 3 : 2);
}

TEST(a_repository_is_made_as_a_whole_or_not_at_all)
{
	snprintf(place, sizeof place, "%s", monofs_place());
	each_turn(
		FAULT_DISK, (struct subject){.before = empty_place, .call = create, .check = all_or_nothing});
	each_turn(FAULT_MEMORY,
		(struct subject){.before = empty_place, .call = create, .check = all_or_nothing});
}

static struct repository *opened;
static struct object_id there;

static int move(struct error *err)
{
	struct object_id next = there;

	next.bytes[0]++;
	return references_set(
		repository_directory(opened), repository_crypt(opened), "tag/x", &next, "", &there, err);
}

/* Old or new; new where it said so. */
static void check_moved(bool done)
{
	struct object_id before = there;
	struct references r;
	struct error err;

	CHECK_OK(references_read(repository_directory(opened), repository_crypt(opened), &r, &err));
	there = references_find(&r, "tag/x")->commit;
	CHECK(!done || there.bytes[0] == (uint8_t)(before.bytes[0] + 1));
	CHECK(there.bytes[0] == before.bytes[0] || there.bytes[0] == (uint8_t)(before.bytes[0] + 1));
	references_free(&r);
}

TEST(a_reference_moves_or_stays)
{
	struct error err;

	snprintf(place, sizeof place, "%s", monofs_place());
	empty_place();
	CHECK_OK(create(&err));
	CHECK_OK(repository_open(path, &secret, false, NULL, &opened, &err));
	there = (struct object_id){{1}};
	CHECK_OK(references_set(
		repository_directory(opened), repository_crypt(opened), "tag/x", &there, "", NULL, &err));
	each_turn(FAULT_DISK, (struct subject){.call = move, .check = check_moved, .counts = true});
	each_turn(FAULT_MEMORY, (struct subject){.call = move, .check = check_moved, .counts = true});
	repository_close(opened);
}

static void make_repository(void)
{
	struct error err;

	empty_place();
	CHECK_OK(create(&err));
}

static int rotate(struct error *err)
{
	_cleanup_(cleanup_repository) struct repository *r = NULL;
	char name[17];
	int result = repository_open(path, &secret, false, NULL, &r, err);

	return result < 0 ? result : repository_rotate(r, &other, name, err);
}

/* One of the two secrets opens it whatever happened, and the new one where it went well. */
static void check_rotated(bool done)
{
	struct repository *r = NULL;
	struct error err;

	if (repository_open(path, &other, false, NULL, &r, &err) < 0) {
		CHECK(!done);
		CHECK_OK(repository_open(path, &secret, false, NULL, &r, &err));
	}
	repository_close(r);
}

TEST(keys_are_rotated_or_stay)
{
	snprintf(place, sizeof place, "%s", monofs_place());
	each_turn(FAULT_DISK,
		(struct subject){.before = make_repository, .call = rotate, .check = check_rotated});
	each_turn(FAULT_MEMORY,
		(struct subject){.before = make_repository, .call = rotate, .check = check_rotated});
}

/* ---- names of an archive that memory is not to hold ---- */

static unsigned met;

static int meet_directory(void *context, const char *name, struct error *err)
{
	(void)context;
	(void)name;
	(void)err;
	met++;
	return 0;
}

static int meet_end(void *context, const uint8_t *entry, size_t entry_size, struct error *err)
{
	(void)context;
	(void)entry;
	(void)entry_size;
	(void)err;
	return 0;
}

static int meet_object(void *context, const char *object, const char *name, const uint8_t *entry,
	size_t entry_size, struct tar_linked *linked, struct error *err)
{
	(void)object;
	CHECK(linked != NULL);
	meet_directory(context, name, err);
	return meet_end(context, entry, entry_size, err);
}

/* Each of them becomes a run. */
static int tell_names(struct error *err)
{
	static const char *const paths[][2] = {{"a/b", NULL}, {"a", NULL}, {"a/c/d", NULL}, {"e", "a/c/d"}};
	static const struct tar_walk walk = {.enter = meet_directory, .leave = meet_end, .put = meet_object};
	const struct entry file = {.kind = ENTRY_FILE, .mode = 0644};
	_cleanup_(cleanup_tar_names) struct tar_names *t = NULL;
	int r = tar_names_new(opened, 1, &t, err);

	for (unsigned i = 0; r == 0 && i < sizeof paths / sizeof *paths; i++) {
		struct tar_node *n;
		bool root;

		r = tar_names_at(t, paths[i][0], &n, &root, err);
		if (r == 0)
			r = paths[i][1] ? tar_names_link(t, n, paths[i][0], paths[i][1], err)
					: tar_names_set(t, n, &file, err);
	}
	met = 0;
	return r < 0 ? r : tar_names_walk(t, &walk, err);
}

static void check_names(bool done)
{
	CHECK(!done || met == 5);
}

TEST(names_of_an_archive_are_all_there_or_it_fails)
{
	struct error err;

	snprintf(place, sizeof place, "%s", monofs_place());
	make_repository();
	CHECK_OK(repository_open(path, &secret, false, NULL, &opened, &err));
	each_turn(FAULT_DISK, (struct subject){.call = tell_names, .check = check_names, .counts = true});
	each_turn(FAULT_SHORT, (struct subject){.call = tell_names, .check = check_names, .counts = true});
	each_turn(FAULT_MEMORY, (struct subject){.call = tell_names, .check = check_names, .counts = true});
	repository_close(opened);
}
