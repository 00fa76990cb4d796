/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a project: read, with their variables in their places, checked by themselves. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "os/fs.h"
#include "project/interpolate.h"
#include "project/load_parts.h"

#define LINKS_MAX 40 /* as the kernel has it */

struct expansion {
	struct load *l;
	struct file *file;
	struct interpolation variables;
};

/* A directory or device in place of a file must neither be read nor waited for. */
static int read_host(void *context, const char *path, size_t most, struct buffer *out, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err);
	struct stat st;

	(void)context;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "read '%s'", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "read '%s': it is no regular file", path);
	return fs_read_fd(fd, path, most, out, err);
}

/* The path in which a link at `head` is its target, and `rest` behind it; NULL: it is none, or no memory. */
static char *follow(const char *head, const char *rest, struct error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlink(head, target, sizeof target - 1);
	const char *base = strrchr(head, '/');

	if (n <= 0)
		return NULL;
	target[n] = 0;
	if (*target == '/')
		return text_format(err, "%s%s", target, rest);
	return text_format(err, "%.*s/%s%s", base ? (int)(base - head) : 1, base ? head : ".", target, rest);
}

/* `real` and what is not there behind it, with "." and ".." taken as they are written. */
static char *append_rest(const char *real, const char *rest)
{
	_cleanup_free_ char *whole = text_format(NULL, "%s/%s", real, rest);

	return whole ? text_clean_path(whole, NULL) : NULL;
}

/* What is there without its links. A link that leads to what is not there is followed, too: it may be there
 * when the path is used. */
static int resolve_links(const char *path, unsigned links, char **resolved, struct error *err)
{
	_cleanup_free_ char *head = text_copy(path, err), *real = NULL, *followed = NULL;

	if (!head)
		return -ERROR_NO_MEMORY;
	while (!(real = realpath(head, NULL))) {
		char *cut = strrchr(head, '/');

		if (errno != ENOENT && errno != ENOTDIR)
			return error_errno(err, errno, "'%s'", path);
		followed = follow(head, path + strlen(head), err);
		if (followed && !links)
			return error_set(err, ERROR_INVALID, "'%s': too many links", path);
		if (followed)
			return resolve_links(followed, links - 1, resolved, err);
		if (!cut || cut == head) {
			real = text_copy("/", err);
			*head = 0;
			break;
		}
		*cut = 0;
	}
	*resolved = real ? append_rest(real, path + strlen(head)) : NULL;
	return *resolved ? 0 : error_no_memory(err, "resolve a path");
}

static int resolve_host(void *context, const char *path, char **resolved, struct error *err)
{
	(void)context;
	return resolve_links(path, LINKS_MAX, resolved, err);
}

const struct project_files project_files_host = {.read = read_host, .resolve = resolve_host};

