/* Sends, receives and transfers: by hand, by descriptor, by callback, resumed and cancelled. */
#include <unistd.h>

#include "check.h"

/* A stream in memory, with a count of how often it was released. */
typedef struct {
    uint8_t *data;
    size_t len;
    size_t at;
    int released;
    int64_t fails_with;
} memory;

static int64_t append(void *context, const uint8_t *data, size_t len) {
    memory *to = (memory *)context;
    if (to->fails_with != 0) {
        return to->fails_with;
    }
    to->data = (uint8_t *)realloc(to->data, to->len + len);
    memcpy(to->data + to->len, data, len);
    to->len += len;
    return (int64_t)len;
}

static int64_t take(void *context, uint8_t *buffer, size_t len) {
    memory *from = (memory *)context;
    size_t count = from->len - from->at;
    if (from->fails_with != 0) {
        return from->fails_with;
    }
    count = count < len ? count : len;
    memcpy(buffer, from->data + from->at, count);
    from->at += count;
    return (int64_t)count;
}

static void released(void *context) {
    ((memory *)context)->released++;
}

static zfsvol_send *send_of(zfsvol_zfs *zfs, const char *snapshot) {
    zfsvol_send *stream = NULL;
    OK(zfsvol_send_start(zfs, str(snapshot), NULL, &stream, &error));
    return stream;
}

static zfsvol_receive *receive_as(zfsvol_zfs *zfs, const char *snapshot) {
    zfsvol_receive *stream = NULL;
    OK(zfsvol_receive_start(zfs, str(snapshot), NULL, &stream, &error));
    return stream;
}

/* All of a stream, read by hand. */
static memory read_all(zfsvol_send *stream) {
    memory all;
    uint8_t buffer[4096];
    size_t count = 0;
    uint64_t bytes = 0;
    memset(&all, 0, sizeof(all));
    do {
        OK(zfsvol_send_read(stream, buffer, sizeof(buffer), &count, &error));
        append(&all, buffer, count);
    } while (count != 0);
    OK(zfsvol_send_bytes(stream, &bytes, &error));
    CHECK(bytes == all.len);
    return all;
}

static void by_hand(zfsvol_zfs *zfs) {
    zfsvol_send *send = send_of(zfs, "tank/a@1");
    memory stream = read_all(send);
    zfsvol_receive *receive = receive_as(zfs, "tank/b@1");
    zfsvol_nvlist *result = NULL;
    zfsvol_nvlist *begin;
    uint64_t bytes = 0;
    zfsvol_send_free(send);
    OK(zfsvol_receive_write(receive, stream.data, stream.len, &error));
    OK(zfsvol_receive_bytes(receive, &bytes, &error));
    CHECK(bytes == stream.len);
    OK(zfsvol_receive_finish(receive, &result, &error));
    CHECK(same(text_in(result, "snapshot"), "tank/b@1") && number_in(result, "bytes") == stream.len);
    begin = list_in(result, "begin", 0);
    CHECK(same(text_in(begin, "to_name"), "tank/a@1") && same(text_in(begin, "header_type"), "substream"));
    zfsvol_nvlist_free(begin);
    zfsvol_nvlist_free(result);
    FAILS(zfsvol_receive_finish(receive, NULL, &error), ZFSVOL_STATUS_CONSUMED);
    FAILS(zfsvol_receive_write(receive, stream.data, 1, &error), ZFSVOL_STATUS_CONSUMED);
    zfsvol_receive_free(receive);

    /* What is no stream. */
    receive = receive_as(zfs, "tank/x@1");
    stream.data[8] ^= 0xff;
    {
        zfsvol_status status = zfsvol_receive_write(receive, stream.data, stream.len, NULL);
        CHECK(status == ZFSVOL_STATUS_OK || status == ZFSVOL_STATUS_STREAM_DAMAGED);
    }
    FAILS(zfsvol_receive_finish(receive, NULL, &error), ZFSVOL_STATUS_STREAM_DAMAGED);
    zfsvol_receive_free(receive);
    free(stream.data);
}

static void by_descriptor(zfsvol_zfs *zfs) {
    zfsvol_send *send = send_of(zfs, "tank/a@1");
    zfsvol_receive *receive = receive_as(zfs, "tank/c@1");
    zfsvol_transfer *sending = NULL;
    zfsvol_transfer *receiving = NULL;
    zfsvol_nvlist *result = NULL;
    zfsvol_progress progress;
    int ends[2];
    CHECK(pipe(ends) == 0);
    FAILS(zfsvol_send_to_fd(send, -1, &sending, &error), ZFSVOL_STATUS_INVALID);
    OK(zfsvol_send_to_fd(send, ends[1], &sending, &error));
    OK(zfsvol_receive_from_fd(receive, ends[0], &receiving, &error));
    /* They have duplicates. */
    close(ends[0]);
    close(ends[1]);
    OK(zfsvol_transfer_wait(sending, -1, &result, &error));
    zfsvol_nvlist_free(result);
    OK(zfsvol_transfer_wait(receiving, -1, &result, &error));
    CHECK(same(text_in(result, "snapshot"), "tank/c@1"));
    zfsvol_nvlist_free(result);
    FAILS(zfsvol_transfer_wait(receiving, 0, NULL, &error), ZFSVOL_STATUS_CONSUMED);
    memset(&progress, 0, sizeof(progress));
    progress.size = sizeof(progress);
    FAILS(zfsvol_transfer_progress(receiving, &progress, &error), ZFSVOL_STATUS_CONSUMED);
    FAILS(zfsvol_send_to_fd(send, 1, &sending, &error), ZFSVOL_STATUS_CONSUMED);
    zfsvol_transfer_free(sending);
    zfsvol_transfer_free(receiving);
    zfsvol_transfer_free(NULL);
    zfsvol_send_free(send);
    zfsvol_receive_free(receive);
}

