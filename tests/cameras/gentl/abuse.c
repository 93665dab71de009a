/* A GenTL client that keeps to no rule. It uses the producer as it should be used, and in between as it should not:
 * nulls, stale, wrong and invented handles, buffers too small, twice opened, twice closed, closed while another thread
 * waits. Built into one program with the producer, for sanitizers and valgrind to watch.
 *
 * abuse SERIAL: the serial number of a GigE Vision device that sends frames unasked. Exit status 0, or what differed.
 * abuse SERIAL lost: the device is to be killed when this says that frames come; it ends when it knows. */
#define _GNU_SOURCE

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gentl.h"

#define BUFFERS 8
#define FRAMES 40
#define FRAME_MS 10000

#define EXPECT(code, call) expect(__LINE__, #call, code, call)
#define CHECK(condition) check(__LINE__, #condition, condition)

static void check(int line, const char *what, bool holds)
{
    if (holds)
        return;
    fprintf(stderr, "line %d: not so: %s\n", line, what);
    exit(1);
}

static void expect(int line, const char *call, GC_ERROR wanted, GC_ERROR found)
{
    if (found == wanted)
        return;
    GC_ERROR code;
    char text[1024] = "";
    size_t size = sizeof text;
    GCGetLastError(&code, text, &size);
    fprintf(stderr, "line %d: %s: %d, not %d (last: %d %s)\n", line, call, found, wanted, code, text);
    exit(1);
}

static void last_error_says(const char *part)
{
    GC_ERROR code;
    char text[1024] = "";
    size_t size = sizeof text;
    EXPECT(GC_ERR_SUCCESS, GCGetLastError(&code, text, &size));
    if (strstr(text, part) == NULL) {
        fprintf(stderr, "the last error says \"%s\", not \"%s\"\n", text, part);
        exit(1);
    }
}

/* Every call that takes a handle, with one that is none of its kind. */
static void all_refuse(GC_ERROR code, void *wrong)
{
    char text[64];
    uint64_t number = 0;
    uint32_t count = 0;
    bool8_t flag = 0;
    void *handle = NULL;
    void *memory = NULL;
    EVENT_NEW_BUFFER_DATA data = {0};
    PORT_REGISTER_STACK_ENTRY entry = {0, &number, sizeof number};
    INFO_DATATYPE type;
    size_t size = sizeof text;
    size_t one = 1;
    EXPECT(code, GCReadPort(wrong, 0, text, &size));
    EXPECT(code, GCWritePort(wrong, 0, text, &size));
    EXPECT(code, GCReadPortStacked(wrong, &entry, &one));
    EXPECT(code, GCWritePortStacked(wrong, &entry, &one));
    EXPECT(code, GCGetPortURL(wrong, text, &size));
    EXPECT(code, GCGetNumPortURLs(wrong, &count));
    EXPECT(code, GCGetPortURLInfo(wrong, 0, URL_INFO_URL, &type, text, &size));
    EXPECT(code, GCGetPortInfo(wrong, PORT_INFO_ID, &type, text, &size));
    EXPECT(code, GCRegisterEvent(wrong, EVENT_NEW_BUFFER, &handle));
    EXPECT(code, GCUnregisterEvent(wrong, EVENT_NEW_BUFFER));
    EXPECT(code, EventGetData(wrong, &data, &size, GENTL_INFINITE));
    EXPECT(code, EventGetDataInfo(wrong, &data, sizeof data, EVENT_DATA_ID, &type, text, &size));
    EXPECT(code, EventGetInfo(wrong, EVENT_NUM_FIRED, &type, text, &size));
    EXPECT(code, EventFlush(wrong));
    EXPECT(code, EventKill(wrong));
    EXPECT(code, TLClose(wrong));
    EXPECT(code, TLGetInfo(wrong, TL_INFO_ID, &type, text, &size));
    EXPECT(code, TLGetNumInterfaces(wrong, &count));
    EXPECT(code, TLGetInterfaceID(wrong, 0, text, &size));
    EXPECT(code, TLGetInterfaceInfo(wrong, "x", INTERFACE_INFO_ID, &type, text, &size));
    EXPECT(code, TLOpenInterface(wrong, "x", &handle));
    EXPECT(code, TLUpdateInterfaceList(wrong, &flag, 1));
    EXPECT(code, IFClose(wrong));
    EXPECT(code, IFGetInfo(wrong, INTERFACE_INFO_ID, &type, text, &size));
    EXPECT(code, IFGetParentTL(wrong, &handle));
    EXPECT(code, IFGetNumDevices(wrong, &count));
    EXPECT(code, IFGetDeviceID(wrong, 0, text, &size));
    EXPECT(code, IFUpdateDeviceList(wrong, &flag, 1));
    EXPECT(code, IFGetDeviceInfo(wrong, "x", DEVICE_INFO_ID, &type, text, &size));
    EXPECT(code, IFOpenDevice(wrong, "x", DEVICE_ACCESS_EXCLUSIVE, &handle));
    EXPECT(code, DevClose(wrong));
    EXPECT(code, DevGetInfo(wrong, DEVICE_INFO_ID, &type, text, &size));
    EXPECT(code, DevGetParentIF(wrong, &handle));
    EXPECT(code, DevGetPort(wrong, &handle));
    EXPECT(code, DevGetNumDataStreams(wrong, &count));
    EXPECT(code, DevGetDataStreamID(wrong, 0, text, &size));
    EXPECT(code, DevOpenDataStream(wrong, "x", &handle));
    EXPECT(code, DSClose(wrong));
    EXPECT(code, DSGetInfo(wrong, STREAM_INFO_ID, &type, text, &size));
    EXPECT(code, DSGetParentDev(wrong, &handle));
    EXPECT(code, DSAnnounceBuffer(wrong, text, sizeof text, NULL, &handle));
    EXPECT(code, DSAllocAndAnnounceBuffer(wrong, 64, NULL, &handle));
    EXPECT(code, DSRevokeBuffer(wrong, wrong, &memory, &memory));
    EXPECT(code, DSQueueBuffer(wrong, wrong));
    EXPECT(code, DSFlushQueue(wrong, ACQ_QUEUE_ALL_DISCARD));
    EXPECT(code, DSStartAcquisition(wrong, 0, GENTL_INFINITE));
    EXPECT(code, DSStopAcquisition(wrong, 0));
    EXPECT(code, DSGetBufferID(wrong, 0, &handle));
    EXPECT(code, DSGetBufferInfo(wrong, wrong, BUFFER_INFO_SIZE, &type, text, &size));
    EXPECT(code, DSGetNumBufferParts(wrong, wrong, &count));
    EXPECT(code, DSGetBufferPartInfo(wrong, wrong, 0, 0, &type, text, &size));
    EXPECT(code, DSGetBufferChunkData(wrong, wrong, NULL, NULL));
    EXPECT(code, DSAnnounceCompositeBuffer(wrong, 1, NULL, NULL, NULL, &handle));
    EXPECT(code, DSGetNumFlows(wrong, &count));
    EXPECT(code, DSGetFlowInfo(wrong, 0, 0, &type, text, &size));
    EXPECT(code, DSGetNumBufferSegments(wrong, wrong, &count));
    EXPECT(code, DSGetBufferSegmentInfo(wrong, wrong, 0, 0, &type, text, &size));
}

