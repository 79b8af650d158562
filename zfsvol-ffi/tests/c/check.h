/* What the C tests have in common: checks that say where they failed, and a pool of this process. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "zfsvol.h"

/* The condition holds, or the test is over. */
#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

/* The call, which ends in `&error`, succeeds. */
#define OK(call) \
    do { \
        zfsvol_error *error = NULL; \
        zfsvol_status status = (call); \
        if (status != ZFSVOL_STATUS_OK || error != NULL) { \
            zfsvol_str text = zfsvol_error_message(error); \
            fprintf(stderr, "%s:%d: %u: %.*s\n", __FILE__, __LINE__, (unsigned)status, (int)text.len, text.ptr); \
            exit(1); \
        } \
    } while (0)

/* The call, which ends in `&error`, fails with that status, and the error says so. */
#define FAILS(call, expected) \
    do { \
        zfsvol_error *error = NULL; \
        zfsvol_status status = (call); \
        if (status != (expected) || zfsvol_error_status(error) != (expected) \
            || zfsvol_error_message(error).len == 0) { \
            zfsvol_str text = zfsvol_error_message(error); \
            fprintf(stderr, "%s:%d: %u instead of %u: %.*s\n", __FILE__, __LINE__, (unsigned)status, \
                    (unsigned)(expected), (int)text.len, text.ptr); \
            exit(1); \
        } \
        zfsvol_error_free(error); \
    } while (0)

static inline zfsvol_str str(const char *text) {
    zfsvol_str view;
    view.ptr = text;
    view.len = text == NULL ? 0 : strlen(text);
    return view;
}

static inline int same(zfsvol_str view, const char *text) {
    return view.len == strlen(text) && (view.len == 0 || memcmp(view.ptr, text, view.len) == 0);
}

/* Whether `text` has `part` in it. */
static inline int has(zfsvol_str text, const char *part) {
    size_t len = strlen(part);
    size_t at;
    for (at = 0; at + len <= text.len; at++) {
        if (memcmp(text.ptr + at, part, len) == 0) {
            return 1;
        }
    }
    return 0;
}

/* A new directory, which the test removes: below $TMPDIR, as it is not everywhere that /tmp is for large files. */
#define PLACE_BYTES 4096
static inline void make_place(char place[PLACE_BYTES]) {
    const char *above = getenv("TMPDIR");
    int len = snprintf(place, PLACE_BYTES, "%s/zfsvol-c-XXXXXX", above == NULL || above[0] == '\0' ? "/tmp" : above);
    CHECK(len > 0 && len < PLACE_BYTES && mkdtemp(place) != NULL);
}

/* A kernel in this process, with one empty pool `tank`. */
static inline zfsvol_zfs *embedded(void) {
    zfsvol_zfs *zfs = NULL;
    OK(zfsvol_zfs_open(ZFSVOL_STR("embedded:"), &zfs, &error));
    return zfs;
}

static inline zfsvol_nvlist *new_list(void) {
    zfsvol_nvlist *list = NULL;
    OK(zfsvol_nvlist_new(&list, &error));
    return list;
}

static inline uint64_t number_in(const zfsvol_nvlist *list, const char *name) {
    uint64_t number = 0;
    OK(zfsvol_nvlist_get_u64(list, str(name), &number, &error));
    return number;
}

static inline zfsvol_str text_in(const zfsvol_nvlist *list, const char *name) {
    zfsvol_str text = ZFSVOL_NONE;
    OK(zfsvol_nvlist_get_str(list, str(name), &text, &error));
    return text;
}

static inline int truth_in(const zfsvol_nvlist *list, const char *name) {
    bool truth = false;
    OK(zfsvol_nvlist_get_bool(list, str(name), &truth, &error));
    return truth;
}

static inline zfsvol_nvlist *list_in(const zfsvol_nvlist *list, const char *name, size_t index) {
    zfsvol_nvlist *element = NULL;
    OK(zfsvol_nvlist_list(list, str(name), index, &element, &error));
    return element;
}

/* The bytes of a byte array, lent. */
static inline const uint8_t *bytes_in(const zfsvol_nvlist *list, const char *name, size_t *len) {
    zfsvol_pair pair;
    CHECK(zfsvol_nvlist_get(list, str(name), &pair) && pair.pair_type == ZFSVOL_TYPE_BYTE_ARRAY);
    *len = pair.count;
    return (const uint8_t *)pair.items;
}

static inline size_t count_in(const zfsvol_nvlist *list, const char *name) {
    zfsvol_pair pair;
    return zfsvol_nvlist_get(list, str(name), &pair) ? pair.count : 0;
}

#endif
