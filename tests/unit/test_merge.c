/* SPDX-License-Identifier: Apache-2.0 */
/* What layers make together: DESIGN's rules one by one, and random layers beside a simple model of them. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base/cleanup.h"
#include "merge_make.h"
#include "merge_model.h"
#include "oci/merge.h"
#include "oci/spool.h"

/* The layers, oldest first, behind what is expected of them. */
#define CHECK_MERGE(expected, ...) \
	do { \
		const char *const layers_[] = {__VA_ARGS__, NULL}; \
		struct error err_ = {0}; \
		_cleanup_free_ char *text_ = merge_make(layers_, 42, -1, &err_); \
		if (!text_ || strcmp(text_, expected)) \
			test_fail(__FILE__, __LINE__, "made:\n%s\nexpected:\n%s\n%s", text_, expected, \
				err_.text); \
	} while (0)

/* ---- whiteouts -------------------------------------------------------------------------------------- */

TEST(a_whiteout_hides_what_older_layers_have)
{
	CHECK_MERGE("d a 0755\nf a/c 1\n", "d a\nf a/b 1\nf a/c 1\n", "f a/.wh.b\n");
	CHECK_MERGE("", "d a\nd a/b\nf a/b/c 1\n", "f .wh.a\n");
	CHECK_MERGE("f b\n", "f b\n", "f .wh.a\n");
}

TEST(a_whiteout_of_a_directory_that_comes_again_hides_its_old_contents)
{
	CHECK_MERGE("d a 0700\nf a/new\n", "d a\nf a/old\n", "d a 0700\nf a/new\nf .wh.a\n");
	CHECK_MERGE("d a 0755\nf a/new\n", "d a 0700\nf a/old\n", "f .wh.a\nf a/new\n");
}

TEST(a_whiteout_stands_anywhere_in_its_layer_and_never_hides_that)
{
	CHECK_MERGE("f a new\n", "f a old\n", "f .wh.a\nf a new\n");
	CHECK_MERGE("f a new\n", "f a old\n", "f a new\nf .wh.a\n");
}

TEST(what_a_whiteout_hid_can_come_again)
{
	CHECK_MERGE("f a 3\n", "f a 1\n", "f .wh.a\n", "f a 3\n");
	CHECK_MERGE("d a 0755\nf a/c\n", "d a\nf a/b\n", "f .wh.a\n", "d a\nf a/c\n");
}

TEST(a_whiteout_beneath_a_file_changes_nothing)
{
	CHECK_MERGE("f a 1\n", "f a 1\n", "f a/.wh.b\n");
	CHECK_MERGE("s a b\nd b 0755\n", "s a b\nd b\nf b/c\n", "f a/.wh.c\n");
}

TEST(an_opaque_directory_hides_older_contents_but_keeps_itself)
{
	CHECK_MERGE("d a 0700\nf a/new\n", "d a 0700\nf a/old\n", "f a/.wh..wh..opq\nf a/new\n");
	CHECK_MERGE("d a 0711\n", "d a 0700\nf a/old\nd a/d\nf a/d/e\n", "d a 0711\nf a/.wh..wh..opq\n");
	CHECK_MERGE("d a 0755\nd a/b 0755\nf a/b/c\nf a/x\n", "d a\nd a/b\nf a/b/old\nf a/x\n",
		"f a/b/c\nf a/b/.wh..wh..opq\n");
}

TEST(opaque_holds_for_layers_below_only)
{
	CHECK_MERGE("d a 0755\nf a/2\nf a/3\n", "d a\nf a/1\n", "f a/.wh..wh..opq\nf a/2\n", "f a/3\n");
	CHECK_MERGE("f b\n", "d a\nf b\n", "f .wh..wh..opq\nf b\n");
}

TEST(notes_of_aufs_are_no_files)
{
	CHECK_MERGE("f a\n", "f a\nd .wh..wh.plnk\nf .wh..wh.aufs\nf .wh..wh.orph\n");
}

TEST(whiteouts_of_no_name_are_refused)
{
	CHECK_MERGE("error INVALID", "f .wh.\n");
	CHECK_MERGE("error INVALID", "f a/.wh..\n");
	CHECK_MERGE("error INVALID", "f a/.wh...\n");
}

/* ---- files and directories -------------------------------------------------------------------------- */

TEST(a_later_entry_of_a_layer_replaces_an_earlier_one)
{
	CHECK_MERGE("f a 2\n", "f a 1\nf a 2\n");
	CHECK_MERGE("f a 2\n", "d a\nf a/b\nf a 2\n");
	CHECK_MERGE("d a 0700\n", "f a 1\nd a 0700\n");
	CHECK_MERGE("d a 0700\nf a/b\n", "d a\nf a/b\nd a 0700\n");
}

