#include "device.h"

#include "options.h"
#include "port.h"
#include "stream.h"

/* ---- what discovery says ---- */

static char *readable(const char *text)
{
    return g_utf8_make_valid(text == NULL ? "" : text, -1);
}

DeviceInfo *device_info_of(unsigned int index)
{
    DeviceInfo *info = g_new0(DeviceInfo, 1);
    info->id = readable(arv_get_device_id(index));
    info->vendor = readable(arv_get_device_vendor(index));
    info->model = readable(arv_get_device_model(index));
    info->serial = readable(arv_get_device_serial_nbr(index));
    info->version = readable(arv_get_device_manufacturer_info(index));
    info->address = readable(arv_get_device_address(index));
    return info;
}

static DeviceInfo *copy_of(const DeviceInfo *info)
{
    DeviceInfo *copy = g_new0(DeviceInfo, 1);
    copy->id = g_strdup(info->id);
    copy->vendor = g_strdup(info->vendor);
    copy->model = g_strdup(info->model);
    copy->serial = g_strdup(info->serial);
    copy->version = g_strdup(info->version);
    copy->address = g_strdup(info->address);
    return copy;
}

void device_info_free(DeviceInfo *info)
{
    g_free(info->id);
    g_free(info->vendor);
    g_free(info->model);
    g_free(info->serial);
    g_free(info->version);
    g_free(info->address);
    g_free(info);
}

/* The ids of the devices this process holds: libaravis would open one twice and take it from itself. */
static GMutex taken_lock;
static GPtrArray *taken;

static bool is_taken(const char *id)
{
    g_autoptr(GMutexLocker) held G_GNUC_UNUSED = g_mutex_locker_new(&taken_lock);
    return taken != NULL && g_ptr_array_find_with_equal_func(taken, id, g_str_equal, NULL);
}

static bool take(const char *id)
{
    g_autoptr(GMutexLocker) held G_GNUC_UNUSED = g_mutex_locker_new(&taken_lock);
    if (taken == NULL)
        taken = g_ptr_array_new_with_free_func(g_free);
    if (g_ptr_array_find_with_equal_func(taken, id, g_str_equal, NULL))
        return false;
    g_ptr_array_add(taken, g_strdup(id));
    return true;
}

static void let_go(const char *id)
{
    g_autoptr(GMutexLocker) held G_GNUC_UNUSED = g_mutex_locker_new(&taken_lock);
    guint index;
    if (g_ptr_array_find_with_equal_func(taken, id, g_str_equal, &index))
        g_ptr_array_remove_index_fast(taken, index);
    if (taken->len == 0)
        g_clear_pointer(&taken, g_ptr_array_unref);
}

GC_ERROR device_info(const DeviceInfo *info, int32_t command, Answer answer)
{
    g_autofree char *title = g_strdup_printf("%s %s (%s, %s)", info->vendor, info->model, info->serial, info->address);
    switch (command) {
    case DEVICE_INFO_ID: return answer_text(answer, info->id);
    case DEVICE_INFO_VENDOR: return answer_text(answer, info->vendor);
    case DEVICE_INFO_MODEL: return answer_text(answer, info->model);
    case DEVICE_INFO_TLTYPE: return answer_text(answer, "GEV");
    case DEVICE_INFO_DISPLAYNAME: return answer_text(answer, title);
    case DEVICE_INFO_ACCESS_STATUS:
        /* Whether another program holds it is only known by opening it. */
        return answer_int32(answer, is_taken(info->id) ? DEVICE_ACCESS_STATUS_OPEN_READWRITE
                                                       : DEVICE_ACCESS_STATUS_READWRITE);
    case DEVICE_INFO_USER_DEFINED_NAME:
        return fail(GC_ERR_NOT_AVAILABLE, "the user-defined name of %s is not known", info->id);
    case DEVICE_INFO_SERIAL_NUMBER: return answer_text(answer, info->serial);
    case DEVICE_INFO_VERSION: return answer_text(answer, info->version);
    case DEVICE_INFO_TIMESTAMP_FREQUENCY: return answer_uint64(answer, 1000000000); /* libaravis makes them ns */
    default: return answer_none("a device", command);
    }
}

