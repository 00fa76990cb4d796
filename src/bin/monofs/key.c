/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that open a repository: `monofs key` and what is below it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"

static int open_encrypted(
	struct cli *cli, const char *path, unsigned flags, struct place *p, struct error *err)
{
	int r = place_open(cli, path, flags, p, err);

	if (r == 0 && !repository_crypt(p->repository)->encrypted)
		return error_set(err, ERROR_INVALID, "%s is not encrypted: it has no keys", p->path);
	return r;
}

/* ---- list ------------------------------------------------------------------------------------------- */

struct list_options {
	bool json;
};

static const struct option_spec list_rows[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct list_options, json), "print JSON"},
	{NULL},
};

static void put_slot(struct buffer *b, const struct repository_slot *s)
{
	json_put_open(b, '{');
	json_put_member(b, "name", s->name);
	json_put_member(b, "kind", s->file ? "file" : "passphrase");
	json_put_entry_time(b, "made", (struct entry_time){.seconds = s->made});
	json_put_key(b, "used");
	json_put_bool(b, s->used);
	json_put_close(b, '}');
}

static int list(struct cli *cli, const void *given, int count, char **words)
{
	const struct list_options *o = given;
	_cleanup_place_ struct place p = {0};
	_cleanup_free_ struct repository_slot *slots = NULL;
	_cleanup_buffer_ struct buffer b = {0};
	size_t n = 0;
	struct error err;
	int r = open_encrypted(cli, count ? words[0] : NULL, PLACE_READ, &p, &err);

	if (r == 0)
		r = repository_slots(p.repository, &slots, &n, &err);
	if (r < 0)
		return cli_complain(cli, &err);
	json_put_open(&b, '[');
	for (size_t i = 0; i < n; i++) {
		char time[WORDS_TIME];

		if (o->json)
			put_slot(&b, &slots[i]);
		else if (cli->global.quiet)
			puts(slots[i].name);
		else
			printf("%s  %-10s  %s%s\n", slots[i].name, slots[i].file ? "file" : "passphrase",
				words_time((struct entry_time){.seconds = slots[i].made}, words_zone(), time),
				slots[i].used ? "  used now" : "");
	}
	json_put_close(&b, ']');
	return o->json ? output_json(cli, &b) : output_finish();
}

const struct command key_list_command = {
	.name = "list",
	.arguments = "[DIR]",
	.summary = "list the passphrases and key files that open a repository",
	.options = list_rows,
	.size = sizeof(struct list_options),
	.most = 1,
	.run = list,
	.words = WORDS_FILES,
};

/* ---- add and rotate --------------------------------------------------------------------------------- */

struct new_options {
	const char *passphrase_file, *key_file;
};

static const struct option_spec new_rows[] = {
	{"new-passphrase-file", 0, OPTION_STRING, "FILE", offsetof(struct new_options, passphrase_file),
		"read the new passphrase from FILE; default: asked for on the terminal"},
	{"new-key-file", 0, OPTION_STRING, "FILE", offsetof(struct new_options, key_file),
		"what FILE holds is the new key"},
	{NULL},
};

static int add_with(struct cli *cli, const struct new_options *o, const char *path,
	int (*act)(struct repository *r, const struct repository_secret *secret, char name[17],
		struct error *err))
{
	_cleanup_place_ struct place p = {0};
	_cleanup_forget_ struct secret fresh = {0};
	char name[17];
	struct error err;
	int r = open_encrypted(cli, path, 0, &p, &err);

	if (r == 0)
		r = secret_get_new(cli, o->passphrase_file, o->key_file, p.path, &fresh, &err);
	if (r == 0)
		r = act(p.repository, &fresh.given, name, &err);
	if (r < 0)
		return cli_complain(cli, &err);
	puts(name);
	return output_finish();
}

static int add(struct cli *cli, const void *given, int count, char **words)
{
	return add_with(cli, given, count ? words[0] : NULL, repository_slot_add);
}

const struct command key_add_command = {
	.name = "add",
	.arguments = "[DIR]",
	.summary = "let one more passphrase or key file open a repository",
	.examples = "monofs key add\nmonofs key add --new-key-file ~/.keys/notes",
	.options = new_rows,
	.size = sizeof(struct new_options),
	.most = 1,
	.run = add,
	.words = WORDS_FILES,
};

static int rotate(struct cli *cli, const void *given, int count, char **words)
{
	return add_with(cli, given, count ? words[0] : NULL, repository_rotate);
}

const struct command key_rotate_command = {
	.name = "rotate",
	.arguments = "[DIR]",
	.summary = "replace the keys: what is written from now on is sealed by a new one",
	.help = "All passphrases and key files but the new one are dropped. What was written before stays "
		"sealed by the "
		"old key, which who had a passphrase may have kept: 'monofs repack --all' seals it anew.",
	.examples = "monofs key rotate && monofs repack --all",
	.options = new_rows,
	.size = sizeof(struct new_options),
	.most = 1,
	.run = rotate,
	.words = WORDS_FILES,
};

/* ---- remove ----------------------------------------------------------------------------------------- */

static int remove_keys(struct cli *cli, const void *given, int count, char **words)
{
	_cleanup_place_ struct place p = {0};
	struct error err;
	int r = open_encrypted(cli, NULL, 0, &p, &err);

	(void)given;
	for (int i = 0; r == 0 && i < count; i++) {
		r = repository_slot_remove(p.repository, words[i], &err);
		if (r == 0)
			puts(words[i]);
	}
	return r < 0 ? cli_complain(cli, &err) : output_finish();
}

const struct command key_remove_command = {
	.name = "remove",
	.arguments = "NAME...",
	.summary = "let a passphrase or key file open a repository no longer",
	.help = "NAME as 'monofs key list' has it; the last one stays. Who knew it may have kept what it "
		"opened: 'monofs key "
		"rotate' helps against that.",
	.examples = "monofs key remove 0123456789abcdef",
	.least = 1,
	.most = WORDS_ANY,
	.run = remove_keys,
	.words = WORDS_KEYS,
};

static const struct command *const children[] = {
	&key_list_command,
	&key_add_command,
	&key_remove_command,
	&key_rotate_command,
	NULL,
};

const struct command key_command = {
	.name = "key",
	.summary = "list, add, remove and replace the keys of an encrypted repository",
	.children = children,
	.group = GROUP_REPOSITORY,
};
