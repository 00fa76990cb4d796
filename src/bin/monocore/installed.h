/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that run in a sandbox: small scripts in ~/.local/bin, which call `monocore tmp` on an image that
 * is kept under a name of their own. Each says in its second line what its other lines hash to: so a script
 * that we wrote, and nobody changed, is known by itself, and no other file is ever overwritten or removed.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

/* [a-z0-9][a-z0-9._-]*, at most 63 bytes. */
int installed_check_name(const char *name, struct error *err);

char *installed_directory(struct error *err);               /* ~/.local/bin; the caller frees */
char *installed_image(const char *name, struct error *err); /* IMAGES_INSTALLED and the name */

struct installed_script {
	const char *name, *image; /* image: as the user wrote it */
	const char *home;         /* $MONOCORE_HOME, where the image is kept */
	const char *program;      /* the path of monocore */
	char *const *words;       /* after `tmp`; what the script is given comes behind them */
};

/* The text of a script. It ends as it is: a buffer that failed is out of memory. */
void installed_compose(const struct installed_script *script, struct buffer *out, struct error *err);

/* What directory/name is: 1 one of ours, *image (may be NULL) gets what it runs and is the caller's; 0
 * nothing is there; EXISTS: somebody else's, or ours and changed since. */
int installed_look(const char *directory, const char *name, char **image, struct error *err);

/* Writes the script into directory (made where it is missing) under its name, as a whole, in place of one of
 * ours or of nothing: EXISTS as above. */
int installed_write(const char *directory, const struct installed_script *script, struct error *err);
