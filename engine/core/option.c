/* SPDX-License-Identifier: MIT */
/*
 * A set finds the option's row by its number, asks whether this type of socket and this direction know it, checks size
 * and range, and stores the value where the row says; most rows need no more than their kind's functions, the odd ones
 * bring their own. A get is the same the other way round; what only the socket knows is asked of it.
 * Every fault of the caller is -EINVAL, as in libzmq; only what lives on the heap can fail otherwise, with -ENOMEM.
 * A failed call changes nothing: memory is had before the old value is dropped.
 */
#include "core/option.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "mem/alloc.h"
#include "wire/metadata.h"
#include "wire/socket_type.h"

enum {
    Z85_KEY_SIZE = ZU_CURVE_KEY_BYTES * 5 / 4,
    HEARTBEAT_TTL_UNIT_MS = 100,
    BOTH = ZU_OPTION_SET | ZU_OPTION_GET,
};

#define ON(type) (1u << ZU_SOCKET_##type)
#define LINGERS_NOT (ON(SUB) | ON(XSUB) | ON(DISH))
#define THREAD_SAFE_TYPES                                                                                              \
    (ON(SERVER) | ON(CLIENT) | ON(RADIO) | ON(DISH) | ON(GATHER) | ON(SCATTER) | ON(PEER) | ON(CHANNEL))
#define FD_TYPES (((1u << ZU_SOCKET_TYPE_COUNT) - 1) & ~THREAD_SAFE_TYPES)
#define ROUTERS (ON(ROUTER) | ON(REP))
#define PROBERS (ON(ROUTER) | ON(REP) | ON(DEALER) | ON(REQ))
#define PUBLISHERS (ON(XPUB) | ON(PUB))
#define SUBSCRIBERS (ON(XSUB) | ON(SUB))

/* Bytes */

static void bytes_free(struct zu_bytes *bytes)
{
    if (!bytes->data)
        return;
    explicit_bzero(bytes->data, bytes->size); /* it may be a password */
    zu_free(bytes->data, bytes->size + 1);
    *bytes = (struct zu_bytes){0};
}

int zu_option_bytes_set(struct zu_bytes *bytes, const void *data, size_t size)
{
    struct zu_bytes fresh = {.size = size};
    if (size > 0) {
        fresh.data = zu_alloc(size + 1);
        if (!fresh.data)
            return -ENOMEM;
        memcpy(fresh.data, data, size);
        fresh.data[size] = '\0';
    }
    bytes_free(bytes);
    *bytes = fresh;
    return 0;
}

/* Fields through rows */

static void *field_of(struct zu_options *options, const struct zu_option_row *row)
{
    return (char *)options + row->offset;
}

static const void *field_in(const struct zu_options *options, const struct zu_option_row *row)
{
    return (const char *)options + row->offset;
}

/* Checks an int against its row and says what to store. */
static int int_read(const struct zu_option_row *row, const struct zu_option_input *in, int *ret_number)
{
    int number;
    if (in->size != sizeof(number))
        return -EINVAL;
    memcpy(&number, in->value, sizeof(number));
    if (number < row->min || number > row->max)
        return -EINVAL;
    *ret_number = row->truth ? number != 0 : number;
    return 0;
}

static bool int_fits(const struct zu_option_row *row, size_t size)
{
    return row->roomy ? size >= sizeof(int) : size == sizeof(int);
}

static int int_write(const struct zu_option_row *row, int number, void *value, size_t *size)
{
    if (!int_fits(row, *size))
        return -EINVAL;
    memset(value, 0, *size);
    memcpy(value, &number, sizeof(number));
    *size = sizeof(number);
    return 0;
}

/* `length` of the bytes are told to the caller: with a string's NUL, which lies behind them. */
static int bytes_write(const struct zu_bytes *bytes, size_t length, void *value, size_t *size)
{
    if (*size < length)
        return -EINVAL;
    if (*size > 0)
        memset(value, 0, *size);
    if (bytes->size > 0)
        memcpy(value, bytes->data, bytes->size);
    *size = length;
    return 0;
}

static bool size_allowed(const struct zu_option_row *row, size_t size)
{
    return size >= (size_t)row->min && size <= (size_t)row->max;
}

static bool is_clearing(const struct zu_option_row *row, const struct zu_option_input *in)
{
    return row->clears && !in->value && in->size == 0;
}

/* What the kinds do */

static void int_init(struct zu_options *options, const struct zu_option_row *row)
{
    memcpy(field_of(options, row), &row->fallback, sizeof(row->fallback));
}

static int int_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    int number, error = int_read(row, in, &number);
    if (!error)
        memcpy(field_of(options, row), &number, sizeof(number));
    return error;
}

