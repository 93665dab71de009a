/* Whether a device still answers, known sooner than libaravis knows it. */
#ifndef LYNCEUS_GENTL_WATCH_H
#define LYNCEUS_GENTL_WATCH_H

#include <arv.h>

typedef struct Watch Watch;

/* Ask the device again and again, on a socket and a thread of its own: on libaravis' the question would wait for that
 * one's retries, and they for it. `lost` is called once, on that thread, when nothing was answered for as long as the
 * options say, or the device says that nobody controls it. NULL, and nobody watches, where there is no socket. */
Watch *watch_start(ArvGvDevice *device, void (*lost)(void *data), void *data);

/* When it returns, `lost` is not called any more. Not to be called from `lost`. NULL is nothing to stop. */
void watch_stop(Watch *watch);

#endif
