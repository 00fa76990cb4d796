/* SPDX-License-Identifier: Apache-2.0 */
/* The tables as docs/monocore.yaml.md. */
#include <stdio.h>
#include <string.h>

#include "project/schema.h"

static const char introduction[] =
	"# monocore.yaml\n"
	"\n"
	"A project in one file: what it builds, what runs, and what that shares. `monocore self schema "
	"--markdown` prints this\n"
	"page, and `monocore self schema` the same as a JSON Schema, by which editors complete and check.\n"
	"\n"
	"```yaml\n"
	"builds:\n"
	"  app:\n"
	"    image: docker.io/library/python:3.12-slim\n"
	"    steps:\n"
	"      - pip install flask\n"
	"      - copy: [src, /app]\n"
	"sandboxes:\n"
	"  web:\n"
	"    image: app\n"
	"    ports: [\"8080:80\"]\n"
	"    depends_on: [db]\n"
	"    scripts: {start: python /app/main.py}\n"
	"  db:\n"
	"    image: docker.io/library/postgres:16\n"
	"    volumes: [data:/var/lib/postgresql/data]\n"
	"    envs: {POSTGRES_PASSWORD: \"${PASSWORD:-secret}\"}\n"
	"    healthcheck: {exec: pg_isready, interval: 5s}\n"
	"```\n"
	"\n"
	"The file is looked for in the working directory and above it; `-C DIR` begins elsewhere, `-c FILE` "
	"names another. Every\n"
	"mistake in it, and in what it brings in, is told before anything is started, with its place.\n"
	"\n"
	"## Words\n"
	"\n"
	"It is YAML 1.2: `no` and `on` are text, `010` is ten, a time such as `12:30` is text. Anchors, "
	"aliases and merges\n"
	"(`<<: *base`) work; a key at the top that begins with `x-` is for what is merged elsewhere. A key "
	"that stands twice\n"
	"in one mapping is a mistake, and so is a second document.\n"
	"\n"
	"Names of components are made of `a-z`, `0-9`, `-` and `_`, with a letter or digit at both ends. "
	"Sizes are `512M`, `1GiB`,\n"
	"in powers of 1,024; times are `30s`, `5m`, `1h30m`. A path that begins with `./`, `../` or a name "
	"is relative to the file\n"
	"that it stands in; `~` is the home directory.\n"
	"\n"
	"### Variables\n"
	"\n"
	"| text | what it becomes |\n"
	"| --- | --- |\n"
	"| `${VAR}` | the variable's value; a mistake where it is not set |\n"
	"| `${VAR:-word}`, `${VAR-word}` | the word, where it is not set (with `:`, or empty) |\n"
	"| `${VAR:+word}`, `${VAR+word}` | the word, where it is set (and not empty); else nothing |\n"
	"| `${VAR:?text}`, `${VAR?text}` | a mistake that says the text, where it is not set (or empty) |\n"
	"| `$$` | a dollar |\n"
	"\n"
	"They are looked for in the file `.env` beside the project's file, then in the environment. Keys are "
	"taken as they are\n"
	"written. Any other dollar is one, so that `$HOME` in a script is for its shell; write `$${HOME}` "
	"for the longer form.\n"
	"\n"
	"Files of variables (`.env`, `env_file`) have lines `KEY=value`. `#` begins a comment, in a line of "
	"its own or behind a\n"
	"space. A value in single quotes is taken as it is; in double quotes a backslash escapes (`\\n`, "
	"`\\\"`, `\\$`), and\n"
	"`${VAR}` works there and in values without quotes. `KEY` alone takes the value from outside.\n"
	"\n"
	"### Modules\n"
	"\n"
	"`modules` brings components of another file in: those that are listed, under the name after `as` or "
	"their own, and what\n"
	"they need and is not listed, as `NAME.THEIRS`. Paths in that file stay relative to it, its own "
	"modules come with it, and\n"
	"its sandboxes that name no group are in this project's `default`.\n"
	"\n"
	"### What reaches out\n"
	"\n"
	"What leads out of the project's directory or opens it to others is shown and asked for once: "
	"volumes, images, env files,\n"
	"modules and copied files outside the directory (links are followed first), `reach: any` and rules "
	"that open more than\n"
	"`public` does, ports that are not on loopback, and variables of the environment. `--grant` says yes "
	"where there is no\n"
	"terminal. A line that changed is asked for again.\n"
	"\n"
	"### What a sandbox cannot change\n"
	"\n"
	"Whatever volumes a sandbox has, the files that say what its project is are read-only in them: the "
	"project's file,\n"
	"`.env` and `.monocore-id` beside it, modules, files of variables, and links that lead to them; none "
	"is "
	"made where it is\n"
	"not there. Names and directories on the way to them stay where they are. All that is EROFS, as for "
	"a "
	"read-only mount of\n"
	"each. What is `stage`d of them is applied with `monocore volume apply --configuration` only.\n";

