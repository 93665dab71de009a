/* How much the kernel keeps for a stream while its receiver is busy. */
#ifndef LYNCEUS_GENTL_RECEIVE_BUFFER_H
#define LYNCEUS_GENTL_RECEIVE_BUFFER_H

#include <arv.h>

/* Enlarge it as the options say, for frames of that size. Above net.core.rmem_max only with CAP_NET_ADMIN.
 *
 * libaravis does this too, but only when the first packet of the first frame has been read: of a burst that frame then
 * loses what did not fit. */
void enlarge_receive_buffer(ArvGvStream *stream, gint64 frame_size);

#endif
