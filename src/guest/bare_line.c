/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/bare_line.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

/* What no shell takes for anything but itself. */
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,@%+"
#define BLANK " \t"

/* What dash, bash or busybox have of their own, or read as more than a word (POSIX.1-2017, Shell Command
 * Language; the manuals of the three). */
static const char *const of_shells[] = {".", ":", "alias", "bg", "bind", "break", "builtin", "caller", "case",
	"cd", "chdir", "command", "compgen", "complete", "compopt", "continue", "coproc", "declare", "dirs",
	"disown", "do", "done", "echo", "elif", "else", "enable", "esac", "eval", "exec", "exit", "export",
	"false", "fc", "fg", "fi", "for", "function", "getopts", "hash", "help", "history", "if", "in",
	"jobs", "kill", "let", "local", "logout", "mapfile", "popd", "printf", "pushd", "pwd", "read",
	"readarray", "readonly", "return", "select", "set", "shift", "shopt", "source", "suspend", "test",
	"then", "time", "times", "trap", "true", "type", "typeset", "ulimit", "umask", "unalias", "unset",
	"until", "wait", "while"};

static bool is_of_shells(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(of_shells); i++)
		if (!strcmp(word, of_shells[i]))
			return true;
	return false;
}

/* Functions that bash exports, which may be called as a program is. */
static bool has_functions(char *const *env)
{
	for (; *env; env++)
		if (!strncmp(*env, "BASH_FUNC_", 10))
			return true;
	return false;
}

/* "=" in the first word makes a variable. */
static bool split(struct bare_line *line)
{
	size_t count = 0;

	for (char *at = line->text + strspn(line->text, BLANK); *at; at += strspn(at, BLANK)) {
		size_t n = strspn(at, count ? PLAIN "=" : PLAIN);
		bool last = !at[n];

		if (!n || (!last && !strchr(BLANK, at[n])) || count == BARE_WORDS_MAX)
			return false;
		line->argv[count++] = at;
		at[n] = 0;
		at += n + !last;
	}
	line->argv[count] = NULL;
	return count;
}

bool bare_line(char *const *argv, char *const *env, struct bare_line *line)
{
	size_t size, words = 0;

	if (!argv[0] || !argv[1] || !argv[2] || argv[3] || strcmp(argv[0], "/bin/sh") ||
		strcmp(argv[1], "-c"))
		return false;
	size = strlen(argv[2]) + 1;
	if (size > sizeof line->text || has_functions(env))
		return false;
	memcpy(line->text, argv[2], size);
	if (!split(line))
		return false;
	while (line->argv[words])
		words++;
	/* "exec PROGRAM" is the same; its options are not. */
	if (!strcmp(line->argv[0], "exec") && words > 1 && line->argv[1][0] != '-')
		memmove(line->argv, line->argv + 1, words * sizeof *line->argv);
	return !is_of_shells(line->argv[0]) && line->argv[0][0] != '-' && !strchr(line->argv[0], '=');
}
