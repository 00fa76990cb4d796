/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of one layer, entry by entry; and the finished tree, as the file system writer wants it. */
#include "oci/merge.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "oci/merge_parts.h"

#define ENTRIES_DEFAULT   4000000u
#define MEMORY_DEFAULT    (UINT64_C(2) << 30)
#define LINKS_WAITING_MAX 65536u
#define WHITEOUT          ".wh."
#define WHITEOUT_OPAQUE   ".wh..wh..opq"
#define WHITEOUT_OTHER    ".wh..wh." /* notes of AUFS for itself */

int merge_new(const struct merge_options *options, const struct merge_sink *sink, struct merge **out,
	struct error *err)
{
	struct merge *m = calloc(1, sizeof *m);

	if (!m)
		return error_no_memory(err, "merge of layers");
	m->sink = *sink;
	m->plain = options->plain;
	m->tree.limit = options->entries ? options->entries : ENTRIES_DEFAULT;
	m->tree.random = options->seed;
	m->implied.inode.mode = S_IFDIR | 0755;
	m->memory = options->memory ? options->memory : MEMORY_DEFAULT;
	m->root = node_new(&m->tree, "", 0, err);
	if (!m->root) {
		merge_free(m);
		return -ERROR_NO_MEMORY;
	}
	*out = m;
	return 0;
}

void merge_free(struct merge *m)
{
	if (!m)
		return;
	tree_free(&m->tree);
	free(m);
}

int merge_layer_begin(struct merge *m, uint32_t layer, struct error *err)
{
	m->number = layer;
	m->hidden = NULL;
	m->layer = node_new(&m->tree, "", 0, err);
	return m->layer ? 0 : merge_failed(err);
}

bool path_component(const char **path, const char **name, size_t *n)
{
	for (;;) {
		*name = *path + strspn(*path, "/");
		*n = strcspn(*name, "/");
		*path = *name + *n;
		if (*n == 0)
			return false;
		if (*n != 1 || **name != '.')
			return true;
	}
}

static int check_component(const char *path, const char *name, size_t n, struct error *err)
{
	if (n == 2 && name[0] == '.' && name[1] == '.')
		return error_set(err, ERROR_INVALID, "entry %s: a path with \"..\" is refused", path);
	if (n > EROFS_NAME_MAX)
		return error_set(err, ERROR_INVALID, "entry %s: a name of more than 255 bytes", path);
	return 0;
}

/* ---- from a path to a place in the layer ------------------------------------------------------------ */

struct walk {
	struct merge *m;
	const char *entry; /* for messages */
	struct node *at;
	bool make;      /* make the places that are missing; else at = NULL there */
	unsigned links; /* followed */
};

static int walk_path(struct walk *w, const char *path, const char *stop, bool checked, struct error *err);

/* w->at stands for a symbolic link: go where it leads, within the root. */
static int walk_link(struct walk *w, struct error *err)
{
	const struct file *f = w->at->file;
	char target[4096];
	int r;

	if (++w->links > MERGE_LINKS_FOLLOWED)
		return error_set(
			err, ERROR_INVALID, "entry %s: too many symbolic links in its path", w->entry);
	if (f->inode.size >= sizeof target)
		return error_set(
			err, ERROR_LIMIT, "entry %s: a symbolic link in its path is too long", w->entry);
	memcpy(target, f->inode.bytes, (size_t)f->inode.size);
	target[f->inode.size] = 0;
	w->at = *target == '/' ? w->m->layer : w->at->parent;
	r = walk_path(w, target, NULL, false, err);
	return r;
}

static int walk_step(struct walk *w, const char *name, size_t n, struct error *err)
{
	const struct file *f;

	if (n == 2 && name[0] == '.' && name[1] == '.') {
		w->at = w->at->parent ? w->at->parent : w->at;
		return 0;
	}
	if (n > EROFS_NAME_MAX)
		return error_set(
			err, ERROR_INVALID, "entry %s: its path has a name of more than 255 bytes", w->entry);
	if (w->make) {
		w->at = node_make(&w->m->tree, w->at, name, n, err);
		if (!w->at)
			return merge_failed(err);
	} else {
		w->at = node_find(w->at, name, n);
	}
	f = w->at ? w->at->file : NULL;
	if (!f || file_is_directory(f))
		return 0;
	if (file_is_symlink(f))
		return walk_link(w, err);
	return error_set(err, ERROR_INVALID, "entry %s: something in its path is not a directory", w->entry);
}

