/* SPDX-License-Identifier: Apache-2.0 */
#include "merge_make.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "disk/erofs_reader.h"
#include "oci/merge.h"
#include "oci/spool.h"

#define BEGIN "begin"
#define END   "end"

/* ---- in --------------------------------------------------------------------------------------------- */

static int put_data(struct merge *m, const struct tar_entry *e, const char *text, struct error *err)
{
	int r;

	if (text[0] != '@')
		return *text ? merge_data(m, 0, (const uint8_t *)text, strlen(text), err) : 0;
	r = merge_data(m, 0, (const uint8_t *)BEGIN, strlen(BEGIN), err);
	return r < 0 ? r : merge_data(m, e->size - strlen(END), (const uint8_t *)END, strlen(END), err);
}

static int put_line(struct merge *m, char *line, struct error *err)
{
	char *path = line + 2, *rest = strchr(path, ' ');
	struct tar_entry e = {.path = path, .mode = 0644};
	int r;

	if (rest)
		*rest++ = 0;
	else
		rest = path + strlen(path);
	switch (line[0]) {
	case 'd':
		e.type = TAR_DIRECTORY;
		e.mode = *rest ? (uint32_t)strtoul(rest, NULL, 8) : 0755;
		break;
	case 's':
	case 'h':
		e.type = line[0] == 's' ? TAR_SYMBOLIC_LINK : TAR_HARD_LINK;
		e.link = rest;
		break;
	case 'p':
		e.type = TAR_FIFO;
		break;
	case 'c':
		e.type = TAR_CHARACTER_DEVICE;
		e.device_major = (uint32_t)strtoul(rest, &rest, 10);
		e.device_minor = *rest ? (uint32_t)strtoul(rest + 1, NULL, 10) : 0;
		break;
	default:
		e.type = TAR_FILE;
		e.size = rest[0] == '@' ? strtoull(rest + 1, NULL, 10) : strlen(rest);
	}
	r = merge_entry(m, &e, err);
	if (r == 0 && e.type == TAR_FILE)
		r = put_data(m, &e, rest, err);
	return r < 0 ? r : merge_entry_end(m, err);
}

static int put_layer(struct merge *m, const char *layer, uint32_t number, struct error *err)
{
	_cleanup_free_ char *copy = strdup(layer);
	int r = copy ? merge_layer_begin(m, number, err) : error_no_memory(err, "layer");
	char *save = NULL;

	for (char *line = r == 0 ? strtok_r(copy, "\n", &save) : NULL; r == 0 && line;
		line = strtok_r(NULL, "\n", &save))
		r = put_line(m, line, err);
	return r < 0 ? r : merge_layer_end(m, err);
}

struct chain {
	struct erofs_writer *writer;
	struct spool *spool;
	struct merge *merge;
};

static void chain_free(struct chain *c)
{
	merge_free(c->merge);
	spool_free(c->spool);
	erofs_writer_free(c->writer);
}

int merge_make_image(const char *const *layers, uint64_t seed, int fd, struct error *err)
{
	_cleanup_(chain_free) struct chain c = {0};
	struct erofs_options options = {.name = "image"};
	struct merge_options merge = {.seed = seed};
	struct erofs_inode *root;
	struct merge_sink sink;
	uint32_t count = 0;
	int r = erofs_writer_new(fd, &options, &c.writer, err);

	while (layers[count])
		count++;
	if (r == 0)
		r = spool_new(c.writer, -1, &c.spool, err);
	if (r < 0)
		return r;
	sink = spool_sink(c.spool);
	r = merge_new(&merge, &sink, &c.merge, err);
	while (r == 0 && count-- > 0)
		r = put_layer(c.merge, layers[count], count, err);
	if (r == 0)
		r = merge_finish(c.merge, &root, err);
	return r < 0 ? r : erofs_writer_finish(c.writer, root, err);
}

/* ---- out -------------------------------------------------------------------------------------------- */

struct names {
	struct names *next;
	uint64_t nid;
	char path[];
};

struct listing {
	const struct erofs_reader *reader;
	struct buffer out;
	struct names *names; /* of files with several */
	struct error *err;
	char path[4096];
	size_t size;
};

