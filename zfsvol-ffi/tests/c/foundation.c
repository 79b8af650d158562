/* Versions, statuses, errors, handles and nvlists. */
#include "check.h"

static void versions(void) {
    CHECK(zfsvol_abi() == ZFSVOL_ABI);
    CHECK(zfsvol_version().len >= 5);
}

static void statuses(void) {
    static const zfsvol_status all[] = {
        ZFSVOL_STATUS_OK, ZFSVOL_STATUS_INVALID_NAME, ZFSVOL_STATUS_INVALID, ZFSVOL_STATUS_INVALID_PROPERTY,
        ZFSVOL_STATUS_WRONG_TYPE, ZFSVOL_STATUS_NOT_FOUND, ZFSVOL_STATUS_EXISTS, ZFSVOL_STATUS_UNRELATED,
        ZFSVOL_STATUS_BUSY, ZFSVOL_STATUS_IN_PROGRESS, ZFSVOL_STATUS_RESUME_PENDING, ZFSVOL_STATUS_DENIED,
        ZFSVOL_STATUS_READ_ONLY, ZFSVOL_STATUS_KEY_NOT_LOADED, ZFSVOL_STATUS_WRONG_KEY, ZFSVOL_STATUS_NOT_OWNER,
        ZFSVOL_STATUS_NOT_PERMITTED, ZFSVOL_STATUS_NO_SPACE, ZFSVOL_STATUS_QUOTA_EXCEEDED, ZFSVOL_STATUS_TOO_LARGE, ZFSVOL_STATUS_UNSUPPORTED,
        ZFSVOL_STATUS_FEATURE_DISABLED, ZFSVOL_STATUS_NO_MODULE, ZFSVOL_STATUS_STREAM_UNSUPPORTED,
        ZFSVOL_STATUS_STREAM_DAMAGED, ZFSVOL_STATUS_STREAM_TRUNCATED, ZFSVOL_STATUS_DESTINATION_MODIFIED,
        ZFSVOL_STATUS_BASE_MISSING, ZFSVOL_STATUS_ENCRYPTION_MISMATCH, ZFSVOL_STATUS_DISCONNECTED,
        ZFSVOL_STATUS_POOL_SUSPENDED, ZFSVOL_STATUS_POOL_UNAVAILABLE, ZFSVOL_STATUS_IO, ZFSVOL_STATUS_CORRUPT,
        ZFSVOL_STATUS_CANCELLED, ZFSVOL_STATUS_INTERRUPTED, ZFSVOL_STATUS_TIMED_OUT, ZFSVOL_STATUS_PROGRAM_FAILED,
        ZFSVOL_STATUS_SEVERAL, ZFSVOL_STATUS_PROTOCOL, ZFSVOL_STATUS_OTHER, ZFSVOL_STATUS_NULL,
        ZFSVOL_STATUS_NOT_UTF8, ZFSVOL_STATUS_PANIC, ZFSVOL_STATUS_CONSUMED, ZFSVOL_STATUS_WRONG_HANDLE,
        ZFSVOL_STATUS_UNKNOWN_NUMBER,
    };
    size_t at;
    for (at = 0; at < sizeof(all) / sizeof(all[0]); at++) {
        CHECK(!same(zfsvol_status_name(all[at]), "unknown"));
        CHECK(at == 0 || all[at] > all[at - 1]);
    }
    CHECK(same(zfsvol_status_name(ZFSVOL_STATUS_NOT_FOUND), "not found"));
    CHECK(same(zfsvol_status_name(199), "unknown"));
}