/* All components of `path` before `stop` (NULL: all) are directories to go through, from w->at on. */
static int walk_path(struct walk *w, const char *path, const char *stop, bool checked, struct error *err)
{
	const char *name;
	size_t n;
	int r = 0;

	while (r == 0 && w->at && path_component(&path, &name, &n) && (!stop || name < stop)) {
		r = checked ? check_component(w->entry, name, n, err) : 0;
		if (r == 0)
			r = walk_step(w, name, n, err);
	}
	return r;
}

/* The last component of a path; *n = 0 where it is the root. */
static void last_component(const char *path, const char **last, size_t *n)
{
	const char *name;
	size_t size;

	*last = path;
	*n = 0;
	while (path_component(&path, &name, &size)) {
		*last = name;
		*n = size;
	}
}

/* ---- entries ---------------------------------------------------------------------------------------- */

static uint32_t type_bits(enum tar_type type)
{
	switch (type) {
	case TAR_DIRECTORY:
		return S_IFDIR;
	case TAR_SYMBOLIC_LINK:
		return S_IFLNK;
	case TAR_CHARACTER_DEVICE:
		return S_IFCHR;
	case TAR_BLOCK_DEVICE:
		return S_IFBLK;
	case TAR_FIFO:
		return S_IFIFO;
	case TAR_FILE:
	case TAR_HARD_LINK:
		break;
	}
	return S_IFREG;
}

static int set_xattrs(struct merge *m, struct file *f, const struct tar_entry *e, struct error *err)
{
	_cleanup_free_ struct erofs_xattr *list = NULL;
	size_t room, size;
	uint8_t *bytes;
	int r;

	if (!e->xattr_count)
		return 0;
	list = calloc(e->xattr_count, sizeof *list);
	if (!list)
		return error_no_memory(err, "extended attributes");
	for (size_t i = 0; i < e->xattr_count; i++)
		list[i] = (struct erofs_xattr){e->xattrs[i].name, e->xattrs[i].value, e->xattrs[i].size};
	room = erofs_xattrs_room(list, e->xattr_count);
	bytes = room == SIZE_MAX ? NULL : tree_memory(&m->tree, room);
	if (!bytes)
		return error_no_memory(err, "extended attributes");
	r = erofs_xattrs_encode(list, e->xattr_count, bytes, &size, err);
	if (r < 0)
		return r;
	f->inode.xattrs = size ? bytes : NULL;
	f->inode.xattrs_size = (uint32_t)size;
	return 0;
}

static int set_symlink(struct merge *m, struct file *f, const char *target, struct error *err)
{
	size_t n = strlen(target);

	if (n == 0)
		return error_set(err, ERROR_INVALID, "a symbolic link without a target");
	f->inode.bytes = (const uint8_t *)tree_text(&m->tree, target, n);
	f->inode.data = EROFS_DATA_INLINE;
	f->inode.size = n;
	return f->inode.bytes ? 0 : error_no_memory(err, "symbolic link");
}

static struct file *make_file(struct merge *m, const struct tar_entry *e, struct error *err)
{
	struct file *f = tree_memory(&m->tree, sizeof *f);

	if (!f) {
		error_no_memory(err, "file");
		return NULL;
	}
	*f = (struct file){.inode = {.mode = type_bits(e->type) | (e->mode & 07777),
				   .uid = e->uid,
				   .gid = e->gid,
				   .mtime = e->mtime,
				   .mtime_nanoseconds = e->mtime_nanoseconds}};
	if (set_xattrs(m, f, e, err) < 0)
		return NULL;
	if (e->type == TAR_SYMBOLIC_LINK && set_symlink(m, f, e->link ? e->link : "", err) < 0)
		return NULL;
	if (e->type == TAR_CHARACTER_DEVICE || e->type == TAR_BLOCK_DEVICE) {
		f->inode.device_major = e->device_major;
		f->inode.device_minor = e->device_minor;
		if (e->device_major > 0xfff || e->device_minor > 0xfffff) {
			error_set(err, ERROR_INVALID, "device number %u:%u is out of range", e->device_major,
				e->device_minor);
			return NULL;
		}
	}
	return f;
}