static int first_name(struct listing *l, const struct erofs_stat *s, const char **first)
{
	struct names *n;

	*first = NULL;
	for (n = l->names; n; n = n->next)
		if (n->nid == s->nid) {
			*first = n->path;
			return 0;
		}
	n = malloc(sizeof *n + l->size + 1);
	if (!n)
		return error_no_memory(l->err, "names");
	n->next = l->names;
	n->nid = s->nid;
	memcpy(n->path, l->path, l->size + 1);
	l->names = n;
	return 0;
}

static int put_contents(struct listing *l, const struct erofs_stat *s)
{
	_cleanup_free_ uint8_t *bytes = malloc(s->size + 1);
	int64_t n = bytes ? erofs_reader_read(l->reader, s, 0, bytes, (size_t)s->size, l->err)
			  : error_no_memory(l->err, "contents");

	if (n < 0)
		return (int)n;
	if (s->size > 4096 && !memcmp(bytes, BEGIN, 5) && !memcmp(bytes + s->size - 3, END, 3)) {
		for (uint64_t i = 5; i < s->size - 3; i++)
			if (bytes[i])
				return error_set(l->err, ERROR_CORRUPT, "a hole that is none");
		buffer_format(&l->out, "@%llu", (unsigned long long)s->size);
	} else {
		buffer_append(&l->out, bytes, (size_t)n);
	}
	return 0;
}

static int put_directory(struct listing *l, const struct erofs_stat *s);

static int put_file(struct listing *l, const struct erofs_stat *s)
{
	const char *first = NULL;
	int r = S_ISDIR(s->mode) || s->links < 2 ? 0 : first_name(l, s, &first);

	if (r < 0)
		return r;
	if (first) {
		buffer_format(&l->out, "h %s %s\n", l->path, first);
		return 0;
	}
	if (S_ISDIR(s->mode)) {
		buffer_format(&l->out, "d %s %04o\n", l->path, s->mode & 07777);
		return put_directory(l, s);
	}
	if (S_ISCHR(s->mode)) {
		buffer_format(&l->out, "c %s %u:%u\n", l->path, s->device_major, s->device_minor);
		return 0;
	}
	buffer_format(&l->out, "%c %s", S_ISLNK(s->mode) ? 's' : S_ISFIFO(s->mode) ? 'p' : 'f', l->path);
	if (s->size > 0) {
		buffer_u8(&l->out, ' ');
		r = put_contents(l, s);
	}
	buffer_u8(&l->out, '\n');
	return r;
}

static int put_name(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	struct listing *l = context;
	size_t size = l->size;
	struct erofs_stat s;
	int r;

	(void)type;
	if ((n == 1 && *name == '.') || (n == 2 && !memcmp(name, "..", 2)))
		return 0;
	if (l->size + n + 2 > sizeof l->path)
		return error_set(l->err, ERROR_LIMIT, "a path that is too long");
	l->size += (size_t)snprintf(
		l->path + l->size, sizeof l->path - l->size, "%s%.*s", l->size ? "/" : "", (int)n, name);
	r = erofs_reader_stat(l->reader, nid, &s, l->err);
	if (r == 0)
		r = put_file(l, &s);
	l->size = size;
	l->path[size] = 0;
	return r;
}

static int put_directory(struct listing *l, const struct erofs_stat *s)
{
	return erofs_reader_list(l->reader, s, put_name, l, l->err);
}

char *merge_make_text(int fd, struct error *err)
{
	struct listing l = {.err = err};
	struct erofs_reader reader;
	struct erofs_stat s;
	int r = erofs_reader_open(fd, &reader, err);

	l.reader = &reader;
	if (r == 0)
		r = erofs_reader_stat(&reader, reader.root, &s, err);
	if (r == 0)
		r = put_directory(&l, &s);
	for (struct names *n = l.names, *next; n; n = next) {
		next = n->next;
		free(n);
	}
	if (r < 0)
		buffer_format(&l.out, "unreadable: %s", err->text);
	return buffer_take_text(&l.out);
}

char *merge_make(const char *const *layers, uint64_t seed, int fd, struct error *err)
{
	_cleanup_fd_ int own = fd < 0 ? memfd_create("image", MFD_CLOEXEC) : -1;
	int r = merge_make_image(layers, seed, fd < 0 ? own : fd, err);
	struct buffer text = {0};

	if (r == 0)
		return merge_make_text(fd < 0 ? own : fd, err);
	buffer_format(&text, "error %s", error_name(r));
	return buffer_take_text(&text);
}
