/* File systems: mounted and unmounted, with the quotas of their users, and compared. */
#include "check.h"

static void mounts(zfsvol_zfs *zfs) {
    zfsvol_mount_options options;
    zfsvol_buffer path = {NULL, 0};
    zfsvol_nvlist *found = NULL;
    zfsvol_nvlist *one;
    zfsvol_str text;
    bool flag = false;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    OK(zfsvol_dataset_mount_path(zfs, ZFSVOL_STR("tank/a"), &found, &error));
    CHECK(same(text_in(found, "kind"), "at") && same(text_in(found, "path"), "/tank/a"));
    zfsvol_nvlist_free(found);
    FAILS(zfsvol_dataset_mount_path(zfs, ZFSVOL_STR("tank/none"), &found, &error), ZFSVOL_STATUS_NOT_FOUND);
    options.read_only = ZFSVOL_MOUNT_ON;
    options.exec = ZFSVOL_MOUNT_OFF;
    options.atime = ZFSVOL_MOUNT_PROPERTY;
    OK(zfsvol_dataset_mount(zfs, ZFSVOL_STR("tank/a"), &options, &path, &flag, &error));
    CHECK(flag && strcmp(path.ptr, "/tank/a") == 0);
    zfsvol_buffer_free(&path);
    OK(zfsvol_dataset_mount(zfs, ZFSVOL_STR("tank/a"), NULL, NULL, &flag, &error));
    CHECK(!flag);
    options.setuid = 3;
    FAILS(zfsvol_dataset_mount(zfs, ZFSVOL_STR("tank/a"), &options, NULL, NULL, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_dataset_mount(NULL, ZFSVOL_STR("tank/a"), NULL, NULL, NULL, &error), ZFSVOL_STATUS_NULL);
    OK(zfsvol_dataset_remount(zfs, ZFSVOL_STR("tank/a"), NULL, &error));
    FAILS(zfsvol_dataset_remount(zfs, ZFSVOL_STR("tank/a/b"), NULL, &error), ZFSVOL_STATUS_NOT_FOUND);
    OK(zfsvol_dataset_mounted_at(zfs, ZFSVOL_STR("tank/a"), &found, &error));
    OK(zfsvol_nvlist_text(found, ZFSVOL_STR("paths"), 0, &text, &error));
    CHECK(same(text, "/tank/a") && count_in(found, "paths") == 1);
    zfsvol_nvlist_free(found);
    FAILS(zfsvol_dataset_mounted_at(zfs, ZFSVOL_STR("tank/a"), NULL, &error), ZFSVOL_STATUS_NULL);
    OK(zfsvol_snapshot_mount(zfs, ZFSVOL_STR("tank/a@1"), ZFSVOL_STR("/then"), &flag, &error));
    CHECK(flag);
    FAILS(zfsvol_snapshot_mount(zfs, ZFSVOL_STR("tank/a@none"), ZFSVOL_STR("/then"), NULL, &error), ZFSVOL_STATUS_NOT_FOUND);
    OK(zfsvol_dataset_unmount(zfs, ZFSVOL_STR("tank/a@1"), ZFSVOL_UNMOUNT_DETACH, &flag, &error));
    CHECK(flag);
    OK(zfsvol_dataset_unmount(zfs, ZFSVOL_STR("tank/a@1"), ZFSVOL_UNMOUNT_FORCE, &flag, &error));
    CHECK(!flag);
    FAILS(zfsvol_dataset_unmount(zfs, ZFSVOL_STR("tank/a"), 4, NULL, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);

    one = new_list();
    OK(zfsvol_nvlist_put_str(one, ZFSVOL_STR("canmount"), ZFSVOL_STR("noauto"), &error));
    OK(zfsvol_property_set(zfs, ZFSVOL_STR("tank/a/c"), one, &error));
    zfsvol_nvlist_free(one);
    OK(zfsvol_dataset_mount_tree(zfs, ZFSVOL_STR("tank/a"), NULL, &found, &error));
    CHECK(count_in(found, "mounted") == 2 && count_in(found, "skipped") == 1);
    one = list_in(found, "mounted", 0);
    CHECK(same(text_in(one, "name"), "tank/a") && truth_in(one, "already"));
    zfsvol_nvlist_free(one);
    one = list_in(found, "skipped", 0);
    CHECK(same(text_in(one, "name"), "tank/a/c") && same(text_in(one, "why"), "noauto"));
    zfsvol_nvlist_free(one);
    zfsvol_nvlist_free(found);
    FAILS(zfsvol_dataset_mount_tree(zfs, ZFSVOL_STR("tank/none"), NULL, NULL, &error), ZFSVOL_STATUS_NOT_FOUND);
    OK(zfsvol_dataset_unmount_tree(zfs, ZFSVOL_STR("tank/a"), 0, &found, &error));
    OK(zfsvol_nvlist_text(found, ZFSVOL_STR("paths"), 1, &text, &error));
    CHECK(same(text, "/tank/a") && count_in(found, "paths") == 2);
    zfsvol_nvlist_free(found);
    FAILS(zfsvol_dataset_unmount_tree(NULL, ZFSVOL_STR("tank/a"), 0, NULL, &error), ZFSVOL_STATUS_NULL);
}

static void quotas(zfsvol_zfs *zfs) {
    zfsvol_str a = ZFSVOL_STR("tank/a");
    zfsvol_quota wanted[2];
    zfsvol_nvlist *found = NULL;
    zfsvol_nvlist *one;
    zfsvol_accounts *accounts = NULL;
    int count = 0;
    memset(wanted, 0, sizeof(wanted));
    wanted[0].kind = ZFSVOL_OWNER_USER;
    wanted[0].id = 1000;
    wanted[0].account = ZFSVOL_ACCOUNT_QUOTA;
    wanted[0].limit = 1 << 20;
    wanted[1].kind = ZFSVOL_OWNER_GROUP;
    wanted[1].id = 100;
    wanted[1].account = ZFSVOL_ACCOUNT_OBJECT_QUOTA;
    wanted[1].limit = 7;
    OK(zfsvol_quota_set(zfs, a, wanted, 2, &error));
    OK(zfsvol_quota_list(zfs, a, ZFSVOL_OWNER_USER, &found, &error));
    CHECK(count_in(found, "owners") == 1);
    one = list_in(found, "owners", 0);
    CHECK(number_in(one, "id") == 1000 && number_in(one, "quota") == 1 << 20 && same(text_in(one, "kind"), "user"));
    zfsvol_nvlist_free(one);
    zfsvol_nvlist_free(found);
    OK(zfsvol_quota_get(zfs, a, ZFSVOL_OWNER_GROUP, 100, &found, &error));
    CHECK(number_in(found, "object_quota") == 7);
    zfsvol_nvlist_free(found);
    FAILS(zfsvol_quota_get(zfs, a, 3, 100, &found, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_quota_list(zfs, ZFSVOL_STR("tank/none"), ZFSVOL_OWNER_PROJECT, &found, &error), ZFSVOL_STATUS_NOT_FOUND);
    OK(zfsvol_accounts_open(zfs, a, ZFSVOL_OWNER_USER, ZFSVOL_ACCOUNT_QUOTA, &accounts, &error));
    for (;; count++) {
        OK(zfsvol_accounts_next(accounts, &found, &error));
        if (found == NULL) {
            break;
        }
        CHECK(number_in(found, "id") == 1000 && number_in(found, "number") == 1 << 20);
        zfsvol_nvlist_free(found);
    }
    CHECK(count == 1);
    FAILS(zfsvol_accounts_next((zfsvol_accounts *)(void *)zfs, &found, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    zfsvol_accounts_free(accounts);
    zfsvol_accounts_free(NULL);
    FAILS(zfsvol_accounts_open(zfs, a, ZFSVOL_OWNER_USER, 4, &accounts, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    wanted[0].account = ZFSVOL_ACCOUNT_USED;
    FAILS(zfsvol_quota_set(zfs, a, wanted, 2, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    CHECK(ZFSVOL_ACCOUNT_OBJECTS == 2);
    FAILS(zfsvol_quota_set(zfs, a, NULL, 2, &error), ZFSVOL_STATUS_NULL);
    OK(zfsvol_quota_upgrade(zfs, a, &error));
    FAILS(zfsvol_quota_upgrade(zfs, ZFSVOL_STR("tank/none"), &error), ZFSVOL_STATUS_NOT_FOUND);
}

static void differences(zfsvol_zfs *zfs) {
    zfsvol_diff *diff = NULL;
    zfsvol_nvlist *change = NULL;
    zfsvol_buffer text = {NULL, 0};
    FAILS(zfsvol_diff_open(zfs, ZFSVOL_STR("tank/a@none"), ZFSVOL_STR("tank/a@2"), &diff, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_diff_open(zfs, ZFSVOL_STR("tank/a"), ZFSVOL_STR("tank/a@2"), &diff, &error), ZFSVOL_STATUS_INVALID_NAME);
    OK(zfsvol_diff_open(zfs, ZFSVOL_STR("tank/a@1"), ZFSVOL_STR("tank/a@2"), &diff, &error));
    OK(zfsvol_diff_to(diff, &text, &error));
    CHECK(strcmp(text.ptr, "tank/a@2") == 0);
    zfsvol_buffer_free(&text);
    do {
        OK(zfsvol_diff_next(diff, &change, &error));
        CHECK(change == NULL || text_in(change, "path").len > 0);
        zfsvol_nvlist_free(change);
    } while (change != NULL);
    zfsvol_diff_cancel(diff);
    zfsvol_diff_cancel(NULL);
    FAILS(zfsvol_diff_next(NULL, &change, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_diff_to((zfsvol_diff *)(void *)zfs, &text, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    zfsvol_diff_free(diff);
    zfsvol_diff_free(NULL);
    FAILS(zfsvol_object_path(zfs, ZFSVOL_STR("tank/a@1"), 999999, &text, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_object_path(zfs, ZFSVOL_STR("tank/a@1"), 34, NULL, &error), ZFSVOL_STATUS_NULL);
}

int main(void) {
    zfsvol_zfs *zfs = embedded();
    zfsvol_str snapshot = ZFSVOL_STR("tank/a@1");
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/a"), NULL, NULL, &error));
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/a/b"), NULL, NULL, &error));
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/a/c"), NULL, NULL, &error));
    OK(zfsvol_snapshot_create(zfs, &snapshot, 1, NULL, &error));
    mounts(zfs);
    quotas(zfs);
    snapshot = ZFSVOL_STR("tank/a@2");
    OK(zfsvol_snapshot_create(zfs, &snapshot, 1, NULL, &error));
    differences(zfs);
    zfsvol_zfs_free(zfs);
    return 0;
}
