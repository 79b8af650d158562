/*
 * A small form of the behaviour suite: the names are those of the scenarios in tests/src/suite, and the same bodies run on the embedded kernel and on OpenZFS.
 *
 *     suite                       on the embedded kernel
 *     suite zfs: POOL/DATASET     on the OpenZFS of this machine, as root, in a dataset that exists and that nobody needs
 *
 * Prints a line for each scenario, and ends at the first that fails.
 */
#include "memory.h"

#include <stdarg.h>
#include <unistd.h>

#define VOLUME_BYTES (4u << 20)

/* A kernel, and a dataset of the scenario's own in it. */
static zfsvol_zfs *zfs;
static char root[128];

/* The name below that dataset. Good for the next 32 names. */
static const char *at(const char *name) {
    static char names[32][256];
    static unsigned next;
    char *place = names[next++ % 32];
    int len = snprintf(place, sizeof(names[0]), "%s/%s", root, name);
    CHECK(len > 0 && (size_t)len < sizeof(names[0]));
    return place;
}

static int there(const char *name) {
    bool answer = false;
    OK(zfsvol_dataset_exists(zfs, str(at(name)), &answer, &error));
    return answer;
}

/* Nobody needs the file systems mounted. */
static void file_system_of(const char *name) {
    zfsvol_nvlist *properties = new_list();
    OK(zfsvol_nvlist_put_str(properties, ZFSVOL_STR("mountpoint"), ZFSVOL_STR("none"), &error));
    OK(zfsvol_filesystem_create(zfs, str(name), properties, NULL, &error));
    zfsvol_nvlist_free(properties);
}

static void file_system(const char *name) {
    file_system_of(at(name));
}

static void snapshot(const char *name) {
    zfsvol_str view = str(at(name));
    OK(zfsvol_snapshot_create(zfs, &view, 1, NULL, &error));
}

static void write_at(const char *name, uint64_t offset, const uint8_t *data, size_t len) {
    zfsvol_device *device = NULL;
    OK(zfsvol_device_open(zfs, str(at(name)), true, 10000, &device, &error));
    OK(zfsvol_device_write(device, offset, data, len, &error));
    OK(zfsvol_device_flush(device, &error));
    zfsvol_device_free(device);
}

/* A zvol of 4 MiB with something on it that is not compressed. */
static void volume(const char *name, const zfsvol_key *key) {
    static uint8_t data[1 << 20];
    zfsvol_nvlist *properties = new_list();
    uint32_t random = 1;
    size_t i;
    for (i = 0; i < sizeof(data); i++) {
        random = random * 1664525u + 1013904223u;
        data[i] = (uint8_t)(random >> 24);
    }
    OK(zfsvol_nvlist_put_u64(properties, ZFSVOL_STR("volblocksize"), 16384, &error));
    OK(zfsvol_zvol_create(zfs, str(at(name)), VOLUME_BYTES, properties, key, &error));
    zfsvol_nvlist_free(properties);
    write_at(name, 0, data, sizeof(data));
}

/* All of a zvol, for the caller to free. */
static uint8_t *content(const char *name) {
    zfsvol_device *device = NULL;
    uint8_t *data = (uint8_t *)malloc(VOLUME_BYTES);
    uint64_t size = 0;
    CHECK(data != NULL);
    OK(zfsvol_device_open(zfs, str(at(name)), false, 10000, &device, &error));
    OK(zfsvol_device_size(device, &size, &error));
    CHECK(size == VOLUME_BYTES);
    OK(zfsvol_device_read(device, 0, data, VOLUME_BYTES, &error));
    zfsvol_device_free(device);
    return data;
}

static int same_content(const char *one, const char *other) {
    uint8_t *left = content(one);
    uint8_t *right = content(other);
    int is_same = memcmp(left, right, VOLUME_BYTES) == 0;
    free(left);
    free(right);
    return is_same;
}

