/* SPDX-License-Identifier: Apache-2.0 */
/* Projects, from the path of a file to what it says; and the judges of words that other folders know. */
#include "lib/project.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/handle.h"
#include "net/ipam.h"
#include "net/policy.h"
#include "net/ports.h"
#include "net/special.h"
#include "oci/name.h"
#include "project/imports.h"
#include "project/schema.h"
#include "sandbox/volume.h"

/* Of paths nothing is said before they are used: they may be made meanwhile. */
static int check_image(const char *text, struct error *err)
{
	static const char *const prefixes[] = {"oci:", "docker-archive:", "rootfs:"};
	struct name name;
	int r;

	if (project_is_path(text, strlen(text)))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (text_starts(text, prefixes[i]))
			return text[strlen(prefixes[i])]
				       ? 0
				       : error_set(err, ERROR_INVALID, "expected a path behind '%s'",
						 prefixes[i]);
	r = name_parse(text, NULL, &name, err);
	if (r == 0)
		name_free(&name);
	return r;
}

static int check_ports(const char *text, struct project_port **list, size_t *count, struct error *err)
{
	_cleanup_free_ struct port *ports = NULL;
	size_t n = 0;
	int r = ports_parse(text, &ports, &n, err);

	if (r < 0)
		return r;
	*list = calloc(n + 1, sizeof **list);
	if (!*list)
		return error_no_memory(err, "read ports");
	for (size_t i = 0; i < n; i++) {
		struct project_port *p = &(*list)[i];
		const struct address *a = &ports[i].address;

		address_format(a, p->address);
		p->everywhere = !strcmp(p->address, "0.0.0.0") || !strcmp(p->address, "::");
		p->loopback = !p->everywhere && special_table[special_find(a)].scope == SCOPE_HOST;
		p->udp = ports[i].protocol == PORT_PROTOCOL_UDP;
		p->host = ports[i].host;
	}
	*count = n;
	return 0;
}

/* Whether all of a network is public: what contains it is, and nothing in it is for something else. */
static bool is_public(const struct prefix *p)
{
	if (special_table[special_find(&p->address)].scope != SCOPE_PUBLIC)
		return false;
	for (size_t i = 0; i < SPECIAL_COUNT; i++) {
		const struct special *s = &special_table[i];

		if (s->scope != SCOPE_PUBLIC && s->prefix.bits >= p->bits && prefix_overlaps(&s->prefix, p))
			return false;
	}
	return true;
}

static int check_rule(const char *text, bool *beyond, struct error *err)
{
	struct rule rule;
	int r = rule_parse(text, true, &rule, err);

	if (r < 0)
		return r;
	/* A domain is followed to public addresses only. */
	*beyond = rule.target == RULE_ANYWHERE || rule.target == RULE_HOST ||
		  (rule.target == RULE_PREFIX && !is_public(&rule.prefix));
	return 0;
}

/* As of a volume that has a name, so that nothing of the host is asked for. */
static int check_target(const char *path, struct error *err)
{
	_cleanup_free_ char *text = text_format(err, "volume:%s", path);
	struct record_mount m;
	int r;

	if (!text)
		return -ERROR_NO_MEMORY;
	r = volume_parse(text, &m, err);
	if (r < 0) { /* "volume 'volume:/b/..': " is no text of the file */
		const char *behind = strstr(err->text, "': ");

		if (behind)
			memmove(err->text, behind + 3, strlen(behind + 3) + 1);
		return r;
	}
	r = volume_check_targets(&m, 1, err);
	record_mount_free(&m);
	return r;
}

static int check_subnet(const char *text, struct error *err)
{
	struct prefix p;
	int r = prefix_parse(text, &p, err);

	return r < 0 ? r : ipam_check_subnet(&p, NULL, 0, err);
}

static int check_address(const char *subnet, const char *text, struct error *err)
{
	struct address a;
	struct prefix p;
	int r = address_parse(text, &a, err);

	if (r < 0)
		return r;
	if (!address_is_ipv4(&a) || !ipam_is_private(&a))
		return error_set(err, ERROR_INVALID, "'%s' is no private address of IPv4", text);
	if (!subnet || prefix_parse(subnet, &p, NULL) < 0)
		return 0;
	return ipam_check_address(&p, address_ipv4(&a), err);
}

static const char *variable(void *context, const char *name)
{
	(void)context;
	return getenv(name);
}

void project_load_here(struct project_load *load)
{
	static const struct project_checks checks = {.image = check_image,
		.ports = check_ports,
		.rule = check_rule,
		.target = check_target,
		.subnet = check_subnet,
		.address = check_address};
	const char *home = getenv("HOME");

	load->files = &project_files_host;
	load->checks = &checks;
	load->variable = variable;
	load->home = home && *home == '/' ? home : NULL;
}