static void the_closed_library_refuses(void)
{
    char text[64];
    size_t size = sizeof text;
    void *handle;
    all_refuse(GC_ERR_NOT_INITIALIZED, NULL);
    EXPECT(GC_ERR_NOT_INITIALIZED, TLOpen(&handle));
    EXPECT(GC_ERR_NOT_INITIALIZED, GCCloseLib());
    last_error_says("GCInitLib was not called");
    EXPECT(GC_ERR_SUCCESS, GCGetInfo(TL_INFO_ID, NULL, text, &size));
}

static void a_wrong_option_is_named(void)
{
    TL_HANDLE system;
    EXPECT(GC_ERR_SUCCESS, GCInitLib());
    setenv("LYNCEUS_GENTL_PACKET_SIZE", "huge", 1);
    EXPECT(GC_ERR_INVALID_VALUE, TLOpen(&system));
    last_error_says("LYNCEUS_GENTL_PACKET_SIZE=huge: allowed are 576 to 65535 and auto");
    setenv("LYNCEUS_GENTL_PACKET_SIZE", "99999999999999999999", 1);
    EXPECT(GC_ERR_INVALID_VALUE, TLOpen(&system));
    unsetenv("LYNCEUS_GENTL_PACKET_SIZE");
    EXPECT(GC_ERR_SUCCESS, GCCloseLib());
}

static void invented_handles_are_refused(void)
{
    int here;
    void *invented[] = {NULL, (void *)1, &here, (void *)UINTPTR_MAX, (void *)(uintptr_t)0x10000};
    for (size_t i = 0; i < sizeof invented / sizeof *invented; i++)
        all_refuse(GC_ERR_INVALID_HANDLE, invented[i]);
}

/* An answer's size is told, and one byte less is too small. */
#define SIZES_ARE_KEPT(call_with)                                      \
    do {                                                               \
        size_t size = 0;                                               \
        EXPECT(GC_ERR_SUCCESS, call_with(NULL, &size));                \
        char *exact = malloc(size);                                    \
        EXPECT(GC_ERR_SUCCESS, call_with(exact, &size));               \
        size_t less = size - 1;                                        \
        EXPECT(GC_ERR_BUFFER_TOO_SMALL, call_with(exact, &less));      \
        EXPECT(GC_ERR_INVALID_PARAMETER, call_with(exact, NULL));      \
        free(exact);                                                   \
    } while (0)

