/*
 * Prints what the kernel interface looks like in memory, as one release's
 * headers define it: sizes, field offsets, ioctl numbers, error numbers.
 *
 * The names of ioctls and errors differ between releases:
 * tests/vm/layout/regenerate collects them into names.h, NUMBER(NAME) a line.
 */
#include <sys/zfs_context.h>
#include <sys/zfs_ioctl.h>
#include <stddef.h>
#include <stdio.h>

#define	SIZE(type) \
	printf("size %s %zu\n", #type, sizeof (type))
#define	FIELD(type, field) \
	printf("field %s.%s %zu %zu\n", #type, #field, \
	    offsetof(type, field), sizeof (((type *)0)->field))
#define	NUMBER(name) \
	printf("number %s %d\n", #name, (int)name);

typedef struct drr_begin drr_begin;

static void
zfs_cmd(void)
{
	SIZE(zfs_cmd_t);
	FIELD(zfs_cmd_t, zc_name);
	FIELD(zfs_cmd_t, zc_nvlist_src);
	FIELD(zfs_cmd_t, zc_nvlist_src_size);
	FIELD(zfs_cmd_t, zc_nvlist_dst);
	FIELD(zfs_cmd_t, zc_nvlist_dst_size);
	FIELD(zfs_cmd_t, zc_nvlist_dst_filled);
	FIELD(zfs_cmd_t, zc_pad2);
	FIELD(zfs_cmd_t, zc_history);
	FIELD(zfs_cmd_t, zc_value);
	FIELD(zfs_cmd_t, zc_string);
	FIELD(zfs_cmd_t, zc_guid);
	FIELD(zfs_cmd_t, zc_nvlist_conf);
	FIELD(zfs_cmd_t, zc_nvlist_conf_size);
	FIELD(zfs_cmd_t, zc_cookie);
	FIELD(zfs_cmd_t, zc_objset_type);
	FIELD(zfs_cmd_t, zc_perm_action);
	FIELD(zfs_cmd_t, zc_history_len);
	FIELD(zfs_cmd_t, zc_history_offset);
	FIELD(zfs_cmd_t, zc_obj);
	FIELD(zfs_cmd_t, zc_iflags);
	FIELD(zfs_cmd_t, zc_share);
	FIELD(zfs_cmd_t, zc_objset_stats);
	FIELD(zfs_cmd_t, zc_begin_record);
	FIELD(zfs_cmd_t, zc_inject_record);
	FIELD(zfs_cmd_t, zc_defer_destroy);
	FIELD(zfs_cmd_t, zc_flags);
	FIELD(zfs_cmd_t, zc_action_handle);
	FIELD(zfs_cmd_t, zc_cleanup_fd);
	FIELD(zfs_cmd_t, zc_simple);
	FIELD(zfs_cmd_t, zc_pad);
	FIELD(zfs_cmd_t, zc_sendobj);
	FIELD(zfs_cmd_t, zc_fromobj);
	FIELD(zfs_cmd_t, zc_createtxg);
	FIELD(zfs_cmd_t, zc_stat);
	FIELD(zfs_cmd_t, zc_zoneid);
}

static void
parts_of_zfs_cmd(void)
{
	SIZE(zfs_share_t);
	FIELD(zfs_share_t, z_exportdata);
	FIELD(zfs_share_t, z_sharedata);
	FIELD(zfs_share_t, z_sharetype);
	FIELD(zfs_share_t, z_sharemax);

	SIZE(dmu_objset_stats_t);
	FIELD(dmu_objset_stats_t, dds_num_clones);
	FIELD(dmu_objset_stats_t, dds_creation_txg);
	FIELD(dmu_objset_stats_t, dds_guid);
	FIELD(dmu_objset_stats_t, dds_type);
	FIELD(dmu_objset_stats_t, dds_is_snapshot);
	FIELD(dmu_objset_stats_t, dds_inconsistent);
	FIELD(dmu_objset_stats_t, dds_redacted);
	FIELD(dmu_objset_stats_t, dds_origin);

	SIZE(drr_begin);
	FIELD(drr_begin, drr_magic);
	FIELD(drr_begin, drr_versioninfo);
	FIELD(drr_begin, drr_creation_time);
	FIELD(drr_begin, drr_type);
	FIELD(drr_begin, drr_flags);
	FIELD(drr_begin, drr_toguid);
	FIELD(drr_begin, drr_fromguid);
	FIELD(drr_begin, drr_toname);

	SIZE(zinject_record_t);

	SIZE(zfs_stat_t);
	FIELD(zfs_stat_t, zs_gen);
	FIELD(zfs_stat_t, zs_mode);
	FIELD(zfs_stat_t, zs_links);
	FIELD(zfs_stat_t, zs_ctime);
}

static void
stream_records(void)
{
	SIZE(dmu_replay_record_t);
	FIELD(dmu_replay_record_t, drr_type);
	FIELD(dmu_replay_record_t, drr_payloadlen);
	FIELD(dmu_replay_record_t, drr_u);
	FIELD(dmu_replay_record_t, drr_u.drr_begin);
	FIELD(dmu_replay_record_t, drr_u.drr_end.drr_checksum);
	FIELD(dmu_replay_record_t, drr_u.drr_end.drr_toguid);
	FIELD(dmu_replay_record_t, drr_u.drr_object.drr_bonuslen);
	FIELD(dmu_replay_record_t, drr_u.drr_object.drr_raw_bonuslen);
	FIELD(dmu_replay_record_t, drr_u.drr_write.drr_offset);
	FIELD(dmu_replay_record_t, drr_u.drr_write.drr_logical_size);
	FIELD(dmu_replay_record_t, drr_u.drr_write.drr_compressiontype);
	FIELD(dmu_replay_record_t, drr_u.drr_write.drr_compressed_size);
	FIELD(dmu_replay_record_t, drr_u.drr_free.drr_length);
	FIELD(dmu_replay_record_t, drr_u.drr_spill.drr_length);
	FIELD(dmu_replay_record_t, drr_u.drr_spill.drr_compressed_size);
	FIELD(dmu_replay_record_t, drr_u.drr_write_embedded.drr_psize);
	FIELD(dmu_replay_record_t, drr_u.drr_object_range.drr_numslots);
	FIELD(dmu_replay_record_t, drr_u.drr_redact.drr_length);
	FIELD(dmu_replay_record_t, drr_u.drr_checksum.drr_checksum);
}

int
main(void)
{
	zfs_cmd();
	parts_of_zfs_cmd();
	stream_records();
#include "names.h"
	return (0);
}
