/* Registers and the XML that describes them, of the producer's own modules and of the device itself. */
#ifndef LYNCEUS_GENTL_PORT_H
#define LYNCEUS_GENTL_PORT_H

#include "module.h"

/* A read-only integer feature of a module, in a register of 8 bytes. */
typedef struct {
    const char *name;
    const char *tooltip;
    uint64_t (*read)(Module *module);
} Feature;

/* What a kind of module has behind its port. `read` and `write` are NULL where the module has only features. */
struct Port {
    const char *module; /* as the standard names it: TLSystem, TLInterface, TLDevice, TLDataStream, Device */
    const char *name;   /* of the port node in the XML */
    const char *file;
    const Feature *features;
    size_t feature_count;
    GBytes *(*xml)(Module *module);
    GC_ERROR (*read)(Module *module, uint64_t address, void *buffer, size_t size);
    GC_ERROR (*write)(Module *module, uint64_t address, const void *buffer, size_t size);
};

#endif
