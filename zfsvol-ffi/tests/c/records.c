/* Streams written record by record: as they were read, changed, and made from nothing. */
#include "check.h"
#include "memory.h"

static zfsvol_records *reading_records(memory *from) {
    zfsvol_reader reader = reading(from);
    zfsvol_records *records = NULL;
    OK(zfsvol_records_open(&reader, &records, &error));
    return records;
}

static zfsvol_stream_writer *writing_records(memory *to, zfsvol_byte_order order) {
    zfsvol_writer writer = writing(to);
    zfsvol_stream_writer *stream = NULL;
    OK(zfsvol_stream_writer_open(&writer, order, &stream, &error));
    return stream;
}

/* Writes a record with the payload that it was read with. */
static void write_back(zfsvol_stream_writer *to, const zfsvol_nvlist *record) {
    size_t len = 0;
    const uint8_t *payload = bytes_in(record, "payload", &len);
    OK(zfsvol_stream_writer_write(to, record, payload, len, &error));
}

static void close_stream(zfsvol_stream_writer *stream, const memory *to) {
    CHECK(to->released == 0);
    OK(zfsvol_stream_writer_finish(stream, &error));
    CHECK(to->released == 1);
    FAILS(zfsvol_stream_writer_finish(stream, &error), ZFSVOL_STATUS_CONSUMED);
    zfsvol_stream_writer_free(stream);
    CHECK(to->released == 1);
}

/* The record with another number in its fields. */
static void set(zfsvol_nvlist *record, const char *name, uint64_t number) {
    zfsvol_nvlist *fields = list_in(record, "fields", 0);
    OK(zfsvol_nvlist_put_u64(fields, str(name), number, &error));
    OK(zfsvol_nvlist_put_list(record, ZFSVOL_STR("fields"), fields, &error));
    zfsvol_nvlist_free(fields);
}

static memory a_zvol_stream(void) {
    static uint8_t block[16384];
    zfsvol_zfs *zfs = embedded();
    zfsvol_device *device = NULL;
    zfsvol_str name = ZFSVOL_STR("tank/v@1");
    memory stream;
    size_t at;
    for (at = 0; at < sizeof(block); at++) {
        block[at] = (uint8_t)(at % 251);
    }
    OK(zfsvol_zvol_create(zfs, ZFSVOL_STR("tank/v"), 1 << 20, NULL, NULL, &error));
    OK(zfsvol_device_open(zfs, ZFSVOL_STR("tank/v"), true, 1000, &device, &error));
    OK(zfsvol_device_write(device, 0, block, sizeof(block), &error));
    OK(zfsvol_device_flush(device, &error));
    zfsvol_device_free(device);
    OK(zfsvol_snapshot_create(zfs, &name, 1, NULL, &error));
    stream = sent(zfs, "tank/v@1", NULL);
    zfsvol_zfs_free(zfs);
    return stream;
}

