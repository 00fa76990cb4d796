/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/docker_config.h"
#include "codec/secret.h"
#include "oci/credentials_helper.h"
#include "os/fs.h"

#define FILE_NAME "config.json"

void credentials_free(struct credentials *c)
{
	secret_free(c->username);
	secret_free(c->password);
	secret_free(c->identity_token);
	secret_free(c->registry_token);
	*c = (struct credentials){0};
}

bool credentials_anonymous(const struct credentials *c)
{
	return !*c->username && !*c->password && !*c->identity_token && !*c->registry_token;
}

/* ---- the file --------------------------------------------------------------------------------------- */

static int find_folder(char **folder, struct error *err)
{
	const char *given = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	struct passwd *user = home && *home ? NULL : getpwuid(getuid());

	home = user ? user->pw_dir : home;
	if ((!given || !*given) && (!home || !*home))
		return error_set(err, ERROR_NOT_FOUND,
			"docker's " FILE_NAME ": this user has no home directory: set DOCKER_CONFIG");
	*folder = given && *given ? text_copy(given, err) : text_format(err, "%s/.docker", home);
	return *folder ? 0 : -ERROR_NO_MEMORY;
}

/* Docker's file as it is opened to be read, or, with its folder locked, to be replaced. */
struct file {
	char *path; /* for messages */
	char *name; /* in the folder, where it is to be replaced */
	int folder;
	mode_t mode; /* of what replaces it */
	struct buffer bytes;
	struct docker_config config;
};

static void file_close(struct file *f)
{
	free(f->path);
	free(f->name);
	cleanup_fd(&f->folder);
	cleanup_secret_buffer(&f->bytes);
	docker_config_free(&f->config);
}
#define _cleanup_file_close_ _cleanup_(file_close)

/* Reads and parses it; where there is none, it is an empty one. Room is made first, for a growing buffer
 * would leave passwords behind. */
static int file_read(struct file *f, int folder, const char *name, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(folder, name, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, err);
	struct stat s;
	int r;

	if (fd == -ERROR_NOT_FOUND)
		return docker_config_parse("", 0, f->path, &f->config, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "look at %s", f->path);
	if (!S_ISREG(s.st_mode))
		return error_set(err, ERROR_INVALID, "%s: not a file", f->path);
	if (!buffer_reserve(&f->bytes, DOCKER_CONFIG_MAX + 65537))
		return error_no_memory(err, f->path);
	r = fs_read_fd(fd, f->path, DOCKER_CONFIG_MAX, &f->bytes, err);
	return r < 0 ? r : docker_config_parse(f->bytes.data, f->bytes.size, f->path, &f->config, err);
}

static int file_open(struct file *f, struct error *err)
{
	_cleanup_free_ char *folder = NULL;
	int r;

	*f = (struct file){.folder = -1};
	r = find_folder(&folder, err);
	if (r < 0)
		return r;
	f->path = text_format(err, "%s/" FILE_NAME, folder);
	return f->path ? file_read(f, AT_FDCWD, f->path, err) : -ERROR_NO_MEMORY;
}

static int check_owner(const char *path, const struct stat *s, struct error *err)
{
	if (s->st_uid != geteuid())
		return error_set(err, ERROR_DENIED,
			"%s: it belongs to user %u: set DOCKER_CONFIG to a folder of your own", path,
			(unsigned)s->st_uid);
	if (S_ISDIR(s->st_mode) && s->st_mode & S_IWOTH)
		return error_set(
			err, ERROR_DENIED, "%s: everybody may write there: run 'chmod o-w %s'", path, path);
	return 0;
}

/* The path of what is to be replaced: where the file is a link of this user's, its target. */
static int resolve_link(const char *path, char **target, struct error *err)
{
	struct stat s;
	int r;

	if (lstat(path, &s) < 0 && errno != ENOENT)
		return error_errno(err, errno, "look at %s", path);
	if (errno == ENOENT || !S_ISLNK(s.st_mode)) {
		*target = text_copy(path, err);
		return *target ? 0 : -ERROR_NO_MEMORY;
	}
	r = check_owner(path, &s, err);
	if (r < 0)
		return r;
	*target = realpath(path, NULL);
	return *target ? 0 : error_errno(err, errno, "follow the link %s", path);
}

