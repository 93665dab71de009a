/* The memory frames come in: announcing it, queueing it, and what is known of the frame in it. */
#include "stream.h"

#include <string.h>

#define CHUNK_END_BYTES 8 /* Source: AIA, GigE Vision 1.2: an id and a length, big-endian, of 4 bytes each */

static void free_buffer(Module *module)
{
    Buffer *buffer = (Buffer *)module;
    g_object_unref(buffer->arv);
    if (buffer->is_own_memory)
        g_free(buffer->memory);
    g_free(buffer);
}

/* Revoked, or its stream was closed, which has stopped it before. */
static void stop_buffer(Module *module)
{
    Stream *stream = (Stream *)module->parent;
    Device *device = stream_device(stream);
    g_mutex_lock(&device->lock);
    ((Buffer *)module)->is_revoked = true;
    g_queue_remove(&stream->finished, module);
    g_ptr_array_remove(stream->buffers, module);
    g_mutex_unlock(&device->lock);
}

const Kind BUFFER = {.name = "buffer", .stop = stop_buffer, .free = free_buffer};

static GC_ERROR announce(DS_HANDLE handle, void *memory, size_t size, void *user, bool is_own_memory,
                         BUFFER_HANDLE *announced)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    if (announced == NULL || size == 0 || (memory == NULL && !is_own_memory))
        return fail(GC_ERR_INVALID_PARAMETER, "the memory, its size or the pointer to the handle is null");
    void *own = is_own_memory ? g_try_malloc0(size) : NULL;
    if (is_own_memory && own == NULL)
        return fail(GC_ERR_OUT_OF_MEMORY, "there is no memory for a buffer of %zu bytes", size);
    Buffer *made = g_new0(Buffer, 1);
    made->memory = is_own_memory ? own : memory;
    made->size = size;
    made->user = user;
    made->is_own_memory = is_own_memory;
    made->arv = arv_buffer_new_full(size, made->memory, made, NULL);
    TAKEN Buffer *buffer = module_open(made, &BUFFER, stream);
    if (buffer == NULL)
        return failed();
    Device *device = stream_device(stream);
    g_mutex_lock(&device->lock);
    if (!buffer->is_revoked)
        g_ptr_array_add(stream->buffers, buffer);
    g_mutex_unlock(&device->lock);
    *announced = buffer->module.handle;
    return GC_ERR_SUCCESS;
}

GC_API DSAnnounceBuffer(DS_HANDLE handle, void *memory, size_t size, void *user, BUFFER_HANDLE *buffer)
{
    return announce(handle, memory, size, user, false, buffer);
}

GC_API DSAllocAndAnnounceBuffer(DS_HANDLE handle, size_t size, void *user, BUFFER_HANDLE *buffer)
{
    return announce(handle, NULL, size, user, true, buffer);
}

/* The buffer, where the handle is one of that stream; NULL, see `failed`, where not. */
static Buffer *take_buffer(const Stream *stream, BUFFER_HANDLE handle)
{
    Buffer *buffer = module_take(handle, &BUFFER);
    if (buffer == NULL || buffer->module.parent == &stream->module)
        return buffer;
    module_drop(buffer);
    fail(GC_ERR_INVALID_HANDLE, "the buffer is of another stream");
    return NULL;
}

GC_API DSRevokeBuffer(DS_HANDLE handle, BUFFER_HANDLE buffer_handle, void **memory, void **user)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    TAKEN Buffer *buffer = take_buffer(stream, buffer_handle);
    if (buffer == NULL)
        return failed();
    Device *device = stream_device(stream);
    g_mutex_lock(&device->lock);
    bool is_written = buffer->state == BUFFER_QUEUED && stream->phase != STREAM_IDLE;
    if (!is_written)
        buffer->is_revoked = true;
    g_mutex_unlock(&device->lock);
    if (is_written)
        return fail(GC_ERR_BUSY, "the buffer is queued and frames are acquired");
    if (memory != NULL)
        *memory = buffer->is_own_memory ? NULL : buffer->memory;
    if (user != NULL)
        *user = buffer->user;
    module_close(buffer);
    return GC_ERR_SUCCESS;
}