/* What the layer has at `path` already, or NULL: then an older layer must have it. */
static int find_target(struct merge *m, const struct tar_entry *e, struct file **found, struct error *err)
{
	struct walk w = {.m = m, .entry = e->path, .at = m->layer};
	const char *last;
	size_t n;
	int r;

	*found = NULL;
	last_component(e->link, &last, &n);
	if (n == 0)
		return error_set(err, ERROR_INVALID, "entry %s: a hard link to the root", e->path);
	r = walk_path(&w, e->link, last, true, err);
	if (r == 0)
		r = check_component(e->link, last, n, err);
	if (r < 0 || !w.at)
		return r;
	w.at = node_find(w.at, last, n);
	if (w.at && w.at->file && file_is_directory(w.at->file))
		return error_set(
			err, ERROR_INVALID, "entry %s: a hard link to the directory %s", e->path, e->link);
	*found = w.at ? w.at->file : NULL;
	return 0;
}

static int make_link(struct merge *m, const struct tar_entry *e, struct file **out, struct error *err)
{
	struct file *f;
	int r;

	if (!e->link || !*e->link)
		return error_set(err, ERROR_INVALID, "entry %s: a hard link without a target", e->path);
	r = find_target(m, e, out, err);
	if (r < 0 || *out)
		return r;
	if (m->link_count >= LINKS_WAITING_MAX)
		return error_set(
			err, ERROR_LIMIT, "over %u hard links to files of older layers", LINKS_WAITING_MAX);
	f = make_file(m, e, err);
	if (!f)
		return merge_failed(err);
	f->target = tree_text(&m->tree, e->link, strlen(e->link));
	f->from = m->number;
	if (!f->target)
		return error_no_memory(err, "hard link");
	f->next = m->links;
	m->links = f;
	m->link_count++;
	*out = f;
	return 0;
}

/* True where newer layers show something else at the path, as far as is known now. */
static bool looks_hidden(const struct merge *m, const char *path)
{
	const struct node *at = m->root;
	const char *name;
	size_t n;

	while (path_component(&path, &name, &n)) {
		if (at->hides > m->number || at->floor > m->number ||
			(at->file && !file_is_directory(at->file)))
			return true;
		at = node_find(at, name, n);
		if (!at)
			return false;
	}
	return at->hides > m->number || node_is_live(at);
}

static int place_file(
	struct merge *m, struct node *n, struct file *f, const struct tar_entry *e, struct error *err)
{
	if (n->file == f) /* a hard link to itself */
		return 0;
	if (!file_is_directory(f)) {
		if (!n->parent)
			return error_set(
				err, ERROR_INVALID, "entry %s: the root is not a directory", e->path);
		node_drop_list(node_take_children(n));
	}
	node_set_file(n, f, m->number);
	return 0;
}

/* A directory that has something in a layer is there from that on, with those above it, whether the layer has
 * entries for them or not. */
static void imply_directory(struct merge *m, struct node *n)
{
	for (; n && !n->file; n = n->parent)
		node_set_file(n, &m->implied, m->number);
}

static int begin_data(struct merge *m, struct file *f, const struct tar_entry *e, struct error *err)
{
	f->hidden = e->size > 0 && looks_hidden(m, e->path);
	if (f->hidden) {
		f->next = m->hidden;
		m->hidden = f;
	}
	m->open = f;
	return m->sink.begin(m->sink.context, e->size, f->hidden, err);
}

static int take_entry(struct merge *m, const struct tar_entry *e, struct node *n, struct error *err)
{
	struct file *f = NULL;
	int r = 0;

	if (e->type == TAR_HARD_LINK)
		r = make_link(m, e, &f, err);
	else
		f = make_file(m, e, err);
	if (r < 0)
		return r;
	if (!f)
		return err ? error_prefix(err, "entry %s", e->path) : -ERROR_INVALID;
	r = place_file(m, n, f, e, err);
	if (r < 0)
		return r;
	imply_directory(m, n->parent);
	if (e->type != TAR_FILE)
		return 0;
	return begin_data(m, f, e, err);
}

