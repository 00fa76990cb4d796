/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_thread.h"

#include <pthread.h>

#define STACK 65536

int volume_thread_start(void *(*run)(void *), void *context, struct error *err)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attributes, run, context);
	pthread_attr_destroy(&attributes);
	return r ? error_errno(err, r, "start a thread") : 0;
}
