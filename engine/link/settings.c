/* SPDX-License-Identifier: MIT */
/* Snapshots are made by the socket, shared by an endpoint and its connections, and go with the last of them. */
#include "link/settings.h"

#include <errno.h>
#include <string.h>

#include "flow/pipe_conflate.h"
#include "link/guard.h"
#include "mem/alloc.h"

struct zu_proxy *zu_proxy_new(const char *address, const struct zu_socks_login *login)
{
    size_t address_size = strlen(address) + 1;
    size_t size = sizeof(struct zu_proxy) + address_size + login->user_size + login->password_size;
    struct zu_proxy *proxy = zu_alloc(size);
    if (!proxy)
        return NULL;
    uint8_t *user = (uint8_t *)proxy->bytes + address_size, *password = user + login->user_size;
    memcpy(proxy->bytes, address, address_size);
    if (login->user_size)
        memcpy(user, login->user, login->user_size);
    if (login->password_size)
        memcpy(password, login->password, login->password_size);
    proxy->login = (struct zu_socks_login){user, login->user_size, password, login->password_size};
    proxy->size = size;
    proxy->address = proxy->bytes;
    return proxy;
}

struct zu_settings *zu_settings_new(void)
{
    struct zu_settings *settings = zu_alloc_zero(sizeof *settings);
    if (!settings)
        return NULL;
    atomic_init(&settings->refs, 1);
    settings->use_fd = -1;
    zu_sockopt_init(&settings->sockopt);
    settings->sockopt.bind_to_device = settings->device;
    return settings;
}

struct zu_peer *zu_settings_peer_new(const struct zu_settings *settings)
{
    struct zu_peer *peer = zu_peer_new(settings->out_hwm, settings->in_hwm);
    if (peer && settings->conflates_out)
        zu_pipe_conflate(peer->out);
    if (peer && settings->conflates_in)
        zu_pipe_conflate(peer->in);
    return peer;
}

struct zu_settings *zu_settings_ref(struct zu_settings *settings)
{
    atomic_fetch_add_explicit(&settings->refs, 1, memory_order_relaxed);
    return settings;
}

int zu_settings_copy_bytes(struct zu_bytes *to, const struct zu_bytes *from)
{
    if (!from->size)
        return 0;
    to->data = zu_alloc(from->size);
    if (!to->data)
        return -ENOMEM;
    memcpy(to->data, from->data, from->size);
    to->size = from->size;
    return 0;
}

static void proxy_free(struct zu_proxy *proxy)
{
    size_t size = proxy->size;
    explicit_bzero(proxy, size); /* its password */
    zu_free(proxy, size);
}

static void bytes_free(struct zu_bytes *bytes)
{
    if (bytes->size)
        zu_free(bytes->data, bytes->size);
}

void zu_settings_unref(struct zu_settings *settings)
{
    /* acq_rel: every holder's last look happens before the memory goes. */
    if (atomic_fetch_sub_explicit(&settings->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (settings->guard)
        settings->guard->ops->free(settings->guard);
    zu_secrets_wipe(&settings->secrets);
    zu_accept_filter_clear(&settings->tcp_accept);
    zu_ipc_filter_clear_all(&settings->ipc_accept);
    if (settings->proxy)
        proxy_free(settings->proxy);
    bytes_free(&settings->hello);
    bytes_free(&settings->disconnect);
    bytes_free(&settings->hiccup);
    if (settings->properties)
        zu_free(settings->properties, settings->properties_size);
    zu_free(settings, sizeof *settings);
}

struct zu_home zu_home_copy(const struct zu_home *home)
{
    zu_mailbox_ref(home->box);
    zu_settings_ref(home->settings);
    return *home;
}

void zu_home_fini(struct zu_home *home)
{
    zu_settings_unref(home->settings);
    zu_mailbox_unref(home->box);
}