/* Has the stream received, as `snapshot`, and gives the status; the stream is freed. */
static zfsvol_status receive(const char *name, memory stream, bool force, bool resumable) {
    zfsvol_receive_options options;
    zfsvol_receive *receiving = NULL;
    zfsvol_transfer *transfer = NULL;
    zfsvol_reader reader = reading(&stream);
    zfsvol_status status;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.force = force;
    options.resumable = resumable;
    OK(zfsvol_receive_start(zfs, str(at(name)), &options, &receiving, &error));
    OK(zfsvol_receive_from_reader(receiving, &reader, &transfer, &error));
    status = zfsvol_transfer_wait(transfer, -1, NULL, NULL);
    zfsvol_transfer_free(transfer);
    zfsvol_receive_free(receiving);
    free(stream.data);
    return status;
}

static memory stream_of(const char *name, const char *base) {
    return sent(zfs, at(name), base == NULL ? NULL : at(base));
}

static uint64_t number_of(const char *name, const char *property) {
    zfsvol_nvlist *found = NULL;
    uint64_t number;
    OK(zfsvol_property_get(zfs, str(at(name)), str(property), &found, &error));
    number = number_in(found, "value");
    zfsvol_nvlist_free(found);
    return number;
}

/* The origin of a dataset is that snapshot; "" for none. */
static int origin_is(const char *name, const char *expected) {
    zfsvol_list_options options;
    zfsvol_listing *listing = NULL;
    zfsvol_nvlist *found = NULL;
    zfsvol_str origin = ZFSVOL_NONE;
    zfsvol_str only = str(at(name));
    zfsvol_pair pair;
    int is;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.roots = &only;
    options.root_count = 1;
    OK(zfsvol_listing_open(zfs, &options, &listing, &error));
    OK(zfsvol_listing_next(listing, &found, &error));
    CHECK(found != NULL);
    if (zfsvol_nvlist_get(found, ZFSVOL_STR("origin"), &pair)) {
        origin = text_in(found, "origin");
    }
    is = same(origin, expected);
    zfsvol_nvlist_free(found);
    zfsvol_listing_free(listing);
    return is;
}

/* What keeps something busy, as an error or one of its failures has it in its details, is that alone. */
static int is_busy_by(const zfsvol_nvlist *details, const char *why, const char *name) {
    zfsvol_nvlist *reason = list_in(details, "busy", 0);
    zfsvol_str first = ZFSVOL_NONE;
    int is;
    OK(zfsvol_nvlist_text(reason, ZFSVOL_STR("names"), 0, &first, &error));
    is = count_in(details, "busy") == 1 && count_in(reason, "names") == 1 && same(text_in(reason, "why"), why) && same(first, name);
    zfsvol_nvlist_free(reason);
    return is;
}

static void hold(const char *name, const char *tag, const zfsvol_handle *handle) {
    zfsvol_hold one;
    one.snapshot = str(at(name));
    one.tag = str(tag);
    OK(zfsvol_hold_create(zfs, &one, 1, handle, NULL, &error));
}

static void release(const char *name, const char *tag) {
    zfsvol_hold one;
    zfsvol_nvlist *missing = NULL;
    one.snapshot = str(at(name));
    one.tag = str(tag);
    OK(zfsvol_hold_release(zfs, &one, 1, &missing, &error));
    CHECK(count_in(missing, "snapshots") == 0);
    zfsvol_nvlist_free(missing);
}

static size_t holds_of(const char *name) {
    zfsvol_nvlist *list = NULL;
    size_t count;
    OK(zfsvol_hold_list(zfs, str(at(name)), &list, &error));
    count = count_in(list, "holds");
    zfsvol_nvlist_free(list);
    return count;
}

static void a_file_system_is_created_and_exists(void) {
    zfsvol_list_options options;
    zfsvol_names *names = NULL;
    zfsvol_buffer name = {NULL, 0};
    zfsvol_str below = str(root);
    int found = 0;
    CHECK(!there("a"));
    file_system("a");
    CHECK(there("a"));
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.roots = &below;
    options.root_count = 1;
    OK(zfsvol_names_open(zfs, &options, &names, &error));
    for (;;) {
        OK(zfsvol_names_next(names, &name, &error));
        if (name.ptr == NULL) {
            break;
        }
        found += strcmp(name.ptr, at("a")) == 0;
        zfsvol_buffer_free(&name);
    }
    zfsvol_names_free(names);
    CHECK(found == 1);
}