static int int_get(const struct zu_option_query *query, void *value, size_t *size)
{
    int number;
    memcpy(&number, field_in(query->options, query->row), sizeof(number));
    return int_write(query->row, number, value, size);
}

static void wide_init(struct zu_options *options, const struct zu_option_row *row)
{
    int64_t number = row->fallback;
    memcpy(field_of(options, row), &number, sizeof(number));
}

static int wide_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    if (in->size != row->field_size)
        return -EINVAL;
    memcpy(field_of(options, row), in->value, in->size);
    return 0;
}

static int wide_get(const struct zu_option_query *query, void *value, size_t *size)
{
    if (*size != query->row->field_size)
        return -EINVAL;
    memcpy(value, field_in(query->options, query->row), *size);
    return 0;
}

static int bytes_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    if (!is_clearing(row, in) && !size_allowed(row, in->size))
        return -EINVAL;
    return zu_option_bytes_set(field_of(options, row), in->value, in->size);
}

static int bytes_get(const struct zu_option_query *query, void *value, size_t *size)
{
    const struct zu_bytes *bytes = field_in(query->options, query->row);
    return bytes_write(bytes, bytes->size, value, size);
}

static int string_get(const struct zu_option_query *query, void *value, size_t *size)
{
    const struct zu_bytes *bytes = field_in(query->options, query->row);
    return bytes_write(bytes, bytes->size + 1, value, size);
}

static void bytes_fini(void *field)
{
    bytes_free(field);
}

static int bytes_copy(void *dst, const void *src)
{
    const struct zu_bytes *bytes = src;
    return zu_option_bytes_set(dst, bytes->data, bytes->size);
}

static int live_get(const struct zu_option_query *query, void *value, size_t *size)
{
    if (!query->live || !int_fits(query->row, *size))
        return -EINVAL;
    int64_t answer;
    int error = query->live->get(query->socket, query->number, &answer);
    return error ? error : int_write(query->row, (int)answer, value, size);
}

/* CURVE keys */

static const char z85_digits[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

static int z85_key_decode(const char *text, uint8_t *ret_key)
{
    for (int i = 0; i < Z85_KEY_SIZE; i += 5, ret_key += 4) {
        uint64_t group = 0;
        for (int j = i; j < i + 5; j++) {
            const char *digit = text[j] ? strchr(z85_digits, text[j]) : NULL;
            if (!digit)
                return -EINVAL;
            group = group * 85 + (uint64_t)(digit - z85_digits);
        }
        if (group > UINT32_MAX)
            return -EINVAL;
        uint32_t big_endian = htonl((uint32_t)group);
        memcpy(ret_key, &big_endian, sizeof(big_endian));
    }
    return 0;
}

static void z85_key_encode(const uint8_t *key, char *ret_text)
{
    for (int i = 0; i < ZU_CURVE_KEY_BYTES; i += 4, ret_text += 5) {
        uint32_t group;
        memcpy(&group, key + i, sizeof(group));
        group = ntohl(group);
        for (int j = 4; j >= 0; j--, group /= 85)
            ret_text[j] = z85_digits[group % 85];
    }
    *ret_text = '\0';
}

/* A bad key must not have spoiled half of the old one, so it is decoded aside. */
static int key_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    uint8_t key[ZU_CURVE_KEY_BYTES];
    const char *text = in->value;
    if (in->size == sizeof(key))
        memcpy(key, in->value, in->size);
    else if (in->size != Z85_KEY_SIZE && !(in->size == Z85_KEY_SIZE + 1 && text[Z85_KEY_SIZE] == '\0'))
        return -EINVAL;
    else if (z85_key_decode(text, key))
        return -EINVAL;
    memcpy(field_of(options, row), key, sizeof(key));
    explicit_bzero(key, sizeof(key));
    options->mechanism = row->which;
    return 0;
}

static int key_get(const struct zu_option_query *query, void *value, size_t *size)
{
    const uint8_t *key = field_in(query->options, query->row);
    if (*size == ZU_CURVE_KEY_BYTES)
        memcpy(value, key, ZU_CURVE_KEY_BYTES);
    else if (*size == Z85_KEY_SIZE + 1)
        z85_key_encode(key, value);
    else
        return -EINVAL;
    return 0;
}

/* Only a client has a server's key. */
static int server_key_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    int error = key_set(options, row, in);
    if (!error)
        options->as_server = 0;
    return error;
}

/* The other mechanisms' switches */

static int role_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    int server, error = int_read(row, in, &server);
    if (error)
        return error;
    options->as_server = server;
    options->mechanism = server ? row->which : ZU_SECURITY_NULL;
    return 0;
}

