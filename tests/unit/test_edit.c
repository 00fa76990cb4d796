/* SPDX-License-Identifier: Apache-2.0 */
/* Components come into the text of a project, and go, and all else stays as it is. */
#include "project/edit.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "test.h"

static struct error err;

static const struct edit_setting image[] = {{.key = "image", .value = "x:1"}};
static const struct edit_setting many[] = {{.key = "image", .value = "x:1"},
	{.key = "ram", .value = "512", .number = true}, {.key = "ports", .value = "8080:80", .list = true},
	{.key = "ports", .value = "9", .list = true}, {.key = "envs", .value = "A=b # c", .list = true},
	{.key = "scripts", .name = "start", .value = "a: b"}, {.key = "groups", .name = "back"}};

#define IMAGE image, ARRAY_SIZE(image)
#define MANY  many, ARRAY_SIZE(many)

/* What comes out of an edit, or the name of its error. */
static char *edit(const char *text, bool add, enum edit_section section, const char *name,
	const struct edit_setting *settings, size_t count)
{
	struct buffer out = {0};
	struct mistakes m = {0};
	uint32_t file;
	int r;

	CHECK_OK(mistakes_file(&m, "monocore.yaml", text, strlen(text), &file, &err));
	r = add ? edit_add(text, strlen(text), &m, file, section, name, settings, count, &out, &err)
		: edit_remove(text, strlen(text), &m, file, section, name, &out, &err);
	mistakes_free(&m);
	if (r < 0) {
		buffer_free(&out);
		return strdup(error_name(r));
	}
	return buffer_take_text(&out);
}

#define CHECK_ADDED(text, name, settings, expected) \
	do { \
		_cleanup_free_ char *out_ = edit(text, true, EDIT_SANDBOXES, name, settings); \
		CHECK_TEXT(out_, expected); \
	} while (0)
#define CHECK_REMOVED(text, name, expected) \
	do { \
		_cleanup_free_ char *out_ = edit(text, false, EDIT_SANDBOXES, name, NULL, 0); \
		CHECK_TEXT(out_, expected); \
	} while (0)

#define WEB "sandboxes:\n  web:\n    image: y\n"
#define DB  "  db:\n    image: x:1\n"

TEST(a_component_is_added_behind_the_others)
{
	CHECK_ADDED(WEB, "db", IMAGE, WEB DB);
	CHECK_ADDED(WEB "    # of web\n  # more\n\n# groups\ngroups: {}\n", "db", IMAGE,
		WEB "    # of web\n  # more\n" DB "\n# groups\ngroups: {}\n");
	CHECK_ADDED("sandboxes:\n    a:\n        image: y # z\n\n    # two\n    b:\n        image: y\n", "db",
		IMAGE,
		"sandboxes:\n    a:\n        image: y # z\n\n    # two\n    b:\n        image: y\n\n    db:\n"
		"        image: x:1\n");
	CHECK_ADDED("sandboxes:\n web:\n  image: y\n", "db", IMAGE,
		"sandboxes:\n web:\n  image: y\n db:\n  image: x:1\n");
}

TEST(everything_that_it_is_to_have_is_written_and_quoted_where_it_must_be)
{
	CHECK_ADDED(WEB, "db", MANY,
		WEB "  db:\n    image: x:1\n    ram: 512\n    ports:\n      - \"8080:80\"\n      - \"9\"\n"
		    "    envs:\n      - \"A=b # c\"\n    scripts:\n      start: \"a: b\"\n    groups:\n"
		    "      back: {}\n");
	CHECK_ADDED("sandboxes: {web: {image: y}}\n", "db", MANY,
		"sandboxes: {web: {image: y}, db: {image: x:1, ram: 512, ports: [\"8080:80\", \"9\"], "
		"envs: [\"A=b # c\"], scripts: {start: \"a: b\"}, groups: {back: {}}}}\n");
}