static void read_xml_of(PORT_HANDLE port)
{
    uint64_t address = 0;
    uint64_t length = 0;
    size_t size = 8;
    EXPECT(GC_ERR_SUCCESS, GCGetPortURLInfo(port, 0, URL_INFO_FILE_REGISTER_ADDRESS, NULL, &address, &size));
    EXPECT(GC_ERR_SUCCESS, GCGetPortURLInfo(port, 0, URL_INFO_FILE_SIZE, NULL, &length, &size));
    char *xml = malloc(length);
    size = length;
    EXPECT(GC_ERR_SUCCESS, GCReadPort(port, address, xml, &size));
    CHECK(memmem(xml, length, "RegisterDescription", 19) != NULL);
    size = 1;
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(port, address + length, xml, &size));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(port, UINT64_MAX, xml, &size));
    size = SIZE_MAX;
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(port, address, xml, &size));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(port, 0x1000, xml, &size));
    EXPECT(GC_ERR_INVALID_PARAMETER, GCReadPort(port, address, NULL, &size));
    EXPECT(GC_ERR_INVALID_PARAMETER, GCReadPort(port, address, xml, NULL));
    EXPECT(GC_ERR_INVALID_PARAMETER, GCWritePort(port, address, NULL, &size));
    PORT_REGISTER_STACK_ENTRY entries[] = {{address, xml, 4}, {address, NULL, 4}};
    size_t count = 2;
    EXPECT(GC_ERR_INVALID_PARAMETER, GCReadPortStacked(port, entries, &count));
    CHECK(count == 1);
    EXPECT(GC_ERR_INVALID_PARAMETER, GCReadPortStacked(port, NULL, &count));
    EXPECT(GC_ERR_INVALID_INDEX, GCGetPortURLInfo(port, 1, URL_INFO_URL, NULL, NULL, &size));
    EXPECT(GC_ERR_INVALID_PARAMETER, GCGetNumPortURLs(port, NULL));
    for (int command = -1; command < 20; command++) {
        char text[256];
        size = sizeof text;
        GCGetPortInfo(port, command, NULL, text, &size);
        size = sizeof text;
        GCGetPortURLInfo(port, 0, command, NULL, text, &size);
    }
#define URL(buffer, size) GCGetPortURL(port, buffer, size)
    SIZES_ARE_KEPT(URL);
    free(xml);
}

static void only_reads(PORT_HANDLE port)
{
    uint32_t value = 1;
    size_t size = sizeof value;
    EXPECT(GC_ERR_ACCESS_DENIED, GCWritePort(port, 0x1000, &value, &size));
}

typedef struct {
    TL_HANDLE system;
    IF_HANDLE interface;
    DEV_HANDLE device;
    DS_HANDLE stream;
    EVENT_HANDLE event;
    size_t payload;
    char id[256];
} Chain;

static void open_system(Chain *chain)
{
    char id[256];
    size_t size = sizeof id;
    bool8_t changed;
    void *second;
    EXPECT(GC_ERR_SUCCESS, GCInitLib());
    EXPECT(GC_ERR_RESOURCE_IN_USE, GCInitLib());
    EXPECT(GC_ERR_INVALID_PARAMETER, TLOpen(NULL));
    EXPECT(GC_ERR_SUCCESS, TLOpen(&chain->system));
    EXPECT(GC_ERR_RESOURCE_IN_USE, TLOpen(&second));
    EXPECT(GC_ERR_SUCCESS, TLUpdateInterfaceList(chain->system, &changed, 100));
    EXPECT(GC_ERR_SUCCESS, TLGetInterfaceID(chain->system, 0, id, &size));
    EXPECT(GC_ERR_INVALID_INDEX, TLGetInterfaceID(chain->system, 1, NULL, &size));
    EXPECT(GC_ERR_INVALID_ID, TLOpenInterface(chain->system, "eth99", &second));
    EXPECT(GC_ERR_INVALID_PARAMETER, TLOpenInterface(chain->system, NULL, &second));
    EXPECT(GC_ERR_INVALID_PARAMETER, TLOpenInterface(chain->system, id, NULL));
    EXPECT(GC_ERR_SUCCESS, TLOpenInterface(chain->system, id, &chain->interface));
    EXPECT(GC_ERR_RESOURCE_IN_USE, TLOpenInterface(chain->system, id, &second));
#define INTERFACE_NAME(buffer, size) TLGetInterfaceID(chain->system, 0, buffer, size)
    SIZES_ARE_KEPT(INTERFACE_NAME);
}

static void find_device(Chain *chain, const char *serial)
{
    uint32_t count = 0;
    EXPECT(GC_ERR_SUCCESS, IFUpdateDeviceList(chain->interface, NULL, 1000));
    EXPECT(GC_ERR_SUCCESS, IFGetNumDevices(chain->interface, &count));
    EXPECT(GC_ERR_INVALID_INDEX, IFGetDeviceID(chain->interface, count, chain->id, &(size_t){sizeof chain->id}));
    EXPECT(GC_ERR_INVALID_PARAMETER, IFGetNumDevices(chain->interface, NULL));
    char found[256] = "";
    for (uint32_t i = 0; i < count && strcmp(found, serial) != 0; i++) {
        EXPECT(GC_ERR_SUCCESS, IFGetDeviceID(chain->interface, i, chain->id, &(size_t){sizeof chain->id}));
        EXPECT(GC_ERR_SUCCESS, IFGetDeviceInfo(chain->interface, chain->id, DEVICE_INFO_SERIAL_NUMBER, NULL, found,
                                               &(size_t){sizeof found}));
    }
    CHECK(strcmp(found, serial) == 0);
    EXPECT(GC_ERR_INVALID_ID, IFGetDeviceInfo(chain->interface, "none", 0, NULL, found, &(size_t){sizeof found}));
    EXPECT(GC_ERR_INVALID_PARAMETER, IFGetDeviceInfo(chain->interface, NULL, 0, NULL, found, &(size_t){1}));
}

