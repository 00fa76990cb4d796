/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every file system behind vfs/vfs.h promises: POSIX's semantics as ext4 gives them. A program runs the
 * whole list on an implementation, each promise on a file system of its own, fresh and empty:
 *
 *     static void run(vfs_promise *promise)
 *     {
 *             struct vfs *fs = ...;
 *
 *             promise(fs, VFS_CAN_OWNERS | ...);
 *             vfs_destroy(fs);
 *     }
 *
 *     #define X(name) \
 *             TEST(name) \
 *             { \
 *                     run(promise_##name); \
 *             }
 *     VFS_PROMISES(X)
 *
 * Link it with the files that meson.build has as vfs_promises.
 */
#pragma once

#include "vfs/vfs.h"

/* What not every implementation, place or user can do; without the bit a promise asks for less. */
enum vfs_can {
	VFS_CAN_OWNERS = 1,        /* any uid and gid can be set */
	VFS_CAN_DEVICES = 2,       /* mknod makes device nodes */
	VFS_CAN_XATTRS = 4,        /* user.* of files and directories */
	VFS_CAN_TRUSTED = 8,       /* trusted.* too */
	VFS_CAN_LARGE_XATTRS = 16, /* values of 65536 bytes */
	VFS_CAN_HOLES = 32,        /* seek and punch to the block, blocks counted */
	VFS_CAN_BTIME = 64,
	VFS_CAN_PERSIST = 128,
	VFS_CAN_EXCHANGE = 256,
	VFS_CAN_COUNT = 512,         /* a directory's link count is 2 and one for each directory in it */
	VFS_CAN_HUGE = 1024,         /* offsets up to INT64_MAX; otherwise -EFBIG is fine */
	VFS_CANNOT_OWN_LINKS = 2048, /* symbolic links have a default owner, whatever is set */
};

typedef void vfs_promise(struct vfs *fs, unsigned can);

#define VFS_PROMISES_NAMES(X) \
	X(what_is_made_is_found_by_its_name) \
	X(what_was_never_made_is_not_found) \
	X(names_have_up_to_255_bytes) \
	X(names_hold_every_byte_but_slash_and_nul) \
	X(what_is_no_name_is_refused) \
	X(an_exclusive_create_refuses_a_name_that_is_there) \
	X(a_create_opens_the_file_that_is_there) \
	X(nothing_is_made_over_a_name_that_is_there) \
	X(a_file_holds_no_names) \
	X(hard_links_are_names_of_one_object) \
	X(directories_get_no_further_names) \
	X(unlink_leaves_directories_and_rmdir_leaves_the_rest) \
	X(a_directory_with_names_in_it_stays) \
	X(directories_count_their_subdirectories) \
	X(a_removed_directory_takes_no_names) \
	X(an_unlinked_file_lives_while_it_is_open) \
	X(an_unlinked_file_lives_while_it_is_looked_up) \
	X(symbolic_links_hold_up_to_4095_bytes) \
	X(symbolic_links_are_not_followed) \
	X(fifos_sockets_and_devices_are_nodes)

#define VFS_PROMISES_RENAME(X) \
	X(rename_moves_a_name_and_keeps_the_object) \
	X(rename_replaces_a_file_that_is_open) \
	X(rename_without_replacing_refuses_a_name_that_is_there) \
	X(rename_replaces_an_empty_directory_only) \
	X(rename_replaces_like_by_like) \
	X(rename_between_names_of_one_object_changes_nothing) \
	X(rename_never_puts_a_directory_beneath_itself) \
	X(rename_of_what_is_not_there_fails) \
	X(a_moved_directory_has_a_new_parent) \
	X(an_exchange_swaps_two_names) \
	X(an_exchange_swaps_a_file_and_a_directory) \
	X(an_exchange_needs_both_names)

#define VFS_PROMISES_ATTRIBUTES(X) \
	X(modes_keep_all_twelve_bits) \
	X(the_umask_takes_bits_of_new_objects) \
	X(new_objects_belong_to_who_asked) \
	X(owners_are_kept) \
	X(setgid_directories_pass_their_group_on) \
	X(privileges_go_when_that_is_asked) \
	X(times_are_kept_to_the_nanosecond) \
	X(times_that_are_not_set_stay) \
	X(times_are_set_to_now) \
	X(times_before_1970_and_after_2106_are_kept) \
	X(a_time_with_too_many_nanoseconds_is_refused) \
	X(every_change_of_an_object_shows) \
	X(names_that_come_and_go_change_their_directory) \
	X(reading_changes_no_mtime) \
	X(the_birth_time_stays) \
	X(xattrs_are_kept) \
	X(xattrs_are_created_and_replaced_as_asked) \
	X(xattrs_that_do_not_fit_are_not_cut) \
	X(xattrs_are_listed) \
	X(xattrs_have_names_and_values_of_any_size_allowed) \
	X(trusted_xattrs_are_kept) \
	X(a_read_only_file_system_changes_nothing) \
	X(space_is_told)

#define VFS_PROMISES_DATA(X) \
	X(what_is_written_is_read) \
	X(reads_end_at_the_end_of_the_file) \
	X(files_are_read_and_written_without_handles) \
	X(handles_do_what_they_were_opened_for) \
	X(opening_truncates_when_asked) \
	X(directories_and_links_are_not_opened_as_files) \
	X(holes_read_as_zeros) \
	X(a_hole_takes_no_space_and_is_found) \
	X(a_punched_hole_reads_as_zeros_and_frees_space) \
	X(a_zeroed_range_reads_as_zeros) \
	X(space_is_allocated_ahead) \
	X(a_file_cut_and_grown_again_has_zeros_there) \
	X(appends_of_several_handles_follow_one_another) \
	X(a_transfer_carries_up_to_one_mebibyte) \
	X(the_last_offsets_are_served_or_refused) \
	X(what_is_synced_is_synced) \
	X(twenty_thousand_calls_leave_what_a_plain_buffer_has)

#define VFS_PROMISES_THREADS(X) \
	X(writers_at_once_lose_nothing) \
	X(appenders_at_once_lose_nothing) \
	X(a_name_is_made_by_one_of_many) \
	X(renames_at_once_leave_a_tree) \
	X(a_crowd_leaves_what_can_be_removed)

#define VFS_PROMISES_DIRECTORIES(X) \
	X(a_directory_lists_what_is_in_it) \
	X(entries_have_the_type_and_number_of_their_object) \
	X(a_listing_goes_on_behind_any_entry) \
	X(cookies_outlive_their_handle) \
	X(a_second_listing_shows_what_changed) \
	X(an_entry_that_stays_comes_once_whatever_else_happens) \
	X(an_entry_that_is_renamed_over_comes_once) \
	X(a_listing_ends_though_every_entry_is_renamed) \
	X(a_directory_that_is_removed_while_it_is_listed_is_no_error) \
	X(entries_with_attributes_are_looked_up) \
	X(an_entry_that_is_not_taken_is_not_looked_up) \
	X(a_file_is_not_listed)

#define VFS_PROMISES_LIFETIMES(X) \
	X(numbers_never_given_out_are_stale) \
	X(handles_never_given_out_are_refused) \
	X(an_object_has_one_number) \
	X(a_forgotten_object_is_found_again) \
	X(forgetting_too_often_harms_nothing) \
	X(a_number_and_generation_stand_for_one_object) \
	X(persistent_handles_lead_back) \
	X(persistent_handles_outlive_forgetting_and_renaming) \
	X(persistent_handles_of_what_is_gone_are_stale) \
	X(persistent_handles_may_be_garbage)

#define VFS_PROMISES(X) \
	VFS_PROMISES_NAMES(X) \
	VFS_PROMISES_RENAME(X) \
	VFS_PROMISES_ATTRIBUTES(X) \
	VFS_PROMISES_DATA(X) \
	VFS_PROMISES_THREADS(X) \
	VFS_PROMISES_DIRECTORIES(X) \
	VFS_PROMISES_LIFETIMES(X)

#define X(name) vfs_promise promise_##name;
VFS_PROMISES(X)
#undef X
