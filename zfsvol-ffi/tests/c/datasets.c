/* Datasets, snapshots, holds, bookmarks, properties, listings and keys. */
#include "check.h"

static void fs(zfsvol_zfs *zfs, const char *name) {
    OK(zfsvol_filesystem_create(zfs, str(name), NULL, NULL, &error));
}

static void snap(zfsvol_zfs *zfs, const char *name) {
    zfsvol_str view = str(name);
    OK(zfsvol_snapshot_create(zfs, &view, 1, NULL, &error));
}

static int exists(zfsvol_zfs *zfs, const char *name) {
    bool answer = false;
    OK(zfsvol_dataset_exists(zfs, str(name), &answer, &error));
    return answer;
}

static void properties(zfsvol_zfs *zfs) {
    zfsvol_nvlist *wanted = new_list();
    zfsvol_nvlist *found = NULL;
    zfsvol_nvlist *one = NULL;
    OK(zfsvol_nvlist_put_str(wanted, ZFSVOL_STR("compression"), ZFSVOL_STR("lz4"), &error));
    OK(zfsvol_nvlist_put_u64(wanted, ZFSVOL_STR("quota"), 1 << 30, &error));
    OK(zfsvol_nvlist_put_bool(wanted, ZFSVOL_STR("atime"), false, &error));
    OK(zfsvol_nvlist_put_str(wanted, ZFSVOL_STR("org:note"), ZFSVOL_STR("mine"), &error));
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/p"), wanted, NULL, &error));
    fs(zfs, "tank/p/below");

    OK(zfsvol_property_list(zfs, ZFSVOL_STR("tank/p"), &found, &error));
    one = list_in(found, "compression", 0);
    CHECK(same(text_in(one, "value"), "lz4") && same(text_in(one, "source"), "local"));
    zfsvol_nvlist_free(one);
    one = list_in(found, "quota", 0);
    CHECK(number_in(one, "value") == 1 << 30);
    zfsvol_nvlist_free(one);
    zfsvol_nvlist_free(found);

    OK(zfsvol_property_get(zfs, ZFSVOL_STR("tank/p/below"), ZFSVOL_STR("org:note"), &found, &error));
    CHECK(same(text_in(found, "source"), "inherited") && same(text_in(found, "inherited_from"), "tank/p"));
    zfsvol_nvlist_free(found);
    OK(zfsvol_property_get(zfs, ZFSVOL_STR("tank/p"), ZFSVOL_STR("volsize"), &found, &error));
    CHECK(zfsvol_nvlist_count(found) == 0);
    zfsvol_nvlist_free(found);
    OK(zfsvol_property_list_received(zfs, ZFSVOL_STR("tank/p"), &found, &error));
    zfsvol_nvlist_free(found);

    OK(zfsvol_property_inherit(zfs, ZFSVOL_STR("tank/p"), ZFSVOL_STR("compression"), &error));
    OK(zfsvol_property_revert(zfs, ZFSVOL_STR("tank/p"), ZFSVOL_STR("atime"), &error));
    OK(zfsvol_property_set(zfs, ZFSVOL_STR("tank/p"), wanted, &error));
    OK(zfsvol_nvlist_put_str(wanted, ZFSVOL_STR("compression"), ZFSVOL_STR("zip"), &error));
    FAILS(zfsvol_property_set(zfs, ZFSVOL_STR("tank/p"), wanted, &error), ZFSVOL_STATUS_INVALID_PROPERTY);
    OK(zfsvol_nvlist_put_flag(wanted, ZFSVOL_STR("compression"), &error));
    FAILS(zfsvol_property_set(zfs, ZFSVOL_STR("tank/p"), wanted, &error), ZFSVOL_STATUS_INVALID_PROPERTY);
    FAILS(zfsvol_property_list(zfs, ZFSVOL_STR("tank/none"), &found, &error), ZFSVOL_STATUS_NOT_FOUND);
    zfsvol_nvlist_free(wanted);
    OK(zfsvol_dataset_destroy_recursive(zfs, ZFSVOL_STR("tank/p"), NULL, &error));
}