GC_API DSQueueBuffer(DS_HANDLE handle, BUFFER_HANDLE buffer_handle)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    TAKEN Buffer *buffer = take_buffer(stream, buffer_handle);
    if (buffer == NULL)
        return failed();
    Device *device = stream_device(stream);
    g_mutex_lock(&device->lock);
    bool is_free = buffer->state == BUFFER_UNQUEUED && !buffer->is_revoked && !stream->is_closed;
    if (is_free)
        stream_queue(stream, buffer);
    g_mutex_unlock(&device->lock);
    return is_free ? GC_ERR_SUCCESS : fail(GC_ERR_RESOURCE_IN_USE, "the buffer is queued, or was not fetched yet");
}

GC_API DSGetBufferID(DS_HANDLE handle, uint32_t index, BUFFER_HANDLE *buffer)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    if (buffer == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the handle is null");
    Device *device = stream_device(stream);
    g_mutex_lock(&device->lock);
    guint count = stream->buffers->len;
    if (index < count)
        *buffer = ((Module *)stream->buffers->pdata[index])->handle;
    g_mutex_unlock(&device->lock);
    return index < count ? GC_ERR_SUCCESS
                         : fail(GC_ERR_INVALID_INDEX, "buffer %u: %u are announced", index, count);
}

/* ---- what is known of a frame ---- */

static bool is_image(ArvBuffer *arv)
{
    ArvBufferPayloadType type = arv_buffer_get_payload_type(arv);
    bool has_one = type == ARV_BUFFER_PAYLOAD_TYPE_IMAGE || type == ARV_BUFFER_PAYLOAD_TYPE_EXTENDED_CHUNK_DATA;
    return has_one && arv_buffer_get_n_parts(arv) > 0 &&
           arv_buffer_get_part_data_type(arv, 0) == ARV_BUFFER_PART_DATA_TYPE_2D_IMAGE;
}

/* libaravis 0.8.26 does not count among them the older kind of image with chunks, which many cameras send. */
static bool has_chunks(ArvBuffer *arv)
{
    return arv_buffer_has_chunks(arv) ||
           arv_buffer_get_payload_type(arv) == ARV_BUFFER_PAYLOAD_TYPE_EXTENDED_CHUNK_DATA;
}

static int32_t payload_type(ArvBuffer *arv)
{
    if (is_image(arv))
        return PAYLOAD_TYPE_IMAGE;
    return arv_buffer_get_payload_type(arv) == ARV_BUFFER_PAYLOAD_TYPE_CHUNK_DATA ? PAYLOAD_TYPE_CHUNK_DATA
                                                                                  : PAYLOAD_TYPE_UNKNOWN;
}

static size_t not_negative(gint value)
{
    return value < 0 ? 0 : (size_t)value;
}

static size_t bytes_filled(const Buffer *buffer)
{
    size_t size = 0;
    arv_buffer_get_data(buffer->arv, &size);
    return MIN(size, buffer->size);
}

/* Chunks each end with an id and a length, so they are found from the end; the first is the image. None where they do
 * not add up. */
static size_t image_bytes(const Buffer *buffer)
{
    size_t at = bytes_filled(buffer);
    if (!has_chunks(buffer->arv))
        return at;
    while (at >= CHUNK_END_BYTES) {
        guint32 length;
        memcpy(&length, (const char *)buffer->memory + at - sizeof length, sizeof length);
        length = GUINT32_FROM_BE(length);
        at -= CHUNK_END_BYTES;
        if (length >= at)
            return length == at ? length : 0;
        at -= length;
    }
    return 0;
}

/* Bits, since lines of packed pixels may share a byte. */
static size_t line_bits(ArvBuffer *arv)
{
    gint padding = 0;
    arv_buffer_get_image_padding(arv, &padding, NULL);
    size_t pixel_bits = ARV_PIXEL_FORMAT_BIT_PER_PIXEL(arv_buffer_get_image_pixel_format(arv));
    return not_negative(arv_buffer_get_image_width(arv)) * pixel_bits + 8 * not_negative(padding);
}

ImageState image_state(const Buffer *buffer)
{
    ArvBuffer *arv = buffer->arv;
    if (!is_image(arv))
        return IMAGE_WHOLE;
    size_t line = line_bits(arv);
    size_t height = not_negative(arv_buffer_get_image_height(arv));
    if (line > 0 && height > 8 * buffer->size / line)
        return IMAGE_TOO_LARGE;
    /* A line scan may end early, but after a line. */
    size_t filled = 8 * image_bytes(buffer);
    bool ends_with_line = line == 0 || filled >= height * line || filled % line == 0;
    return filled > 0 && ends_with_line ? IMAGE_WHOLE : IMAGE_BROKEN;
}