struct writer {
	struct buffer *out;
	const struct schema *told[32];
	size_t count;
};

static void write_part(struct writer *w, const struct schema *s, const char *title);

static bool is_told(struct writer *w, const struct schema *s)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->told[i] == s)
			return true;
	if (w->count < sizeof w->told / sizeof *w->told)
		w->told[w->count++] = s;
	return false;
}

/* In a cell of a table, "|" needs a backslash. */
static void put_cell(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			buffer_u8(out, '\\');
		buffer_u8(out, (uint8_t)*text);
	}
}

static const char *what_of(const struct schema *s)
{
	return s->what ? s->what : schema_expected[s->scalar];
}

static void put_member(struct buffer *out, const struct schema_member *m)
{
	buffer_format(out, "| `%s`", m->key);
	if (m->alias)
		buffer_format(out, ", `%s`", m->alias);
	buffer_append_text(out, " | ");
	put_cell(out, m->help);
	buffer_append_text(out, " | ");
	put_cell(out, what_of(m->schema));
	if (m->example)
		buffer_append_text(out, "; `");
	put_cell(out, m->example ? m->example : "");
	buffer_append_text(out, m->example ? "` | " : " | ");
	put_cell(out, m->required ? "needed" : m->fallback ? m->fallback : "");
	buffer_append_text(out, " |\n");
}

/* Behind its own table come those of what stands in it, by their paths: "sandboxes.NAME.network". */
static void write_below(struct writer *w, const struct schema *s, const char *title)
{
	char below[128];

	if (s->item)
		write_below(w, s->item, title);
	snprintf(below, sizeof below, "%s.%s", title, s->keys == KEYS_PATH ? "FILE" : "NAME");
	if (s->value)
		write_below(w, s->value, below);
	if (s->members && s->members->key)
		write_part(w, s, title);
}

static void write_part(struct writer *w, const struct schema *s, const char *title)
{
	char below[128];

	if (is_told(w, s))
		return;
	buffer_format(w->out,
		"\n## %s%s%s\n\n| key | what it says | what can stand there | default |\n| --- | --- | --- | "
		"--- "
		"|\n",
		*title ? "`" : "", *title ? title : "The file", *title ? "`" : "");
	for (const struct schema_member *m = s->members; m->key; m++)
		if (!m->later)
			put_member(w->out, m);
	for (const struct schema_member *m = s->members; m->key; m++)
		if (!m->later) {
			snprintf(below, sizeof below, "%s%s%s", title, *title ? "." : "", m->key);
			write_below(w, m->schema, below);
		}
}

int schema_markdown(struct buffer *out, struct error *err)
{
	struct writer w = {.out = out};

	buffer_append_text(out, introduction);
	write_part(&w, &schema_file, "");
	return out->failed ? error_no_memory(err, "write the schema") : 0;
}
