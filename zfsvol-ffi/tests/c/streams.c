/* Streams as data: verified, read record by record, copied and transformed, with no kernel. */
#include <unistd.h>

#include "check.h"
#include "memory.h"

static memory a_stream(void) {
    zfsvol_zfs *zfs = embedded();
    zfsvol_str name = ZFSVOL_STR("tank/a@1");
    memory stream;
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/a"), NULL, NULL, &error));
    OK(zfsvol_snapshot_create(zfs, &name, 1, NULL, &error));
    stream = sent(zfs, "tank/a@1", NULL);
    zfsvol_zfs_free(zfs);
    return stream;
}

/* Where the streams of a package go. */
typedef struct {
    memory parts[3];
    int count;
} parts;

static int32_t open_part(void *context, const zfsvol_nvlist *begin, zfsvol_writer *writer) {
    parts *all = (parts *)context;
    CHECK(has(text_in(begin, "to_name"), "tank/a@"));
    if (all->count == 3) {
        return 28;
    }
    *writer = writing(&all->parts[all->count++]);
    return 0;
}

static bool keeps(void *context, const zfsvol_nvlist *record) {
    zfsvol_nvlist *fields = list_in(record, "fields", 0);
    int *seen = (int *)context;
    ++*seen;
    CHECK(text_in(record, "kind").len > 0 && zfsvol_nvlist_count(fields) > 0);
    zfsvol_nvlist_free(fields);
    return !same(text_in(record, "kind"), "FREEOBJECTS");
}

static void taken_apart(memory *stream) {
    memory package;
    parts all;
    zfsvol_reader sources[2];
    zfsvol_reader reader;
    zfsvol_writer writer;
    zfsvol_nvlist *said = NULL;
    zfsvol_nvlist *summary = NULL;
    int seen = 0;
    memset(&package, 0, sizeof(package));
    memset(&all, 0, sizeof(all));
    sources[0] = reading(stream);
    writer = writing(&package);
    OK(zfsvol_stream_join(sources, 1, ZFSVOL_STR("tank/a@1"), NULL, &writer, &error));
    OK(zfsvol_stream_verify(package.data, package.len, &summary, &error));
    CHECK(number_in(summary, "streams") == 1);
    zfsvol_nvlist_free(summary);
    reader = reading(&package);
    OK(zfsvol_stream_split(&reader, open_part, &all, &said, &error));
    CHECK(all.count == 1 && said == NULL && all.parts[0].released == 1);
    CHECK(all.parts[0].len == stream->len);
    reader = reading(&package);
    all.count = 3;
    FAILS(zfsvol_stream_split(&reader, open_part, &all, NULL, &error), ZFSVOL_STATUS_IO);
    package.released = 0;
    reader = reading(&package);
    FAILS(zfsvol_stream_split(&reader, NULL, NULL, NULL, &error), ZFSVOL_STATUS_NULL);
    CHECK(package.released == 1);
    sources[0] = reading(&package);
    sources[1] = reading(stream);
    sources[1].read = NULL;
    package.released = 0;
    stream->released = 0;
    writer = writing(&all.parts[0]);
    FAILS(zfsvol_stream_join(sources, 2, ZFSVOL_STR("tank/a@1"), NULL, &writer, &error), ZFSVOL_STATUS_NULL);
    CHECK(package.released == 1 && stream->released == 1 && all.parts[0].released == 1);
    sources[0] = reading(&package);
    writer = writing(&all.parts[0]);
    FAILS(zfsvol_stream_join(sources, 1, ZFSVOL_STR("tank/a@1"), NULL, &writer, &error), ZFSVOL_STATUS_INVALID);
    summary = new_list();
    OK(zfsvol_nvlist_put_u64(summary, ZFSVOL_STR("fss"), 1, &error));
    sources[0] = reading(stream);
    writer = writing(&all.parts[0]);
    FAILS(zfsvol_stream_join(sources, 1, ZFSVOL_STR("tank/a@1"), summary, &writer, &error), ZFSVOL_STATUS_INVALID);
    zfsvol_nvlist_free(summary);

    reader = reading(stream);
    writer = writing(&all.parts[0]);
    OK(zfsvol_stream_filter(&reader, &writer, keeps, &seen, &error));
    CHECK(seen > 2 && all.parts[0].len < stream->len);
    OK(zfsvol_stream_verify(all.parts[0].data, all.parts[0].len, NULL, &error));
    reader = reading(stream);
    writer = writing(&all.parts[0]);
    FAILS(zfsvol_stream_filter(&reader, &writer, NULL, NULL, &error), ZFSVOL_STATUS_NULL);
    reader = reading(stream);
    writer = writing(&all.parts[0]);
    OK(zfsvol_stream_cut(&reader, &writer, 1, 0, &error));
    OK(zfsvol_stream_verify(all.parts[0].data, all.parts[0].len, NULL, &error));
    reader = reading(&package);
    writer = writing(&all.parts[0]);
    FAILS(zfsvol_stream_cut(&reader, &writer, 1, 0, &error), ZFSVOL_STATUS_INVALID);
    free(package.data);
    free(all.parts[0].data);
}

static void over_descriptors(memory *stream) {
    zfsvol_reader reader;
    zfsvol_writer writer;
    memory copy;
    FILE *file = tmpfile();
    memset(&copy, 0, sizeof(copy));
    CHECK(file != NULL);
    OK(zfsvol_writer_from_fd(fileno(file), &writer, &error));
    reader = reading(stream);
    OK(zfsvol_stream_copy(&reader, &writer, NULL, &error));
    CHECK(lseek(fileno(file), 0, SEEK_SET) == 0);
    OK(zfsvol_reader_from_fd(fileno(file), &reader, &error));
    writer = writing(&copy);
    OK(zfsvol_stream_copy(&reader, &writer, NULL, &error));
    CHECK(copy.len == stream->len && memcmp(copy.data, stream->data, copy.len) == 0);
    /* One that no call has got is released by hand. */
    OK(zfsvol_reader_from_fd(fileno(file), &reader, &error));
    reader.release(reader.context);
    FAILS(zfsvol_reader_from_fd(-1, &reader, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_writer_from_fd(fileno(file), NULL, &error), ZFSVOL_STATUS_NULL);
    fclose(file);
    free(copy.data);
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
    taken_apart(&stream);
    over_descriptors(&stream);
    FAILS(zfsvol_token_decode(ZFSVOL_STR("1-2-3-4"), &fields, &error), ZFSVOL_STATUS_INVALID);
    free(stream.data);
    return 0;
}
