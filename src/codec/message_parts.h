/* SPDX-License-Identifier: Apache-2.0 */
/* What the decoders of message*.c share; nobody else includes it. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "codec/message.h"

/* Ends a decoder: 0 when all was read and nothing failed, otherwise INVALID. */
int message_finish(const struct cursor *in, const char *name, struct error *err);

/* Frees a string of a message and forgets it. */
static inline void message_string_free(char **text)
{
	free(*text);
	*text = NULL;
}

/* A byte that is 0 or 1; anything else fails the cursor. */
static inline bool message_bool(struct cursor *in)
{
	uint8_t v = cursor_u8(in);

	if (v > 1)
		in->failed = true;
	return v == 1;
}

/* A string of at most `most` bytes; longer ones fail the cursor. NULL when it failed. */
char *message_string(struct cursor *in, size_t most);

/* A u32 count, then that many strings. */
void message_list_encode(char *const *list, struct buffer *out);
char **message_list(struct cursor *in);
void message_list_free(char **list);
