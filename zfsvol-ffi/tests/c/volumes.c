/* Nodes and their volumes: made, kept, pushed, handed over, taken over, put right. And block devices. */
#include "check.h"

#define ONE "11111111-1111-4111-8111-111111111111"
#define TWO "22222222-2222-4222-8222-222222222222"

typedef struct {
    int events;
    int created;
    int replicas_destroyed;
    int released;
} heard;

static void on_event(void *context, const zfsvol_nvlist *event) {
    heard *all = (heard *)context;
    all->events++;
    all->created += same(text_in(event, "kind"), "created");
    all->replicas_destroyed += same(text_in(event, "kind"), "replica_destroyed");
    CHECK(text_in(event, "volume").len > 0);
}

static void on_release(void *context) {
    ((heard *)context)->released++;
}

static zfsvol_node *open_node(zfsvol_zfs *zfs, const char *id, heard *all) {
    zfsvol_node *node = NULL;
    zfsvol_node_options options;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.mountpoint = ZFSVOL_STR("/volumes");
    options.on_event = on_event;
    options.context = all;
    options.release = on_release;
    OK(zfsvol_node_open(zfs, ZFSVOL_STR("tank/zfsvol"), str(id), &options, &node, &error));
    return node;
}

static void finish(zfsvol_transfer *transfer, int sent) {
    zfsvol_nvlist *result = NULL;
    OK(zfsvol_transfer_wait(transfer, -1, &result, &error));
    CHECK(number_in(result, "snapshot") != 0);
    CHECK(sent < 0 || count_in(result, "sent") == (size_t)sent);
    zfsvol_nvlist_free(result);
    zfsvol_transfer_free(transfer);
}

static int state_is(zfsvol_node *node, const char *name, const char *state) {
    zfsvol_nvlist *info = NULL;
    int answer;
    OK(zfsvol_volume_get(node, str(name), &info, &error));
    CHECK(info != NULL);
    answer = same(text_in(info, "state"), state);
    zfsvol_nvlist_free(info);
    return answer;
}

static void opening(zfsvol_zfs *zfs) {
    heard all = {0, 0, 0, 0};
    zfsvol_node *node = NULL;
    zfsvol_zfs *same_zfs = NULL;
    zfsvol_nvlist *info = NULL;
    zfsvol_node_options options;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.context = &all;
    options.release = on_release;
    /* A context is released when the node cannot be opened, too. */
    FAILS(zfsvol_node_open(zfs, ZFSVOL_STR("tank/n"), ZFSVOL_STR("one"), &options, &node, &error), ZFSVOL_STATUS_INVALID);
    CHECK(all.released == 1);
    OK(zfsvol_node_open(zfs, ZFSVOL_STR("tank/n"), ZFSVOL_STR(ONE), NULL, &node, &error));
    OK(zfsvol_node_info(node, &info, &error));
    CHECK(same(text_in(info, "id"), ONE) && same(text_in(info, "root"), "tank/n"));
    zfsvol_nvlist_free(info);
    OK(zfsvol_node_zfs(node, &same_zfs, &error));
    zfsvol_zfs_free(same_zfs);
    zfsvol_node_free(node);
    zfsvol_node_free(NULL);
    FAILS(zfsvol_node_open(zfs, ZFSVOL_STR("tank/n"), ZFSVOL_STR(TWO), NULL, &node, &error), ZFSVOL_STATUS_NOT_OWNER);
}