/* What was read is written as it was, and what follows the stream stays where it is. */
static void copied(const memory *stream) {
    memory longer;
    memory copy;
    zfsvol_records *records;
    zfsvol_stream_writer *to;
    zfsvol_nvlist *record = NULL;
    zfsvol_nvlist *summary = NULL;
    uint64_t count = 0;
    memset(&longer, 0, sizeof(longer));
    memset(&copy, 0, sizeof(copy));
    longer.data = (uint8_t *)malloc(stream->len + 4);
    CHECK(longer.data != NULL);
    memcpy(longer.data, stream->data, stream->len);
    memcpy(longer.data + stream->len, "more", 4);
    longer.len = stream->len + 4;
    records = reading_records(&longer);
    OK(zfsvol_records_stop_at_end(records, &error));
    to = writing_records(&copy, ZFSVOL_BYTE_ORDER_BIG);
    for (;; count++) {
        size_t len = 0;
        OK(zfsvol_records_next(records, true, &record, &error));
        if (record == NULL) {
            break;
        }
        CHECK(!truth_in(record, "big_endian") && bytes_in(record, "header", &len) != NULL && len == 312);
        write_back(to, record);
        zfsvol_nvlist_free(record);
    }
    OK(zfsvol_records_progress(records, &summary, &error));
    CHECK(number_in(summary, "bytes") == stream->len && number_in(summary, "streams") == 1 && count > 3);
    zfsvol_nvlist_free(summary);
    CHECK(longer.at == stream->len);
    zfsvol_records_free(records);
    close_stream(to, &copy);
    CHECK(copy.len == stream->len && memcmp(copy.data, stream->data, copy.len) == 0);
    /* Without that, what follows is damage. */
    records = reading_records(&longer);
    while (count-- > 0) {
        OK(zfsvol_records_next(records, false, &record, &error));
        zfsvol_nvlist_free(record);
    }
    FAILS(zfsvol_records_next(records, false, &record, &error), ZFSVOL_STATUS_STREAM_DAMAGED);
    zfsvol_records_free(records);
    free(longer.data);
    free(copy.data);
}

/* The block of the zvol is moved, and another is written in its place: the stream is received as that. */
static void changed(memory *stream) {
    static uint8_t found[3 * 16384];
    static uint8_t block[16384];
    memory made;
    zfsvol_zfs *zfs = embedded();
    zfsvol_device *device = NULL;
    zfsvol_receive *receive = NULL;
    zfsvol_nvlist *received = NULL;
    zfsvol_records *records = reading_records(stream);
    zfsvol_stream_writer *to;
    zfsvol_nvlist *record = NULL;
    memset(&made, 0, sizeof(made));
    memset(block, 'x', sizeof(block));
    to = writing_records(&made, ZFSVOL_BYTE_ORDER_HOST);
    for (;;) {
        OK(zfsvol_records_next(records, true, &record, &error));
        if (record == NULL) {
            break;
        }
        if (same(text_in(record, "kind"), "WRITE") && number_in(record, "object") == 1) {
            OK(zfsvol_stream_writer_write(to, record, block, sizeof(block), &error));
            set(record, "offset", 2 * sizeof(block));
        }
        write_back(to, record);
        zfsvol_nvlist_free(record);
    }
    zfsvol_records_free(records);
    close_stream(to, &made);
    OK(zfsvol_receive_start(zfs, ZFSVOL_STR("tank/w@1"), NULL, &receive, &error));
    OK(zfsvol_receive_write(receive, made.data, made.len, &error));
    OK(zfsvol_receive_finish(receive, &received, &error));
    zfsvol_nvlist_free(received);
    zfsvol_receive_free(receive);
    OK(zfsvol_device_open(zfs, ZFSVOL_STR("tank/w"), false, 1000, &device, &error));
    OK(zfsvol_device_read(device, 0, found, sizeof(found), &error));
    CHECK(memcmp(found, block, sizeof(block)) == 0 && found[sizeof(block)] == 0);
    CHECK(found[2 * sizeof(block)] == 0 && found[2 * sizeof(block) + 250] == 250);
    zfsvol_device_free(device);
    zfsvol_zfs_free(zfs);
    free(made.data);
}

static zfsvol_nvlist *new_record(const char *kind) {
    zfsvol_nvlist *record = NULL;
    OK(zfsvol_stream_record_new(str(kind), &record, &error));
    CHECK(same(text_in(record, "kind"), kind));
    return record;
}

static void put_new(zfsvol_stream_writer *to, zfsvol_nvlist *record, const uint8_t *payload, size_t len) {
    OK(zfsvol_stream_writer_write(to, record, payload, len, &error));
    zfsvol_nvlist_free(record);
}

