/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmonocore: images built from a Dockerfile, or as a project's file says. Conventions as in monocore.h.
 *
 * A build is a list of stages, a stage a list of steps on a base image. A RUN is done in a sandbox of its
 * own, whose changes become a layer; files that are copied become one without any. What a step has made is
 * kept by all that it depends on (the image before it, its text, what goes into it): the same step is not
 * done twice. The same inputs give the same digest where SOURCE_DATE_EPOCH (seconds since 1970) bounds the
 * times of files.
 */
#ifndef MONOCORE_BUILD_H
#define MONOCORE_BUILD_H

#include "monocore_project.h"

#ifdef __cplusplus
extern "C" {
#endif

enum monocore_build_state {
	MONOCORE_BUILD_STARTED, /* a step */
	MONOCORE_BUILD_CACHED,  /* it had been done before */
	MONOCORE_BUILD_OUTPUT,  /* of a RUN */
	MONOCORE_BUILD_DONE,
	MONOCORE_BUILD_FAILED
};

struct monocore_build_event {
	enum monocore_build_state state;
	const char *stage;    /* its name, or number */
	unsigned step, steps; /* from 1 */
	const char *text;     /* of the step: "RUN make" */
	const void *data;     /* OUTPUT */
	size_t size;
	enum monocore_channel channel; /* OUTPUT: MONOCORE_OUT or MONOCORE_ERR */
	uint64_t elapsed;              /* DONE, FAILED: nanoseconds */
};

struct monocore_build_options {
	unsigned version;
	const char *context;          /* a directory; NULL: "." */
	const char *dockerfile;       /* a path; NULL: Dockerfile in the context */
	const char *const *names;     /* that the image gets; NULL: none */
	const char *const *arguments; /* "NAME=VALUE" for its ARGs */
	const char *const *labels;    /* "key=value" */
	const char *target;           /* the stage; NULL: the last one. Of a project: not used */
	const char *platform;         /* NULL: this host's */
	bool no_cache;                /* every step is done */
	bool pull;                    /* base images are looked for at their registries */
	unsigned cpus, parallel;      /* of a RUN's sandbox; stages at once. 0: as create has it; 2 */
	uint64_t memory, disk;        /* bytes; 0: as create has it */
	bool snapshot;     /* the running state of what is built is saved, too: monocore_project_build() */
	const char *reach; /* of a RUN: "none", "local", "public", "any"; NULL: public */
	/* What happens; called from one thread at a time. NULL: nobody listens. */
	void (*tell)(void *context, const struct monocore_build_event *event);
	void *tell_context;
};
#define MONOCORE_BUILD_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Builds from a Dockerfile. *digest (may be NULL): of the image's manifest, "sha256:…"; monocore_free().
 * Without a name the image is kept as long as its steps are. A RUN that fails is INVALID, with its
 * exit status and the last line that it wrote. options may be NULL. */
MONOCORE_API int monocore_build(struct monocore *mc, const struct monocore_build_options *options,
	char **digest, struct monocore_error *err);

/* Builds the named builds of a project (NULL: all), and those that they need. Each gets the name that
 * sandboxes of the project find it by: monocore.local/PROJECT/BUILD:latest. Of the options context,
 * dockerfile, names, arguments, labels and target are not used, and cpus, memory, disk and reach are those of
 * the builds where they have some. *digests (may be NULL): in the order of the names;
 * monocore_free_strings().
 *
 * With `snapshot` a sandbox of each that is named is started with the machine of the build, its reach, its
 * volumes and the script `start`, and saved once its set-up is done: its healthcheck is good, or, where it
 * has none, it has come to rest (see docs/builds.md). New sandboxes of the image with the same machine,
 * volumes, command, environment, user and limits go on there in place of booting. START: it ended, or is
 * unhealthy. */
MONOCORE_API int monocore_project_build(struct monocore *mc, const struct monocore_project *project,
	const char *const *builds, const struct monocore_build_options *options, char ***digests,
	struct monocore_error *err);

#ifdef __cplusplus
}
#endif

#endif
