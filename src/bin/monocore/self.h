/* SPDX-License-Identifier: Apache-2.0 */
/* What `self` has below it; each is defined in the file of its name. */
#pragma once

#include "bin/monocore/command.h"

extern const struct command self_doctor_command;
extern const struct command self_kernel_command;
extern const struct command self_template_command;
extern const struct command self_version_command;
extern const struct command self_completion_command;
extern const struct command self_complete_names_command;
extern const struct command self_man_command;
extern const struct command self_schema_command;
extern const struct command self_upgrade_command;
extern const struct command self_uninstall_command;