static void volumes(zfsvol_node *node) {
    zfsvol_volume_spec spec;
    zfsvol_nvlist *info = NULL;
    zfsvol_nvlist *policy;
    zfsvol_nvlist *retained = NULL;
    zfsvol_buffer text = {NULL, 0};
    zfsvol_str snapshot = ZFSVOL_STR("three");
    bool flag = false;
    memset(&spec, 0, sizeof(spec));
    spec.size = sizeof(spec);
    spec.quota_bytes = 1 << 30;
    OK(zfsvol_volume_create(node, ZFSVOL_STR("team:web"), &spec, &info, &error));
    CHECK(same(text_in(info, "kind"), "file_system") && number_in(info, "quota") == 1 << 30);
    CHECK(same(text_in(info, "owner"), ONE) && number_in(info, "epoch") == 1 && !truth_in(info, "mounted"));
    zfsvol_nvlist_free(info);
    FAILS(zfsvol_volume_create(node, ZFSVOL_STR("team:web"), NULL, NULL, &error), ZFSVOL_STATUS_EXISTS);
    FAILS(zfsvol_volume_create(node, ZFSVOL_STR("a/b"), NULL, NULL, &error), ZFSVOL_STATUS_INVALID_NAME);
    spec.block_bytes = 8 << 20;
    FAILS(zfsvol_volume_create(node, ZFSVOL_STR("disk"), &spec, NULL, &error), ZFSVOL_STATUS_INVALID);
    OK(zfsvol_volume_dataset(node, ZFSVOL_STR("web"), &text, &error));
    CHECK(strcmp(text.ptr, "tank/zfsvol/web") == 0);
    zfsvol_buffer_free(&text);
    OK(zfsvol_volume_resize(node, ZFSVOL_STR("team:web"), 0, &error));
    OK(zfsvol_volume_mount(node, ZFSVOL_STR("team:web"), &text, &error));
    CHECK(strcmp(text.ptr, "/volumes/team:web") == 0);
    zfsvol_buffer_free(&text);
    OK(zfsvol_volume_path(node, ZFSVOL_STR("team:web"), &text, &error));
    zfsvol_buffer_free(&text);
    FAILS(zfsvol_volume_device_path(node, ZFSVOL_STR("team:web"), 0, &text, &error), ZFSVOL_STATUS_WRONG_TYPE);
    OK(zfsvol_volume_unmount(node, ZFSVOL_STR("team:web"), &flag, &error));
    CHECK(flag);
    OK(zfsvol_volume_snapshot(node, ZFSVOL_STR("team:web"), ZFSVOL_STR("one"), &error));
    OK(zfsvol_volume_snapshot(node, ZFSVOL_STR("team:web"), ZFSVOL_STR("two"), &error));
    OK(zfsvol_volume_snapshot(node, ZFSVOL_STR("team:web"), snapshot, &error));
    OK(zfsvol_volume_snapshots(node, ZFSVOL_STR("team:web"), &info, &error));
    CHECK(count_in(info, "snapshots") == 3);
    zfsvol_nvlist_free(info);
    OK(zfsvol_volume_destroy_snapshots(node, ZFSVOL_STR("team:web"), &snapshot, 1, &error));
    OK(zfsvol_volume_rollback(node, ZFSVOL_STR("team:web"), ZFSVOL_STR("two"), &error));
    OK(zfsvol_volume_clone(node, ZFSVOL_STR("team:web"), ZFSVOL_STR("two"), ZFSVOL_STR("copy"), &info, &error));
    CHECK(has(text_in(info, "origin"), "web@two"));
    zfsvol_nvlist_free(info);
    OK(zfsvol_volume_rename(node, ZFSVOL_STR("copy"), ZFSVOL_STR("branch"), &error));
    OK(zfsvol_volume_destroy(node, ZFSVOL_STR("branch"), &flag, &error));
    CHECK(flag);
    OK(zfsvol_volume_destroy(node, ZFSVOL_STR("branch"), &flag, &error));
    CHECK(!flag);
    policy = new_list();
    OK(zfsvol_nvlist_put_number(policy, ZFSVOL_STR("last"), ZFSVOL_TYPE_UINT32, 1, &error));
    OK(zfsvol_volume_retain(node, ZFSVOL_STR("team:web"), policy, &retained, &error));
    zfsvol_nvlist_free(retained);
    OK(zfsvol_nvlist_put_flag(policy, ZFSVOL_STR("wekly"), &error));
    FAILS(zfsvol_volume_retain(node, ZFSVOL_STR("team:web"), policy, NULL, &error), ZFSVOL_STATUS_INVALID);
    zfsvol_nvlist_free(policy);
    OK(zfsvol_volume_list(node, &info, &error));
    CHECK(count_in(info, "volumes") == 1 && count_in(info, "damaged") == 0);
    zfsvol_nvlist_free(info);
    OK(zfsvol_volume_destroy(node, ZFSVOL_STR("team:web"), NULL, &error));
    OK(zfsvol_volume_get(node, ZFSVOL_STR("team:web"), &info, &error));
    CHECK(info == NULL);
}

