/* SPDX-License-Identifier: Apache-2.0 */
/* Which lines need no shell, and which a shell would read as something else. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "guest/bare_line.h"

static const char *const no_env[] = {"A=b", NULL};

/* The words with '|' between; "": the shell is needed. */
static const char *words_of(const char *line, const char *const *env)
{
	const char *const argv[] = {"/bin/sh", "-c", line, NULL};
	static char text[2 * BARE_LINE_MAX];
	struct bare_line b;

	text[0] = 0;
	if (!bare_line((char *const *)argv, (char *const *)env, &b))
		return text;
	for (size_t i = 0; b.argv[i]; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "|" : "", b.argv[i]);
	return text;
}

TEST(lines_that_are_words)
{
	static const char *const good[][2] = {{"sleep infinity", "sleep|infinity"}, {"  a\t b ", "a|b"},
		{"/usr/bin/env A=b ./x", "/usr/bin/env|A=b|./x"}, {"exec python3 -m app", "python3|-m|app"},
		{"curl http://localhost:80/x,y+z@%40", "curl|http://localhost:80/x,y+z@%40"}, {"a", "a"},
		{"grep exec", "grep|exec"}};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		CHECK_TEXT(words_of(good[i][0], no_env), good[i][1]);
}

TEST(lines_that_need_a_shell)
{
	static const char *const bad[] = {"", "  ", "a;b", "a&", "a|b", "a >b", "a <b", "$A", "`a`", "a*",
		"a?", "[ a", "a 'b'", "a \"b\"", "a\\b", "a\nb", "a\n", "a #b", "~/a", "a ~", "A=b c", "A=b",
		"{ a", "! a", "(a)", "a ^b", "cd x", "echo x", "test -e x", ": x", ". x", "true", "exit 3",
		"exec", "exec -a x y", "exec cd x", "exec A=b c", "while a", "if x", "-x", "exec exec a",
		"caf\xc3\xa9"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK_TEXT(words_of(bad[i], no_env), "");
}

TEST(other_commands_are_left_alone)
{
	static const char *const others[][5] = {{"/bin/bash", "-c", "a b", NULL}, {"sh", "-c", "a b", NULL},
		{"/bin/sh", "-e", "a b", NULL}, {"/bin/sh", "-c", NULL}, {"/bin/sh", NULL}, {NULL},
		{"/bin/sh", "-c", "a b", "name", NULL}};
	static const char *const functions[] = {"BASH_FUNC_a%%=() { echo; }", NULL};
	struct bare_line b;

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		CHECK(!bare_line((char *const *)others[i], (char *const *)no_env, &b));
	CHECK_TEXT(words_of("a b", functions), "");
}

TEST(bounds)
{
	char line[BARE_LINE_MAX + 2], words[2 * BARE_WORDS_MAX + 3] = "";

	memset(line, 'a', sizeof line);
	line[BARE_LINE_MAX - 1] = 0;
	CHECK_TEXT(words_of(line, no_env), line);
	line[BARE_LINE_MAX - 1] = 'a';
	line[BARE_LINE_MAX] = 0;
	CHECK_TEXT(words_of(line, no_env), "");
	for (size_t i = 0; i < BARE_WORDS_MAX; i++)
		memcpy(words + 2 * i, "a ", 3);
	CHECK(*words_of(words, no_env));
	memcpy(words + 2 * BARE_WORDS_MAX, "a", 2);
	CHECK_TEXT(words_of(words, no_env), "");
}
