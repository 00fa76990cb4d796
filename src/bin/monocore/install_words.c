/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/install.h"
#include "codec/json.h"

#define JSON_LIMIT ((size_t)16 << 20)

static int add(char ***words, const char *option, const char *value, struct error *err)
{
	int r = value ? text_list_add(words, option, err) : 0;

	return r < 0 || !value ? r : text_list_add(words, value, err);
}

static int add_all(char ***words, const char *option, char *const *values, struct error *err)
{
	int r = 0;

	for (; r == 0 && values && *values; values++)
		r = add(words, option, *values, err);
	return r;
}

static int add_number(char ***words, const char *option, uint64_t number, const char *unit, struct error *err)
{
	_cleanup_free_ char *text = text_format(err, "%" PRIu64 "%s", number, unit);

	if (!text)
		return -ERROR_NO_MEMORY;
	return number ? add(words, option, text, err) : 0;
}

/* "./notes:/notes" means the notes that are here now, wherever the command is called. */
static int add_volume(char ***words, const char *volume, struct error *err)
{
	const char *colon = strchr(volume, ':');
	_cleanup_free_ char *source = NULL, *path = NULL, *whole = NULL;

	if (*volume != '.' || !colon)
		return add(words, "--volume", volume, err);
	source = text_copy_bytes(volume, (size_t)(colon - volume), err);
	if (!source)
		return -ERROR_NO_MEMORY;
	path = realpath(source, NULL);
	if (!path)
		return error_errno(err, errno, "--volume: find '%s'", source);
	whole = text_format(err, "%s%s", path, colon);
	return whole ? add(words, "--volume", whole, err) : -ERROR_NO_MEMORY;
}

static int add_wishes(const struct install_wishes *w, char ***words, struct error *err)
{
	int r = w->mount_cwd ? text_list_add(words, "--mount-cwd", err) : 0;

	if (r == 0)
		r = add_number(words, "--cpus", w->cpus, "", err);
	if (r == 0)
		r = add_number(words, "--ram", w->memory >> 10, "K", err);
	for (char *const *v = w->volumes; r == 0 && v && *v; v++)
		r = add_volume(words, *v, err);
	if (r == 0)
		r = add_all(words, "--env", w->env, err);
	if (r == 0)
		r = add_all(words, "--port", w->ports, err);
	if (r == 0)
		r = add_all(words, "--allow", w->allow, err);
	if (r == 0)
		r = add_all(words, "--deny", w->deny, err);
	if (r == 0)
		r = add(words, "--workdir", w->workdir, err);
	if (r == 0)
		r = add(words, "--user", w->user, err);
	if (r == 0)
		r = add(words, "--entrypoint", w->entrypoint, err);
	return r < 0 ? r : add(words, "--reach", w->reach, err);
}

static int refuse_script(const json_t *scripts, const char *script, struct error *err)
{
	_cleanup_buffer_ struct buffer names = {0};
	const char *name;
	json_t *line;

	buffer_append_text(&names, "start");
	json_object_foreach((json_t *)scripts, name, line) if (strcmp(name, "start"))
		buffer_format(&names, ", %s", name);
	buffer_u8(&names, 0);
	return error_set(err, ERROR_NOT_FOUND, "the image has no script '%s'; it has: %s", script,
		names.failed ? "?" : (const char *)names.data);
}

/* *whole: the script is all that is run; else it is ~start without one of that name. */
static int look_for_script(const json_t *config, const char *script, bool *whole, struct error *err)
{
	const char *label =
		json_string_value(json_object_get(json_object_get(config, "Labels"), "dev.monocore.scripts"));
	_cleanup_json_ json_t *scripts = label ? json_loads(label, JSON_REJECT_DUPLICATES, NULL) : NULL;

	*whole = json_is_string(json_object_get(scripts, script));
	return *whole || !strcmp(script, "start") ? 0 : refuse_script(scripts, script, err);
}

/* The arguments are the Cmd's where there is nothing else that they could be of. */
static int add_command(const json_t *config, char ***words, struct error *err)
{
	const json_t *entrypoint = json_object_get(config, "Entrypoint"),
		     *cmd = json_object_get(config, "Cmd");
	int r = 0;

	if (json_array_size(entrypoint))
		return 0;
	if (!json_array_size(cmd))
		return error_set(err, ERROR_INVALID,
			"the image has neither Entrypoint nor Cmd: name its program by --entrypoint");
	for (size_t i = 0; r == 0 && i < json_array_size(cmd); i++)
		r = text_list_add(words, json_string_value(json_array_get(cmd, i)) ?: "", err);
	return r;
}

static int add_image(const char *image, const char *script, char ***words, struct error *err)
{
	_cleanup_free_ char *named =
		text_format(err, "%s%s%s", image, script ? "~" : "", script ? script : "");
	int r = named ? text_list_add(words, named, err) : -ERROR_NO_MEMORY;

	return r < 0 ? r : text_list_add(words, "--", err);
}

int install_words(const struct install_wishes *wishes, const char *image, const char *script,
	const char *json, char ***words, struct error *err)
{
	_cleanup_text_list_ char **list = NULL;
	_cleanup_json_ json_t *root = NULL;
	const json_t *config;
	bool whole = wishes->entrypoint != NULL;
	int r = json_parse(json, strlen(json), JSON_LIMIT, false, "the image", &root, err);

	if (r < 0)
		return r;
	if (script && wishes->entrypoint)
		return error_set(
			err, ERROR_USAGE, "--entrypoint takes the place of a script; give one of them");
	config = json_object_get(root, "Config");
	if (script)
		r = look_for_script(config, script, &whole, err);
	if (r == 0)
		r = text_list_add(&list, "--quiet", err);
	if (r == 0)
		r = add(&list, "--pull", "never", err);
	if (r == 0)
		r = add_wishes(wishes, &list, err);
	if (r == 0)
		r = add_image(image, whole ? script : NULL, &list, err);
	if (r == 0 && !whole)
		r = add_command(config, &list, err);
	if (r == 0)
		*words = TAKE_PTR(list);
	return r;
}
