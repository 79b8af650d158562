/* What needs no dataset: names taken apart, what a policy keeps, what is known of properties. */
#include <dirent.h>

#include "check.h"

static zfsvol_nvlist *parts_of(const char *name) {
    zfsvol_nvlist *parts = NULL;
    OK(zfsvol_name_parse(str(name), &parts, &error));
    return parts;
}

static void names(void) {
    zfsvol_nvlist *parts = parts_of("tank/a/b@c");
    zfsvol_pair pair;
    CHECK(same(text_in(parts, "kind"), "snapshot") && same(text_in(parts, "pool"), "tank") && same(text_in(parts, "dataset"), "tank/a/b"));
    CHECK(same(text_in(parts, "parent"), "tank/a") && same(text_in(parts, "snapshot"), "c") && number_in(parts, "depth") == 2);
    zfsvol_nvlist_free(parts);
    parts = parts_of("tank#mark");
    CHECK(same(text_in(parts, "kind"), "bookmark") && same(text_in(parts, "bookmark"), "mark") && number_in(parts, "depth") == 0);
    CHECK(!zfsvol_nvlist_get(parts, ZFSVOL_STR("parent"), &pair));
    zfsvol_nvlist_free(parts);
    parts = parts_of("tank/a");
    CHECK(same(text_in(parts, "kind"), "dataset"));
    zfsvol_nvlist_free(parts);
    parts = NULL;
    FAILS(zfsvol_name_parse(ZFSVOL_STR("tank/a b@"), &parts, &error), ZFSVOL_STATUS_INVALID_NAME);
    FAILS(zfsvol_name_parse(ZFSVOL_NONE, &parts, &error), ZFSVOL_STATUS_INVALID_NAME);
    CHECK(parts == NULL);
    OK(zfsvol_name_parse(ZFSVOL_STR("tank"), NULL, &error));
}

/* One of the snapshots, taken at that hour. */
static void taken(zfsvol_nvlist *snapshots, const char *name, int64_t hour, const char *tag) {
    zfsvol_nvlist *one = new_list();
    zfsvol_str held = str(tag);
    OK(zfsvol_nvlist_put_i64(one, ZFSVOL_STR("created"), hour * 3600, &error));
    if (tag != NULL) {
        OK(zfsvol_nvlist_put_strs(one, ZFSVOL_STR("holds"), &held, 1, &error));
    }
    OK(zfsvol_nvlist_put_list(snapshots, str(name), one, &error));
    zfsvol_nvlist_free(one);
}

static void retention(void) {
    zfsvol_nvlist *policy = new_list();
    zfsvol_nvlist *snapshots = new_list();
    zfsvol_nvlist *plan = NULL;
    zfsvol_nvlist *kept;
    zfsvol_str why = ZFSVOL_NONE;
    /* From oldest to newest, and not as their names are ordered. */
    taken(snapshots, "d", 1, NULL);
    taken(snapshots, "c", 2, "backup");
    taken(snapshots, "b", 3, NULL);
    taken(snapshots, "a", 4, NULL);
    OK(zfsvol_nvlist_put_number(policy, ZFSVOL_STR("last"), ZFSVOL_TYPE_UINT32, 1, &error));
    OK(zfsvol_retention_plan(policy, snapshots, &plan, &error));
    CHECK(count_in(plan, "destroyed") == 2);
    OK(zfsvol_nvlist_text(plan, ZFSVOL_STR("destroyed"), 1, &why, &error));
    CHECK(same(why, "b"));
    kept = list_in(plan, "kept", 0);
    CHECK(zfsvol_nvlist_count(kept) == 2 && count_in(kept, "a") == 1);
    OK(zfsvol_nvlist_text(kept, ZFSVOL_STR("c"), 0, &why, &error));
    CHECK(same(why, "held by 'backup'"));
    zfsvol_nvlist_free(kept);
    zfsvol_nvlist_free(plan);
    plan = NULL;
    OK(zfsvol_nvlist_put_str(snapshots, ZFSVOL_STR("e"), ZFSVOL_STR("no list"), &error));
    FAILS(zfsvol_retention_plan(policy, snapshots, &plan, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_retention_plan(NULL, snapshots, &plan, &error), ZFSVOL_STATUS_NULL);
    CHECK(plan == NULL);
    zfsvol_nvlist_free(snapshots);
    zfsvol_nvlist_free(policy);
}

static void properties(void) {
    zfsvol_zfs *zfs = embedded();
    zfsvol_nvlist *table = NULL;
    zfsvol_nvlist *one;
    zfsvol_nvlist *words;
    OK(zfsvol_property_table(zfs, false, &table, &error));
    CHECK(zfsvol_nvlist_count(table) > 60);
    one = list_in(table, "compression", 0);
    CHECK(same(text_in(one, "kind"), "index") && same(text_in(one, "access"), "inheritable") && same(text_in(one, "default"), "on"));
    CHECK(truth_in(one, "visible") && has(text_in(one, "allowed"), "'lz4'") && count_in(one, "types") == 2);
    words = list_in(one, "words", 0);
    CHECK(number_in(words, "on") == 1);
    zfsvol_nvlist_free(words);
    zfsvol_nvlist_free(one);
    one = list_in(table, "quota", 0);
    CHECK(same(text_in(one, "kind"), "number") && same(text_in(one, "unit"), "bytes"));
    zfsvol_nvlist_free(one);
    one = list_in(table, "mountpoint", 0);
    CHECK(same(text_in(one, "kind"), "text"));
    zfsvol_nvlist_free(one);
    zfsvol_nvlist_free(table);
    OK(zfsvol_property_table(zfs, true, &table, &error));
    one = list_in(table, "ashift", 0);
    CHECK(same(text_in(one, "access"), "settable"));
    zfsvol_nvlist_free(one);
    zfsvol_nvlist_free(table);
    zfsvol_zfs_free(zfs);
}

/* A directory and the files in it are gone. */
static int remove_all(const char *path) {
    char file[4500];
    struct dirent *entry;
    DIR *folder = opendir(path);
    CHECK(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2) {
            CHECK(snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) < (int)sizeof(file));
            unlink(file);
        }
    }
    closedir(folder);
    return rmdir(path) == 0;
}

/* A kernel whose state outlives it. */
static void directory(void) {
    char place[PLACE_BYTES];
    char inside[PLACE_BYTES + 8];
    zfsvol_embedded_options options;
    zfsvol_embedded_pool pool;
    zfsvol_zfs *zfs = NULL;
    zfsvol_zfs *other = NULL;
    bool there = false;
    int at;
    make_place(place);
    snprintf(inside, sizeof(inside), "%s/kept", place);
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.release = ZFSVOL_RELEASE_2_4;
    pool.name = ZFSVOL_STR("pond");
    pool.bytes = (uint64_t)1 << 30;
    options.pools = &pool;
    options.pool_count = 1;
    options.directory = str(inside);
    for (at = 0; at < 2; at++) {
        OK(zfsvol_zfs_open_embedded(&options, &zfs, &error));
        OK(zfsvol_dataset_exists(zfs, ZFSVOL_STR("pond/a"), &there, &error));
        CHECK(there == (at == 1));
        if (!there) {
            OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("pond/a"), NULL, NULL, &error));
        }
        FAILS(zfsvol_zfs_open_embedded(&options, &other, &error), ZFSVOL_STATUS_BUSY);
        zfsvol_zfs_free(zfs);
    }
    CHECK(remove_all(inside) && rmdir(place) == 0);
}

int main(void) {
    names();
    retention();
    properties();
    directory();
    return 0;
}
