/* The kernel's events, a pool's history and its error log. */
#include "check.h"

static void events(zfsvol_zfs *zfs) {
    zfsvol_events *queue = NULL;
    zfsvol_nvlist *event = NULL;
    uint64_t count = 0;
    OK(zfsvol_events_open(zfs, &queue, &error));
    OK(zfsvol_events_seek(queue, ZFSVOL_EVENTS_NEWEST, &error));
    OK(zfsvol_events_next(queue, 0, &event, &error));
    CHECK(event == NULL);
    /* The pool was made. */
    OK(zfsvol_events_seek(queue, ZFSVOL_EVENTS_OLDEST, &error));
    OK(zfsvol_events_next(queue, 1000, &event, &error));
    CHECK(event != NULL && number_in(event, "eid") > 0 && text_in(event, "class").len > 0);
    zfsvol_nvlist_free(event);
    OK(zfsvol_events_dropped(queue, &count, &error));
    CHECK(count == 0);
    OK(zfsvol_events_clear(zfs, &count, &error));
    CHECK(count > 0);
    OK(zfsvol_events_next(queue, 10, &event, &error));
    CHECK(event == NULL);
    zfsvol_events_stop(queue);
    zfsvol_events_stop(NULL);
    OK(zfsvol_events_next(queue, -1, &event, &error));
    CHECK(event == NULL);
    zfsvol_events_free(queue);
    zfsvol_events_free(NULL);
}

static void history(zfsvol_zfs *zfs) {
    zfsvol_history *all = NULL;
    zfsvol_nvlist *record = NULL;
    zfsvol_nvlist *errors = NULL;
    zfsvol_status status;
    OK(zfsvol_history_open(zfs, ZFSVOL_STR("tank"), &all, &error));
    while ((status = zfsvol_history_next(all, &record, NULL)) == ZFSVOL_STATUS_OK && record != NULL) {
        CHECK(text_in(record, "kind").len > 0);
        zfsvol_nvlist_free(record);
    }
    CHECK(status == ZFSVOL_STATUS_OK || status == ZFSVOL_STATUS_UNSUPPORTED);
    zfsvol_history_free(all);
    zfsvol_history_free(NULL);
    OK(zfsvol_history_open(zfs, ZFSVOL_STR("none"), &all, &error));
    CHECK(zfsvol_history_next(all, &record, NULL) != ZFSVOL_STATUS_OK);
    zfsvol_history_free(all);
    status = zfsvol_pool_error_log(zfs, ZFSVOL_STR("tank"), &errors, NULL);
    CHECK(status == ZFSVOL_STATUS_OK || status == ZFSVOL_STATUS_UNSUPPORTED);
    if (status == ZFSVOL_STATUS_OK) {
        CHECK(count_in(errors, "errors") == 0);
        zfsvol_nvlist_free(errors);
    }
}

int main(void) {
    zfsvol_zfs *zfs = embedded();
    events(zfs);
    history(zfs);
    zfsvol_zfs_free(zfs);
    return 0;
}
