/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/bulk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/output.h"

#define WORKERS_MOST 16

struct result {
	int code, value;
	struct monocore_error err;
};

struct work {
	const struct bulk *bulk;
	struct monocore *mc;
	char *const *names;
	struct result *results;
	size_t size;
	atomic_size_t next;
};

static bool label_matches(char *const *have, const char *wanted)
{
	size_t n = strlen(wanted);

	for (; have && *have; have++)
		if (!strcmp(*have, wanted) ||
			(!strchr(wanted, '=') && !strncmp(*have, wanted, n) && (*have)[n] == '='))
			return true;
	return false;
}

bool labels_match(char *const *have, char *const *wanted)
{
	for (; wanted && *wanted; wanted++)
		if (!label_matches(have, *wanted))
			return false;
	return true;
}

static int add_name(char ***list, const char *name, struct error *err)
{
	for (char **n = *list; n && *n; n++)
		if (!strcmp(*n, name))
			return 0;
	return text_list_add(list, name, err);
}

/* Adds the names of the sandboxes that the labels select. Told already where it fails. */
static int select_labelled(struct cli *cli, const struct bulk *bulk, char ***list)
{
	struct monocore_sandbox_info *infos;
	struct monocore_error failure;
	struct error err;
	size_t count;
	int r = 0;

	if (monocore_list(cli->mc, &infos, &count, &failure) < 0) {
		cli_fail(cli, &failure);
		return -1;
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		if ((bulk->states & (1u << infos[i].state)) && labels_match(infos[i].labels, bulk->labels))
			r = add_name(list, infos[i].name, &err);
	monocore_list_free(infos, count);
	if (r < 0)
		cli_complain(cli, &err);
	return r;
}

static void *worker(void *context)
{
	struct work *work = context;
	size_t i;

	while ((i = atomic_fetch_add(&work->next, 1)) < work->size) {
		struct result *result = &work->results[i];

		result->code = work->bulk->act(
			work->mc, work->names[i], work->bulk->options, &result->value, &result->err);
	}
	return NULL;
}

/* This thread works too, so that no thread at all is needed for one name. */
static void work_on_all(struct work *work)
{
	pthread_t threads[WORKERS_MOST - 1];
	size_t started = 0;

	while (started + 1 < work->size && started < ARRAY_SIZE(threads) &&
		pthread_create(&threads[started], NULL, worker, work) == 0)
		started++;
	worker(work);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}

static int tell_results(struct cli *cli, const struct work *work)
{
	int status = 0;

	for (size_t i = 0; i < work->size; i++)
		if (work->results[i].code < 0) {
			cli_fail(cli, &work->results[i].err);
			status = 1;
		} else if (work->bulk->print_value) {
			printf("%d\n", work->results[i].value);
		} else {
			printf("%s\n", work->names[i]);
		}
	return output_finish() ? 1 : status;
}

int bulk_run(struct cli *cli, const struct bulk *bulk, int count, char **names)
{
	_cleanup_text_list_ char **list = NULL;
	_cleanup_free_ struct result *results = NULL;
	struct work work = {.bulk = bulk};
	struct error err;

	if (!count && !bulk->labels) {
		error_set(&err, ERROR_USAGE, "expected NAME..., or --label KEY=VALUE");
		return cli_complain(cli, &err);
	}
	for (int i = 0; i < count; i++)
		if (add_name(&list, names[i], &err) < 0)
			return cli_complain(cli, &err);
	if (cli_open(cli) < 0 || (bulk->labels && select_labelled(cli, bulk, &list) < 0))
		return 1;
	work.size = text_list_size(list);
	results = calloc(work.size + 1, sizeof *results);
	if (!results) {
		error_no_memory(&err, "work on many sandboxes");
		return cli_complain(cli, &err);
	}
	work.mc = cli->mc;
	work.names = list;
	work.results = results;
	work_on_all(&work);
	return tell_results(cli, &work);
}
