#include "stream.h"

#include "options.h"
#include "port.h"
#include "receiving.h"

static Device *locked_device(const Stream *stream)
{
    Device *device = stream_device(stream);
    g_mutex_lock(&device->lock);
    return device;
}

/* ---- counts ---- */

/* The device's lock must be held. */
static Counts counts_of(const Stream *stream)
{
    Counts counts = stream->past;
    if (stream->arv != NULL) {
        guint64 completed, failures, underruns, resent, missing;
        arv_stream_get_statistics(stream->arv, &completed, &failures, &underruns);
        arv_gv_stream_get_statistics(ARV_GV_STREAM(stream->arv), &resent, &missing);
        counts.underrun_packets += underruns;
        counts.resent_packets += resent;
        counts.missing_packets += missing;
    }
    return counts;
}

static Counts read_counts(Module *module)
{
    Device *device = locked_device((Stream *)module);
    Counts counts = counts_of((Stream *)module);
    g_mutex_unlock(&device->lock);
    return counts;
}

static uint64_t read_delivered(Module *module)
{
    return read_counts(module).delivered;
}

static uint64_t read_incomplete(Module *module)
{
    return read_counts(module).incomplete;
}

static uint64_t read_underruns(Module *module)
{
    return read_counts(module).underrun_packets;
}

static uint64_t read_resent(Module *module)
{
    return read_counts(module).resent_packets;
}

static uint64_t read_missing(Module *module)
{
    return read_counts(module).missing_packets;
}

static const Feature STREAM_FEATURES[] = {
    {"StreamDeliveredFrameCount", "Frames given to the client, incomplete ones too", read_delivered},
    {"StreamIncompleteFrameCount", "Of the delivered frames, those that are not whole", read_incomplete},
    {"StreamUnderrunCount", "Packets, not frames, that came while no buffer was queued", read_underruns},
    {"StreamResentPacketCount", "Packets that came when they were asked for again", read_resent},
    {"StreamMissingPacketCount", "Packets of incomplete frames, all from the first that did not come on",
     read_missing},
};

/* ---- frames ---- */

typedef enum { FRAME_WHOLE, FRAME_DAMAGED, FRAME_NONE } Outcome;

static Outcome outcome_of(ArvBuffer *arv)
{
    switch (arv_buffer_get_status(arv)) {
    case ARV_BUFFER_STATUS_SUCCESS: return FRAME_WHOLE;
    case ARV_BUFFER_STATUS_TIMEOUT:
    case ARV_BUFFER_STATUS_MISSING_PACKETS:
    case ARV_BUFFER_STATUS_WRONG_PACKET_ID:
    case ARV_BUFFER_STATUS_SIZE_MISMATCH: return FRAME_DAMAGED;
    case ARV_BUFFER_STATUS_UNKNOWN:
    case ARV_BUFFER_STATUS_CLEARED:
    case ARV_BUFFER_STATUS_FILLING:
    case ARV_BUFFER_STATUS_ABORTED:
    default: return FRAME_NONE;
    }
}

/* The device's lock must be held. */
void stream_queue(Stream *stream, Buffer *buffer)
{
    buffer->state = BUFFER_QUEUED;
    buffer->has_data = false;
    buffer->id_when_queued = arv_buffer_get_frame_id(buffer->arv);
    if (stream->phase == STREAM_ACQUIRING)
        arv_stream_push_buffer(stream->arv, g_object_ref(buffer->arv));
}

/* The device's lock must be held. */
static void take_from_libaravis(Stream *stream, Buffer *buffer)
{
    Outcome outcome = outcome_of(buffer->arv);
    if (outcome == FRAME_NONE || stream->frames_left == 0) {
        stream_queue(stream, buffer);
        return;
    }
    if (stream->frames_left != GENTL_INFINITE)
        stream->frames_left--;
    stream->started++;
    /* libaravis 0.8.26 calls a frame whole in which a packet was short, or which a stray packet ended. */
    ImageState image = outcome == FRAME_WHOLE ? image_state(buffer) : IMAGE_BROKEN;
    buffer->has_data = true;
    buffer->is_incomplete = image != IMAGE_WHOLE;
    buffer->is_too_small =
        image == IMAGE_TOO_LARGE || arv_buffer_get_status(buffer->arv) == ARV_BUFFER_STATUS_SIZE_MISMATCH;
    buffer->state = BUFFER_FINISHED;
    g_queue_push_tail(&stream->finished, buffer);
    g_cond_broadcast(&stream_device(stream)->news);
}

