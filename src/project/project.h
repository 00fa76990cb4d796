/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a monocore.yaml says, resolved: modules are brought in, variables are put in their places, paths are
 * absolute, names lead somewhere. Nothing below needs the file again, but for editing it (edit.h).
 *
 * All text and lists are owned by the project. Lists of text are NULL-terminated, or NULL where empty.
 * Each thing has the place in a file where it was written, for what is said about it later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What any sandbox can be given; of memory and disk bytes. */
#define PROJECT_MEMORY_MIN (128ULL << 20)
#define PROJECT_MEMORY_MAX (1ULL << 40)
#define PROJECT_DISK_MIN   (16ULL << 20)
#define PROJECT_DISK_MAX   (16ULL << 40)
#define PROJECT_CPUS_MAX   64

/* Files are numbered in the order in which they were opened; 0 is the project's own. */
struct project_place {
	uint32_t file, line, column; /* line and column from 1; line 0: nowhere (a default) */
};

struct project_pair { /* of a mapping of text to text, in the order of the file */
	char *name, *value;
	struct project_place place;
};

struct project_volume {
	char *source; /* an absolute path of the host; or the name of a volume */
	bool named;
	char *target;  /* absolute, in the sandbox */
	char *options; /* "ro", "stage,squash", "" */
	struct project_place place;
};

struct project_membership { /* of a sandbox in a group */
	char *group;
	char *ip, *hostname;            /* NULL: any; the component's name */
	struct project_volume *volumes; /* the group's that it mounts: source is resolved through the group */
	size_t volume_count;
	struct project_place place;
};

struct project_healthcheck {
	char **command; /* an argument vector; NULL: none. A string in the file is ["/bin/sh", "-c", it] */
	uint64_t interval, timeout, start_period; /* nanoseconds; 30 s, 30 s, 0 where the file says nothing */
	uint32_t retries;                         /* failures in a row until it is unhealthy; 3 */
	bool disabled;                            /* also the image's */
};

enum project_restart { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_UNLESS_STOPPED };

struct project_network {
	char *reach; /* "none", "local", "public", "any"; NULL: public */
	char **allow, **deny;
	uint64_t bandwidth; /* bytes a second; 0: no limit */
};

enum project_step_kind { STEP_RUN, STEP_COPY, STEP_ENV, STEP_WORKDIR, STEP_USER };

struct project_step { /* of a build */
	enum project_step_kind kind;
	char *command;  /* RUN, by the build's shell; NULL: argv */
	char **argv;    /* RUN */
	char **sources; /* COPY: absolute paths of the host, or paths in the image of `from` */
	char *target;   /* COPY, WORKDIR: a path in the image; USER: the user */
	char *from;     /* COPY: a build's name; NULL: the project */
	char **env;     /* ENV: "KEY=value" */
	struct project_place place;
};

struct project_import {        /* what a build exports, as it is wanted here */
	char *build, *name;    /* of this project, among depends_on; of its export */
	char *source, *target; /* its path there, and here */
	struct project_place place;
};

/* What builds and sandboxes have in common. */
struct project_common {
	char *name;      /* in the project; of a module's component the name that it was brought in under */
	char *directory; /* of the file that it stands in: absolute */
	char *image;     /* as image_open() has it ("oci:" and paths are absolute), or a build's name */
	bool image_is_build;
	uint64_t memory, disk; /* bytes; 0: the default */
	uint32_t cpus;         /* 0: the default */
	struct project_volume *volumes;
	size_t volume_count;
	char **ports;      /* as monocore_sandbox_options.ports has them */
	char **env;        /* "KEY=value", each name once: those of the groups, then env_file, then envs */
	char **depends_on; /* names of this project's sandboxes (or builds) */
	char *workdir, *user, *shell; /* NULL: the image's; shell: /bin/sh */
	struct project_pair *scripts, *exports;
	struct project_import *imports;
	size_t script_count, export_count, import_count;
	struct project_network network;
	struct project_place place;
};

struct project_build {
	struct project_common common;
	struct project_step *steps;
	size_t step_count;
	struct project_healthcheck healthcheck;
};

struct project_sandbox {
	struct project_common common;
	struct project_membership *groups; /* at least one: `default` where the file names none */
	size_t group_count;
	enum project_restart restart;
	uint32_t restart_most; /* of on-failure:N; 0: no bound */
	struct project_healthcheck healthcheck;
	char **labels;
};

struct project_group {
	char *name;
	char *subnet;                   /* NULL: any */
	struct project_volume *volumes; /* target: the name that members mount it by */
	size_t volume_count;
	char **env; /* of all members, under their own; they have it in theirs */
	struct project_place place;
};

struct project {
	char *directory; /* of the project's own file: absolute, links resolved */
	char **files; /* all that were read, by number: paths as given or relative to the project's directory
		       */
	/* The modules and files of variables: absolute, by the way that the files say, links not followed,
	 * ".." left in. guarded.h makes something of them. */
	char **reads;
	struct project_pair *meta;
	size_t meta_count;
	struct project_sandbox *sandboxes; /* in the order of the file; those of modules behind */
	size_t sandbox_count;
	struct project_build *builds;
	size_t build_count;
	struct project_group *groups; /* `default` is among them where somebody is in it */
	size_t group_count;
	/* What reaches out of the project, for grants.h: each a sentence's worth of kind and value. */
	struct project_reach_out {
		enum project_reach_kind {
			REACH_VOLUME,   /* a path outside the project's directory, links resolved */
			REACH_ENV_FILE, /* the same of an env_file */
			REACH_MODULE,   /* of a module's file */
			REACH_COPY,     /* of what a build copies */
			REACH_IMAGE,    /* of an image that is a directory or file of the host */
			REACH_BEYOND,   /* reach: any, or a rule that allows more than public has */
			REACH_PORT,     /* a port that is not on loopback */
			REACH_VARIABLE  /* a variable of the host's environment */
		} kind;
		char *component; /* "sandboxes.web", "" for the file itself */
		char *value; /* what it is, exactly: a path with ":ro" or not, "0.0.0.0:80:8080/tcp", "HOME"
			      */
		struct project_place place;
	} * reaches;
	size_t reach_count;
};

void project_free(struct project *p);

const struct project_sandbox *project_sandbox(const struct project *p, const char *name); /* or NULL */
const struct project_build *project_build(const struct project *p, const char *name);
const struct project_group *project_group(const struct project *p, const char *name);
