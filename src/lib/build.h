/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds: what the parts of them share.
 *
 *   build_dockerfile.c, build_project.c   a file → stages
 *   build_instruction.c                   an instruction of a Dockerfile → a step
 *   build.c                               stages in the order of what they need, several at once
 *   build_step.c                          a step: from the cache, or done
 *   build_run.c, build_copy.c,            the two kinds of steps that make layers
 *   build_copy_write.c
 *   build_inputs.c                        whether what a project copies is what it was
 *   build_snapshot.c                      the running state of what was built
 *   build_source.c                        files that are copied: of a directory of the host, of an image
 */
#pragma once

#include <pthread.h>

#include "lib/handle.h"
#include "monocore_build.h"
#include "oci/base.h"
#include "project/dockerfile.h"
#include "project/dockerignore.h"

enum build_kind { BUILD_NOTHING, BUILD_RUN, BUILD_COPY, BUILD_CONFIG };

struct build_source;

/* What is to be done on an image. */
struct build_step {
	enum build_kind kind;
	char *text; /* as it is shown, and as the history has it */
	/* RUN */
	char **argv;
	char **env; /* beside the image's */
	char **volumes;
	char *reach; /* NULL: the build's */
	/* COPY */
	char **sources; /* patterns, in the context or the image `from`; of a project absolute paths */
	char *target;   /* as written */
	char *owner;    /* --chown, or NULL */
	char *from;     /* an image's reference; NULL: none */
	size_t stage;   /* a stage's number plus one; 0: none */
	bool absolute;  /* sources are paths of the host */
	bool unpack;    /* ADD: archives are unpacked */
	bool has_mode;  /* --chmod */
	uint32_t mode;
	struct build_inline { /* a heredoc as a file */
		char *name, *text;
	} * inlines;
	size_t inline_count;
	/* CONFIG: as commit_change() has them */
	char **changes;
};
void build_step_free(struct build_step *s);
#define _cleanup_build_step_ __attribute__((cleanup(build_step_free)))

struct build_stage {
	char *name;
	char *base;        /* an image's reference, "scratch", or NULL: */
	size_t base_stage; /* the number of an earlier one */
	char *platform;    /* NULL: the build's */
	/* Of a Dockerfile: its instructions; of a project: its steps. */
	const struct dockerfile_instruction *instructions;
	struct build_step *steps;
	size_t count;
	size_t *needs; /* numbers of other stages */
	size_t need_count;
	const struct project_build *build; /* of a project */
	char **volumes;                    /* of a sandbox of what it makes; of a project */
	char inputs[SHA256_HEX_SIZE];      /* inputs_stamp() of it; of a project */
	char *image_name;                  /* that it gets; NULL: none */
	bool wanted, running, done;
	char digest[OCI_DIGEST_SIZE]; /* of what it has made */
};

struct build {
	struct monocore *mc;
	const struct monocore_build_options *options;
	struct dockerfile dockerfile;
	char **globals; /* "NAME=value" of the ARGs before the first FROM */
	int context;    /* a directory, or -1 */
	char *context_name;
	struct dockerignore ignore;
	struct build_stage *stages;
	size_t count, target; /* target: of a Dockerfile, the stage that gets the options' labels */
	int64_t epoch;        /* SOURCE_DATE_EPOCH; INT64_MAX: none */
	char id[17];          /* of its sandboxes, and of its lock */
	char label[48];       /* that its sandboxes have, and the list of it */
	const char *labels[2];
	char **guarded; /* of a project: what its sandboxes cannot change */
	int lock;
	bool left;             /* something of a build that was killed could not be removed yet */
	pthread_mutex_t mutex; /* the stages' states, and err */
	pthread_cond_t changed;
	bool failed;
	struct error err;
	struct store_hold hold; /* what stages have made, until all is done */
};
void build_free(struct build *b);

/* An image on which a stage is at. */
struct build_at {
	struct build *build;
	struct build_stage *stage;
	struct store *store;
	struct base_image base;
	char **shell;     /* for RUN as a line */
	char **arguments; /* "NAME=value" of the ARGs so far */
	char **keys;      /* of the steps that were found in the cache */
};
void build_at_free(struct build_at *at);

int build_add_need(struct build_stage *s, size_t stage, struct error *err);

/* build_dockerfile.c: all stages of the file in o->dockerfile; *target: the number of the one to build. */
int build_read_dockerfile(struct build *b, size_t *target, struct error *err);
int build_lower(struct build_at *at, const struct dockerfile_instruction *i, struct build_step *out,
	struct error *err);

/* build.c: a stage is wanted, with what it needs; all that are wanted are built. */
void build_want(struct build *b, size_t stage);
int build_begin(
	struct build *b, struct monocore *mc, const struct monocore_build_options *o, struct error *err);
int build_stages(struct build *b, struct error *err);

/* build_step.c */
int build_start_stage(struct build_at *at, struct error *err);
int build_do_step(
	struct build_at *at, const struct build_step *s, unsigned number, unsigned count, struct error *err);
/* The digest of the manifest that a reference leads to, which is in the store as a whole and stays until the
 * build is done. */
int build_pull(struct build_at *at, const char *reference, char digest[OCI_DIGEST_SIZE], struct error *err);
void build_tell(struct build *b, const struct monocore_build_event *event);

/* build_run.c: has a RUN's changes go to a commit. */
struct commit;
int build_run(struct build_at *at, const struct build_step *s, struct monocore_build_event *event,
	struct commit *c, struct error *err);
/* What all sandboxes of a stage have, of which all is borrowed. */
void build_sandbox(const struct build *b, const struct build_stage *s, struct monocore_sandbox_options *out);
/* Removes sandboxes of builds that were killed, and takes this build's lock. */
int build_lock(struct build *b, struct error *err);
void build_unlock(struct build *b);

/* build_snapshot.c: saves the running state of what a stage has made, which has this name. */
int build_snapshot(struct build *b, const struct build_stage *s, const char *image, struct error *err);

/* build_copy.c: the files of a COPY. */
struct build_files;
int build_files_collect(
	struct build_at *at, const struct build_step *s, struct build_files **files, struct error *err);
void build_files_free(struct build_files *f);
CLEANUP_DEFINE(build_files, struct build_files, build_files_free);
int build_files_digest(struct build_files *f, char digest[OCI_DIGEST_SIZE], struct error *err);
/* Finds out where they go in the image at hand, and gives them to a commit. */
int build_files_write(struct build_at *at, const struct build_step *s, struct build_files *f,
	struct commit *c, struct error *err);

/* build_project.c: as monocore_project_build(), of a project that is known and whose reach is granted. */
struct project_identity;
int build_of_project(struct monocore *mc, const struct monocore_project *project,
	const struct project_identity *identity, const char *const *names,
	const struct monocore_build_options *options, char ***digests, struct error *err);
