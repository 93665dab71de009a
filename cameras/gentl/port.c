#include "port.h"

#include <string.h>

#define XML_ADDRESS 0x8000000000000000u
#define FEATURE_ADDRESS 0x1000u
#define FEATURE_SIZE ((size_t)8)

static const char XML_BEGIN[] =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
    "<RegisterDescription ModelName=\"%s\" VendorName=\"Lynceus\" StandardNameSpace=\"None\""
    " SchemaMajorVersion=\"1\" SchemaMinorVersion=\"1\" SchemaSubMinorVersion=\"0\""
    " MajorVersion=\"1\" MinorVersion=\"0\" SubMinorVersion=\"0\""
    " ProductGuid=\"0d0ed4e2-7f4c-4f4e-8f63-6c1f1d7c2a10\" VersionGuid=\"0d0ed4e2-7f4c-4f4e-8f63-6c1f1d7c2a11\""
    " xmlns=\"http://www.genicam.org/GenApi/Version_1_1\""
    " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""
    " xsi:schemaLocation=\"http://www.genicam.org/GenApi/Version_1_1"
    " http://www.genicam.org/GenApi/GenApiSchema_Version_1_1.xsd\">\n";

static const char XML_FEATURE[] =
    "<Integer Name=\"%s\"><ToolTip>%s</ToolTip><pValue>%sRegister</pValue></Integer>\n"
    "<IntReg Name=\"%sRegister\"><Address>0x%zX</Address><Length>8</Length><AccessMode>RO</AccessMode>"
    "<pPort>%s</pPort><Cachable>NoCache</Cachable><Sign>Unsigned</Sign><Endianess>LittleEndian</Endianess>"
    "</IntReg>\n";

static GBytes *features_xml(const Port *port)
{
    GString *xml = g_string_new(NULL);
    g_string_append_printf(xml, XML_BEGIN, port->module);
    g_string_append(xml, "<Category Name=\"Root\">");
    for (size_t i = 0; i < port->feature_count; i++)
        g_string_append_printf(xml, "<pFeature>%s</pFeature>", port->features[i].name);
    g_string_append(xml, "</Category>\n");
    for (size_t i = 0; i < port->feature_count; i++) {
        const Feature *feature = &port->features[i];
        g_string_append_printf(xml, XML_FEATURE, feature->name, feature->tooltip, feature->name, feature->name,
                               FEATURE_ADDRESS + i * FEATURE_SIZE, port->name);
    }
    g_string_append_printf(xml, "<Port Name=\"%s\"/>\n</RegisterDescription>\n", port->name);
    return g_string_free_to_bytes(xml);
}

static GBytes *xml_of(Module *module)
{
    const Port *port = module->kind->port;
    return port->xml != NULL ? port->xml(module) : features_xml(port);
}

static char *url_of(Module *module)
{
    g_autoptr(GBytes) xml = xml_of(module);
    return g_strdup_printf("local:///%s;%llX;%zX?SchemaVersion=1.1.0", module->kind->port->file,
                           (unsigned long long)XML_ADDRESS, g_bytes_get_size(xml));
}

static GC_ERROR read_xml(Module *module, uint64_t offset, void *buffer, size_t size)
{
    g_autoptr(GBytes) xml = xml_of(module);
    size_t length;
    const char *text = g_bytes_get_data(xml, &length);
    if (offset > length || size > length - offset)
        return fail(GC_ERR_INVALID_ADDRESS, "%zu bytes at 0x%llX of the XML: it has %zu", size,
                    (unsigned long long)offset, length);
    memcpy(buffer, text + offset, size);
    return GC_ERR_SUCCESS;
}

static GC_ERROR read_feature(Module *module, uint64_t address, void *buffer, size_t size)
{
    const Port *port = module->kind->port;
    uint64_t index = address < FEATURE_ADDRESS ? UINT64_MAX : (address - FEATURE_ADDRESS) / FEATURE_SIZE;
    if (index >= port->feature_count || address % FEATURE_SIZE != 0 || size > FEATURE_SIZE)
        return fail(GC_ERR_INVALID_ADDRESS, "the %s has no register of %zu bytes at 0x%llX", module->kind->name,
                    size, (unsigned long long)address);
    /* The first bytes of a little-endian register are those of a narrower one. */
    uint64_t value = GUINT64_TO_LE(port->features[index].read(module));
    memcpy(buffer, &value, size);
    return GC_ERR_SUCCESS;
}

static GC_ERROR read_from(Module *module, uint64_t address, void *buffer, size_t size)
{
    if (address >= XML_ADDRESS)
        return read_xml(module, address - XML_ADDRESS, buffer, size);
    const Port *port = module->kind->port;
    return port->read != NULL ? port->read(module, address, buffer, size)
                              : read_feature(module, address, buffer, size);
}

static GC_ERROR write_to(Module *module, uint64_t address, const void *buffer, size_t size)
{
    const Port *port = module->kind->port;
    if (port->write == NULL)
        return fail(GC_ERR_ACCESS_DENIED, "the registers of the %s can only be read", module->kind->name);
    return port->write(module, address, buffer, size);
}

