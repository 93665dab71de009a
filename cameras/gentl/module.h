/* Modules and their handles.
 *
 * A handle is a number that is looked up, never a pointer that is followed, and no number is given twice: a stale,
 * wrong or invented handle is an error and not a crash. Whoever uses a module holds a reference, so one thread may
 * close what another is waiting in. */
#ifndef LYNCEUS_GENTL_MODULE_H
#define LYNCEUS_GENTL_MODULE_H

#include <glib.h>
#include <stdbool.h>

#include "answer.h"

typedef struct Module Module;
typedef struct Port Port;

typedef struct {
    const char *name;            /* in error texts */
    bool is_only_child;          /* a second one of the same parent is refused */
    const Port *port;            /* NULL where the module has no registers */
    void (*stop)(Module *self);  /* once, when the handle has become invalid; NULL: nothing to stop */
    void (*free)(Module *self);  /* when nobody uses the module any more */
} Kind;

/* The first member of every module. The parent is held as long as the child lives. */
struct Module {
    const Kind *kind;
    Module *parent;
    void *handle;
    gatomicrefcount users;
};

extern const Kind SYSTEM, INTERFACE, DEVICE, REMOTE_DEVICE, STREAM, BUFFER, EVENT;

/* `TAKEN Stream *stream = module_take(…)`: given back at the end of the block. */
#define TAKEN __attribute__((cleanup(module_give_back)))

bool modules_begin(void);
bool modules_end(void);
bool modules_are_begun(void);

/* Give a new module, complete but for this, its handle. It comes back held, for it may be closed at once by another
 * thread; or NULL, and the module is freed, where it cannot be opened; see `failed`. */
void *module_open(void *module, const Kind *kind, void *parent);

/* Make the handles of a module and of all below it invalid, and stop them: it first, then those below. */
void module_close(void *module);

/* The module behind a handle, or NULL; see `failed`. */
void *module_take(void *handle, const Kind *kind);
void *module_take_port(void *handle);

/* The child of that kind, or NULL where there is none, which is not a failure. */
void *module_take_child(void *parent, const Kind *kind);

/* NULL is nothing to drop. */
void module_drop(void *module);
void module_give_back(void *pointer_to_module);

#endif