static void errors(void) {
    zfsvol_zfs *zfs = (zfsvol_zfs *)0x10;
    zfsvol_error *error = NULL;
    zfsvol_nvlist *details;
    zfsvol_failure failure;
    zfsvol_status status = zfsvol_zfs_open(ZFSVOL_STR("nowhere:"), &zfs, &error);
    CHECK(status == ZFSVOL_STATUS_INVALID && zfsvol_error_status(error) == status);
    /* Answers are written only on success. */
    CHECK(zfs == (zfsvol_zfs *)0x10);
    CHECK(same(zfsvol_error_operation(error), "open"));
    CHECK(same(zfsvol_error_target(error), "nowhere:"));
    CHECK(zfsvol_error_reason(error).len > 0);
    CHECK(zfsvol_error_help(error).len == 0);
    CHECK(zfsvol_error_errno(error) == 0);
    CHECK(zfsvol_error_failures(error) == 0);
    CHECK(!zfsvol_error_failure(error, 0, &failure));
    CHECK(has(zfsvol_error_message(error), "cannot open 'nowhere:'"));
    details = zfsvol_error_details(error);
    CHECK(number_in(details, "status") == ZFSVOL_STATUS_INVALID);
    CHECK(same(text_in(details, "target"), "nowhere:"));
    zfsvol_nvlist_free(details);
    zfsvol_error_free(error);

    /* Nobody has to want the error, and NULL is one that says nothing. */
    CHECK(zfsvol_zfs_open(ZFSVOL_STR("nowhere:"), &zfs, NULL) == ZFSVOL_STATUS_INVALID);
    zfsvol_error_free(NULL);
    CHECK(zfsvol_error_status(NULL) == ZFSVOL_STATUS_OK);
    CHECK(zfsvol_error_message(NULL).ptr == NULL);
    CHECK(zfsvol_error_details(NULL) == NULL);
}