static void a_zvol_is_created_with_its_size(void) {
    OK(zfsvol_zvol_create(zfs, str(at("v")), 8 << 20, NULL, NULL, &error));
    CHECK(number_of("v", "volsize") == 8 << 20);
}

static void create_refuses_what_is_there_and_what_has_no_parent(void) {
    file_system("a");
    FAILS(zfsvol_filesystem_create(zfs, str(at("a")), NULL, NULL, &error), ZFSVOL_STATUS_EXISTS);
    FAILS(zfsvol_filesystem_create(zfs, str(at("none/a")), NULL, NULL, &error), ZFSVOL_STATUS_NOT_FOUND);
}

static void clone_of(const char *name, const char *origin) {
    zfsvol_nvlist *properties = new_list();
    OK(zfsvol_nvlist_put_str(properties, ZFSVOL_STR("mountpoint"), ZFSVOL_STR("none"), &error));
    OK(zfsvol_clone_create(zfs, str(at(name)), str(at(origin)), properties, &error));
    zfsvol_nvlist_free(properties);
}

static void promote_swaps_clone_and_origin(void) {
    file_system("a");
    snapshot("a@s");
    clone_of("b", "a@s");
    OK(zfsvol_dataset_promote(zfs, str(at("b")), &error));
    CHECK(origin_is("a", at("b@s")) && origin_is("b", ""));
}

static void destroy_names_children_and_snapshots(void) {
    zfsvol_error *failed = NULL;
    zfsvol_nvlist *details;
    file_system("a");
    file_system("a/b");
    CHECK(zfsvol_dataset_destroy(zfs, str(at("a")), &failed) == ZFSVOL_STATUS_BUSY);
    details = zfsvol_error_details(failed);
    CHECK(is_busy_by(details, "children", at("a/b")));
    zfsvol_nvlist_free(details);
    zfsvol_error_free(failed);
}

static void rollback_goes_to_the_newest_snapshot(void) {
    static const uint8_t other[4096] = {1, 2, 3};
    zfsvol_buffer name = {NULL, 0};
    uint8_t *before;
    uint8_t *after;
    volume("v", NULL);
    before = content("v");
    snapshot("v@s");
    write_at("v", 0, other, sizeof(other));
    OK(zfsvol_dataset_rollback(zfs, str(at("v")), &name, &error));
    CHECK(strcmp(name.ptr, at("v@s")) == 0);
    zfsvol_buffer_free(&name);
    after = content("v");
    CHECK(memcmp(before, after, VOLUME_BYTES) == 0);
    free(before);
    free(after);
}

static void many_snapshots_are_made_at_once(void) {
    zfsvol_str names[3];
    file_system("a");
    file_system("b");
    file_system("c");
    names[0] = str(at("a@s"));
    names[1] = str(at("b@s"));
    names[2] = str(at("c@s"));
    OK(zfsvol_snapshot_create(zfs, names, 3, NULL, &error));
    CHECK(number_of("a@s", "createtxg") == number_of("b@s", "createtxg"));
    CHECK(number_of("b@s", "createtxg") == number_of("c@s", "createtxg"));
}

static void one_that_cannot_be_made_keeps_all_from_being_made(void) {
    zfsvol_str names[2];
    zfsvol_error *failed = NULL;
    zfsvol_failure failure;
    file_system("a");
    file_system("b");
    snapshot("b@s");
    names[0] = str(at("a@s"));
    names[1] = str(at("b@s"));
    CHECK(zfsvol_snapshot_create(zfs, names, 2, NULL, &failed) == ZFSVOL_STATUS_EXISTS);
    CHECK(zfsvol_error_failures(failed) == 1 && zfsvol_error_failure(failed, 0, &failure));
    CHECK(same(failure.name, at("b@s")));
    zfsvol_error_free(failed);
    CHECK(!there("a@s"));
}

static void destroying_passes_over_what_is_not_there(void) {
    zfsvol_str names[2];
    file_system("a");
    snapshot("a@s");
    names[0] = str(at("a@none"));
    names[1] = str(at("a@s"));
    OK(zfsvol_snapshot_destroy(zfs, names, 2, false, &error));
    CHECK(!there("a@s"));
}

