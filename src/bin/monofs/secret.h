/* SPDX-License-Identifier: Apache-2.0 */
/* Passphrases and key files: from where the user says, or from himself at a terminal; never from the command
 * line, which all users see. */
#pragma once

#include "bin/cli/command.h"
#include "codec/secret.h"
#include "monofs/repository.h"

struct secret {
	struct repository_secret given; /* leads into the two below; for repository_open() and the like */
	char *passphrase;
	struct buffer file;
	uint8_t master[CRYPT_KEY_SIZE];
};
void secret_forget(struct secret *s);
#define _cleanup_forget_ _cleanup_(secret_forget)

/* What opens a repository: --key-file, --passphrase-file, $MONOFS_PASSPHRASE_FILE, or the user. `about` names
 * it in the question. DENIED where there is none of these, or `silent`, to ask. */
int secret_get(struct cli *cli, const char *about, bool silent, struct secret *s, struct error *err);

/* Of a new repository: the same, but that the user types it twice. */
int secret_get_first(struct cli *cli, const char *about, struct secret *s, struct error *err);

/* One more: from one of the files (may be NULL both), or the user, who types it twice. */
int secret_get_new(struct cli *cli, const char *passphrase_file, const char *key_file, const char *about,
	struct secret *s, struct error *err);
