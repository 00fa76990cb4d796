/* SPDX-License-Identifier: Apache-2.0 */
/* Objects by path, and what trees differ in. */
#include <stdlib.h>

#include "monofs_scene.h"
#include "test.h"

#define DIRECTORY ENTRY_DIRECTORY
#define FILE_     ENTRY_FILE
#define TREE(s, ...) \
	scene_tree(s, (const struct scene_item[]){__VA_ARGS__}, \
		sizeof((const struct scene_item[]){__VA_ARGS__}) / sizeof(struct scene_item))

static struct error err;

TEST(objects_are_found_by_path_and_others_are_not)
{
	struct scene *s = scene_new(false);
	struct object_id c = TREE(s, {"d", DIRECTORY}, {"d/e", DIRECTORY}, {"d/e/f", FILE_, "text"},
		{"g", ENTRY_LINK, "d/e/f"}, {"h", ENTRY_SYMLINK, "d"});
	static const char *const not_there[] = {
		"x", "d/x", "d/e/f/x", "h/e", "/d", "d/", "d//e", "d/../d", ".", "d/e/f/"};
	struct tree_object o;

	CHECK_OK(tree_find(s->r, &c, "", &o, &err));
	CHECK_INT(o.entry.kind, ENTRY_DIRECTORY);
	tree_object_free(&o);
	CHECK_OK(tree_find(s->r, &c, "d/e/f", &o, &err));
	CHECK(o.entry.content.size == 4 && memcmp(o.entry.content.bytes, "text", 4) == 0);
	tree_object_free(&o);
	CHECK_OK(tree_find(s->r, &c, "g", &o, &err));
	CHECK_INT(o.entry.kind, ENTRY_FILE);
	tree_object_free(&o);
	for (size_t i = 0; i < ARRAY_SIZE(not_there); i++)
		CHECK_ERROR(tree_find(s->r, &c, not_there[i], &o, &err), ERROR_NOT_FOUND);
	scene_free(s);
}

TEST(a_name_of_a_file_whose_first_name_is_none_is_damage)
{
	struct scene *s = scene_new(false);
	struct object_id c = TREE(s, {"a", ENTRY_LINK, "b"}, {"b", ENTRY_LINK, "a"},
		{"c", ENTRY_LINK, "nowhere"}, {"d", DIRECTORY}, {"e", ENTRY_LINK, "d"});
	struct tree_object o;

	CHECK_ERROR(tree_find(s->r, &c, "a", &o, &err), ERROR_CORRUPT);
	CHECK_ERROR(tree_find(s->r, &c, "c", &o, &err), ERROR_CORRUPT);
	CHECK_ERROR(tree_find(s->r, &c, "e", &o, &err), ERROR_CORRUPT);
	scene_free(s);
}

static int list_take(void *context, const struct tree_child *child, struct error *e)
{
	unsigned *n = context;
	char name[8];

	(void)e;
	snprintf(name, sizeof name, "f%03u", *n);
	CHECK_TEXT(child->name, name);
	CHECK_INT(child->position, *n);
	CHECK_INT(child->identity->id[0], *n % 255 + 1);
	++*n;
	return 0;
}

TEST(a_directory_is_listed_from_any_position_with_its_ids)
{
	static struct scene_item items[500];
	static char names[500][8];
	struct scene *s = scene_new(false);
	struct tree_object root;
	struct object_id c;

	for (unsigned i = 0; i < 500; i++) {
		snprintf(names[i], sizeof names[i], "f%03u", i);
		items[i] = (struct scene_item){
			.path = names[i], .kind = ENTRY_FILE, .text = "", .id = i % 255 + 1};
	}
	c = scene_tree(s, items, 500);
	CHECK_OK(tree_root(s->r, &c, &root, &err));
	for (unsigned from = 0; from <= 500; from += 61) {
		unsigned n = from;

		CHECK_OK(tree_list(s->r, &root, from, true, list_take, &n, &err));
		CHECK_INT(n, 500);
	}
	tree_object_free(&root);
	scene_free(s);
}

/* ---- differences ---- */