static void a_held_or_cloned_snapshot_is_not_destroyed_and_keeps_the_others(void) {
    zfsvol_str names[2];
    zfsvol_error *failed = NULL;
    zfsvol_nvlist *details;
    zfsvol_nvlist *failure;
    file_system("a");
    snapshot("a@held");
    snapshot("a@free");
    hold("a@held", "t", NULL);
    names[0] = str(at("a@held"));
    names[1] = str(at("a@free"));
    CHECK(zfsvol_snapshot_destroy(zfs, names, 2, false, &failed) == ZFSVOL_STATUS_BUSY);
    details = zfsvol_error_details(failed);
    CHECK(count_in(details, "failures") == 1);
    failure = list_in(details, "failures", 0);
    CHECK(same(text_in(failure, "name"), at("a@held")) && is_busy_by(failure, "holds", "t"));
    zfsvol_nvlist_free(failure);
    zfsvol_nvlist_free(details);
    zfsvol_error_free(failed);
    CHECK(there("a@free"));
    release("a@held", "t");
}

static void a_deferred_destroy_waits_for_the_last_hold(void) {
    zfsvol_str name;
    file_system("a");
    snapshot("a@s");
    hold("a@s", "t", NULL);
    name = str(at("a@s"));
    OK(zfsvol_snapshot_destroy(zfs, &name, 1, true, &error));
    CHECK(there("a@s"));
    release("a@s", "t");
    CHECK(!there("a@s"));
}

static void a_tree_is_snapshotted_in_one_transaction_group(void) {
    zfsvol_nvlist *made = NULL;
    file_system("a");
    file_system("a/b");
    OK(zfsvol_snapshot_create_recursive(zfs, str(at("a")), ZFSVOL_STR("s"), NULL, &made, &error));
    CHECK(count_in(made, "snapshots") == 2 && there("a@s") && there("a/b@s"));
    zfsvol_nvlist_free(made);
    CHECK(number_of("a@s", "createtxg") == number_of("a/b@s", "createtxg"));
}

static void holds_are_put_listed_and_released(void) {
    file_system("a");
    snapshot("a@s");
    CHECK(holds_of("a@s") == 0);
    hold("a@s", "b", NULL);
    hold("a@s", "a", NULL);
    CHECK(holds_of("a@s") == 2);
    release("a@s", "a");
    release("a@s", "b");
    CHECK(holds_of("a@s") == 0);
}

static void a_temporary_hold_ends_with_its_handle(void) {
    zfsvol_handle *handle = NULL;
    zfsvol_str pool = str(root);
    pool.len = strcspn(root, "/");
    file_system("a");
    snapshot("a@s");
    OK(zfsvol_handle_open(zfs, &handle, &error));
    hold("a@s", "t", handle);
    CHECK(holds_of("a@s") == 1);
    zfsvol_handle_free(handle);
    OK(zfsvol_pool_sync(zfs, pool, false, &error));
    CHECK(holds_of("a@s") == 0);
}

/* A volume with a snapshot `s`, and its copy `w`. */
static void copied(void) {
    volume("v", NULL);
    snapshot("v@s");
    CHECK(receive("w@s", stream_of("v@s", NULL), false, false) == ZFSVOL_STATUS_OK);
}

static void write_more(const char *name) {
    static uint8_t more[16384];
    memset(more, 'm', sizeof(more));
    write_at(name, 2 << 20, more, sizeof(more));
}

static void a_full_stream_makes_the_same_volume(void) {
    copied();
    CHECK(same_content("v", "w"));
}

static void an_increment_from_a_snapshot_makes_the_same_volume(void) {
    copied();
    write_more("v");
    snapshot("v@t");
    CHECK(receive("w@t", stream_of("v@t", "v@s"), false, false) == ZFSVOL_STATUS_OK);
    CHECK(same_content("v", "w"));
}

static void an_increment_from_a_bookmark_makes_the_same_volume(void) {
    zfsvol_bookmark bookmark;
    copied();
    bookmark.name = str(at("v#s"));
    bookmark.source = str(at("v@s"));
    OK(zfsvol_bookmark_create(zfs, &bookmark, 1, &error));
    OK(zfsvol_snapshot_destroy(zfs, &bookmark.source, 1, false, &error));
    write_more("v");
    snapshot("v@t");
    CHECK(receive("w@t", stream_of("v@t", "v#s"), false, false) == ZFSVOL_STATUS_OK);
    CHECK(same_content("v", "w"));
}