static int role_get(const struct zu_option_query *query, void *value, size_t *size)
{
    const struct zu_options *options = query->options;
    return int_write(query->row, options->as_server && options->mechanism == query->row->which, value, size);
}

/* Nothing at all turns the mechanism off, yet the text stays readable, as in libzmq. */
static int plain_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    if (!in->value) {
        options->mechanism = ZU_SECURITY_NULL;
        return 0;
    }
    int error = bytes_set(options, row, in);
    if (error)
        return error;
    options->as_server = 0;
    options->mechanism = row->which;
    return 0;
}

/* The other odd ones */

static int ipv4only_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    int only, error = int_read(row, in, &only);
    if (!error)
        options->ipv6 = !only;
    return error;
}

static int ipv4only_get(const struct zu_option_query *query, void *value, size_t *size)
{
    return int_write(query->row, !query->options->ipv6, value, size);
}

/* The wire carries tenths of a second in 16 bits. Small negative values come to 0, as in libzmq. */
static int heartbeat_ttl_set(struct zu_options *options, const struct zu_option_row *row,
                             const struct zu_option_input *in)
{
    int ttl_ms, error = int_read(row, in, &ttl_ms);
    if (!error)
        options->heartbeat_ttl_ms = ttl_ms / HEARTBEAT_TTL_UNIT_MS * HEARTBEAT_TTL_UNIT_MS;
    return error;
}

static int verbose_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    int error = int_set(options, row, in);
    if (!error)
        options->pattern.xpub_verbose_unsub = 0;
    return error;
}

static int verboser_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    int error = int_set(options, row, in);
    if (!error)
        options->pattern.xpub_verbose = options->pattern.xpub_verbose_unsub;
    return error;
}

static int last_value_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    int error = int_set(options, row, in);
    if (!error)
        options->pattern.xpub_manual = options->pattern.xpub_manual_last_value;
    return error;
}

/* A publisher has no subscriptions of its own to change unless it decides on those of its peers. */
static int subscription_check(struct zu_options *options, const struct zu_option_row *row,
                              const struct zu_option_input *in)
{
    (void)row;
    return in->type == ZU_SOCKET_SUB || options->pattern.xpub_manual ? 0 : -EINVAL;
}

static int type_get(const struct zu_option_query *query, void *value, size_t *size)
{
    return int_write(query->row, (int)query->type, value, size);
}

static int thread_safe_get(const struct zu_option_query *query, void *value, size_t *size)
{
    return int_write(query->row, THREAD_SAFE_TYPES >> query->type & 1, value, size);
}

/*
 * "X-name:value", both sides non-empty, is kept as a property at the end of a block that the handshake sends as it is.
 * Four bytes are taken for an int that went astray, as in libzmq.
 */
static int metadata_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    (void)row;
    const char *text = in->value;
    const char *colon = in->size > 0 ? memchr(text, ':', in->size) : NULL;
    if (!colon || in->size == sizeof(int) || strncmp(text, "X-", 2) != 0)
        return -EINVAL;
    size_t name_size = (size_t)(colon - text);
    size_t value_size = in->size - name_size - 1;
    struct zu_bytes *block = &options->metadata;
    if (name_size > ZU_PROPERTY_NAME_MAX || value_size == 0)
        return -EINVAL;
    size_t size = block->size + zu_property_size(name_size, value_size);
    if (size > ZU_METADATA_SIZE_MAX)
        return -EINVAL;
    char name[ZU_PROPERTY_NAME_MAX + 1] = {0};
    memcpy(name, text, name_size);
    if (strlen(name) != name_size)
        return -EINVAL;
    uint8_t *grown = zu_alloc(size + 1);
    if (!grown)
        return -ENOMEM;
    if (block->size > 0)
        memcpy(grown, block->data, block->size);
    zu_property_encode(grown + block->size, name, colon + 1, value_size);
    grown[size] = '\0';
    bytes_free(block);
    *block = (struct zu_bytes){.data = grown, .size = size};
    return 0;
}

static int accept_filter_set(struct zu_options *options, const struct zu_option_row *row,
                             const struct zu_option_input *in)
{
    (void)row;
    if (in->value)
        return zu_accept_filter_add(&options->tcp_accept, in->value, in->size, options->ipv6);
    zu_accept_filter_clear(&options->tcp_accept);
    return 0;
}

static int ipc_filter_set(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in)
{
    if (!in->value) {
        zu_ipc_filter_clear(&options->ipc_accept, row->which);
        return 0;
    }
    uint32_t id;
    if (in->size != sizeof(id))
        return -EINVAL;
    memcpy(&id, in->value, sizeof(id));
    return zu_ipc_filter_add(&options->ipc_accept, row->which, id);
}