/* A package of one stream, made of nothing on a machine of the other byte order; and what is refused on the way. */
static void made_anew(void) {
    static const char *const kinds[] = {
        "OBJECT", "FREEOBJECTS", "WRITE_BYREF", "SPILL", "WRITE_EMBEDDED", "OBJECT_RANGE", "REDACT",
    };
    zfsvol_buffer packed;
    memory made;
    zfsvol_nvlist *record;
    zfsvol_nvlist *list = new_list();
    zfsvol_nvlist *summary = NULL;
    zfsvol_nvlist *numbers = NULL;
    zfsvol_nvlist *features;
    zfsvol_records *records;
    zfsvol_stream_writer *to;
    size_t at;
    memset(&made, 0, sizeof(made));
    to = writing_records(&made, ZFSVOL_BYTE_ORDER_BIG);
    OK(zfsvol_stream_numbers(&numbers, &error));
    features = list_in(numbers, "features", 0);
    OK(zfsvol_nvlist_put_u64(list, ZFSVOL_STR("resume_object"), 1, &error));
    OK(zfsvol_nvlist_pack(list, ZFSVOL_ENCODING_NATIVE_BIG, &packed, &error));
    zfsvol_nvlist_free(list);

    record = new_record("BEGIN");
    FAILS(zfsvol_stream_writer_write(to, record, NULL, 0, &error), ZFSVOL_STATUS_INVALID);
    set(record, "version_info", 2);
    FAILS(zfsvol_stream_writer_write(to, record, (const uint8_t *)packed.ptr, packed.len, &error), ZFSVOL_STATUS_INVALID);
    put_new(to, record, NULL, 0);
    put_new(to, new_record("END"), NULL, 0);
    record = new_record("BEGIN");
    set(record, "version_info", 1 + 4 * number_in(features, "resuming"));
    zfsvol_nvlist_free(features);
    set(record, "to_guid", 7);
    set(record, "payload_bytes", packed.len);
    put_new(to, record, (const uint8_t *)packed.ptr, packed.len);
    zfsvol_buffer_free(&packed);
    record = new_record("FREE");
    set(record, "object", 1);
    set(record, "to_guid", 7);
    set(record, "length", 512);
    put_new(to, record, NULL, 0);
    FAILS(zfsvol_stream_writer_write(to, NULL, NULL, 0, &error), ZFSVOL_STATUS_NULL);
    record = new_record("WRITE");
    set(record, "flags", 256);
    FAILS(zfsvol_stream_writer_write(to, record, NULL, 0, &error), ZFSVOL_STATUS_INVALID);
    set(record, "flags", 0);
    set(record, "ofset", 1);
    FAILS(zfsvol_stream_writer_write(to, record, NULL, 0, &error), ZFSVOL_STATUS_INVALID);
    CHECK(zfsvol_nvlist_remove(record, ZFSVOL_STR("fields")));
    FAILS(zfsvol_stream_writer_write(to, record, NULL, 0, &error), ZFSVOL_STATUS_INVALID);
    zfsvol_nvlist_free(record);
    record = new_record("END");
    OK(zfsvol_nvlist_put_numbers(record, ZFSVOL_STR("header"), ZFSVOL_TYPE_BYTE_ARRAY, "ab", 2, &error));
    FAILS(zfsvol_stream_writer_write(to, record, NULL, 0, &error), ZFSVOL_STATUS_INVALID);
    CHECK(zfsvol_nvlist_remove(record, ZFSVOL_STR("header")));
    set(record, "to_guid", 7);
    put_new(to, record, NULL, 0);
    put_new(to, new_record("END"), NULL, 0);
    close_stream(to, &made);

    OK(zfsvol_stream_verify(made.data, made.len, &summary, &error));
    CHECK(truth_in(summary, "big_endian") && number_in(summary, "streams") == 1);
    zfsvol_nvlist_free(summary);
    records = reading_records(&made);
    for (at = 0; at < 3; at++) {
        OK(zfsvol_records_next(records, true, &record, &error));
        if (at == 2) {
            size_t len = 0;
            const uint8_t *payload = bytes_in(record, "payload", &len);
            CHECK(truth_in(record, "big_endian"));
            OK(zfsvol_nvlist_unpack(payload, len, &list, &error));
            CHECK(number_in(list, "resume_object") == 1);
            zfsvol_nvlist_free(list);
        }
        zfsvol_nvlist_free(record);
    }
    zfsvol_records_free(records);
    list = list_in(numbers, "object_types", 0);
    CHECK(number_in(list, "zvol object") == 23 && zfsvol_nvlist_count(list) == 54);
    zfsvol_nvlist_free(list);
    list = list_in(numbers, "compressions", 0);
    CHECK(number_in(list, "zstd") == 16);
    zfsvol_nvlist_free(list);
    list = list_in(numbers, "begin_flags", 0);
    CHECK(number_in(list, "free_records") == 4 && zfsvol_nvlist_count(list) == 4);
    zfsvol_nvlist_free(list);
    zfsvol_nvlist_free(numbers);
    for (at = 0; at < sizeof(kinds) / sizeof(kinds[0]); at++) {
        zfsvol_nvlist_free(new_record(kinds[at]));
    }
    FAILS(zfsvol_stream_record_new(ZFSVOL_STR("WRIT"), &record, &error), ZFSVOL_STATUS_INVALID);
    free(made.data);
}