static void an_increment_needs_its_base_at_the_destination(void) {
    volume("v", NULL);
    snapshot("v@s");
    snapshot("v@t");
    CHECK(receive("w@other", stream_of("v@t", NULL), false, false) == ZFSVOL_STATUS_OK);
    CHECK(receive("w@t", stream_of("v@t", "v@s"), false, false) == ZFSVOL_STATUS_BASE_MISSING);
}

static void a_changed_destination_is_refused_unless_forced(void) {
    copied();
    snapshot("v@t");
    write_more("w");
    CHECK(receive("w@t", stream_of("v@t", "v@s"), false, false) == ZFSVOL_STATUS_DESTINATION_MODIFIED);
    CHECK(receive("w@t", stream_of("v@t", "v@s"), true, false) == ZFSVOL_STATUS_OK);
    CHECK(same_content("v", "w"));
}

static void an_interrupted_full_receive_is_resumed(void) {
    zfsvol_buffer token = {NULL, 0};
    zfsvol_send *rest = NULL;
    zfsvol_str view;
    memory stream;
    volume("v", NULL);
    snapshot("v@s");
    stream = stream_of("v@s", NULL);
    stream.len = stream.len * 2 / 3;
    CHECK(receive("w@s", stream, false, true) == ZFSVOL_STATUS_STREAM_TRUNCATED);
    OK(zfsvol_receive_token(zfs, str(at("w")), &token, &error));
    CHECK(token.ptr != NULL);
    view.ptr = token.ptr;
    view.len = token.len;
    OK(zfsvol_send_start_resumed(zfs, view, ZFSVOL_NONE, &rest, &error));
    zfsvol_buffer_free(&token);
    CHECK(receive("w@s", drained(rest), false, true) == ZFSVOL_STATUS_OK);
    CHECK(same_content("v", "w"));
}

static void a_raw_stream_needs_no_key_and_stays_encrypted(void) {
    uint8_t bytes[32];
    zfsvol_key *key = NULL;
    zfsvol_device *device = NULL;
    uint8_t *before;
    uint8_t *after;
    memset(bytes, 'k', sizeof(bytes));
    OK(zfsvol_key_raw(bytes, sizeof(bytes), &key, &error));
    volume("v", key);
    before = content("v");
    snapshot("v@s");
    OK(zfsvol_key_unload(zfs, str(at("v")), &error));
    CHECK(receive("w@s", sent_with(zfs, at("v@s"), NULL, ZFSVOL_SEND_RAW), false, false) == ZFSVOL_STATUS_OK);
    FAILS(zfsvol_device_open(zfs, str(at("w")), false, 10000, &device, &error), ZFSVOL_STATUS_KEY_NOT_LOADED);
    OK(zfsvol_key_load(zfs, str(at("w")), key, &error));
    zfsvol_key_free(key);
    after = content("w");
    CHECK(memcmp(before, after, VOLUME_BYTES) == 0);
    free(before);
    free(after);
}

/* Writes a new record, with the fields that are named up to NULL. */
static void put(zfsvol_stream_writer *to, const char *kind, const uint8_t *payload, size_t len, ...) {
    zfsvol_nvlist *record = NULL;
    zfsvol_nvlist *fields;
    const char *name;
    va_list named;
    OK(zfsvol_stream_record_new(str(kind), &record, &error));
    fields = list_in(record, "fields", 0);
    OK(zfsvol_nvlist_put_u64(fields, ZFSVOL_STR("to_guid"), 0x5eed5eed5eedull, &error));
    va_start(named, len);
    while ((name = va_arg(named, const char *)) != NULL) {
        OK(zfsvol_nvlist_put_u64(fields, str(name), va_arg(named, uint64_t), &error));
    }
    va_end(named);
    OK(zfsvol_nvlist_put_list(record, ZFSVOL_STR("fields"), fields, &error));
    OK(zfsvol_stream_writer_write(to, record, payload, len, &error));
    zfsvol_nvlist_free(fields);
    zfsvol_nvlist_free(record);
}