/* The tables */

struct kind {
    void (*init)(struct zu_options *options, const struct zu_option_row *row); /* NULL: zeros will do */
    /* NULL: get only */
    int (*set)(struct zu_options *options, const struct zu_option_row *row, const struct zu_option_input *in);
    int (*get)(const struct zu_option_query *query, void *value, size_t *size); /* NULL: set only */
    void (*fini)(void *field);                                                  /* NULL: the field owns nothing */
    int (*copy)(void *dst, const void *src); /* into a zeroed field; NULL: plain assignment will do */
};

static const struct kind kinds[ZU_OPTION_KINDS] = {
    [ZU_OPTION_INT] = {.init = int_init, .set = int_set, .get = int_get},
    [ZU_OPTION_INT64] = {.init = wide_init, .set = wide_set, .get = wide_get},
    [ZU_OPTION_UINT64] = {.init = wide_init, .set = wide_set, .get = wide_get},
    [ZU_OPTION_BYTES] = {.set = bytes_set, .get = bytes_get, .fini = bytes_fini, .copy = bytes_copy},
    [ZU_OPTION_STRING] = {.set = bytes_set, .get = string_get, .fini = bytes_fini, .copy = bytes_copy},
    [ZU_OPTION_KEY] = {.set = key_set, .get = key_get},
    [ZU_OPTION_LIVE] = {.get = live_get},
    [ZU_OPTION_PASSED] = {.set = subscription_check},
};

#define AT(field) .offset = offsetof(struct zu_options, field), .field_size = sizeof(((struct zu_options *)0)->field)
#define INT(may, field, low, high, start)                                                                              \
    .kind = ZU_OPTION_INT, .access = (may), .min = (low), .max = (high), .fallback = (start), AT(field)
#define BOOL(may, field, start) INT(may, field, 0, 1, start)
#define ANY(may, field, start) INT(may, field, INT_MIN, INT_MAX, start), .truth = true
/* A pattern's own switch: 0 or any positive number, effective at once. */
#define SWITCH(field, who) INT(ZU_OPTION_SET, field, 0, INT_MAX, 0), .truth = true, PATTERN, .types = (who)
#define PATTERN .effect = ZU_OPTION_EFFECT_PATTERN
#define LIVE .kind = ZU_OPTION_LIVE, .access = ZU_OPTION_GET, .roomy = true
#define GIVEN .kind = ZU_OPTION_INT, .access = ZU_OPTION_GET
#define BYTES(may, field, low, high) .kind = ZU_OPTION_BYTES, .access = (may), .min = (low), .max = (high), AT(field)
#define STRING(field, low, high) .kind = ZU_OPTION_STRING, .access = BOTH, .min = (low), .max = (high), AT(field)
#define FILTER .kind = ZU_OPTION_BYTES, .access = ZU_OPTION_SET
#define KEY(field) .kind = ZU_OPTION_KEY, .access = BOTH, .which = ZU_SECURITY_CURVE, AT(field)
#define SUBSCRIPTION                                                                                                   \
    .kind = ZU_OPTION_PASSED, .access = ZU_OPTION_SET, .effect = ZU_OPTION_EFFECT_SUBSCRIPTION,                        \
    .types = ON(SUB) | PUBLISHERS
#define PLAIN .which = ZU_SECURITY_PLAIN
#define CURVE .which = ZU_SECURITY_CURVE
#define DRAFT .draft = true