static uint32_t read_register(PORT_HANDLE port, uint64_t address)
{
    uint8_t bytes[4];
    EXPECT(GC_ERR_SUCCESS, GCReadPort(port, address, bytes, &(size_t){sizeof bytes}));
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void write_register(PORT_HANDLE port, uint64_t address, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    EXPECT(GC_ERR_SUCCESS, GCWritePort(port, address, bytes, &(size_t){sizeof bytes}));
}

/* Registers of the device that libaravis ships: its XML names them so. */
enum { WIDTH = 0x100, HEIGHT = 0x104, ACQUISITION = 0x124, FRAME_PERIOD_US = 0x138, SIDE = 128 };

static void open_device(Chain *chain)
{
    void *second;
    PORT_HANDLE remote;
    EXPECT(GC_ERR_INVALID_PARAMETER, IFOpenDevice(chain->interface, chain->id, 0, &second));
    EXPECT(GC_ERR_INVALID_PARAMETER, IFOpenDevice(chain->interface, chain->id, 3, NULL));
    EXPECT(GC_ERR_INVALID_PARAMETER, IFOpenDevice(chain->interface, NULL, 3, &second));
    EXPECT(GC_ERR_INVALID_ID, IFOpenDevice(chain->interface, "none", 3, &second));
    EXPECT(GC_ERR_SUCCESS, IFOpenDevice(chain->interface, chain->id, DEVICE_ACCESS_READONLY, &second));
    EXPECT(GC_ERR_SUCCESS, DevGetPort(second, &remote));
    CHECK(read_register(remote, WIDTH) > 0);
    EXPECT(GC_ERR_SUCCESS, DevClose(second));
    EXPECT(GC_ERR_SUCCESS, IFOpenDevice(chain->interface, chain->id, DEVICE_ACCESS_EXCLUSIVE, &chain->device));
    EXPECT(GC_ERR_RESOURCE_IN_USE, IFOpenDevice(chain->interface, chain->id, DEVICE_ACCESS_CONTROL, &second));
    EXPECT(GC_ERR_SUCCESS, DevGetPort(chain->device, &remote));
    EXPECT(GC_ERR_INVALID_PARAMETER, DevGetPort(chain->device, NULL));
    uint8_t bytes[4] = {0};
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(remote, 0x100000000u, bytes, &(size_t){4}));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(remote, 0xFFFFFFFFu, bytes, &(size_t){4}));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(remote, 0, bytes, &(size_t){0}));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCWritePort(remote, 0x100000000u, bytes, &(size_t){4}));
    write_register(remote, WIDTH, SIDE);
    write_register(remote, HEIGHT, SIDE);
    write_register(remote, FRAME_PERIOD_US, 5000);
    CHECK(read_register(remote, WIDTH) == SIDE);
    chain->payload = SIDE * SIDE;
    read_xml_of(chain->system);
    read_xml_of(chain->interface);
    read_xml_of(chain->device);
    read_xml_of(remote);
    only_reads(chain->system);
    only_reads(chain->device);
}

static void switch_device(const Chain *chain, bool is_sending)
{
    PORT_HANDLE remote;
    EXPECT(GC_ERR_SUCCESS, DevGetPort(chain->device, &remote));
    write_register(remote, ACQUISITION, is_sending);
}

static void open_stream(Chain *chain)
{
    char id[64];
    void *second;
    EXPECT(GC_ERR_SUCCESS, DevGetDataStreamID(chain->device, 0, id, &(size_t){sizeof id}));
    EXPECT(GC_ERR_INVALID_INDEX, DevGetDataStreamID(chain->device, 1, id, &(size_t){sizeof id}));
    EXPECT(GC_ERR_INVALID_ID, DevOpenDataStream(chain->device, "none", &second));
    EXPECT(GC_ERR_INVALID_PARAMETER, DevOpenDataStream(chain->device, NULL, &second));
    EXPECT(GC_ERR_INVALID_PARAMETER, DevOpenDataStream(chain->device, id, NULL));
    EXPECT(GC_ERR_SUCCESS, DevOpenDataStream(chain->device, id, &chain->stream));
    EXPECT(GC_ERR_RESOURCE_IN_USE, DevOpenDataStream(chain->device, id, &second));
    EXPECT(GC_ERR_NOT_IMPLEMENTED, GCRegisterEvent(chain->stream, 0, &second));
    EXPECT(GC_ERR_NOT_IMPLEMENTED, GCRegisterEvent(chain->device, EVENT_NEW_BUFFER, &second));
    EXPECT(GC_ERR_INVALID_PARAMETER, GCRegisterEvent(chain->stream, EVENT_NEW_BUFFER, NULL));
    EXPECT(GC_ERR_INVALID_PARAMETER, GCUnregisterEvent(chain->stream, EVENT_NEW_BUFFER));
    EXPECT(GC_ERR_SUCCESS, GCRegisterEvent(chain->stream, EVENT_NEW_BUFFER, &chain->event));
    EXPECT(GC_ERR_RESOURCE_IN_USE, GCRegisterEvent(chain->stream, EVENT_NEW_BUFFER, &second));
    read_xml_of(chain->stream);
    only_reads(chain->stream);
}