/* ---- the module ---- */

static void on_lost(void *data)
{
    Device *device = data;
    g_mutex_lock(&device->lock);
    device->is_lost = true;
    g_cond_broadcast(&device->news);
    g_mutex_unlock(&device->lock);
}

static void on_control_lost(ArvDevice *arv, Device *device)
{
    (void)arv;
    on_lost(device);
}

bool device_is_lost(Device *device)
{
    g_mutex_lock(&device->lock);
    bool is_lost = device->is_lost;
    g_mutex_unlock(&device->lock);
    return is_lost;
}

/* The heartbeat thread holds the object while it says that control is lost. Were its reference the last one, it would
 * free the object and wait for itself to end; and a camera is closed just then, because it went silent. */
static void wait_for_heartbeat_thread(ArvDevice *arv)
{
    for (int i = 0; i < 1000 && g_atomic_int_get((gint *)&G_OBJECT(arv)->ref_count) > 1; i++)
        g_usleep(1000);
}

static void free_device(Module *module)
{
    Device *device = (Device *)module;
    watch_stop(device->watch);
    if (device->arv != NULL) {
        g_signal_handlers_disconnect_by_data(device->arv, device);
        wait_for_heartbeat_thread(device->arv);
        g_object_unref(device->arv);
    }
    let_go(device->info->id);
    device_info_free(device->info);
    g_cond_clear(&device->news);
    g_mutex_clear(&device->lock);
    g_free(device);
}

static uint64_t read_link_lost(Module *module)
{
    return device_is_lost((Device *)module);
}

static const Feature DEVICE_FEATURES[] = {
    {"DeviceLinkLost", "1 when the device no longer answers or is controlled by another", read_link_lost},
};
static const Port DEVICE_PORT = {
    .module = "TLDevice",
    .name = "DevicePort",
    .file = "lynceus_device.xml",
    .features = DEVICE_FEATURES,
    .feature_count = G_N_ELEMENTS(DEVICE_FEATURES),
};
const Kind DEVICE = {.name = "device", .port = &DEVICE_PORT, .free = free_device};

static GC_ERROR arv_failure(const char *what, GError *error)
{
    const char *why = error != NULL ? error->message : "libaravis does not say why";
    if (g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_NOT_FOUND))
        return fail(GC_ERR_INVALID_ID, "%s: %s", what, why);
    if (g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_PROTOCOL_ERROR_ACCESS_DENIED) ||
        g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_NOT_CONTROLLER))
        return fail(GC_ERR_ACCESS_DENIED, "%s: %s", what, why);
    if (g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_PROTOCOL_ERROR_INVALID_ADDRESS) ||
        g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_PROTOCOL_ERROR_BAD_ALIGNMENT))
        return fail(GC_ERR_INVALID_ADDRESS, "%s: %s", what, why);
    if (g_error_matches(error, ARV_DEVICE_ERROR, ARV_DEVICE_ERROR_TIMEOUT))
        return fail(GC_ERR_TIMEOUT, "%s: %s", what, why);
    return fail(GC_ERR_IO, "%s: %s", what, why);
}

static GC_ERROR choose_packet_size(ArvGvDevice *arv, const DeviceInfo *info)
{
    /* Done now and not when a stream starts, so that a client that sets a size of its own keeps it. A device that
     * cannot send test packets stays as it is. */
    int size = options()->packet_size;
    g_autoptr(GError) error = NULL;
    arv_gv_device_set_packet_size_adjustment(arv, ARV_GV_PACKET_SIZE_ADJUSTMENT_NEVER);
    if (size == OPTION_AUTO)
        arv_gv_device_auto_packet_size(arv, NULL);
    else if (size != OPTION_KEEP)
        arv_gv_device_set_packet_size(arv, size, &error);
    return error == NULL ? GC_ERR_SUCCESS : arv_failure(info->id, error);
}

