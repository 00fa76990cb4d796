/* SPDX-License-Identifier: Apache-2.0 */
/* Texts compared by lines: the difference leads from one to the other, and is a least one. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "bin/monofs/lines.h"

/* Lines of one letter each. */
static char *make(const char *letters)
{
	size_t n = strlen(letters);
	char *text = malloc(2 * n + 1);

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = letters[i];
		text[2 * i + 1] = '\n';
	}
	text[2 * n] = 0;
	return text;
}

static size_t longest_common(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	_cleanup_free_ size_t *row = calloc(m + 1, sizeof *row);

	for (size_t i = 0; i < n; i++) {
		size_t corner = 0;

		for (size_t j = 0; j < m; j++) {
			size_t above = row[j + 1];

			row[j + 1] = a[i] == b[j] ? corner + 1 : above > row[j] ? above : row[j];
			corner = above;
		}
	}
	return row[m];
}

/* What is not changed is the same in both, in order. */
static bool leads_over(const struct lines_compared *c)
{
	size_t a = 0, b = 0;

	for (;;) {
		while (a < c->before.count && c->before.list[a].changed)
			a++;
		while (b < c->after.count && c->after.list[b].changed)
			b++;
		if (a == c->before.count || b == c->after.count)
			return a == c->before.count && b == c->after.count;
		if (c->before.list[a].size != c->after.list[b].size ||
			memcmp(c->before.list[a].text, c->after.list[b].text, c->before.list[a].size) != 0)
			return false;
		a++;
		b++;
	}
}

static void compare(const char *a, const char *b)
{
	_cleanup_free_ char *before = make(a), *after = make(b);
	_cleanup_(lines_free) struct lines_compared c = {0};
	struct error err;

	CHECK_INT(lines_compare(before, strlen(before), after, strlen(after), &c, &err), 0);
	CHECK(leads_over(&c));
	CHECK_INT((int)(c.removed + longest_common(a, b)), (int)strlen(a));
	CHECK_INT((int)(c.added + longest_common(a, b)), (int)strlen(b));
}

TEST(a_difference_is_a_least_one)
{
	unsigned seed = 1;

	compare("", "");
	compare("a", "");
	compare("", "abc");
	compare("abcabba", "cbabac");
	compare("xxxx", "yyyy");
	for (int i = 0; i < 20000; i++) {
		char a[24], b[24];
		int n = rand_r(&seed) % 23, m = rand_r(&seed) % 23, letters = 1 + rand_r(&seed) % 6;

		for (int j = 0; j < n; j++)
			a[j] = (char)('a' + rand_r(&seed) % letters);
		for (int j = 0; j < m; j++)
			b[j] = (char)('a' + rand_r(&seed) % letters);
		a[n] = b[m] = 0;
		compare(a, b);
	}
}

/* Past the bound the difference need not be a least one, but it holds, and it ends. */
TEST(texts_that_differ_in_very_much_are_compared_in_time)
{
	struct buffer a = {0}, b = {0};
	_cleanup_(lines_free) struct lines_compared c = {0};
	struct error err;
	unsigned seed = 7;

	for (int i = 0; i < 60000; i++) {
		buffer_format(&a, "%d\n", rand_r(&seed) % 3000);
		buffer_format(&b, "%d\n", rand_r(&seed) % 3000);
	}
	CHECK_INT(lines_compare(a.data, a.size, b.data, b.size, &c, &err), 0);
	CHECK(leads_over(&c));
	CHECK_INT((int)(c.before.count - c.removed), (int)(c.after.count - c.added));
	buffer_free(&a);
	buffer_free(&b);
}

static void check_hunks(const char *before, const char *after, const char *expected)
{
	_cleanup_(lines_free) struct lines_compared c = {0};
	_cleanup_buffer_ struct buffer out = {0};
	_cleanup_free_ char *text = NULL;
	struct error err;

	CHECK_INT(lines_compare(before, strlen(before), after, strlen(after), &c, &err), 0);
	lines_write_hunks(&c, &out);
	text = buffer_take_text(&out);
	CHECK_TEXT(text, expected);
}

TEST(hunks_are_those_of_a_unified_diff)
{
	check_hunks("a\nb\n", "a\nb\n", "");
	check_hunks("", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n");
	check_hunks("a\n", "", "@@ -1 +0,0 @@\n-a\n");
	check_hunks("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n",
		"@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n");
	check_hunks("1\n2\n3\n4\n5\n6\n7\n8\n9\na\nb\nc\n", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\na\nb\nd\n",
		"@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n@@ -9,4 +10,4 @@\n 9\n a\n b\n-c\n+d\n");
	check_hunks("1\n2\n3\n4\n5\n6\n7\n8\n", "x\n2\n3\n4\n5\n6\n7\ny\n",
		"@@ -1,8 +1,8 @@\n-1\n+x\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+y\n");
	check_hunks("a\nb", "a\nc",
		"@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n\\ No newline at end of "
		"file\n");
	check_hunks("a", "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
}
