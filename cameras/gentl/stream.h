/* The frames of a device, in the order they came, and the memory they come in. */
#ifndef LYNCEUS_GENTL_STREAM_H
#define LYNCEUS_GENTL_STREAM_H

#include "device.h"

#define STREAM_ID "Stream0"

/* Since the stream was opened, unless said otherwise. */
typedef struct {
    uint64_t delivered;  /* to the client, whole or not */
    uint64_t incomplete; /* of these */
    uint64_t underrun_packets; /* that came while no buffer was queued; libaravis does not count their frames */
    uint64_t resent_packets;
    uint64_t missing_packets; /* of a damaged frame all after the first that did not come */
} Counts;

typedef enum { STREAM_IDLE, STREAM_STARTING, STREAM_ACQUIRING, STREAM_STOPPING } StreamPhase;

/* Everything in it is under the device's lock, but for what libaravis does with a queued buffer's memory. */
typedef struct {
    Module module;
    GPtrArray *buffers; /* Buffer, in the order they were announced */
    GQueue finished;    /* Buffer, to be delivered; its state is BUFFER_FINISHED */
    StreamPhase phase;
    ArvStream *arv; /* while STREAM_ACQUIRING */
    bool is_closed;
    uint64_t frames_left; /* of this acquisition; GENTL_INFINITE stays */
    uint64_t started;     /* frames of this acquisition */
    Counts past;          /* of all but what `arv` still counts */
} Stream;

typedef enum {
    BUFFER_UNQUEUED, /* announced, or in the client's hands */
    BUFFER_QUEUED,   /* libaravis may write into it, unless the stream is idle */
    BUFFER_FINISHED,
} BufferState;

typedef struct {
    Module module;
    ArvBuffer *arv;
    void *memory;
    size_t size;
    void *user;
    bool is_own_memory;
    bool is_revoked;
    BufferState state;
    uint64_t id_when_queued; /* of the frame that was in it before */
    bool has_data;
    bool is_incomplete;
    bool is_too_small; /* for the frame in it */
} Buffer;

static inline Device *stream_device(const Stream *stream)
{
    return (Device *)stream->module.parent;
}

GC_ERROR stream_open(Device *device, DS_HANDLE *handle);

/* libaravis may fill it from here on. The device's lock must be held. */
void stream_queue(Stream *stream, Buffer *buffer);

typedef enum { IMAGE_WHOLE, IMAGE_BROKEN, IMAGE_TOO_LARGE } ImageState;

/* Of a frame that libaravis calls whole: whether the image in it is. */
ImageState image_state(const Buffer *buffer);

/* The next finished buffer, now the client's, or NULL. The device's lock must be held. */
Buffer *stream_deliver(Stream *stream);

/* Finished buffers are no longer to be delivered. The device's lock must be held. */
void stream_discard_finished(Stream *stream);

#endif