static int find_upwards(const char *directory, char **file, struct error *err)
{
	_cleanup_free_ char *at = realpath(directory ? directory : ".", NULL);
	char *cut;

	if (!at)
		return error_errno(err, errno, "enter '%s'", directory ? directory : ".");
	for (;;) {
		_cleanup_free_ char *path = text_format(err, "%s/" PROJECT_FILE, strcmp(at, "/") ? at : "");

		if (!path)
			return -ERROR_NO_MEMORY;
		if (access(path, F_OK) == 0) {
			*file = TAKE_PTR(path);
			return 0;
		}
		cut = strrchr(at, '/');
		if (!at[1] || !cut)
			break;
		cut[cut == at] = 0;
	}
	return error_set(err, ERROR_NOT_FOUND,
		"there is no " PROJECT_FILE " here or above; 'monocore init' writes one, -c names another");
}

int monocore_project_find(const char *directory, char **file, struct monocore_error *error)
{
	struct error err;

	return find_upwards(directory, file, &err) < 0 ? give_error(error, &err) : 0;
}

void monocore_project_mistakes_free(struct monocore_project_mistakes *mistakes)
{
	for (size_t i = 0; i < mistakes->count; i++) {
		free(mistakes->list[i].file);
		free(mistakes->list[i].text);
		free(mistakes->list[i].excerpt);
	}
	free(mistakes->list);
	*mistakes = (struct monocore_project_mistakes){0};
}

/* The lines behind the first of what mistake_format() writes. */
static char *take_excerpt(const struct mistakes *m, const struct mistake *mistake)
{
	_cleanup_buffer_ struct buffer out = {0};
	_cleanup_free_ char *text = NULL;
	char *line;

	mistake_format(m, mistake, &out);
	text = buffer_take_text(&out);
	line = text ? strchr(text, '\n') : NULL;
	return line ? text_copy(line + 1, NULL) : NULL;
}

int project_give_mistakes(const struct mistakes *m, struct monocore_project_mistakes *out, struct error *err)
{
	out->list = calloc(m->count + 1, sizeof *out->list);
	if (!out->list)
		return error_no_memory(err, "tell mistakes");
	out->more = m->more;
	for (size_t i = 0; i < m->count; i++) {
		const struct mistake *from = &m->list[i];
		struct monocore_project_mistake *to = &out->list[out->count++];

		to->file = text_copy(
			from->place.file < m->file_count ? m->files[from->place.file].name : "", err);
		to->line = from->place.line;
		to->column = from->place.column;
		to->text = text_copy(from->text, err);
		to->excerpt = take_excerpt(m, from);
		if (!to->file || !to->text || !to->excerpt) {
			monocore_project_mistakes_free(out);
			return error_no_memory(err, "tell mistakes");
		}
	}
	return 0;
}

static int find_file(const struct monocore_project_options *o, char **path, struct error *err)
{
	if (!o || !o->file)
		return find_upwards(o ? o->directory : NULL, path, err);
	if (*o->file == '/' || !o->directory)
		*path = text_copy(o->file, err);
	else
		*path = text_format(err, "%s/%s", o->directory, o->file);
	return *path ? 0 : -ERROR_NO_MEMORY;
}

static int open_project(const struct monocore_project_options *o, struct monocore_project *p,
	struct monocore_project_mistakes *out, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	struct mistakes m = {0};
	struct project_load load = {.shown = o && o->file ? o->file : PROJECT_FILE};
	const char *base;
	int r = find_file(o, &path, err);

	if (r < 0)
		return r;
	load.path = path;
	project_load_here(&load);
	r = project_load(&load, &p->project, &m, err);
	if (m.count && out && project_give_mistakes(&m, out, err) < 0)
		r = -ERROR_NO_MEMORY;
	mistakes_free(&m);
	if (r == 0)
		r = project_add_imports(p->project, err);
	if (r < 0)
		return r;
	base = strrchr(path, '/');
	p->file = text_format(err, "%s/%s", strcmp(p->project->directory, "/") ? p->project->directory : "",
		base ? base + 1 : path);
	return p->file ? 0 : -ERROR_NO_MEMORY;
}

int monocore_project_open(const struct monocore_project_options *options, struct monocore_project **project,
	struct monocore_project_mistakes *mistakes, struct monocore_error *error)
{
	struct monocore_project *p = calloc(1, sizeof *p);
	struct error err;
	int r;

	if (mistakes)
		*mistakes = (struct monocore_project_mistakes){0};
	r = p ? open_project(options, p, mistakes, &err) : error_no_memory(&err, "open a project");
	if (r < 0) {
		monocore_project_close(p);
		return give_error(error, &err);
	}
	*project = p;
	return 0;
}

void monocore_project_close(struct monocore_project *p)
{
	if (!p)
		return;
	project_free(p->project);
	free(p->file);
	free(p);
}

const char *monocore_project_file(const struct monocore_project *project)
{
	return project->file;
}

const char *monocore_project_directory(const struct monocore_project *project)
{
	return project->project->directory;
}

int monocore_project_schema(bool markdown, char **text, struct monocore_error *error)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct error err;
	int r = markdown ? schema_markdown(&out, &err) : schema_json(&out, &err);

	if (r == 0 && !(*text = buffer_take_text(&out)))
		r = error_no_memory(&err, "write the schema");
	return r < 0 ? give_error(error, &err) : 0;
}
