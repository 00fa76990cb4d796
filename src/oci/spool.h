/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the merge puts the data of files: into the image, or, while a layer lasts, aside, since a hard link
 * that comes later may show what newer layers hide.
 */
#pragma once

#include "disk/erofs.h"
#include "oci/merge.h"

struct spool;

/* `directory`: where a nameless file is made when the first data are put aside. */
int spool_new(struct erofs_writer *w, int directory, struct spool **s, struct error *err);
void spool_free(struct spool *s);
struct merge_sink spool_sink(struct spool *s);