static void by_callback(zfsvol_zfs *zfs) {
    zfsvol_send *send = send_of(zfs, "tank/a@1");
    zfsvol_receive *receive = receive_as(zfs, "tank/d@1");
    zfsvol_transfer *transfer = NULL;
    zfsvol_progress progress;
    zfsvol_writer writer;
    zfsvol_reader reader;
    memory stream;
    memset(&stream, 0, sizeof(stream));
    writer.context = &stream;
    writer.write = append;
    writer.release = released;
    OK(zfsvol_send_to_writer(send, &writer, &transfer, &error));
    OK(zfsvol_transfer_wait(transfer, -1, NULL, &error));
    CHECK(stream.released == 1 && stream.len > 312);
    zfsvol_transfer_free(transfer);
    zfsvol_send_free(send);

    reader.context = &stream;
    reader.read = take;
    reader.release = released;
    OK(zfsvol_receive_from_reader(receive, &reader, &transfer, &error));
    memset(&progress, 0, sizeof(progress));
    progress.size = sizeof(progress);
    OK(zfsvol_transfer_progress(transfer, &progress, &error));
    CHECK(progress.phase == ZFSVOL_PHASE_SENDING && progress.total == 0);
    CHECK(progress.phase != ZFSVOL_PHASE_COMPARING && progress.phase != ZFSVOL_PHASE_SETTLING);
    OK(zfsvol_transfer_wait(transfer, -1, NULL, &error));
    CHECK(stream.released == 2);
    zfsvol_transfer_free(transfer);
    zfsvol_receive_free(receive);

    /* A callback that fails, and one that is not there: the context is released all the same. */
    send = send_of(zfs, "tank/a@1");
    stream.fails_with = -28;
    OK(zfsvol_send_to_writer(send, &writer, &transfer, &error));
    FAILS(zfsvol_transfer_wait(transfer, -1, NULL, &error), ZFSVOL_STATUS_NO_SPACE);
    CHECK(stream.released == 3);
    zfsvol_transfer_free(transfer);
    FAILS(zfsvol_send_to_writer(send, &writer, &transfer, &error), ZFSVOL_STATUS_CONSUMED);
    CHECK(stream.released == 4);
    zfsvol_send_free(send);
    writer.write = NULL;
    FAILS(zfsvol_send_to_writer(NULL, &writer, &transfer, &error), ZFSVOL_STATUS_NULL);
    CHECK(stream.released == 5);
    FAILS(zfsvol_send_to_writer(NULL, NULL, &transfer, &error), ZFSVOL_STATUS_NULL);
    free(stream.data);
}

