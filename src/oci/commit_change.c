/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/commit_change.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/json.h"

#define PORTS_MOST 65535

static const char blanks[] = " \t\r\n";

/* ---- JSON ------------------------------------------------------------------------------------------ */

/* Sets a member to a value that is taken over; NULL: there was no memory for it. */
static int set(json_t *object, const char *key, json_t *value, struct error *err)
{
	return json_object_set_new(object, key, value) < 0
		       ? error_set(err, ERROR_USAGE, "the value of %s is not UTF-8", key)
		       : 0;
}

/* The member, an object or an array, made where it is missing or null. NULL: it is something else. */
static json_t *member(json_t *object, const char *key, bool array)
{
	json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value)) {
		json_object_set_new(object, key, array ? json_array() : json_object());
		value = json_object_get(object, key);
	}
	return (array ? json_is_array(value) : json_is_object(value)) ? value : NULL;
}

static int no_member(const char *key, struct error *err)
{
	return error_set(err, ERROR_INVALID, "the config of the image has a strange %s", key);
}

/* A JSON array of strings; NULL: this is something else. */
static json_t *json_form(const char *text)
{
	json_t *list = *text == '[' ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL, *item;
	size_t i;

	json_array_foreach(list, i, item) if (!json_is_string(item))
	{
		json_decref(list);
		return NULL;
	}
	return list;
}

/* ---- words ----------------------------------------------------------------------------------------- */

static const char *variable_value(const json_t *config, const char *name, size_t n)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(config, "Env"), i, item)
	{
		const char *text = json_string_value(item);

		if (text && !strncmp(text, name, n) && text[n] == '=')
			return text + n + 1;
	}
	return "";
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* At a '$': appends what it stands for. */
static int take_variable(const json_t *config, const char **at, struct buffer *out, struct error *err)
{
	bool braces = (*at)[1] == '{';
	const char *name = *at + 1 + braces;
	size_t n = 0;

	while (is_name(name[n]))
		n++;
	if (braces && (!n || name[n] != '}'))
		return error_set(err, ERROR_USAGE, "'%s': expected ${NAME}", *at);
	if (!n) {
		buffer_u8(out, '$');
		*at += 1;
		return 0;
	}
	buffer_append_text(out, variable_value(config, name, n));
	*at = name + n + braces;
	return 0;
}

/* One word without its quotes, up to a blank, or with `whole` to the end of the text. */
static int take_word(const json_t *config, const char **at, bool whole, struct buffer *out, struct error *err)
{
	char quote = 0;
	int r = 0;

	buffer_clear(out);
	while (r == 0 && **at && (quote || whole || !strchr(blanks, **at))) {
		char c = **at;

		if (c == '$' && quote != '\'') {
			r = take_variable(config, at, out, err);
			continue;
		}
		++*at;
		if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? 0 : c;
		else if (c == '\\' && quote != '\'' && **at && (!quote || strchr("\"\\$", **at)))
			buffer_u8(out, (uint8_t) * (*at)++);
		else
			buffer_u8(out, (uint8_t)c);
	}
	if (r == 0 && quote)
		return error_set(err, ERROR_USAGE, "a quote (%c) is not closed", quote);
	if (r == 0 && !buffer_u8(out, 0))
		return error_no_memory(err, "read an instruction");
	return r;
}

/* What is to be done with each word. */
typedef int word_call(json_t *config, const char *word, struct error *err);

static int each_word(json_t *config, const char *text, word_call *call, struct error *err)
{
	_cleanup_buffer_ struct buffer word = {0};
	int r = 0;

	while (r == 0 && *(text += strspn(text, blanks))) {
		r = take_word(config, &text, false, &word, err);
		if (r == 0)
			r = call(config, (const char *)word.data, err);
	}
	return r;
}

/* "KEY=value KEY2=value2", or of old "KEY value to the end". */
static int each_pair(json_t *config, const char *text, word_call *call, struct error *err)
{
	_cleanup_buffer_ struct buffer word = {0};
	size_t key = strcspn(text, "= \t");
	_cleanup_free_ char *pair = NULL;
	int r;

	if (text[key] == '=')
		return each_word(config, text, call, err);
	pair = text_copy_bytes(text, key, err);
	if (!pair)
		return -ERROR_NO_MEMORY;
	text += key + strspn(text + key, blanks);
	if (!*text)
		return error_set(err, ERROR_USAGE, "'%s' has no value", pair);
	r = take_word(config, &text, true, &word, err);
	if (r < 0)
		return r;
	{
		_cleanup_free_ char *both = text_format(err, "%s=%s", pair, (const char *)word.data);

		return both ? call(config, both, err) : -ERROR_NO_MEMORY;
	}
}

