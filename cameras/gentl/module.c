#include "module.h"

#include <string.h>

static GMutex lock;
static GHashTable *open_modules; /* handle to Module, which it holds; NULL while the library is closed */
static gsize last_handle = 0x1000;

static Module *held(Module *module)
{
    g_atomic_ref_count_inc(&module->users);
    return module;
}

/* The lock must be held, and the table there. Kind NULL: of any kind. */
static Module *child_of(const void *parent, const Kind *kind)
{
    GHashTableIter modules;
    gpointer value;
    g_hash_table_iter_init(&modules, open_modules);
    while (g_hash_table_iter_next(&modules, NULL, &value)) {
        Module *module = value;
        if (module->parent == parent && (kind == NULL || module->kind == kind))
            return module;
    }
    return NULL;
}

bool modules_begin(void)
{
    g_mutex_lock(&lock);
    bool is_first = open_modules == NULL;
    if (is_first)
        open_modules = g_hash_table_new(NULL, NULL);
    g_mutex_unlock(&lock);
    return is_first;
}

bool modules_end(void)
{
    for (;;) {
        g_mutex_lock(&lock);
        bool are_begun = open_modules != NULL;
        Module *root = are_begun ? child_of(NULL, NULL) : NULL;
        if (root != NULL)
            held(root);
        else
            g_clear_pointer(&open_modules, g_hash_table_unref);
        g_mutex_unlock(&lock);
        if (root == NULL)
            return are_begun;
        module_close(root);
        module_drop(root);
    }
}

bool modules_are_begun(void)
{
    g_mutex_lock(&lock);
    bool are_begun = open_modules != NULL;
    g_mutex_unlock(&lock);
    if (!are_begun)
        fail(GC_ERR_NOT_INITIALIZED, "GCInitLib was not called");
    return are_begun;
}

/* Whether a module may be opened under `parent`; see `failed`. The lock must be held. */
static bool may_open(const Kind *kind, const Module *parent)
{
    if (open_modules == NULL)
        fail(GC_ERR_NOT_INITIALIZED, "GCInitLib was not called");
    else if (parent != NULL && g_hash_table_lookup(open_modules, parent->handle) != parent)
        fail(GC_ERR_INVALID_HANDLE, "the %s was closed meanwhile", parent->kind->name);
    else if (kind->is_only_child && child_of(parent, kind) != NULL)
        fail(GC_ERR_RESOURCE_IN_USE, "the %s is open already", kind->name);
    else
        return true;
    return false;
}

void *module_open(void *opened, const Kind *kind, void *parent)
{
    Module *module = opened;
    module->kind = kind;
    module->parent = parent == NULL ? NULL : held(parent);
    g_atomic_ref_count_init(&module->users);
    g_mutex_lock(&lock);
    bool is_open = may_open(kind, parent);
    if (is_open) {
        module->handle = GSIZE_TO_POINTER(++last_handle);
        g_hash_table_insert(open_modules, module->handle, held(module));
    }
    g_mutex_unlock(&lock);
    if (is_open)
        return module;
    module_drop(module);
    return NULL;
}

void module_close(void *closed)
{
    Module *module = closed;
    g_mutex_lock(&lock);
    /* From here on nothing can be opened below it. */
    bool was_open = open_modules != NULL && g_hash_table_remove(open_modules, module->handle);
    g_mutex_unlock(&lock);
    if (!was_open)
        return;
    if (module->kind->stop != NULL)
        module->kind->stop(module);
    Module *child;
    while ((child = module_take_child(module, NULL)) != NULL) {
        module_close(child);
        module_drop(child);
    }
    module_drop(module);
}

static Module *looked_up(void *handle)
{
    g_mutex_lock(&lock);
    Module *module = open_modules == NULL ? NULL : g_hash_table_lookup(open_modules, handle);
    if (module != NULL)
        held(module);
    g_mutex_unlock(&lock);
    return module;
}

void *module_take(void *handle, const Kind *kind)
{
    if (!modules_are_begun())
        return NULL;
    Module *module = looked_up(handle);
    if (module != NULL && module->kind == kind)
        return module;
    module_drop(module);
    fail(GC_ERR_INVALID_HANDLE, "%p is not an open %s", handle, kind->name);
    return NULL;
}

void *module_take_port(void *handle)
{
    if (!modules_are_begun())
        return NULL;
    Module *module = looked_up(handle);
    if (module != NULL && module->kind->port != NULL)
        return module;
    module_drop(module);
    fail(GC_ERR_INVALID_HANDLE, "%p is not an open port", handle);
    return NULL;
}

void *module_take_child(void *parent, const Kind *kind)
{
    g_mutex_lock(&lock);
    Module *child = open_modules == NULL ? NULL : child_of(parent, kind);
    if (child != NULL)
        held(child);
    g_mutex_unlock(&lock);
    return child;
}

void module_drop(void *dropped)
{
    Module *module = dropped;
    while (module != NULL && g_atomic_ref_count_dec(&module->users)) {
        Module *parent = module->parent;
        module->kind->free(module);
        module = parent;
    }
}

void module_give_back(void *pointer_to_module)
{
    Module *module;
    memcpy(&module, pointer_to_module, sizeof module);
    module_drop(module);
}