static int tell(void *context, const struct tree_difference *d, struct error *e)
{
	static const char signs[] = "+-*>";
	struct buffer *out = context;

	(void)e;
	buffer_format(out, "%c%s", signs[d->change], d->path);
	if (d->old_path)
		buffer_format(out, "<%s", d->old_path);
	if (d->what)
		buffer_format(out, ":%s%s%s", d->what & TREE_CONTENT ? "c" : "",
			d->what & TREE_META ? "m" : "", d->what & TREE_TIME ? "t" : "");
	buffer_append_text(out, " ");
	CHECK((d->before != NULL) == (d->change != TREE_ADDED));
	CHECK((d->after != NULL) == (d->change != TREE_REMOVED));
	return 0;
}

static void check_diff(struct scene *s, struct object_id a, struct object_id b, struct tree_diff_options o,
	const char *expected)
{
	_cleanup_buffer_ struct buffer out = {0};
	_cleanup_free_ char *text = NULL;

	CHECK_OK(tree_diff(s->r, &a, &b, &o, tell, &out, &err));
	text = buffer_take_text(&out);
	CHECK_TEXT(text, expected);
}

TEST(what_was_added_removed_and_changed_is_told_in_order)
{
	struct scene *s = scene_new(false);
	struct object_id a = TREE(s, {"a", DIRECTORY}, {"a/gone", FILE_, "1"}, {"a/same", FILE_, "2"},
		{"c", FILE_, "3"}, {"m", FILE_, "4"}, {"old", DIRECTORY}, {"old/x", FILE_, "5"});
	struct object_id b = TREE(s, {"a", DIRECTORY}, {"a/same", FILE_, "2"}, {"c", FILE_, "other"},
		{"m", FILE_, "4", 0, 0600}, {"new", DIRECTORY}, {"new/y", FILE_, "6"});
	struct object_id none = {0};

	check_diff(s, a, b, (struct tree_diff_options){0}, "-a/gone *c:c *m:m +new +new/y -old -old/x ");
	check_diff(s, a, b, (struct tree_diff_options){.shallow = true}, "-a/gone *c:c *m:m +new -old ");
	check_diff(s, a, b, (struct tree_diff_options){.no_renames = true},
		"-a/gone *c:c *m:m +new +new/y -old -old/x ");
	check_diff(s, a, b, (struct tree_diff_options){.path = "a"}, "-a/gone ");
	check_diff(s, a, b, (struct tree_diff_options){.path = "old"}, "-old -old/x ");
	check_diff(s, a, b, (struct tree_diff_options){.path = "new/y"}, "+new/y ");
	check_diff(s, a, b, (struct tree_diff_options){.path = "c"}, "*c:c ");
	check_diff(s, a, b, (struct tree_diff_options){.path = "nowhere"}, "");
	check_diff(s, a, a, (struct tree_diff_options){0}, "");
	check_diff(s, none, b, (struct tree_diff_options){.path = "a"}, "+a +a/same ");
	check_diff(s, b, none, (struct tree_diff_options){.path = "new"}, "-new -new/y ");
	scene_free(s);
}

TEST(what_has_moved_is_told_once)
{
	struct scene *s = scene_new(false);
	struct object_id a = TREE(s, {"a", FILE_, "1", 1}, {"b", FILE_, "2", 2}, {"c", FILE_, "3", 3});
	struct object_id moved = TREE(s, {"b", FILE_, "2", 2}, {"c", FILE_, "3", 3}, {"d", FILE_, "1", 1});
	struct object_id changed = TREE(s, {"b", FILE_, "2", 2}, {"c", FILE_, "3", 3}, {"d", FILE_, "x", 1});
	struct object_id over = TREE(s, {"b", FILE_, "1", 1}, {"c", FILE_, "3", 3});
	struct object_id swapped = TREE(s, {"a", FILE_, "2", 2}, {"b", FILE_, "1", 1}, {"c", FILE_, "3", 3});
	struct object_id replaced = TREE(s, {"a", FILE_, "n", 9}, {"b", FILE_, "2", 2}, {"c", FILE_, "3", 3});
	struct object_id deeper = TREE(
		s, {"b", FILE_, "2", 2}, {"d", DIRECTORY}, {"d/a", FILE_, "1", 1}, {"d/c", FILE_, "3", 3});

	check_diff(s, a, moved, (struct tree_diff_options){0}, ">d<a ");
	check_diff(s, moved, a, (struct tree_diff_options){0}, ">a<d ");
	check_diff(s, a, changed, (struct tree_diff_options){0}, ">d<a:c ");
	check_diff(s, a, over, (struct tree_diff_options){0}, "-b >b<a ");
	check_diff(s, a, swapped, (struct tree_diff_options){0}, ">a<b >b<a ");
	check_diff(s, a, replaced, (struct tree_diff_options){0}, "*a:c ");
	check_diff(s, a, deeper, (struct tree_diff_options){0}, "+d >d/a<a >d/c<c ");
	check_diff(s, deeper, a, (struct tree_diff_options){0}, ">a<d/a >c<d/c -d ");
	check_diff(s, a, moved, (struct tree_diff_options){.no_renames = true}, "-a +d ");
	scene_free(s);
}