static void handles(void) {
    zfsvol_zfs *zfs = embedded();
    zfsvol_zfs *clone = NULL;
    zfsvol_nvlist *module = NULL;
    uint64_t number;
    FAILS(zfsvol_zfs_open(ZFSVOL_STR("embedded:"), NULL, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_zfs_open(ZFSVOL_NONE, &clone, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_zfs_open(ZFSVOL_STR("zfs:nowhere"), &clone, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_zfs_open(ZFSVOL_STR("zfs:/nowhere/at/all"), &clone, &error), ZFSVOL_STATUS_NO_MODULE);
    FAILS(zfsvol_zfs_open(ZFSVOL_STR("\xff"), &clone, &error), ZFSVOL_STATUS_NOT_UTF8);
    {
        zfsvol_str lost;
        lost.ptr = NULL;
        lost.len = 4;
        FAILS(zfsvol_zfs_open(lost, &clone, &error), ZFSVOL_STATUS_NULL);
        lost.ptr = "embedded:";
        lost.len = SIZE_MAX;
        FAILS(zfsvol_zfs_open(lost, &clone, &error), ZFSVOL_STATUS_TOO_LARGE);
    }
    FAILS(zfsvol_zfs_module(NULL, &module, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_zfs_module((zfsvol_zfs *)((char *)zfs + 1), &module, &error), ZFSVOL_STATUS_NULL);
    OK(zfsvol_zfs_clone(zfs, &clone, &error));
    zfsvol_zfs_free(zfs);
    OK(zfsvol_zfs_module(clone, &module, &error));
    CHECK(has(text_in(module, "version"), "2.3"));
    CHECK(number_in(module, "major") == 2);
    CHECK(count_in(module, "dataset_properties") > 10);
    /* A handle of another kind. */
    FAILS(zfsvol_zfs_module((zfsvol_zfs *)(void *)module, &module, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    FAILS(zfsvol_nvlist_get_u64((zfsvol_nvlist *)(void *)clone, ZFSVOL_STR("major"), &number, &error),
          ZFSVOL_STATUS_WRONG_HANDLE);
    /* Nothing is freed as what it is not. */
    zfsvol_zfs_free((zfsvol_zfs *)(void *)module);
    zfsvol_nvlist_free(module);
    zfsvol_nvlist_free(NULL);
    zfsvol_zfs_free(clone);
    zfsvol_zfs_free(NULL);
}

static void every_type(zfsvol_nvlist *list) {
    static const bool truths[] = {true, false};
    static const int8_t int8s[] = {-1, 2};
    static const uint8_t uint8s[] = {1, 255};
    static const int16_t int16s[] = {-1, 2};
    static const uint16_t uint16s[] = {1, 65535};
    static const int32_t int32s[] = {-1, 2};
    static const uint32_t uint32s[] = {1, 2};
    static const int64_t int64s[] = {-1, 2};
    static const uint64_t uint64s[] = {1, UINT64_MAX};
    static const struct {
        const char *name;
        zfsvol_type type;
        const void *items;
    } arrays[] = {
        {"booleans", ZFSVOL_TYPE_BOOLEAN_ARRAY, truths}, {"bytes", ZFSVOL_TYPE_BYTE_ARRAY, uint8s},
        {"int8s", ZFSVOL_TYPE_INT8_ARRAY, int8s},        {"uint8s", ZFSVOL_TYPE_UINT8_ARRAY, uint8s},
        {"int16s", ZFSVOL_TYPE_INT16_ARRAY, int16s},     {"uint16s", ZFSVOL_TYPE_UINT16_ARRAY, uint16s},
        {"int32s", ZFSVOL_TYPE_INT32_ARRAY, int32s},     {"uint32s", ZFSVOL_TYPE_UINT32_ARRAY, uint32s},
        {"int64s", ZFSVOL_TYPE_INT64_ARRAY, int64s},     {"uint64s", ZFSVOL_TYPE_UINT64_ARRAY, uint64s},
    };
    static const struct {
        const char *name;
        zfsvol_type type;
    } numbers[] = {
        {"byte", ZFSVOL_TYPE_BYTE},     {"int8", ZFSVOL_TYPE_INT8},     {"uint8", ZFSVOL_TYPE_UINT8},
        {"int16", ZFSVOL_TYPE_INT16},   {"uint16", ZFSVOL_TYPE_UINT16}, {"int32", ZFSVOL_TYPE_INT32},
        {"uint32", ZFSVOL_TYPE_UINT32}, {"int64", ZFSVOL_TYPE_INT64},   {"uint64", ZFSVOL_TYPE_UINT64},
        {"hrtime", ZFSVOL_TYPE_HRTIME},
    };
    zfsvol_str texts[2];
    const zfsvol_nvlist *lists[2];
    zfsvol_nvlist *inside = new_list();
    size_t at;
    texts[0] = ZFSVOL_STR("a");
    texts[1] = ZFSVOL_STR("b");
    OK(zfsvol_nvlist_put_u64(inside, ZFSVOL_STR("n"), 7, &error));
    lists[0] = inside;
    lists[1] = inside;
    for (at = 0; at < sizeof(arrays) / sizeof(arrays[0]); at++) {
        OK(zfsvol_nvlist_put_numbers(list, str(arrays[at].name), arrays[at].type, arrays[at].items, 2, &error));
    }
    for (at = 0; at < sizeof(numbers) / sizeof(numbers[0]); at++) {
        OK(zfsvol_nvlist_put_number(list, str(numbers[at].name), numbers[at].type, 7, &error));
    }
    OK(zfsvol_nvlist_put_number(list, ZFSVOL_STR("double"), ZFSVOL_TYPE_DOUBLE, 0x3ff0000000000000u, &error));
    OK(zfsvol_nvlist_put_bool(list, ZFSVOL_STR("truth"), true, &error));
    OK(zfsvol_nvlist_put_flag(list, ZFSVOL_STR("flag"), &error));
    OK(zfsvol_nvlist_put_u64(list, ZFSVOL_STR("u64"), UINT64_MAX, &error));
    OK(zfsvol_nvlist_put_i64(list, ZFSVOL_STR("i64"), -1, &error));
    OK(zfsvol_nvlist_put_str(list, ZFSVOL_STR("text"), ZFSVOL_STR("hello"), &error));
    OK(zfsvol_nvlist_put_strs(list, ZFSVOL_STR("texts"), texts, 2, &error));
    OK(zfsvol_nvlist_put_list(list, ZFSVOL_STR("list"), inside, &error));
    OK(zfsvol_nvlist_put_lists(list, ZFSVOL_STR("lists"), lists, 2, &error));
    zfsvol_nvlist_free(inside);
}

static void check_every_type(const zfsvol_nvlist *list) {
    zfsvol_pair pair;
    zfsvol_str text;
    zfsvol_nvlist *inside;
    size_t cursor = 0;
    uint32_t seen = 0;
    int64_t number;
    uint64_t unsigned_number;
    while (zfsvol_nvlist_next(list, &cursor, &pair)) {
        seen |= (uint32_t)1 << pair.pair_type;
    }
    /* All 27 of them. */
    CHECK(seen == 0x0ffffffe);
    CHECK(seen & (1u << ZFSVOL_TYPE_BOOLEAN) && seen & (1u << ZFSVOL_TYPE_BOOLEAN_VALUE));
    CHECK(zfsvol_nvlist_count(list) == cursor);
    CHECK(zfsvol_nvlist_get(list, ZFSVOL_STR("int16s"), &pair) && pair.pair_type == ZFSVOL_TYPE_INT16_ARRAY);
    CHECK(pair.count == 2 && ((const int16_t *)pair.items)[0] == -1);
    CHECK(zfsvol_nvlist_get(list, ZFSVOL_STR("double"), &pair) && pair.number == 0x3ff0000000000000u);
    CHECK(!zfsvol_nvlist_get(list, ZFSVOL_STR("nothing"), &pair));
    OK(zfsvol_nvlist_get_i64(list, ZFSVOL_STR("i64"), &number, &error));
    CHECK(number == -1);
    CHECK(number_in(list, "u64") == UINT64_MAX);
    CHECK(truth_in(list, "truth") && truth_in(list, "flag"));
    CHECK(same(text_in(list, "text"), "hello"));
    CHECK(zfsvol_nvlist_get(list, ZFSVOL_STR("text"), &pair) && pair.pair_type == ZFSVOL_TYPE_STRING);
    CHECK(zfsvol_nvlist_get(list, ZFSVOL_STR("texts"), &pair) && pair.pair_type == ZFSVOL_TYPE_STRING_ARRAY);
    OK(zfsvol_nvlist_text(list, ZFSVOL_STR("texts"), 1, &text, &error));
    CHECK(same(text, "b"));
    FAILS(zfsvol_nvlist_text(list, ZFSVOL_STR("texts"), 2, &text, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_nvlist_text(list, ZFSVOL_STR("u64"), 0, &text, &error), ZFSVOL_STATUS_WRONG_TYPE);
    CHECK(zfsvol_nvlist_get(list, ZFSVOL_STR("list"), &pair) && pair.pair_type == ZFSVOL_TYPE_NVLIST);
    CHECK(zfsvol_nvlist_get(list, ZFSVOL_STR("lists"), &pair) && pair.pair_type == ZFSVOL_TYPE_NVLIST_ARRAY);
    inside = list_in(list, "lists", 1);
    CHECK(number_in(inside, "n") == 7);
    zfsvol_nvlist_free(inside);
    FAILS(zfsvol_nvlist_list(list, ZFSVOL_STR("lists"), 2, &inside, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_nvlist_list(list, ZFSVOL_STR("text"), 0, &inside, &error), ZFSVOL_STATUS_WRONG_TYPE);
    FAILS(zfsvol_nvlist_get_u64(list, ZFSVOL_STR("i64"), &unsigned_number, &error), ZFSVOL_STATUS_WRONG_TYPE);
    FAILS(zfsvol_nvlist_get_i64(list, ZFSVOL_STR("u64"), &number, &error), ZFSVOL_STATUS_WRONG_TYPE);
    FAILS(zfsvol_nvlist_get_u64(list, ZFSVOL_STR("nothing"), &unsigned_number, &error), ZFSVOL_STATUS_NOT_FOUND);
    FAILS(zfsvol_nvlist_get_str(list, ZFSVOL_STR("u64"), &text, &error), ZFSVOL_STATUS_WRONG_TYPE);
    {
        bool truth;
        FAILS(zfsvol_nvlist_get_bool(list, ZFSVOL_STR("u64"), &truth, &error), ZFSVOL_STATUS_WRONG_TYPE);
    }
}

static void nvlists(void) {
    static const zfsvol_encoding encodings[] = {ZFSVOL_ENCODING_NATIVE, ZFSVOL_ENCODING_XDR};
    zfsvol_nvlist *list = new_list();
    zfsvol_nvlist *copy = NULL;
    zfsvol_buffer buffer = {NULL, 0};
    size_t at;
    every_type(list);
    check_every_type(list);
    OK(zfsvol_nvlist_clone(list, &copy, &error));
    check_every_type(copy);
    zfsvol_nvlist_free(copy);

    OK(zfsvol_nvlist_to_json(list, &buffer, &error));
    CHECK(strlen(buffer.ptr) == buffer.len && strstr(buffer.ptr, "\"text:string\":\"hello\"") != NULL);
    {
        zfsvol_str json;
        json.ptr = buffer.ptr;
        json.len = buffer.len;
        OK(zfsvol_nvlist_from_json(json, &copy, &error));
    }
    check_every_type(copy);
    zfsvol_nvlist_free(copy);
    zfsvol_buffer_free(&buffer);
    CHECK(buffer.ptr == NULL);
    zfsvol_buffer_free(&buffer);
    zfsvol_buffer_free(NULL);
    FAILS(zfsvol_nvlist_from_json(ZFSVOL_STR("{\"a\":1}"), &copy, &error), ZFSVOL_STATUS_INVALID);

    for (at = 0; at < 2; at++) {
        OK(zfsvol_nvlist_pack(list, encodings[at], &buffer, &error));
        OK(zfsvol_nvlist_unpack((const uint8_t *)buffer.ptr, buffer.len, &copy, &error));
        check_every_type(copy);
        zfsvol_nvlist_free(copy);
        FAILS(zfsvol_nvlist_unpack((const uint8_t *)buffer.ptr, buffer.len / 2, &copy, &error), ZFSVOL_STATUS_INVALID);
        zfsvol_buffer_free(&buffer);
    }
    FAILS(zfsvol_nvlist_pack(list, 4, &buffer, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_nvlist_put_number(list, ZFSVOL_STR("n"), ZFSVOL_TYPE_UINT8, 256, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_nvlist_put_number(list, ZFSVOL_STR("n"), 28, 0, &error), ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_nvlist_put_numbers(list, ZFSVOL_STR("n"), ZFSVOL_TYPE_STRING_ARRAY, "", 1, &error),
          ZFSVOL_STATUS_UNKNOWN_NUMBER);
    FAILS(zfsvol_nvlist_put_numbers(list, ZFSVOL_STR("n"), ZFSVOL_TYPE_UINT64_ARRAY, NULL, 1, &error),
          ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_nvlist_put_u64(NULL, ZFSVOL_STR("n"), 1, &error), ZFSVOL_STATUS_NULL);
    CHECK(zfsvol_nvlist_remove(list, ZFSVOL_STR("text")));
    CHECK(!zfsvol_nvlist_remove(list, ZFSVOL_STR("text")));
    CHECK(zfsvol_nvlist_count(NULL) == 0);
    zfsvol_nvlist_free(list);
}

int main(void) {
    versions();
    statuses();
    errors();
    handles();
    nvlists();
    return 0;
}
