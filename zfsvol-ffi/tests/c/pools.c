/* Pools, their activities, boot environment and programs; streams as data. */
#include <poll.h>
#include <unistd.h>

#include "check.h"

static void status(zfsvol_zfs *zfs) {
    zfsvol_nvlist *found = NULL;
    zfsvol_nvlist *root;
    zfsvol_str name;
    OK(zfsvol_pool_names(zfs, &found, &error));
    OK(zfsvol_nvlist_text(found, ZFSVOL_STR("pools"), 0, &name, &error));
    CHECK(same(name, "tank"));
    zfsvol_nvlist_free(found);
    OK(zfsvol_pool_list(zfs, &found, &error));
    CHECK(count_in(found, "pools") == 1);
    zfsvol_nvlist_free(found);
    OK(zfsvol_pool_status(zfs, ZFSVOL_STR("tank"), &found, &error));
    CHECK(same(text_in(found, "health"), "online") && number_in(found, "size") > 0 && !truth_in(found, "read_only"));
    root = list_in(found, "root", 0);
    CHECK(same(text_in(root, "kind"), "root") && same(text_in(root, "state"), "online") && count_in(root, "children") == 1);
    zfsvol_nvlist_free(root);
    zfsvol_nvlist_free(found);
    FAILS(zfsvol_pool_status(zfs, ZFSVOL_STR("none"), &found, &error), ZFSVOL_STATUS_NOT_FOUND);
}

static void properties(zfsvol_zfs *zfs) {
    zfsvol_nvlist *found = NULL;
    zfsvol_nvlist *one;
    zfsvol_nvlist *wanted = new_list();
    OK(zfsvol_nvlist_put_str(wanted, ZFSVOL_STR("comment"), ZFSVOL_STR("mine"), &error));
    OK(zfsvol_pool_set_properties(zfs, ZFSVOL_STR("tank"), wanted, &error));
    OK(zfsvol_pool_properties(zfs, ZFSVOL_STR("tank"), &found, &error));
    one = list_in(found, "comment", 0);
    CHECK(same(text_in(one, "value"), "mine") && same(text_in(one, "source"), "local"));
    zfsvol_nvlist_free(one);
    zfsvol_nvlist_free(found);
    OK(zfsvol_nvlist_put_str(wanted, ZFSVOL_STR("compression"), ZFSVOL_STR("lz4"), &error));
    FAILS(zfsvol_pool_set_properties(zfs, ZFSVOL_STR("tank"), wanted, &error), ZFSVOL_STATUS_INVALID_PROPERTY);
    zfsvol_nvlist_free(wanted);
}

/* Calls for a wait stay until the other end is closed. */
typedef struct {
    int ends[2];
    int asked;
    int released;
} gate;

static int32_t hold_back(void *context, const zfsvol_call *call) {
    gate *at = (gate *)context;
    char byte;
    if (has(call->text, "ZFS_IOC_WAIT ")) {
        (void)__sync_add_and_fetch(&at->asked, 1);
        CHECK(read(at->ends[0], &byte, 1) == 0);
    }
    return 0;
}

static void open_gate(void *context) {
    (void)__sync_add_and_fetch(&((gate *)context)->released, 1);
}

static void until(int *count) {
    while (__sync_add_and_fetch(count, 0) == 0) {
        (void)poll(NULL, 0, 1);
    }
}

