/* Doors around a kernel, and embedded kernels made to measure. */
#include <errno.h>

#include "check.h"
#include "memory.h"

typedef struct {
    int before;
    int after;
    int refused;
    int released;
} seen;

static int32_t look_before(void *context, const zfsvol_call *call) {
    seen *all = (seen *)context;
    size_t at;
    all->before++;
    CHECK(call->text.len > 0);
    for (at = 0; at < call->name_count; at++) {
        if (has(call->names[at], "keep")) {
            return EPERM;
        }
    }
    return 0;
}

static void look_after(void *context, const zfsvol_call *call) {
    seen *all = (seen *)context;
    all->after++;
    all->refused += call->refused;
    CHECK(!call->refused || call->error_number == EPERM);
    CHECK(call->ioctl != 0);
}

static void let_go(void *context) {
    ((seen *)context)->released++;
}

static uint64_t at_noon(void *context) {
    (void)context;
    return (uint64_t)1700000000 * 1000000000;
}

static void create_fails(zfsvol_zfs *door, const char *name, zfsvol_status wanted) {
    FAILS(zfsvol_filesystem_create(door, str(name), NULL, NULL, &error), wanted);
}

static void create(zfsvol_zfs *door, const char *name) {
    OK(zfsvol_filesystem_create(door, str(name), NULL, NULL, &error));
}