/* ---- instructions ---------------------------------------------------------------------------------- */

int commit_set_variable(json_t *config, const char *variable, struct error *err)
{
	json_t *env = member(config, "Env", true), *item, *value;
	size_t key = strcspn(variable, "="), i;
	int r;

	if (!env)
		return no_member("Env", err);
	if (!key || !variable[key])
		return error_set(err, ERROR_USAGE, "'%s': expected KEY=value", variable);
	value = json_string(variable);
	if (!value)
		return error_set(err, ERROR_USAGE, "'%s' is not UTF-8", variable);
	json_array_foreach(env, i, item)
	{
		const char *text = json_string_value(item);

		if (text && !strncmp(text, variable, key + 1)) {
			json_array_set_new(env, i, value);
			return 0;
		}
	}
	r = json_array_append_new(env, value);
	return r < 0 ? error_no_memory(err, "set a variable") : 0;
}

int commit_set_label(json_t *config, const char *pair, struct error *err)
{
	json_t *labels = member(config, "Labels", false);
	const char *equals = strchr(pair, '=');
	_cleanup_free_ char *key = equals ? text_copy_bytes(pair, (size_t)(equals - pair), err) : NULL;

	if (!labels)
		return no_member("Labels", err);
	if (!equals || equals == pair)
		return error_set(err, ERROR_USAGE, "'%s': expected KEY=value", pair);
	return key ? set(labels, key, json_string(equals + 1), err) : -ERROR_NO_MEMORY;
}

static int set_volume(json_t *config, const char *path, struct error *err)
{
	json_t *volumes = member(config, "Volumes", false);

	if (!volumes)
		return no_member("Volumes", err);
	if (*path != '/')
		return error_set(err, ERROR_USAGE, "'%s' is not an absolute path", path);
	return set(volumes, path, json_object(), err);
}

static int parse_port(const char **at, uint64_t *port, const char *word, struct error *err)
{
	char digits[8] = "";
	size_t n = strspn(*at, "0123456789");

	if (n && n < sizeof digits)
		memcpy(digits, *at, n);
	*at += n;
	if (!*digits || text_parse_u64(digits, PORTS_MOST, "port", port, NULL) < 0 || !*port)
		return error_set(err, ERROR_USAGE, "'%s': expected PORT[-PORT][/tcp|udp|sctp]", word);
	return 0;
}

static int set_port(json_t *config, const char *word, struct error *err)
{
	static const char *const protocols[] = {"tcp", "udp", "sctp"};
	json_t *ports = member(config, "ExposedPorts", false);
	const char *at = word, *protocol = "tcp";
	uint64_t first, last;
	size_t known = 0;
	int r = parse_port(&at, &first, word, err);

	if (!ports)
		return no_member("ExposedPorts", err);
	last = first;
	if (r == 0 && *at == '-')
		r = (at++, parse_port(&at, &last, word, err));
	if (r == 0 && *at)
		protocol = *at == '/' ? at + 1 : "";
	while (known < ARRAY_SIZE(protocols) && strcasecmp(protocol, protocols[known]))
		known++;
	if (r == 0 && (known == ARRAY_SIZE(protocols) || last < first))
		return error_set(err, ERROR_USAGE, "'%s': expected PORT[-PORT][/tcp|udp|sctp]", word);
	for (; r == 0 && first <= last; first++) {
		char key[24];

		snprintf(key, sizeof key, "%u/%s", (unsigned)first, protocols[known]);
		r = set(ports, key, json_object(), err);
	}
	return r;
}