static void waits_in_the_background(zfsvol_zfs *zfs) {
    zfsvol_str tank = ZFSVOL_STR("tank");
    zfsvol_zfs *door = NULL;
    zfsvol_transfer *transfer = NULL;
    zfsvol_nvlist *result = NULL;
    zfsvol_observer observer;
    zfsvol_progress progress;
    gate held;
    FAILS(zfsvol_pool_wait_start(zfs, tank, 10, 0, &transfer, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    OK(zfsvol_pool_wait_start(zfs, tank, ZFSVOL_ACTIVITY_SCRUB, 0, &transfer, &error));
    OK(zfsvol_transfer_wait(transfer, -1, &result, &error));
    CHECK(!truth_in(result, "waited"));
    zfsvol_nvlist_free(result);
    zfsvol_transfer_free(transfer);
    OK(zfsvol_pool_wait_start(zfs, tank, ZFSVOL_ACTIVITY_TRIM, 7, &transfer, &error));
    FAILS(zfsvol_transfer_wait(transfer, -1, &result, &error), ZFSVOL_STATUS_INVALID);
    zfsvol_transfer_free(transfer);

    memset(&held, 0, sizeof(held));
    CHECK(pipe(held.ends) == 0);
    memset(&observer, 0, sizeof(observer));
    observer.size = sizeof(observer);
    observer.context = &held;
    observer.before = hold_back;
    observer.release = open_gate;
    OK(zfsvol_door_observe(zfs, &observer, &door, &error));
    OK(zfsvol_pool_wait_start(door, tank, ZFSVOL_ACTIVITY_SCRUB, 0, &transfer, &error));
    until(&held.asked);
    memset(&progress, 0, sizeof(progress));
    progress.size = sizeof(progress);
    OK(zfsvol_transfer_progress(transfer, &progress, &error));
    CHECK(progress.phase == ZFSVOL_PHASE_WAITING && progress.bytes == 0 && !progress.finished);
    FAILS(zfsvol_transfer_wait(transfer, 1, NULL, &error), ZFSVOL_STATUS_TIMED_OUT);
    zfsvol_transfer_cancel(transfer);
    FAILS(zfsvol_transfer_wait(transfer, -1, NULL, &error), ZFSVOL_STATUS_CANCELLED);
    zfsvol_transfer_free(transfer);
    zfsvol_zfs_free(door);
    /* The thread in the kernel has the door until the kernel lets it go. */
    CHECK(__sync_add_and_fetch(&held.released, 0) == 0);
    close(held.ends[1]);
    until(&held.released);
    close(held.ends[0]);
}

static void activities(zfsvol_zfs *zfs) {
    static const zfsvol_activity all[] = {
        ZFSVOL_ACTIVITY_CHECKPOINT_DISCARD, ZFSVOL_ACTIVITY_FREE,   ZFSVOL_ACTIVITY_INITIALIZE,
        ZFSVOL_ACTIVITY_REPLACE,            ZFSVOL_ACTIVITY_REMOVE, ZFSVOL_ACTIVITY_RESILVER,
        ZFSVOL_ACTIVITY_SCRUB,              ZFSVOL_ACTIVITY_TRIM,   ZFSVOL_ACTIVITY_RAIDZ_EXPAND,
        ZFSVOL_ACTIVITY_CONDENSE,
    };
    static const zfsvol_scrub scrubs[] = {
        ZFSVOL_SCRUB_START,  ZFSVOL_SCRUB_PAUSE, ZFSVOL_SCRUB_STOP,
        ZFSVOL_SCRUB_ERRORS, ZFSVOL_SCRUB_SINCE_LAST, ZFSVOL_SCRUB_RESILVER,
    };
    zfsvol_str tank = ZFSVOL_STR("tank");
    bool waited = true;
    size_t at;
    OK(zfsvol_pool_sync(zfs, tank, true, &error));
    OK(zfsvol_pool_reopen(zfs, tank, false, &error));
    OK(zfsvol_pool_checkpoint(zfs, tank, &error));
    FAILS(zfsvol_pool_checkpoint(zfs, tank, &error), ZFSVOL_STATUS_IN_PROGRESS);
    OK(zfsvol_pool_discard_checkpoint(zfs, tank, &error));
    for (at = 0; at < sizeof(scrubs) / sizeof(scrubs[0]); at++) {
        /* Whether there is anything to pause is not what is tested. */
        CHECK(zfsvol_pool_scrub(zfs, tank, scrubs[at], NULL) != ZFSVOL_STATUS_UNKNOWN_NUMBER);
    }
    FAILS(zfsvol_pool_scrub(zfs, tank, 6, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    OK(zfsvol_pool_wait(zfs, tank, ZFSVOL_ACTIVITY_SCRUB, 0, &waited, &error));
    for (at = 0; at < sizeof(all) / sizeof(all[0]); at++) {
        CHECK(zfsvol_pool_wait(zfs, ZFSVOL_STR("none"), all[at], 0, NULL, NULL) != ZFSVOL_STATUS_UNKNOWN_NUMBER);
    }
    FAILS(zfsvol_pool_wait(zfs, tank, 10, 0, NULL, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    waits_in_the_background(zfs);
}

static void programs(zfsvol_zfs *zfs) {
    zfsvol_program_options options;
    zfsvol_nvlist *arguments = new_list();
    zfsvol_nvlist *result = NULL;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.arguments = arguments;
    options.instructions_max = 1000;
    options.memory_bytes_max = 1 << 20;
    options.nosync = true;
    /* The kernel in this process runs the programs of this library, and no others. */
    FAILS(zfsvol_pool_program(zfs, ZFSVOL_STR("tank"), ZFSVOL_STR("return 1"), &options, &result, &error),
          ZFSVOL_STATUS_UNSUPPORTED);
    FAILS(zfsvol_pool_program(zfs, ZFSVOL_STR("tank"), ZFSVOL_STR("return 1"), NULL, &result, &error),
          ZFSVOL_STATUS_UNSUPPORTED);
    zfsvol_nvlist_free(arguments);
}

static void bootenv(zfsvol_zfs *zfs) {
    zfsvol_nvlist *environment = new_list();
    zfsvol_nvlist *found = NULL;
    OK(zfsvol_nvlist_put_number(environment, ZFSVOL_STR("version"), ZFSVOL_TYPE_UINT64, 1, &error));
    OK(zfsvol_nvlist_put_str(environment, ZFSVOL_STR("freebsd:bootonce"), ZFSVOL_STR("zfs:tank/a:"), &error));
    if (zfsvol_pool_set_bootenv(zfs, ZFSVOL_STR("tank"), environment, NULL) == ZFSVOL_STATUS_OK) {
        OK(zfsvol_pool_bootenv(zfs, ZFSVOL_STR("tank"), &found, &error));
        CHECK(same(text_in(found, "freebsd:bootonce"), "zfs:tank/a:"));
        zfsvol_nvlist_free(found);
    }
    zfsvol_nvlist_free(environment);
}

static void ending(zfsvol_zfs *zfs) {
    FAILS(zfsvol_pool_export(zfs, ZFSVOL_STR("none"), ZFSVOL_EXPORT_CLEAN, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_pool_export(zfs, ZFSVOL_STR("none"), ZFSVOL_EXPORT_FORCE, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_pool_export(zfs, ZFSVOL_STR("none"), ZFSVOL_EXPORT_WITHOUT_MARK, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_pool_export(zfs, ZFSVOL_STR("tank"), 3, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    OK(zfsvol_pool_destroy(zfs, ZFSVOL_STR("tank"), &error));
    FAILS(zfsvol_pool_destroy(zfs, ZFSVOL_STR("tank"), &error), ZFSVOL_STATUS_NOT_FOUND);
}

int main(void) {
    zfsvol_zfs *zfs = embedded();
    status(zfs);
    properties(zfs);
    activities(zfs);
    programs(zfs);
    bootenv(zfs);
    ending(zfs);
    zfsvol_zfs_free(zfs);
    return 0;
}
