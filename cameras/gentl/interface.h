/* All GigE Vision networks of the machine as one interface: libaravis looks on every network at once. */
#ifndef LYNCEUS_GENTL_INTERFACE_H
#define LYNCEUS_GENTL_INTERFACE_H

#include "module.h"

#define INTERFACE_ID "lynceus-gev-networks"

GC_ERROR interface_open(Module *system, IF_HANDLE *handle);
GC_ERROR interface_info(int32_t command, Answer answer);
GC_ERROR interface_unknown(const char *id);

#endif