/* The JSON form, or a line for the shell: the config's own, else /bin/sh. */
static json_t *command_of(const json_t *config, const char *text)
{
	json_t *list = json_form(text), *shell = json_object_get(config, "Shell");

	if (list)
		return list;
	list = json_is_array(shell) && json_array_size(shell) ? json_copy(shell)
							      : json_pack("[ss]", "/bin/sh", "-c");
	if (list && json_array_append_new(list, json_string(text)) < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static int set_command(json_t *config, const char *key, const char *text, bool *empty, struct error *err)
{
	json_t *list = command_of(config, text);

	*empty = list && !json_array_size(list);
	if (!*empty)
		return set(config, key, list, err);
	json_decref(list);
	json_object_del(config, key);
	return 0;
}

static int change_cmd(struct commit_changer *c, const char *text, struct error *err)
{
	bool empty;

	c->cmd_set = true;
	return set_command(c->config, "Cmd", text, &empty, err);
}

/* A new entry point makes nothing of the arguments for the old one. */
static int change_entrypoint(struct commit_changer *c, const char *text, struct error *err)
{
	bool empty;
	int r = set_command(c->config, "Entrypoint", text, &empty, err);

	if (r == 0 && !empty && !c->cmd_set)
		json_object_del(c->config, "Cmd");
	return r;
}

static int change_env(struct commit_changer *c, const char *text, struct error *err)
{
	return each_pair(c->config, text, commit_set_variable, err);
}

static int change_label(struct commit_changer *c, const char *text, struct error *err)
{
	return each_pair(c->config, text, commit_set_label, err);
}

static int change_expose(struct commit_changer *c, const char *text, struct error *err)
{
	return each_word(c->config, text, set_port, err);
}

static int change_volume(struct commit_changer *c, const char *text, struct error *err)
{
	_cleanup_json_ json_t *list = json_form(text);
	json_t *item;
	size_t i;
	int r = 0;

	if (!list)
		return each_word(c->config, text, set_volume, err);
	json_array_foreach(list, i, item) if (r == 0) r = set_volume(c->config, json_string_value(item), err);
	return r;
}

static int set_text(struct commit_changer *c, const char *key, const char *text, struct error *err)
{
	_cleanup_buffer_ struct buffer word = {0};
	int r = take_word(c->config, &text, true, &word, err);

	if (r == 0 && word.size == 1)
		return error_set(err, ERROR_USAGE, "it has no value");
	return r < 0 ? r : set(c->config, key, json_string((const char *)word.data), err);
}

static int change_user(struct commit_changer *c, const char *text, struct error *err)
{
	return set_text(c, "User", text, err);
}

static int change_stop_signal(struct commit_changer *c, const char *text, struct error *err)
{
	const char *value;
	int r = set_text(c, "StopSignal", text, err);

	if (r < 0)
		return r;
	value = json_string_value(json_object_get(c->config, "StopSignal"));
	for (const char *p = value; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '+' && *p != '-')
			return error_set(err, ERROR_USAGE, "'%s' is not a signal", value);
	return 0;
}

/* Appends `path` to *out, which is a path without a slash at its end ("" is the root), its dots resolved. */
static void join(struct buffer *out, const char *path)
{
	for (;;) {
		size_t n = strcspn(path += strspn(path, "/"), "/");

		if (!n)
			return;
		if (n == 2 && !memcmp(path, "..", 2)) {
			while (out->size && out->data[--out->size] != '/')
				;
		} else if (n != 1 || *path != '.') {
			buffer_u8(out, '/');
			buffer_append(out, path, n);
		}
		path += n;
	}
}

/* A relative path is one from the working directory that was. */
static int change_workdir(struct commit_changer *c, const char *text, struct error *err)
{
	const char *before = json_string_value(json_object_get(c->config, "WorkingDir"));
	_cleanup_buffer_ struct buffer word = {0}, path = {0};
	int r = take_word(c->config, &text, true, &word, err);

	if (r == 0 && word.size == 1)
		return error_set(err, ERROR_USAGE, "it has no value");
	if (r < 0)
		return r;
	if (*word.data != '/' && before)
		join(&path, before);
	join(&path, (const char *)word.data);
	if (!path.size)
		buffer_u8(&path, '/');
	if (!buffer_u8(&path, 0))
		return error_no_memory(err, "set the working directory");
	return set(c->config, "WorkingDir", json_string((const char *)path.data), err);
}

static int change_shell(struct commit_changer *c, const char *text, struct error *err)
{
	json_t *list = json_form(text);

	if (!list || !json_array_size(list)) {
		json_decref(list);
		return error_set(err, ERROR_USAGE, "'%s': expected a JSON array of strings", text);
	}
	return set(c->config, "Shell", list, err);
}

/* ---- HEALTHCHECK ----------------------------------------------------------------------------------- */

/* "--interval=30s" and the like before the command, into members of `check`. */
static int take_health_flag(json_t *check, const char *flag, size_t n, struct error *err)
{
	static const char *const names[][2] = {{"--interval=", "Interval"}, {"--timeout=", "Timeout"},
		{"--start-period=", "StartPeriod"}, {"--start-interval=", "StartInterval"}};
	_cleanup_free_ char *text = text_copy_bytes(flag, n, err);
	uint64_t value;
	int r = text ? 0 : -ERROR_NO_MEMORY;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		if (!text_starts(text, names[i][0]))
			continue;
		r = text_parse_duration(text + strlen(names[i][0]), "duration", &value, err);
		if (r < 0 || value > INT64_MAX)
			return error_set(err, ERROR_USAGE, "'%s': expected a duration, such as 30s", text);
		return set(check, names[i][1], json_integer((json_int_t)value), err);
	}
	if (r == 0 && text_starts(text, "--retries=")) {
		r = text_parse_u64(text + strlen("--retries="), INT32_MAX, "retries", &value, err);
		return r < 0 ? error_set(err, ERROR_USAGE, "'%s': expected a number", text)
			     : set(check, "Retries", json_integer((json_int_t)value), err);
	}
	return r < 0 ? r : error_set(err, ERROR_USAGE, "'%s' is no flag of it", text);
}

/* What CMD is followed by: the JSON form, or a line for the shell. */
static int set_test(json_t *check, const char *text, struct error *err)
{
	_cleanup_json_ json_t *list = json_form(text);
	json_t *test = list ? json_pack("[s]", "CMD") : json_pack("[ss]", "CMD-SHELL", text);

	if (test && list && json_array_extend(test, list) < 0) {
		json_decref(test);
		test = NULL;
	}
	return set(check, "Test", test, err);
}

static int change_health(struct commit_changer *c, const char *text, struct error *err)
{
	_cleanup_json_ json_t *check = json_object();
	int r = 0;

	while (r == 0 && text_starts(text, "--")) {
		size_t n = strcspn(text, blanks);

		r = take_health_flag(check, text, n, err);
		text += n + strspn(text + n, blanks);
	}
	if (r < 0)
		return r;
	if (!strcasecmp(text, "NONE"))
		r = set(check, "Test", json_pack("[s]", "NONE"), err);
	else if (!strncasecmp(text, "CMD", 3) && text[3] && strchr(blanks, text[3]))
		r = set_test(check, text + 3 + strspn(text + 3, blanks), err);
	else
		r = error_set(err, ERROR_USAGE, "expected NONE or CMD and a command");
	return r < 0 ? r : set(c->config, "Healthcheck", TAKE_PTR(check), err);
}

static const struct {
	const char *name;
	int (*change)(struct commit_changer *c, const char *text, struct error *err);
} instructions[] = {{"CMD", change_cmd}, {"ENTRYPOINT", change_entrypoint}, {"ENV", change_env},
	{"EXPOSE", change_expose}, {"HEALTHCHECK", change_health}, {"LABEL", change_label},
	{"SHELL", change_shell}, {"STOPSIGNAL", change_stop_signal}, {"USER", change_user},
	{"VOLUME", change_volume}, {"WORKDIR", change_workdir}};

int commit_change(struct commit_changer *c, const char *instruction, struct error *err)
{
	const char *name = instruction + strspn(instruction, blanks);
	size_t n = strcspn(name, blanks), size;
	const char *rest = name + n + strspn(name + n, blanks);
	_cleanup_free_ char *text = NULL;

	for (size = strlen(rest); size && strchr(blanks, rest[size - 1]);)
		size--;
	text = text_copy_bytes(rest, size, err);
	if (!text)
		return -ERROR_NO_MEMORY;
	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
		if (strlen(instructions[i].name) != n || strncasecmp(instructions[i].name, name, n))
			continue;
		if (!*text)
			return error_set(err, ERROR_USAGE, "change '%s': it has no value", instruction);
		return instructions[i].change(c, text, err) < 0
			       ? error_prefix(err, "change '%s'", instruction)
			       : 0;
	}
	return error_set(err, ERROR_USAGE,
		"change '%s': expected CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, SHELL, STOPSIGNAL, "
		"USER, VOLUME or WORKDIR",
		instruction);
}
