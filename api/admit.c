/* SPDX-License-Identifier: MIT */
/* Letting peers in, for zuring.h: sets of keys, and a callback. Bad arguments and want of memory fail it; nothing is changed. */
#include "api.h"
#include "zuring.h"

enum { KEY_SIZE = ZU_CURVE_KEY_SIZE, KEY_TEXT_SIZE = KEY_SIZE * 5 / 4 };

/* 0, or what is wrong with the set or the key. */
static int key_read(const struct zu_keys *keys, const void *key, size_t size, uint8_t *ret_key)
{
    char text[KEY_TEXT_SIZE + 1] = "";
    if (!zu_keys_are(keys) || !key)
        return -EFAULT;
    if (size == KEY_SIZE) {
        memcpy(ret_key, key, KEY_SIZE);
        return 0;
    }
    if (size != KEY_TEXT_SIZE && size != KEY_TEXT_SIZE + 1)
        return -EINVAL;
    memcpy(text, key, size);
    text[KEY_TEXT_SIZE] = 0;
    return strlen(text) == KEY_TEXT_SIZE && zmq_z85_decode(ret_key, text) ? 0 : -EINVAL;
}

void *zuring_keys_new(void)
{
    struct zu_keys *keys = zu_keys_new();
    if (!keys)
        errno = ENOMEM;
    return keys;
}

int zuring_keys_destroy(void **keys_p)
{
    if (!keys_p || !zu_keys_are(*keys_p))
        return api_result(-EFAULT);
    zu_keys_close(*keys_p);
    *keys_p = NULL;
    return 0;
}

int zuring_keys_add(void *keys, const void *key, size_t size)
{
    uint8_t bytes[KEY_SIZE];
    int err = key_read(keys, key, size, bytes);
    return api_result(err ? err : zu_keys_add(keys, bytes));
}

int zuring_keys_remove(void *keys, const void *key, size_t size)
{
    uint8_t bytes[KEY_SIZE];
    int err = key_read(keys, key, size, bytes);
    return api_result(err ? err : zu_keys_remove(keys, bytes));
}

int zuring_keys_has(void *keys, const void *key, size_t size)
{
    uint8_t bytes[KEY_SIZE];
    int err = key_read(keys, key, size, bytes);
    return api_result(err ? err : zu_keys_have(keys, bytes));
}

/* 0, or why nobody can be told to let peers in there. */
static int may_admit(struct zu_socket *socket, bool somebody)
{
    bool shows_nothing = socket->type == ZMQ_STREAM || socket->options.pattern.router_raw;
    return somebody && shows_nothing ? -ENOTSUP : zu_socket_enter(socket);
}

int zuring_admit_keys(void *handle, void *keys)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    if (keys && !zu_keys_are(keys))
        return api_result(-EFAULT);
    int err = may_admit(socket, keys);
    if (err)
        return api_result(err);
    struct zu_keys *before = socket->admission.keys;
    socket->admission.keys = keys ? zu_keys_ref(keys) : NULL;
    zu_keys_unref(before);
    return 0;
}

static int call(const struct zu_judge *judge, const struct zu_visitor *visitor)
{
    const struct zu_credentials *shown = visitor->credentials;
    struct zuring_visitor own = {
        .mechanism = shown->mechanism,
        .domain = visitor->domain,
        .address = visitor->address,
        .credential_count = shown->count,
        .user_id = visitor->user_id,
    };
    for (unsigned i = 0; i < shown->count; i++) {
        own.credentials[i] = shown->items[i].data;
        own.credential_sizes[i] = shown->items[i].size;
    }
    return ((zuring_admit_fn *)judge->call)(&own, judge->data);
}

int zuring_admit_by(void *handle, zuring_admit_fn *admit, void *data)
{
    struct zu_socket *socket = api_socket(handle);
    if (!socket)
        return -1;
    int err = may_admit(socket, admit);
    if (err)
        return api_result(err);
    socket->admission.judge = (struct zu_judge){
        .judge = admit ? call : NULL,
        .call = (void (*)(void))admit,
        .data = data,
    };
    return 0;
}