/* Opens and locks the folder of `target`, and judges what stands there: it must be ours. */
static int lock_folder(struct file *f, const char *target, struct error *err)
{
	const char *slash = strrchr(target, '/');
	_cleanup_free_ char *folder = text_copy_bytes(target, (size_t)(slash - target) + 1, err);
	struct stat s;
	int r;

	f->name = text_copy(slash + 1, err);
	if (!folder || !f->name)
		return -ERROR_NO_MEMORY;
	f->folder = fs_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0, err);
	if (f->folder < 0)
		return f->folder;
	if (fstat(f->folder, &s) < 0)
		return error_errno(err, errno, "look at %s", folder);
	r = check_owner(folder, &s, err);
	if (r < 0)
		return r;
	/* Where the file system has no locks, two logins at once may lose one, as docker's do. */
	while (flock(f->folder, LOCK_EX) < 0 && errno == EINTR)
		;
	f->mode = 0600;
	if (fstatat(f->folder, f->name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "look at %s", target);
	f->mode = s.st_mode & 0600;
	if (!S_ISREG(s.st_mode))
		return error_set(err, ERROR_INVALID, "%s: not a file", target);
	return check_owner(target, &s, err);
}

/* As file_open(), with the folder locked until the file is closed; where it is missing, it is made, or,
 * without `make`, the file is an empty one that cannot be replaced. */
static int file_open_locked(struct file *f, bool make, struct error *err)
{
	_cleanup_free_ char *folder = NULL, *target = NULL;
	int r;

	*f = (struct file){.folder = -1};
	r = find_folder(&folder, err);
	if (r == 0 && make)
		r = fs_make_directories(AT_FDCWD, folder, 0700, err);
	if (r < 0)
		return r;
	f->path = text_format(err, "%s/" FILE_NAME, folder);
	if (!f->path)
		return -ERROR_NO_MEMORY;
	if (!make && access(folder, F_OK) < 0)
		return docker_config_parse("", 0, f->path, &f->config, err);
	if ((r = resolve_link(f->path, &target, err)) < 0 || (r = lock_folder(f, target, err)) < 0)
		return r;
	return file_read(f, f->folder, f->name, err);
}

static int file_replace(struct file *f, const struct buffer *bytes, struct error *err)
{
	int r = fs_write_atomic(f->folder, f->name, bytes->data, bytes->size, f->mode, err);

	return r < 0 ? error_prefix(err, "write %s", f->path), r : 0;
}

/* Sets an entry, or removes it where it has no user name. */
static int file_change(struct file *f, const struct docker_auth *auth, bool remove, struct error *err)
{
	_cleanup_secret_buffer_ struct buffer changed = {0};
	int r = remove ? docker_config_remove(f->bytes.data, f->bytes.size, f->path, auth->key, &changed, err)
		       : docker_config_set(f->bytes.data, f->bytes.size, f->path, auth, &changed, err);

	if (r < 0)
		return r;
	cleanup_secret_buffer(&f->bytes);
	f->bytes = changed;
	changed = (struct buffer){0};
	return 0;
}

/* ---- who keeps what --------------------------------------------------------------------------------- */

/* The helper for a repository, and the key to ask it for: its own where that names a part of the registry. */
static bool find_helper(const struct docker_config *c, const char *registry, const char *repository,
	struct credentials_helper *h, const char **key)
{
	size_t best = 0;

	*h = (struct credentials_helper){.name = c->store, .time = CREDENTIALS_HELPER_TIME};
	*key = docker_config_key(registry);
	for (size_t i = 0; i < c->helper_count; i++) {
		bool whole;
		size_t fit = docker_config_fit(c->helpers[i].key, registry, repository, &whole);

		if (fit <= best)
			continue;
		best = fit;
		h->name = c->helpers[i].name;
		*key = whole ? docker_config_key(registry) : c->helpers[i].key;
	}
	return *h->name != 0;
}

static struct docker_auth *find_auth(
	const struct docker_config *c, const char *registry, const char *repository)
{
	struct docker_auth *found = NULL;
	size_t best = 0;

	for (size_t i = 0; i < c->auth_count; i++) {
		size_t fit = docker_config_fit(c->auths[i].key, registry, repository, NULL);

		if (fit <= best)
			continue;
		best = fit;
		found = &c->auths[i];
	}
	return found;
}

/* Moves what an entry says into *c. */
static void take(struct docker_auth *auth, struct credentials *c)
{
	credentials_free(c);
	*c = (struct credentials){.username = TAKE_PTR(auth->username),
		.password = TAKE_PTR(auth->password),
		.identity_token = TAKE_PTR(auth->identity_token),
		.registry_token = TAKE_PTR(auth->registry_token)};
}

static int look_up(struct file *f, const char *registry, const char *repository, struct credentials *c,
	struct error *err)
{
	struct docker_auth kept = {0}, *auth;
	struct credentials_helper helper;
	const char *key;
	bool found = false;
	int r = 0;