static const struct zu_option_row rows[ZU_OPT_END] = {
    [ZU_OPT_AFFINITY] = {"AFFINITY", .kind = ZU_OPTION_UINT64, .access = BOTH, AT(affinity)},
    [ZU_OPT_ROUTING_ID] = {"ROUTING_ID", BYTES(BOTH, routing_id, 1, 255)},
    [ZU_OPT_SUBSCRIBE] = {"SUBSCRIBE", SUBSCRIPTION},
    [ZU_OPT_UNSUBSCRIBE] = {"UNSUBSCRIBE", SUBSCRIPTION},
    [ZU_OPT_RATE] = {"RATE", INT(BOTH, rate_kbit, 1, INT_MAX, 100)},
    [ZU_OPT_RECOVERY_IVL] = {"RECOVERY_IVL", INT(BOTH, recovery_ms, 0, INT_MAX, 10000)},
    [ZU_OPT_SNDBUF] = {"SNDBUF", INT(BOTH, send_buffer, -1, INT_MAX, -1)},
    [ZU_OPT_RCVBUF] = {"RCVBUF", INT(BOTH, recv_buffer, -1, INT_MAX, -1)},
    [ZU_OPT_RCVMORE] = {"RCVMORE", LIVE},
    [ZU_OPT_FD] = {"FD", LIVE, .types = FD_TYPES},
    [ZU_OPT_EVENTS] = {"EVENTS", LIVE},
    [ZU_OPT_TYPE] = {"TYPE", GIVEN, .get = type_get},
    [ZU_OPT_LINGER] = {"LINGER", INT(BOTH, linger_ms, -1, INT_MAX, -1), .effect = ZU_OPTION_EFFECT_LINGER},
    [ZU_OPT_RECONNECT_IVL] = {"RECONNECT_IVL", INT(BOTH, reconnect_ms, -1, INT_MAX, 100)},
    [ZU_OPT_BACKLOG] = {"BACKLOG", INT(BOTH, backlog, 0, INT_MAX, 100)},
    [ZU_OPT_RECONNECT_IVL_MAX] = {"RECONNECT_IVL_MAX", INT(BOTH, reconnect_max_ms, 0, INT_MAX, 0)},
    [ZU_OPT_MAXMSGSIZE] = {"MAXMSGSIZE", .kind = ZU_OPTION_INT64, .access = BOTH, .fallback = -1, AT(msg_size_max)},
    [ZU_OPT_SNDHWM] = {"SNDHWM", INT(BOTH, send_hwm, 0, INT_MAX, 1000), .effect = ZU_OPTION_EFFECT_HWM},
    [ZU_OPT_RCVHWM] = {"RCVHWM", INT(BOTH, recv_hwm, 0, INT_MAX, 1000), .effect = ZU_OPTION_EFFECT_HWM},
    [ZU_OPT_MULTICAST_HOPS] = {"MULTICAST_HOPS", INT(BOTH, multicast_hops, 1, INT_MAX, 1)},
    [ZU_OPT_RCVTIMEO] = {"RCVTIMEO", INT(BOTH, recv_timeout_ms, -1, INT_MAX, -1)},
    [ZU_OPT_SNDTIMEO] = {"SNDTIMEO", INT(BOTH, send_timeout_ms, -1, INT_MAX, -1)},
    [ZU_OPT_IPV4ONLY] = {"IPV4ONLY", .kind = ZU_OPTION_INT, .access = BOTH, .max = 1, .fallback = 1,
                         .set = ipv4only_set, .get = ipv4only_get},
    [ZU_OPT_LAST_ENDPOINT] = {"LAST_ENDPOINT", .kind = ZU_OPTION_STRING, .access = ZU_OPTION_GET, AT(last_endpoint)},
    [ZU_OPT_ROUTER_MANDATORY] = {"ROUTER_MANDATORY", SWITCH(pattern.router_mandatory, ROUTERS)},
    [ZU_OPT_TCP_KEEPALIVE] = {"TCP_KEEPALIVE", INT(BOTH, tcp_keepalive, -1, 1, -1)},
    [ZU_OPT_TCP_KEEPALIVE_CNT] = {"TCP_KEEPALIVE_CNT", INT(BOTH, tcp_keepalive_count, -1, INT_MAX, -1)},
    [ZU_OPT_TCP_KEEPALIVE_IDLE] = {"TCP_KEEPALIVE_IDLE", INT(BOTH, tcp_keepalive_idle_s, -1, INT_MAX, -1)},
    [ZU_OPT_TCP_KEEPALIVE_INTVL] = {"TCP_KEEPALIVE_INTVL", INT(BOTH, tcp_keepalive_interval_s, -1, INT_MAX, -1)},
    [ZU_OPT_TCP_ACCEPT_FILTER] = {"TCP_ACCEPT_FILTER", FILTER, .set = accept_filter_set},
    [ZU_OPT_IMMEDIATE] = {"IMMEDIATE", BOOL(BOTH, immediate, 0)},
    [ZU_OPT_XPUB_VERBOSE] = {"XPUB_VERBOSE", SWITCH(pattern.xpub_verbose, PUBLISHERS), .set = verbose_set},
    [ZU_OPT_ROUTER_RAW] = {"ROUTER_RAW", SWITCH(pattern.router_raw, ROUTERS)},
    [ZU_OPT_IPV6] = {"IPV6", BOOL(BOTH, ipv6, 0)},
    [ZU_OPT_MECHANISM] = {"MECHANISM", GIVEN, AT(mechanism)},
    [ZU_OPT_PLAIN_SERVER] = {"PLAIN_SERVER", .kind = ZU_OPTION_INT, .access = BOTH, .max = 1, PLAIN, .set = role_set,
                             .get = role_get},
    [ZU_OPT_PLAIN_USERNAME] = {"PLAIN_USERNAME", STRING(plain_username, 1, 255), PLAIN, .set = plain_set},
    [ZU_OPT_PLAIN_PASSWORD] = {"PLAIN_PASSWORD", STRING(plain_password, 1, 255), PLAIN, .set = plain_set},
    [ZU_OPT_CURVE_SERVER] = {"CURVE_SERVER", .kind = ZU_OPTION_INT, .access = BOTH, .max = 1, CURVE, .set = role_set,
                             .get = role_get},
    [ZU_OPT_CURVE_PUBLICKEY] = {"CURVE_PUBLICKEY", KEY(curve_public_key)},
    [ZU_OPT_CURVE_SECRETKEY] = {"CURVE_SECRETKEY", KEY(curve_secret_key)},
    [ZU_OPT_CURVE_SERVERKEY] = {"CURVE_SERVERKEY", KEY(curve_server_key), .set = server_key_set},
    [ZU_OPT_PROBE_ROUTER] = {"PROBE_ROUTER", SWITCH(pattern.probe_router, PROBERS)},
    [ZU_OPT_REQ_CORRELATE] = {"REQ_CORRELATE", SWITCH(pattern.req_correlate, ON(REQ))},
    [ZU_OPT_REQ_RELAXED] = {"REQ_RELAXED", SWITCH(pattern.req_relaxed, ON(REQ))},
    [ZU_OPT_CONFLATE] = {"CONFLATE", BOOL(BOTH, conflate, 0)},
    [ZU_OPT_ZAP_DOMAIN] = {"ZAP_DOMAIN", STRING(zap_domain, 1, 255)},
    [ZU_OPT_ROUTER_HANDOVER] = {"ROUTER_HANDOVER", SWITCH(pattern.router_handover, ROUTERS)},
    [ZU_OPT_TOS] = {"TOS", INT(BOTH, tos, 0, INT_MAX, 0)},
    [ZU_OPT_IPC_FILTER_PID] = {"IPC_FILTER_PID", FILTER, .which = ZU_IPC_FILTER_PID, .set = ipc_filter_set},
    [ZU_OPT_IPC_FILTER_UID] = {"IPC_FILTER_UID", FILTER, .which = ZU_IPC_FILTER_UID, .set = ipc_filter_set},
    [ZU_OPT_IPC_FILTER_GID] = {"IPC_FILTER_GID", FILTER, .which = ZU_IPC_FILTER_GID, .set = ipc_filter_set},
    [ZU_OPT_CONNECT_ROUTING_ID] = {"CONNECT_ROUTING_ID", BYTES(ZU_OPTION_SET, connect_routing_id, 1, INT_MAX),
                                   .types = ROUTERS | ON(STREAM)},
    [ZU_OPT_HANDSHAKE_IVL] = {"HANDSHAKE_IVL", INT(BOTH, handshake_ms, 0, INT_MAX, 30000)},
    [ZU_OPT_SOCKS_PROXY] = {"SOCKS_PROXY", STRING(socks_proxy, 1, INT_MAX), .clears = true},
    [ZU_OPT_XPUB_NODROP] = {"XPUB_NODROP", SWITCH(pattern.xpub_nodrop, PUBLISHERS | ON(RADIO))},
    [ZU_OPT_XPUB_MANUAL] = {"XPUB_MANUAL", SWITCH(pattern.xpub_manual, PUBLISHERS)},
    [ZU_OPT_XPUB_WELCOME_MSG] = {"XPUB_WELCOME_MSG", BYTES(ZU_OPTION_SET, pattern.xpub_welcome_msg, 0, INT_MAX), PATTERN,
                                 .types = PUBLISHERS},
    [ZU_OPT_STREAM_NOTIFY] = {"STREAM_NOTIFY", BOOL(ZU_OPTION_SET, pattern.stream_notify, 1), PATTERN, .types = ON(STREAM)},
    [ZU_OPT_INVERT_MATCHING] = {"INVERT_MATCHING", ANY(BOTH, pattern.invert_matching, 0), PATTERN},
    [ZU_OPT_HEARTBEAT_IVL] = {"HEARTBEAT_IVL", INT(BOTH, heartbeat_ms, 0, INT_MAX, 0)},
    [ZU_OPT_HEARTBEAT_TTL] = {"HEARTBEAT_TTL", INT(BOTH, heartbeat_ttl_ms, -99, 6553599, 0), .set = heartbeat_ttl_set},
    [ZU_OPT_HEARTBEAT_TIMEOUT] = {"HEARTBEAT_TIMEOUT", INT(BOTH, heartbeat_timeout_ms, 0, INT_MAX, -1)},
    [ZU_OPT_XPUB_VERBOSER] = {"XPUB_VERBOSER", SWITCH(pattern.xpub_verbose_unsub, PUBLISHERS), .set = verboser_set},
    [ZU_OPT_CONNECT_TIMEOUT] = {"CONNECT_TIMEOUT", INT(BOTH, connect_timeout_ms, 0, INT_MAX, 0)},
    [ZU_OPT_TCP_MAXRT] = {"TCP_MAXRT", INT(BOTH, tcp_max_rt_ms, 0, INT_MAX, 0)},
    [ZU_OPT_THREAD_SAFE] = {"THREAD_SAFE", GIVEN, .roomy = true, .get = thread_safe_get},
    [ZU_OPT_MULTICAST_MAXTPDU] = {"MULTICAST_MAXTPDU", INT(BOTH, multicast_tpdu_max, 1, INT_MAX, 1500)},
    [ZU_OPT_USE_FD] = {"USE_FD", INT(BOTH, use_fd, -1, INT_MAX, -1)},
    [ZU_OPT_BINDTODEVICE] = {"BINDTODEVICE", STRING(bind_to_device, 1, IFNAMSIZ), .clears = true},
    [ZU_OPT_ZAP_ENFORCE_DOMAIN] = {"ZAP_ENFORCE_DOMAIN", ANY(BOTH, zap_enforce_domain, 0), DRAFT},
    [ZU_OPT_LOOPBACK_FASTPATH] = {"LOOPBACK_FASTPATH", ANY(BOTH, loopback_fastpath, 0), DRAFT},
    [ZU_OPT_METADATA] = {"METADATA", BYTES(ZU_OPTION_SET, metadata, 1, INT_MAX), DRAFT, .set = metadata_set},
    [ZU_OPT_MULTICAST_LOOP] = {"MULTICAST_LOOP", ANY(BOTH, multicast_loop, 1), DRAFT},
    [ZU_OPT_ROUTER_NOTIFY] = {"ROUTER_NOTIFY", INT(BOTH, pattern.router_notify, 0, 3, 0), PATTERN, DRAFT, .types = ROUTERS},
    [ZU_OPT_XPUB_MANUAL_LAST_VALUE] = {"XPUB_MANUAL_LAST_VALUE", SWITCH(pattern.xpub_manual_last_value, PUBLISHERS), DRAFT,
                                       .set = last_value_set},
    [ZU_OPT_SOCKS_USERNAME] = {"SOCKS_USERNAME", STRING(socks_username, 1, 255), DRAFT, .clears = true},
    [ZU_OPT_SOCKS_PASSWORD] = {"SOCKS_PASSWORD", STRING(socks_password, 1, 255), DRAFT, .clears = true},
    [ZU_OPT_IN_BATCH_SIZE] = {"IN_BATCH_SIZE", INT(BOTH, recv_batch_size, 1, INT_MAX, 8192), DRAFT},
    [ZU_OPT_OUT_BATCH_SIZE] = {"OUT_BATCH_SIZE", INT(BOTH, send_batch_size, 1, INT_MAX, 8192), DRAFT},
    [ZU_OPT_ONLY_FIRST_SUBSCRIBE] = {"ONLY_FIRST_SUBSCRIBE", SWITCH(pattern.only_first_subscribe, PUBLISHERS | ON(XSUB)),
                                     DRAFT},
    [ZU_OPT_RECONNECT_STOP] = {"RECONNECT_STOP", INT(BOTH, reconnect_stop, INT_MIN, INT_MAX, 0), DRAFT},
    [ZU_OPT_HELLO_MSG] = {"HELLO_MSG", BYTES(ZU_OPTION_SET, hello_msg, 0, INT_MAX), DRAFT},
    [ZU_OPT_DISCONNECT_MSG] = {"DISCONNECT_MSG", BYTES(ZU_OPTION_SET, disconnect_msg, 0, INT_MAX), DRAFT},
    [ZU_OPT_PRIORITY] = {"PRIORITY", INT(BOTH, priority, 0, INT_MAX, 0), DRAFT},
    [ZU_OPT_BUSY_POLL] = {"BUSY_POLL", INT(ZU_OPTION_SET, busy_poll, INT_MIN, INT_MAX, 0), DRAFT},
    [ZU_OPT_HICCUP_MSG] = {"HICCUP_MSG", BYTES(ZU_OPTION_SET, hiccup_msg, 0, INT_MAX), DRAFT},
    [ZU_OPT_XSUB_VERBOSE_UNSUBSCRIBE] = {"XSUB_VERBOSE_UNSUBSCRIBE", ANY(ZU_OPTION_SET, pattern.xsub_verbose_unsub, 0), PATTERN,
                                         DRAFT, .types = ON(XSUB)},
    [ZU_OPT_TOPICS_COUNT] = {"TOPICS_COUNT", LIVE, DRAFT, .types = PUBLISHERS | SUBSCRIBERS},
};

