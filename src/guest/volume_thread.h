/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* A thread of the volumes' process, with a small stack, that nobody waits for. */
int volume_thread_start(void *(*run)(void *), void *context, struct error *err);
