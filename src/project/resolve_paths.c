/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the host: made absolute, their links resolved, and noted where they lead out of the project. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/monofs_uri.h"
#include "project/load_parts.h"

static const char *const sections[] = {"sandboxes", "builds", "groups"};

/* "kind component value": so that each is noted once. */
static bool is_new(struct load *l, enum project_reach_kind kind, const char *component, const char *value)
{
	_cleanup_free_ char *key = text_format(l->err, "%d %s\n%s", (int)kind, component, value);
	void *old = NULL;

	if (!key || map_set(&l->reaches, key, strlen(key), l, &old, l->err) < 0)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	return !old;
}

void load_reach(struct load *l, enum project_reach_kind kind, struct component *c, const char *value,
	struct project_place place)
{
	_cleanup_free_ char *component = c ? text_format(l->err, "%s.%s", sections[c->part], c->name)
					   : text_copy(l->component ? l->component : "", l->err);
	struct project_reach_out *grown;

	if (!component) {
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
		return;
	}
	if (!is_new(l, kind, component, value) || l->failed)
		return;
	grown = realloc(l->p->reaches, (l->p->reach_count + 1) * sizeof *grown);
	if (!grown) {
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
		return;
	}
	l->p->reaches = grown;
	grown[l->p->reach_count++] = (struct project_reach_out){
		.kind = kind, .component = TAKE_PTR(component), .value = load_keep(l, value), .place = place};
}

bool load_is_outside(const struct load *l, const char *path)
{
	size_t n = strlen(l->p->directory);

	if (n == 1)
		return false;
	return strncmp(path, l->p->directory, n) != 0 || (path[n] && path[n] != '/');
}

static char *join(struct load *l, const struct file *file, const char *text, struct project_place place)
{
	char *path;

	if (*text == '~' && text[1] && text[1] != '/') {
		mistake_add(l->m, place, strlen(text),
			"'%s': another user's home has no short form here; write its path", text);
		return NULL;
	}
	if (*text == '~' && !l->in->home) {
		mistake_add(l->m, place, strlen(text), "'%s': there is no home directory", text);
		return NULL;
	}
	path = *text == '~'   ? text_format(l->err, "%s%s", l->in->home, text + 1)
	       : *text == '/' ? text_copy(text, l->err)
			      : text_format(l->err, "%s/%s", file->directory, text);
	if (!path)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	return path;
}

void load_note_read(struct load *l, const char *path)
{
	for (char **known = l->p->reads; known && *known; known++)
		if (!strcmp(*known, path))
			return;
	load_list_add(l, &l->p->reads, path);
}

char *load_path(
	struct load *l, const struct file *file, const char *text, bool read, struct project_place place)
{
	_cleanup_free_ char *path = join(l, file, text, place), *resolved = NULL;
	struct error err;
	int r;

	if (!path)
		return NULL;
	if (read)
		load_note_read(l, path);
	r = l->in->files->resolve(l->in->files->context, path, &resolved, &err);
	if (r == -ERROR_NO_MEMORY)
		load_fail(l, r, "read the project");
	else if (r < 0)
		mistake_add(l->m, place, strlen(text), "%s", err.text);
	if (r < 0)
		return NULL;
	return load_keep(l, resolved);
}

char *load_path_reach(struct load *l, struct component *c, const char *text, enum project_reach_kind kind,
	const char *suffix, struct project_place place)
{
	char *path = load_path(l, c->file, text, kind == REACH_ENV_FILE, place);
	_cleanup_free_ char *value = NULL;

	if (!path || !load_is_outside(l, path))
		return path;
	value = text_format(l->err, "%s%s", path, suffix);
	if (value)
		load_reach(l, kind, c, value, place);
	else
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	return path;
}

static bool has_option(const char *options, const char *option)
{
	size_t n = strlen(option);

	for (const char *p = options; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, option, n) && (!p[n] || p[n] == ','))
			return true;
	return false;
}

/* The path in it is the file's as any other is; what stands behind that stays. */
static void resolve_monofs(
	struct load *l, struct component *c, const char *text, const char *suffix, struct project_volume *v)
{
	const char *query = strchr(text, '?');
	_cleanup_free_ char *path = NULL, *source = NULL, *found = NULL;

	text += strlen(MONOFS_URI);
	path = text_copy_bytes(text, query ? (size_t)(query - text) : strlen(text), l->err);
	found = path ? load_path_reach(l, c, path, REACH_VOLUME, suffix, v->place) : NULL;
	source = found ? text_format(l->err, MONOFS_URI "%s%s", found, query ? query : "") : NULL;
	if (source)
		v->source = load_keep(l, source);
	else if (found || !path)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	if (found && strchr(found, ':'))
		mistake_add(l->m, v->place, strlen(text),
			"the path '%s' has a ':' in it, which no volume's can", found);
}

