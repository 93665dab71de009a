/* A GigE Vision device: what discovery says of it, its control channel, and its registers. */
#ifndef LYNCEUS_GENTL_DEVICE_H
#define LYNCEUS_GENTL_DEVICE_H

#include <arv.h>

#include "module.h"
#include "watch.h"

/* Texts are UTF-8, whatever the device sent. */
typedef struct {
    char *id;
    char *vendor;
    char *model;
    char *serial;
    char *version;
    char *address;
} DeviceInfo;

/* Of the device at that place in libaravis' list. */
DeviceInfo *device_info_of(unsigned int index);
void device_info_free(DeviceInfo *info);
GC_ERROR device_info(const DeviceInfo *info, int32_t command, Answer answer);

typedef struct {
    Module module;
    DeviceInfo *info;
    ArvDevice *arv;
    Watch *watch; /* NULL where the device is only read */

    /* One lock for the device and its stream, so that whoever waits for a frame hears of a lost link too. */
    GMutex lock;
    GCond news; /* a frame is there, the link is lost, a wait is to end */
    bool is_lost;
} Device;

GC_ERROR device_open(Module *interface, const DeviceInfo *info, int32_t access, DEV_HANDLE *handle);
bool device_is_lost(Device *device);

#endif
