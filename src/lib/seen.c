/* SPDX-License-Identifier: Apache-2.0 */
/* What there is of a project: the sandboxes that carry its label. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/component.h"
#include "oci/current.h"
#include "sandbox/records.h"
#include "sandbox/volume.h"

void seen_free(struct seen_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free((char *)list->items[i].sandbox);
		free((char *)list->items[i].component);
		free((char *)list->items[i].digest);
	}
	free(list->items);
	*list = (struct seen_list){0};
}

static const char *label_value(char *const *labels, const char *key)
{
	size_t n = strlen(key);

	for (; labels && *labels; labels++)
		if (!strncmp(*labels, key, n) && (*labels)[n] == '=')
			return *labels + n + 1;
	return NULL;
}

/* ---- how one stands ----------------------------------------------------------------------------------- */

static enum plan_state plan_state_of(enum monocore_state state)
{
	static const enum plan_state states[] = {[MONOCORE_CREATED] = PLAN_CREATED,
		[MONOCORE_STARTING] = PLAN_STARTING,
		[MONOCORE_RUNNING] = PLAN_RUNNING,
		[MONOCORE_PAUSED] = PLAN_PAUSED,
		[MONOCORE_STOPPED] = PLAN_STOPPED,
		[MONOCORE_RESTARTING] = PLAN_RESTARTING};

	return states[state];
}

static enum plan_health plan_health_of(const char *text)
{
	return !strcmp(text, "healthy")     ? PLAN_HEALTHY
	       : !strcmp(text, "unhealthy") ? PLAN_UNHEALTHY
	       : !strcmp(text, "starting")  ? PLAN_CHECKING
					    : PLAN_UNCHECKED;
}

struct looking {
	struct monocore *mc;
	const struct project *project;
	const struct project_identity *identity;
	struct store *store; /* opened when it is needed */
	struct seen_list *list;
};

static int look_at_image(struct looking *l, const struct component *c, const struct record *record,
	struct plan_seen *s, struct error *err)
{
	int r = l->store ? 0 : store_open(l->mc->home.path, &l->store, err);

	return r == 0 ? image_is_other(l->store, c->image, record->digest, &s->other_image, err) : r;
}

/* Against what the file asks for. */
static int compare(struct looking *l, const struct directory *d, const struct record *record,
	struct plan_seen *s, struct error *err)
{
	const struct project_sandbox *sandbox = project_sandbox(l->project, s->component);
	_cleanup_component_ struct component c = {0};
	int r = sandbox ? component_make(l->project, l->identity, sandbox, &c, err) : 0;

	if (!sandbox || r < 0 || strcmp(c.name, s->sandbox) != 0)
		return r;
	r = look_at_image(l, &c, record, s, err);
	return r == 0 ? component_network_is_other(&c, d, &s->other_network, err) : r;
}

static int add_seen(
	struct looking *l, const struct directory *d, const struct record *record, struct error *err)
{
	const char *component = label_value(record->labels, LABEL_COMPONENT),
		   *digest = label_value(record->labels, LABEL_DIGEST);
	_cleanup_status_ struct status status = {0};
	struct plan_seen *more = reallocarray(l->list->items, l->list->count + 1, sizeof *l->list->items), *s;
	bool interrupted;
	int r;

	if (!more)
		return error_no_memory(err, "look at a project");
	l->list->items = more;
	s = &more[l->list->count++];
	*s = (struct plan_seen){.sandbox = text_copy(record->name, err),
		.component = text_copy(component ? component : "", err),
		.digest = text_copy(digest ? digest : "", err)};
	if (!s->sandbox || !s->component || !s->digest)
		return -ERROR_NO_MEMORY;
	r = status_read(d->fd, &status, err);
	if (r < 0)
		return r;
	s->state = plan_state_of(sandbox_state(d, &status, &interrupted));
	s->health = s->state == PLAN_RUNNING ? plan_health_of(status.health) : PLAN_UNCHECKED;
	return compare(l, d, record, s, err);
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static int look_at(struct looking *l, const char *id, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	const char *project;
	int r;

	snprintf(d.id, sizeof d.id, "%s", id);
	d.fd = openat(l->mc->home.sandboxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d.fd < 0)
		return 0; /* removed meanwhile */
	r = record_read(d.fd, &record, err);
	if (r == -ERROR_NOT_FOUND || r == -ERROR_CORRUPT)
		return 0; /* removed, or nobody's any more */
	project = r == 0 ? label_value(record.labels, LABEL_PROJECT) : NULL;
	if (r < 0 || !project || strcmp(project, l->identity->id) != 0)
		return r;
	r = add_seen(l, &d, &record, err);
	return r < 0 ? error_prefix(err, "sandbox %s", record.name) : 0;
}

int seen_find(struct monocore *mc, const struct project *p, const struct project_identity *identity,
	struct seen_list *list, struct error *err)
{
	struct looking l = {.mc = mc, .project = p, .identity = identity, .list = list};
	_cleanup_text_list_ char **ids = NULL;
	int r = *identity->id ? directory_list(&mc->home, &ids, err) : 0;

	for (char **id = ids; r == 0 && id && *id; id++)
		r = look_at(&l, *id, err);
	store_free(l.store);
	return r;
}

/* ---- what it is called -------------------------------------------------------------------------------- */

static bool is_component(const struct seen_list *seen, const struct project *p, const char *name)
{
	for (size_t i = 0; i < seen->count; i++)
		if (!strcmp(seen->items[i].component, name))
			return true;
	return project_sandbox(p, name) != NULL;
}

int seen_names(const struct seen_list *seen, const struct project *p, const struct project_identity *identity,
	const char *const *names, char ***components, struct error *err)
{
	size_t n = strlen(identity->name);
	int r = 0;

	for (; r == 0 && names && *names; names++) {
		bool has_prefix = !strncmp(*names, identity->name, n) && (*names)[n] == '-';
		bool is_sandbox =
			has_prefix && !is_component(seen, p, *names) && is_component(seen, p, *names + n + 1);

		r = text_list_add(components, is_sandbox ? *names + n + 1 : *names, err);
	}
	return r;
}

/* ---- who it is ---------------------------------------------------------------------------------------- */

static int is_labelled(void *context, const struct record *record, struct error *err)
{
	const char *project = label_value(record->labels, LABEL_PROJECT);

	(void)err;
	return project && !strcmp(project, context) ? -ERROR_EXISTS : 0;
}

/* Where nobody can tell, it is. */
static bool project_is_used(void *context, const struct project_identity *other)
{
	const struct monocore *mc = context;
	_cleanup_text_list_ char **volumes = NULL;
	size_t n = strlen(other->name);

	if (records_each(&mc->home, is_labelled, (void *)other->id, NULL) < 0 ||
		volume_list(&mc->home, &volumes, NULL) < 0)
		return true;
	for (char **v = volumes; v && *v; v++)
		if (!strncmp(*v, other->name, n) && (*v)[n] == '_')
			return true;
	return false;
}

int project_who(struct monocore *mc, const struct monocore_project *project, bool make,
	struct project_identity *identity, struct error *err)
{
	const char *directory = project->project->directory;
	int r;

	*identity = (struct project_identity){0};
	if (make)
		return project_identity_open(mc->home.path, directory, project_is_used, mc, identity, err);
	r = project_identity_find(mc->home.path, directory, identity, err);
	if (r != -ERROR_NOT_FOUND)
		return r;
	*identity = (struct project_identity){0};
	project_identity_name(directory, identity->name);
	return 0;
}
