/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the objects of persistent handles were last seen (struct native_index), kept in two files, so that
 * handles lead to their objects in the next process as well. docs/formats/nfs.md has the format.
 *
 * One of the files is in use: records are appended to it as they come, by one write each, so that a killed
 * process has lost none. When most of it is out of date what still holds is written to the other one. What a
 * power cut takes away, or a damaged file, makes handles stale and does no other harm: an object is never
 * taken for another.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "vfs/native/native.h"

struct native_index_file;

/* files: open for reading and writing, the process's own; they are borrowed and must outlive it. What is in
 * neither of them is an empty index. most: objects, of up to 300 bytes; handles of others become stale with
 * the process. Errors: SYSTEM, NO_MEMORY. */
int native_index_file_open(
	const int files[2], size_t most, struct native_index_file **out, struct error *err);
void native_index_file_free(struct native_index_file *f);
CLEANUP_DEFINE(native_index_file, struct native_index_file, native_index_file_free);

struct native_index native_index_file_calls(struct native_index_file *f);