static void datasets(zfsvol_zfs *zfs) {
    zfsvol_tree how = 99;
    zfsvol_buffer name = {NULL, 0};
    zfsvol_nvlist *reasons = NULL;
    fs(zfs, "tank/a");
    FAILS(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/a"), NULL, NULL, &error), ZFSVOL_STATUS_EXISTS);
    FAILS(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/no/a"), NULL, NULL, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/a b@c"), NULL, NULL, &error), ZFSVOL_STATUS_INVALID_NAME);
    OK(zfsvol_zvol_create(zfs, ZFSVOL_STR("tank/v"), 8 << 20, NULL, NULL, &error));
    OK(zfsvol_zvol_resize(zfs, ZFSVOL_STR("tank/v"), 16 << 20, &error));
    FAILS(zfsvol_zvol_resize(zfs, ZFSVOL_STR("tank/a"), 16 << 20, &error), ZFSVOL_STATUS_WRONG_TYPE);
    snap(zfs, "tank/a@1");
    OK(zfsvol_clone_create(zfs, ZFSVOL_STR("tank/c"), ZFSVOL_STR("tank/a@1"), NULL, &error));
    OK(zfsvol_dataset_busy(zfs, ZFSVOL_STR("tank/a@1"), &reasons, &error));
    {
        zfsvol_nvlist *reason = list_in(reasons, "busy", 0);
        zfsvol_str clone;
        CHECK(same(text_in(reason, "why"), "clones"));
        OK(zfsvol_nvlist_text(reason, ZFSVOL_STR("names"), 0, &clone, &error));
        CHECK(same(clone, "tank/c"));
        zfsvol_nvlist_free(reason);
    }
    zfsvol_nvlist_free(reasons);
    FAILS(zfsvol_dataset_destroy(zfs, ZFSVOL_STR("tank/a"), &error), ZFSVOL_STATUS_BUSY);
    OK(zfsvol_dataset_promote(zfs, ZFSVOL_STR("tank/c"), &error));
    CHECK(exists(zfs, "tank/c@1") && !exists(zfs, "tank/a@1"));
    FAILS(zfsvol_dataset_promote(zfs, ZFSVOL_STR("tank/c"), &error), ZFSVOL_STATUS_WRONG_TYPE);
    OK(zfsvol_dataset_rename(zfs, ZFSVOL_STR("tank/c"), ZFSVOL_STR("tank/d"), &error));
    OK(zfsvol_dataset_rollback(zfs, ZFSVOL_STR("tank/d"), &name, &error));
    CHECK(strcmp(name.ptr, "tank/d@1") == 0);
    zfsvol_buffer_free(&name);
    snap(zfs, "tank/d@2");
    FAILS(zfsvol_dataset_rollback_to(zfs, ZFSVOL_STR("tank/d@1"), &error), ZFSVOL_STATUS_BUSY);
    OK(zfsvol_dataset_rollback_to(zfs, ZFSVOL_STR("tank/d@2"), &error));
    OK(zfsvol_dataset_destroy(zfs, ZFSVOL_STR("tank/a"), &error));
    OK(zfsvol_dataset_destroy_recursive(zfs, ZFSVOL_STR("tank/d"), &how, &error));
    CHECK(how == ZFSVOL_TREE_AT_ONCE || how == ZFSVOL_TREE_ONE_BY_ONE);
    OK(zfsvol_dataset_destroy_recursive(zfs, ZFSVOL_STR("tank/d"), &how, &error));
    CHECK(how == ZFSVOL_TREE_ABSENT);
    OK(zfsvol_dataset_destroy(zfs, ZFSVOL_STR("tank/v"), &error));
}

