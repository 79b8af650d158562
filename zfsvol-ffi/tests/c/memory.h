/* A stream in memory, as a reader and as a writer. */
#ifndef MEMORY_H
#define MEMORY_H

#include "check.h"

typedef struct {
    uint8_t *data;
    size_t len;
    size_t at;
    int released;
} memory;

static inline int64_t append(void *context, const uint8_t *data, size_t len) {
    memory *to = (memory *)context;
    to->data = (uint8_t *)realloc(to->data, to->len + len);
    memcpy(to->data + to->len, data, len);
    to->len += len;
    return (int64_t)len;
}

static inline int64_t take(void *context, uint8_t *buffer, size_t len) {
    memory *from = (memory *)context;
    size_t count = from->len - from->at;
    count = count < len ? count : len;
    memcpy(buffer, from->data + from->at, count);
    from->at += count;
    return (int64_t)count;
}

static inline void released(void *context) {
    ((memory *)context)->released++;
}

static inline zfsvol_reader reading(memory *from) {
    zfsvol_reader reader;
    from->at = 0;
    reader.context = from;
    reader.read = take;
    reader.release = released;
    return reader;
}

static inline zfsvol_writer writing(memory *to) {
    zfsvol_writer writer;
    free(to->data);
    memset(to, 0, sizeof(*to));
    writer.context = to;
    writer.write = append;
    writer.release = released;
    return writer;
}

/* What a send of that snapshot writes to memory, until its end. */
static inline memory drained(zfsvol_send *send) {
    zfsvol_transfer *transfer = NULL;
    zfsvol_writer writer;
    memory stream;
    memset(&stream, 0, sizeof(stream));
    writer = writing(&stream);
    OK(zfsvol_send_to_writer(send, &writer, &transfer, &error));
    OK(zfsvol_transfer_wait(transfer, -1, NULL, &error));
    zfsvol_transfer_free(transfer);
    zfsvol_send_free(send);
    return stream;
}

/* What a send of that snapshot writes, from `base` on if there is one. */
static inline memory sent_with(zfsvol_zfs *zfs, const char *snapshot, const char *base, zfsvol_send_flags flags) {
    zfsvol_send_options options;
    zfsvol_send *send = NULL;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.base = str(base);
    options.flags = flags;
    OK(zfsvol_send_start(zfs, str(snapshot), &options, &send, &error));
    return drained(send);
}

static inline memory sent(zfsvol_zfs *zfs, const char *snapshot, const char *base) {
    return sent_with(zfs, snapshot, base, 0);
}

#endif