#define N(number) ((uint64_t)(number))
#define NO_MORE ((const char *)NULL)

static void a_stream_made_of_nothing_is_a_volume(void) {
    static uint8_t block[16384];
    static uint8_t zap[512];
    zfsvol_stream_writer *to = NULL;
    uint8_t *found;
    memory made;
    zfsvol_writer writer;
    memset(&made, 0, sizeof(made));
    memset(block, 'm', sizeof(block));
    /* The ZAP of one block that says the size of a zvol: 4 MiB. */
    memcpy(zap, "\3\0\0\0\0\0\0\200\171\126\64\22", 12);
    zap[66] = 0x40;
    memcpy(zap + 78, "size", 4);
    writer = writing(&made);
    OK(zfsvol_stream_writer_open(&writer, ZFSVOL_BYTE_ORDER_LITTLE, &to, &error));
    put(to, "BEGIN", NULL, 0, "version_info", N(1), "creation_time", N(1700000000), "objset_type", N(3), "flags", N(4), NO_MORE);
    put(to, "OBJECT", NULL, 0, "object", N(1), "object_type", N(23), "block_bytes", N(sizeof(block)), "slots", N(1), NO_MORE);
    put(to, "FREE", NULL, 0, "object", N(1), "offset", N(VOLUME_BYTES), "length", N(-1), NO_MORE);
    put(to, "WRITE", block, sizeof(block), "object", N(1), "object_type", N(23), "offset", N(sizeof(block)), "logical_bytes", N(sizeof(block)), NO_MORE);
    put(to, "OBJECT", NULL, 0, "object", N(2), "object_type", N(24), "block_bytes", N(sizeof(zap)), "slots", N(1), NO_MORE);
    put(to, "WRITE", zap, sizeof(zap), "object", N(2), "object_type", N(24), "logical_bytes", N(sizeof(zap)), NO_MORE);
    put(to, "END", NULL, 0, NO_MORE);
    OK(zfsvol_stream_writer_finish(to, &error));
    zfsvol_stream_writer_free(to);
    CHECK(receive("w@s", made, false, false) == ZFSVOL_STATUS_OK);
    found = content("w");
    CHECK(found[0] == 0 && memcmp(found + sizeof(block), block, sizeof(block)) == 0 && found[2 * sizeof(block)] == 0);
    free(found);
}

static int state_is(const zfsvol_node *node, const char *state) {
    zfsvol_nvlist *info = NULL;
    int is;
    OK(zfsvol_volume_get(node, ZFSVOL_STR("db"), &info, &error));
    CHECK(info != NULL);
    is = same(text_in(info, "state"), state);
    zfsvol_nvlist_free(info);
    return is;
}

static void finished(zfsvol_transfer *transfer) {
    OK(zfsvol_transfer_wait(transfer, 60000, NULL, &error));
    zfsvol_transfer_free(transfer);
}