static void snapshots(zfsvol_zfs *zfs) {
    zfsvol_str two[2];
    zfsvol_nvlist *made = NULL;
    zfsvol_nvlist *space = NULL;
    zfsvol_error *failed = NULL;
    zfsvol_failure failure;
    zfsvol_buffer name = {NULL, 0};
    fs(zfs, "tank/s");
    fs(zfs, "tank/s/t");
    OK(zfsvol_snapshot_create_recursive(zfs, ZFSVOL_STR("tank/s"), ZFSVOL_STR("one"), NULL, &made, &error));
    CHECK(count_in(made, "snapshots") == 2);
    zfsvol_nvlist_free(made);

    /* All or none, with each name that failed. */
    two[0] = ZFSVOL_STR("tank/s@one");
    two[1] = ZFSVOL_STR("tank/s/t@one");
    CHECK(zfsvol_snapshot_create(zfs, two, 2, NULL, &failed) == ZFSVOL_STATUS_EXISTS);
    CHECK(zfsvol_error_failures(failed) == 2);
    CHECK(zfsvol_error_failure(failed, 1, &failure) && failure.status == ZFSVOL_STATUS_EXISTS);
    CHECK(has(failure.name, "@one") && failure.reason.len > 0 && failure.error_number != 0);
    CHECK(!zfsvol_error_failure(failed, 2, &failure));
    {
        zfsvol_nvlist *details = zfsvol_error_details(failed);
        CHECK(count_in(details, "failures") == 2);
        zfsvol_nvlist_free(details);
    }
    zfsvol_error_free(failed);

    snap(zfs, "tank/s@two");
    OK(zfsvol_snapshot_range_space(zfs, ZFSVOL_STR("tank/s@one"), ZFSVOL_STR("tank/s@two"), &space, &error));
    (void)number_in(space, "used");
    zfsvol_nvlist_free(space);
    OK(zfsvol_snapshot_space_written(zfs, ZFSVOL_STR("tank/s"), ZFSVOL_STR("tank/s@one"), &space, &error));
    (void)number_in(space, "uncompressed");
    zfsvol_nvlist_free(space);
    OK(zfsvol_snapshot_rename(zfs, ZFSVOL_STR("tank/s@two"), ZFSVOL_STR("three"), false, &name, &error));
    CHECK(strcmp(name.ptr, "tank/s@three") == 0);
    zfsvol_buffer_free(&name);
    OK(zfsvol_snapshot_destroy_recursive(zfs, ZFSVOL_STR("tank/s"), ZFSVOL_STR("one"), false, &error));
    CHECK(!exists(zfs, "tank/s/t@one") && exists(zfs, "tank/s@three"));
    OK(zfsvol_snapshot_destroy(zfs, two, 2, false, &error));
    OK(zfsvol_dataset_destroy_recursive(zfs, ZFSVOL_STR("tank/s"), NULL, &error));
}

static void holds(zfsvol_zfs *zfs) {
    zfsvol_hold hold;
    zfsvol_handle *handle = NULL;
    zfsvol_nvlist *list = NULL;
    zfsvol_str name = ZFSVOL_STR("tank/h@1");
    fs(zfs, "tank/h");
    snap(zfs, "tank/h@1");
    hold.snapshot = name;
    hold.tag = ZFSVOL_STR("backup");
    OK(zfsvol_hold_create(zfs, &hold, 1, NULL, NULL, &error));
    FAILS(zfsvol_hold_create(zfs, &hold, 1, NULL, NULL, &error), ZFSVOL_STATUS_EXISTS);
    {
        zfsvol_error *failed = NULL;
        zfsvol_failure failure;
        CHECK(zfsvol_hold_create(zfs, &hold, 1, NULL, NULL, &failed) == ZFSVOL_STATUS_EXISTS);
        CHECK(zfsvol_error_failure(failed, 0, &failure));
        CHECK(same(failure.name, "tank/h@1") && has(failure.reason, "'backup'"));
        zfsvol_error_free(failed);
    }
    OK(zfsvol_handle_open(zfs, &handle, &error));
    hold.tag = ZFSVOL_STR("for now");
    OK(zfsvol_hold_create(zfs, &hold, 1, handle, &list, &error));
    CHECK(count_in(list, "snapshots") == 0);
    zfsvol_nvlist_free(list);
    OK(zfsvol_hold_list(zfs, name, &list, &error));
    CHECK(count_in(list, "holds") == 2);
    {
        zfsvol_nvlist *first = list_in(list, "holds", 0);
        CHECK(same(text_in(first, "tag"), "backup"));
        (void)number_in(first, "since");
        zfsvol_nvlist_free(first);
    }
    zfsvol_nvlist_free(list);
    zfsvol_handle_free(handle);
    zfsvol_handle_free(NULL);
    FAILS(zfsvol_snapshot_destroy(zfs, &name, 1, false, &error), ZFSVOL_STATUS_BUSY);
    OK(zfsvol_snapshot_destroy(zfs, &name, 1, true, &error));
    hold.tag = ZFSVOL_STR("other");
    OK(zfsvol_hold_release(zfs, &hold, 1, &list, &error));
    CHECK(count_in(list, "holds") == 1 && count_in(list, "snapshots") == 1);
    {
        zfsvol_nvlist *first = list_in(list, "holds", 0);
        CHECK(same(text_in(first, "snapshot"), "tank/h@1") && same(text_in(first, "tag"), "other"));
        CHECK(truth_in(first, "snapshot_exists"));
        zfsvol_nvlist_free(first);
    }
    zfsvol_nvlist_free(list);
    hold.tag = ZFSVOL_STR("backup");
    OK(zfsvol_hold_release(zfs, &hold, 1, &list, &error));
    CHECK(count_in(list, "holds") == 0 && count_in(list, "snapshots") == 0);
    zfsvol_nvlist_free(list);
    CHECK(!exists(zfs, "tank/h@1"));
    OK(zfsvol_dataset_destroy(zfs, ZFSVOL_STR("tank/h"), &error));
}

