/* SPDX-License-Identifier: Apache-2.0 */
/* EXEC: a command, its environment, its user and its limits. */
#include "codec/message_parts.h"

#define EXEC_FLAGS_ALL  (EXEC_TTY | EXEC_STDIN | EXEC_MAIN | EXEC_DEFAULT_ENV)
#define EXEC_RLIMIT_MAX 16
#define EXEC_USER_MAX   256

void message_exec_encode(const struct message_exec *m, struct buffer *out)
{
	buffer_u32(out, m->flags);
	message_list_encode(m->argv, out);
	message_list_encode(m->env, out);
	buffer_string(out, m->workdir);
	buffer_string(out, m->user);
	buffer_u16(out, m->rows);
	buffer_u16(out, m->columns);
	buffer_u32(out, m->rlimit_count);
	for (uint32_t i = 0; i < m->rlimit_count; i++) {
		buffer_u32(out, m->rlimits[i].resource);
		buffer_u64(out, m->rlimits[i].soft);
		buffer_u64(out, m->rlimits[i].hard);
	}
}

static void decode_rlimits(struct cursor *in, struct message_exec *m)
{
	uint32_t n = cursor_u32(in);

	if (n > EXEC_RLIMIT_MAX)
		in->failed = true;
	if (in->failed || !n)
		return;
	m->rlimits = calloc(n, sizeof *m->rlimits);
	if (!m->rlimits) {
		in->failed = true;
		return;
	}
	m->rlimit_count = n;
	for (uint32_t i = 0; i < n; i++) {
		m->rlimits[i].resource = cursor_u32(in);
		m->rlimits[i].soft = cursor_u64(in);
		m->rlimits[i].hard = cursor_u64(in);
		if (m->rlimits[i].resource >= EXEC_RLIMIT_MAX || m->rlimits[i].soft > m->rlimits[i].hard)
			in->failed = true;
	}
}

int message_exec_decode(struct cursor in, struct message_exec *m, struct error *err)
{
	*m = (struct message_exec){0};
	m->flags = cursor_u32(&in);
	m->argv = message_list(&in);
	m->env = message_list(&in);
	m->workdir = message_string(&in, MESSAGE_PATH_MAX);
	m->user = message_string(&in, EXEC_USER_MAX);
	m->rows = cursor_u16(&in);
	m->columns = cursor_u16(&in);
	decode_rlimits(&in, m);
	if (!in.failed && (m->flags & ~(uint32_t)EXEC_FLAGS_ALL || !m->argv[0] || !*m->argv[0]))
		in.failed = true;
	if (message_finish(&in, "EXEC", err) < 0) {
		message_exec_free(m);
		return -ERROR_INVALID;
	}
	return 0;
}

void message_exec_free(struct message_exec *m)
{
	message_list_free(m->argv);
	message_list_free(m->env);
	free(m->workdir);
	free(m->user);
	free(m->rlimits);
	*m = (struct message_exec){0};
}
