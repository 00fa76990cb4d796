/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/fs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/monocore/output.h"

struct options {
	const char *listen, *export;
	bool read_only, async, json;
};

static const struct option_spec options[] = {
	{"listen", 0, OPTION_STRING, "ADDRESS[:PORT]", offsetof(struct options, listen),
		"listen there; default: 127.0.0.1 and any free port"},
	{"export", 0, OPTION_STRING, "NAME", offsetof(struct options, export),
		"name the export, which may then be mounted more than once; default: a random name, for one "
		"mount"},
	{"read-only", 0, OPTION_FLAG, NULL, offsetof(struct options, read_only), "nothing can be changed"},
	{"async", 0, OPTION_FLAG, NULL, offsetof(struct options, async),
		"answer before names that were made, removed or changed are on the disk: faster"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

/* "127.0.0.1", "127.0.0.1:2049", ":2049", "[::1]:2049", "::1". The address is cut out of text. */
static int parse_listen(char *text, struct monocore_serve_options *to, struct error *err)
{
	char *end = strchr(text, ']'), *port = strrchr(text, ':');
	uint64_t number = 0;

	if (*text == '[' && end) {
		*end = '\0';
		port = end[1] == ':' ? end + 1 : NULL;
		if (!port && end[1])
			return error_set(
				err, ERROR_USAGE, "--listen: '%s' stands behind the address", end + 1);
		text++;
	} else if (port && strchr(text, ':') != port) {
		port = NULL;
	}
	if (port) {
		*port = '\0';
		if (text_parse_u64(port + 1, UINT16_MAX, "--listen: the port", &number, err) < 0)
			return -(int)(err->code = ERROR_USAGE);
	}
	to->port = (uint16_t)number;
	to->address = *text ? text : NULL;
	return 0;
}

/* ---- what is told ------------------------------------------------------------------------------------ */

static void put_mount(struct buffer *b, const struct monocore_server_info *i)
{
	bool six = strchr(i->address, ':');

	buffer_format(b, "mount -t nfs -o vers=3,%s,port=%u,mountport=%u,nolock%s %s%s%s:%s",
		six ? "tcp6" : "tcp", (unsigned)i->port, (unsigned)i->port, i->read_only ? ",ro" : "",
		six ? "[" : "", i->address, six ? "]" : "", i->export);
	buffer_u8(b, 0);
}

static void put_url(struct buffer *b, const struct monocore_server_info *i)
{
	buffer_format(b, "nfs://%s%s?nfsport=%u&mountport=%u", i->address, i->export, (unsigned)i->port,
		(unsigned)i->port);
	buffer_u8(b, 0);
}

static void print_json(
	const struct monocore_server_info *i, const char *source, const char *mount, const char *url)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_key(&b, "source");
	json_put_string(&b, source);
	json_put_key(&b, "address");
	json_put_string(&b, i->address);
	json_put_key(&b, "port");
	json_put_number(&b, i->port);
	json_put_key(&b, "export");
	json_put_string(&b, i->export);
	json_put_key(&b, "read_only");
	json_put_bool(&b, i->read_only);
	json_put_key(&b, "mount");
	json_put_string(&b, mount);
	json_put_key(&b, "url");
	json_put_string(&b, url);
	json_put_close(&b, '}');
	fwrite(b.data, 1, b.size, stdout);
	putchar('\n');
}

static int tell(const struct monocore_server_info *i, const char *source, bool json)
{
	_cleanup_buffer_ struct buffer mount = {0}, url = {0};

	put_mount(&mount, i);
	put_url(&url, i);
	if (mount.failed || url.failed)
		return 1;
	if (json) {
		print_json(i, source, (char *)mount.data, (char *)url.data);
		return output_finish();
	}
	printf("%s is served on %s, port %u, as %s until Ctrl-C\n\nAs root:     %s DIR\nWith libnfs: %s\n",
		source, i->address, (unsigned)i->port, i->export, (char *)mount.data, (char *)url.data);
	return output_finish();
}

/* ---- the verb ---------------------------------------------------------------------------------------- */

/* Until a signal that asks for the end, or the server's own end. */
static void wait_for_end(const struct monocore_server *server, int signals)
{
	struct pollfd p[] = {
		{.fd = signals, .events = POLLIN}, {.fd = monocore_server_fd(server), .events = POLLIN}};

	while (poll(p, ARRAY_SIZE(p), -1) < 0 && errno == EINTR)
		;
}

static int serve(
	struct cli *cli, const char *source, const struct monocore_serve_options *how, bool json, int signals)
{
	struct monocore_server *server;
	struct monocore_error err;
	int status;

	if (monocore_fs_serve(cli->mc, source, how, &server, &err) < 0)
		return cli_fail(cli, &err);
	status = tell(monocore_server_info(server), source, json);
	if (status == 0)
		wait_for_end(server, signals);
	return monocore_server_end(server, &err) < 0 ? cli_fail(cli, &err) : status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_serve_options how = MONOCORE_SERVE_OPTIONS_INIT;
	struct error err;
	_cleanup_free_ char *listen = o->listen ? text_copy(o->listen, &err) : NULL;
	_cleanup_fd_ int signals = -1;
	sigset_t set;

	(void)count;
	if (o->listen && (!listen || parse_listen(listen, &how, &err) < 0))
		return cli_complain(cli, &err);
	how.export = o->export;
	how.read_only = o->read_only;
	how.async = o->async;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0) {
		error_errno(&err, errno, "take signals from a descriptor");
		return cli_complain(cli, &err);
	}
	return cli_open(cli) < 0 ? 1 : serve(cli, words[0], &how, o->json, signals);
}

const struct command fs_serve_command = {
	.name = "serve",
	.arguments = "SOURCE",
	.summary = "serve a directory, or an image, over NFSv3",
	.help = "SOURCE is a directory, or, where there is none of that name, an image, which cannot be "
		"changed. "
		"The command prints how to mount it and serves until Ctrl-C. A mount outlives that: when the "
		"same source is served again on the same port, it goes on.\n\n"
		"On loopback connections of your own and of root are taken and nobody else's; whoever uses "
		"the "
		"mount works as you. With --listen on another address, all who learn the export's name do.",
	.examples =
		"monocore fs serve ./src\nmonocore fs serve --read-only --listen 127.0.0.1:2049 --export src "
		"./src\nmonocore fs serve docker.io/library/debian:12",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
	.words = WORDS_FILES,
};