/* Lines of which every byte has come: a line-scan image may be cut short. */
static size_t whole_lines(const Buffer *buffer)
{
    size_t line = (line_bits(buffer->arv) + 7) / 8;
    size_t height = not_negative(arv_buffer_get_image_height(buffer->arv));
    return line == 0 ? height : MIN(height, image_bytes(buffer) / line);
}

static GC_ERROR image_info(const Buffer *buffer, int32_t command, Answer answer)
{
    ArvBuffer *arv = buffer->arv;
    gint x_padding = 0;
    gint y_padding = 0;
    if (!is_image(arv))
        return fail(GC_ERR_NOT_AVAILABLE, "the payload of the buffer is not an image");
    arv_buffer_get_image_padding(arv, &x_padding, &y_padding);
    switch (command) {
    case BUFFER_INFO_WIDTH: return answer_size(answer, not_negative(arv_buffer_get_image_width(arv)));
    case BUFFER_INFO_HEIGHT: return answer_size(answer, not_negative(arv_buffer_get_image_height(arv)));
    case BUFFER_INFO_DELIVERED_IMAGEHEIGHT: return answer_size(answer, whole_lines(buffer));
    case BUFFER_INFO_XOFFSET: return answer_size(answer, not_negative(arv_buffer_get_image_x(arv)));
    case BUFFER_INFO_YOFFSET: return answer_size(answer, not_negative(arv_buffer_get_image_y(arv)));
    case BUFFER_INFO_XPADDING: return answer_size(answer, not_negative(x_padding));
    case BUFFER_INFO_YPADDING: return answer_size(answer, not_negative(y_padding));
    case BUFFER_INFO_PIXELFORMAT: return answer_uint64(answer, arv_buffer_get_image_pixel_format(arv));
    case BUFFER_INFO_PIXELFORMAT_NAMESPACE: return answer_uint64(answer, PIXELFORMAT_NAMESPACE_PFNC_32BIT);
    case BUFFER_INFO_PIXEL_ENDIANNESS: return answer_int32(answer, PIXELENDIANNESS_LITTLE);
    default: return answer_none("a buffer", command);
    }
}

static GC_ERROR whole_frame_info(const Buffer *buffer, int32_t command, Answer answer)
{
    ArvBuffer *arv = buffer->arv;
    switch (command) {
    case BUFFER_INFO_IMAGEPRESENT: return answer_bool(answer, is_image(arv));
    case BUFFER_INFO_IMAGEOFFSET: return answer_size(answer, 0);
    case BUFFER_INFO_PAYLOADTYPE: return answer_size(answer, (size_t)payload_type(arv));
    case BUFFER_INFO_DELIVERED_CHUNKPAYLOADSIZE:
        return answer_size(answer, has_chunks(arv) ? bytes_filled(buffer) : 0);
    case BUFFER_INFO_CONTAINS_CHUNKDATA: return answer_bool(answer, has_chunks(arv));
    default: return image_info(buffer, command, answer);
    }
}

static GC_ERROR frame_info(const Buffer *buffer, int32_t command, Answer answer)
{
    ArvBuffer *arv = buffer->arv;
    if (command == BUFFER_INFO_DATA_LARGER_THAN_BUFFER)
        return answer_bool(answer, buffer->is_too_small);
    /* Where the first packet was lost, libaravis leaves what it knew of the frame before. */
    if (buffer->is_incomplete && arv_buffer_get_frame_id(arv) == buffer->id_when_queued)
        return fail(GC_ERR_NOT_AVAILABLE, "the first packet of the frame was lost");
    switch (command) {
    case BUFFER_INFO_TIMESTAMP:
    case BUFFER_INFO_TIMESTAMP_NS: return answer_uint64(answer, arv_buffer_get_timestamp(arv));
    case BUFFER_INFO_SIZE_FILLED:
    case BUFFER_INFO_DATA_SIZE: return answer_size(answer, bytes_filled(buffer));
    case BUFFER_INFO_FRAMEID: return answer_uint64(answer, arv_buffer_get_frame_id(arv));
    default:
        return buffer->is_incomplete ? fail(GC_ERR_NOT_AVAILABLE, "the frame in the buffer is not whole")
                                     : whole_frame_info(buffer, command, answer);
    }
}