static void recorded(void) {
    zfsvol_zfs *zfs = embedded();
    zfsvol_zfs *door = NULL;
    zfsvol_record *record = NULL;
    zfsvol_replay *replay = NULL;
    zfsvol_reader reader;
    zfsvol_writer writer;
    zfsvol_buffer text = {NULL, 0};
    memory calls;
    bool exists = false;
    memset(&calls, 0, sizeof(calls));
    writer = writing(&calls);
    OK(zfsvol_record_open(zfs, &writer, &record, &error));
    OK(zfsvol_record_zfs(record, &door, &error));
    create(door, "tank/a");
    OK(zfsvol_dataset_exists(door, ZFSVOL_STR("tank/a"), &exists, &error));
    OK(zfsvol_record_finish(record, &error));
    FAILS(zfsvol_record_finish(NULL, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_record_zfs((zfsvol_record *)(void *)zfs, &door, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    zfsvol_zfs_free(door);
    CHECK(calls.released == 0);
    zfsvol_record_free(record);
    zfsvol_record_free(NULL);
    CHECK(calls.released == 1);
    zfsvol_zfs_free(zfs);

    reader = reading(&calls);
    FAILS(zfsvol_replay_open(&reader, 2, &replay, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    reader = reading(&calls);
    reader.context = &calls;
    calls.len -= 3;
    FAILS(zfsvol_replay_open(&reader, ZFSVOL_ORDER_STRICT, &replay, &error), ZFSVOL_STATUS_CORRUPT);
    calls.len += 3;
    reader = reading(&calls);
    OK(zfsvol_replay_open(&reader, ZFSVOL_ORDER_STRICT, &replay, &error));
    CHECK(calls.released == 4 && zfsvol_replay_left(replay) >= 2 && zfsvol_replay_left(NULL) == 0);
    OK(zfsvol_replay_zfs(replay, &door, &error));
    create(door, "tank/a");
    exists = false;
    OK(zfsvol_dataset_exists(door, ZFSVOL_STR("tank/a"), &exists, &error));
    CHECK(exists && zfsvol_replay_left(replay) == 0);
    OK(zfsvol_replay_mismatch(replay, &text, &error));
    CHECK(text.ptr == NULL);
    CHECK(zfsvol_filesystem_create(door, ZFSVOL_STR("tank/b"), NULL, NULL, NULL) != ZFSVOL_STATUS_OK);
    OK(zfsvol_replay_mismatch(replay, &text, &error));
    CHECK(text.len > 0);
    zfsvol_buffer_free(&text);
    zfsvol_zfs_free(door);
    zfsvol_replay_free(replay);
    zfsvol_replay_free(NULL);
    FAILS(zfsvol_replay_zfs(NULL, &door, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_replay_mismatch(NULL, &text, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_replay_open(NULL, ZFSVOL_ORDER_BY_REQUEST, &replay, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_record_open(NULL, NULL, &record, &error), ZFSVOL_STATUS_NULL);
    free(calls.data);
}

int main(void) {
    zfsvol_zfs *zfs = NULL;
    zfsvol_zfs *door = NULL;
    zfsvol_embedded_options options;
    zfsvol_embedded_pool pool;
    zfsvol_observer observer;
    zfsvol_fault_rule rule;
    zfsvol_fault *fault = NULL;
    zfsvol_nvlist *list = NULL;
    zfsvol_pair pair;
    seen all = {0, 0, 0, 0};

    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.release = ZFSVOL_RELEASE_2_4;
    options.seeded = true;
    options.seed = 1;
    pool.name = ZFSVOL_STR("pond");
    pool.bytes = (uint64_t)1 << 30;
    options.pools = &pool;
    options.pool_count = 1;
    options.clock = at_noon;
    options.context = &all;
    options.release_context = let_go;
    OK(zfsvol_zfs_open_embedded(&options, &zfs, &error));
    OK(zfsvol_zfs_module(zfs, &list, &error));
    CHECK(number_in(list, "minor") == 4);
    zfsvol_nvlist_free(list);
    create(zfs, "pond/a");
    OK(zfsvol_property_get(zfs, ZFSVOL_STR("pond/a"), ZFSVOL_STR("creation"), &list, &error));
    CHECK(number_in(list, "value") == 1700000000);
    zfsvol_nvlist_free(list);

    OK(zfsvol_door_read_only(zfs, &door, &error));
    create_fails(door, "pond/b", ZFSVOL_STATUS_READ_ONLY);
    zfsvol_zfs_free(door);

    OK(zfsvol_door_subtree(zfs, ZFSVOL_STR("pond/a"), ZFSVOL_STR("/tenant"), &door, &error));
    create(door, "pond/a/b");
    {
        zfsvol_status status = zfsvol_filesystem_create(door, ZFSVOL_STR("pond/b"), NULL, NULL, NULL);
        CHECK(status != ZFSVOL_STATUS_OK);
    }
    zfsvol_zfs_free(door);

    memset(&observer, 0, sizeof(observer));
    observer.size = sizeof(observer);
    observer.context = &all;
    observer.before = look_before;
    observer.after = look_after;
    observer.release = let_go;
    OK(zfsvol_door_observe(zfs, &observer, &door, &error));
    create(door, "pond/c");
    create_fails(door, "pond/keep", ZFSVOL_STATUS_DENIED);
    CHECK(all.before >= 2 && all.after == all.before && all.refused >= 1 && all.released == 0);
    zfsvol_zfs_free(door);
    CHECK(all.released == 1);
    FAILS(zfsvol_door_observe(NULL, &observer, &door, &error), ZFSVOL_STATUS_NULL);
    CHECK(all.released == 2);

    memset(&rule, 0, sizeof(rule));
    rule.error_number = ENOSPC;
    rule.name_prefix = ZFSVOL_STR("pond/d");
    rule.times = 1;
    OK(zfsvol_fault_new(zfs, &rule, 1, &fault, &error));
    OK(zfsvol_fault_zfs(fault, &door, &error));
    create_fails(door, "pond/d", ZFSVOL_STATUS_NO_SPACE);
    create(door, "pond/d");
    OK(zfsvol_fault_failed(fault, &list, &error));
    CHECK(zfsvol_nvlist_get(list, ZFSVOL_STR("failed"), &pair) && ((const uint64_t *)pair.items)[0] == 1);
    zfsvol_nvlist_free(list);
    zfsvol_fault_free(fault);
    zfsvol_fault_free(NULL);
    zfsvol_zfs_free(door);
    rule.ioctl = 1;
    FAILS(zfsvol_fault_new(zfs, &rule, 1, &fault, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);

    zfsvol_zfs_free(zfs);
    CHECK(all.released == 3);
    options.release = 1;
    FAILS(zfsvol_zfs_open_embedded(&options, &zfs, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    CHECK(all.released == 4);
    options.release = ZFSVOL_RELEASE_2_1;
    options.unprivileged = true;
    OK(zfsvol_zfs_open_embedded(&options, &zfs, &error));
    create_fails(zfs, "pond/a", ZFSVOL_STATUS_DENIED);
    zfsvol_zfs_free(zfs);
    recorded();
    CHECK(ZFSVOL_RELEASE_DEFAULT == 0 && ZFSVOL_RELEASE_2_3 > ZFSVOL_RELEASE_2_1);
    return 0;
}
