/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/provision.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/volume.h"
#include "oci/image.h"
#include "oci/limits.h"
#include "os/fs.h"
#include "project/project.h"
#include "sandbox/disk.h"
#include "sandbox/event_log.h"
#include "sandbox/health.h"
#include "sandbox/image_snapshot.h"
#include "sandbox/restart.h"
#include "sandbox/snapshot.h"
#include "sandbox/volume.h"
#include "sandbox/volume_monofs.h"
#include "vm/vm.h"

#define MEMORY_DEFAULT (512ULL << 20)
#define DISK_DEFAULT   (10ULL << 30)
#define PIDS_DEFAULT   4096

CLEANUP_DEFINE(image, struct image, image_free);
CLEANUP_DEFINE(store, struct store, store_free);

static int set_text(char **to, const char *wish, const char *image, struct error *err)
{
	*to = text_copy(wish ? wish : image ? image : "", err);
	return *to ? 0 : -ERROR_NO_MEMORY;
}

static int set_number(uint64_t *to, uint64_t wish, uint64_t otherwise, uint64_t least, uint64_t most,
	const char *what, struct error *err)
{
	*to = wish ? wish : otherwise;
	if (*to < least || *to > most)
		return error_set(err, ERROR_INVALID, "%s: %llu is not within %llu and %llu", what,
			(unsigned long long)*to, (unsigned long long)least, (unsigned long long)most);
	return 0;
}

/* A name that says nothing but is easy to type: "tmp-" and six letters and digits. */
static char *make_up_name(struct error *err)
{
	static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint8_t random[6];
	char name[sizeof random + 1] = "";

	if (getrandom(random, sizeof random, 0) != sizeof random) {
		error_errno(err, errno, "get random bytes");
		return NULL;
	}
	for (size_t i = 0; i < sizeof random; i++)
		name[i] = alphabet[random[i] % (sizeof alphabet - 1)];
	return text_format(err, "tmp-%s", name);
}

static int set_names(struct record *r, const struct provision_options *o, const char *id, struct error *err)
{
	uint8_t random[16];

	if (o->name && !sandbox_name_valid(o->name))
		return error_set(err, ERROR_INVALID,
			"'%s' is not a sandbox's name: letters, digits, '_', '.' and '-', at most 63",
			o->name);
	r->name = o->name ? text_copy(o->name, err) : make_up_name(err);
	if (!r->name || getrandom(random, sizeof random, 0) != sizeof random)
		return -ERROR_NO_MEMORY;
	random[6] = (uint8_t)((random[6] & 0x0f) | 0x40); /* machine-id(5): a version 4 UUID */
	random[8] = (uint8_t)((random[8] & 0x3f) | 0x80);
	r->machine_id = calloc(1, 33);
	if (!r->machine_id)
		return error_no_memory(err, "make a machine id");
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(r->machine_id + 2 * i, 3, "%02x", random[i]);
	if (o->hostname && (!sandbox_name_valid(o->hostname) || strchr(o->hostname, '_')))
		return error_set(err, ERROR_INVALID, "'%s' is not a host name", o->hostname);
	return set_text(&r->id, id, NULL, err) < 0 ? -ERROR_NO_MEMORY
						   : set_text(&r->hostname, o->hostname, r->name, err);
}

