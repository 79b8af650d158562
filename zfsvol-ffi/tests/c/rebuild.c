/* What streams hold, rebuilt with no kernel: zvols, files, changes. */
#include <unistd.h>

#include "check.h"
#include "memory.h"

static void zvols(void) {
    zfsvol_zfs *zfs = embedded();
    zfsvol_str first = ZFSVOL_STR("tank/v@1");
    zfsvol_str second = ZFSVOL_STR("tank/v@2");
    zfsvol_device *device = NULL;
    zfsvol_zvol_image *image = NULL;
    zfsvol_changes *changes = NULL;
    zfsvol_nvlist *info = NULL;
    zfsvol_nvlist *objects;
    zfsvol_nvlist *data;
    zfsvol_nvlist *ranges;
    zfsvol_reader reader;
    memory full;
    memory more;
    uint8_t bytes[16384];
    uint8_t back[16384];
    uint64_t guid;
    FILE *file = tmpfile();
    CHECK(file != NULL);
    OK(zfsvol_zvol_create(zfs, ZFSVOL_STR("tank/v"), 1 << 20, NULL, NULL, &error));
    OK(zfsvol_device_open(zfs, ZFSVOL_STR("tank/v"), true, 1000, &device, &error));
    memset(bytes, 7, sizeof(bytes));
    OK(zfsvol_device_write(device, 0, bytes, sizeof(bytes), &error));
    OK(zfsvol_snapshot_create(zfs, &first, 1, NULL, &error));
    memset(bytes, 9, sizeof(bytes));
    OK(zfsvol_device_write(device, 65536, bytes, sizeof(bytes), &error));
    OK(zfsvol_snapshot_create(zfs, &second, 1, NULL, &error));
    zfsvol_device_free(device);
    full = sent(zfs, "tank/v@1", NULL);
    more = sent(zfs, "tank/v@2", "tank/v@1");
    zfsvol_zfs_free(zfs);

    OK(zfsvol_zvol_image_open(fileno(file), 0, &image, &error));
    full.released = 0;
    reader = reading(&more);
    FAILS(zfsvol_zvol_image_apply(image, &reader, &error), ZFSVOL_STATUS_STREAM_DAMAGED);
    reader = reading(&full);
    OK(zfsvol_zvol_image_apply(image, &reader, &error));
    CHECK(full.released == 1);
    OK(zfsvol_zvol_image_info(image, &info, &error));
    guid = number_in(info, "guid");
    CHECK(guid != 0 && number_in(info, "written") >= sizeof(bytes));
    zfsvol_nvlist_free(info);
    zfsvol_zvol_image_free(image);
    zfsvol_zvol_image_free(NULL);
    /* It goes on with what the file holds. */
    OK(zfsvol_zvol_image_open(fileno(file), guid, &image, &error));
    reader = reading(&more);
    OK(zfsvol_zvol_image_apply(image, &reader, &error));
    FAILS(zfsvol_zvol_image_apply(image, NULL, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_zvol_image_info(NULL, &info, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_zvol_image_info((zfsvol_zvol_image *)(void *)&full, &info, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    FAILS(zfsvol_zvol_image_open(-1, 0, &image, &error), ZFSVOL_STATUS_INVALID);
    zfsvol_zvol_image_free(image);
    CHECK(lseek(fileno(file), 65536, SEEK_SET) == 65536 && read(fileno(file), back, sizeof(back)) == sizeof(back));
    CHECK(memcmp(back, bytes, sizeof(bytes)) == 0);
    CHECK(lseek(fileno(file), 0, SEEK_END) == 1 << 20);
    fclose(file);

    OK(zfsvol_changes_new(&changes, &error));
    reader = reading(&more);
    OK(zfsvol_changes_add(changes, &reader, &error));
    OK(zfsvol_changes_list(changes, &info, &error));
    objects = list_in(info, "objects", 0);
    data = list_in(objects, "1", 0);
    ranges = list_in(data, "written", 0);
    CHECK(number_in(ranges, "65536") == 65536 + sizeof(bytes));
    zfsvol_nvlist_free(ranges);
    zfsvol_nvlist_free(data);
    zfsvol_nvlist_free(objects);
    zfsvol_nvlist_free(info);
    reader = reading(&more);
    reader.read = NULL;
    FAILS(zfsvol_changes_add(changes, &reader, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_changes_list(changes, NULL, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_changes_new(NULL, &error), ZFSVOL_STATUS_NULL);
    zfsvol_changes_free(changes);
    zfsvol_changes_free(NULL);
    free(full.data);
    free(more.data);
}

static void count_file(void *context, const zfsvol_nvlist *file) {
    int *count = (int *)context;
    ++*count;
    CHECK(text_in(file, "path").len > 0 && text_in(file, "kind").len > 0 && number_in(file, "object") > 0);
}

static void files(void) {
    zfsvol_zfs *zfs = embedded();
    zfsvol_str snapshot = ZFSVOL_STR("tank/a@1");
    zfsvol_file_tree *tree = NULL;
    zfsvol_file_image *image = NULL;
    zfsvol_reader reader;
    memory stream;
    uint64_t object = 0;
    uint64_t size = 7;
    int count = 0;
    FILE *file = tmpfile();
    CHECK(file != NULL);
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/a"), NULL, NULL, &error));
    OK(zfsvol_snapshot_create(zfs, &snapshot, 1, NULL, &error));
    stream = sent(zfs, "tank/a@1", NULL);
    zfsvol_zfs_free(zfs);
    OK(zfsvol_file_tree_new(0, &tree, &error));
    FAILS(zfsvol_file_tree_walk(tree, count_file, &count, &error), ZFSVOL_STATUS_INVALID);
    reader = reading(&stream);
    OK(zfsvol_file_tree_apply(tree, &reader, &error));
    OK(zfsvol_file_tree_walk(tree, count_file, &count, &error));
    FAILS(zfsvol_file_tree_walk(tree, NULL, NULL, &error), ZFSVOL_STATUS_NULL);
    OK(zfsvol_file_tree_find(tree, ZFSVOL_STR("/"), &object, &size, &error));
    CHECK(object != 0);
    FAILS(zfsvol_file_tree_find(tree, ZFSVOL_STR("none/at/all"), &object, NULL, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_file_tree_find(NULL, ZFSVOL_STR("/"), NULL, NULL, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_file_tree_apply((zfsvol_file_tree *)(void *)&stream, &reader, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    FAILS(zfsvol_file_tree_new(0, NULL, &error), ZFSVOL_STATUS_NULL);
    zfsvol_file_tree_free(tree);
    zfsvol_file_tree_free(NULL);
    OK(zfsvol_file_image_open(fileno(file), object, &image, &error));
    reader = reading(&stream);
    OK(zfsvol_file_image_apply(image, &reader, &error));
    OK(zfsvol_file_image_finish(image, 0, &error));
    FAILS(zfsvol_file_image_finish(image, 0, &error), ZFSVOL_STATUS_CONSUMED);
    reader = reading(&stream);
    FAILS(zfsvol_file_image_apply(image, &reader, &error), ZFSVOL_STATUS_CONSUMED);
    FAILS(zfsvol_file_image_open(-1, 1, &image, &error), ZFSVOL_STATUS_INVALID);
    zfsvol_file_image_free(image);
    zfsvol_file_image_free(NULL);
    fclose(file);
    free(stream.data);
}

int main(void) {
    zvols();
    files();
    return 0;
}