static size_t stream_size(const Chain *chain, int32_t command)
{
    size_t value = 0;
    EXPECT(GC_ERR_SUCCESS, DSGetInfo(chain->stream, command, NULL, &value, &(size_t){sizeof value}));
    return value;
}

static uint64_t feature(PORT_HANDLE port, uint64_t address)
{
    uint64_t value = 0;
    EXPECT(GC_ERR_SUCCESS, GCReadPort(port, address, &value, &(size_t){sizeof value}));
    return value;
}

static void every_information_is_asked_for(const Chain *chain, BUFFER_HANDLE buffer)
{
    for (int command = -1; command < 40; command++) {
        char text[256];
        INFO_DATATYPE type;
        DSGetBufferInfo(chain->stream, buffer, command, &type, text, &(size_t){sizeof text});
        DSGetBufferInfo(chain->stream, buffer, command, NULL, text, &(size_t){0});
        DSGetInfo(chain->stream, command, &type, text, &(size_t){sizeof text});
        DevGetInfo(chain->device, command, &type, text, &(size_t){sizeof text});
        IFGetInfo(chain->interface, command, &type, text, &(size_t){sizeof text});
        TLGetInfo(chain->system, command, &type, text, &(size_t){sizeof text});
        EventGetInfo(chain->event, command, &type, text, &(size_t){sizeof text});
    }
}

/* Memory of the client's, to the byte: a write beyond it is seen. */
typedef struct {
    char *memory[BUFFERS];
    BUFFER_HANDLE handle[BUFFERS];
} Buffers;

static void announce(const Chain *chain, Buffers *buffers)
{
    void *handle;
    EXPECT(GC_ERR_INVALID_PARAMETER, DSAnnounceBuffer(chain->stream, NULL, chain->payload, NULL, &handle));
    EXPECT(GC_ERR_INVALID_PARAMETER, DSAnnounceBuffer(chain->stream, &handle, 0, NULL, &handle));
    EXPECT(GC_ERR_INVALID_PARAMETER, DSAnnounceBuffer(chain->stream, &handle, 8, NULL, NULL));
    EXPECT(GC_ERR_OUT_OF_MEMORY, DSAllocAndAnnounceBuffer(chain->stream, SIZE_MAX / 2, NULL, &handle));
    for (size_t i = 0; i < BUFFERS; i++) {
        bool is_own = i % 2 == 0;
        buffers->memory[i] = is_own ? malloc(chain->payload) : NULL;
        EXPECT(GC_ERR_SUCCESS, is_own ? DSAnnounceBuffer(chain->stream, buffers->memory[i], chain->payload,
                                                         &buffers->memory[i], &buffers->handle[i])
                                      : DSAllocAndAnnounceBuffer(chain->stream, chain->payload, NULL,
                                                                 &buffers->handle[i]));
        every_information_is_asked_for(chain, buffers->handle[i]);
        EXPECT(GC_ERR_SUCCESS, DSQueueBuffer(chain->stream, buffers->handle[i]));
        EXPECT(GC_ERR_RESOURCE_IN_USE, DSQueueBuffer(chain->stream, buffers->handle[i]));
    }
    CHECK(stream_size(chain, STREAM_INFO_NUM_ANNOUNCED) == BUFFERS);
    CHECK(stream_size(chain, STREAM_INFO_NUM_QUEUED) == BUFFERS);
    EXPECT(GC_ERR_SUCCESS, DSGetBufferID(chain->stream, BUFFERS - 1, &handle));
    CHECK(handle == buffers->handle[BUFFERS - 1]);
    EXPECT(GC_ERR_INVALID_INDEX, DSGetBufferID(chain->stream, BUFFERS, &handle));
}

static void revoke_all(const Chain *chain, Buffers *buffers)
{
    EXPECT(GC_ERR_SUCCESS, DSFlushQueue(chain->stream, ACQ_QUEUE_ALL_DISCARD));
    for (size_t i = 0; i < BUFFERS; i++) {
        void *memory;
        EXPECT(GC_ERR_SUCCESS, DSRevokeBuffer(chain->stream, buffers->handle[i], &memory, NULL));
        CHECK(memory == buffers->memory[i]);
        free(buffers->memory[i]);
        EXPECT(GC_ERR_INVALID_HANDLE, DSRevokeBuffer(chain->stream, buffers->handle[i], &memory, NULL));
        all_refuse(GC_ERR_INVALID_HANDLE, buffers->handle[i]);
    }
}

