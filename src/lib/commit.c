/* SPDX-License-Identifier: Apache-2.0 */
/* The changes of a sandbox as one layer more of its image. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/events.h"
#include "lib/handle.h"
#include "lib/upper.h"
#include "oci/commit.h"
#include "oci/limits.h"
#include "oci/name.h"
#include "oci/registries.h"
#include "sandbox/command.h"

CLEANUP_DEFINE(store, struct store, store_free);

struct meter {
	struct monocore *mc;
	struct commit *commit;
	uint64_t done;
};

static int take_piece(void *context, const void *data, size_t n, struct error *err)
{
	struct meter *m = context;
	int r = commit_feed(m->commit, data, n, err);

	m->done += n;
	if (r == 0)
		progress_report(&m->mc->progress,
			&(struct progress_event){.task = "commit", .unit = "bytes", .done = m->done});
	return r;
}

/* ---- how it was run ---------------------------------------------------------------------------------- */

static bool same_lists(char *const *a, char *const *b)
{
	size_t n = text_list_size(a);

	if (n != text_list_size(b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i], b[i]))
			return false;
	return true;
}

static bool is_prefix(char *const *prefix, char *const *list)
{
	for (size_t i = 0; prefix && prefix[i]; i++)
		if (!list[i] || strcmp(prefix[i], list[i]))
			return false;
	return true;
}

/* The sandbox's command is the image's Entrypoint and a Cmd, or else a Cmd alone. */
static void set_command(struct commit_run *run, const struct oci_config *base, char *const *argv)
{
	static char *const none[] = {NULL};
	size_t n = text_list_size(base->entrypoint);

	if (is_prefix(base->entrypoint, argv)) {
		if (!same_lists(argv + n, base->cmd))
			run->cmd = argv + n;
		return;
	}
	run->entrypoint = none;
	run->cmd = argv;
}

static int set_signal(struct commit_run *run, const struct oci_config *base, uint64_t number, char text[16],
	struct error *err)
{
	int before;

	if (command_signal(base->stop_signal, &before, err) == 0 && (uint64_t)before == number)
		return 0;
	snprintf(text, 16, "%u", (unsigned)number);
	run->stop_signal = text;
	return 0;
}

/* ---- commit ------------------------------------------------------------------------------------------ */

static int check_options(const struct monocore_commit_options *o, struct error *err)
{
	return o->version == 1 ? 0
			       : error_set(err, ERROR_INVALID,
					 "commit options of version %u: this library knows 1", o->version);
}

/* The name that the store will know it by. */
static int resolve_name(struct monocore *mc, const char *image, char **name, struct error *err)
{
	_cleanup_(cleanup_registries) struct registries *configuration = NULL;
	_cleanup_name_ struct name n = {0};
	int r = registries_load(mc->home.path, &configuration, err);

	if (r == 0)
		r = name_parse(image, registries_default(configuration), &n, err);
	if (r == 0 && *n.digest)
		return error_set(
			err, ERROR_USAGE, "'%s' has a digest, which the new image's contents give it", image);
	if (r == 0)
		*name = name_text(&n, err);
	return r < 0 ? r : *name ? 0 : -ERROR_NO_MEMORY;
}

static int begin(struct monocore *mc, const struct record *record, struct store **store,
	struct commit **commit, struct error *err)
{
	struct image_limits limits = {0};
	int r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &limits, err);

	if (r == 0 && !*record->digest)
		return error_set(err, ERROR_INVALID,
			"sandbox '%s' was made of a directory, which has no layers that one could be put on",
			record->name);
	if (r == 0)
		r = store_open(mc->home.path, store, err);
	if (r == 0)
		r = commit_begin(*store, record->digest, record->image, &limits, commit, err);
	return r;
}

static int finish(struct commit *commit, const struct record *record, const struct monocore_commit_options *o,
	const char *name, char digest[OCI_DIGEST_SIZE], struct error *err)
{
	_cleanup_free_ char *created_by = command_line(record->argv, err);
	struct commit_run run = {.env = record->env,
		.labels = record->labels,
		.workdir = record->workdir,
		.user = record->user};
	const struct commit_options options = {.author = o->author,
		.comment = o->message,
		.created_by = created_by,
		.run = &run,
		.changes = (char *const *)o->changes};
	char signal[16];

	if (!created_by)
		return -ERROR_NO_MEMORY;
	set_command(&run, commit_base(commit), record->argv);
	set_signal(&run, commit_base(commit), record->stop_signal, signal, err);
	return commit_finish(commit, &options, name, digest, err);
}

static int read_changes(struct monocore *mc, struct directory *d, const struct record *record, bool freeze,
	struct meter *meter, struct error *err)
{
	struct upper u;
	int r = upper_open(&u, mc, d, record, err);

	if (r == 0 && u.running && record_has_overlay(record))
		r = error_set(err, ERROR_UNAVAILABLE,
			"the host has its changes (--rootfs overlay) and reads them once it has stopped: run "
			"'monocore stop %s' first",
			record->name);
	if (r == 0)
		r = upper_read(&u, UPPER_ROOT, freeze, take_piece, meter, err);
	upper_close(&u);
	return r;
}

static int commit(struct monocore *mc, const char *sandbox, const char *image,
	const struct monocore_commit_options *o, char digest[OCI_DIGEST_SIZE], struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_(cleanup_commit) struct commit *c = NULL;
	_cleanup_free_ char *name = NULL;
	struct meter meter = {.mc = mc};
	int r = check_options(o, err);

	if (r == 0)
		r = resolve_name(mc, image, &name, err);
	if (r == 0)
		r = find_sandbox(mc, sandbox, &d, &record, err);
	if (r == 0)
		r = begin(mc, &record, &store, &c, err);
	meter.commit = c;
	if (r == 0)
		r = read_changes(mc, &d, &record, !o->no_pause, &meter, err);
	if (r == 0)
		r = finish(c, &record, o, name, digest, err);
	if (r == 0)
		tell_image(mc, "commit", name, digest);
	if (r == 0)
		progress_report(&mc->progress,
			&(struct progress_event){
				.task = "commit", .unit = "bytes", .done = meter.done, .finished = true});
	return r;
}

int monocore_commit(struct monocore *mc, const char *sandbox, const char *image,
	const struct monocore_commit_options *options, char **digest, struct monocore_error *error)
{
	const struct monocore_commit_options none = MONOCORE_COMMIT_OPTIONS_INIT;
	char text[OCI_DIGEST_SIZE];
	struct error err;
	int r = commit(mc, sandbox, image, options ? options : &none, text, &err);

	if (r == 0 && digest && !(*digest = text_copy(text, &err)))
		r = -ERROR_NO_MEMORY;
	if (r == 0)
		return 0;
	error_prefix(&err, "commit '%s'", sandbox);
	return give_error(error, &err);
}