void resolve_source(
	struct load *l, struct component *c, const char *text, const char *options, struct project_volume *v)
{
	bool harmless = has_option(options, "ro") || has_option(options, "stage");

	if (monofs_uri_is(text)) {
		resolve_monofs(l, c, text, harmless || strstr(text, "rev=") ? ":ro" : "", v);
		return;
	}
	v->named = !project_is_path(text, strlen(text));
	if (v->named)
		v->source = load_keep(l, text);
	else
		v->source = load_path_reach(l, c, text, REACH_VOLUME, harmless ? ":ro" : "", v->place);
	if (v->source && strchr(v->source, ':'))
		mistake_add(l->m, v->place, strlen(text),
			"the path '%s' has a ':' in it, which no volume's can", v->source);
}

static void check_target(struct load *l, const struct project_common *common, const struct project_volume *v)
{
	for (size_t i = 0; i < common->volume_count; i++)
		if (v->target && common->volumes[i].target && !strcmp(common->volumes[i].target, v->target))
			mistake_add(l->m, v->place, 1, "'%s' is mounted already, by line %u", v->target,
				common->volumes[i].place.line);
}

static void resolve_volume(struct load *l, struct component *c, const char *text, struct project_place place,
	struct project_common *common)
{
	struct project_volume v = {.place = place};
	_cleanup_free_ char *copy = text_copy(text, l->err);
	char *source = copy && monofs_uri_is(copy) ? copy + strlen(MONOFS_URI) : copy;
	char *target = source ? strchr(source, ':') : NULL, *options;

	if (!target) {
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
		return;
	}
	*target++ = 0;
	options = strchr(target, ':');
	if (options)
		*options++ = 0;
	for (size_t n = strlen(target); n > 1 && target[n - 1] == '/'; n--)
		target[n - 1] = 0;
	v.options = load_keep(l, options ? options : "");
	v.target = load_keep(l, target);
	resolve_source(l, c, copy, options ? options : "", &v);
	check_target(l, common, &v);
	common->volumes[common->volume_count++] = v;
}

void resolve_volumes(
	struct load *l, struct component *c, const struct yaml_node *node, struct project_common *common)
{
	if (!node || !node->count)
		return;
	common->volumes = calloc(node->count, sizeof *common->volumes);
	if (!common->volumes) {
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
		return;
	}
	for (size_t i = 0; i < node->count && !l->failed; i++) {
		struct project_place place;
		const char *text = resolve_item(node, i, &place);

		place.file = c->file->number;
		if (text)
			resolve_volume(l, c, text, place, common);
	}
}

/* "oci:DIR:TAG" and the like: the path in it is what stands before the last ":TAG" or "@DIGEST", unless the
 * whole is there. */
static void resolve_image_path(struct load *l, struct component *c, const char *prefix, const char *text,
	struct project_place place, struct project_common *common)
{
	_cleanup_free_ char *path = text_copy(text, l->err), *resolved = NULL;
	const char *suffix = "";
	char *cut = path ? strpbrk(path + 1, ":@") : NULL;

	if (!path) {
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
		return;
	}
	if (cut && !strchr(cut, '/')) {
		suffix = text + (cut - path);
		*cut = 0;
	}
	/* A layout or an archive is one by its digests: another file cannot be read by calling it so. A
	 * directory is an image whatever is in it. */
	if (!*prefix || !strcmp(prefix, "rootfs:"))
		resolved = load_path_reach(l, c, path, REACH_IMAGE, "", place);
	else
		resolved = load_path(l, c->file, path, false, place);
	if (!resolved)
		return;
	common->image = text_format(l->err, "%s%s%s", prefix, resolved, suffix);
	if (!common->image)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
}

void resolve_image(struct load *l, struct component *c, struct project_common *common)
{
	static const char *const prefixes[] = {"oci:", "docker-archive:", "rootfs:"};
	const struct yaml_node *node = resolve_member(c->node, "image");
	struct project_place place;

	if (!node)
		return;
	place = yaml_place(node, c->file->number);
	for (size_t i = 0; i < c->reference_count; i++)
		if (c->references[i].role == ROLE_IMAGE) {
			common->image = load_keep(l, c->references[i].to->name);
			common->image_is_build = true;
			return;
		}
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (text_starts(node->text, prefixes[i])) {
			resolve_image_path(
				l, c, prefixes[i], node->text + strlen(prefixes[i]), place, common);
			return;
		}
	if (project_is_path(node->text, strlen(node->text)))
		resolve_image_path(l, c, "", node->text, place, common);
	else
		common->image = load_keep(l, node->text);
}
