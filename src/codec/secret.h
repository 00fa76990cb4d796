/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that held a password is overwritten before it is given back. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"

static inline void secret_free(char *text) /* NULL is fine */
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static inline void cleanup_secret(char **text)
{
	secret_free(*text);
}
#define _cleanup_secret_ _cleanup_(cleanup_secret)

/* A buffer leaves copies behind where it grows: reserve room first. */
static inline void cleanup_secret_buffer(struct buffer *b)
{
	if (b->data)
		explicit_bzero(b->data, b->capacity);
	buffer_free(b);
}
#define _cleanup_secret_buffer_ _cleanup_(cleanup_secret_buffer)
