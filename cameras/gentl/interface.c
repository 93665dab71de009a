#include "interface.h"

#include <arv.h>

#include "device.h"
#include "port.h"

typedef struct {
    Module module;
    GMutex lock;      /* devices, and the opening of one */
    GPtrArray *found; /* DeviceInfo, as the last IFUpdateDeviceList left it */
} Interface;

static void free_interface(Module *module)
{
    Interface *interface = (Interface *)module;
    g_ptr_array_unref(interface->found);
    g_mutex_clear(&interface->lock);
    g_free(interface);
}

static const Port INTERFACE_PORT = {
    .module = "TLInterface", .name = "InterfacePort", .file = "lynceus_interface.xml"};
const Kind INTERFACE = {
    .name = "interface", .is_only_child = true, .port = &INTERFACE_PORT, .free = free_interface};

static void free_info(gpointer info)
{
    device_info_free(info);
}

GC_ERROR interface_open(Module *system, IF_HANDLE *handle)
{
    Interface *made = g_new0(Interface, 1);
    g_mutex_init(&made->lock);
    made->found = g_ptr_array_new_with_free_func(free_info);
    TAKEN Interface *interface = module_open(made, &INTERFACE, system);
    if (interface == NULL)
        return failed();
    *handle = interface->module.handle;
    return GC_ERR_SUCCESS;
}

GC_ERROR interface_info(int32_t command, Answer answer)
{
    switch (command) {
    case INTERFACE_INFO_ID: return answer_text(answer, INTERFACE_ID);
    case INTERFACE_INFO_DISPLAYNAME: return answer_text(answer, "All GigE Vision networks");
    case INTERFACE_INFO_TLTYPE: return answer_text(answer, "GEV");
    default: return answer_none("an interface", command);
    }
}

GC_ERROR interface_unknown(const char *id)
{
    return id == NULL ? fail(GC_ERR_INVALID_PARAMETER, "the id of the interface is null")
                      : fail(GC_ERR_INVALID_ID, "there is no interface %s", id);
}

GC_API IFClose(IF_HANDLE handle)
{
    TAKEN Interface *interface = module_take(handle, &INTERFACE);
    if (interface == NULL)
        return failed();
    module_close(interface);
    return GC_ERR_SUCCESS;
}

GC_API IFGetInfo(IF_HANDLE handle, int32_t command, INFO_DATATYPE *type, void *buffer, size_t *size)
{
    TAKEN Interface *interface = module_take(handle, &INTERFACE);
    return interface == NULL ? failed() : interface_info(command, (Answer){type, buffer, size});
}

GC_API IFGetParentTL(IF_HANDLE handle, TL_HANDLE *system)
{
    TAKEN Interface *interface = module_take(handle, &INTERFACE);
    if (interface == NULL)
        return failed();
    if (system == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the handle is null");
    *system = interface->module.parent->handle;
    return GC_ERR_SUCCESS;
}

static GPtrArray *looked_for(void)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(free_info);
    arv_update_device_list();
    for (unsigned int i = 0; i < arv_get_n_devices(); i++)
        g_ptr_array_add(found, device_info_of(i));
    return found;
}

static bool are_same(const GPtrArray *one, const GPtrArray *other)
{
    if (one->len != other->len)
        return false;
    for (guint i = 0; i < one->len; i++) {
        const DeviceInfo *left = one->pdata[i];
        const DeviceInfo *right = other->pdata[i];
        if (g_strcmp0(left->id, right->id) != 0 || g_strcmp0(left->address, right->address) != 0)
            return false;
    }
    return true;
}

/* libaravis waits for answers for one second, whatever the time given. */
GC_API IFUpdateDeviceList(IF_HANDLE handle, bool8_t *changed, uint64_t timeout_ms)
{
    (void)timeout_ms;
    TAKEN Interface *interface = module_take(handle, &INTERFACE);
    if (interface == NULL)
        return failed();
    g_mutex_lock(&interface->lock);
    GPtrArray *before = interface->found;
    interface->found = looked_for();
    if (changed != NULL)
        *changed = !are_same(before, interface->found);
    g_mutex_unlock(&interface->lock);
    g_ptr_array_unref(before);
    return GC_ERR_SUCCESS;
}

GC_API IFGetNumDevices(IF_HANDLE handle, uint32_t *count)
{
    TAKEN Interface *interface = module_take(handle, &INTERFACE);
    if (interface == NULL)
        return failed();
    if (count == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the count is null");
    g_mutex_lock(&interface->lock);
    *count = interface->found->len;
    g_mutex_unlock(&interface->lock);
    return GC_ERR_SUCCESS;
}

GC_API IFGetDeviceID(IF_HANDLE handle, uint32_t index, char *id, size_t *size)
{
    TAKEN Interface *interface = module_take(handle, &INTERFACE);
    if (interface == NULL)
        return failed();
    g_autoptr(GMutexLocker) held G_GNUC_UNUSED = g_mutex_locker_new(&interface->lock);
    if (index >= interface->found->len)
        return fail(GC_ERR_INVALID_INDEX, "device %u: %u were found", index, interface->found->len);
    const DeviceInfo *info = interface->found->pdata[index];
    return answer_text((Answer){NULL, id, size}, info->id);
}

/* NULL where there is none; see `failed`. The lock must be held. */
static const DeviceInfo *info_of(const Interface *interface, const char *id)
{
    for (guint i = 0; id != NULL && i < interface->found->len; i++) {
        const DeviceInfo *info = interface->found->pdata[i];
        if (g_strcmp0(info->id, id) == 0)
            return info;
    }
    if (id == NULL)
        fail(GC_ERR_INVALID_PARAMETER, "the id of the device is null");
    else
        fail(GC_ERR_INVALID_ID, "no device %s was found", id);
    return NULL;
}

GC_API IFGetDeviceInfo(IF_HANDLE handle, const char *id, int32_t command, INFO_DATATYPE *type, void *buffer,
                       size_t *size)
{
    TAKEN Interface *interface = module_take(handle, &INTERFACE);
    if (interface == NULL)
        return failed();
    g_autoptr(GMutexLocker) held G_GNUC_UNUSED = g_mutex_locker_new(&interface->lock);
    const DeviceInfo *info = info_of(interface, id);
    return info == NULL ? failed() : device_info(info, command, (Answer){type, buffer, size});
}

GC_API IFOpenDevice(IF_HANDLE handle, const char *id, int32_t access, DEV_HANDLE *device)
{
    TAKEN Interface *interface = module_take(handle, &INTERFACE);
    if (interface == NULL)
        return failed();
    if (device == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the handle is null");
    g_autoptr(GMutexLocker) held G_GNUC_UNUSED = g_mutex_locker_new(&interface->lock);
    const DeviceInfo *info = info_of(interface, id);
    return info == NULL ? failed() : device_open(&interface->module, info, access, device);
}