TEST(a_newer_directory_gives_the_metadata_older_ones_only_children)
{
	CHECK_MERGE("d a 0700\nf a/1\nf a/2\n", "d a 0711\nf a/1\n", "d a 0700\nf a/2\n");
	CHECK_MERGE("d a 0711\nf a/1\nf a/2\n", "d a 0711\nf a/1\n", "f a/2\n");
	CHECK_MERGE("d a 0755\nd a/b 0755\nf a/b/c\n", "f a/b/c\n");
}

TEST(another_type_replaces_all_that_older_layers_had)
{
	CHECK_MERGE("f a 2\n", "d a\nf a/b\n", "f a 2\n");
	CHECK_MERGE("d a 0755\nf a/c\n", "d a\nf a/b\n", "f a 2\n", "d a\nf a/c\n");
	CHECK_MERGE("d a 0755\nf a/c\n", "f a 1\n", "f a/c\n");
	CHECK_MERGE("s a x\n", "d a\nf a/b\n", "s a x\n");
	CHECK_MERGE("d a 0700\n", "s a b\nd b\nf b/c\n", "f .wh.b\nd a 0700\n");
}

TEST(what_an_implied_directory_replaced_does_not_come_back)
{
	CHECK_MERGE("d b 0755\nd b/c 0755\n", "f b/c 3\n", "d b/c/c\n", "f b/c/.wh.c\n");
	CHECK_MERGE("d b 0755\nf b/c\n", "d b 0775\n", "f b 11\n", "f b/c\n");
	CHECK_MERGE("d a 0755\n", "f a 3\n", "f a/b\n", "f a/.wh..wh..opq\n");
}

TEST(an_implied_directory_takes_the_metadata_of_the_next_older_one)
{
	CHECK_MERGE("d a 0700\nf a/b\n", "d a 0711\n", "d a 0700\n", "f a/b\n");
	CHECK_MERGE("d a 0700\nf a/b\n", "f a/x\n", "f .wh.a\nd a 0700\n", "f a/b\n");
	CHECK_MERGE("d a 0755\nf a/b\n", "d a 0711\n", "f .wh.a\n", "f a/b\n");
}

TEST(paths_are_taken_from_the_root_however_they_are_written)
{
	CHECK_MERGE("d a 0755\nf a/b 1\nf c\n", "f ./a//./b 1\nf /c\nd ./\n");
}

TEST(paths_that_lead_upwards_are_refused)
{
	CHECK_MERGE("error INVALID", "f ../a\n");
	CHECK_MERGE("error INVALID", "f a/../b\n");
	CHECK_MERGE("error INVALID", "f a/..\n");
	CHECK_MERGE("error INVALID", "f a\nh b ../a\n");
	CHECK_MERGE("error INVALID", "h b a/..\n");
}

TEST(the_root_is_a_directory_or_an_error)
{
	CHECK_MERGE("f a\n", "d ./ 0700\nf a\n");
	CHECK_MERGE("error INVALID", "f .\n");
	CHECK_MERGE("error INVALID", "f a\nh / a\n");
	CHECK_MERGE("error INVALID", "f a\nh b /\n");
}

TEST(entries_beneath_a_file_of_their_own_layer_are_refused)
{
	CHECK_MERGE("error INVALID", "f a\nf a/b\n");
	CHECK_MERGE("error INVALID", "p a\nd a/b\n");
}

TEST(names_of_over_255_bytes_are_refused)
{
	char layer[300] = "f ";

	memset(layer + 2, 'n', 255);
	layer[257] = 0;
	{
		char expected[300];

		snprintf(expected, sizeof expected, "%s\n", layer);
		CHECK_MERGE(expected, layer);
	}
	memset(layer + 2, 'n', 256);
	CHECK_MERGE("error INVALID", layer);
}

TEST(devices_and_fifos_are_kept_and_numbers_out_of_range_refused)
{
	CHECK_MERGE("c a 4095:1048575\np b\n", "c a 4095:1048575\np b\n");
	CHECK_MERGE("error INVALID", "c a 4096:0\n");
	CHECK_MERGE("error INVALID", "c a 0:1048576\n");
}

/* ---- hard links ------------------------------------------------------------------------------------- */

TEST(hard_links_within_a_layer_share_one_file)
{
	CHECK_MERGE("f a 1\nh b a\nh c a\n", "f b 1\nh a b\nh c /a\n");
	CHECK_MERGE("s a x\nh b a\n", "s b x\nh a b\n");
	CHECK_MERGE("p a\nh b a\n", "p a\nh b a\n");
}

TEST(a_hard_link_keeps_the_file_that_it_named_then)
{
	CHECK_MERGE("f a 2\nf b 1\n", "f a 1\nh b a\nf a 2\n");
	CHECK_MERGE("f a 1\n", "f a 1\nh a a\n");
}

