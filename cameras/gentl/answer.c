#include "answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local GC_ERROR last_code = GC_ERR_SUCCESS;
static _Thread_local char last_text[512];

GC_ERROR fail(GC_ERROR code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_text, sizeof last_text, format, arguments);
    va_end(arguments);
    last_code = code;
    return code;
}

GC_ERROR failed(void)
{
    return last_code;
}

GC_API GCGetLastError(GC_ERROR *code, char *text, size_t *size)
{
    /* A copy: a failure below writes its own words over the ones that are asked for. */
    char asked[sizeof last_text];
    memcpy(asked, last_text, sizeof asked);
    if (code != NULL)
        *code = last_code;
    return answer_text((Answer){NULL, text, size}, asked);
}

static GC_ERROR answer_bytes(Answer answer, INFO_DATATYPE type, const void *bytes, size_t size)
{
    if (answer.size == NULL)
        return fail(GC_ERR_INVALID_PARAMETER, "the pointer to the size is null");
    if (answer.type != NULL)
        *answer.type = type;
    if (answer.buffer != NULL) {
        if (*answer.size < size)
            return fail(GC_ERR_BUFFER_TOO_SMALL, "%zu bytes are needed, %zu were given", size, *answer.size);
        memcpy(answer.buffer, bytes, size);
    }
    *answer.size = size;
    return GC_ERR_SUCCESS;
}

GC_ERROR answer_text(Answer answer, const char *text)
{
    return answer_bytes(answer, INFO_DATATYPE_STRING, text, strlen(text) + 1);
}

GC_ERROR answer_bool(Answer answer, bool value)
{
    bool8_t byte = value;
    return answer_bytes(answer, INFO_DATATYPE_BOOL8, &byte, sizeof byte);
}

GC_ERROR answer_int32(Answer answer, int32_t value)
{
    return answer_bytes(answer, INFO_DATATYPE_INT32, &value, sizeof value);
}

GC_ERROR answer_uint32(Answer answer, uint32_t value)
{
    return answer_bytes(answer, INFO_DATATYPE_UINT32, &value, sizeof value);
}

GC_ERROR answer_uint64(Answer answer, uint64_t value)
{
    return answer_bytes(answer, INFO_DATATYPE_UINT64, &value, sizeof value);
}

GC_ERROR answer_size(Answer answer, size_t value)
{
    return answer_bytes(answer, INFO_DATATYPE_SIZET, &value, sizeof value);
}

GC_ERROR answer_pointer(Answer answer, void *value)
{
    return answer_bytes(answer, INFO_DATATYPE_PTR, &value, sizeof value);
}

GC_ERROR answer_none(const char *asked, int32_t command)
{
    return fail(GC_ERR_NOT_IMPLEMENTED, "%s has no information number %d", asked, command);
}