static void on_this_machine(zfsvol_zfs *zfs) {
    zfsvol_send *send = NULL;
    zfsvol_receive *receive = receive_as(zfs, "tank/b@2");
    zfsvol_transfer *transfer = NULL;
    zfsvol_send_options options;
    uint64_t bytes = 0;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.base = ZFSVOL_STR("tank/a@1");
    options.flags = ZFSVOL_SEND_LARGE_BLOCK | ZFSVOL_SEND_EMBED | ZFSVOL_SEND_COMPRESS;
    OK(zfsvol_send_space(zfs, ZFSVOL_STR("tank/a@2"), &options, -1, &bytes, &error));
    CHECK(bytes > 0);
    OK(zfsvol_send_space(zfs, ZFSVOL_STR("tank/a@2"), &options, 1, &bytes, &error));
    OK(zfsvol_send_start(zfs, ZFSVOL_STR("tank/a@2"), &options, &send, &error));
    OK(zfsvol_send_to_receive(send, receive, &transfer, &error));
    OK(zfsvol_transfer_wait(transfer, -1, NULL, &error));
    zfsvol_transfer_free(transfer);
    zfsvol_send_free(send);
    zfsvol_receive_free(receive);
    options.base = ZFSVOL_STR("tank/a@none");
    FAILS(zfsvol_send_start(zfs, ZFSVOL_STR("tank/a@2"), &options, &send, &error), ZFSVOL_STATUS_BASE_MISSING);
    options.flags = ZFSVOL_SEND_RAW << 1;
    FAILS(zfsvol_send_start(zfs, ZFSVOL_STR("tank/a@2"), &options, &send, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    {
        zfsvol_nvlist *progress = NULL;
        FAILS(zfsvol_send_progress(zfs, ZFSVOL_STR("tank/a@2"), 1, &progress, &error), ZFSVOL_STATUS_NOT_FOUND);
    }
}

static void resumed(zfsvol_zfs *zfs) {
    zfsvol_send *send = send_of(zfs, "tank/v@1");
    memory stream = read_all(send);
    zfsvol_receive_options options;
    zfsvol_receive *receive = NULL;
    zfsvol_transfer *transfer = NULL;
    zfsvol_nvlist *how = NULL;
    zfsvol_buffer token = {NULL, 0};
    zfsvol_str text;
    bool aborted = true;
    zfsvol_send_free(send);
    OK(zfsvol_receive_token(zfs, ZFSVOL_STR("tank/v"), &token, &error));
    CHECK(token.ptr == NULL);
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.resumable = true;
    OK(zfsvol_receive_start(zfs, ZFSVOL_STR("tank/r@1"), &options, &receive, &error));
    (void)zfsvol_receive_write(receive, stream.data, stream.len - 400, NULL);
    FAILS(zfsvol_receive_finish(receive, NULL, &error), ZFSVOL_STATUS_STREAM_TRUNCATED);
    zfsvol_receive_free(receive);
    OK(zfsvol_receive_token(zfs, ZFSVOL_STR("tank/r"), &token, &error));
    CHECK(token.ptr != NULL);
    text.ptr = token.ptr;
    text.len = token.len;
    {
        zfsvol_send *saved = NULL;
        OK(zfsvol_send_start_saved(zfs, ZFSVOL_STR("tank/r"), NULL, &saved, &error));
        zfsvol_send_cancel(saved);
        zfsvol_send_free(saved);
    }
    OK(zfsvol_send_resume_options(zfs, text, ZFSVOL_NONE, &how, &error));
    CHECK(same(text_in(how, "snapshot"), "tank/v@1"));
    zfsvol_nvlist_free(how);
    FAILS(zfsvol_send_start_resumed(zfs, ZFSVOL_STR("1-2-3"), ZFSVOL_NONE, &send, &error), ZFSVOL_STATUS_INVALID);
    OK(zfsvol_send_start_resumed(zfs, text, ZFSVOL_NONE, &send, &error));
    OK(zfsvol_receive_start(zfs, ZFSVOL_STR("tank/r@1"), &options, &receive, &error));
    OK(zfsvol_send_to_receive(send, receive, &transfer, &error));
    OK(zfsvol_transfer_wait(transfer, -1, NULL, &error));
    zfsvol_transfer_free(transfer);
    zfsvol_send_free(send);
    zfsvol_receive_free(receive);
    zfsvol_buffer_free(&token);
    OK(zfsvol_receive_abort(zfs, ZFSVOL_STR("tank/r"), &aborted, &error));
    CHECK(!aborted);
    free(stream.data);
}

static void cancelled(zfsvol_zfs *zfs) {
    zfsvol_receive *receive = receive_as(zfs, "tank/y@1");
    zfsvol_transfer *transfer = NULL;
    int ends[2];
    CHECK(pipe(ends) == 0);
    OK(zfsvol_receive_from_fd(receive, ends[0], &transfer, &error));
    FAILS(zfsvol_transfer_wait(transfer, 10, NULL, &error), ZFSVOL_STATUS_TIMED_OUT);
    zfsvol_transfer_cancel(transfer);
    zfsvol_transfer_cancel(NULL);
    FAILS(zfsvol_transfer_wait(transfer, -1, NULL, &error), ZFSVOL_STATUS_CANCELLED);
    zfsvol_transfer_free(transfer);
    zfsvol_receive_free(receive);
    close(ends[0]);
    close(ends[1]);
    receive = receive_as(zfs, "tank/y@1");
    zfsvol_receive_cancel(receive);
    zfsvol_receive_cancel(NULL);
    zfsvol_send_cancel(NULL);
    zfsvol_receive_free(receive);
    zfsvol_receive_free(NULL);
    zfsvol_send_free(NULL);
}

int main(void) {
    zfsvol_zfs *zfs = embedded();
    zfsvol_str names[3];
    OK(zfsvol_filesystem_create(zfs, ZFSVOL_STR("tank/a"), NULL, NULL, &error));
    OK(zfsvol_zvol_create(zfs, ZFSVOL_STR("tank/v"), 8 << 20, NULL, NULL, &error));
    names[0] = ZFSVOL_STR("tank/a@1");
    names[1] = ZFSVOL_STR("tank/v@1");
    OK(zfsvol_snapshot_create(zfs, names, 2, NULL, &error));
    names[0] = ZFSVOL_STR("tank/a@2");
    OK(zfsvol_snapshot_create(zfs, names, 1, NULL, &error));
    by_hand(zfs);
    by_descriptor(zfs);
    by_callback(zfs);
    on_this_machine(zfs);
    resumed(zfs);
    cancelled(zfs);
    zfsvol_zfs_free(zfs);
    return 0;
}