static BUFFER_HANDLE next_frame(const Chain *chain)
{
    EVENT_NEW_BUFFER_DATA data;
    EXPECT(GC_ERR_BUFFER_TOO_SMALL, EventGetData(chain->event, &data, &(size_t){sizeof data - 1}, FRAME_MS));
    EXPECT(GC_ERR_INVALID_PARAMETER, EventGetData(chain->event, NULL, &(size_t){sizeof data}, FRAME_MS));
    EXPECT(GC_ERR_SUCCESS, EventGetData(chain->event, &data, &(size_t){sizeof data}, FRAME_MS));
    void *handle;
    EXPECT(GC_ERR_SUCCESS, EventGetDataInfo(chain->event, &data, sizeof data, EVENT_DATA_ID, NULL, &handle,
                                            &(size_t){sizeof handle}));
    CHECK(handle == data.BufferHandle);
    EXPECT(GC_ERR_INVALID_PARAMETER, EventGetDataInfo(chain->event, &data, 1, 0, NULL, &handle, &(size_t){8}));
    EXPECT(GC_ERR_INVALID_PARAMETER, EventGetDataInfo(chain->event, NULL, 16, 0, NULL, &handle, &(size_t){8}));
    return handle;
}

static void frames_come(const Chain *chain, const Buffers *buffers)
{
    uint64_t delivered_before = feature(chain->stream, 0x1000);
    EXPECT(GC_ERR_INVALID_PARAMETER, DSStartAcquisition(chain->stream, 0, 0));
    EXPECT(GC_ERR_INVALID_PARAMETER, DSStartAcquisition(chain->stream, 7, 1));
    EXPECT(GC_ERR_RESOURCE_IN_USE, DSStopAcquisition(chain->stream, 0));
    EXPECT(GC_ERR_SUCCESS, DSStartAcquisition(chain->stream, 0, GENTL_INFINITE));
    EXPECT(GC_ERR_RESOURCE_IN_USE, DSStartAcquisition(chain->stream, 0, GENTL_INFINITE));
    EXPECT(GC_ERR_BUSY, DSFlushQueue(chain->stream, ACQ_QUEUE_ALL_DISCARD));
    EXPECT(GC_ERR_INVALID_PARAMETER, DSFlushQueue(chain->stream, 99));
    EXPECT(GC_ERR_BUSY, DSRevokeBuffer(chain->stream, buffers->handle[0], NULL, NULL));
    switch_device(chain, true);
    for (int i = 0; i < FRAMES; i++) {
        BUFFER_HANDLE frame = next_frame(chain);
        every_information_is_asked_for(chain, frame);
        bool8_t is_damaged = 0;
        EXPECT(GC_ERR_SUCCESS, DSGetBufferInfo(chain->stream, frame, BUFFER_INFO_IS_INCOMPLETE, NULL, &is_damaged,
                                               &(size_t){sizeof is_damaged}));
        size_t width = SIDE;
        if (!is_damaged) /* under valgrind, some are */
            EXPECT(GC_ERR_SUCCESS, DSGetBufferInfo(chain->stream, frame, BUFFER_INFO_WIDTH, NULL, &width,
                                                   &(size_t){sizeof width}));
        CHECK(width == SIDE);
        EXPECT(GC_ERR_SUCCESS, DSQueueBuffer(chain->stream, frame));
    }
    CHECK(feature(chain->stream, 0x1000) == delivered_before + FRAMES);
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(chain->stream, 0x1001, &(uint64_t){0}, &(size_t){4}));
    EXPECT(GC_ERR_INVALID_ADDRESS, GCReadPort(chain->stream, 0x1028, &(uint64_t){0}, &(size_t){8}));
    EXPECT(GC_ERR_SUCCESS, DSFlushQueue(chain->stream, ACQ_QUEUE_ALL_TO_INPUT));
    EXPECT(GC_ERR_SUCCESS, EventFlush(chain->event));
    EXPECT(GC_ERR_SUCCESS, DSFlushQueue(chain->stream, ACQ_QUEUE_UNQUEUED_TO_INPUT));
    switch_device(chain, false);
    EXPECT(GC_ERR_SUCCESS, DSStopAcquisition(chain->stream, 1));
    EXPECT(GC_ERR_RESOURCE_IN_USE, DSStopAcquisition(chain->stream, 0));
    EXPECT(GC_ERR_SUCCESS, DSFlushQueue(chain->stream, ACQ_QUEUE_INPUT_TO_OUTPUT));
    EXPECT(GC_ERR_SUCCESS, DSFlushQueue(chain->stream, ACQ_QUEUE_ALL_TO_INPUT));
}

