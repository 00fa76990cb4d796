/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

#define DESCRIPTION_COLUMNS 60
#define LIMIT_MAX           1000

struct options {
	uint64_t limit;
	char **filters;
	bool list_tags, no_trunc, json, plain_http;
};

static const struct option_spec options[] = {
	{"limit", 0, OPTION_NUMBER, "N", offsetof(struct options, limit),
		"print N results at most; default: 25, and all tags", .most = LIMIT_MAX},
	{"filter", 'f', OPTION_LIST, "KEY=VALUE", offsetof(struct options, filters),
		"only those with stars=N or more, or with is-official=true or false"},
	{"tags", 0, OPTION_FLAG, NULL, offsetof(struct options, list_tags),
		"list the tags of a repository instead"},
	{"list-tags", 0, OPTION_FLAG, NULL, offsetof(struct options, list_tags),
		"the same, in podman's words"},
	{"no-trunc", 0, OPTION_FLAG, NULL, offsetof(struct options, no_trunc), "cut no descriptions"},
	{"plain-http", 0, OPTION_FLAG, NULL, offsetof(struct options, plain_http),
		"speak HTTP without TLS to the registry"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

/* ---- filters ---------------------------------------------------------------------------------------- */

struct filter {
	uint64_t stars;
	bool official, by_official;
};

static int read_filter(const char *text, struct filter *f, struct error *err)
{
	if (text_starts(text, "stars="))
		return text_parse_u64(text + strlen("stars="), UINT64_MAX, "--filter stars", &f->stars, err);
	f->by_official = text_starts(text, "is-official=");
	f->official = f->by_official && !strcmp(text, "is-official=true");
	if (f->official || !strcmp(text, "is-official=false"))
		return 0;
	return error_set(err, ERROR_USAGE,
		"--filter %s: expected stars=N, is-official=true or is-official=false", text);
}

static int read_filters(char *const *texts, struct filter *f, struct error *err)
{
	int r = 0;

	*f = (struct filter){0};
	for (; r == 0 && texts && *texts; texts++)
		r = read_filter(*texts, f, err);
	if (r < 0 && err->code != ERROR_USAGE)
		err->code = ERROR_USAGE;
	return r;
}

static bool fits(const struct filter *f, const struct monocore_found *x)
{
	return x->stars >= f->stars && (!f->by_official || x->official == f->official);
}

/* ---- what is printed -------------------------------------------------------------------------------- */

static int print_found_json(
	struct cli *cli, const struct monocore_found *list, size_t count, const struct filter *f)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++) {
		if (!fits(f, &list[i]))
			continue;
		json_put_open(&b, '{');
		json_put_key(&b, "name");
		json_put_string(&b, list[i].name);
		json_put_key(&b, "description");
		json_put_string(&b, list[i].description);
		json_put_key(&b, "stars");
		json_put_number(&b, (int64_t)list[i].stars);
		json_put_key(&b, "official");
		json_put_bool(&b, list[i].official);
		json_put_close(&b, '}');
	}
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

static int print_found(struct cli *cli, const struct monocore_found *list, size_t count,
	const struct options *o, const struct filter *f)
{
	static const char *const titles[] = {"NAME", "DESCRIPTION", "STARS", "OFFICIAL"};
	struct table t = {.columns = ARRAY_SIZE(titles)};

	table_titles(&t, titles);
	for (size_t i = 0; i < count; i++) {
		char stars[24];

		if (!fits(f, &list[i]))
			continue;
		snprintf(stars, sizeof stars, "%llu", (unsigned long long)list[i].stars);
		table_row(&t);
		table_cell(&t, 0, list[i].name, 0, COLOUR_NONE);
		table_cell(&t, 1, list[i].description, o->no_trunc ? 0 : DESCRIPTION_COLUMNS, COLOUR_NONE);
		table_cell(&t, 2, stars, 0, COLOUR_NONE);
		table_cell(&t, 3, list[i].official ? "yes" : "", 0, COLOUR_GREEN);
	}
	return output_table(cli, &t);
}

static int print_names(const struct monocore_found *list, size_t count, const struct filter *f)
{
	for (size_t i = 0; i < count; i++)
		if (fits(f, &list[i]))
			printf("%s\n", list[i].name);
	return output_finish();
}

static int print_tags_json(struct cli *cli, const char *repository, char *const *tags, size_t count)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++) {
		json_put_open(&b, '{');
		json_put_key(&b, "name");
		json_put_string(&b, repository);
		json_put_key(&b, "tag");
		json_put_string(&b, tags[i]);
		json_put_close(&b, '}');
	}
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