TEST(hard_links_find_files_of_older_layers)
{
	CHECK_MERGE("f a 1\nh b a\n", "f a 1\n", "h b a\n");
	CHECK_MERGE("f a 1\nh b a\n", "f a 1\n", "f c\n", "f .wh.c\n", "h b a\n");
	CHECK_MERGE("f a 2\nh b a\n", "f a 1\n", "f a 2\n", "h b a\n");
	CHECK_MERGE("f a 1\nh b a\nh c a\n", "f a 1\n", "h b a\n", "h c b\n");
}

TEST(a_link_of_the_layer_that_hides_its_target_keeps_the_data)
{
	CHECK_MERGE("f b 1\n", "f a 1\n", "h b a\nf .wh.a\n");
	CHECK_MERGE("f a 2\nf b 1\n", "f a 1\n", "h b a\nf a 2\n");
	CHECK_MERGE("d a 0755\nf a/x\nf b 1\n", "f a 1\n", "h b a\nd a\nf a/x\n");
	CHECK_MERGE("f b @300000\n", "f a @300000\n", "h b a\nf .wh.a\n");
	CHECK_MERGE("f a 2\nf b 1\n", "f a 1\n", "h b a\n", "f a 2\n");
}

TEST(data_of_a_hidden_file_are_kept_for_its_visible_names)
{
	CHECK_MERGE("f a new\nf b old\nh c b\n", "f a old\nh b a\nh c a\n", "f a new\n");
	CHECK_MERGE("f b @200000\n", "f a @200000\nh b a\n", "f .wh.a\n");
	CHECK_MERGE("d d 0755\nf d/x\nf e 4\n", "d d\nf d/a 1\nf d/b 2\nf d/c 4\nh e d/c\n",
		"f d/.wh..wh..opq\nf d/x\n");
}

TEST(links_that_nothing_answers_are_errors_where_they_show)
{
	CHECK_MERGE("error INVALID", "h a b\n");
	CHECK_MERGE("error INVALID", "f b\n", "f .wh.b\n", "h a b\n");
	CHECK_MERGE("error INVALID", "d b\n", "h a b\n");
	CHECK_MERGE("error INVALID", "d b\nh a b\n");
	CHECK_MERGE("error INVALID", "h a a\n");
	CHECK_MERGE("f a 2\n", "f c\n", "h a b\n", "f a 2\nf .wh.c\n");
}

TEST(a_link_of_an_opaque_layer_sees_what_it_hides)
{
	CHECK_MERGE("d a 0755\nf a/c 1\n", "d a\nf a/b 1\n", "f a/.wh..wh..opq\nh a/c a/b\n");
}

/* ---- symbolic links --------------------------------------------------------------------------------- */

TEST(entries_go_through_symbolic_links_of_their_layer)
{
	CHECK_MERGE("d b 0755\nf b/x 1\ns l b\n", "d b\ns l b\nf l/x 1\n");
	CHECK_MERGE("d b 0755\nd b/c 0755\nf b/c/x\ns l /b/c\n", "s l /b/c\nf l/x\n");
	CHECK_MERGE("d b 0755\ns b/l ../c\nd c 0755\nf c/x\n", "d b\nd c\ns b/l ../c\nf b/l/x\n");
}

TEST(entries_beneath_a_link_of_an_older_layer_go_to_its_target)
{
	CHECK_MERGE("s bin usr/bin\nd usr 0755\nd usr/bin 0755\nf usr/bin/sh 2\nf usr/bin/x\n",
		"d usr\nd usr/bin\nf usr/bin/sh 1\nf usr/bin/x\ns bin usr/bin\n", "f bin/sh 2\n");
	CHECK_MERGE("d a 0755\nd a/b 0755\nf a/b/x\ns l /a/b\n", "s l /a/b\n", "f l/x\n");
	CHECK_MERGE("s l m\ns m t\nd t 0755\nf t/x 3\n", "s m t\nd t\nf t/x 1\n", "s l m\n", "f l/x 3\n");
}

TEST(a_link_never_leads_out_of_the_root)
{
	CHECK_MERGE("s l ../../..\nf x\n", "s l ../../..\n", "f l/x\n");
	CHECK_MERGE("d etc 0755\nf etc/x\ns l /../etc\n", "s l /../etc\nf l/x\n");
}

TEST(a_whiteout_beneath_an_older_link_hides_at_its_target)
{
	CHECK_MERGE("s l t\nd t 0755\nf t/y\n", "d t\nf t/x\nf t/y\ns l t\n", "f l/.wh.x\n");
}

TEST(a_directory_of_a_newer_layer_replaces_a_link)
{
	CHECK_MERGE("d l 0755\nf l/x\nd t 0755\nf t/y\n", "d t\nf t/y\ns l t\n", "d l\nf l/x\n");
}