TEST(text_of_any_kind_comes_back_as_it_was)
{
	static const char *const texts[] = {"", " ", "no", "~", "null", "1e3", "12:30", "- a", "a:", "'",
		"\"\\", "a\nb\tc", "#", "*x", "&x", "!x", "%", "@", "`", "\x01", "\xc2\x85", "\xe2\x80\xa8",
		"日本", "\xef\xbb\xbf", "😀", "[a]", "a, b", "--- x", "${A:-b}", "=", "<<", "0x1f", "true"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct edit_setting settings[] = {{.key = "scripts", .name = "a", .value = texts[i]},
			{.key = "envs", .value = texts[i], .list = true}};
		/* The edit itself compares. */
		_cleanup_free_ char *block = edit(WEB, true, EDIT_SANDBOXES, "db", settings, 2);
		_cleanup_free_ char *flow =
			edit("sandboxes: {}\nx: {sandboxes: {}}", true, EDIT_SANDBOXES, "db", settings, 2);
		_cleanup_free_ char *json =
			edit("{\"sandboxes\": {\"a\": {}}}", true, EDIT_SANDBOXES, "db", settings, 2);

		CHECK(strstr(block, "db:") && strstr(flow, "db:") && strstr(json, "\"db\":"));
	}
	CHECK_ADDED(WEB, "\xff", IMAGE, "INVALID");
}

TEST(a_missing_or_empty_section_is_made)
{
	CHECK_ADDED("", "db", IMAGE, "sandboxes:\n" DB);
	CHECK_ADDED("# nothing yet\n", "db", IMAGE, "# nothing yet\n\nsandboxes:\n" DB);
	CHECK_ADDED("meta:\n  description: d\n# end\n", "db", IMAGE,
		"meta:\n  description: d\n# end\n\nsandboxes:\n" DB);
	CHECK_ADDED("sandboxes:\n", "db", IMAGE, "sandboxes:\n" DB);
	CHECK_ADDED("sandboxes: # all\n\n  # web:\n  #   image: y\n\ngroups:\n", "db", IMAGE,
		"sandboxes: # all\n\n  # web:\n  #   image: y\n" DB "\ngroups:\n");
	CHECK_ADDED("sandboxes: {} # none\n", "db", IMAGE, "sandboxes: # none\n" DB);
	CHECK_ADDED("sandboxes: ~\nmeta: {}\n", "db", IMAGE, "sandboxes:\n" DB "meta: {}\n");
	CHECK_ADDED("{}", "db", IMAGE, "{sandboxes: {db: {image: x:1}}}");
	CHECK_ADDED("---\n", "db", IMAGE, "---\n\nsandboxes:\n" DB);
}

TEST(ends_of_lines_and_of_the_file_stay_as_they_are)
{
	CHECK_ADDED("sandboxes:\r\n  web:\r\n    image: y\r\n", "db", IMAGE,
		"sandboxes:\r\n  web:\r\n    image: y\r\n  db:\r\n    image: x:1\r\n");
	CHECK_ADDED("sandboxes:\n  web:\n    image: y", "db", IMAGE,
		"sandboxes:\n  web:\n    image: y\n  db:\n    image: x:1");
	CHECK_ADDED("\xef\xbb\xbfsandboxes:\n  web:\n    image: y\n", "db", IMAGE, "\xef\xbb\xbf" WEB DB);
	CHECK_ADDED("# ünï\nsandboxes:\n  wéb:\n    image: 日本\n", "db", IMAGE,
		"# ünï\nsandboxes:\n  wéb:\n    image: 日本\n" DB);
	CHECK_REMOVED("sandboxes:\n  web:\n    image: y\n  db:\n    image: x:1", "db",
		"sandboxes:\n  web:\n    image: y");
}

TEST(texts_of_several_lines_stay_whole)
{
	CHECK_ADDED("sandboxes:\n  web:\n    scripts:\n      start: |\n        a\n\n        b\n\nmeta: {}\n",
		"db", IMAGE,
		"sandboxes:\n  web:\n    scripts:\n      start: |\n        a\n\n        b\n" DB
		"\nmeta: {}\n");
	CHECK_ADDED("sandboxes:\n  web:\n    scripts:\n      start: |+\n        a\n\n\nmeta: {}\n", "db",
		IMAGE, "sandboxes:\n  web:\n    scripts:\n      start: |+\n        a\n\n\n" DB "meta: {}\n");
	CHECK_REMOVED("sandboxes:\n  web:\n    scripts:\n      start: |+\n        a\n\n  db:\n    image: y\n",
		"db", "sandboxes:\n  web:\n    scripts:\n      start: |+\n        a\n\n");
	CHECK_ADDED("sandboxes:\n  web:\n    workdir: 'a\n      b'\n", "db", IMAGE,
		"sandboxes:\n  web:\n    workdir: 'a\n      b'\n" DB);
}

