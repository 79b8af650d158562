#include <stdio.h>
#include <zfsvol.h>

int main(void) {
    zfsvol_error *error = NULL;
    zfsvol_zfs *zfs = NULL;
    zfsvol_str empty = ZFSVOL_STR("tank/db@empty");
    bool failed = zfsvol_zfs_open(ZFSVOL_STR("embedded:"), &zfs, &error)
        || zfsvol_zvol_create(zfs, ZFSVOL_STR("tank/db"), 10ull << 30, NULL, NULL, &error)
        || zfsvol_snapshot_create(zfs, &empty, 1, NULL, &error)
        || zfsvol_clone_create(zfs, ZFSVOL_STR("tank/db-test"), empty, NULL, &error);
    if (failed) {
        zfsvol_str message = zfsvol_error_message(error);
        fprintf(stderr, "%.*s\n", (int)message.len, message.ptr);
    }
    zfsvol_error_free(error);
    zfsvol_zfs_free(zfs);
    return failed;
}
