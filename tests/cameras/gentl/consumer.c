/* A GenTL client that keeps to the rules: it loads the producer at run time, as any client does, and goes through EMVA
 * GenTL 1.5 in the order the standard gives. Types and numbers are written here once more, from the standard, so that a
 * mistake in the producer's own header shows.
 *
 * consumer FILE.cti SERIAL START STOP PAYLOAD COUNT: addresses of the device's registers AcquisitionStart and
 * AcquisitionStop, commands executed by 1, and PayloadSize, of 4 bytes each; and how many frames to take in each of two
 * rounds. A line for each frame: round, frame id, width, height, first and last pixel, whether all are equal. Exit status
 * 0, or what was not as it should be. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFERS 8
#define PATIENCE_MS 60000
#define FOREVER 0xFFFFFFFFFFFFFFFFull

typedef void *Handle;
typedef int32_t Error;
typedef uint8_t Flag;

enum { SUCCESS = 0, NOT_AVAILABLE = -1014 };
enum { STRING = 1, PTR = 10, UINT64 = 8, BOOL8 = 11, SIZET = 12 };
enum { TL_TLTYPE = 4, TL_VERSION_MAJOR = 9, TL_VERSION_MINOR = 10 };
enum { DEVICE_SERIAL_NUMBER = 7, ACCESS_CONTROL = 3 };
enum { URL_FILE_REGISTER_ADDRESS = 7, URL_FILE_SIZE = 8 };
enum { STREAM_NUM_DELIVERED = 1, STREAM_PAYLOAD_SIZE = 7, STREAM_DEFINES_PAYLOAD_SIZE = 9, STREAM_ANNOUNCE_MIN = 12 };
enum { EVENT_NEW_BUFFER = 1, QUEUE_ALL_DISCARD = 4, STOP_DEFAULT = 0, START_DEFAULT = 0 };
enum {
    BUFFER_BASE = 0,
    BUFFER_USER_PTR = 2,
    BUFFER_IS_INCOMPLETE = 7,
    BUFFER_SIZE_FILLED = 9,
    BUFFER_WIDTH = 10,
    BUFFER_HEIGHT = 11,
    BUFFER_FRAME_ID = 16,
    BUFFER_PIXEL_FORMAT = 20,
};
#define MONO8 0x01080001u

typedef struct {
    Handle buffer;
    void *user;
} NewBuffer;

/* Every function of GenTL 1.5. Those that are not called here must be there all the same. */
#define FUNCTIONS(F)                                                                                                   \
    F(GCInitLib) F(GCCloseLib) F(GCGetInfo) F(GCGetLastError) F(GCReadPort) F(GCWritePort) F(GCGetPortURL)             \
    F(GCGetPortInfo) F(GCRegisterEvent) F(GCUnregisterEvent) F(EventGetData) F(EventGetDataInfo) F(EventGetInfo)       \
    F(EventFlush) F(EventKill) F(TLOpen) F(TLClose) F(TLGetInfo) F(TLGetNumInterfaces) F(TLGetInterfaceID)             \
    F(TLGetInterfaceInfo) F(TLOpenInterface) F(TLUpdateInterfaceList) F(IFClose) F(IFGetInfo) F(IFGetNumDevices)       \
    F(IFGetDeviceID) F(IFUpdateDeviceList) F(IFGetDeviceInfo) F(IFOpenDevice) F(DevGetPort) F(DevGetNumDataStreams)    \
    F(DevGetDataStreamID) F(DevOpenDataStream) F(DevGetInfo) F(DevClose) F(DSAnnounceBuffer)                           \
    F(DSAllocAndAnnounceBuffer) F(DSFlushQueue) F(DSStartAcquisition) F(DSStopAcquisition) F(DSGetInfo)                \
    F(DSGetBufferID) F(DSClose) F(DSRevokeBuffer) F(DSQueueBuffer) F(DSGetBufferInfo) F(GCGetNumPortURLs)              \
    F(GCGetPortURLInfo) F(GCReadPortStacked) F(GCWritePortStacked) F(DSGetBufferChunkData) F(IFGetParentTL)            \
    F(DevGetParentIF) F(DSGetParentDev) F(DSGetNumBufferParts) F(DSGetBufferPartInfo)