static GC_ERROR take_access(ArvDevice *arv, const DeviceInfo *info, int32_t access)
{
    if (!ARV_IS_GV_DEVICE(arv))
        return fail(GC_ERR_NOT_IMPLEMENTED, "%s is no GigE Vision device", info->id);
    ArvGvDevice *device = ARV_GV_DEVICE(arv);
    if (access == DEVICE_ACCESS_READONLY) {
        g_autoptr(GError) error = NULL;
        return arv_gv_device_leave_control(device, &error) || !arv_gv_device_is_controller(device)
                   ? GC_ERR_SUCCESS
                   : arv_failure(info->id, error);
    }
    if (!arv_gv_device_is_controller(device))
        return fail(GC_ERR_ACCESS_DENIED, "another program controls %s at %s", info->id, info->address);
    arv_gv_device_set_stream_options(device, options()->packet_socket
                                                 ? ARV_GV_STREAM_OPTION_NONE
                                                 : ARV_GV_STREAM_OPTION_PACKET_SOCKET_DISABLED);
    return choose_packet_size(device, info);
}

/* Whatever fails, the device is let go when the last of it is freed. */
static Device *opened(const DeviceInfo *info, int32_t access)
{
    Device *device = g_new0(Device, 1);
    device->info = copy_of(info);
    g_mutex_init(&device->lock);
    g_cond_init(&device->news);
    g_autoptr(GError) error = NULL;
    device->arv = arv_open_device(info->id, &error);
    GC_ERROR code = device->arv == NULL ? arv_failure(info->id, error) : take_access(device->arv, info, access);
    if (code == GC_ERR_SUCCESS) {
        g_signal_connect(device->arv, "control-lost", G_CALLBACK(on_control_lost), device);
        if (access != DEVICE_ACCESS_READONLY)
            device->watch = watch_start(ARV_GV_DEVICE(device->arv), on_lost, device);
        return device;
    }
    free_device(&device->module);
    return NULL;
}

static bool remote_open(Device *device);

GC_ERROR device_open(Module *interface, const DeviceInfo *info, int32_t access, DEV_HANDLE *handle)
{
    if (access != DEVICE_ACCESS_READONLY && access != DEVICE_ACCESS_CONTROL && access != DEVICE_ACCESS_EXCLUSIVE)
        return fail(GC_ERR_INVALID_PARAMETER, "access %d: 2 reads, 3 controls, 4 excludes others", access);
    if (!take(info->id))
        return fail(GC_ERR_RESOURCE_IN_USE, "this process has %s open already", info->id);
    Device *made = opened(info, access);
    if (made == NULL)
        return failed();
    TAKEN Device *device = module_open(made, &DEVICE, interface);
    if (device == NULL || !remote_open(device))
        return failed();
    *handle = device->module.handle;
    return GC_ERR_SUCCESS;
}

GC_API DevClose(DEV_HANDLE handle)
{
    TAKEN Device *device = module_take(handle, &DEVICE);
    if (device == NULL)
        return failed();
    module_close(device);
    return GC_ERR_SUCCESS;
}

GC_API DevGetInfo(DEV_HANDLE handle, int32_t command, INFO_DATATYPE *type, void *buffer, size_t *size)
{
    TAKEN Device *device = module_take(handle, &DEVICE);
    return device == NULL ? failed() : device_info(device->info, command, (Answer){type, buffer, size});
}