const struct zu_option_row *zu_option_row(int number)
{
    if (number < 0 || number >= ZU_OPT_END || !rows[number].name)
        return NULL;
    return &rows[number];
}

unsigned zu_option_effect(int number)
{
    const struct zu_option_row *row = zu_option_row(number);
    return row ? row->effect : (unsigned)ZU_OPTION_EFFECT_NONE;
}

/* The row, if sockets of the type have the option and it may be used that way. */
static const struct zu_option_row *row_find(int number, unsigned type, unsigned use)
{
    const struct zu_option_row *row = zu_option_row(number);
    if (!row || !(row->access & use) || (row->types && !(row->types >> type & 1)))
        return NULL;
    return row;
}

void zu_options_init(struct zu_options *options, unsigned type, const struct zu_ctx_options *ctx)
{
    memset(options, 0, sizeof(*options));
    for (int number = 0; number < ZU_OPT_END; number++) {
        const struct zu_option_row *row = &rows[number];
        if (row->field_size > 0 && kinds[row->kind].init)
            kinds[row->kind].init(options, row);
    }
    if (!ctx->blocky || (LINGERS_NOT >> type & 1))
        options->linger_ms = 0;
    options->ipv6 = ctx->ipv6;
}

void zu_options_fini(struct zu_options *options)
{
    for (int number = 0; number < ZU_OPT_END; number++) {
        const struct zu_option_row *row = &rows[number];
        if (row->field_size > 0 && kinds[row->kind].fini)
            kinds[row->kind].fini(field_of(options, row));
    }
    zu_accept_filter_clear(&options->tcp_accept);
    zu_ipc_filter_clear_all(&options->ipc_accept);
    explicit_bzero(options, sizeof(*options)); /* keys */
}

