/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static int print_json(struct cli *cli, const struct place *p, const struct store_statistics *s, uint64_t tags)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_member(&b, "repository", p->path);
	json_put_key(&b, "encrypted");
	json_put_bool(&b, repository_crypt(p->repository)->encrypted);
	json_put_count(&b, "tags", tags);
	json_put_count(&b, "packs", s->packs);
	json_put_count(&b, "pack_bytes", s->pack_bytes);
	json_put_count(&b, "objects", s->objects);
	json_put_count(&b, "object_bytes", s->object_bytes);
	json_put_count(&b, "frames", s->frames);
	json_put_count(&b, "frame_bytes", s->frame_bytes);
	json_put_count(&b, "condemned_packs", s->condemned);
	json_put_count(&b, "condemned_bytes", s->condemned_bytes);
	json_put_key(&b, "types");
	json_put_open(&b, '{');
	for (int t = 1; t <= OBJECT_TYPE_LAST; t++) {
		json_put_key(&b, object_type_name((enum object_type)t));
		json_put_open(&b, '{');
		json_put_count(&b, "objects", s->type_objects[t]);
		json_put_count(&b, "bytes", s->type_bytes[t]);
		json_put_close(&b, '}');
	}
	json_put_close(&b, '}');
	json_put_close(&b, '}');
	return output_json(cli, &b);
}

static void print_line(const char *what, uint64_t count, uint64_t bytes)
{
	char text[20];

	printf("%-12s %12llu  %10s\n", what, (unsigned long long)count,
		text_human_size(bytes, text, sizeof text));
}

static int print(const struct place *p, const struct store_statistics *s, uint64_t tags)
{
	printf("%s%s, %llu tags\n\n", p->path,
		repository_crypt(p->repository)->encrypted ? ", encrypted" : "", (unsigned long long)tags);
	print_line("packs", s->packs, s->pack_bytes);
	if (s->condemned)
		print_line("  condemned", s->condemned, s->condemned_bytes);
	print_line("frames", s->frames, s->frame_bytes);
	print_line("objects", s->objects, s->object_bytes);
	for (int t = 1; t <= OBJECT_TYPE_LAST; t++) {
		char name[32];

		snprintf(name, sizeof name, "  %s", object_type_name((enum object_type)t));
		if (s->type_objects[t])
			print_line(name, s->type_objects[t], s->type_bytes[t]);
	}
	return output_finish();
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_place_ struct place p = {0};
	_cleanup_references_ struct references list = {0};
	struct store_statistics s = {0};
	struct error err;
	uint64_t tags;
	int r = place_open(cli, count ? words[0] : NULL, PLACE_READ, &p, &err);

	if (r == 0)
		r = references_read(
			repository_directory(p.repository), repository_crypt(p.repository), &list, &err);
	if (r == 0)
		r = store_statistics(repository_store(p.repository), &s, &err);
	if (r < 0)
		return cli_complain(cli, &err);
	tags = list.count - (references_find(&list, REFERENCE_MAIN) != NULL);
	return o->json ? print_json(cli, &p, &s, tags) : print(&p, &s, tags);
}

const struct command stats_command = {
	.name = "stats",
	.arguments = "[DIR]",
	.summary = "show what a repository has, and what that takes",
	.help = "Bytes of packs are those on disk; of frames and objects, those before compression. What "
		"several "
		"revisions have in common is there once.",
	.options = options,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
	.group = GROUP_REPOSITORY,
	.words = WORDS_FILES,
};
