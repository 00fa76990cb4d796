/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command in a throw-away sandbox, by libmonocore alone:
 *
 *     hello oci:./image uname -a
 *
 * What the command writes comes out here, and its exit status is this program's. The sandbox is gone
 * afterwards, however this program ends.
 *
 * Against an installed monocore: cc hello.c $(pkg-config --cflags --libs monocore)
 */
#include <stdio.h>

#include "monocore.h"

static int fail(const char *what, const struct monocore_error *err)
{
	fprintf(stderr, "hello: %s: %s\n", what, err->text);
	return monocore_exit_status(err->code);
}

/* Starts the sandbox and copies what its command writes to where it belongs. */
static int run(struct monocore *mc, const char *name)
{
	struct monocore_attach_options attach = MONOCORE_ATTACH_OPTIONS_INIT;
	struct monocore_relay relay = MONOCORE_RELAY_INIT;
	struct monocore_process *process;
	struct monocore_error err;
	int status;

	attach.owner = true; /* the sandbox ends with us */
	if (monocore_start(mc, name, &attach, &process, &err) < 0)
		return fail("start", &err);
	relay.out = 1;
	relay.err = 2;
	if (monocore_process_relay(process, &relay, &status, &err) < 0)
		status = fail("relay", &err);
	monocore_process_free(process);
	return status;
}

int main(int argc, char **argv)
{
	struct monocore_sandbox_options options = MONOCORE_SANDBOX_OPTIONS_INIT;
	struct monocore_error err;
	struct monocore *mc;
	char *name;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: hello IMAGE [COMMAND [ARGUMENT]...]\n");
		return 2;
	}
	options.image = argv[1];
	options.command = argc > 2 ? (const char *const *)argv + 2 : NULL; /* else the image's own */
	options.discard = true;
	if (monocore_open(NULL, &mc, &err) < 0)
		return fail("open", &err);
	if (monocore_create(mc, &options, &name, &err) < 0) {
		status = fail("create", &err);
	} else {
		status = run(mc, name);
		monocore_free(name);
	}
	monocore_close(mc);
	return status;
}
