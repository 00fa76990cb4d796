/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfiles and .dockerignore files as docker reads them. */
#include "test.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "project/dockerfile.h"
#include "project/dockerfile_words.h"
#include "project/dockerignore.h"

/* "KIND[--flag=value](text)[json|…]{heredoc}" of each, or the error's text. */
static const char *parse(const char *text)
{
	static char out[8192];
	struct dockerfile d;
	struct error err;
	size_t n = 0;

	*out = 0;
	if (dockerfile_parse(text, strlen(text), &d, &err) < 0)
		return strcpy(out, err.text);
	for (size_t i = 0; i < d.count; i++) {
		const struct dockerfile_instruction *x = &d.instructions[i];

		n += (size_t)snprintf(
			out + n, sizeof out - n, "%s%s", i ? " " : "", dockerfile_kind_name(x->kind));
		for (size_t f = 0; f < x->flag_count; f++)
			n += (size_t)snprintf(out + n, sizeof out - n, "--%s=%s", x->flags[f].name,
				x->flags[f].value ? x->flags[f].value : "");
		n += (size_t)snprintf(out + n, sizeof out - n, "(%s)", x->text);
		for (char **j = x->json; j && *j; j++)
			n += (size_t)snprintf(out + n, sizeof out - n, "|%s|", *j);
		for (size_t h = 0; h < x->heredoc_count; h++)
			n += (size_t)snprintf(out + n, sizeof out - n, "{%s:%s:%s}", x->heredocs[h].name,
				x->heredocs[h].expand ? "expand" : "raw", x->heredocs[h].text);
	}
	dockerfile_free(&d);
	return out;
}

TEST(lines_that_go_on_are_one_instruction_and_comments_are_none)
{
	CHECK_TEXT(parse("# a comment\nFROM a AS b\n\n  run one && \\\n# within\n\n   two \\  \n three\n"),
		"FROM(a AS b) RUN(one &&    two  three)");
	CHECK_TEXT(parse("FROM a\r\nRUN b \\\r\n c\r\n"), "FROM(a) RUN(b  c)");
	CHECK_TEXT(parse("\xef\xbb\xbf"
			 "FROM a"),
		"FROM(a)");
	CHECK_TEXT(parse("FROM a\nRUN x \\"), "FROM(a) RUN(x)");
}

TEST(the_escape_character_is_a_directive_of_the_first_lines)
{
	CHECK_TEXT(parse("# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN x ` \n y\\\n"),
		"FROM(a) RUN(x  y\\)");
	CHECK_TEXT(parse("# word\n# escape=`\nFROM a\nRUN x \\\ny"), "FROM(a) RUN(x y)");
	CHECK_TEXT(parse("# escape=x\nFROM a"), "line 1: escape may be \\ or `, not 'x'");
}

TEST(flags_and_json_forms_are_told_from_words)
{
	CHECK_TEXT(parse("FROM --platform=linux/amd64 a\nCOPY --from=b --link x y\nENV --a b\nCMD [\"a\", "
			 "\"b c\"]\n"
			 "ENTRYPOINT [ a ]\nRUN []\n"),
		"FROM--platform=linux/amd64(a) COPY--from=b--link=(x y) ENV(--a b) CMD([\"a\", \"b "
		"c\"])|a||b c| "
		"ENTRYPOINT([ a ]) RUN([])");
	CHECK_TEXT(parse("FROM a\nCOPY -- x y"), "line 2: COPY: a flag without a name");
}

TEST(heredocs_stand_with_the_instruction_that_opens_them)
{
	CHECK_TEXT(parse("FROM a\nRUN <<EOF\n# no comment \\\nx $Y\nEOF\nUSER u\n"),
		"FROM(a) RUN(<<EOF){EOF:expand:# no comment \\\nx $Y\n} USER(u)");
	CHECK_TEXT(parse("FROM a\nCOPY <<-'A' <<\"B\" /d/\n\t1\n\tA\n\t2\nB\n"),
		"FROM(a) COPY(<<-'A' <<\"B\" /d/){A:raw:1\n}{B:raw:\t2\n}");
	CHECK_TEXT(parse("FROM a\nRUN cat <<A > x \\\n && y\nz\nA\n"),
		"FROM(a) RUN(cat <<A > x  && y){A:expand:z\n}");
	CHECK_TEXT(parse("FROM a\nRUN echo '<<EOF' <<<x\nUSER u"), "FROM(a) RUN(echo '<<EOF' <<<x) USER(u)");
	CHECK_TEXT(
		parse("FROM a\nRUN <<EOF\nx\n"), "line 2: RUN: the file ends before the heredoc does: EOF");
}

TEST(what_is_wrong_is_told_with_its_line)
{
	CHECK_TEXT(parse("FROM a\n\nRUNN x"), "line 3: unknown instruction 'RUNN'; did you mean 'RUN'?");
	CHECK_TEXT(parse("RUN x\nFROM a"), "line 1: RUN: a FROM must come before it");
	CHECK_TEXT(parse("ARG x\n"), "it has no FROM");
	CHECK_TEXT(parse(""), "it has no FROM");
	CHECK_TEXT(parse("FROM a\nUSER\n"), "line 2: USER: nothing stands behind it");
	CHECK_TEXT(parse("FROM a\nCOPY --from=b"), "line 2: COPY: nothing stands behind it");
}

/* ---- words ------------------------------------------------------------------------------------------- */

static const char *find(void *context, const char *name, size_t n)
{
	(void)context;
	return n == 1 && *name == 'a'                ? "A"
	       : n == 5 && !memcmp(name, "empty", 5) ? ""
	       : n == 2 && !memcmp(name, "sp", 2)    ? "x y"
						     : NULL;
}