static int print_tags(struct cli *cli, const char *repository, char *const *tags, size_t count)
{
	static const char *const titles[] = {"NAME", "TAG"};
	struct table t = {.columns = ARRAY_SIZE(titles)};

	table_titles(&t, titles);
	for (size_t i = 0; i < count; i++) {
		table_row(&t);
		table_cell(&t, 0, repository, 0, COLOUR_NONE);
		table_cell(&t, 1, tags[i], 0, COLOUR_NONE);
	}
	return output_table(cli, &t);
}

/* ---- the verb --------------------------------------------------------------------------------------- */

static int list_tags(struct cli *cli, const char *name, const struct options *o)
{
	struct monocore_search_options search = MONOCORE_SEARCH_OPTIONS_INIT;
	struct monocore_error err;
	char *repository, **tags;
	size_t count = 0;
	int status = 0;

	search.plain_http = o->plain_http;
	if (monocore_tags(cli->mc, name, &search, &repository, &tags, &err) < 0)
		return cli_fail(cli, &err);
	while (tags[count] && (!o->limit || count < o->limit))
		count++;
	if (o->json)
		status = print_tags_json(cli, repository, tags, count);
	else if (!cli->global.quiet)
		status = print_tags(cli, repository, tags, count);
	for (size_t i = 0; cli->global.quiet && !o->json && i < count; i++)
		printf("%s:%s\n", repository, tags[i]);
	monocore_free(repository);
	monocore_free_strings(tags);
	return output_finish() ? 1 : status;
}

static int find(struct cli *cli, const char *term, const struct options *o, const struct filter *filter)
{
	struct monocore_search_options search = MONOCORE_SEARCH_OPTIONS_INIT;
	struct monocore_found *list;
	struct monocore_error err;
	size_t count;
	int status;

	search.limit = (unsigned)o->limit;
	search.plain_http = o->plain_http;
	if (monocore_search(cli->mc, term, &search, &list, &count, &err) < 0)
		return cli_fail(cli, &err);
	if (o->json)
		status = print_found_json(cli, list, count, filter);
	else if (cli->global.quiet)
		status = print_names(list, count, filter);
	else
		status = print_found(cli, list, count, o, filter);
	monocore_found_free(list, count);
	return status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct filter filter;
	struct error err;

	(void)count;
	if (read_filters(o->filters, &filter, &err) < 0)
		return cli_complain(cli, &err);
	if (cli_open(cli) < 0)
		return 1;
	return o->list_tags ? list_tags(cli, words[0], o) : find(cli, words[0], o, &filter);
}

const struct command search_command = {
	.name = "search",
	.group = GROUP_IMAGES,
	.arguments = "TERM",
	.summary = "search a registry for images",
	.help = "TERM is looked for in the default registry, docker.io, or, written as REGISTRY/TERM, in "
		"another. "
		"Docker Hub and Quay are asked by their own means, any other registry for the list of its "
		"repositories, of which those are printed whose names hold TERM; localhost:5000/ finds all. "
		"Many "
		"registries let nobody search.\n\n"
		"With --tags, TERM is the name of a repository, whose tags are listed.",
	.examples = "monocore search postgres\nmonocore search --limit 5 --filter stars=100 quay.io/nginx\n"
		    "monocore search --tags alpine",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
};
