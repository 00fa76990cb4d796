/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the path of a monocore.yaml to a struct project: the file, what it brings in, the variables of both,
 * everything checked and resolved. All mistakes are found in one run; a project that has one is not given.
 *
 * Files are read through struct project_files, words of other parts (images, ports, rules) are judged through
 * struct project_checks, since this folder knows neither; src/lib/project.c has the real ones.
 */
#pragma once

#include "base/buffer.h"
#include "project/mistake.h"
#include "project/project.h"

#define PROJECT_FILE         "monocore.yaml"
#define PROJECT_FILES_MAX    256   /* that one project is made of */
#define PROJECT_PARTS_MAX    10000 /* components, in all */
#define PROJECT_DEPENDS_MAX  32    /* deep */
#define PROJECT_NAME_MAX     40    /* bytes of a component's name */
#define PROJECT_ENV_FILE_MAX (1u << 20)

struct project_files {
	/* All of a regular file. NOT_FOUND, INVALID (it is none), LIMIT. */
	int (*read)(void *context, const char *path, size_t most, struct buffer *out, struct error *err);
	/* The path without links, "." and ".."; of what is not there as far as it is. The caller frees it. */
	int (*resolve)(void *context, const char *path, char **resolved, struct error *err);
	void *context;
};
extern const struct project_files project_files_host; /* this host's */

struct project_port {
	char address[48];
	bool everywhere; /* the address is all of its family */
	bool loopback, udp;
	uint16_t host; /* 0: any */
};

struct project_checks {
	int (*image)(const char *text, struct error *err);
	/* *list is the caller's: free(). */
	int (*ports)(const char *text, struct project_port **list, size_t *count, struct error *err);
	/* *beyond: an allow rule that opens more than reach: public does */
	int (*rule)(const char *text, bool *beyond, struct error *err);
	int (*target)(const char *path, struct error *err); /* where a volume may be */
	int (*subnet)(const char *text, struct error *err);
	int (*address)(const char *subnet, const char *text, struct error *err); /* subnet NULL: any */
};

struct project_load {
	const char *path;  /* of the file */
	const char *shown; /* how it is called in messages; NULL: path */
	/* What is (or is to be) in it; NULL: it is read. */
	const char *text;
	size_t size;
	const struct project_files *files;
	const struct project_checks *checks;
	const char *(*variable)(void *context, const char *name); /* the host's environment; NULL: none */
	void *context;
	const char *home; /* "~"; NULL: there is none */
};

/*
 * *project is the caller's (project_free()), and NULL where m has mistakes: then the return is -ERROR_INVALID
 * with the first of them in *err. m is the caller's, too: zeroed before, mistakes_free() behind. Other
 * errors: of reading the file itself; NO_MEMORY.
 */
int project_load(
	const struct project_load *load, struct project **project, struct mistakes *m, struct error *err);
