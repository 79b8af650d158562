/* The functions of callbacks.go, as what calls them has them. C lends what they get as constant, which Go cannot say. */
#ifndef ZFSVOL_GO_CALLBACKS_H
#define ZFSVOL_GO_CALLBACKS_H

#include <zfsvol.h>

int64_t zfsvolGoRead(void *context, uint8_t *buffer, size_t len);
int64_t zfsvolGoWrite(void *context, uint8_t *data, size_t len);
void zfsvolGoClose(void *context);
zfsvol_pass zfsvolGoFrame(void *context, zfsvol_frame *frame);
int32_t zfsvolGoConnect(void *context, zfsvol_transport **transport);
bool zfsvolGoPermit(void *context, zfsvol_request *request, char *reason, size_t reason_len);
void zfsvolGoEvent(void *context, zfsvol_nvlist *event);
int32_t zfsvolGoBefore(void *context, zfsvol_call *call);
void zfsvolGoAfter(void *context, zfsvol_call *call);
bool zfsvolGoKeep(void *context, zfsvol_nvlist *record);
int32_t zfsvolGoOpen(void *context, zfsvol_nvlist *begin, zfsvol_writer *writer);
uint64_t zfsvolGoClock(void *context);
void zfsvolGoVisit(void *context, zfsvol_nvlist *file);
void zfsvolGoRelease(void *context);

#endif