TEST(flows_are_added_to_in_their_own_style)
{
	CHECK_ADDED("{\"sandboxes\": {\"a\": {\"image\": \"y\"}}}\n", "db", IMAGE,
		"{\"sandboxes\": {\"a\": {\"image\": \"y\"}, \"db\": {\"image\": \"x:1\"}}}\n");
	CHECK_ADDED("sandboxes: {\n  a: {image: y}, # a\n  b: {image: y} # b\n}\n", "db", IMAGE,
		"sandboxes: {\n  a: {image: y}, # a\n  b: {image: y}, # b\n  db: {image: x:1}\n}\n");
	CHECK_ADDED("sandboxes: {\n  a: {image: y},\n}\n", "db", IMAGE,
		"sandboxes: {\n  a: {image: y},\n  db: {image: x:1},\n}\n");
	CHECK_ADDED("sandboxes: {a: {image: y},}\n", "db", IMAGE,
		"sandboxes: {a: {image: y}, db: {image: x:1},}\n");
}

TEST(a_component_is_removed_with_what_is_indented_below_it)
{
	CHECK_REMOVED("# top\nsandboxes:\n  # a web\n  web: # w\n    image: y\n    # inner\n  # of db\n" DB,
		"web", "# top\nsandboxes:\n  # a web\n  # of db\n" DB);
	CHECK_REMOVED(WEB "\n" DB "\nmeta: {}\n", "db", WEB "\nmeta: {}\n");
	CHECK_REMOVED("sandboxes:\n\n  web:\n    image: y\n\n" DB, "web", "sandboxes:\n\n" DB);
	CHECK_REMOVED(WEB "\n" DB, "db", WEB);
	CHECK_REMOVED("sandboxes: # s\n" DB "meta: {}\n", "db", "sandboxes: {} # s\nmeta: {}\n");
	CHECK_REMOVED("sandboxes: {a: {}, db: {image: y}, c: {}}\n", "db", "sandboxes: {a: {}, c: {}}\n");
	CHECK_REMOVED("sandboxes: {a: {}, db: {image: y}}\n", "db", "sandboxes: {a: {}}\n");
	CHECK_REMOVED("sandboxes: {\n  a: {},\n  db: {} # d\n}\n", "db", "sandboxes: {\n  a: {}\n}\n");
	CHECK_REMOVED("sandboxes: {db: {}}\n", "db", "sandboxes: {}\n");
}

TEST(what_cannot_be_edited_alone_is_refused)
{
	CHECK_REMOVED("sandboxes:\n  db: &d\n    image: y\n  web: *d\n", "db", "UNAVAILABLE");
	CHECK_REMOVED("sandboxes:\n  db: &d\n    image: y\n  web: *d\n", "web",
		"sandboxes:\n  db: &d\n    image: y\n");
	CHECK_ADDED("x: &x\n  a: {}\nsandboxes: *x\n", "db", IMAGE, "UNAVAILABLE");
	CHECK_ADDED("sandboxes: [a]\n", "db", IMAGE, "UNAVAILABLE");
	CHECK_ADDED("- a\n", "db", IMAGE, "UNAVAILABLE");
	CHECK_ADDED("? sandboxes\n: web:\n    image: y\n", "db", IMAGE, "UNAVAILABLE");
	CHECK_ADDED("sandboxes: {\n", "db", IMAGE, "INVALID");
	CHECK_ADDED("a: 1\na: 2\n", "db", IMAGE, "INVALID");
	CHECK_ADDED(WEB, "web", IMAGE, "EXISTS");
	CHECK_REMOVED(WEB, "wbe", "NOT_FOUND");
	CHECK_REMOVED("", "web", "NOT_FOUND");
	CHECK(strstr(err.text, "has no 'web'"));
}

TEST(what_was_added_and_removed_again_leaves_the_text_as_it_was)
{
	static const char *const texts[] = {WEB, WEB "\n# c\nmeta: {}\n",
		"sandboxes:\n  a:\n    image: y\n\n  b: {image: z}\n", "sandboxes: {a: {}}\n",
		"{\"sandboxes\": {\"a\": {}}}", "sandboxes: {\n  a: {}\n}\n"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *more = edit(texts[i], true, EDIT_SANDBOXES, "db", MANY);

		CHECK_REMOVED(more, "db", texts[i]);
	}
}
