/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command of a program as data: what it is called, takes and does. The tree of them starts at the program's
 * root, whose children are the verbs; everything that talks about commands (dispatch, help, man pages,
 * completion, the test of the letters) walks that tree.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "bin/cli/options.h"

struct command;
struct monocore;
struct program;
struct progress_view;

/* What each program has of these is in its table (struct program). */
struct global_options {
	bool help, quiet, verbose;
	const char *directory;
	const char *config;                     /* monocore's */
	const char *passphrase_file, *key_file; /* monofs' */
};

/* What a running command has at hand. */
struct cli {
	const struct program *program;
	struct global_options global;
	const char *path; /* of the command that runs: "self doctor" */
	struct progress_view *progress;
	bool events; /* progress goes to standard output, as JSON */
	/* monocore's alone */
	struct monocore *mc;                   /* after cli_open() */
	const char *release_key, *release_url; /* what the build says of releases; "": nothing */
};

enum command_group {
	GROUP_SANDBOXES,
	GROUP_IMAGES,
	GROUP_TREES,
	GROUP_REVISIONS,
	GROUP_REPOSITORY,
	GROUP_HOST,
	GROUP_LATER
};

enum command_words {
	WORDS_NONE,
	WORDS_SANDBOXES,  /* also a project's components, which are turned into their sandboxes */
	WORDS_SANDBOX,    /* the first word is one; the others are something else */
	WORDS_COMPONENTS, /* of a project, or their sandboxes, which the library turns into components */
	WORDS_IMAGES,
	WORDS_NAMES, /* of both */
	WORDS_INSTALLED,
	WORDS_REVISIONS,
	WORDS_KEYS,
	WORDS_SNAPSHOT, /* the first word is one */
	WORDS_SNAPSHOTS,
	WORDS_PARTS,                     /* of a project: components and builds */
	WORDS_BUILDS,                    /* of a project, or files where there are none */
	WORDS_NAMED_LAST = WORDS_BUILDS, /* those up to here are asked for, by complete_names */
	WORDS_FILES,
	WORDS_COMMANDS,
	WORDS_SHELLS
};

struct command {
	const char *name;
	const char *arguments; /* "IMAGE[~SCRIPT] [[--] COMMAND [ARGUMENT...]]"; NULL: none */
	const char *summary;   /* one line, no full stop */
	const char *help;      /* paragraphs, parted by empty lines; NULL: the summary says it all */
	const char *examples;  /* lines; NULL: none */
	const struct option_spec *options;
	const struct command *const *children; /* NULL-terminated; a command with children has no run */
	size_t size;                           /* of the struct that the options fill */
	const void *defaults;                  /* what it starts from; NULL: zeroes */
	unsigned least, most;                  /* words it takes */
	int (*run)(struct cli *cli, const void *options, int count, char **words); /* the exit status */
	enum command_group group;
	enum command_words words; /* what the words are, for completion */
	bool stop_early; /* no options behind the first word: they belong to the command in the sandbox */
	bool hidden;     /* from help and completion */
	bool later;      /* known, but refused as not yet available */
};

#define WORDS_ANY UINT_MAX

/* What the environment changes, for the manual; the last one of a list has no name. */
struct environment_variable {
	const char *name, *help;
};

/* A program of ours. */
struct program {
	const struct command *root;
	const struct option_spec *shared; /* of every command: the rows of a struct global_options */
	const struct environment_variable *environment;
	const char *const *groups;  /* the title of each enum command_group, NULL: it has none */
	const char *complete_names; /* the command that prints the names of a kind of words */
	const char *complete;       /* the command that prints completion scripts */
	const char *(*version)(void);
	/* Puts others in place of the words of a command that is about to run; *names keeps them. Returns 0,
	 * or the exit status where something was told. NULL: they stay. */
	int (*resolve)(
		struct cli *cli, const struct command *command, int count, char **words, char ***names);
};

/* What the root of each program has of its own. */
struct root_options {
	bool version;
};
extern const struct option_spec root_rows[];

/* The child of this name, or NULL. */
const struct command *command_find(const struct command *parent, const char *name);

/* "unknown command 'stpo'; did you mean 'stop'?" */
void command_unknown(const struct program *program, const struct command *parent, const char *path,
	const char *name, struct error *err);

/* Every command below `parent`, depth first, with its path ("self kernel list"); the visitor's path is valid
 * during the call. A non-zero return ends it and is returned. */
typedef int command_visitor(void *context, const struct command *command, const char *path);
int command_walk(const struct command *parent, const char *path, command_visitor *visit, void *context);
