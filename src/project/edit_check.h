/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an edit has changed what it should, and nothing else. */
#pragma once

#include "project/edit.h"
#include "project/yaml.h"

/* Whether `with` is `without` and the component, which has these settings (NULL: whatever it has). */
bool edit_check(const struct yaml_node *without, const struct yaml_node *with, enum edit_section section,
	const char *name, const struct edit_setting *settings, size_t count);
