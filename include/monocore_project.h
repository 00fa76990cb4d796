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

#ifdef __cplusplus
}
#endif

#endif
