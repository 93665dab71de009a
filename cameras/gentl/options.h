/* What can be set by environment, read when the system is opened. The defaults suit a camera on a link of its own. */
#ifndef LYNCEUS_GENTL_OPTIONS_H
#define LYNCEUS_GENTL_OPTIONS_H

#include <stdbool.h>

#include "gentl.h"

enum { OPTION_AUTO = -1, OPTION_KEEP = -2 };

typedef struct {
    /* LYNCEUS_GENTL_PACKET_SIZE: bytes of a stream packet; "auto" (default) asks the device for test packets and
     * takes the largest that arrives; "keep" leaves it as the device has it. */
    int packet_size;

    /* LYNCEUS_GENTL_SOCKET_BUFFER: bytes the kernel holds for a busy receiver; "auto" (default): some frames. */
    int socket_buffer;

    /* LYNCEUS_GENTL_PACKET_RESEND: 1 (default) asks for lost packets again, 0 does not. */
    bool packet_resend;

    /* LYNCEUS_GENTL_PACKET_SOCKET: 1 receives below the kernel's UDP, which needs CAP_NET_RAW and saves work. The
     * default is 0: on the loopback interface such a socket receives nothing at all. */
    bool packet_socket;

    /* LYNCEUS_GENTL_LOST_AFTER_MS: a device that answered nothing for so long is lost; "auto" (default): 2000. */
    int lost_after_ms;

    /* LYNCEUS_GENTL_PACKET_TIMEOUT_US, LYNCEUS_GENTL_FRAME_RETENTION_US: when a packet is asked for again, and when
     * a frame is given up; "keep" (default): libaravis' own 20 000 and 100 000 µs. */
    int packet_timeout_us;
    int frame_retention_us;
} Options;

/* Read the environment. A value that is none of these is GC_ERR_INVALID_VALUE and changes nothing. */
GC_ERROR options_read(void);

const Options *options(void);

#endif