static void a_handoff_changes_the_owner_and_keeps_the_data(void) {
    zfsvol_node *here = NULL;
    zfsvol_node *other = NULL;
    zfsvol_peer *peer = NULL;
    zfsvol_device *device = NULL;
    zfsvol_transfer *transfer = NULL;
    zfsvol_volume_spec spec;
    uint8_t said[5] = {0};
    OK(zfsvol_node_open(zfs, str(at("one")), ZFSVOL_STR("11111111-1111-4111-8111-111111111111"), NULL, &here, &error));
    OK(zfsvol_node_open(zfs, str(at("two")), ZFSVOL_STR("22222222-2222-4222-8222-222222222222"), NULL, &other, &error));
    OK(zfsvol_peer_local(other, &peer, &error));
    memset(&spec, 0, sizeof(spec));
    spec.size = sizeof(spec);
    spec.block_bytes = VOLUME_BYTES;
    spec.sparse = true;
    OK(zfsvol_volume_create(here, ZFSVOL_STR("db"), &spec, NULL, &error));
    OK(zfsvol_volume_open_device(here, ZFSVOL_STR("db"), true, 10000, &device, &error));
    OK(zfsvol_device_write(device, 0, (const uint8_t *)"hello", 5, &error));
    OK(zfsvol_device_flush(device, &error));
    zfsvol_device_free(device);
    OK(zfsvol_volume_push(here, ZFSVOL_STR("db"), peer, NULL, &transfer, &error));
    finished(transfer);
    OK(zfsvol_volume_handoff(here, ZFSVOL_STR("db"), peer, NULL, &transfer, &error));
    finished(transfer);
    CHECK(state_is(here, "replica") && state_is(other, "owned"));
    OK(zfsvol_volume_open_device(other, ZFSVOL_STR("db"), false, 10000, &device, &error));
    OK(zfsvol_device_read(device, 0, said, sizeof(said), &error));
    CHECK(memcmp(said, "hello", sizeof(said)) == 0);
    zfsvol_device_free(device);
    /* What pushes keep goes with the volumes. */
    OK(zfsvol_volume_destroy(other, ZFSVOL_STR("db"), NULL, &error));
    OK(zfsvol_volume_takeover(here, ZFSVOL_STR("db"), NULL, &error));
    OK(zfsvol_volume_destroy(here, ZFSVOL_STR("db"), NULL, &error));
    zfsvol_peer_free(peer);
    zfsvol_node_free(here);
    zfsvol_node_free(other);
}

typedef struct {
    const char *name;
    void (*run)(void);
} scenario;

#define SCENARIO(name) {#name, name}

static const scenario SCENARIOS[] = {
    SCENARIO(a_file_system_is_created_and_exists),
    SCENARIO(a_zvol_is_created_with_its_size),
    SCENARIO(create_refuses_what_is_there_and_what_has_no_parent),
    SCENARIO(promote_swaps_clone_and_origin),
    SCENARIO(destroy_names_children_and_snapshots),
    SCENARIO(rollback_goes_to_the_newest_snapshot),
    SCENARIO(many_snapshots_are_made_at_once),
    SCENARIO(one_that_cannot_be_made_keeps_all_from_being_made),
    SCENARIO(destroying_passes_over_what_is_not_there),
    SCENARIO(a_held_or_cloned_snapshot_is_not_destroyed_and_keeps_the_others),
    SCENARIO(a_deferred_destroy_waits_for_the_last_hold),
    SCENARIO(a_tree_is_snapshotted_in_one_transaction_group),
    SCENARIO(holds_are_put_listed_and_released),
    SCENARIO(a_temporary_hold_ends_with_its_handle),
    SCENARIO(a_full_stream_makes_the_same_volume),
    SCENARIO(an_increment_from_a_snapshot_makes_the_same_volume),
    SCENARIO(an_increment_from_a_bookmark_makes_the_same_volume),
    SCENARIO(an_increment_needs_its_base_at_the_destination),
    SCENARIO(a_changed_destination_is_refused_unless_forced),
    SCENARIO(an_interrupted_full_receive_is_resumed),
    SCENARIO(a_raw_stream_needs_no_key_and_stays_encrypted),
    SCENARIO(a_stream_made_of_nothing_is_a_volume),
    SCENARIO(a_handoff_changes_the_owner_and_keeps_the_data),
};

int main(int argc, char **argv) {
    const char *uri = argc == 3 ? argv[1] : "embedded:";
    const char *below = argc == 3 ? argv[2] : "tank";
    size_t count = sizeof(SCENARIOS) / sizeof(SCENARIOS[0]);
    size_t i;
    CHECK(argc == 1 || argc == 3);
    for (i = 0; i < count; i++) {
        /* Before it runs, so that one that ends the program is known. */
        printf("%s ...\n", SCENARIOS[i].name);
        fflush(stdout);
        CHECK(snprintf(root, sizeof(root), "%s/c-%ld-%u", below, (long)getpid(), (unsigned)i) < (int)sizeof(root));
        OK(zfsvol_zfs_open(str(uri), &zfs, &error));
        file_system_of(root);
        SCENARIOS[i].run();
        OK(zfsvol_dataset_destroy_recursive(zfs, str(root), NULL, &error));
        zfsvol_zfs_free(zfs);
    }
    printf("%u of %u scenarios passed\n", (unsigned)count, (unsigned)count);
    return 0;
}