GC_API GCReadPort(PORT_HANDLE handle, uint64_t address, void *buffer, size_t *size)
{
    TAKEN Module *module = module_take_port(handle);
    if (module == NULL)
        return failed();
    if (buffer == NULL || size == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the buffer or its size is null");
    return read_from(module, address, buffer, *size);
}

GC_API GCWritePort(PORT_HANDLE handle, uint64_t address, const void *buffer, size_t *size)
{
    TAKEN Module *module = module_take_port(handle);
    if (module == NULL)
        return failed();
    if (buffer == NULL || size == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the buffer or its size is null");
    return write_to(module, address, buffer, *size);
}

typedef GC_ERROR (*Transfer)(Module *, PORT_REGISTER_STACK_ENTRY *);

static GC_ERROR read_entry(Module *module, PORT_REGISTER_STACK_ENTRY *entry)
{
    return read_from(module, entry->Address, entry->pBuffer, entry->Size);
}

static GC_ERROR write_entry(Module *module, PORT_REGISTER_STACK_ENTRY *entry)
{
    return write_to(module, entry->Address, entry->pBuffer, entry->Size);
}

/* `count` becomes how many entries were transferred, all of them or those before the one that failed. */
static GC_ERROR transfer(PORT_HANDLE handle, PORT_REGISTER_STACK_ENTRY *entries, size_t *count, Transfer one)
{
    TAKEN Module *module = module_take_port(handle);
    if (module == NULL)
        return failed();
    if (entries == NULL || count == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the list of registers or its length is null");
    GC_ERROR error = GC_ERR_SUCCESS;
    size_t done = 0;
    for (; error == GC_ERR_SUCCESS && done < *count; done += error == GC_ERR_SUCCESS)
        error = entries[done].pBuffer == NULL
                    ? fail(GC_ERR_INVALID_PARAMETER, "the buffer of register %zu is null", done)
                    : one(module, &entries[done]);
    *count = done;
    return error;
}

GC_API GCReadPortStacked(PORT_HANDLE handle, PORT_REGISTER_STACK_ENTRY *entries, size_t *count)
{
    return transfer(handle, entries, count, read_entry);
}

GC_API GCWritePortStacked(PORT_HANDLE handle, PORT_REGISTER_STACK_ENTRY *entries, size_t *count)
{
    return transfer(handle, entries, count, write_entry);
}

GC_API GCGetNumPortURLs(PORT_HANDLE handle, uint32_t *count)
{
    TAKEN Module *module = module_take_port(handle);
    if (module == NULL)
        return failed();
    if (count == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the count is null");
    *count = 1;
    return GC_ERR_SUCCESS;
}

GC_API GCGetPortURL(PORT_HANDLE handle, char *url, size_t *size)
{
    TAKEN Module *module = module_take_port(handle);
    if (module == NULL)
        return failed();
    g_autofree char *text = url_of(module);
    return answer_text((Answer){NULL, url, size}, text);
}

GC_API GCGetPortURLInfo(PORT_HANDLE handle, uint32_t index, int32_t command, INFO_DATATYPE *type, void *buffer,
                        size_t *size)
{
    TAKEN Module *module = module_take_port(handle);
    if (module == NULL)
        return failed();
    if (index != 0)
        return fail(GC_ERR_INVALID_INDEX, "URL %u: a port has one", index);
    Answer answer = {type, buffer, size};
    g_autofree char *url = url_of(module);
    g_autoptr(GBytes) xml = xml_of(module);
    switch (command) {
    case URL_INFO_URL: return answer_text(answer, url);
    case URL_INFO_SCHEMA_VER_MAJOR: return answer_int32(answer, 1);
    case URL_INFO_SCHEMA_VER_MINOR: return answer_int32(answer, 1);
    case URL_INFO_FILE_REGISTER_ADDRESS: return answer_uint64(answer, XML_ADDRESS);
    case URL_INFO_FILE_SIZE: return answer_uint64(answer, g_bytes_get_size(xml));
    case URL_INFO_SCHEME: return answer_int32(answer, URL_SCHEME_LOCAL);
    case URL_INFO_FILENAME: return answer_text(answer, module->kind->port->file);
    default: return answer_none("a port's URL", command);
    }
}

GC_API GCGetPortInfo(PORT_HANDLE handle, int32_t command, INFO_DATATYPE *type, void *buffer, size_t *size)
{
    TAKEN Module *module = module_take_port(handle);
    if (module == NULL)
        return failed();
    const Port *port = module->kind->port;
    /* A GigE Vision device's registers are big-endian, those of our own modules are not. */
    bool is_device = port->read != NULL;
    Answer answer = {type, buffer, size};
    switch (command) {
    case PORT_INFO_ID: return answer_text(answer, port->name);
    case PORT_INFO_VENDOR: return answer_text(answer, "Lynceus");
    case PORT_INFO_MODEL: return answer_text(answer, "Lynceus GigE Vision");
    case PORT_INFO_TLTYPE: return answer_text(answer, "GEV");
    case PORT_INFO_MODULE: return answer_text(answer, port->module);
    case PORT_INFO_LITTLE_ENDIAN: return answer_bool(answer, !is_device);
    case PORT_INFO_BIG_ENDIAN: return answer_bool(answer, is_device);
    case PORT_INFO_ACCESS_READ: return answer_bool(answer, true);
    case PORT_INFO_ACCESS_WRITE: return answer_bool(answer, port->write != NULL);
    case PORT_INFO_ACCESS_NA: return answer_bool(answer, false);
    case PORT_INFO_ACCESS_NI: return answer_bool(answer, false);
    case PORT_INFO_VERSION: return answer_text(answer, "1.0.0");
    case PORT_INFO_PORTNAME: return answer_text(answer, port->name);
    default: return answer_none("a port", command);
    }
}
