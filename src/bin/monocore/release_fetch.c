/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/release_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/progress.h"
#include "bin/monocore/command.h"
#include "codec/release.h"
#include "http/client.h"
#include "os/fs.h"

#define REDIRECTS_MOST 5
#define ARCHIVE_MOST   (RELEASE_BYTES_MOST + ((uint64_t)64 << 20)) /* with the archive's own blocks */

struct fetching {
	struct cli *cli;
	int fd;
	uint64_t done;
};

static int take(void *context, const uint8_t *bytes, size_t n, struct error *err)
{
	struct fetching *f = context;

	f->done += n;
	if (f->done > ARCHIVE_MOST)
		return error_set(err, ERROR_LIMIT, "the release is over 1 GiB");
	progress_report_to(f->cli->progress, "release", "bytes", f->done, 0, false);
	return fs_write_all(f->fd, bytes, n, "the release", err);
}

static bool is_url(const char *from)
{
	return text_starts(from, "http://") || text_starts(from, "https://");
}

static bool is_loopback(const char *url)
{
	static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]", NULL};

	for (const char *const *h = hosts; *h; h++)
		if (text_starts(url, *h) && strchr(":/", url[strlen(*h)])) /* the end, too */
			return true;
	return false;
}

static int check_url(const char *url, bool plain_http, struct error *err)
{
	if (http_is_secure(url) || plain_http || is_loopback(url))
		return 0;
	return error_set(err, ERROR_DENIED, "%s: plain HTTP is allowed by --plain-http only", url);
}

/* 1: *url is where to look next. */
static int ask(struct http_client *client, struct fetching *f, char **url, bool plain_http, struct error *err)
{
	struct http_response response = {0};
	const struct http_request request = {.method = "GET", .url = *url, .write = take, .context = f};
	_cleanup_free_ char *next = NULL;
	int r = http_exchange(client, &request, &response, err), status = response.status;
	const char *location =
		r == 0 && status >= 300 && status < 400 ? http_header(&response, "location", 0) : NULL;

	if (location)
		r = http_resolve(*url, location, &next, err);
	http_response_free(&response);
	if (r < 0)
		return error_prefix(err, "%s", *url);
	if (status >= 200 && status < 300)
		return 0;
	if (!next)
		return error_set(err, status == 404 ? ERROR_NOT_FOUND : ERROR_UNAVAILABLE,
			"%s: the server answered %d", *url, status);
	if (http_is_secure(*url) && !http_is_secure(next))
		return error_set(err, ERROR_DENIED, "%s leads from https to %s", *url, next);
	r = check_url(next, plain_http, err);
	if (r < 0)
		return r;
	free(*url);
	*url = TAKE_PTR(next);
	return 1;
}

static int fetch(struct fetching *f, const char *from, bool plain_http, struct error *err)
{
	_cleanup_(cleanup_http_client) struct http_client *client = NULL;
	const struct http_options options = {0};
	_cleanup_free_ char *url = text_copy(from, err);
	int r = url ? check_url(url, plain_http, err) : -ERROR_NO_MEMORY;

	if (r == 0)
		r = http_client_new(&options, &client, err);
	if (r < 0)
		return r;
	for (int i = 0; i <= REDIRECTS_MOST; i++) {
		r = ask(client, f, &url, plain_http, err);
		if (r <= 0)
			break;
	}
	if (r > 0)
		return error_set(
			err, ERROR_UNAVAILABLE, "%s leads on more than %d times", from, REDIRECTS_MOST);
	progress_report_to(f->cli->progress, "release", "bytes", f->done, f->done, true);
	return r;
}

int release_fetch(
	struct cli *cli, const char *from, bool plain_http, const char *directory, int *fd, struct error *err)
{
	struct fetching f = {.cli = cli};
	int r;

	if (!is_url(from)) {
		*fd = fs_open(AT_FDCWD, from, O_RDONLY | O_NOCTTY, 0, err);
		return *fd < 0 ? *fd : 0;
	}
	f.fd = fs_open(AT_FDCWD, directory, O_TMPFILE | O_RDWR, 0600, err);
	if (f.fd < 0)
		return f.fd;
	r = fetch(&f, from, plain_http, err);
	if (r == 0 && lseek(f.fd, 0, SEEK_SET) < 0)
		r = error_errno(err, errno, "read the release");
	if (r == 0)
		*fd = TAKE_FD(f.fd);
	else
		close(f.fd);
	return r;
}