/* In libaravis' own thread, after it has put the buffer into its queue, from where we take it: ours has the state and
 * the order. While the stream stops that queue is being taken down, and is left alone. */
static void on_stream(void *data, ArvStreamCallbackType type, ArvBuffer *arv)
{
    if (type != ARV_STREAM_CALLBACK_TYPE_BUFFER_DONE)
        return;
    Stream *stream = data;
    Device *device = locked_device(stream);
    if (stream->phase == STREAM_ACQUIRING) {
        ArvBuffer *popped = arv_stream_try_pop_buffer(stream->arv);
        g_clear_object(&popped); /* the Buffer has a reference of its own */
    }
    take_from_libaravis(stream, (Buffer *)(gpointer)arv_buffer_get_user_data(arv));
    g_mutex_unlock(&device->lock);
}

Buffer *stream_deliver(Stream *stream)
{
    Buffer *buffer = g_queue_pop_head(&stream->finished);
    if (buffer != NULL) {
        buffer->state = BUFFER_UNQUEUED;
        stream->past.delivered++;
        stream->past.incomplete += buffer->is_incomplete;
    }
    return buffer;
}

void stream_discard_finished(Stream *stream)
{
    Buffer *buffer;
    while ((buffer = g_queue_pop_head(&stream->finished)) != NULL)
        buffer->state = BUFFER_UNQUEUED;
}

/* ---- acquiring ---- */

static void apply_options(ArvStream *arv, ArvDevice *device)
{
    enlarge_receive_buffer(ARV_GV_STREAM(arv), arv_device_get_integer_feature_value(device, "PayloadSize", NULL));
    g_object_set(arv, "packet-resend",
                 options()->packet_resend ? ARV_GV_STREAM_PACKET_RESEND_ALWAYS : ARV_GV_STREAM_PACKET_RESEND_NEVER,
                 NULL);
    if (options()->packet_timeout_us != OPTION_KEEP)
        g_object_set(arv, "packet-timeout", (guint)options()->packet_timeout_us, NULL);
    if (options()->frame_retention_us != OPTION_KEEP)
        g_object_set(arv, "frame-retention", (guint)options()->frame_retention_us, NULL);
}

/* When this returns nothing is written into any buffer, whichever thread was first to stop. False: it was idle. */
static bool stop_acquiring(Stream *stream)
{
    Device *device = locked_device(stream);
    bool is_first = stream->phase == STREAM_ACQUIRING;
    bool is_stopping = stream->phase == STREAM_STOPPING;
    ArvStream *arv = stream->arv;
    if (is_first) {
        stream->past = counts_of(stream);
        stream->arv = NULL;
        stream->phase = STREAM_STOPPING;
    }
    while (is_stopping && stream->phase == STREAM_STOPPING)
        g_cond_wait(&device->news, &device->lock);
    g_mutex_unlock(&device->lock);
    if (is_first) {
        /* The only reference: this ends libaravis' thread, which takes the lock for every frame. */
        g_object_unref(arv);
        g_mutex_lock(&device->lock);
        stream->phase = STREAM_IDLE;
        g_cond_broadcast(&device->news);
        g_mutex_unlock(&device->lock);
    }
    return is_first || is_stopping;
}

static GC_ERROR reserve_acquisition(Stream *stream)
{
    Device *device = locked_device(stream);
    GC_ERROR error = GC_ERR_SUCCESS;
    if (stream->phase != STREAM_IDLE)
        error = fail(GC_ERR_RESOURCE_IN_USE, "the stream acquires already");
    else if (device->is_lost)
        error = fail(GC_ERR_IO, "%s does not answer any more", device->info->id);
    else
        stream->phase = STREAM_STARTING;
    g_mutex_unlock(&device->lock);
    return error;
}

/* `arv` NULL: libaravis made no stream. False where nothing is acquired now. */
static bool begin_acquisition(Stream *stream, ArvStream *arv, uint64_t frames)
{
    Device *device = locked_device(stream);
    bool begins = arv != NULL && !stream->is_closed;
    stream->phase = begins ? STREAM_ACQUIRING : STREAM_IDLE;
    if (begins) {
        stream->arv = arv;
        stream->frames_left = frames;
        stream->started = 0;
        for (guint i = 0; i < stream->buffers->len; i++) {
            Buffer *buffer = stream->buffers->pdata[i];
            if (buffer->state == BUFFER_QUEUED)
                stream_queue(stream, buffer);
        }
    }
    g_mutex_unlock(&device->lock);
    return begins;
}

