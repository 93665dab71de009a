/* EVENT_NEW_BUFFER, the one event: a wait for the next frame of a stream. */
#include "stream.h"

typedef struct {
    Module module;
    bool is_killed; /* one wait is to end; this and the next under the device's lock */
    bool is_closed;
    uint64_t fired;
} Event;

static Stream *stream_of(const Event *event)
{
    return (Stream *)event->module.parent;
}

static Device *locked_device(const Event *event)
{
    Device *device = stream_device(stream_of(event));
    g_mutex_lock(&device->lock);
    return device;
}

static void stop_event(Module *module)
{
    Event *event = (Event *)module;
    Device *device = locked_device(event);
    event->is_closed = true;
    g_cond_broadcast(&device->news);
    g_mutex_unlock(&device->lock);
}

static void free_event(Module *module)
{
    g_free(module);
}

const Kind EVENT = {.name = "event", .is_only_child = true, .stop = stop_event, .free = free_event};

/* Any module is a source of events by the standard; here only the stream has one. */
static Stream *take_source(EVENTSRC_HANDLE handle, int32_t kind)
{
    Module *port = module_take_port(handle);
    if (port == NULL)
        return NULL;
    if (port->kind == &STREAM && kind == EVENT_NEW_BUFFER)
        return (Stream *)port;
    fail(GC_ERR_NOT_IMPLEMENTED, "the %s has no event %d", port->kind->name, kind);
    module_drop(port);
    return NULL;
}

GC_API GCRegisterEvent(EVENTSRC_HANDLE source, int32_t kind, EVENT_HANDLE *handle)
{
    TAKEN Stream *stream = take_source(source, kind);
    if (stream == NULL)
        return failed();
    if (handle == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the handle is null");
    TAKEN Event *event = module_open(g_new0(Event, 1), &EVENT, stream);
    if (event == NULL)
        return failed();
    *handle = event->module.handle;
    return GC_ERR_SUCCESS;
}

GC_API GCUnregisterEvent(EVENTSRC_HANDLE source, int32_t kind)
{
    TAKEN Stream *stream = take_source(source, kind);
    if (stream == NULL)
        return failed();
    TAKEN Event *event = module_take_child(stream, &EVENT);
    if (event == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the event was not registered");
    module_close(event);
    return GC_ERR_SUCCESS;
}

/* In microseconds of the monotonic clock; a wait of 292 000 years is as good as one without end. */
static gint64 end_of_wait(uint64_t timeout_ms)
{
    gint64 now = g_get_monotonic_time();
    uint64_t most_ms = (uint64_t)(G_MAXINT64 - now) / 1000;
    return now + (gint64)MIN(timeout_ms, most_ms) * 1000;
}

/* The device's lock must be held. */
static GC_ERROR wait_for_frame(Event *event, uint64_t timeout_ms, EVENT_NEW_BUFFER_DATA *data)
{
    Device *device = stream_device(stream_of(event));
    gint64 end = end_of_wait(timeout_ms);
    for (bool is_time_left = timeout_ms > 0;; is_time_left = g_cond_wait_until(&device->news, &device->lock, end)) {
        if (event->is_killed || event->is_closed) {
            event->is_killed = false;
            return fail(GC_ERR_ABORT, "the wait for a frame was ended by the client");
        }
        Buffer *buffer = stream_deliver(stream_of(event));
        if (buffer != NULL) {
            event->fired++;
            *data = (EVENT_NEW_BUFFER_DATA){buffer->module.handle, buffer->user};
            return GC_ERR_SUCCESS;
        }
        if (device->is_lost)
            return fail(GC_ERR_IO, "%s at %s does not answer any more, or another program took control of it",
                        device->info->id, device->info->address);
        if (!is_time_left)
            return fail(GC_ERR_TIMEOUT, "no frame within %llu ms", (unsigned long long)timeout_ms);
    }
}

GC_API EventGetData(EVENT_HANDLE handle, void *buffer, size_t *size, uint64_t timeout_ms)
{
    TAKEN Event *event = module_take(handle, &EVENT);
    if (event == NULL)
        return failed();
    EVENT_NEW_BUFFER_DATA data;
    if (buffer == NULL || size == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the buffer or its size is null");
    if (*size < sizeof data)
        return fail(GC_ERR_BUFFER_TOO_SMALL, "%zu bytes are needed, %zu were given", sizeof data, *size);
    Device *device = locked_device(event);
    GC_ERROR error = wait_for_frame(event, timeout_ms, &data);
    g_mutex_unlock(&device->lock);
    if (error != GC_ERR_SUCCESS)
        return error;
    memcpy(buffer, &data, sizeof data);
    *size = sizeof data;
    return GC_ERR_SUCCESS;
}

GC_API EventGetDataInfo(EVENT_HANDLE handle, const void *given, size_t given_size, int32_t command,
                        INFO_DATATYPE *type, void *buffer, size_t *size)
{
    TAKEN Event *event = module_take(handle, &EVENT);
    if (event == NULL)
        return failed();
    EVENT_NEW_BUFFER_DATA data;
    if (given == NULL || given_size < sizeof data)
        return fail(GC_ERR_INVALID_PARAMETER, "the event's data has %zu bytes, not %zu", sizeof data, given_size);
    memcpy(&data, given, sizeof data);
    Answer answer = {type, buffer, size};
    switch (command) {
    case EVENT_DATA_ID: return answer_pointer(answer, data.BufferHandle);
    case EVENT_DATA_VALUE: return answer_pointer(answer, data.pUserPointer);
    default: return answer_none("an event's data", command);
    }
}

static GC_ERROR event_info(const Event *event, int32_t command, Answer answer)
{
    switch (command) {
    case EVENT_EVENT_TYPE: return answer_int32(answer, EVENT_NEW_BUFFER);
    case EVENT_NUM_IN_QUEUE: return answer_size(answer, stream_of(event)->finished.length);
    case EVENT_NUM_FIRED: return answer_uint64(answer, event->fired);
    case EVENT_SIZE_MAX:
    case EVENT_INFO_DATA_SIZE_MAX: return answer_size(answer, sizeof(EVENT_NEW_BUFFER_DATA));
    default: return answer_none("an event", command);
    }
}

GC_API EventGetInfo(EVENT_HANDLE handle, int32_t command, INFO_DATATYPE *type, void *buffer, size_t *size)
{
    TAKEN Event *event = module_take(handle, &EVENT);
    if (event == NULL)
        return failed();
    Device *device = locked_device(event);
    GC_ERROR error = event_info(event, command, (Answer){type, buffer, size});
    g_mutex_unlock(&device->lock);
    return error;
}

GC_API EventFlush(EVENT_HANDLE handle)
{
    TAKEN Event *event = module_take(handle, &EVENT);
    if (event == NULL)
        return failed();
    Device *device = locked_device(event);
    stream_discard_finished(stream_of(event));
    g_mutex_unlock(&device->lock);
    return GC_ERR_SUCCESS;
}

GC_API EventKill(EVENT_HANDLE handle)
{
    TAKEN Event *event = module_take(handle, &EVENT);
    if (event == NULL)
        return failed();
    Device *device = locked_device(event);
    event->is_killed = true;
    g_cond_broadcast(&device->news);
    g_mutex_unlock(&device->lock);
    return GC_ERR_SUCCESS;
}