static const struct dockerfile_variables variables = {'\\', find, NULL};

static const char *joined(int r, char **list, const struct error *err)
{
	static char out[4096];
	size_t n = 0;

	if (r < 0)
		return strcpy(out, err->text);
	*out = 0;
	for (char **w = list; *w; w++)
		n += (size_t)snprintf(out + n, sizeof out - n, "<%s>", *w);
	text_list_free(list);
	return out;
}

static const char *words(const char *text)
{
	struct error err;
	char **list = NULL;
	int r = dockerfile_words(text, &variables, &list, &err);

	return joined(r, list, &err);
}

static const char *pairs(const char *text)
{
	struct error err;
	char **list = NULL;
	int r = dockerfile_pairs(text, &variables, &list, &err);

	return joined(r, list, &err);
}

TEST(variables_stand_for_their_values)
{
	CHECK_TEXT(words("$a ${a}b $none. \\$a '$a' \"$a'\" $sp $"), "<A><Ab><.><$a><$a><A'><x y><$>");
	CHECK_TEXT(
		words("${none:-d} ${empty:-d} ${empty-d} ${a:-d} ${a:+s} ${none+s} ${empty+s} ${empty:+s}"),
		"<d><d><><A><s><><s><>");
	CHECK_TEXT(words("${none:-${a}\"} b\"}c"), "<A} bc>");
	CHECK_TEXT(words("${a:?x}${empty?x}"), "<A>");
	CHECK_TEXT(words("${none:?must be $a}"), "none: must be A");
	CHECK_TEXT(words("${none?}"), "none: it is not set");
	CHECK_TEXT(
		words("${a#x}"), "'${a#x}': expected ${NAME}, or ${NAME:-word} with :-, -, :+, +, :? or ?");
	CHECK_TEXT(words("${a"), "'${a': expected ${NAME}, or ${NAME:-word} with :-, -, :+, +, :? or ?");
	CHECK_TEXT(words("${a:-x"), "a '${' is not closed");
	CHECK_TEXT(words("'x"), "a quote (') is not closed");
}

TEST(pairs_have_a_new_form_and_an_old_one)
{
	CHECK_TEXT(pairs("A=1 B=\"two words\" C='$a' D=$a\\ x"), "<A=1><B=two words><C=$a><D=A x>");
	CHECK_TEXT(pairs("A some $a  words"), "<A=some A  words>");
	CHECK_TEXT(pairs("\"k\"=v"), "<k=v>");
	CHECK_TEXT(pairs("A"), "'A' has no value");
	CHECK_TEXT(pairs("A=1 B"), "'B': expected KEY=value");
}

TEST(variables_within_variables_are_bounded)
{
	char text[400] = "";
	struct error err;
	char **list;

	for (int i = 0; i < 40; i++)
		strcat(text, "${b:-");
	CHECK_ERROR(dockerfile_words(text, &variables, &list, &err), ERROR_LIMIT);
}

/* ---- .dockerignore ----------------------------------------------------------------------------------- */

static bool ignored(const char *file, const char *path)
{
	struct dockerignore d;
	struct error err;
	bool is;

	CHECK_OK(dockerignore_parse(file, strlen(file), &d, &err));
	is = dockerignore_match(&d, path);
	dockerignore_free(&d);
	return is;
}

TEST(the_last_pattern_that_matches_counts)
{
	const char *file = "# comment\n/a/\n*.o\n**/*.log\n!keep.o\n b/../c \r\n\n";

	CHECK(ignored(file, "a") && ignored(file, "a/b/c"));
	CHECK(ignored(file, "x.o") && !ignored(file, "d/x.o") && !ignored(file, "keep.o"));
	CHECK(ignored(file, "x.log") && ignored(file, "d/e/x.log"));
	CHECK(ignored(file, "c") && !ignored(file, "b") && !ignored(file, "# comment"));
	CHECK(!ignored("*\n!src\n", "src/x.c") && ignored("*\n!src\n", "other"));
	CHECK(ignored("a\n!a/b\na/b/c", "a/b/c") && !ignored("a\n!a/b\na/b/c", "a/b/d"));
}

static bool matches(const char *pattern, const char *path)
{
	return dockerignore_pattern(pattern, path, strlen(path));
}

TEST(patterns_stay_within_a_name_but_for_two_stars)
{
	CHECK(matches("*", "abc") && !matches("*", "a/b") && matches("a*c", "abbc") &&
		!matches("a*c", "ab/c"));
	CHECK(matches("**", "a/b/c") && matches("**/c", "c") && matches("**/c", "a/b/c") &&
		!matches("**/c", "a/bc"));
	CHECK(matches("a/**/z", "a/z") && matches("a/**/z", "a/b/c/z") && !matches("a/**/z", "a/bz"));
	CHECK(matches("a/**", "a/b/c") && !matches("a/**", "a"));
	CHECK(matches("**/*a/*b", "q/xaya/zb") && !matches("**/*a/*b", "q/xaya/zc"));
	CHECK(matches("?b[c-e][^f]", "abdx") && !matches("?b[c-e][^f]", "abdf") && !matches("?", "/"));
	CHECK(matches("\\*x", "*x") && !matches("\\*x", "ax") && matches("[\\]]", "]") &&
		matches("a[", "a["));
	CHECK(!matches("abc", "ab") && !matches("ab", "abc") && matches("", "") && matches("a**b", "a/x/b"));
}

TEST(patterns_made_to_take_long_do_not)
{
	char path[4000], pattern[200] = "";

	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = 0;
	for (int i = 0; i < 30; i++)
		strcat(pattern, "**a*");
	strcat(pattern, "b");
	CHECK(!matches(pattern, path));
}