static void bookmarks(zfsvol_zfs *zfs) {
    zfsvol_bookmark bookmark;
    zfsvol_nvlist *list = NULL;
    zfsvol_str name = ZFSVOL_STR("tank/b#1");
    zfsvol_str by = ZFSVOL_STR("tank/bc@1");
    fs(zfs, "tank/b");
    snap(zfs, "tank/b@1");
    bookmark.name = name;
    bookmark.source = ZFSVOL_STR("tank/b@1");
    OK(zfsvol_bookmark_create(zfs, &bookmark, 1, &error));
    FAILS(zfsvol_bookmark_create(zfs, &bookmark, 1, &error), ZFSVOL_STATUS_EXISTS);
    OK(zfsvol_bookmark_list(zfs, ZFSVOL_STR("tank/b"), &list, &error));
    {
        zfsvol_nvlist *one = list_in(list, "bookmarks", 0);
        CHECK(same(text_in(one, "name"), "tank/b#1") && number_in(one, "guid") != 0 && number_in(one, "creation") != 0);
        zfsvol_nvlist_free(one);
    }
    zfsvol_nvlist_free(list);
    OK(zfsvol_bookmark_get(zfs, name, &list, &error));
    CHECK(number_in(list, "createtxg") != 0);
    zfsvol_nvlist_free(list);
    OK(zfsvol_clone_create(zfs, ZFSVOL_STR("tank/bc"), ZFSVOL_STR("tank/b@1"), NULL, &error));
    snap(zfs, "tank/bc@1");
    OK(zfsvol_bookmark_redact(zfs, ZFSVOL_STR("tank/b@1"), ZFSVOL_STR("tank/b#redacted"), &by, 1, &error));
    OK(zfsvol_bookmark_destroy(zfs, &name, 1, &error));
    CHECK(!exists(zfs, "tank/b#1") && exists(zfs, "tank/b#redacted"));
    OK(zfsvol_dataset_destroy_recursive(zfs, ZFSVOL_STR("tank/bc"), NULL, &error));
    OK(zfsvol_dataset_destroy_recursive(zfs, ZFSVOL_STR("tank/b"), NULL, &error));
}

