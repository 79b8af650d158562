/* Streams as data: verified, read record by record, copied and transformed, with no kernel. */
#include <unistd.h>

#include "check.h"

typedef struct {
    uint8_t *data;
    size_t len;
    size_t at;
    int released;
} memory;

static int64_t append(void *context, const uint8_t *data, size_t len) {
    memory *to = (memory *)context;
    to->data = (uint8_t *)realloc(to->data, to->len + len);
    memcpy(to->data + to->len, data, len);
    to->len += len;
    return (int64_t)len;
}

static int64_t take(void *context, uint8_t *buffer, size_t len) {
    memory *from = (memory *)context;
    size_t count = from->len - from->at;
    count = count < len ? count : len;
    memcpy(buffer, from->data + from->at, count);
    from->at += count;
    return (int64_t)count;
}

static void released(void *context) {
    ((memory *)context)->released++;
}

static zfsvol_reader reading(memory *from) {
    zfsvol_reader reader;
    from->at = 0;
    reader.context = from;
    reader.read = take;
    reader.release = released;
    return reader;
}

static zfsvol_writer writing(memory *to) {
    zfsvol_writer writer;
    free(to->data);
    memset(to, 0, sizeof(*to));
    writer.context = to;
    writer.write = append;
    writer.release = released;
    return writer;
}

static memory a_stream(void) {
    zfsvol_zfs *zfs = embedded();
    zfsvol_send *send = NULL;
    zfsvol_transfer *transfer = NULL;
    zfsvol_str name = ZFSVOL_STR("tank/a@1");
    zfsvol_writer writer;
    memory stream;
    memset(&stream, 0, sizeof(stream));
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/a"), NULL, NULL, &error));
    OK(zfsvol_snapshot_create(zfs, &name, 1, NULL, &error));
    OK(zfsvol_send_start(zfs, name, NULL, &send, &error));
    writer = writing(&stream);
    OK(zfsvol_send_to_writer(send, &writer, &transfer, &error));
    OK(zfsvol_transfer_wait(transfer, -1, NULL, &error));
    zfsvol_transfer_free(transfer);
    zfsvol_send_free(send);
    zfsvol_zfs_free(zfs);
    return stream;
}

static void verified(const memory *stream) {
    zfsvol_nvlist *summary = NULL;
    zfsvol_nvlist *first;
    zfsvol_verifier *verifier = NULL;
    int ends[2];
    OK(zfsvol_stream_verify(stream->data, stream->len, &summary, &error));
    CHECK(number_in(summary, "bytes") == stream->len && number_in(summary, "streams") == 1);
    first = list_in(summary, "first", 0);
    zfsvol_nvlist_free(first);
    zfsvol_nvlist_free(summary);
    FAILS(zfsvol_stream_verify(stream->data, stream->len - 1, NULL, &error), ZFSVOL_STATUS_STREAM_TRUNCATED);
    stream->data[400] ^= 1;
    FAILS(zfsvol_stream_verify(stream->data, stream->len, NULL, &error), ZFSVOL_STATUS_STREAM_DAMAGED);
    stream->data[400] ^= 1;

    OK(zfsvol_verifier_new(&verifier, &error));
    OK(zfsvol_verifier_feed(verifier, stream->data, 100, &error));
    OK(zfsvol_verifier_feed(verifier, stream->data + 100, stream->len - 100, &error));
    OK(zfsvol_verifier_progress(verifier, &summary, &error));
    zfsvol_nvlist_free(summary);
    OK(zfsvol_verifier_finish(verifier, NULL, &error));
    FAILS(zfsvol_verifier_feed(verifier, stream->data, 1, &error), ZFSVOL_STATUS_CONSUMED);
    zfsvol_verifier_free(verifier);
    zfsvol_verifier_free(NULL);

    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], stream->data, 312) == 312);
    close(ends[1]);
    FAILS(zfsvol_stream_verify_fd(ends[0], NULL, &error), ZFSVOL_STATUS_STREAM_TRUNCATED);
    close(ends[0]);
    FAILS(zfsvol_stream_verify_fd(-1, NULL, &error), ZFSVOL_STATUS_INVALID);
}

static void read_by_record(memory *stream) {
    zfsvol_reader reader = reading(stream);
    zfsvol_records *records = NULL;
    zfsvol_nvlist *record = NULL;
    int count = 0;
    int before = stream->released;
    int ends[2];
    OK(zfsvol_records_open(&reader, &records, &error));
    for (;; count++) {
        OK(zfsvol_records_next(records, count % 2 == 0, &record, &error));
        if (record == NULL) {
            break;
        }
        CHECK(number_in(record, "index") == (uint64_t)count && text_in(record, "text").len > 0);
        CHECK(count != 0 || same(text_in(record, "part"), "stream"));
        zfsvol_nvlist_free(record);
    }
    CHECK(count > 2);
    zfsvol_records_free(records);
    zfsvol_records_free(NULL);
    CHECK(stream->released == before + 1);
    CHECK(pipe(ends) == 0);
    close(ends[1]);
    OK(zfsvol_records_open_fd(ends[0], &records, &error));
    close(ends[0]);
    FAILS(zfsvol_records_next(records, false, &record, &error), ZFSVOL_STATUS_STREAM_TRUNCATED);
    zfsvol_records_free(records);
}

static void transformed(memory *stream) {
    memory copy;
    zfsvol_reader reader;
    zfsvol_writer writer;
    uint64_t dropped = 9;
    memset(&copy, 0, sizeof(copy));
    reader = reading(stream);
    writer = writing(&copy);
    OK(zfsvol_stream_copy(&reader, &writer, NULL, &error));
    CHECK(copy.len == stream->len && memcmp(copy.data, stream->data, copy.len) == 0 && copy.released == 1);
    reader = reading(stream);
    writer = writing(&copy);
    OK(zfsvol_stream_decompress(&reader, &writer, &error));
    OK(zfsvol_stream_verify(copy.data, copy.len, NULL, &error));
    reader = reading(stream);
    writer = writing(&copy);
    OK(zfsvol_stream_drop_record(&reader, &writer, 999999, 0, &dropped, &error));
    CHECK(dropped == 0 && copy.len == stream->len);
    reader = reading(stream);
    writer = writing(&copy);
    FAILS(zfsvol_stream_recompress(&reader, &writer, ZFSVOL_STR("zip"), &error), ZFSVOL_STATUS_INVALID);
    CHECK(copy.released == 1);
    reader = reading(stream);
    writer = writing(&copy);
    OK(zfsvol_stream_recompress(&reader, &writer, ZFSVOL_STR("lz4"), &error));
    OK(zfsvol_stream_verify(copy.data, copy.len, NULL, &error));
    reader = reading(stream);
    FAILS(zfsvol_stream_copy(&reader, NULL, NULL, &error), ZFSVOL_STATUS_NULL);
    free(copy.data);
}

int main(void) {
    memory stream = a_stream();
    zfsvol_nvlist *fields = NULL;
    verified(&stream);
    read_by_record(&stream);
    transformed(&stream);
    FAILS(zfsvol_token_decode(ZFSVOL_STR("1-2-3-4"), &fields, &error), ZFSVOL_STATUS_INVALID);
    free(stream.data);
    return 0;
}
