/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/command.h"

#include <ctype.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"

#define SCRIPTS_LABEL "dev.monocore.scripts="

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

static int append_all(char ***argv, const char *const *more, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && more && more[i]; i++)
		r = text_list_add(argv, more[i], err);
	return r;
}

static int append_shell(char ***argv, const char *line, struct error *err)
{
	const char *const shell[] = {"/bin/sh", "-c", line, NULL};

	return append_all(argv, shell, err);
}

static json_t *scripts_of(const struct image_config *config)
{
	for (size_t i = 0; config->labels && config->labels[i]; i++)
		if (text_starts(config->labels[i], SCRIPTS_LABEL))
			return json_loads(
				config->labels[i] + strlen(SCRIPTS_LABEL), JSON_REJECT_DUPLICATES, NULL);
	return NULL;
}

static int unknown_script(const char *script, json_t *scripts, struct error *err)
{
	_cleanup_buffer_ struct buffer names = {0};
	_cleanup_free_ char *list = NULL;
	const char *name;
	json_t *line;

	buffer_append_text(&names, "start");
	json_object_foreach(scripts, name, line) if (strcmp(name, "start"))
		buffer_format(&names, ", %s", name);
	list = buffer_take_text(&names);
	return error_set(
		err, ERROR_NOT_FOUND, "the image has no script '%s'; it has: %s", script, list ? list : "?");
}

/* Appends what the script runs. *whole: it is all there is to run (else the image's command follows). */
static int append_script(
	const struct image_config *config, const char *script, bool *whole, char ***argv, struct error *err)
{
	_cleanup_(cleanup_json) json_t *scripts = scripts_of(config);
	const char *line = json_string_value(json_object_get(scripts, script));

	*whole = line != NULL;
	if (line)
		return append_shell(argv, line, err);
	return strcmp(script, "start") ? unknown_script(script, scripts, err) : 0;
}

static int append_command(const struct image_config *config, const struct command_wishes *wishes,
	char ***argv, struct error *err)
{
	const char *const *entrypoint = wishes->entrypoint, *const *command = wishes->command;

	if (!entrypoint)
		entrypoint = (const char *const *)config->entrypoint;
	if (!command && !wishes->entrypoint)
		command = (const char *const *)config->cmd;
	if (entrypoint && entrypoint[0] && !*entrypoint[0])
		entrypoint = NULL;
	return append_all(argv, entrypoint, err) < 0 ? -ERROR_NO_MEMORY : append_all(argv, command, err);
}

int command_resolve(const struct image_config *config, const struct command_wishes *wishes, char ***argv,
	struct error *err)
{
	_cleanup_text_list_ char **list = NULL;
	bool whole = false;
	int r = 0;

	if (wishes->shell_command) {
		whole = true;
		r = append_shell(&list, wishes->shell_command, err);
	} else if (wishes->script)
		r = append_script(config, wishes->script, &whole, &list, err);
	if (r == 0 && !whole)
		r = append_command(config, wishes, &list, err);
	else if (r == 0 && wishes->command && wishes->script)
		r = append_all(&list, (const char *const[]){wishes->script, NULL}, err) < 0
			    ? -ERROR_NO_MEMORY
			    : append_all(&list, wishes->command, err); /* $0, then the arguments */
	if (r == 0 && !list)
		r = error_set(err, ERROR_INVALID,
			"the image has neither Entrypoint nor Cmd: say what to run behind its name");
	if (r == 0)
		*argv = TAKE_PTR(list);
	return r;
}

static bool same_key(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return n == strcspn(b, "=") && memcmp(a, b, n) == 0;
}

static int set_variable(char ***env, const char *variable, struct error *err)
{
	for (size_t i = 0; *env && (*env)[i]; i++)
		if (same_key((*env)[i], variable)) {
			char *copy = text_copy(variable, err);

			if (!copy)
				return -ERROR_NO_MEMORY;
			free((*env)[i]);
			(*env)[i] = copy;
			return 0;
		}
	return text_list_add(env, variable, err);
}

int command_environment(
	const struct image_config *config, const char *const *wishes, char ***env, struct error *err)
{
	_cleanup_text_list_ char **list = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && config->env && config->env[i]; i++)
		if (strchr(config->env[i], '='))
			r = set_variable(&list, config->env[i], err);
	for (size_t i = 0; r == 0 && wishes && wishes[i]; i++) {
		const char *equals = strchr(wishes[i], '=');

		if (!equals || equals == wishes[i])
			return error_set(
				err, ERROR_INVALID, "environment '%s': expected KEY=value", wishes[i]);
		r = set_variable(&list, wishes[i], err);
	}
	if (r == 0)
		*env = TAKE_PTR(list);
	return r;
}

int command_signal(const char *text, int *number, struct error *err)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	uint64_t v;

	if (!*text) {
		*number = SIGTERM;
		return 0;
	}
	if (isdigit((unsigned char)*text)) {
		if (text_parse_u64(text, 64, "signal", &v, NULL) == 0 && v > 0) {
			*number = (int)v;
			return 0;
		}
		return error_set(err, ERROR_INVALID, "'%s' is not a signal: 1 to 64", text);
	}
	if (strncasecmp(name, "RTMIN+", 6) == 0 && text_parse_u64(name + 6, 30, "signal", &v, NULL) == 0) {
		*number = 34 + (int)v; /* SIGRTMIN of the guest's C library */
		return 0;
	}
	for (int s = 1; s < 32; s++) {
		const char *known = sigabbrev_np(s);

		if (known && !strcasecmp(known, name)) {
			*number = s;
			return 0;
		}
	}
	return error_set(err, ERROR_INVALID, "'%s' is not a signal", text);
}

char *command_line(char *const *argv, struct error *err)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
	_cleanup_buffer_ struct buffer out = {0};
	char *text;

	for (size_t i = 0; argv && argv[i]; i++) {
		bool bare = *argv[i] && strspn(argv[i], plain) == strlen(argv[i]);

		buffer_append_text(&out, i ? " " : "");
		buffer_append_text(&out, bare ? "" : "'");
		for (const char *p = argv[i]; *p; p++)
			buffer_u8(&out, (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : (uint8_t)*p);
		buffer_append_text(&out, bare ? "" : "'");
	}
	if (out.size > 200) {
		out.size = 197;
		buffer_append_text(&out, "...");
	}
	text = buffer_take_text(&out);
	if (!text)
		error_no_memory(err, "quote a command");
	return text;
}
