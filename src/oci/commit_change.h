/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instruction of a Dockerfile that changes nothing but an image's config, as `docker commit --change`
 * takes it: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, SHELL, STOPSIGNAL, USER, VOLUME, WORKDIR.
 * Source: Dockerfile reference.
 *
 * CMD and ENTRYPOINT have a JSON form and a shell form; VOLUME a JSON form and words. In all others and in
 * words '…', "…" and backslashes quote, and $NAME and ${NAME} stand for variables of the config's Env.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

struct commit_changer {
	json_t *config; /* the member "config" of an image's config */
	bool cmd_set;   /* a CMD has come: an ENTRYPOINT that follows does not drop it */
};

/* Errors: USAGE, naming the instruction. */
int commit_change(struct commit_changer *c, const char *instruction, struct error *err);

/* Sets a variable ("KEY=value") in a list as Env has it, in the place of the one that was there. */
int commit_set_variable(json_t *config, const char *variable, struct error *err);
int commit_set_label(json_t *config, const char *label, struct error *err); /* "key=value" */