void zu_options_wipe(struct zu_options *options)
{
    bytes_free(&options->plain_password);
    explicit_bzero(options->curve_secret_key, sizeof(options->curve_secret_key));
}

/* Fields that own something start empty, so that fini may follow whatever has been copied so far. */
static int owned_copy(struct zu_options *dst, const struct zu_options *src)
{
    for (int number = 0; number < ZU_OPT_END; number++) {
        const struct zu_option_row *row = &rows[number];
        if (row->field_size == 0 || !kinds[row->kind].copy)
            continue;
        int error = kinds[row->kind].copy(field_of(dst, row), field_in(src, row));
        if (error)
            return error;
    }
    int error = zu_accept_filter_copy(&src->tcp_accept, &dst->tcp_accept);
    return error ? error : zu_ipc_filter_copy(&src->ipc_accept, &dst->ipc_accept);
}

int zu_options_copy(struct zu_options *dst, const struct zu_options *src)
{
    *dst = *src;
    for (int number = 0; number < ZU_OPT_END; number++) {
        const struct zu_option_row *row = &rows[number];
        if (row->field_size > 0 && kinds[row->kind].copy)
            memset(field_of(dst, row), 0, row->field_size);
    }
    dst->tcp_accept = (struct zu_accept_filter){0};
    dst->ipc_accept = (struct zu_ipc_filter){0};
    int error = owned_copy(dst, src);
    if (error)
        zu_options_fini(dst);
    return error;
}

int zu_option_set(struct zu_options *options, unsigned type, int number, const void *value, size_t size)
{
    const struct zu_option_row *row = row_find(number, type, ZU_OPTION_SET);
    if (!row || (!value && size > 0))
        return -EINVAL;
    struct zu_option_input in = {.type = type, .value = value, .size = size};
    return (row->set ? row->set : kinds[row->kind].set)(options, row, &in);
}

int zu_option_get(const struct zu_options *options, unsigned type, int number, void *value, size_t *size,
                  const struct zu_option_live *live, void *socket)
{
    const struct zu_option_row *row = row_find(number, type, ZU_OPTION_GET);
    if (!row || !size || (!value && *size > 0))
        return -EINVAL;
    struct zu_option_query query = {
        .row = row, .options = options, .type = type, .number = number, .live = live, .socket = socket};
    return (row->get ? row->get : kinds[row->kind].get)(&query, value, size);
}
