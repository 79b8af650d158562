/* Pools of files: made of a topology, their vdevs changed, exported, searched and imported. */
#include <fcntl.h>

#include "check.h"

#define FILES 8

static char folder[PLACE_BYTES];
static char paths[FILES][PLACE_BYTES + 12];

static void make_files(void) {
    size_t at;
    make_place(folder);
    for (at = 0; at < FILES; at++) {
        int fd;
        snprintf(paths[at], sizeof(paths[at]), "%s/%u", folder, (unsigned)at);
        fd = open(paths[at], O_RDWR | O_CREAT, 0600);
        CHECK(fd >= 0 && ftruncate(fd, (off_t)128 << 20) == 0);
        close(fd);
    }
}

static void remove_files(void) {
    size_t at;
    for (at = 0; at < FILES; at++) {
        unlink(paths[at]);
    }
    rmdir(folder);
}

static zfsvol_zfs *machine(void) {
    zfsvol_embedded_options options;
    zfsvol_zfs *zfs = NULL;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.release = ZFSVOL_RELEASE_2_4;
    OK(zfsvol_zfs_open_embedded(&options, &zfs, &error));
    return zfs;
}

/* A topology of one vdev of the files from `first` on. */
static zfsvol_topology *topology_of(zfsvol_redundancy redundancy, zfsvol_class what_for, size_t first, size_t count) {
    zfsvol_topology *topology = NULL;
    zfsvol_vdev_spec spec;
    zfsvol_str devices[FILES];
    size_t at;
    memset(&spec, 0, sizeof(spec));
    spec.size = sizeof(spec);
    for (at = 0; at < count; at++) {
        devices[at] = str(paths[first + at]);
    }
    spec.devices = devices;
    spec.device_count = count;
    spec.redundancy = redundancy;
    spec.allocation_class = what_for;
    spec.parity = redundancy >= ZFSVOL_REDUNDANCY_RAIDZ ? 1 : 0;
    OK(zfsvol_topology_new(12, &topology, &error));
    OK(zfsvol_topology_add_vdev(topology, &spec, &error));
    return topology;
}

