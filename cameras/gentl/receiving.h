/* What keeps frames whole while this computer is busy with others. */
#ifndef LYNCEUS_GENTL_RECEIVING_H
#define LYNCEUS_GENTL_RECEIVING_H

#include <arv.h>

/* Enlarge what the kernel keeps for a stream, as the options say, for frames of that size. Above net.core.rmem_max only
 * with CAP_NET_ADMIN.
 *
 * libaravis does this too, but only when the first packet of the first frame has been read: of a burst that frame then
 * loses what did not fit. */
void enlarge_receive_buffer(ArvGvStream *stream, gint64 frame_size);

#endif
