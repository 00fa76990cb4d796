/* SPDX-License-Identifier: Apache-2.0 */
#include "nfs3_service.h"

#include <unistd.h>

#include "test.h"
#include "vfs/memory/memory.h"

static void *run(void *context)
{
	struct error err;

	if (nfs3_tcp_run(context, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	return NULL;
}

void service_open(
	struct service *s, const struct nfs3_options *given, const struct nfs3_tcp_options *given_tcp)
{
	struct nfs3_options options = *given;
	struct nfs3_tcp_options tcp = *given_tcp;
	struct error err;
	int listening;

	*s = (struct service){.policy = {.uid = geteuid()}};
	options.export = SERVICE_EXPORT;
	CHECK_OK(socket_owner_open(&s->policy.diag, &err));
	CHECK_OK(memory_new(NULL, &s->fs, &err));
	CHECK_OK(nfs3_server_new(s->fs, &options, &s->server, &err));
	CHECK_OK(nfs3_listen(NULL, 0, &listening, &s->port, &err));
	if (!tcp.allowed) {
		tcp.allowed = socket_owner_allows;
		tcp.context = &s->policy;
	}
	CHECK_OK(nfs3_tcp_new(s->server, listening, &tcp, &s->tcp, &err));
	CHECK_INT(pthread_create(&s->thread, NULL, run, s->tcp), 0);
}

void service_close(struct service *s)
{
	nfs3_tcp_stop(s->tcp);
	pthread_join(s->thread, NULL);
	nfs3_tcp_free(s->tcp);
	nfs3_server_free(s->server);
	vfs_destroy(s->fs);
	close(s->policy.diag);
}
