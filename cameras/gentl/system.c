/* The library and its system module. */
#define _GNU_SOURCE /* dladdr */

#include <arv.h>
#include <dlfcn.h>

#include "interface.h"
#include "options.h"
#include "port.h"

typedef struct {
    Module module;
    gint was_listed; /* atomic */
} System;

static void free_system(Module *module)
{
    g_free(module);
}

static const Port SYSTEM_PORT = {.module = "TLSystem", .name = "TLPort", .file = "lynceus_system.xml"};
const Kind SYSTEM = {.name = "system", .is_only_child = true, .port = &SYSTEM_PORT, .free = free_system};

GC_API GCInitLib(void)
{
    if (!modules_begin())
        return fail(GC_ERR_RESOURCE_IN_USE, "the library is initialised already");
    arv_disable_interface("Fake");
    arv_disable_interface("USB3Vision");
    return GC_ERR_SUCCESS;
}

GC_API GCCloseLib(void)
{
    return modules_end() ? GC_ERR_SUCCESS : fail(GC_ERR_NOT_INITIALIZED, "GCInitLib was not called");
}

/* Of the file this code was loaded from. */
static const char *own_path(void)
{
    static const char anchor;
    Dl_info info;
    return dladdr(&anchor, &info) != 0 && info.dli_fname != NULL ? info.dli_fname : "lynceus.cti";
}

static GC_ERROR system_info(int32_t command, Answer answer)
{
    switch (command) {
    case TL_INFO_ID: return answer_text(answer, "lynceus-gev");
    case TL_INFO_VENDOR: return answer_text(answer, "Lynceus");
    case TL_INFO_MODEL: return answer_text(answer, "Lynceus GigE Vision");
    case TL_INFO_VERSION: return answer_text(answer, "1.0.0");
    case TL_INFO_TLTYPE: return answer_text(answer, "GEV");
    case TL_INFO_NAME: return answer_text(answer, "lynceus.cti");
    case TL_INFO_PATHNAME: return answer_text(answer, own_path());
    case TL_INFO_DISPLAYNAME: return answer_text(answer, "Lynceus GigE Vision producer");
    case TL_INFO_CHAR_ENCODING: return answer_int32(answer, TL_CHAR_ENCODING_UTF8);
    case TL_INFO_GENTL_VER_MAJOR: return answer_uint32(answer, 1);
    case TL_INFO_GENTL_VER_MINOR: return answer_uint32(answer, 5);
    default: return answer_none("the system", command);
    }
}

GC_API GCGetInfo(int32_t command, INFO_DATATYPE *type, void *buffer, size_t *size)
{
    return system_info(command, (Answer){type, buffer, size});
}

GC_API TLOpen(TL_HANDLE *handle)
{
    if (!modules_are_begun())
        return failed();
    if (handle == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the handle is null");
    TAKEN System *system = module_open(g_new0(System, 1), &SYSTEM, NULL);
    if (system == NULL)
        return failed();
    /* Not in GCInitLib: genicam closes a library that does not begin before it asks it why. */
    if (options_read() != GC_ERR_SUCCESS) {
        module_close(system);
        return failed();
    }
    *handle = system->module.handle;
    return GC_ERR_SUCCESS;
}

GC_API TLClose(TL_HANDLE handle)
{
    TAKEN System *system = module_take(handle, &SYSTEM);
    if (system == NULL)
        return failed();
    module_close(system);
    return GC_ERR_SUCCESS;
}

GC_API TLGetInfo(TL_HANDLE handle, int32_t command, INFO_DATATYPE *type, void *buffer, size_t *size)
{
    TAKEN System *system = module_take(handle, &SYSTEM);
    return system == NULL ? failed() : system_info(command, (Answer){type, buffer, size});
}

GC_API TLUpdateInterfaceList(TL_HANDLE handle, bool8_t *changed, uint64_t timeout_ms)
{
    (void)timeout_ms; /* nothing is looked for: the one interface stands for all networks */
    TAKEN System *system = module_take(handle, &SYSTEM);
    if (system == NULL)
        return failed();
    bool is_new = g_atomic_int_compare_and_exchange(&system->was_listed, 0, 1);
    if (changed != NULL)
        *changed = is_new;
    return GC_ERR_SUCCESS;
}

GC_API TLGetNumInterfaces(TL_HANDLE handle, uint32_t *count)
{
    TAKEN System *system = module_take(handle, &SYSTEM);
    if (system == NULL)
        return failed();
    if (count == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the count is null");
    *count = 1;
    return GC_ERR_SUCCESS;
}

GC_API TLGetInterfaceID(TL_HANDLE handle, uint32_t index, char *id, size_t *size)
{
    TAKEN System *system = module_take(handle, &SYSTEM);
    if (system == NULL)
        return failed();
    if (index != 0)
        return fail(GC_ERR_INVALID_INDEX, "interface %u: there is one, 0", index);
    return answer_text((Answer){NULL, id, size}, INTERFACE_ID);
}

GC_API TLGetInterfaceInfo(TL_HANDLE handle, const char *id, int32_t command, INFO_DATATYPE *type, void *buffer,
                          size_t *size)
{
    TAKEN System *system = module_take(handle, &SYSTEM);
    if (system == NULL)
        return failed();
    return g_strcmp0(id, INTERFACE_ID) == 0 ? interface_info(command, (Answer){type, buffer, size})
                                            : interface_unknown(id);
}

GC_API TLOpenInterface(TL_HANDLE handle, const char *id, IF_HANDLE *interface)
{
    TAKEN System *system = module_take(handle, &SYSTEM);
    if (system == NULL)
        return failed();
    if (interface == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the handle is null");
    return g_strcmp0(id, INTERFACE_ID) == 0 ? interface_open(&system->module, interface) : interface_unknown(id);
}