static void so_many_frames_as_asked_for_come(const Chain *chain)
{
    EXPECT(GC_ERR_SUCCESS, DSStartAcquisition(chain->stream, 0, 3));
    switch_device(chain, true);
    for (int i = 0; i < 3; i++)
        EXPECT(GC_ERR_SUCCESS, DSQueueBuffer(chain->stream, next_frame(chain)));
    EVENT_NEW_BUFFER_DATA data;
    EXPECT(GC_ERR_TIMEOUT, EventGetData(chain->event, &data, &(size_t){sizeof data}, 50));
    EXPECT(GC_ERR_TIMEOUT, EventGetData(chain->event, &data, &(size_t){sizeof data}, 0));
    EXPECT(GC_ERR_SUCCESS, EventKill(chain->event));
    EXPECT(GC_ERR_ABORT, EventGetData(chain->event, &data, &(size_t){sizeof data}, GENTL_INFINITE));
    switch_device(chain, false);
    EXPECT(GC_ERR_SUCCESS, DSStopAcquisition(chain->stream, 0));
}

static void *wait_without_end(void *event)
{
    EVENT_NEW_BUFFER_DATA data;
    return (void *)(intptr_t)EventGetData(event, &data, &(size_t){sizeof data}, GENTL_INFINITE);
}

/* Ended by what `end` does, whether the wait has begun by then or not. */
static void a_wait_ends(const Chain *chain, GC_ERROR (*end)(void *), void *handle)
{
    pthread_t waiter;
    void *result;
    CHECK(pthread_create(&waiter, NULL, wait_without_end, chain->event) == 0);
    EXPECT(GC_ERR_SUCCESS, end(handle));
    CHECK(pthread_join(waiter, &result) == 0);
    CHECK((intptr_t)result == GC_ERR_ABORT || (intptr_t)result == GC_ERR_INVALID_HANDLE);
}

static void close_chain(Chain *chain)
{
    EXPECT(GC_ERR_SUCCESS, DevClose(chain->device));
    EXPECT(GC_ERR_INVALID_HANDLE, DevClose(chain->device));
    all_refuse(GC_ERR_INVALID_HANDLE, chain->device);
    all_refuse(GC_ERR_INVALID_HANDLE, chain->stream);
    EXPECT(GC_ERR_SUCCESS, IFClose(chain->interface));
    EXPECT(GC_ERR_INVALID_HANDLE, IFClose(chain->interface));
    EXPECT(GC_ERR_SUCCESS, TLClose(chain->system));
    EXPECT(GC_ERR_INVALID_HANDLE, TLClose(chain->system));
    all_refuse(GC_ERR_INVALID_HANDLE, chain->system);
    EXPECT(GC_ERR_SUCCESS, GCCloseLib());
}

static void used_and_misused(const char *serial)
{
    Chain chain = {0};
    Buffers buffers;
    open_system(&chain);
    invented_handles_are_refused();
    find_device(&chain, serial);
    open_device(&chain);
    for (int round = 0; round < 2; round++) {
        open_stream(&chain);
        announce(&chain, &buffers);
        frames_come(&chain, &buffers);
        so_many_frames_as_asked_for_come(&chain);
        a_wait_ends(&chain, EventKill, chain.event);
        revoke_all(&chain, &buffers);
        if (round == 0) {
            a_wait_ends(&chain, DSClose, chain.stream);
            all_refuse(GC_ERR_INVALID_HANDLE, chain.stream);
            all_refuse(GC_ERR_INVALID_HANDLE, chain.event);
        }
    }
    close_chain(&chain);
    the_closed_library_refuses();
}

/* All open, frames on their way, buffers queued and with the client: gone at once. */
static void the_library_is_closed_in_mid_stream(const char *serial)
{
    Chain chain = {0};
    Buffers buffers;
    open_system(&chain);
    find_device(&chain, serial);
    open_device(&chain);
    open_stream(&chain);
    announce(&chain, &buffers);
    EXPECT(GC_ERR_SUCCESS, DSStartAcquisition(chain.stream, 0, GENTL_INFINITE));
    switch_device(&chain, true);
    next_frame(&chain);
    EXPECT(GC_ERR_SUCCESS, GCCloseLib());
    for (size_t i = 0; i < BUFFERS; i++)
        free(buffers.memory[i]);
    the_closed_library_refuses();
}

typedef struct {
    const Chain *chain;
    const Buffers *buffers;
    unsigned int seed;
} Hammer;

/* One that is known, or one that may be anything's by now: handles are given in order. */
static void *some_handle(Hammer *own)
{
    void *known[] = {own->chain->stream, own->chain->event, own->chain->device, own->chain->interface,
                     own->buffers->handle[(size_t)rand_r(&own->seed) % BUFFERS]};
    uintptr_t guessed = (uintptr_t)own->chain->system + (uintptr_t)(rand_r(&own->seed) % 64);
    size_t choice = (size_t)rand_r(&own->seed) % 10;
    return choice < 5 ? known[choice] : (void *)guessed;
}

