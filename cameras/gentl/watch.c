#include "watch.h"

#include <stdbool.h>
#include <string.h>

#include "options.h"

#define ASK_US 400000 /* between two questions */

/* Source: AIA, GigE Vision 1.2. Numbers are big-endian. */
#define CONTROL_AT 0x0A00
#define CONTROL_BITS 0x3
#define READ_REGISTER 0x0080
#define READ_REGISTER_ACK 0x0081

typedef struct {
    guint8 key;
    guint8 flags;
    guint16 command;
    guint16 length;
    guint16 id;
    guint32 address;
} Question;

typedef struct {
    guint16 status;
    guint16 command;
    guint16 length;
    guint16 id;
    guint32 value;
} Reply;

struct Watch {
    GSocket *socket;
    GSocketAddress *device;
    GCancellable *stopping;
    GThread *thread;
    void (*lost)(void *data);
    void *data;
};

static void ask(const Watch *watch, guint16 id)
{
    Question question = {.key = 0x42,
                         .flags = 0x01, /* wants an answer */
                         .command = GUINT16_TO_BE(READ_REGISTER),
                         .length = GUINT16_TO_BE(sizeof question.address),
                         .id = GUINT16_TO_BE(id),
                         .address = GUINT32_TO_BE(CONTROL_AT)};
    /* One that cannot be sent, as when the cable is out, is one that is not answered. */
    g_socket_send_to(watch->socket, watch->device, (const char *)&question, sizeof question, NULL, NULL);
}

typedef enum { HEARD_NOTHING, HEARD_IT, HEARD_NO_CONTROL } Heard;

/* The answer to an earlier question is as good as that to the last. */
static Heard hear(const Watch *watch)
{
    Reply reply = {0};
    gssize size = g_socket_receive(watch->socket, (char *)&reply, sizeof reply, NULL, NULL);
    if (size < (gssize)offsetof(Reply, value) || GUINT16_FROM_BE(reply.command) != READ_REGISTER_ACK)
        return HEARD_NOTHING;
    /* A device that does not let others read its registers is there all the same. */
    bool has_value = size == sizeof reply && reply.status == 0;
    return has_value && (GUINT32_FROM_BE(reply.value) & CONTROL_BITS) == 0 ? HEARD_NO_CONTROL : HEARD_IT;
}

/* For so long; and what waits when the time is over is heard all the same: this computer may have slept. */
static Heard listen(const Watch *watch, gint64 wait_us)
{
    gint64 end = g_get_monotonic_time() + wait_us;
    Heard heard = HEARD_NOTHING;
    while (heard != HEARD_NO_CONTROL &&
           g_socket_condition_timed_wait(watch->socket, G_IO_IN, MAX(0, end - g_get_monotonic_time()),
                                         watch->stopping, NULL)) {
        Heard next = hear(watch);
        heard = MAX(heard, next);
    }
    return heard;
}

static void *watch_thread(void *data)
{
    const Watch *watch = data;
    gint64 lost_after = (gint64)options()->lost_after_ms * 1000;
    /* Of the times that we listened and not of the clock: one that goes on while this computer pauses would make a
     * device lost that had no question to answer. */
    gint64 silent_us = 0;
    bool is_lost = false;
    for (guint16 id = 1; !is_lost && !g_cancellable_is_cancelled(watch->stopping); id = id == G_MAXUINT16 ? 1 : id + 1) {
        gint64 wait_us = MIN(ASK_US, lost_after - silent_us);
        ask(watch, id);
        Heard heard = listen(watch, wait_us);
        silent_us = heard == HEARD_NOTHING ? silent_us + wait_us : 0;
        is_lost = heard == HEARD_NO_CONTROL || silent_us >= lost_after;
    }
    if (is_lost && !g_cancellable_is_cancelled(watch->stopping))
        watch->lost(watch->data);
    return NULL;
}

static void free_watch(Watch *watch)
{
    g_clear_object(&watch->socket);
    g_clear_object(&watch->device);
    g_clear_object(&watch->stopping);
    g_free(watch);
}

Watch *watch_start(ArvGvDevice *device, void (*lost)(void *data), void *data)
{
    Watch *watch = g_new0(Watch, 1);
    watch->device = g_object_ref(arv_gv_device_get_device_address(device));
    watch->stopping = g_cancellable_new();
    watch->lost = lost;
    watch->data = data;
    watch->socket = g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, NULL);
    if (watch->socket == NULL ||
        !g_socket_bind(watch->socket, arv_gv_device_get_interface_address(device), FALSE, NULL)) {
        free_watch(watch);
        return NULL;
    }
    g_socket_set_blocking(watch->socket, FALSE);
    watch->thread = g_thread_new("lynceus_watch", watch_thread, watch);
    return watch;
}

void watch_stop(Watch *watch)
{
    if (watch == NULL)
        return;
    g_cancellable_cancel(watch->stopping);
    g_thread_join(watch->thread);
    free_watch(watch);
}
