/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses a message; the rest is its payload. What a decoder accepts is encoded to the same
 * bytes again. */
#include <assert.h>
#include <string.h>

#include "codec/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_equal(const struct buffer *again, const uint8_t *data, size_t size)
{
	assert(!again->failed && again->size == size);
	assert(size == 0 || memcmp(again->data, data, size) == 0);
}

#define ROUND_TRIP(name, release) \
	case MESSAGE_CODE_##name: { \
		struct message_##name m; \
		if (message_##name##_decode(in, &m, &err) == 0) { \
			message_##name##_encode(&m, &again); \
			must_equal(&again, in.data, in.left); \
			release; \
		} \
		break; \
	}

enum {
	MESSAGE_CODE_hello = MESSAGE_HELLO,
	MESSAGE_CODE_setup = MESSAGE_SETUP,
	MESSAGE_CODE_error = MESSAGE_ERROR,
	MESSAGE_CODE_exec = MESSAGE_EXEC,
	MESSAGE_CODE_resize = MESSAGE_RESIZE,
	MESSAGE_CODE_exited = MESSAGE_EXITED,
	MESSAGE_CODE_entry = MESSAGE_ENTRY,
	MESSAGE_CODE_usage = MESSAGE_USAGE,
	MESSAGE_CODE_shutdown = MESSAGE_SHUTDOWN,
	MESSAGE_CODE_network_switch = MESSAGE_NETWORK,
};

static void request(uint16_t type, struct cursor in, struct buffer *again)
{
	struct message_request m;
	struct error err;

	if (message_request_decode(type, in, &m, &err) < 0)
		return;
	message_request_encode(type, &m, again);
	must_equal(again, in.data, in.left);
	message_request_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct buffer again = {0};
	struct cursor in;
	struct error err;

	if (!size)
		return 0;
	in = cursor_of(data + 1, size - 1);
	switch (data[0]) {
		ROUND_TRIP(hello, message_hello_free(&m))
		ROUND_TRIP(setup, message_setup_free(&m))
		ROUND_TRIP(error, message_error_free(&m))
		ROUND_TRIP(exec, message_exec_free(&m))
		ROUND_TRIP(resize, (void)0)
		ROUND_TRIP(exited, (void)0)
		ROUND_TRIP(entry, message_entry_free(&m))
		ROUND_TRIP(usage, (void)0)
		ROUND_TRIP(shutdown, (void)0)
		ROUND_TRIP(network_switch, (void)0)
	default:
		request(data[0], in, &again);
	}
	return 0;
}
