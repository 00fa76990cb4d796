/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/stage/marks.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#define GIT     "run by git"
#define SHELL   "run by the shell"
#define EDITOR  "run by the editor"
#define PACKAGE "run by package managers"
#define BUILD   "run by builds"
#define SESSION "run by the session"
#define CI      "run by CI"
#define LOGIN   "lets others in"

/* A path matches where its last parts match the pattern's parts, one by one; a pattern that ends in "/"
 * matches all below a directory so called. */
static const struct {
	const char *pattern, *why;
} table[] = {
	/* git: hooks, programs that its configuration names, a file that says where the repository is; a bare
	 * repository is often called NAME.git. */
	{"*.git/hooks/", GIT},
	{"*.git/config", GIT},
	{"*.git/config.worktree", GIT},
	{"*.git/modules/", GIT},
	{"*.git/worktrees/", GIT},
	{"*.git/info/attributes", GIT},
	{".git", GIT},
	{".gitconfig", GIT},
	{".config/git/", GIT},
	{".githooks/", GIT},
	{".husky/", GIT},
	{".pre-commit-config.yaml", GIT},
	{".lefthook.y*ml", GIT},
	{"lefthook.y*ml", GIT},
	/* What runs as somebody enters a directory or opens a shell. */
	{".envrc", SHELL},
	{".direnv/", SHELL},
	{".mise.toml", SHELL},
	{"mise.toml", SHELL},
	{".bash*", SHELL},
	{".profile", SHELL},
	{".zsh*", SHELL},
	{".zprofile", SHELL},
	{".zlog*", SHELL},
	{".config/fish/", SHELL},
	{".inputrc", SHELL},
	/* As it is opened there. */
	{".vscode/", EDITOR},
	{"*.code-workspace", EDITOR},
	{".idea/", EDITOR},
	{".devcontainer/", EDITOR},
	{".devcontainer.json", EDITOR},
	{".exrc", EDITOR},
	{".vimrc", EDITOR},
	{".nvimrc", EDITOR},
	{".nvim.lua", EDITOR},
	{".dir-locals.el", EDITOR},
	{".editorconfig", EDITOR},
	{".gdbinit", EDITOR},
	{".lldbinit", EDITOR},
	{".claude/", EDITOR},
	{".cursor/", EDITOR},
	{".mcp.json", EDITOR},
	/* Scripts of packages; where they come from. */
	{"package.json", PACKAGE},
	{".npmrc", PACKAGE},
	{".yarnrc*", PACKAGE},
	{".yarn/", PACKAGE},
	{".pnpmfile.cjs", PACKAGE},
	{"composer.json", PACKAGE},
	{"pip.conf", PACKAGE},
	{".pypirc", PACKAGE},
	{"setup.py", PACKAGE},
	{"Gemfile", PACKAGE},
	/* Editors' helpers run these by themselves, tests and interpreters load them. */
	{"build.rs", BUILD},
	{".cargo/config*", BUILD},
	{"rust-toolchain*", BUILD},
	{"*.gradle", BUILD},
	{"*.gradle.kts", BUILD},
	{".mvn/", BUILD},
	{"conftest.py", BUILD},
	{"sitecustomize.py", BUILD},
	{"usercustomize.py", BUILD},
	{"*.pth", BUILD},
	/* Elsewhere, once it is pushed. */
	{".github/workflows/", CI},
	{".github/actions/", CI},
	{".gitlab-ci.yml", CI},
	{".circleci/", CI},
	{".ci/", CI},
	/* Where a home is a volume. */
	{".ssh/", LOGIN},
	{".config/autostart/", SESSION},
	{".config/systemd/", SESSION},
	{".xinitrc", SESSION},
	{".xprofile", SESSION},
	{".xsession*", SESSION},
	{".local/bin/", SESSION},
};

static size_t parts_of(const char *path)
{
	size_t n = 1;

	for (; *path; path++)
		n += *path == '/' && path[1];
	return n;
}

/* The path from its part `number` on. */
static const char *part(const char *path, size_t number)
{
	for (; number; number--)
		path = strchr(path, '/') + 1;
	return path;
}

/* Whether the parts of the pattern match the first ones of the path. */
static bool begins_with(const char *path, const char *pattern)
{
	char name[256], wanted[64];

	if (*pattern != '*' && tolower((unsigned char)*pattern) != tolower((unsigned char)*path))
		return false;
	for (;;) {
		size_t n = strcspn(path, "/"), m = strcspn(pattern, "/");

		if (n >= sizeof name || m >= sizeof wanted)
			return false;
		memcpy(name, path, n);
		memcpy(wanted, pattern, m);
		name[n] = wanted[m] = '\0';
		if (fnmatch(wanted, name, FNM_CASEFOLD) != 0)
			return false;
		path += n;
		pattern += m;
		if (!*pattern)
			return !*path;
		if (*path != '/')
			return false;
		path++;
		if (!*++pattern)
			return *path;
	}
}

const char *stage_mark_of_path(const char *path)
{
	size_t parts = parts_of(path);

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		for (size_t at = 0; at < parts; at++)
			if (begins_with(part(path, at), table[i].pattern))
				return table[i].why;
	return NULL;
}

bool stage_leads_out(const char *path, const char *target)
{
	long depth = (long)parts_of(path) - 1;

	if (*target == '/')
		return true;
	while (*target) {
		size_t n = strcspn(target, "/");

		if (n == 2 && !memcmp(target, "..", 2))
			depth--;
		else if (n && !(n == 1 && *target == '.'))
			depth++;
		if (depth < 0)
			return true;
		target += n;
		target += strspn(target, "/");
	}
	return false;
}