/* True where the name is a mark of the layer and no file. */
static int take_whiteout(struct merge *m, struct node *directory, const char *path, const char *name,
	size_t n, struct error *err)
{
	size_t prefix = strlen(WHITEOUT);
	struct node *hidden;

	if (m->plain || n < prefix || memcmp(name, WHITEOUT, prefix) != 0)
		return 0;
	if (n == strlen(WHITEOUT_OPAQUE) && !memcmp(name, WHITEOUT_OPAQUE, n)) {
		directory->floor = m->number;
		imply_directory(m, directory);
		return 1;
	}
	if (n >= strlen(WHITEOUT_OTHER) && !memcmp(name, WHITEOUT_OTHER, strlen(WHITEOUT_OTHER)))
		return 1;
	name += prefix;
	n -= prefix;
	if (n == 0 || (name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.'))))
		return error_set(err, ERROR_INVALID, "entry %s: a whiteout of no name", path);
	hidden = node_make(&m->tree, directory, name, n, err);
	if (!hidden)
		return merge_failed(err);
	hidden->hides = m->number;
	return 1;
}

int merge_entry(struct merge *m, const struct tar_entry *e, struct error *err)
{
	struct walk w = {.m = m, .entry = e->path, .at = m->layer, .make = true};
	const char *last;
	size_t n;
	int r;

	m->open = NULL;
	if (m->tree.bytes > m->memory)
		return error_set(err, ERROR_LIMIT,
			"names, links and attributes of the files take over %llu MiB of memory",
			(unsigned long long)m->memory >> 20);
	last_component(e->path, &last, &n);
	r = walk_path(&w, e->path, n ? last : e->path, true, err);
	if (r == 0 && n)
		r = check_component(e->path, last, n, err);
	if (r < 0)
		return r;
	if (n) {
		r = take_whiteout(m, w.at, e->path, last, n, err);
		if (r)
			return r < 0 ? r : 0;
		w.at = node_make(&m->tree, w.at, last, n, err);
		if (!w.at)
			return merge_failed(err);
	} else if (e->type != TAR_DIRECTORY) {
		return error_set(err, ERROR_INVALID, "entry %s: the root is not a directory", e->path);
	}
	return take_entry(m, e, w.at, err);
}

int merge_data(struct merge *m, uint64_t offset, const uint8_t *bytes, size_t n, struct error *err)
{
	return m->open ? m->sink.data(m->sink.context, offset, bytes, n, err) : 0;
}

int merge_entry_end(struct merge *m, struct error *err)
{
	struct file *f = TAKE_PTR(m->open);

	return f ? m->sink.end(m->sink.context, &f->inode, err) : 0;
}

/* ---- the end ---------------------------------------------------------------------------------------- */

static int claim_hidden(struct merge *m, struct error *err)
{
	int r = 0;

	for (struct file *f = m->hidden, *next; r == 0 && f; f = next) {
		next = f->next;
		f->next = NULL;
		f->hidden = false;
		if (f->references)
			r = m->sink.claim(m->sink.context, &f->inode, err);
	}
	m->hidden = NULL;
	return r;
}

int merge_layer_end(struct merge *m, struct error *err)
{
	int r = merge_find_links(m, err);

	if (r == 0)
		r = merge_join(m, err);
	if (r == 0)
		r = claim_hidden(m, err);
	m->layer = NULL;
	return r < 0 ? r : m->sink.forget(m->sink.context, err);
}

/* What no layer has an entry for becomes a directory of root's. */
static int settle_implied(struct merge *m, struct node *n, struct error *err)
{
	struct file *f;

	if (n->file && n->file != &m->implied)
		return 0;
	f = tree_memory(&m->tree, sizeof *f);
	if (!f)
		return error_no_memory(err, "directory");
	*f = m->implied;
	n->file = f;
	return 0;
}

static struct erofs_inode *final_inode(struct file *f)
{
	while (f->alias)
		f = f->alias;
	return &f->inode;
}

/* Makes a directory's list of entries; its subdirectories go to the end of the queue. */
static int finish_directory(struct merge *m, struct node *directory, struct node ***last, struct error *err)
{
	struct erofs_entry **end;
	struct node *list = node_take_children(directory);

	directory->file->inode.entries = NULL;
	end = &directory->file->inode.entries;
	for (struct node *n = list, *next; n; n = next) {
		next = n->right;
		if (!node_is_live(n))
			continue;
		if (settle_implied(m, n, err) < 0)
			return -ERROR_NO_MEMORY;
		n->entry.inode = final_inode(n->file);
		n->entry.next = NULL;
		*end = &n->entry;
		end = &n->entry.next;
		n->left = NULL;
		if (file_is_directory(n->file)) {
			**last = n;
			*last = &n->left;
		}
	}
	return 0;
}

int merge_finish(struct merge *m, struct erofs_inode **root, struct error *err)
{
	struct node **last = &m->root->left;
	int r = 0;

	for (const struct file *f = m->links; f; f = f->next)
		if (f->references)
			return error_set(
				err, ERROR_INVALID, "a hard link names %s, which no layer has", f->target);
	m->root->left = NULL;
	r = settle_implied(m, m->root, err);
	for (struct node *n = m->root; r == 0 && n; n = n->left)
		r = finish_directory(m, n, &last, err);
	*root = r == 0 ? &m->root->file->inode : NULL;
	return r;
}