static int64_t full(void *context, const uint8_t *data, size_t len) {
    (void)context;
    (void)data;
    (void)len;
    return -28;
}

static void given_up(void) {
    memory made;
    zfsvol_writer writer;
    zfsvol_stream_writer *to = NULL;
    zfsvol_nvlist *record = new_record("BEGIN");
    zfsvol_nvlist *list = new_list();
    zfsvol_buffer packed;
    memset(&made, 0, sizeof(made));
    to = writing_records(&made, ZFSVOL_BYTE_ORDER_LITTLE);
    FAILS(zfsvol_stream_writer_finish(to, &error), ZFSVOL_STATUS_INVALID);
    CHECK(made.released == 1);
    FAILS(zfsvol_stream_writer_write(to, record, NULL, 0, &error), ZFSVOL_STATUS_CONSUMED);
    zfsvol_stream_writer_free(to);
    to = writing_records(&made, ZFSVOL_BYTE_ORDER_LITTLE);
    zfsvol_stream_writer_free(to);
    zfsvol_stream_writer_free(NULL);
    CHECK(made.released == 1 && made.len == 0);
    made.released = 0;
    writer = writing(&made);
    FAILS(zfsvol_stream_writer_open(&writer, 3, &to, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    CHECK(made.released == 1);
    FAILS(zfsvol_stream_writer_open(NULL, ZFSVOL_BYTE_ORDER_HOST, &to, &error), ZFSVOL_STATUS_NULL);
    writer = writing(&made);
    writer.write = full;
    OK(zfsvol_stream_writer_open(&writer, ZFSVOL_BYTE_ORDER_HOST, &to, &error));
    set(record, "version_info", 1);
    FAILS(zfsvol_stream_writer_write(to, record, NULL, 0, &error), ZFSVOL_STATUS_NO_SPACE);
    FAILS(zfsvol_stream_writer_write(to, record, NULL, 0, &error), ZFSVOL_STATUS_INVALID);
    zfsvol_stream_writer_free(to);
    OK(zfsvol_nvlist_pack(list, ZFSVOL_ENCODING_NATIVE_LITTLE, &packed, &error));
    CHECK(((const uint8_t *)packed.ptr)[1] == 1);
    zfsvol_buffer_free(&packed);
    zfsvol_nvlist_free(list);
    zfsvol_nvlist_free(record);
    free(made.data);
}

int main(void) {
    memory stream = a_zvol_stream();
    copied(&stream);
    changed(&stream);
    made_anew();
    given_up();
    free(stream.data);
    return 0;
}