static void topologies(zfsvol_zfs *zfs) {
    zfsvol_topology *topology = NULL;
    zfsvol_vdev_spec spec;
    zfsvol_str spare = str(paths[2]);
    FAILS(zfsvol_topology_new(0, NULL, &error), ZFSVOL_STATUS_NULL);
    OK(zfsvol_topology_new(0, &topology, &error));
    memset(&spec, 0, sizeof(spec));
    spec.size = sizeof(spec);
    spec.redundancy = 4;
    FAILS(zfsvol_topology_add_vdev(topology, &spec, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    spec.redundancy = ZFSVOL_REDUNDANCY_DRAID;
    spec.allocation_class = 4;
    FAILS(zfsvol_topology_add_vdev(topology, &spec, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_topology_add_vdev(NULL, NULL, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_topology_add_spares(topology, NULL, 1, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_topology_add_cache((zfsvol_topology *)(void *)zfs, &spare, 1, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    FAILS(zfsvol_pool_create(zfs, ZFSVOL_STR("pond"), topology, NULL, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_pool_create(zfs, ZFSVOL_STR("pond"), NULL, NULL, &error), ZFSVOL_STATUS_NULL);
    zfsvol_topology_free(topology);
    zfsvol_topology_free(NULL);
}

static void create(zfsvol_zfs *zfs) {
    zfsvol_topology *topology = topology_of(ZFSVOL_REDUNDANCY_MIRROR, ZFSVOL_CLASS_NORMAL, 0, 2);
    zfsvol_pool_options options;
    zfsvol_str feature = ZFSVOL_STR("large_blocks");
    zfsvol_nvlist *properties = new_list();
    zfsvol_str spare = str(paths[2]);
    zfsvol_str cache = str(paths[3]);
    OK(zfsvol_topology_add_spares(topology, &spare, 1, &error));
    OK(zfsvol_topology_add_cache(topology, &cache, 1, &error));
    OK(zfsvol_nvlist_put_str(properties, ZFSVOL_STR("compression"), ZFSVOL_STR("lz4"), &error));
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.root_properties = properties;
    options.feature_names = &feature;
    options.feature_count = 1;
    FAILS(zfsvol_pool_create(zfs, ZFSVOL_STR("pond"), topology, &options, &error), ZFSVOL_STATUS_INVALID);
    options.features = 3;
    options.feature_count = 0;
    FAILS(zfsvol_pool_create(zfs, ZFSVOL_STR("pond"), topology, &options, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    options.features = ZFSVOL_FEATURES_2_2;
    OK(zfsvol_pool_create(zfs, ZFSVOL_STR("pond"), topology, &options, &error));
    options.features = ZFSVOL_FEATURES_ONLY;
    options.feature_count = 1;
    FAILS(zfsvol_pool_create(zfs, ZFSVOL_STR("pond"), topology, &options, &error), ZFSVOL_STATUS_BUSY);
    OK(zfsvol_pool_enable_features(zfs, ZFSVOL_STR("pond"), ZFSVOL_FEATURES_ONLY, &feature, 1, &error));
    OK(zfsvol_pool_enable_features(zfs, ZFSVOL_STR("pond"), ZFSVOL_FEATURES_NONE, NULL, 0, &error));
    FAILS(zfsvol_pool_enable_features(zfs, ZFSVOL_STR("none"), ZFSVOL_FEATURES_ALL, NULL, 0, &error), ZFSVOL_STATUS_NOT_FOUND);
    CHECK(ZFSVOL_FEATURES_2_0 < ZFSVOL_FEATURES_2_1 && ZFSVOL_FEATURES_2_3 < ZFSVOL_FEATURES_2_4);
    CHECK(ZFSVOL_CLASS_SPECIAL == 2 && ZFSVOL_CLASS_DEDUP == 3 && ZFSVOL_REDUNDANCY_NONE == 0);
    zfsvol_nvlist_free(properties);
    zfsvol_topology_free(topology);
}

/* The GUID of the device at `path`, anywhere below a vdev; 0 if it has none. */
static uint64_t guid_below(const zfsvol_nvlist *vdev, const char *path) {
    size_t count = count_in(vdev, "children");
    size_t at;
    zfsvol_pair pair;
    if (zfsvol_nvlist_get(vdev, ZFSVOL_STR("path"), &pair) && same(pair.text, path)) {
        return number_in(vdev, "guid");
    }
    for (at = 0; at < count; at++) {
        zfsvol_nvlist *child = list_in(vdev, "children", at);
        uint64_t guid = guid_below(child, path);
        zfsvol_nvlist_free(child);
        if (guid != 0) {
            return guid;
        }
    }
    return 0;
}

static uint64_t guid_of(zfsvol_zfs *zfs, size_t file) {
    zfsvol_nvlist *pool = NULL;
    zfsvol_nvlist *root;
    uint64_t guid;
    OK(zfsvol_pool_status(zfs, ZFSVOL_STR("pond"), &pool, &error));
    root = list_in(pool, "root", 0);
    guid = guid_below(root, paths[file]);
    zfsvol_nvlist_free(root);
    zfsvol_nvlist_free(pool);
    return guid;
}

static void changes(zfsvol_zfs *zfs) {
    zfsvol_str pond = ZFSVOL_STR("pond");
    zfsvol_new_device device;
    zfsvol_topology *topology;
    zfsvol_nvlist *result = NULL;
    uint64_t first = guid_of(zfs, 0);
    uint64_t second = guid_of(zfs, 1);
    memset(&device, 0, sizeof(device));
    device.size = sizeof(device);
    CHECK(first != 0 && second != 0);
    device.path = str(paths[4]);
    OK(zfsvol_vdev_attach(zfs, pond, first, &device, &error));
    OK(zfsvol_pool_wait(zfs, pond, ZFSVOL_ACTIVITY_RESILVER, 0, NULL, &error));
    CHECK(guid_of(zfs, 4) != 0);
    OK(zfsvol_vdev_detach(zfs, pond, guid_of(zfs, 4), &error));
    CHECK(guid_of(zfs, 4) == 0);
    device.path = str(paths[5]);
    OK(zfsvol_vdev_replace(zfs, pond, second, &device, &error));
    OK(zfsvol_pool_wait(zfs, pond, ZFSVOL_ACTIVITY_REPLACE, 0, NULL, &error));
    CHECK(guid_of(zfs, 1) == 0 && guid_of(zfs, 5) != 0);
    FAILS(zfsvol_vdev_attach(zfs, pond, 1, NULL, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_vdev_replace(zfs, pond, 1, NULL, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_vdev_detach(zfs, pond, 1, &error), ZFSVOL_STATUS_NOT_FOUND);

    topology = topology_of(ZFSVOL_REDUNDANCY_MIRROR, ZFSVOL_CLASS_LOG, 6, 2);
    OK(zfsvol_vdev_add(zfs, pond, topology, false, &error));
    FAILS(zfsvol_vdev_add(zfs, pond, topology, false, &error), ZFSVOL_STATUS_BUSY);
    FAILS(zfsvol_vdev_add(zfs, pond, NULL, false, &error), ZFSVOL_STATUS_NULL);
    zfsvol_topology_free(topology);
    OK(zfsvol_vdev_detach(zfs, pond, guid_of(zfs, 7), &error));
    OK(zfsvol_vdev_remove(zfs, pond, guid_of(zfs, 6), &error));
    OK(zfsvol_pool_wait(zfs, pond, ZFSVOL_ACTIVITY_REMOVE, 0, NULL, &error));
    FAILS(zfsvol_vdev_remove(zfs, pond, 1, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_vdev_cancel_removal(zfs, pond, &error), ZFSVOL_STATUS_NOT_FOUND);

    OK(zfsvol_vdev_offline(zfs, pond, first, ZFSVOL_OFFLINE_TEMPORARY, &error));
    OK(zfsvol_vdev_online(zfs, pond, first, false, &result, &error));
    CHECK(same(text_in(result, "state"), "online"));
    zfsvol_nvlist_free(result);
    OK(zfsvol_vdev_offline(zfs, pond, first, ZFSVOL_OFFLINE_PERSISTENT, &error));
    OK(zfsvol_vdev_online(zfs, pond, first, true, NULL, &error));
    OK(zfsvol_vdev_offline(zfs, pond, first, ZFSVOL_OFFLINE_FAULTED, &error));
    OK(zfsvol_pool_clear(zfs, pond, first, &error));
    OK(zfsvol_pool_clear(zfs, pond, 0, &error));
    FAILS(zfsvol_pool_clear(zfs, ZFSVOL_STR("none"), 0, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_vdev_offline(zfs, pond, first, 3, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_vdev_online(zfs, pond, 1, false, NULL, &error), ZFSVOL_STATUS_NOT_FOUND);
    OK(zfsvol_vdev_set_path(zfs, pond, first, str(paths[0]), &error));
    FAILS(zfsvol_vdev_set_path(zfs, pond, 1, str(paths[0]), &error), ZFSVOL_STATUS_NOT_FOUND);

    OK(zfsvol_vdev_set_property(zfs, pond, first, ZFSVOL_STR("comment"), ZFSVOL_STR("left"), &error));
    OK(zfsvol_vdev_properties(zfs, pond, first, &result, &error));
    {
        zfsvol_nvlist *one = list_in(result, "comment", 0);
        CHECK(same(text_in(one, "value"), "left"));
        zfsvol_nvlist_free(one);
    }
    zfsvol_nvlist_free(result);
    FAILS(zfsvol_vdev_set_property(zfs, pond, first, ZFSVOL_STR("allocating"), ZFSVOL_STR("maybe"), &error),
          ZFSVOL_STATUS_INVALID_PROPERTY);
    FAILS(zfsvol_vdev_properties(zfs, pond, 1, &result, &error), ZFSVOL_STATUS_NOT_FOUND);
    OK(zfsvol_pool_reguid(zfs, pond, 4711, &error));
    OK(zfsvol_pool_reguid(zfs, pond, 0, &error));
    FAILS(zfsvol_pool_reguid(zfs, ZFSVOL_STR("none"), 0, &error), ZFSVOL_STATUS_NOT_FOUND);
}

static void activities(zfsvol_zfs *zfs) {
    zfsvol_str pond = ZFSVOL_STR("pond");
    zfsvol_trim_options options;
    uint64_t device = guid_of(zfs, 0);
    uint64_t none = 1;
    zfsvol_status came;
    bool waited = true;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.bytes_per_second = 1 << 20;
    OK(zfsvol_vdev_initialize(zfs, pond, &device, 1, ZFSVOL_INITIALIZE_START, &error));
    CHECK(zfsvol_vdev_initialize(zfs, pond, &device, 1, ZFSVOL_INITIALIZE_SUSPEND, NULL) != ZFSVOL_STATUS_UNKNOWN_NUMBER);
    CHECK(zfsvol_vdev_initialize(zfs, pond, &device, 1, ZFSVOL_INITIALIZE_CANCEL, NULL) != ZFSVOL_STATUS_UNKNOWN_NUMBER);
    CHECK(zfsvol_vdev_initialize(zfs, pond, &device, 1, ZFSVOL_INITIALIZE_UNINITIALIZE, NULL) != ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_vdev_initialize(zfs, pond, &device, 1, 4, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_vdev_initialize(zfs, pond, NULL, 1, ZFSVOL_INITIALIZE_START, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_vdev_initialize(zfs, pond, &none, 1, ZFSVOL_INITIALIZE_START, &error), ZFSVOL_STATUS_NOT_FOUND);
    came = zfsvol_vdev_trim(zfs, pond, &device, 1, ZFSVOL_TRIM_START, &options, NULL);
    CHECK(came == ZFSVOL_STATUS_OK || came == ZFSVOL_STATUS_FEATURE_DISABLED);
    CHECK(zfsvol_vdev_trim(zfs, pond, &device, 1, ZFSVOL_TRIM_SUSPEND, NULL, NULL) != ZFSVOL_STATUS_UNKNOWN_NUMBER);
    CHECK(zfsvol_vdev_trim(zfs, pond, &device, 1, ZFSVOL_TRIM_CANCEL, NULL, NULL) != ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_vdev_trim(zfs, pond, &device, 1, 3, NULL, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    OK(zfsvol_pool_prefetch(zfs, pond, ZFSVOL_PREFETCH_DDT, &error));
    OK(zfsvol_pool_prefetch(zfs, pond, ZFSVOL_PREFETCH_BRT, &error));
    FAILS(zfsvol_pool_prefetch(zfs, pond, 2, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_pool_prune_ddt(zfs, pond, ZFSVOL_PRUNE_PERCENT, 256 + 50, &error), ZFSVOL_STATUS_INVALID);
    came = zfsvol_pool_prune_ddt(zfs, pond, ZFSVOL_PRUNE_SECONDS, 60, NULL);
    CHECK(came == ZFSVOL_STATUS_OK || came == ZFSVOL_STATUS_FEATURE_DISABLED);
    FAILS(zfsvol_pool_prune_ddt(zfs, pond, 2, 1, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    CHECK(zfsvol_pool_condense(zfs, pond, true, NULL) == ZFSVOL_STATUS_UNSUPPORTED);
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("pond/a"), NULL, NULL, &error));
    OK(zfsvol_dataset_wait_deletequeue(zfs, ZFSVOL_STR("pond/a"), &waited, &error));
    CHECK(!waited);
    FAILS(zfsvol_dataset_wait_deletequeue(zfs, ZFSVOL_STR("pond/b"), NULL, &error), ZFSVOL_STATUS_NOT_FOUND);
}

/* How many of the files have a label of the exported pool; the number of one of them. */
static size_t labelled(size_t *one) {
    size_t at;
    size_t count = 0;
    for (at = 0; at < FILES; at++) {
        zfsvol_nvlist *label = NULL;
        zfsvol_nvlist *pool;
        zfsvol_pair pair;
        int fd = open(paths[at], O_RDONLY);
        CHECK(fd >= 0 && lseek(fd, 5, SEEK_SET) == 5);
        OK(zfsvol_label_read(fd, &label, &error));
        CHECK(lseek(fd, 0, SEEK_CUR) == 5);
        close(fd);
        if (label != NULL && zfsvol_nvlist_get(label, ZFSVOL_STR("pool"), &pair) && same(text_in(label, "state"), "exported")) {
            pool = list_in(label, "pool", 0);
            CHECK(same(text_in(pool, "name"), "pond") && number_in(pool, "guid") != 0 && number_in(label, "txg") > 0);
            CHECK(!zfsvol_nvlist_get(pool, ZFSVOL_STR("host"), &pair));
            zfsvol_nvlist_free(pool);
            pool = list_in(label, "config", 0);
            CHECK(same(text_in(pool, "name"), "pond"));
            zfsvol_nvlist_free(pool);
            *one = at;
            count++;
        }
        zfsvol_nvlist_free(label);
    }
    return count;
}

/* A label is there four times: nothing is lost with three of them. */
static void damage(size_t which) {
    const off_t labels[] = {0, 256 << 10, (128 << 20) - (512 << 10), (128 << 20) - (256 << 10)};
    zfsvol_nvlist *label = NULL;
    size_t at;
    int fd = open(paths[which], O_RDWR);
    CHECK(fd >= 0);
    for (at = 0; at < 4; at++) {
        OK(zfsvol_label_read(fd, &label, &error));
        CHECK(label != NULL);
        zfsvol_nvlist_free(label);
        label = NULL;
        CHECK(pwrite(fd, "damage", 6, labels[at] + (16 << 10) + 100) == 6);
    }
    FAILS(zfsvol_label_read(fd, &label, &error), ZFSVOL_STATUS_CORRUPT);
    CHECK(ftruncate(fd, 0) == 0);
    OK(zfsvol_label_read(fd, &label, &error));
    CHECK(label == NULL);
    close(fd);
    FAILS(zfsvol_label_read(-1, &label, &error), ZFSVOL_STATUS_INVALID);
}

static void imports(zfsvol_zfs *zfs) {
    size_t one = FILES;
    zfsvol_str here = str(folder);
    zfsvol_str nowhere = ZFSVOL_STR("/nowhere/at/all");
    zfsvol_importable *found = NULL;
    zfsvol_nvlist *pool = NULL;
    zfsvol_import_options options;
    zfsvol_buffer name = {NULL, 0};
    uint64_t bytes = 0;
    OK(zfsvol_pool_export(zfs, ZFSVOL_STR("pond"), ZFSVOL_EXPORT_CLEAN, &error));
    CHECK(labelled(&one) > 0 && one < FILES);
    FAILS(zfsvol_importable_search(zfs, &nowhere, 1, false, &found, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_importable_search(NULL, &here, 1, false, &found, &error), ZFSVOL_STATUS_NULL);
    OK(zfsvol_importable_search(zfs, &here, 1, true, &found, &error));
    CHECK(zfsvol_importable_count(found) == 1 && zfsvol_importable_count(NULL) == 0);
    OK(zfsvol_importable_get(found, 0, &pool, &error));
    CHECK(same(text_in(pool, "name"), "pond") && truth_in(pool, "exported") && same(text_in(pool, "health"), "online"));
    zfsvol_nvlist_free(pool);
    FAILS(zfsvol_importable_get(found, 1, &pool, &error), ZFSVOL_STATUS_NOT_FOUND);
    OK(zfsvol_importable_missing(found, 0, &pool, &error));
    CHECK(count_in(pool, "devices") == 0);
    zfsvol_nvlist_free(pool);
    FAILS(zfsvol_importable_missing(NULL, 0, &pool, &error), ZFSVOL_STATUS_NULL);
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.rewind = 5;
    FAILS(zfsvol_pool_import(zfs, found, 0, &options, NULL, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    options.rewind = ZFSVOL_REWIND_NONE;
    options.new_name = ZFSVOL_STR("lake");
    options.temporary_name = true;
    FAILS(zfsvol_pool_import(zfs, found, 1, &options, NULL, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_pool_import(zfs, (zfsvol_importable *)(void *)zfs, 0, &options, NULL, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    OK(zfsvol_pool_import(zfs, found, 0, &options, &name, &error));
    CHECK(strcmp(name.ptr, "lake") == 0);
    zfsvol_buffer_free(&name);
    zfsvol_importable_free(found);
    zfsvol_importable_free(NULL);
    CHECK(ZFSVOL_REWIND_CHECKPOINT == 1 && ZFSVOL_REWIND_RECOVER == 2 && ZFSVOL_REWIND_EXTREME == 3 && ZFSVOL_REWIND_TXG == 4);
    OK(zfsvol_zvol_reservation(zfs, ZFSVOL_STR("lake"), (uint64_t)1 << 30, 0, 0, &bytes, &error));
    CHECK(bytes == 1092616192);
    FAILS(zfsvol_zvol_reservation(zfs, ZFSVOL_STR("lake"), 1, 0, 0, NULL, &error), ZFSVOL_STATUS_NULL);
    OK(zfsvol_pool_destroy(zfs, ZFSVOL_STR("lake"), &error));
    damage(one);
}

int main(void) {
    zfsvol_zfs *zfs = machine();
    make_files();
    topologies(zfs);
    create(zfs);
    changes(zfs);
    activities(zfs);
    imports(zfs);
    zfsvol_zfs_free(zfs);
    remove_files();
    return 0;
}
