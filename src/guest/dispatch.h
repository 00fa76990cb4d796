/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "codec/frame.h"
#include "guest/agent.h"

/* Does what one message of the host asks for. */
void dispatch(struct agent *a, const struct frame *f);
