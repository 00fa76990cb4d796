/* SPDX-License-Identifier: Apache-2.0 */
/* What has happened, as those who ask want it: read, chosen by filters, told. */
#include "lib/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/json.h"
#include "lib/labels.h"
#include "monocore_observe.h"
#include "sandbox/event_log.h"

void tell_image(struct monocore *mc, const char *action, const char *name, const char *digest)
{
	event_tell(&mc->home, &(struct event){.type = "image", .action = action, .id = digest, .name = name});
}

void tell_volume(struct monocore *mc, const char *action, const char *name)
{
	event_tell(&mc->home, &(struct event){.type = "volume", .action = action, .name = name});
}

/* ---- filters ---------------------------------------------------------------------------------------- */

/* What a key is compared with: a member of the event, or one of its attributes. */
static const struct {
	const char *key, *type; /* type: only of events of this */
} keys[] = {{"type", NULL}, {"event", NULL}, {"action", NULL}, {"name", NULL}, {"id", NULL},
	{"sandbox", "sandbox"}, {"container", "sandbox"}, {"volume", "volume"}, {"image", NULL},
	{"label", NULL}};

static size_t key_size(const char *filter)
{
	return (size_t)(strchrnul(filter, '=') - filter);
}

static bool has_key(const char *filter, const char *key)
{
	return key_size(filter) == strlen(key) && !strncmp(filter, key, strlen(key));
}

static int check_filters(const char *const *filters, struct error *err)
{
	for (; filters && *filters; filters++) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			known |= has_key(*filters, keys[i].key);
		if (!known || !strchr(*filters, '='))
			return error_set(err, ERROR_INVALID,
				"filter '%s': one is KEY=VALUE, KEY one of type, event, name, id, sandbox, "
				"volume, image and label",
				*filters);
	}
	return 0;
}

static bool is_image(const struct monocore_happening *h, const char *value)
{
	if (!strcmp(h->type, "image"))
		return !strcmp(h->name, value) || !strcmp(h->id, value);
	for (const char *const *a = h->attributes; *a; a++)
		if (text_starts(*a, "image=") && !strcmp(*a + strlen("image="), value))
			return true;
	return false;
}

static bool fits(const struct monocore_happening *h, const char *filter)
{
	const char *value = filter + key_size(filter) + 1;
	const char *const label[] = {value, NULL};

	if (has_key(filter, "type"))
		return !strcmp(h->type, value);
	if (has_key(filter, "event") || has_key(filter, "action"))
		return !strcmp(h->action, value);
	if (has_key(filter, "label"))
		return has_labels(h->labels, label);
	if (has_key(filter, "image"))
		return is_image(h, value);
	if (has_key(filter, "id"))
		return *value && text_starts(h->id, value);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].type && has_key(filter, keys[i].key) && strcmp(h->type, keys[i].type))
			return false;
	return !strcmp(h->name, value) || !strcmp(h->id, value);
}

/* Of the filters with one key, one must fit. */
static bool chosen(const struct monocore_happening *h, const char *const *filters)
{
	for (const char *const *f = filters; f && *f; f++) {
		bool any = false;

		for (const char *const *other = filters; *other; other++)
			any |= key_size(*other) == key_size(*f) && !strncmp(*other, *f, key_size(*f)) &&
			       fits(h, *other);
		if (!any)
			return false;
	}
	return true;
}

/* ---- read --------------------------------------------------------------------------------------------- */

struct teller {
	const struct monocore_events_options *options;
	int (*tell)(void *context, const struct monocore_happening *h);
	void *context;
};

/* An object of texts as "key=value"; the caller frees. NULL: no memory. */
static char **texts_of(const json_t *object)
{
	char **list = calloc(1, sizeof *list);
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		_cleanup_free_ char *pair =
			json_is_string(value) ? text_format(NULL, "%s=%s", key, json_string_value(value))
					      : NULL;

		if (pair && text_list_add(&list, pair, NULL) < 0)
			break;
	}
	return list;
}

static const char *member(const json_t *root, const char *key)
{
	const char *text = json_string_value(json_object_get(root, key));

	return text ? text : "";
}

/* A line that is none of ours, or was cut by a full disk, is passed over. */
static int take_line(void *context, const char *line, size_t size)
{
	const struct teller *t = context;
	const struct monocore_events_options *o = t->options;
	_cleanup_json_ json_t *root = NULL;
	_cleanup_text_list_ char **attributes = NULL, **labels = NULL;
	struct monocore_happening h;

	if (json_parse(line, size, EVENT_MAX, false, "an event", &root, NULL) < 0)
		return 0;
	attributes = texts_of(json_object_get(root, "attributes"));
	labels = texts_of(json_object_get(root, "labels"));
	if (!attributes || !labels)
		return 0;
	h = (struct monocore_happening){
		.time = (uint64_t)json_integer_value(json_object_get(root, "nanoseconds")),
		.type = member(root, "type"),
		.action = member(root, "action"),
		.id = member(root, "id"),
		.name = member(root, "name"),
		.attributes = (const char *const *)attributes,
		.labels = (const char *const *)labels,
		.json = line};
	if ((o->since && h.time < o->since) || (o->until && h.time > o->until) || !chosen(&h, o->filters))
		return 0;
	return t->tell(t->context, &h);
}

int monocore_events(struct monocore *mc, const struct monocore_events_options *options,
	int (*tell)(void *context, const struct monocore_happening *h), void *context,
	struct monocore_error *error)
{
	const struct monocore_events_options none = MONOCORE_EVENTS_OPTIONS_INIT;
	const struct monocore_events_options *o = options ? options : &none;
	struct teller teller = {o, tell, context};
	const struct events_query query = {.follow = o->follow, .until = o->until, .stop = o->stop};
	struct error err = {0};
	int r = check_filters(o->filters, &err);

	if (r == 0)
		r = events_read(&mc->home, &query, take_line, &teller, &err);
	return err.code ? give_error(error, &err) : r;
}
