/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/collect.h"

#include <stdio.h>

#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/monofs/place.h"
#include "bin/monofs/words.h"

static int print_json(struct cli *cli, const struct store_sweep *s)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_count(&b, "objects", s->objects);
	json_put_count(&b, "removed_packs", s->removed_packs);
	json_put_count(&b, "removed_bytes", s->removed_bytes);
	json_put_count(&b, "condemned_packs", s->condemned_packs);
	json_put_count(&b, "condemned_bytes", s->condemned_bytes);
	json_put_count(&b, "rewritten_packs", s->rewritten_packs);
	json_put_close(&b, '}');
	return output_json(cli, &b);
}

static int print(struct cli *cli, const struct store_sweep *s, bool dry_run)
{
	char removed[20], condemned[20];

	if (!cli->global.quiet)
		printf("%s%llu pack%s removed, %s; %llu condemned, %s; %llu written anew\n",
			dry_run ? "it would be: " : "", (unsigned long long)s->removed_packs,
			words_plural(s->removed_packs),
			text_human_size(s->removed_bytes, removed, sizeof removed),
			(unsigned long long)s->condemned_packs,
			text_human_size(s->condemned_bytes, condemned, sizeof condemned),
			(unsigned long long)s->rewritten_packs);
	return output_finish();
}

int collect_run(struct cli *cli, const char *path, const struct collect_options *o, bool json)
{
	_cleanup_place_ struct place p = {0};
	struct collect_options all = *o;
	struct store_sweep result = {0};
	struct error err;

	all.progress = &p.progress;
	if (place_open(cli, path, 0, &p, &err) < 0 || collect_garbage(p.repository, &all, &result, &err) < 0)
		return cli_complain(cli, &err);
	return json ? print_json(cli, &result) : print(cli, &result, o->dry_run);
}