static uint32_t characters(const char *text, size_t n)
{
	uint32_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

static void expand_scalar(struct expansion *x, struct yaml_node *node)
{
	struct project_place place = yaml_place(node, x->file->number);
	_cleanup_free_ char *text = NULL;
	size_t at, quoted = node->end - node->start;
	struct error err;
	int r;

	if (!strchr(node->text, '$'))
		return;
	x->l->place = place;
	r = interpolate(node->text, &x->variables, &text, &at, &err);
	if (r == -ERROR_NO_MEMORY) {
		load_fail(x->l, r, "put variables in their places");
	} else if (r < 0) {
		/* Where the text stands as it is, the place is the variable's. */
		if (quoted == strlen(node->text) || quoted == strlen(node->text) + 2)
			place.column += characters(node->text, at) + (quoted != strlen(node->text));
		mistake_add(x->l->m, place, 2, "%s", err.text);
		node->broken = true;
	} else {
		node->text = yaml_keep_text(x->file->yaml, text, strlen(text), x->l->err);
		if (!node->text)
			load_fail(x->l, -ERROR_NO_MEMORY, "put variables in their places");
	}
}

static void expand(struct expansion *x, struct yaml_node *node)
{
	if (node->expanded || node->broken || x->l->failed)
		return;
	node->expanded = true;
	if (node->kind == YAML_SCALAR)
		expand_scalar(x, node);
	for (size_t i = 0; i < node->count; i++)
		expand(x, node->kind == YAML_LIST ? node->items[i] : node->pairs[i].value);
}

/* Component by component, so that it is known whose variables they are. */
static void expand_file(struct load *l, struct file *file)
{
	struct expansion x = {.l = l,
		.file = file,
		.variables = {.get = load_variable, .context = l, .left = INTERPOLATE_MAX}};
	struct yaml_node *root = file->root;

	for (size_t i = 0; root->kind == YAML_MAPPING && i < root->count; i++) {
		const struct yaml_pair *section = &root->pairs[i];
		struct yaml_node *value = section->value;
		bool parts = value->kind == YAML_MAPPING && strcmp(section->key->text, "meta") != 0 &&
			     strcmp(section->key->text, "modules") != 0;

		for (size_t k = 0; parts && k < value->count; k++) {
			_cleanup_free_ char *component =
				text_format(l->err, "%s.%s", section->key->text, value->pairs[k].key->text);

			l->component = component;
			expand(&x, value->pairs[k].value);
			l->component = NULL;
		}
		expand(&x, value);
	}
}

static int parse_file(struct load *l, struct file *file, const char *bytes, size_t n, struct error *err)
{
	const char *shown = file->path;
	size_t inside = strlen(l->p->directory);
	int r;

	if (!l->files)
		shown = l->in->shown ? l->in->shown : l->in->path;
	else if (!load_is_outside(l, file->path))
		shown = file->path + (inside > 1 ? inside + 1 : 1);
	r = mistakes_file(l->m, shown, bytes, n, &file->number, err);
	if (r == 0)
		r = text_list_add(&l->p->files, shown, err);
	if (r == 0)
		r = yaml_parse(bytes, n, l->m, file->number, &file->yaml, err);
	return r;
}

static int read_file(struct load *l, struct file *file, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	int r = 0;

	if (!l->files && l->in->text)
		return parse_file(l, file, l->in->text, l->in->size, err);
	r = l->in->files->read(l->in->files->context, file->path, YAML_BYTES_MAX, &bytes, err);
	return r < 0 ? r : parse_file(l, file, (const char *)bytes.data, bytes.size, err);
}

static void free_file(struct file *file)
{
	yaml_release(file->yaml);
	free(file->path);
	free(file->directory);
	free(file);
}

/* Where the file is: its directory without links, so that a file that is met again is known. */
static int find_place(struct load *l, const char *path, struct file *file, struct error *err)
{
	const char *base = strrchr(path, '/');
	_cleanup_free_ char *directory =
		base ? text_copy_bytes(path, (size_t)(base - path) + (base == path), err)
		     : text_copy(".", err);
	int r;

	if (!directory)
		return -ERROR_NO_MEMORY;
	base = base ? base + 1 : path;
	r = l->in->files->resolve(l->in->files->context, directory, &file->directory, err);
	if (r < 0)
		return r;
	file->path = text_format(err, "%s/%s", strcmp(file->directory, "/") ? file->directory : "", base);
	return file->path ? 0 : -ERROR_NO_MEMORY;
}

static void look_into(struct load *l, struct file *file)
{
	file->root = yaml_root(file->yaml);
	if (!file->root)
		return;
	expand_file(l, file);
	if (l->failed)
		return;
	schema_check(file->root, l->in->checks, l->m, file->number);
}

int load_open_file(struct load *l, const char *path, struct file **out, struct error *err)
{
	struct file *file = calloc(1, sizeof *file), *known;
	int r = file ? find_place(l, path, file, err) : error_no_memory(err, "open a file");

	if (r == 0 && !l->p->directory && !(l->p->directory = text_copy(file->directory, err)))
		r = -ERROR_NO_MEMORY;
	for (known = r == 0 ? l->files : NULL; known; known = known->next)
		if (!strcmp(known->path, file->path)) {
			free_file(file);
			*out = known;
			return 0;
		}
	if (r == 0)
		r = read_file(l, file, err);
	if (r < 0) {
		if (file)
			free_file(file);
		return r;
	}
	if (!l->files)
		load_read_dot_env(l);
	file->next = l->files;
	*out = l->files = file;
	look_into(l, file);
	return 0;
}

void load_free_files(struct load *l)
{
	while (l->files) {
		struct file *file = l->files;

		l->files = file->next;
		free_file(file);
	}
	while (l->env_files) {
		struct env_kept *kept = l->env_files;

		l->env_files = kept->next;
		env_free(&kept->env);
		free(kept->path);
		free(kept);
	}
}

static int parse_env(struct load *l, const char *path, struct env *e, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct env_source source = {.get = load_variable, .context = l};
	size_t inside = strlen(l->p->directory);
	const char *shown = load_is_outside(l, path) ? path : path + (inside > 1 ? inside + 1 : 1);
	int r = l->in->files->read(l->in->files->context, path, PROJECT_ENV_FILE_MAX, &bytes, err);

	if (r == 0)
		r = mistakes_file(l->m, shown, bytes.data, bytes.size, &source.file, err);
	if (r == 0)
		r = text_list_add(&l->p->files, shown, err);
	if (r < 0)
		return r;
	l->place = (struct project_place){.file = source.file, .line = 1, .column = 1};
	return bytes.size ? env_parse((const char *)bytes.data, bytes.size, &source, l->m, e, err) : 0;
}

int load_read_env_file(struct load *l, const char *path, struct project_place place, const struct env **env)
{
	struct env_kept *kept = l->env_files;
	struct error err;
	int r;

	while (kept && strcmp(kept->path, path))
		kept = kept->next;
	if (kept) {
		*env = &kept->env;
		return 0;
	}
	kept = calloc(1, sizeof *kept);
	if (!kept || !(kept->path = text_copy(path, l->err))) {
		free(kept);
		load_fail(l, -ERROR_NO_MEMORY, "read variables");
		return -ERROR_NO_MEMORY;
	}
	kept->next = l->env_files;
	l->env_files = kept;
	r = parse_env(l, path, &kept->env, &err);
	if (r == -ERROR_NO_MEMORY)
		load_fail(l, r, "read variables");
	else if (r < 0)
		mistake_add(l->m, place, 1, "env_file: %s", err.text);
	*env = &kept->env;
	return r;
}

/* The project's .env, if there is one. A link may lead it out of the project. */
void load_read_dot_env(struct load *l)
{
	_cleanup_free_ char *path =
		text_format(l->err, "%s/.env", strcmp(l->p->directory, "/") ? l->p->directory : "");
	_cleanup_free_ char *resolved = NULL;
	struct error err;
	int r;

	if (!path || l->in->files->resolve(l->in->files->context, path, &resolved, &err) < 0)
		return;
	r = parse_env(l, resolved, &l->dot_env, &err);
	if (r == -ERROR_NO_MEMORY)
		load_fail(l, r, "read .env");
	else if (r < 0 && r != -ERROR_NOT_FOUND)
		mistake_add(l->m, (struct project_place){0}, 1, ".env: %s", err.text);
	else if (r == 0 && load_is_outside(l, resolved))
		load_reach(l, REACH_ENV_FILE, NULL, resolved, (struct project_place){0});
}
