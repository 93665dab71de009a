#define _GNU_SOURCE /* SO_RCVBUFFORCE */

#include "receiving.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "options.h"

/* Of four frames, and 1 MiB, two cameras of 1024 x 1024 px and 15 Hz lost one frame in 2000 to pauses of a third of a
 * second on two busy cores: what has to be asked for again is then more than libaravis asks for. */
#define LEAST_SIZE ((gint64)16 << 20)
#define MOST_SIZE ((gint64)256 << 20)
#define FRAMES 16

static int wanted_size(gint64 frame_size)
{
    if (options()->socket_buffer != OPTION_AUTO)
        return options()->socket_buffer;
    return (int)CLAMP(FRAMES * CLAMP(frame_size, 0, MOST_SIZE), LEAST_SIZE, MOST_SIZE);
}

static bool is_bound_to(int file, guint16 port)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    int type = 0;
    socklen_t type_size = sizeof type;
    return getsockname(file, (struct sockaddr *)&address, &size) == 0 && address.sin_family == AF_INET &&
           ntohs(address.sin_port) == port && getsockopt(file, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 &&
           type == SOCK_DGRAM;
}

void enlarge_receive_buffer(ArvGvStream *stream, gint64 frame_size)
{
    /* libaravis keeps its socket to itself, but says its port. */
    guint16 port = arv_gv_stream_get_port(stream);
    int size = wanted_size(frame_size);
    g_autoptr(GDir) files = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;
    while (files != NULL && (name = g_dir_read_name(files)) != NULL) {
        int file = (int)g_ascii_strtoll(name, NULL, 10);
        if (is_bound_to(file, port) && setsockopt(file, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
            setsockopt(file, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
}