	if (find_helper(&f->config, registry, repository, &helper, &key))
		r = credentials_helper_get(&helper, key, &found, &kept, err);
	if (r < 0)
		return r;
	auth = found ? &kept : find_auth(&f->config, registry, repository);
	if (auth && auth->broken)
		return error_set(err, ERROR_INVALID,
			"%s: auths: '%s': auth is not base64 of user:password: run 'monocore login %s'",
			f->path, auth->key, registry);
	if (auth)
		take(auth, c);
	docker_auth_free(&kept);
	return 0;
}

int credentials_get(const char *registry, const char *repository, struct credentials *c, struct error *err)
{
	_cleanup_file_close_ struct file f;
	int r = file_open(&f, err);

	*c = (struct credentials){
		text_copy("", err), text_copy("", err), text_copy("", err), text_copy("", err)};
	if (r == 0 && (!c->username || !c->password || !c->identity_token || !c->registry_token))
		r = -ERROR_NO_MEMORY;
	if (r == 0)
		r = look_up(&f, registry, repository ? repository : "", c, err);
	if (r < 0)
		credentials_free(c);
	return r;
}

/* With a helper, nothing of value stays in the file. */
static int store_in_helper(struct file *f, const struct credentials_helper *helper, struct docker_auth *auth,
	const char *registry, struct error *err)
{
	const struct docker_auth *old = find_auth(&f->config, registry, "");
	struct docker_auth blank = {.key = old ? old->key : NULL,
		.username = (char[]){""},
		.password = (char[]){""},
		.identity_token = (char[]){""}};
	int r = credentials_helper_store(helper, auth, err);

	if (r < 0 || !old ||
		(!old->broken && !*old->password && !*old->identity_token && !*old->registry_token))
		return r;
	r = file_change(f, &blank, false, err);
	return r < 0 ? r : file_replace(f, &f->bytes, err);
}

int credentials_store(const char *registry, const struct credentials *c, char **where, struct error *err)
{
	_cleanup_file_close_ struct file f;
	_cleanup_free_ char *key = NULL, *place = NULL;
	struct credentials_helper helper;
	struct docker_auth auth = {
		.username = c->username, .password = c->password, .identity_token = c->identity_token};
	const char *unused;
	bool helped;
	int r = file_open_locked(&f, true, err);

	if (r < 0)
		return r;
	key = auth.key = text_copy(docker_config_key(registry), err);
	helped = find_helper(&f.config, registry, "", &helper, &unused);
	place = helped ? text_format(err, CREDENTIALS_HELPER_PROGRAM "%s", helper.name)
		       : text_copy(f.path, err);
	if (!key || !place)
		return -ERROR_NO_MEMORY;
	r = helped ? store_in_helper(&f, &helper, &auth, registry, err) : file_change(&f, &auth, false, err);
	if (r == 0 && !helped)
		r = file_replace(&f, &f.bytes, err);
	if (r == 0 && where)
		*where = TAKE_PTR(place);
	return r;
}

/* Removes all of a registry's spellings, such as "https://host/v1/" beside "host"; entries for a part of its
 * repositories stay. */
static int erase_entries(struct file *f, const char *registry, bool *was_there, struct error *err)
{
	bool changed = false;

	for (size_t i = 0; i < f->config.auth_count; i++) {
		struct docker_auth *auth = &f->config.auths[i];
		bool whole;
		int r;

		if (!docker_config_fit(auth->key, registry, "", &whole) || !whole)
			continue;
		r = file_change(f, auth, true, err);
		if (r < 0)
			return r;
		changed = true;
		*was_there = *was_there || auth->broken || *auth->username || *auth->password ||
			     *auth->identity_token || *auth->registry_token;
	}
	return changed ? file_replace(f, &f->bytes, err) : 0;
}

int credentials_erase(const char *registry, bool *was_there, struct error *err)
{
	_cleanup_file_close_ struct file f;
	struct credentials_helper helper;
	struct docker_auth kept = {0};
	const char *key;
	int r = file_open_locked(&f, false, err);

	*was_there = false;
	if (r < 0)
		return r;
	if (find_helper(&f.config, registry, "", &helper, &key)) {
		r = credentials_helper_get(&helper, key, was_there, &kept, err);
		docker_auth_free(&kept);
		if (r == 0 && *was_there)
			r = credentials_helper_erase(&helper, key, err);
	}
	return r < 0 ? r : erase_entries(&f, registry, was_there, err);
}
