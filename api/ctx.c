/* SPDX-License-Identifier: MIT */
/* Contexts: arguments are checked, the core does the work. Errors come back by errno. */
#include "api.h"

#include "zuring.h"

_Static_assert(ZURING_DRIVE == ZU_CTX_OPT_DRIVE && ZURING_SPIN_US == ZU_CTX_OPT_SPIN_US &&
                   ZURING_FLUSH_BYTES == ZU_CTX_OPT_FLUSH_BYTES && ZURING_FLUSH_US == ZU_CTX_OPT_FLUSH_US &&
                   ZURING_CPUS == ZU_CTX_OPT_CPUS,
               "zuring.h names the engine's options");
_Static_assert(ZURING_DRIVE_BACKGROUND == (int)ZU_DRIVE_BACKGROUND && ZURING_DRIVE_INLINE == (int)ZU_DRIVE_INLINE,
               "and their values");

void *zmq_ctx_new(void)
{
    struct zu_context *context = zu_context_new();
    if (!context)
        errno = ENOMEM;
    return context;
}

int zmq_ctx_term(void *handle)
{
    struct zu_context *context = api_context(handle);
    return context ? api_result(zu_context_term(context)) : -1;
}

int zmq_ctx_shutdown(void *handle)
{
    struct zu_context *context = api_context(handle);
    if (!context)
        return -1;
    zu_context_shutdown(context);
    return 0;
}

int zmq_ctx_set(void *handle, int option, int value)
{
    return zmq_ctx_set_ext(handle, option, &value, sizeof value);
}

int zmq_ctx_get(void *handle, int option)
{
    int value;
    size_t size = sizeof value;
    return zmq_ctx_get_ext(handle, option, &value, &size) == 0 ? value : -1;
}

int zmq_ctx_set_ext(void *handle, int option, const void *value, size_t size)
{
    struct zu_context *context = api_context(handle);
    return context ? api_result(zu_context_set(context, option, value, size)) : -1;
}

int zmq_ctx_get_ext(void *handle, int option, void *value, size_t *size)
{
    struct zu_context *context = api_context(handle);
    if (!context)
        return -1;
    return api_result(size ? zu_context_get(context, option, value, size) : -EINVAL);
}

void *zmq_init(int io_threads)
{
    if (io_threads < 0) {
        errno = EINVAL;
        return NULL;
    }
    void *context = zmq_ctx_new();
    if (context)
        zmq_ctx_set(context, ZMQ_IO_THREADS, io_threads);
    return context;
}

int zmq_term(void *context)
{
    return zmq_ctx_term(context);
}

int zmq_ctx_destroy(void *context)
{
    return zmq_ctx_term(context);
}