static int set_limits(struct record *r, const struct provision_options *o, struct error *err)
{
	int result = set_number(&r->cpus, o->cpus, 1, 1, PROJECT_CPUS_MAX, "cpus", err);

	if (result == 0)
		result = set_number(&r->memory, o->memory, MEMORY_DEFAULT, PROJECT_MEMORY_MIN,
			PROJECT_MEMORY_MAX, "memory", err);
	if (result == 0)
		result = set_number(
			&r->disk, o->disk, DISK_DEFAULT, PROJECT_DISK_MIN, PROJECT_DISK_MAX, "disk", err);
	if (result == 0)
		result = set_number(&r->pids, o->pids, PIDS_DEFAULT, 1, UINT32_MAX, "pids", err);
	if (o->rlimit_count > RECORD_RLIMITS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d resource limits", RECORD_RLIMITS_MAX);
	for (uint32_t i = 0; i < o->rlimit_count; i++)
		r->rlimits[i] = o->rlimits[i];
	r->rlimit_count = o->rlimit_count;
	r->memory = (r->memory + (64ULL << 20) - 1) & ~((64ULL << 20) - 1);
	r->disk = (r->disk + 4095) & ~4095ULL;
	return result;
}

static int set_labels(struct record *r, const struct provision_options *o, struct error *err)
{
	for (size_t i = 0; o->labels && o->labels[i]; i++) {
		if (!strchr(o->labels[i], '=') || o->labels[i][0] == '=')
			return error_set(err, ERROR_INVALID, "label '%s': expected key=value", o->labels[i]);
		if (text_list_add(&r->labels, o->labels[i], err) < 0)
			return -ERROR_NO_MEMORY;
	}
	return 0;
}

static uint64_t choose(uint64_t wish, uint64_t image, uint64_t otherwise)
{
	return wish ? wish : image ? image : otherwise;
}

/* The image's settings go with its command only. */
static int set_health(struct record *r, const struct provision_options *o, const struct oci_health *image,
	struct error *err)
{
	static const struct oci_health none = {0};
	char *const *command = o->health_command ? (char *const *)o->health_command : image->command;

	if (o->health_command)
		image = &none;
	if (!command || !command[0])
		return 0;
	if (!(r->health_command = text_list_copy(command, err)))
		return -ERROR_NO_MEMORY;
	r->health_interval = choose(o->health_interval, image->interval, HEALTH_INTERVAL);
	r->health_timeout = choose(o->health_timeout, image->timeout, HEALTH_TIMEOUT);
	r->health_start_period = choose(o->health_start_period, image->start_period, 0);
	r->health_retries = choose(o->health_retries, image->retries, HEALTH_RETRIES);
	if (r->health_interval < HEALTH_LEAST || r->health_timeout < HEALTH_LEAST)
		return error_set(
			err, ERROR_INVALID, "healthcheck: its interval and its timeout are 1 ms at least");
	if ((r->health_interval | r->health_timeout | r->health_start_period | r->health_retries) > INT64_MAX)
		return error_set(err, ERROR_INVALID, "healthcheck: a time that is too long");
	return 0;
}

static int set_from_image(
	struct record *r, const struct provision_options *o, const struct image *image, struct error *err)
{
	const struct image_config *c = &image->config;
	int number, result = command_resolve(c, &o->wishes, &r->argv, err);

	if (result == 0)
		result = command_environment(c, o->env, &r->env, err);
	if (result == 0)
		result = command_signal(o->stop_signal   ? o->stop_signal
					: c->stop_signal ? c->stop_signal
							 : "",
			&number, err);
	if (result < 0)
		return result;
	r->stop_signal = (uint64_t)number;
	if (c->volumes && !(r->volumes = text_list_copy(c->volumes, err)))
		return -ERROR_NO_MEMORY;
	if (set_text(&r->image, image->reference, NULL, err) < 0 ||
		set_text(&r->digest, image->digest, NULL, err) < 0 ||
		set_text(&r->root_id, image->root_id, NULL, err) < 0 ||
		set_text(&r->workdir, o->workdir, c->workdir, err) < 0 ||
		set_text(&r->user, o->user, c->user, err) < 0 ||
		set_text(&r->engine, o->engine, "auto", err) < 0 ||
		set_text(&r->snapshot, NULL, NULL, err) < 0)
		return -ERROR_NO_MEMORY;
	return 0;
}

static int check_mount(const struct home *home, struct record_mount *m, struct error *err)
{
	_cleanup_fd_ int fd = -1;

	if (!strcmp(m->type, VOLUME_MONOFS))
		return volume_monofs_check(m, err);
	fd = volume_open(home, m, err);
	return fd < 0 ? fd : 0;
}

/* Volumes with names come last, since to open one makes it: none is left of a sandbox that is refused for
 * another. A directory that is there may be missing later: its start finds that out. */
static int check_mounts(struct record *r, const struct home *home, struct error *err)
{
	int result = volume_check_targets(r->mounts, r->mount_count, err);

	for (int named = 0; result == 0 && named < 2; named++)
		for (uint32_t i = 0; result == 0 && i < r->mount_count; i++)
			if ((strcmp(r->mounts[i].type, "volume") == 0) == named)
				result = check_mount(home, &r->mounts[i], err);
	return result;
}

static int set_mounts(
	struct record *r, const struct home *home, const struct provision_options *o, struct error *err)
{
	size_t n = text_list_size((char *const *)o->volumes);
	int result = 0;

	if (n > VOLUMES_MAX)
		return error_set(err, ERROR_LIMIT, "more than %u volumes", VOLUMES_MAX);
	r->mounts = n ? calloc(n, sizeof *r->mounts) : NULL;
	if (n && !r->mounts)
		return error_no_memory(err, "make a sandbox");
	for (size_t i = 0; result == 0 && i < n; i++) {
		result = volume_parse(o->volumes[i], &r->mounts[i], err);
		if (result == 0)
			r->mount_count++;
	}
	return result < 0 ? result : check_mounts(r, home, err);
}

static int set_guarded(struct record *r, const struct provision_options *o, struct error *err)
{
	for (size_t i = 0; o->guarded && o->guarded[i]; i++)
		if (*o->guarded[i] != '/')
			return error_set(err, ERROR_INVALID, "'%s' is to be guarded and no absolute path",
				o->guarded[i]);
	if (o->guarded && o->guarded[0] && !(r->guarded = text_list_copy((char *const *)o->guarded, err)))
		return -ERROR_NO_MEMORY;
	return 0;
}

static bool wants_overlay(const struct provision_options *o)
{
	return o->rootfs && !strcmp(o->rootfs, RECORD_OVERLAY);
}

/* What the guest's file systems come by; check_drivers() has judged it. */
static int set_drivers(struct record *r, const struct provision_options *o, struct error *err)
{
	enum volume_driver driver;
	int result = volume_driver_parse(o->volume_driver, &driver, err);

	if (result == 0)
		result = set_text(
			&r->volume_driver, driver == VOLUME_DRIVER_SERIAL ? "" : o->volume_driver, NULL, err);
	return result < 0 ? result : set_text(&r->rootfs, wants_overlay(o) ? RECORD_OVERLAY : "", NULL, err);
}

static int fill_record(struct record *r, const struct provision_options *o, const struct image *image,
	const char *id, struct error *err)
{
	int result = set_names(r, o, id, err);

	if (result == 0)
		result = set_drivers(r, o, err);
	if (result == 0)
		result = set_limits(r, o, err);
	if (result == 0)
		result = set_labels(r, o, err);
	if (result == 0)
		result = set_guarded(r, o, err);
	if (result == 0)
		result = set_from_image(r, o, image, err);
	r->version = RECORD_VERSION;
	r->created = clock_realtime();
	r->tty = o->tty;
	r->stdin_open = o->stdin_open;
	r->read_only = o->read_only;
	r->discard = o->discard;
	r->no_template = o->no_template;
	r->unconfined = o->unconfined;
	if (result == 0)
		result = set_health(r, o, &image->config.health, err);
	if (result == 0)
		result = set_text(&r->restart, o->restart, NULL, err);
	return result;
}

/* Its disk is new, or that of the running state that its image has. */
static int make_disk(const struct home *home, const struct provision_options *o, const struct directory *d,
	struct record *r, struct error *err)
{
	size_t networks = text_list_size((char *const *)o->network.groups);
	_cleanup_fd_ int saved = -1;
	int result = image_snapshot_find(home, r, networks ? networks : 1, &saved, err);

	if (result < 0)
		return result;
	if (saved >= 0)
		return snapshot_give(saved, r, true, d, err);
	if (record_has_overlay(r) && mkdirat(d->fd, RECORD_OVERLAY, 0700) < 0)
		return error_errno(err, errno, "make the sandbox's overlay");
	return record_has_disk(r) ? disk_make(d->fd, r, err) : 0;
}

static int mark_discard(const struct directory *d, struct error *err)
{
	int fd = fs_open(d->fd, "discard", O_WRONLY | O_CREAT, 0600, err);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int make_network(const struct home *home, const struct provision_options *o, const struct directory *d,
	bool durable, struct error *err)
{
	_cleanup_network_ struct network network = {0};
	int r = network_make(&o->network, d->id, &network, err);

	if (r == 0)
		r = network_take(home, d->id, &network, durable, err);
	return r == 0 ? network_write(d->fd, &network, durable, err) : r;
}

static int fill_directory(const struct home *home, const struct provision_options *o,
	const struct image *image, struct directory *d, char **name, struct error *err)
{
	_cleanup_record_ struct record record = {0};
	_cleanup_fd_ int volumes = -1; /* no volume that it has is removed before it is known to have it */
	char temporary[64];
	int r = o->volumes && o->volumes[0] ? volume_lock(home, false, &volumes, err) : 0;

	if (r == 0)
		r = fill_record(&record, o, image, d->id, err);
	if (r == 0)
		r = set_mounts(&record, home, o, err);
	if (r == 0)
		r = make_disk(home, o, d, &record, err);
	if (r == 0 && record.discard)
		r = mark_discard(d, err);
	if (r == 0)
		r = record_write(d->fd, &record, record_is_kept(&record), err);
	if (r == 0)
		r = make_network(home, o, d, record_is_kept(&record), err);
	if (r < 0) {
		snprintf(temporary, sizeof temporary, ".new-%s", d->id);
		fs_remove_tree(home->sandboxes, temporary, NULL);
		network_release(home, d->id);
		return r;
	}
	r = directory_publish(home, d, record.name, record_is_kept(&record), err);
	if (r < 0) {
		network_release(home, d->id);
		return r;
	}
	event_tell_sandbox(home, d->id, &record, "create", NULL, NULL);
	*name = TAKE_PTR(record.name);
	return 0;
}

/* By virtiofs, which the engine qemu alone has. */
static int check_shares(const struct provision_options *o, bool volumes, struct error *err)
{
	size_t n = (volumes ? text_list_size((char *const *)o->volumes) : 0) + wants_overlay(o);

	if (n > VM_SHARES_MAX)
		return error_set(err, ERROR_LIMIT,
			"%zu volumes by virtiofs: a sandbox can have %d, of which rootfs overlay is one", n,
			VM_SHARES_MAX);
	if (n && o->engine && !strcmp(o->engine, "krun"))
		return error_set(err, ERROR_UNAVAILABLE,
			"the engine krun has no virtiofs of ours: use the engine qemu");
	return 0;
}

static int check_drivers(const struct provision_options *o, struct error *err)
{
	enum volume_driver driver;
	int r = volume_driver_parse(o->volume_driver, &driver, err);

	if (r < 0)
		return r;
	if (driver == VOLUME_DRIVER_NFS && o->engine && !strcmp(o->engine, "krun"))
		return error_set(err, ERROR_UNAVAILABLE,
			"volume driver nfs: the engine krun's kernel has no NFS client: use the engine qemu");
	if (o->rootfs && *o->rootfs && strcmp(o->rootfs, "disk") && !wants_overlay(o))
		return error_set(err, ERROR_USAGE, "rootfs '%s': there is disk and overlay", o->rootfs);
	if (wants_overlay(o) && o->disk)
		return error_set(err, ERROR_USAGE,
			"a size of the disk: with rootfs overlay there is none; what is written goes into a "
			"directory of this host");
	return check_shares(o, driver == VOLUME_DRIVER_VIRTIOFS, err);
}

/* What makes no sense is said before an image is pulled. */
static int check_volumes(const struct provision_options *o, struct error *err)
{
	enum volume_driver driver;
	int r = volume_driver_parse(o->volume_driver, &driver, err);

	for (size_t i = 0; r == 0 && o->volumes && o->volumes[i]; i++) {
		struct record_mount m;

		r = volume_parse(o->volumes[i], &m, err);
		if (r < 0)
			break;
		if (m.stage && driver == VOLUME_DRIVER_NFS)
			r = error_set(err, ERROR_USAGE,
				"volume %s: 'stage' goes with the drivers fuse and virtiofs, not with nfs",
				m.target);
		record_mount_free(&m);
	}
	return r;
}

static int check_restart(const struct provision_options *o, struct error *err)
{
	struct restart restart;
	int r = restart_parse(o->restart ? o->restart : "", &restart, err);

	if (r == 0 && o->discard && restart.when != RESTARTED_NEVER)
		r = error_set(err, ERROR_USAGE,
			"restart '%s': a sandbox that is removed when it stops is not started again",
			o->restart);
	return r;
}

static int check_network(const struct provision_options *o, struct error *err)
{
	_cleanup_network_ struct network network = {0};

	return network_make(&o->network, "own", &network, err);
}

int provision(const struct home *home, const struct provision_options *o, struct directory *d, char **name,
	struct error *err)
{
	struct image_options image_options = {.platform = o->platform,
		.pull = o->pull,
		.plain_http = o->plain_http,
		.progress = o->progress};
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_(cleanup_image) struct image *image = NULL;
	int r = home_check_space(home, err);

	*d = (struct directory)DIRECTORY_NONE;
	if (r == 0)
		r = check_drivers(o, err);
	if (r == 0)
		r = check_volumes(o, err);
	if (r == 0)
		r = check_network(o, err);
	if (r == 0)
		r = check_restart(o, err);
	if (r == 0)
		r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &image_options.limits, err);
	if (r == 0)
		r = store_open(home->path, &store, err);
	if (r == 0)
		r = image_open(store, o->image, &image_options, &image, err);
	if (r == 0)
		r = directory_create(home, d, err);
	if (r == 0)
		r = fill_directory(home, o, image, d, name, err);
	if (r < 0)
		directory_close(d);
	return r;
}
