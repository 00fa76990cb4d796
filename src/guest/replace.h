/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something new under a name that may be taken. It is made in the same directory under a name that nobody
 * guesses, and takes its own by a rename when it is whole: nobody sees half of it, and what was there stays
 * until then.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

#define REPLACE_NAME_SIZE 40

/* A fresh temporary name in name[REPLACE_NAME_SIZE]. */
int replace_name(char *name, struct error *err);

/* What is called `temporary` in `directory` takes the name `leaf` there. A directory that has it goes with
 * all that is in it where `trees`, otherwise that is an EXISTS error. A regular file on which something is
 * mounted, as /etc/hosts and its like, cannot be replaced: it is written in place. Errors speak of `shown`;
 * after one the temporary name is still there. */
int replace_commit(int directory, const char *temporary, const char *leaf, bool trees, const char *shown,
	struct error *err);

/* Removes `name` in `directory`, with all below it; follows no link and leaves no mount. Its errors end in
 * errno's text. */
int replace_remove(int directory, const char *name, const char *shown, struct error *err);
