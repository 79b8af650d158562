/*
 * The main job: two nodes, and a volume that moves between them, with no root and no ZFS.
 *
 * cc handoff.c $(pkg-config --cflags --libs zfsvol) && ./a.out
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zfsvol.h>

/* Ends the program with what went wrong: the message names operation, dataset, reason and what to do. */
static void check(zfsvol_error *error) {
    if (error != NULL) {
        zfsvol_str message = zfsvol_error_message(error);
        fprintf(stderr, "%.*s\n", (int)message.len, message.ptr);
        zfsvol_error_free(error);
        exit(1);
    }
}

/* A machine of its own, with a node on it. */
static zfsvol_node *machine(zfsvol_str id) {
    zfsvol_error *error = NULL;
    zfsvol_zfs *zfs = NULL;
    zfsvol_node *node = NULL;
    zfsvol_zfs_open(ZFSVOL_STR("embedded:"), &zfs, &error);
    check(error);
    zfsvol_node_open(zfs, ZFSVOL_STR("tank/zfsvol"), id, NULL, &node, &error);
    check(error);
    /* The node keeps what it needs. */
    zfsvol_zfs_free(zfs);
    return node;
}

static void say(const char *where, zfsvol_node *node) {
    zfsvol_error *error = NULL;
    zfsvol_nvlist *info = NULL;
    zfsvol_str state = ZFSVOL_NONE;
    uint64_t epoch = 0;
    zfsvol_volume_get(node, ZFSVOL_STR("db"), &info, &error);
    check(error);
    if (info == NULL) {
        printf("%s: nothing\n", where);
        return;
    }
    zfsvol_nvlist_get_str(info, ZFSVOL_STR("state"), &state, &error);
    check(error);
    zfsvol_nvlist_get_u64(info, ZFSVOL_STR("epoch"), &epoch, &error);
    check(error);
    printf("%s: %.*s, epoch %llu\n", where, (int)state.len, state.ptr, (unsigned long long)epoch);
    zfsvol_nvlist_free(info);
}

/* Waits for a push or handoff, and says now and then how far it is. */
static void wait_for(const char *what, zfsvol_transfer *transfer) {
    zfsvol_error *error = NULL;
    zfsvol_progress progress;
    memset(&progress, 0, sizeof(progress));
    progress.size = sizeof(progress);
    /* A transfer that has itself timed out, for its peer was silent, is over: it has no progress any more. */
    while (zfsvol_transfer_wait(transfer, 1000, NULL, &error) == ZFSVOL_STATUS_TIMED_OUT
           && zfsvol_transfer_progress(transfer, &progress, NULL) == ZFSVOL_STATUS_OK) {
        zfsvol_error_free(error);
        printf("%s: %llu bytes\n", what, (unsigned long long)progress.bytes);
    }
    check(error);
    zfsvol_transfer_free(transfer);
    printf("%s: done\n", what);
}

int main(void) {
    zfsvol_error *error = NULL;
    zfsvol_node *here = machine(ZFSVOL_STR("11111111-1111-4111-8111-111111111111"));
    zfsvol_node *there = machine(ZFSVOL_STR("22222222-2222-4222-8222-222222222222"));
    zfsvol_peer *peer = NULL;
    zfsvol_transfer *transfer = NULL;
    zfsvol_device *device = NULL;
    zfsvol_volume_spec spec;
    char text[6] = "";

    if (zfsvol_abi() != ZFSVOL_ABI) {
        fprintf(stderr, "this program was built for another libzfsvol\n");
        return 1;
    }

    /* A volume with something on it. */
    memset(&spec, 0, sizeof(spec));
    spec.size = sizeof(spec);
    spec.block_bytes = 8 << 20;
    spec.sparse = true;
    zfsvol_volume_create(here, ZFSVOL_STR("db"), &spec, NULL, &error);
    check(error);
    zfsvol_volume_open_device(here, ZFSVOL_STR("db"), true, 1000, &device, &error);
    check(error);
    zfsvol_device_write(device, 0, (const uint8_t *)"hello", 5, &error);
    check(error);
    zfsvol_device_flush(device, &error);
    check(error);
    zfsvol_device_free(device);
    say("here", here);

    /* A copy there, kept up to date while programs write here. */
    zfsvol_peer_local(there, &peer, &error);
    check(error);
    zfsvol_volume_push(here, ZFSVOL_STR("db"), peer, NULL, &transfer, &error);
    check(error);
    wait_for("push", transfer);
    say("there", there);

    /* It moves: the rest is sent, and from one moment to the next the other node owns it. */
    zfsvol_volume_handoff(here, ZFSVOL_STR("db"), peer, NULL, &transfer, &error);
    check(error);
    wait_for("handoff", transfer);
    say("here", here);
    say("there", there);

    zfsvol_volume_open_device(there, ZFSVOL_STR("db"), true, 1000, &device, &error);
    check(error);
    zfsvol_device_read(device, 0, (uint8_t *)text, 5, &error);
    check(error);
    printf("there it says: %s\n", text);
    zfsvol_device_free(device);
    zfsvol_peer_free(peer);
    zfsvol_node_free(here);
    zfsvol_node_free(there);
    return strcmp(text, "hello") == 0 ? 0 : 1;
}