GC_API DevGetParentIF(DEV_HANDLE handle, IF_HANDLE *interface)
{
    TAKEN Device *device = module_take(handle, &DEVICE);
    if (device == NULL)
        return failed();
    if (interface == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the handle is null");
    *interface = device->module.parent->handle;
    return GC_ERR_SUCCESS;
}

GC_API DevGetNumDataStreams(DEV_HANDLE handle, uint32_t *count)
{
    TAKEN Device *device = module_take(handle, &DEVICE);
    if (device == NULL)
        return failed();
    if (count == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the count is null");
    *count = 1;
    return GC_ERR_SUCCESS;
}

GC_API DevGetDataStreamID(DEV_HANDLE handle, uint32_t index, char *id, size_t *size)
{
    TAKEN Device *device = module_take(handle, &DEVICE);
    if (device == NULL)
        return failed();
    if (index != 0)
        return fail(GC_ERR_INVALID_INDEX, "stream %u: there is one, 0", index);
    return answer_text((Answer){NULL, id, size}, STREAM_ID);
}

GC_API DevOpenDataStream(DEV_HANDLE handle, const char *id, DS_HANDLE *stream)
{
    TAKEN Device *device = module_take(handle, &DEVICE);
    if (device == NULL)
        return failed();
    if (stream == NULL || id == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the id or the pointer to the handle is null");
    if (g_strcmp0(id, STREAM_ID) != 0)
        return fail(GC_ERR_INVALID_ID, "there is no stream %s", id);
    return stream_open(device, stream);
}

/* ---- the registers of the device itself ---- */

typedef struct {
    Module module;
} RemoteDevice;

static Device *device_of(Module *remote)
{
    return (Device *)remote->parent;
}

static GBytes *remote_xml(Module *module)
{
    size_t size = 0;
    const char *xml = arv_device_get_genicam_xml(device_of(module)->arv, &size);
    return g_bytes_new_static(xml, xml == NULL ? 0 : size); /* lives as long as the device */
}

/* Of a lost device we know the answer; asking it would take seconds of retries. */
static GC_ERROR reachable(Device *device, uint64_t address, size_t size)
{
    if (device_is_lost(device))
        return fail(GC_ERR_IO, "%s at %s does not answer any more, or another program took control of it",
                    device->info->id, device->info->address);
    if (size == 0 || address > UINT32_MAX || size > UINT32_MAX - address)
        return fail(GC_ERR_INVALID_ADDRESS, "%zu bytes at 0x%llX: a GigE Vision device has 32-bit addresses", size,
                    (unsigned long long)address);
    return GC_ERR_SUCCESS;
}

static GC_ERROR read_remote(Module *module, uint64_t address, void *buffer, size_t size)
{
    Device *device = device_of(module);
    g_autoptr(GError) error = NULL;
    if (reachable(device, address, size) != GC_ERR_SUCCESS)
        return failed();
    return arv_device_read_memory(device->arv, address, (guint32)size, buffer, &error)
               ? GC_ERR_SUCCESS
               : arv_failure(device->info->id, error);
}

static GC_ERROR write_remote(Module *module, uint64_t address, const void *buffer, size_t size)
{
    Device *device = device_of(module);
    g_autoptr(GError) error = NULL;
    if (reachable(device, address, size) != GC_ERR_SUCCESS)
        return failed();
    if (size == 4 && address % 4 == 0) {
        /* Writing memory is optional for a GigE Vision device, writing a register is not. */
        guint32 value;
        memcpy(&value, buffer, sizeof value);
        return arv_device_write_register(device->arv, address, GUINT32_FROM_BE(value), &error)
                   ? GC_ERR_SUCCESS
                   : arv_failure(device->info->id, error);
    }
    /* libaravis only reads it, and wants it writable. */
    g_autofree void *copy = g_memdup2(buffer, size);
    return arv_device_write_memory(device->arv, address, (guint32)size, copy, &error)
               ? GC_ERR_SUCCESS
               : arv_failure(device->info->id, error);
}

static void free_remote(Module *module)
{
    g_free(module);
}

static const Port REMOTE_PORT = {
    .module = "Device",
    .name = "Device",
    .file = "lynceus_remote_device.xml",
    .xml = remote_xml,
    .read = read_remote,
    .write = write_remote,
};
const Kind REMOTE_DEVICE = {
    .name = "remote device", .is_only_child = true, .port = &REMOTE_PORT, .free = free_remote};

static bool remote_open(Device *device)
{
    TAKEN RemoteDevice *remote = module_open(g_new0(RemoteDevice, 1), &REMOTE_DEVICE, device);
    return remote != NULL;
}

GC_API DevGetPort(DEV_HANDLE handle, PORT_HANDLE *port)
{
    TAKEN Device *device = module_take(handle, &DEVICE);
    if (device == NULL)
        return failed();
    if (port == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the handle is null");
    TAKEN Module *remote = module_take_child(device, &REMOTE_DEVICE);
    if (remote == NULL)
        return fail(GC_ERR_INVALID_HANDLE, "the device was closed meanwhile");
    *port = remote->handle;
    return GC_ERR_SUCCESS;
}