#define DECLARE(name) static void *p_##name;
FUNCTIONS(DECLARE)

static Error (*last_error)(Error *, char *, size_t *);

static void fail(int line, const char *what, long found)
{
    Error code = 0;
    char text[1024] = "";
    size_t size = sizeof text;
    if (last_error != NULL)
        last_error(&code, text, &size);
    fprintf(stderr, "line %d: %s: %ld (last error %d: %s)\n", line, what, found, code, text);
    exit(1);
}

#define HOLDS(condition)                            \
    do {                                            \
        if (!(condition))                           \
            fail(__LINE__, "not so: " #condition, 0); \
    } while (0)

/* A call through its type in the standard. */
#define CALL(name, types, ...)                                            \
    do {                                                                  \
        Error code = ((Error(*) types)(uintptr_t)p_##name)(__VA_ARGS__);  \
        if (code != SUCCESS)                                              \
            fail(__LINE__, #name, code);                                  \
    } while (0)

typedef Error (*Info)(Handle, int32_t, int32_t *, void *, size_t *);

static void load(const char *file)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
#define FIND(name)                              \
    p_##name = dlsym(library, #name);           \
    if (p_##name == NULL)                       \
        fail(__LINE__, "there is no " #name, 0);
    FUNCTIONS(FIND)
    last_error = (Error(*)(Error *, char *, size_t *))(uintptr_t)p_GCGetLastError;
}

typedef struct {
    Handle system, interface, device, stream, event, remote;
    Handle buffers[BUFFERS];
    void *memory[BUFFERS];
    size_t payload;
} Chain;

static void open_device(Chain *chain, const char *serial)
{
    char id[256], text[256];
    size_t size;
    int32_t type;
    uint32_t count, number;
    CALL(GCInitLib, (void));
    CALL(GCGetInfo, (int32_t, int32_t *, void *, size_t *), TL_TLTYPE, &type, text, (size = sizeof text, &size));
    HOLDS(type == STRING && size == strlen(text) + 1);
    CALL(GCGetInfo, (int32_t, int32_t *, void *, size_t *), TL_VERSION_MAJOR, &type, &number,
         (size = sizeof number, &size));
    HOLDS(number == 1);
    CALL(TLOpen, (Handle *), &chain->system);
    Flag changed;
    CALL(TLUpdateInterfaceList, (Handle, Flag *, uint64_t), chain->system, &changed, 1000);
    CALL(TLGetNumInterfaces, (Handle, uint32_t *), chain->system, &count);
    HOLDS(count > 0);
    CALL(TLGetInterfaceID, (Handle, uint32_t, char *, size_t *), chain->system, 0, id, (size = sizeof id, &size));
    CALL(TLOpenInterface, (Handle, const char *, Handle *), chain->system, id, &chain->interface);
    CALL(IFUpdateDeviceList, (Handle, Flag *, uint64_t), chain->interface, &changed, 1000);
    CALL(IFGetNumDevices, (Handle, uint32_t *), chain->interface, &count);
    bool is_found = false;
    for (uint32_t i = 0; i < count && !is_found; i++) {
        CALL(IFGetDeviceID, (Handle, uint32_t, char *, size_t *), chain->interface, i, id, (size = sizeof id, &size));
        CALL(IFGetDeviceInfo, (Handle, const char *, int32_t, int32_t *, void *, size_t *), chain->interface, id,
             DEVICE_SERIAL_NUMBER, &type, text, (size = sizeof text, &size));
        HOLDS(type == STRING);
        is_found = strcmp(text, serial) == 0;
    }
    HOLDS(is_found);
    CALL(IFOpenDevice, (Handle, const char *, int32_t, Handle *), chain->interface, id, ACCESS_CONTROL,
         &chain->device);
    CALL(DevGetPort, (Handle, Handle *), chain->device, &chain->remote);
}

/* The description is where the producer says, and as long. */
static void read_description(const Chain *chain)
{
    uint32_t urls;
    uint64_t address, length;
    size_t size;
    CALL(GCGetNumPortURLs, (Handle, uint32_t *), chain->remote, &urls);
    HOLDS(urls > 0);
    CALL(GCGetPortURLInfo, (Handle, uint32_t, int32_t, int32_t *, void *, size_t *), chain->remote, 0,
         URL_FILE_REGISTER_ADDRESS, NULL, &address, (size = sizeof address, &size));
    CALL(GCGetPortURLInfo, (Handle, uint32_t, int32_t, int32_t *, void *, size_t *), chain->remote, 0, URL_FILE_SIZE,
         NULL, &length, (size = sizeof length, &size));
    char *xml = malloc(length + 1);
    HOLDS(xml != NULL);
    size = length;
    CALL(GCReadPort, (Handle, uint64_t, void *, size_t *), chain->remote, address, xml, &size);
    HOLDS(size == length);
    xml[length] = '\0';
    HOLDS(strstr(xml, "AcquisitionStart") != NULL);
    free(xml);
}

static void execute(const Chain *chain, uint64_t address)
{
    uint8_t one[4] = {0, 0, 0, 1};
    size_t size = sizeof one;
    CALL(GCWritePort, (Handle, uint64_t, const void *, size_t *), chain->remote, address, one, &size);
}

static void open_stream(Chain *chain, uint64_t payload_size, bool is_memory_ours)
{
    char id[256];
    size_t size, least;
    int32_t type;
    uint32_t count;
    Flag defines;
    CALL(DevGetNumDataStreams, (Handle, uint32_t *), chain->device, &count);
    HOLDS(count == 1);
    CALL(DevGetDataStreamID, (Handle, uint32_t, char *, size_t *), chain->device, 0, id, (size = sizeof id, &size));
    CALL(DevOpenDataStream, (Handle, const char *, Handle *), chain->device, id, &chain->stream);
    CALL(DSGetInfo, (Handle, int32_t, int32_t *, void *, size_t *), chain->stream, STREAM_DEFINES_PAYLOAD_SIZE, &type,
         &defines, (size = sizeof defines, &size));
    HOLDS(type == BOOL8);
    if (defines) {
        CALL(DSGetInfo, (Handle, int32_t, int32_t *, void *, size_t *), chain->stream, STREAM_PAYLOAD_SIZE, &type,
             &chain->payload, (size = sizeof chain->payload, &size));
        HOLDS(type == SIZET);
    } else {
        uint8_t bytes[4];
        CALL(GCReadPort, (Handle, uint64_t, void *, size_t *), chain->remote, payload_size, bytes,
             (size = sizeof bytes, &size));
        chain->payload = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    }
    HOLDS(chain->payload > 0);
    CALL(DSGetInfo, (Handle, int32_t, int32_t *, void *, size_t *), chain->stream, STREAM_ANNOUNCE_MIN, &type, &least,
         (size = sizeof least, &size));
    HOLDS(least <= BUFFERS);
    for (size_t i = 0; i < BUFFERS; i++) {
        chain->memory[i] = is_memory_ours ? malloc(chain->payload) : NULL;
        if (is_memory_ours)
            CALL(DSAnnounceBuffer, (Handle, void *, size_t, void *, Handle *), chain->stream, chain->memory[i],
                 chain->payload, &chain->memory[i], &chain->buffers[i]);
        else
            CALL(DSAllocAndAnnounceBuffer, (Handle, size_t, void *, Handle *), chain->stream, chain->payload,
                 &chain->memory[i], &chain->buffers[i]);
        CALL(DSQueueBuffer, (Handle, Handle), chain->stream, chain->buffers[i]);
    }
    CALL(GCRegisterEvent, (Handle, int32_t, Handle *), chain->stream, EVENT_NEW_BUFFER, &chain->event);
}

static uint64_t told(const Chain *chain, Handle buffer, int32_t command, int32_t wanted_type)
{
    uint64_t value = 0;
    int32_t type = -1;
    size_t size = sizeof value;
    CALL(DSGetBufferInfo, (Handle, Handle, int32_t, int32_t *, void *, size_t *), chain->stream, buffer, command, &type,
         &value, &size);
    if (type != wanted_type)
        fail(__LINE__, "another type than the standard's", type);
    return value;
}

static void take(const Chain *chain, int round, int count)
{
    while (count > 0) {
        NewBuffer came = {NULL, NULL};
        size_t size = sizeof came;
        CALL(EventGetData, (Handle, void *, size_t *, uint64_t), chain->event, &came, &size, PATIENCE_MS);
        HOLDS(size == sizeof came);
        HOLDS((uintptr_t)told(chain, came.buffer, BUFFER_USER_PTR, PTR) == (uintptr_t)came.user);
        if (!told(chain, came.buffer, BUFFER_IS_INCOMPLETE, BOOL8)) {
            const uint8_t *pixels = (const uint8_t *)(uintptr_t)told(chain, came.buffer, BUFFER_BASE, PTR);
            size_t filled = told(chain, came.buffer, BUFFER_SIZE_FILLED, SIZET);
            size_t width = told(chain, came.buffer, BUFFER_WIDTH, SIZET);
            size_t height = told(chain, came.buffer, BUFFER_HEIGHT, SIZET);
            HOLDS(told(chain, came.buffer, BUFFER_PIXEL_FORMAT, UINT64) == MONO8);
            HOLDS(filled == width * height && filled <= chain->payload);
            printf("%d %llu %zu %zu %d %d %d\n", round,
                   (unsigned long long)told(chain, came.buffer, BUFFER_FRAME_ID, UINT64), width, height, pixels[0],
                   pixels[filled - 1], memcmp(pixels, pixels + 1, filled - 1) == 0);
            count--;
        }
        CALL(DSQueueBuffer, (Handle, Handle), chain->stream, came.buffer);
    }
}

static void close_all(Chain *chain, bool is_memory_ours)
{
    CALL(DSFlushQueue, (Handle, int32_t), chain->stream, QUEUE_ALL_DISCARD);
    CALL(GCUnregisterEvent, (Handle, int32_t), chain->stream, EVENT_NEW_BUFFER);
    for (size_t i = 0; i < BUFFERS; i++) {
        void *memory = NULL;
        void *user = NULL;
        CALL(DSRevokeBuffer, (Handle, Handle, void **, void **), chain->stream, chain->buffers[i], &memory, &user);
        /* Memory of our own comes back to us; the producer's is no longer ours to look at. */
        HOLDS(user == &chain->memory[i] && memory == chain->memory[i]);
        if (is_memory_ours)
            free(memory);
    }
    CALL(DSClose, (Handle), chain->stream);
    CALL(DevClose, (Handle), chain->device);
    CALL(IFClose, (Handle), chain->interface);
    CALL(TLClose, (Handle), chain->system);
    CALL(GCCloseLib, (void));
}

int main(int count, char **arguments)
{
    if (count != 7)
        return 2;
    uint64_t start = strtoull(arguments[3], NULL, 0);
    uint64_t stop = strtoull(arguments[4], NULL, 0);
    load(arguments[1]);
    for (int round = 0; round < 2; round++) {
        Chain chain = {0};
        bool is_memory_ours = round == 1;
        open_device(&chain, arguments[2]);
        read_description(&chain);
        open_stream(&chain, strtoull(arguments[5], NULL, 0), is_memory_ours);
        CALL(DSStartAcquisition, (Handle, int32_t, uint64_t), chain.stream, START_DEFAULT, FOREVER);
        execute(&chain, start);
        take(&chain, round, atoi(arguments[6]));
        execute(&chain, stop);
        CALL(DSStopAcquisition, (Handle, int32_t), chain.stream, STOP_DEFAULT);
        close_all(&chain, is_memory_ours);
    }
    return 0;
}