static void moving(zfsvol_node *one, zfsvol_node *two) {
    zfsvol_peer *to_one = NULL;
    zfsvol_peer *to_two = NULL;
    zfsvol_transfer *transfer = NULL;
    zfsvol_bandwidth *limit = NULL;
    zfsvol_device *device = NULL;
    zfsvol_nvlist *found = NULL;
    zfsvol_volume_spec spec;
    zfsvol_push_options options;
    uint8_t data[4096];
    uint8_t back[4096];
    uint64_t size = 0;
    zfsvol_buffer path = {NULL, 0};
    bool gone = false;
    memset(&spec, 0, sizeof(spec));
    spec.size = sizeof(spec);
    spec.block_bytes = 8 << 20;
    spec.sparse = true;
    memset(data, 7, sizeof(data));
    OK(zfsvol_peer_local(one, &to_one, &error));
    OK(zfsvol_peer_local(two, &to_two, &error));
    OK(zfsvol_volume_create(one, ZFSVOL_STR("db"), &spec, NULL, &error));
    OK(zfsvol_volume_open_device(one, ZFSVOL_STR("db"), true, 1000, &device, &error));
    OK(zfsvol_device_size(device, &size, &error));
    CHECK(size == 8 << 20);
    OK(zfsvol_device_path(device, &path, &error));
    zfsvol_buffer_free(&path);
    OK(zfsvol_device_write(device, 8192, data, sizeof(data), &error));
    OK(zfsvol_device_flush(device, &error));
    FAILS(zfsvol_device_read(device, size, back, 512, &error), ZFSVOL_STATUS_INVALID);
    zfsvol_device_free(device);
    zfsvol_device_free(NULL);

    OK(zfsvol_bandwidth_new(1 << 30, &limit, &error));
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.bandwidth = limit;
    OK(zfsvol_volume_push(one, ZFSVOL_STR("db"), to_two, &options, &transfer, &error));
    zfsvol_bandwidth_free(limit);
    zfsvol_bandwidth_free(NULL);
    finish(transfer, 1);
    CHECK(state_is(one, "db", "owned") && state_is(two, "db", "replica"));
    FAILS(zfsvol_volume_open_device(two, ZFSVOL_STR("db"), true, 0, &device, &error), ZFSVOL_STATUS_NOT_OWNER);
    FAILS(zfsvol_volume_device_path(two, ZFSVOL_STR("db"), 0, &path, &error), ZFSVOL_STATUS_NOT_OWNER);
    /* What is embedded has no node in /dev. */
    FAILS(zfsvol_volume_device_path(one, ZFSVOL_STR("db"), 0, &path, &error), ZFSVOL_STATUS_NOT_FOUND);

    OK(zfsvol_volume_handoff(one, ZFSVOL_STR("db"), to_two, NULL, &transfer, &error));
    {
        zfsvol_progress progress;
        memset(&progress, 0, sizeof(progress));
        progress.size = sizeof(progress);
        OK(zfsvol_transfer_progress(transfer, &progress, &error));
        CHECK(progress.phase <= ZFSVOL_PHASE_SETTLING && ZFSVOL_PHASE_COMPARING == 0);
    }
    finish(transfer, -1);
    CHECK(state_is(one, "db", "replica") && state_is(two, "db", "owned"));
    OK(zfsvol_volume_open_device(two, ZFSVOL_STR("db"), false, 1000, &device, &error));
    OK(zfsvol_device_read(device, 8192, back, sizeof(back), &error));
    CHECK(memcmp(data, back, sizeof(data)) == 0);
    zfsvol_device_free(device);

    OK(zfsvol_volume_recover(one, ZFSVOL_STR("db"), to_two, &found, &error));
    CHECK(same(text_in(found, "outcome"), "nothing"));
    zfsvol_nvlist_free(found);
    OK(zfsvol_volume_takeover(one, ZFSVOL_STR("db"), &found, &error));
    CHECK(number_in(found, "epoch") == 3 && same(text_in(found, "owner"), ONE));
    zfsvol_nvlist_free(found);
    OK(zfsvol_volume_recover(two, ZFSVOL_STR("db"), to_one, &found, &error));
    CHECK(same(text_in(found, "outcome"), "superseded"));
    zfsvol_nvlist_free(found);
    CHECK(state_is(two, "db", "replica"));
    OK(zfsvol_volume_recover_start(two, ZFSVOL_STR("db"), to_one, &transfer, &error));
    OK(zfsvol_transfer_wait(transfer, -1, &found, &error));
    CHECK(same(text_in(found, "outcome"), "nothing"));
    zfsvol_nvlist_free(found);
    zfsvol_transfer_free(transfer);
    OK(zfsvol_volume_recover_start(two, ZFSVOL_STR("none"), to_one, &transfer, &error));
    FAILS(zfsvol_transfer_wait(transfer, -1, &found, &error), ZFSVOL_STATUS_NOT_FOUND);
    zfsvol_transfer_free(transfer);
    FAILS(zfsvol_volume_destroy_replica(one, ZFSVOL_STR("db"), &gone, &error), ZFSVOL_STATUS_INVALID);
    OK(zfsvol_volume_destroy_replica(two, ZFSVOL_STR("db"), &gone, &error));
    CHECK(gone);
    OK(zfsvol_volume_destroy_replica(two, ZFSVOL_STR("db"), &gone, &error));
    CHECK(!gone);
    OK(zfsvol_volume_push(one, ZFSVOL_STR("db"), to_two, NULL, &transfer, &error));
    finish(transfer, -1);
    CHECK(state_is(two, "db", "replica"));
    OK(zfsvol_volume_destroy_replica(two, ZFSVOL_STR("db"), NULL, &error));
    zfsvol_peer_free(to_one);
    zfsvol_peer_free(to_two);
    zfsvol_peer_free(NULL);
}