static GC_ERROR buffer_info(const Stream *stream, const Buffer *buffer, int32_t command, Answer answer)
{
    bool is_queued = buffer->state == BUFFER_QUEUED;
    switch (command) {
    case BUFFER_INFO_BASE: return answer_pointer(answer, buffer->memory);
    case BUFFER_INFO_SIZE: return answer_size(answer, buffer->size);
    case BUFFER_INFO_USER_PTR: return answer_pointer(answer, buffer->user);
    case BUFFER_INFO_NEW_DATA: return answer_bool(answer, buffer->has_data);
    case BUFFER_INFO_IS_QUEUED: return answer_bool(answer, is_queued);
    case BUFFER_INFO_IS_ACQUIRING: return answer_bool(answer, is_queued && stream->phase == STREAM_ACQUIRING);
    case BUFFER_INFO_IS_INCOMPLETE: return answer_bool(answer, buffer->has_data && buffer->is_incomplete);
    case BUFFER_INFO_TLTYPE: return answer_text(answer, "GEV");
    case BUFFER_INFO_IS_COMPOSITE: return answer_bool(answer, false);
    default:
        return buffer->has_data ? frame_info(buffer, command, answer)
                                : fail(GC_ERR_NO_DATA, "there is no frame in the buffer");
    }
}

GC_API DSGetBufferInfo(DS_HANDLE handle, BUFFER_HANDLE buffer_handle, int32_t command, INFO_DATATYPE *type,
                       void *answer, size_t *size)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    TAKEN Buffer *buffer = take_buffer(stream, buffer_handle);
    if (buffer == NULL)
        return failed();
    Device *device = stream_device(stream);
    g_mutex_lock(&device->lock);
    GC_ERROR error = buffer_info(stream, buffer, command, (Answer){type, answer, size});
    g_mutex_unlock(&device->lock);
    return error;
}

/* ---- what this producer does not do ---- */

static GC_ERROR refuse(DS_HANDLE handle, BUFFER_HANDLE buffer_handle, GC_ERROR code, const char *why)
{
    TAKEN Stream *stream = module_take(handle, &STREAM);
    if (stream == NULL)
        return failed();
    TAKEN Buffer *buffer = take_buffer(stream, buffer_handle);
    return buffer == NULL ? failed() : fail(code, "%s", why);
}

GC_API DSGetNumBufferParts(DS_HANDLE handle, BUFFER_HANDLE buffer, uint32_t *count)
{
    (void)count;
    return refuse(handle, buffer, GC_ERR_NO_DATA, "multi-part payloads are not taken apart");
}

GC_API DSGetBufferPartInfo(DS_HANDLE handle, BUFFER_HANDLE buffer, uint32_t part, int32_t command,
                           INFO_DATATYPE *type, void *answer, size_t *size)
{
    (void)part, (void)command, (void)type, (void)answer, (void)size;
    return refuse(handle, buffer, GC_ERR_NO_DATA, "multi-part payloads are not taken apart");
}

GC_API DSGetNumBufferSegments(DS_HANDLE handle, BUFFER_HANDLE buffer, uint32_t *count)
{
    (void)count;
    return refuse(handle, buffer, GC_ERR_NO_DATA, "the buffer is not composite");
}

GC_API DSGetBufferSegmentInfo(DS_HANDLE handle, BUFFER_HANDLE buffer, uint32_t segment, int32_t command,
                              INFO_DATATYPE *type, void *answer, size_t *size)
{
    (void)segment, (void)command, (void)type, (void)answer, (void)size;
    return refuse(handle, buffer, GC_ERR_NO_DATA, "the buffer is not composite");
}

GC_API DSGetBufferChunkData(DS_HANDLE handle, BUFFER_HANDLE buffer, void *chunks, size_t *count)
{
    (void)chunks, (void)count;
    return refuse(handle, buffer, GC_ERR_NOT_IMPLEMENTED,
                  "chunks are in the buffer in GigE Vision's own layout, which the client reads");
}