TEST(files_of_the_same_bytes_that_change_places_are_told)
{
	struct scene *s = scene_new(false);
	struct object_id a = TREE(s, {"a", FILE_, "1", 1}, {"b", FILE_, "1", 2});
	struct object_id swapped = TREE(s, {"a", FILE_, "1", 2}, {"b", FILE_, "1", 1});
	struct object_id over = TREE(s, {"b", FILE_, "1", 1});

	check_diff(s, a, swapped, (struct tree_diff_options){0}, ">a<b >b<a ");
	check_diff(s, a, over, (struct tree_diff_options){0}, "-b >b<a ");
	scene_free(s);
}

TEST(another_name_of_a_file_is_no_move)
{
	struct scene *s = scene_new(false);
	struct object_id one = TREE(s, {"a", FILE_, "1", 1});
	struct object_id two = TREE(s, {"a", FILE_, "1", 1}, {"b", ENTRY_LINK, "a", 1});
	struct object_id other = TREE(s, {"b", FILE_, "1", 1});

	check_diff(s, one, two, (struct tree_diff_options){0}, "+b ");
	check_diff(s, two, one, (struct tree_diff_options){0}, "-b ");
	check_diff(s, two, other, (struct tree_diff_options){0}, "-a ");
	scene_free(s);
}

/* ---- what is not read ---- */

/* The same tree, but that the identities in a directory of the root cannot be read. */
static struct object_id unreadable(struct scene *s, struct object_id tree, const char *name)
{
	struct store *store = repository_store(s->r);
	const struct mst map = tree_map(s->r, OBJECT_IDENTITY);
	_cleanup_tree_object_ struct tree_object directory = {0};
	_cleanup_commit_ struct commit c = {0};
	_cleanup_buffer_ struct buffer value = {0};
	struct object_id children, identity;
	struct mst_item change;
	struct store_writer *w;
	struct identity root;

	CHECK_OK(commit_get(store, &tree, &c, &err));
	CHECK_OK(root_get_identity(store, &c.identity, &root, &err));
	CHECK_OK(tree_find(s->r, &tree, name, &directory, &err));
	directory.identity.children = (struct object_id){.bytes = "nowhere"};
	CHECK_OK(identity_encode(&directory.identity, &value, &err));
	change = (struct mst_item){name, strlen(name), value.data, value.size};
	CHECK_OK(store_writer_new(store, &w, &err));
	CHECK_OK(mst_update(&map, w, &root.children, &change, 1, &children, NULL, &err));
	root.children = children;
	CHECK_OK(root_put_identity(w, &root, &identity, &err));
	CHECK_OK(store_writer_flush(w, &err));
	store_writer_free(w);
	return scene_commit(s, &c.content, &identity);
}

TEST(a_new_directory_is_not_looked_into_where_nothing_can_have_moved_there)
{
	struct scene *s = scene_new(false);
	struct object_id a = TREE(s, {"a", FILE_, "1"});
	struct object_id b = TREE(s, {"a", FILE_, "2"}, {"new", DIRECTORY}, {"new/x", FILE_, "3"});

	check_diff(s, a, unreadable(s, b, "new"), (struct tree_diff_options){.shallow = true}, "*a:c +new ");
	scene_free(s);
}

/* ---- a large directory ---- */

TEST(a_diff_of_one_file_in_many_reads_little)
{
	static struct scene_item items[3000];
	static char names[3000][8];
	struct scene *s = scene_new(false);
	struct object_id a, b;

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(names[i], sizeof names[i], "f%04u", i);
		items[i] = (struct scene_item){.path = names[i], .kind = ENTRY_FILE, .text = "x"};
	}
	a = scene_tree(s, items, 3000);
	items[1500].text = "y";
	b = scene_tree(s, items, 3000);
	check_diff(s, a, b, (struct tree_diff_options){0}, "*f1500:c ");
	scene_free(s);
}