static void many(zfsvol_node *node) {
    zfsvol_str names[3];
    zfsvol_volume_spec spec;
    const zfsvol_volume_spec *specs[3] = {NULL, NULL, NULL};
    zfsvol_volume_copy copies[2];
    zfsvol_nvlist *results = NULL;
    zfsvol_nvlist *one;
    zfsvol_nvlist *inside;
    names[0] = ZFSVOL_STR("many1");
    names[1] = ZFSVOL_STR("many2");
    names[2] = ZFSVOL_STR("many1");
    memset(&spec, 0, sizeof(spec));
    spec.size = sizeof(spec);
    spec.block_bytes = 1 << 20;
    specs[1] = &spec;
    OK(zfsvol_volumes_create(node, names, specs, 3, 1, &results, &error));
    CHECK(count_in(results, "results") == 3 && number_in(results, "failed") == 1);
    one = list_in(results, "results", 1);
    inside = list_in(one, "info", 0);
    CHECK(same(text_in(one, "name"), "many2") && same(text_in(inside, "kind"), "block"));
    zfsvol_nvlist_free(inside);
    zfsvol_nvlist_free(one);
    one = list_in(results, "results", 2);
    inside = list_in(one, "error", 0);
    CHECK(number_in(inside, "status") == ZFSVOL_STATUS_EXISTS && text_in(inside, "message").len > 0);
    zfsvol_nvlist_free(inside);
    zfsvol_nvlist_free(one);
    zfsvol_nvlist_free(results);
    OK(zfsvol_volumes_snapshot(node, names, 2, ZFSVOL_STR("now"), 0, &results, &error));
    CHECK(number_in(results, "failed") == 0);
    zfsvol_nvlist_free(results);
    copies[0].from = names[0];
    copies[0].snapshot = ZFSVOL_STR("now");
    copies[0].to = ZFSVOL_STR("many3");
    copies[1].from = ZFSVOL_STR("none");
    copies[1].snapshot = ZFSVOL_NONE;
    copies[1].to = ZFSVOL_STR("many4");
    OK(zfsvol_volumes_clone(node, copies, 2, 0, &results, &error));
    CHECK(number_in(results, "failed") == 1);
    zfsvol_nvlist_free(results);
    OK(zfsvol_volume_destroy(node, ZFSVOL_STR("many3"), NULL, &error));
    names[2] = ZFSVOL_STR("many4");
    OK(zfsvol_volumes_destroy(node, names, 3, 0, &results, &error));
    CHECK(number_in(results, "failed") == 0);
    one = list_in(results, "results", 2);
    CHECK(!truth_in(one, "destroyed"));
    zfsvol_nvlist_free(one);
    zfsvol_nvlist_free(results);
    OK(zfsvol_volumes_create(node, names, NULL, 0, 0, &results, &error));
    zfsvol_nvlist_free(results);
    FAILS(zfsvol_volumes_create(node, NULL, NULL, 1, 0, &results, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_volumes_create(NULL, names, NULL, 1, 0, &results, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_volumes_clone(node, NULL, 1, 0, &results, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_volumes_destroy(node, names, 1, 0, NULL, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_volumes_snapshot(NULL, names, 1, ZFSVOL_NONE, 0, &results, &error), ZFSVOL_STATUS_NULL);
}

static void devices(zfsvol_zfs *zfs) {
    zfsvol_device *device = NULL;
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/f"), NULL, NULL, &error));
    FAILS(zfsvol_device_open(zfs, ZFSVOL_STR("tank/f"), false, 0, &device, &error), ZFSVOL_STATUS_WRONG_TYPE);
    FAILS(zfsvol_device_open(zfs, ZFSVOL_STR("tank/none"), false, 0, &device, &error), ZFSVOL_STATUS_NOT_FOUND);
}

int main(void) {
    zfsvol_zfs *here = embedded();
    zfsvol_zfs *there = embedded();
    heard one_heard = {0, 0, 0, 0};
    heard two_heard = {0, 0, 0, 0};
    zfsvol_node *one;
    zfsvol_node *two;
    opening(here);
    one = open_node(here, ONE, &one_heard);
    two = open_node(there, TWO, &two_heard);
    volumes(one);
    moving(one, two);
    many(one);
    devices(here);
    zfsvol_zfs_free(here);
    zfsvol_zfs_free(there);
    zfsvol_node_free(one);
    zfsvol_node_free(two);
    CHECK(one_heard.created == 4 && two_heard.events > 0);
    CHECK(one_heard.replicas_destroyed == 0 && two_heard.replicas_destroyed == 2);
    CHECK(one_heard.released == 1 && two_heard.released == 1);
    return 0;
}
