/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a COPY or ADD: build_copy.c collects them, build_copy_write.c makes a layer of them. */
#pragma once

#include "lib/build.h"
#include "lib/build_source.h"
#include "lib/build_unpack.h"

struct build_file {
	char *path; /* beneath the target; "" is the target itself */
	char *real; /* in the source */
	const struct build_source *source;
	const char *text;            /* or a heredoc's */
	struct build_member *member; /* or of an archive; owned by it */
	struct build_facts facts;
	size_t number; /* the later one of a path counts */
};

struct build_files {
	struct build_file *list;
	size_t count, room;
	struct build_source **sources;
	size_t source_count;
	struct build_unpacked **archives;
	size_t archive_count;
	bool has_file;     /* something that was named is no directory */
	bool has_several;  /* or more than one thing was */
	bool has_contents; /* of a directory or an archive */
	bool by_digest;    /* all come from an image, whose digest says what they are */
	char digest[OCI_DIGEST_SIZE];
};

/* A path from the root of the source, its dots resolved, with its NUL; DENIED where it leads above. */
int build_clean_path(const char *text, struct buffer *out, struct error *err);

/* Names below a directory, either of which may be ""; the caller's. */
char *build_join(const char *directory, const char *name, struct error *err);

/* The files of an image, which are collected only where they are to be written. */
int build_files_of_image(
	struct build_files *f, struct build_at *at, const struct build_step *step, struct error *err);
