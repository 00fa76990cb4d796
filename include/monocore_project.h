/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmonocore: projects. What a monocore.yaml says, checked; and what is made of it. Conventions as in
 * monocore.h; docs/monocore.yaml.md describes the file.
 */
#ifndef MONOCORE_PROJECT_H
#define MONOCORE_PROJECT_H

#include "monocore.h"

#ifdef __cplusplus
extern "C" {
#endif

struct monocore_project;

/* Something that is wrong in a file of the project. */
struct monocore_project_mistake {
	char *file;            /* as it was named, or relative to the project's directory */
	unsigned line, column; /* from 1; 0: of the file as a whole */
	char *text;            /* one line */
	char *excerpt;         /* the line of the file, and one that points; or "" */
};
struct monocore_project_mistakes {
	struct monocore_project_mistake *list;
	size_t count, more; /* more: beyond those in the list */
};
MONOCORE_API void monocore_project_mistakes_free(struct monocore_project_mistakes *mistakes);

struct monocore_project_options {
	unsigned version;
	const char *file;      /* the project's file; NULL: it is looked for */
	const char *directory; /* from where upwards; NULL: the working directory */
};
#define MONOCORE_PROJECT_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* The path of the nearest monocore.yaml, from `directory` (NULL: the working directory) upwards; the
 * caller's: monocore_free(). NOT_FOUND. */
MONOCORE_API int monocore_project_find(const char *directory, char **file, struct monocore_error *err);

/* Reads and checks a project; nothing is started, made or written. *project is the caller's:
 * monocore_project_close(). options may be NULL. NOT_FOUND: there is none. INVALID: *mistakes (may be NULL),
 * the caller's, are all that were found, and the error's text is the first. */
MONOCORE_API int monocore_project_open(const struct monocore_project_options *options,
	struct monocore_project **project, struct monocore_project_mistakes *mistakes,
	struct monocore_error *err);
MONOCORE_API void monocore_project_close(struct monocore_project *project);

MONOCORE_API const char *monocore_project_file(const struct monocore_project *project);      /* absolute */
MONOCORE_API const char *monocore_project_directory(const struct monocore_project *project); /* absolute */

/* The schema of monocore.yaml: as JSON Schema for editors, or as the document for people. The caller's:
 * monocore_free(). */
MONOCORE_API int monocore_project_schema(bool markdown, char **text, struct monocore_error *err);

/* ---- its file ---- */

struct monocore_project_init_options {
	unsigned version;
	const char *directory; /* NULL: the working directory; made where it is missing */
	const char *image;     /* of its one sandbox, which is called `app` */
	const char *script;    /* what runs in it; NULL: what the image runs */
	const char *memory;    /* "512M"; NULL: the default */
};
#define MONOCORE_PROJECT_INIT_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Writes a commented monocore.yaml. *file, its path, is the caller's: monocore_free(). EXISTS: there is one,
 * which stays as it is. INVALID: what was given makes no project. */
MONOCORE_API int monocore_project_init(
	const struct monocore_project_init_options *options, char **file, struct monocore_error *err);

/* EXISTS where it would be; else 0. */
MONOCORE_API int monocore_project_init_check(const char *directory, struct monocore_error *err);

enum monocore_project_section {
	MONOCORE_SECTION_ANY = -1, /* of remove: the one that has it */
	MONOCORE_SECTION_SANDBOXES,
	MONOCORE_SECTION_BUILDS,
	MONOCORE_SECTION_GROUPS
};

/* What there is in a project. Lists are NULL where they are empty. */
struct monocore_project_entry {
	enum monocore_project_section section;
	char *name;
	char *image; /* or a build's name; of a group "" */
	bool image_is_build;
	char **depends_on, **imports, **groups; /* imports: "BUILD.name" */
};

/* Sandboxes, builds, groups, each in the order of the files. *list is the caller's. */
MONOCORE_API int monocore_project_entries(const struct monocore_project *project,
	struct monocore_project_entry **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_project_entries_free(struct monocore_project_entry *list, size_t count);

/* The name of the image that a build makes, whether it was made or not; the caller's: monocore_free(). */
MONOCORE_API int monocore_project_build_image(struct monocore *mc, const struct monocore_project *project,
	const char *build, char **image, struct monocore_error *err);

/* One thing that a new component has; those of one key come together. */
struct monocore_project_setting {
	const char *key;   /* "image" */
	const char *name;  /* of a pair of a mapping, as in scripts: {NAME: value}; or NULL */
	const char *value; /* of a pair NULL: an empty mapping */
	bool list;         /* an item of a list */
	bool number;       /* written without quotes where it is one */
};

/*
 * Adds components of these names, each with these settings, to the project's file, whose comments, order and
 * quotes stay as they are. names ends with NULL. Nothing is written unless all went well and what comes out
 * is a project: else *mistakes (may be NULL; the caller's) are what it is not by. Errors: INVALID; EXISTS;
 * BUSY: the file was changed meanwhile; UNAVAILABLE: it is written in a way that this cannot be done in.
 */
MONOCORE_API int monocore_project_add(const char *file, enum monocore_project_section section,
	const char *const *names, const struct monocore_project_setting *settings, size_t count,
	struct monocore_project_mistakes *mistakes, struct monocore_error *err);

/* Removes components, likewise. BUSY where another needs one; force: then, too, and what comes out may have
 * mistakes. */
MONOCORE_API int monocore_project_remove(const char *file, enum monocore_project_section section,
	const char *const *names, bool force, struct monocore_project_mistakes *mistakes,
	struct monocore_error *err);

/* ---- what reaches out of it ---- */

/* A path outside of its directory, a port for other hosts, a variable of the environment: what a project has
 * only by the user's word, since its files may be somebody else's. */
struct monocore_project_reach {
	char *kind;      /* "volume", "env_file", "module", "copy", "image", "reach", "port", "variable" */
	char *component; /* "sandboxes.web"; "": the project as a whole */
	char *value;     /* what it is, exactly */
	char *text;      /* the end of a sentence: "mounts /home/me/.ssh (read-only)" */
	char *file;      /* where it is written */
	unsigned line, column;
};

/* What was not granted yet, in the order of the files: as long as there is something, neither
 * monocore_project_change() nor monocore_project_build() make anything (DENIED). *list is the caller's. */
MONOCORE_API int monocore_project_reaches(struct monocore *mc, const struct monocore_project *project,
	struct monocore_project_reach **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_project_reaches_free(struct monocore_project_reach *list, size_t count);

/* Grants all that the project, as it was opened, reaches: kept in the home for this project, by component and
 * exact value. */
MONOCORE_API int monocore_project_grant(
	struct monocore *mc, const struct monocore_project *project, struct monocore_error *err);

/* ---- what runs of it ---- */

/* The name of the sandbox of a component, "shop-web", whether there is one or not; the caller's:
 * monocore_free(). NOT_FOUND: the project has no such sandbox, with the nearest that it has. */
MONOCORE_API int monocore_project_sandbox(struct monocore *mc, const struct monocore_project *project,
	const char *component, char **sandbox, struct monocore_error *err);

struct monocore_project_component {
	char *name, *sandbox, *image;       /* image: as the file has it */
	struct monocore_sandbox_info *info; /* NULL: it was not made yet */
	bool changed;                       /* what runs, or would, is not what the file says: apply */
	bool removed;                       /* the file does not have it any more */
};

/* Components in the order of the file, then what was removed from it; names NULL: all. *list is the caller's.
 */
MONOCORE_API int monocore_project_status(struct monocore *mc, const struct monocore_project *project,
	const char *const *names, struct monocore_project_component **list, size_t *count,
	struct monocore_error *err);
MONOCORE_API void monocore_project_status_free(struct monocore_project_component *list, size_t count);

enum monocore_project_wish {
	MONOCORE_PROJECT_UP,   /* the named and all that they depend on run as the file has them */
	MONOCORE_PROJECT_DOWN, /* the named are stopped; no names: all that there is of the project */
	MONOCORE_PROJECT_APPLY /* as UP, and what the file does not have any more is stopped */
};

enum monocore_step_state {
	MONOCORE_STEP_WAITING,
	MONOCORE_STEP_WORKING,
	MONOCORE_STEP_DONE,
	MONOCORE_STEP_FAILED,
	MONOCORE_STEP_LEFT_OUT /* one before it has failed */
};

struct monocore_project_step {
	const char *verb; /* "build", "stop", "remove", "create", "update", "resume", "start", "wait for" */
	const char *component, *sandbox; /* sandbox: NULL for builds */
	const char *why;                 /* or NULL */
	enum monocore_step_state state;
	const char *error;        /* FAILED: what; LEFT_OUT: what had failed; else NULL */
	const char *log;          /* FAILED: the last lines of its log, or NULL */
	uint64_t time;            /* nanoseconds that it took, where it is over */
	bool silent;              /* there may be nothing to do in it */
	size_t number, number_of; /* from 0; of how many */
};

struct monocore_project_change_options {
	unsigned version;
	enum monocore_project_wish wish;
	const char *const *names; /* of components; NULL: all */
	bool wait;                /* until all that have a healthcheck are healthy */
	bool prepare;   /* UP: the named are made and not started, which monocore_start() does; what lives of
			 * them is left alone */
	bool build;     /* builds are looked at again first, though their images are here */
	uint64_t grace; /* as of monocore_stop(); UINT64_MAX: 10 s */
	unsigned parallel; /* steps at once; 0: what this host can do */
	/* Called for each step once before the first begins (WAITING), and when its state changes; from any
	 * thread, but one call at a time. NULL: nothing is told. */
	void (*tell)(void *context, const struct monocore_project_step *step);
	/* Called now and then: true, and no more steps are begun. NULL: never. */
	bool (*stopped)(void *context);
	/* Another command changes the same project: it is waited for. May be NULL. */
	void (*waits)(void *context);
	void *context;
};
#define MONOCORE_PROJECT_CHANGE_OPTIONS_INIT \
	{ \
		.version = 1, .grace = UINT64_MAX \
	}

/* What would be done: `tell` is called for each step, in an order in which they could be done one after the
 * other. Nothing is changed. */
MONOCORE_API int monocore_project_plan(struct monocore *mc, const struct monocore_project *project,
	const struct monocore_project_change_options *options, struct monocore_error *err);

/* Does it, several steps at a time. Where one fails, all that does not need it is done all the same, and the
 * error is the first one's: "start web: …". DENIED: monocore_project_reaches() has something, and nothing
 * was done. CLOSED: `stopped` ended it; what is up stays up. Whatever ends it
 * where, the same call again does the rest. */
MONOCORE_API int monocore_project_change(struct monocore *mc, const struct monocore_project *project,
	const struct monocore_project_change_options *options, struct monocore_error *err);

/* ---- what is run in it ---- */

/* The sandbox that was made of a component, by what there is of the project of `file` (NULL: the nearest
 * upwards). The file is not read: what was started is found whatever it says by now. *sandbox is the
 * caller's: monocore_free(); NULL: there is no project, or no such sandbox of it. */
MONOCORE_API int monocore_project_made(struct monocore *mc, const char *file, const char *component,
	char **sandbox, struct monocore_error *err);

struct monocore_script_options {
	unsigned version;
	const struct monocore_project *project; /* NULL: the sandbox is of no project */
	const char *component;                  /* of the project */
	const char *script;                     /* NULL: "start", which always exists */
	const char *line;                       /* what the shell runs in place of a script; NULL: none */
	const char *const *arguments;           /* NULL-terminated; NULL: none */
};
#define MONOCORE_SCRIPT_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* What a script of a sandbox that was made runs: of the file, else of the image's label dev.monocore.scripts,
 * by the component's shell or /bin/sh; "start" is else the image's Entrypoint and, in place of its Cmd, the
 * arguments. *command, an argument vector, is the caller's: monocore_free_strings(); NULL: what the sandbox
 * runs by itself. NOT_FOUND: there is no such script; the error has those that there are. */
MONOCORE_API int monocore_script(struct monocore *mc, const char *sandbox,
	const struct monocore_script_options *options, char ***command, struct monocore_error *err);

/* The shell of a component, "/bin/sh" where the file says nothing; valid as long as the project. */
MONOCORE_API const char *monocore_project_shell(
	const struct monocore_project *project, const char *component);

#ifdef __cplusplus
}
#endif

#endif
