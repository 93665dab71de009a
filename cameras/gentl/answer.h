/* How a call answers: with a value in the caller's memory, or with an error and its words. */
#ifndef LYNCEUS_GENTL_ANSWER_H
#define LYNCEUS_GENTL_ANSWER_H

#include <stdbool.h>

#include "gentl.h"

/* Remember what happened, for this thread's next GCGetLastError, and return the code. */
GC_ERROR fail(GC_ERROR code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The code `fail` last had in this thread. */
GC_ERROR failed(void);

/* Where a caller wants a value. `type` may be NULL; `buffer` NULL asks only for the size. */
typedef struct {
    INFO_DATATYPE *type;
    void *buffer;
    size_t *size;
} Answer;

GC_ERROR answer_text(Answer answer, const char *text);
GC_ERROR answer_bool(Answer answer, bool value);
GC_ERROR answer_int32(Answer answer, int32_t value);
GC_ERROR answer_uint32(Answer answer, uint32_t value);
GC_ERROR answer_uint64(Answer answer, uint64_t value);
GC_ERROR answer_size(Answer answer, size_t value);
GC_ERROR answer_pointer(Answer answer, void *value);

/* For a command that a module does not have. */
GC_ERROR answer_none(const char *asked, int32_t command);

#endif