static void listings(zfsvol_zfs *zfs) {
    zfsvol_list_options options;
    zfsvol_listing *listing = NULL;
    zfsvol_names *names = NULL;
    zfsvol_nvlist *dataset = NULL;
    zfsvol_buffer name = {NULL, 0};
    zfsvol_str root = ZFSVOL_STR("tank/l");
    zfsvol_str wanted = ZFSVOL_STR("used");
    int count = 0;
    fs(zfs, "tank/l");
    fs(zfs, "tank/l/m");
    fs(zfs, "tank/l/m/n");
    snap(zfs, "tank/l@1");

    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.roots = &root;
    options.root_count = 1;
    options.kinds = ZFSVOL_KIND_FILESYSTEM | ZFSVOL_KIND_VOLUME | ZFSVOL_KIND_SNAPSHOT | ZFSVOL_KIND_BOOKMARK;
    options.limit_depth = true;
    options.depth = 1;
    options.properties = &wanted;
    options.property_count = 1;
    options.threads = 1;
    OK(zfsvol_listing_open(zfs, &options, &listing, &error));
    for (;;) {
        zfsvol_nvlist *found;
        OK(zfsvol_listing_next(listing, &dataset, &error));
        if (dataset == NULL) {
            break;
        }
        found = list_in(dataset, "properties", 0);
        CHECK(zfsvol_nvlist_count(found) <= 1 && number_in(dataset, "guid") != 0);
        CHECK(count != 0 || (same(text_in(dataset, "name"), "tank/l") && same(text_in(dataset, "kind"), "filesystem")));
        zfsvol_nvlist_free(found);
        zfsvol_nvlist_free(dataset);
        count++;
    }
    CHECK(count == 3);
    zfsvol_listing_free(listing);

    options.all_properties = true;
    OK(zfsvol_listing_open(zfs, &options, &listing, &error));
    OK(zfsvol_listing_next(listing, &dataset, &error));
    zfsvol_nvlist_free(dataset);
    zfsvol_listing_free(listing);
    zfsvol_listing_free(NULL);

    OK(zfsvol_names_open(zfs, NULL, &names, &error));
    for (count = 0;; count++) {
        OK(zfsvol_names_next(names, &name, &error));
        if (name.ptr == NULL) {
            break;
        }
        zfsvol_buffer_free(&name);
    }
    CHECK(count == 4);
    zfsvol_names_free(names);
    zfsvol_names_free(NULL);
    options.kinds = 1u << 31;
    FAILS(zfsvol_listing_open(zfs, &options, &listing, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    options.size = 1;
    FAILS(zfsvol_listing_open(zfs, &options, &listing, &error), ZFSVOL_STATUS_INVALID);
    OK(zfsvol_dataset_destroy_recursive(zfs, root, NULL, &error));
}

static void keys(zfsvol_zfs *zfs) {
    static const uint8_t bytes[32] = {1, 2, 3};
    zfsvol_key *key = NULL;
    zfsvol_key *other = NULL;
    zfsvol_key *passphrase = NULL;
    zfsvol_str root = ZFSVOL_STR("tank/k");
    FAILS(zfsvol_key_raw(bytes, 31, &key, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_key_hex(ZFSVOL_STR("12"), &key, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_key_passphrase(ZFSVOL_STR("short"), &key, &error), ZFSVOL_STATUS_INVALID);
    OK(zfsvol_key_raw(bytes, 32, &key, &error));
    OK(zfsvol_key_hex(ZFSVOL_STR("000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f"), &other, &error));
    OK(zfsvol_key_passphrase(ZFSVOL_STR("correct horse"), &passphrase, &error));
    OK(zfsvol_filesystem_create(zfs, root, NULL, key, &error));
    OK(zfsvol_zvol_create(zfs, ZFSVOL_STR("tank/kv"), 8 << 20, NULL, other, &error));
    FAILS(zfsvol_key_load(zfs, root, key, &error), ZFSVOL_STATUS_EXISTS);
    OK(zfsvol_key_unload(zfs, root, &error));
    OK(zfsvol_key_check(zfs, root, key, &error));
    OK(zfsvol_key_load(zfs, root, key, &error));
    OK(zfsvol_key_change(zfs, root, passphrase, NULL, &error));
    OK(zfsvol_key_check(zfs, root, passphrase, &error));
    OK(zfsvol_dataset_destroy(zfs, root, &error));
    OK(zfsvol_dataset_destroy(zfs, ZFSVOL_STR("tank/kv"), &error));
    zfsvol_key_free(key);
    zfsvol_key_free(other);
    zfsvol_key_free(passphrase);
    zfsvol_key_free(NULL);
}

int main(void) {
    zfsvol_zfs *zfs = embedded();
    properties(zfs);
    datasets(zfs);
    snapshots(zfs);
    holds(zfs);
    bookmarks(zfs);
    listings(zfs);
    keys(zfs);
    zfsvol_zfs_free(zfs);
    return 0;
}