GC_API DSStartAcquisition(DS_HANDLE handle, int32_t flags, uint64_t frames)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    if (flags != 0 || frames == 0)
        return fail(GC_ERR_INVALID_PARAMETER, "flags %d and %llu frames: 0 and at least 1 are allowed", flags,
                    (unsigned long long)frames);
    if (reserve_acquisition(stream) != GC_ERR_SUCCESS)
        return failed();
    Device *device = stream_device(stream);
    g_autoptr(GError) error = NULL;
    ArvStream *arv = arv_device_create_stream(device->arv, on_stream, stream, &error);
    if (arv != NULL)
        apply_options(arv, device->arv);
    if (begin_acquisition(stream, arv, frames))
        return GC_ERR_SUCCESS;
    if (arv == NULL)
        return fail(GC_ERR_IO, "%s: %s", device->info->id, error != NULL ? error->message : "no stream");
    g_object_unref(arv);
    return fail(GC_ERR_INVALID_HANDLE, "the stream was closed meanwhile");
}

GC_API DSStopAcquisition(DS_HANDLE handle, int32_t flags)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    if (flags != 0 && flags != 1)
        return fail(GC_ERR_INVALID_PARAMETER, "flags %d: 0 and 1 are allowed", flags);
    return stop_acquiring(stream) ? GC_ERR_SUCCESS
                                  : fail(GC_ERR_RESOURCE_IN_USE, "the stream does not acquire");
}

/* ---- the module ---- */

static void stop_stream(Module *module)
{
    Stream *stream = (Stream *)module;
    Device *device = locked_device(stream);
    stream->is_closed = true;
    g_mutex_unlock(&device->lock);
    stop_acquiring(stream);
}

static void free_stream(Module *module)
{
    Stream *stream = (Stream *)module;
    g_queue_clear(&stream->finished);
    g_ptr_array_unref(stream->buffers);
    g_free(stream);
}

static const Port STREAM_PORT = {
    .module = "TLDataStream",
    .name = "StreamPort",
    .file = "lynceus_stream.xml",
    .features = STREAM_FEATURES,
    .feature_count = G_N_ELEMENTS(STREAM_FEATURES),
};
const Kind STREAM = {
    .name = "data stream", .is_only_child = true, .port = &STREAM_PORT, .stop = stop_stream, .free = free_stream};

GC_ERROR stream_open(Device *device, DS_HANDLE *handle)
{
    Stream *made = g_new0(Stream, 1);
    made->buffers = g_ptr_array_new();
    g_queue_init(&made->finished);
    TAKEN Stream *stream = module_open(made, &STREAM, device);
    if (stream == NULL)
        return failed();
    *handle = stream->module.handle;
    return GC_ERR_SUCCESS;
}

GC_API DSClose(DS_HANDLE handle)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    module_close(stream);
    return GC_ERR_SUCCESS;
}

GC_API DSGetParentDev(DS_HANDLE handle, DEV_HANDLE *device)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    if (device == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the handle is null");
    *device = stream->module.parent->handle;
    return GC_ERR_SUCCESS;
}

static size_t count_queued(const Stream *stream)
{
    size_t count = 0;
    for (guint i = 0; i < stream->buffers->len; i++)
        count += ((const Buffer *)stream->buffers->pdata[i])->state == BUFFER_QUEUED;
    return count;
}

static GC_ERROR stream_info(const Stream *stream, int32_t command, Answer answer)
{
    switch (command) {
    case STREAM_INFO_ID: return answer_text(answer, STREAM_ID);
    case STREAM_INFO_NUM_DELIVERED: return answer_uint64(answer, counts_of(stream).delivered);
    case STREAM_INFO_NUM_UNDERRUN:
        return fail(GC_ERR_NOT_AVAILABLE, "libaravis counts packets that found no buffer, not frames");
    case STREAM_INFO_NUM_ANNOUNCED: return answer_size(answer, stream->buffers->len);
    case STREAM_INFO_NUM_QUEUED: return answer_size(answer, count_queued(stream));
    case STREAM_INFO_NUM_AWAIT_DELIVERY: return answer_size(answer, stream->finished.length);
    case STREAM_INFO_NUM_STARTED: return answer_uint64(answer, stream->started);
    case STREAM_INFO_PAYLOAD_SIZE:
        return fail(GC_ERR_NOT_AVAILABLE, "the device says how large a frame is, as PayloadSize");
    case STREAM_INFO_IS_GRABBING: return answer_bool(answer, stream->phase == STREAM_ACQUIRING);
    case STREAM_INFO_DEFINES_PAYLOADSIZE: return answer_bool(answer, false);
    case STREAM_INFO_TLTYPE: return answer_text(answer, "GEV");
    case STREAM_INFO_NUM_CHUNKS_MAX: return answer_size(answer, 0);
    case STREAM_INFO_BUF_ANNOUNCE_MIN: return answer_size(answer, 2);
    case STREAM_INFO_BUF_ALIGNMENT: return answer_size(answer, 1);
    default: return answer_none("a data stream", command);
    }
}