/* Whatever comes first, at whatever handle. Only that it ends is asked. */
static void *hammer(void *argument)
{
    Hammer *own = argument;
    DS_HANDLE stream = own->chain->stream;
    char text[256];
    void *opened;
    EVENT_NEW_BUFFER_DATA data;
    for (int i = 0; i < 4000; i++) {
        void *some = some_handle(own);
        int number = rand_r(&own->seed) % 32;
        bool is_rare = rand_r(&own->seed) % 64 == 0;
        switch (rand_r(&own->seed) % 16) {
        case 0: DSQueueBuffer(stream, some); break;
        case 1: EventGetData(own->chain->event, &data, &(size_t){sizeof data}, 1); break;
        case 2: DSGetBufferInfo(stream, some, number, NULL, text, &(size_t){sizeof text}); break;
        case 3: DSFlushQueue(some, number % 5); break;
        case 4: DSGetInfo(some, number, NULL, text, &(size_t){sizeof text}); break;
        case 5: EventKill(some); break;
        case 6: GCReadPort(some, 0x1000, text, &(size_t){8}); break;
        case 7: DSAllocAndAnnounceBuffer(some, own->chain->payload, NULL, &opened); break;
        case 8: GCRegisterEvent(some, EVENT_NEW_BUFFER, &opened); break;
        case 9: DevGetPort(some, &opened); break;
        case 10: DevOpenDataStream(some, "Stream0", &opened); break;
        case 11: is_rare ? DSStopAcquisition(some, 0) : EventFlush(some); break;
        case 12: is_rare ? DSStartAcquisition(some, 0, GENTL_INFINITE) : DSGetBufferID(some, 0, &opened); break;
        case 13: is_rare ? DSRevokeBuffer(stream, some, NULL, NULL) : IFGetNumDevices(some, &(uint32_t){0}); break;
        case 14: is_rare ? GCUnregisterEvent(some, EVENT_NEW_BUFFER) : DevGetParentIF(some, &opened); break;
        default: is_rare ? DSClose(some) : GCGetPortURL(some, text, &(size_t){sizeof text});
        }
    }
    return NULL;
}

#define HAMMERS 4

static void many_threads_use_a_stream_that_is_closed_under_them(const char *serial)
{
    Chain chain = {0};
    Buffers buffers;
    pthread_t threads[HAMMERS];
    Hammer hammers[HAMMERS];
    open_system(&chain);
    find_device(&chain, serial);
    open_device(&chain);
    open_stream(&chain);
    announce(&chain, &buffers);
    EXPECT(GC_ERR_SUCCESS, DSStartAcquisition(chain.stream, 0, GENTL_INFINITE));
    switch_device(&chain, true);
    for (unsigned int i = 0; i < HAMMERS; i++) {
        hammers[i] = (Hammer){&chain, &buffers, i + 1};
        CHECK(pthread_create(&threads[i], NULL, hammer, &hammers[i]) == 0);
    }
    usleep(300000); /* some frames meanwhile */
    EXPECT(GC_ERR_SUCCESS, DevClose(chain.device));
    for (size_t i = 0; i < HAMMERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    EXPECT(GC_ERR_SUCCESS, GCCloseLib());
    for (size_t i = 0; i < BUFFERS; i++)
        free(buffers.memory[i]);
}

static void a_lost_device_is_known(const char *serial)
{
    Chain chain = {0};
    Buffers buffers;
    open_system(&chain);
    find_device(&chain, serial);
    open_device(&chain);
    open_stream(&chain);
    announce(&chain, &buffers);
    EXPECT(GC_ERR_SUCCESS, DSStartAcquisition(chain.stream, 0, GENTL_INFINITE));
    switch_device(&chain, true);
    EXPECT(GC_ERR_SUCCESS, DSQueueBuffer(chain.stream, next_frame(&chain)));
    puts("frames come");
    fflush(stdout);
    EVENT_NEW_BUFFER_DATA data;
    GC_ERROR code;
    while ((code = EventGetData(chain.event, &data, &(size_t){sizeof data}, GENTL_INFINITE)) == GC_ERR_SUCCESS)
        EXPECT(GC_ERR_SUCCESS, DSQueueBuffer(chain.stream, data.BufferHandle));
    CHECK(code == GC_ERR_IO);
    last_error_says("does not answer any more");
    PORT_HANDLE remote;
    EXPECT(GC_ERR_SUCCESS, DevGetPort(chain.device, &remote));
    EXPECT(GC_ERR_IO, GCReadPort(remote, 0x0A00, &(uint32_t){0}, &(size_t){4}));
    EXPECT(GC_ERR_SUCCESS, DSStopAcquisition(chain.stream, 1));
    revoke_all(&chain, &buffers);
    close_chain(&chain);
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[2], "lost") == 0) {
        a_lost_device_is_known(arguments[1]);
        puts("nothing broke");
        return 0;
    }
    CHECK(count == 2);
    the_closed_library_refuses();
    a_wrong_option_is_named();
    used_and_misused(arguments[1]);
    the_library_is_closed_in_mid_stream(arguments[1]);
    many_threads_use_a_stream_that_is_closed_under_them(arguments[1]);
    puts("nothing broke");
    return 0;
}