TEST(newer_files_win_at_a_target_that_both_layers_reach)
{
	CHECK_MERGE("s l t\nd t 0755\nf t/x 3\n", "s l t\nd t\nf t/x 1\n", "f t/x 2\n", "f l/x 3\n");
	CHECK_MERGE("s l t\nd t 0755\nf t/x 3\n", "s l t\nd t\nf t/x 1\n", "f l/x 2\n", "f t/x 3\n");
}

TEST(links_in_circles_and_to_files_are_errors_only_where_something_goes_through)
{
	CHECK_MERGE("s a b\ns b a\n", "s a b\ns b a\n");
	CHECK_MERGE("error INVALID", "s a b\ns b a\nf a/x\n");
	CHECK_MERGE("error INVALID", "s a b\ns b a\n", "f a/x\n");
	CHECK_MERGE("error INVALID", "s a a\nf a/x\n");
	CHECK_MERGE("error INVALID", "s a f\nf f\n", "f a/x\n");
	CHECK_MERGE("error INVALID", "f f\ns a f\nf a/x\n");
}

TEST(hard_links_go_through_symbolic_links_of_older_layers)
{
	CHECK_MERGE("s l t\nd t 0755\nf t/x 1\nh y t/x\n", "d t\nf t/x 1\ns l t\n", "h y l/x\n");
	CHECK_MERGE("s l t\nd t 0755\nf t/x 1\nh y t/x\n", "d t\nf t/x 1\n", "s l t\n", "h y l/x\n");
	CHECK_MERGE("error INVALID", "s l m\ns m l\n", "h y l/x\n");
}

/* ---- memory ----------------------------------------------------------------------------------------- */

static int no_begin(void *context, uint64_t size, bool hidden, struct error *err)
{
	(void)context;
	(void)size;
	(void)hidden;
	(void)err;
	return 0;
}

static int no_end(void *context, struct erofs_inode *inode, struct error *err)
{
	(void)context;
	(void)inode;
	(void)err;
	return 0;
}

TEST(a_layer_that_repeats_itself_takes_bounded_memory)
{
	struct merge_sink sink = {.begin = no_begin, .end = no_end};
	struct tar_entry e = {.type = TAR_FILE, .path = "same"};
	struct error err = {0};
	struct merge *m;
	unsigned n;
	int r = 0;

	CHECK_OK(merge_new(&(struct merge_options){.memory = 4 << 20}, &sink, &m, &err));
	CHECK_OK(merge_layer_begin(m, 0, &err));
	for (n = 0; r == 0 && n < 1000000; n++) {
		r = merge_entry(m, &e, &err);
		if (r == 0)
			r = merge_entry_end(m, &err);
	}
	CHECK_ERROR(r, ERROR_LIMIT);
	CHECK(n > 1000);
	merge_free(m);
}

TEST(hidden_files_in_very_many_parts_take_bounded_memory)
{
	_cleanup_fd_ int fd = memfd_create("image", MFD_CLOEXEC);
	_cleanup_fd_ int directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct erofs_options options = {.name = "image"};
	struct erofs_writer *w;
	struct merge_sink sink;
	struct spool *spool;
	struct error err = {0};
	uint64_t at;
	int r = 0;

	CHECK_OK(erofs_writer_new(fd, &options, &w, &err));
	CHECK_OK(spool_new(w, directory, &spool, &err));
	sink = spool_sink(spool);
	CHECK_OK(sink.begin(sink.context, INT64_MAX, true, &err));
	for (at = 0; r == 0 && at < 20000000; at += 2)
		r = sink.data(sink.context, at, (const uint8_t *)"x", 1, &err);
	CHECK_ERROR(r, ERROR_LIMIT);
	spool_free(spool);
	erofs_writer_free(w);
}

/* ---- beside a model --------------------------------------------------------------------------------- */

static void report(const char *const *layers)
{
	for (int i = 0; layers[i]; i++) {
		printf("# layer %d:", i);
		for (const char *p = layers[i]; *p; p++)
			if (*p == '\n')
				printf(p[1] ? "; " : "");
			else
				putchar(*p);
		printf("\n");
	}
}

TEST(random_layers_give_what_a_simple_model_says)
{
	const char *given = getenv("MC_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) << 20;

	printf("# MC_SEED=%llu\n", (unsigned long long)seed);
	for (int i = 0; i < 4000; i++, seed++) {
		struct merge_model m;
		struct error err = {0};
		_cleanup_free_ char *text = NULL;

		merge_model_random(&m, seed);
		text = merge_make(m.layers, seed * 7, -1, &err);
		if (text && !strcmp(text, m.expected))
			continue;
		report(m.layers);
		test_fail(__FILE__, __LINE__, "MC_SEED=%llu made:\n%s\nexpected:\n%s\n%s",
			(unsigned long long)seed, text, m.expected, err.text);
	}
}