GC_API DSGetInfo(DS_HANDLE handle, int32_t command, INFO_DATATYPE *type, void *buffer, size_t *size)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    Device *device = locked_device(stream);
    GC_ERROR error = stream_info(stream, command, (Answer){type, buffer, size});
    g_mutex_unlock(&device->lock);
    return error;
}

/* ---- queues of buffers ---- */

/* Every buffer that is not queued, or with `are_finished_too` also those that wait for delivery. */
static void queue_unqueued(Stream *stream, bool are_finished_too)
{
    if (are_finished_too)
        stream_discard_finished(stream);
    for (guint i = 0; i < stream->buffers->len; i++) {
        Buffer *buffer = stream->buffers->pdata[i];
        if (buffer->state == BUFFER_UNQUEUED)
            stream_queue(stream, buffer);
    }
}

/* Only while nothing is acquired: libaravis does not give a queued buffer back. */
static void unqueue(Stream *stream, BufferState state)
{
    for (guint i = 0; i < stream->buffers->len; i++) {
        Buffer *buffer = stream->buffers->pdata[i];
        if (buffer->state != BUFFER_QUEUED)
            continue;
        buffer->state = state;
        buffer->has_data = false;
        buffer->is_incomplete = false;
        if (state == BUFFER_FINISHED)
            g_queue_push_tail(&stream->finished, buffer);
    }
}

static GC_ERROR flush(Stream *stream, int32_t operation)
{
    bool unqueues = operation == ACQ_QUEUE_INPUT_TO_OUTPUT || operation == ACQ_QUEUE_ALL_DISCARD;
    if (unqueues && stream->phase != STREAM_IDLE)
        return fail(GC_ERR_BUSY, "queued buffers are being filled: stop the acquisition first");
    switch (operation) {
    case ACQ_QUEUE_INPUT_TO_OUTPUT: unqueue(stream, BUFFER_FINISHED); break;
    case ACQ_QUEUE_OUTPUT_DISCARD: stream_discard_finished(stream); break;
    case ACQ_QUEUE_ALL_TO_INPUT: queue_unqueued(stream, true); break;
    case ACQ_QUEUE_UNQUEUED_TO_INPUT: queue_unqueued(stream, false); break;
    case ACQ_QUEUE_ALL_DISCARD:
        unqueue(stream, BUFFER_UNQUEUED);
        stream_discard_finished(stream);
        break;
    default: return fail(GC_ERR_INVALID_PARAMETER, "there is no way %d to flush a queue", operation);
    }
    g_cond_broadcast(&stream_device(stream)->news);
    return GC_ERR_SUCCESS;
}

GC_API DSFlushQueue(DS_HANDLE handle, int32_t operation)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    Device *device = locked_device(stream);
    GC_ERROR error = flush(stream, operation);
    g_mutex_unlock(&device->lock);
    return error;
}

/* ---- what this producer does not do ---- */

static GC_ERROR refuse(DS_HANDLE handle, const char *why)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    return stream == NULL ? failed() : fail(GC_ERR_NOT_IMPLEMENTED, "%s", why);
}

GC_API DSAnnounceCompositeBuffer(DS_HANDLE handle, size_t segments, void **memory, size_t *sizes, void *user,
                                 BUFFER_HANDLE *buffer)
{
    (void)segments, (void)memory, (void)sizes, (void)user, (void)buffer;
    return refuse(handle, "GigE Vision has no composite buffers");
}

GC_API DSGetNumFlows(DS_HANDLE handle, uint32_t *count)
{
    (void)count;
    return refuse(handle, "GigE Vision has no flows");
}

GC_API DSGetFlowInfo(DS_HANDLE handle, uint32_t flow, int32_t command, INFO_DATATYPE *type, void *buffer,
                     size_t *size)
{
    (void)flow, (void)command, (void)type, (void)buffer, (void)size;
    return refuse(handle, "GigE Vision has no flows");
}
