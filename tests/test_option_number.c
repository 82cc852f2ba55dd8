/* SPDX-License-Identifier: MIT */
/* The engine lies below api/zmq.h and writes the numbers down itself: they must be those that programs compile in. */
#define ZMQ_BUILD_DRAFT_API
#if __has_include("/usr/include/zmq.h")
#include "/usr/include/zmq.h" /* stock, also when zuring's own comes first in the search path */
#else
#include <zmq.h>
#endif

#include <criterion/criterion.h>

#include "core/ctx_option.h"
#include "core/option_number.h"

/* Stock 4.3.4 does not know the newest ones yet. */
#ifndef ZMQ_BUSY_POLL
#define ZMQ_BUSY_POLL 113
#endif
#ifndef ZMQ_HICCUP_MSG
#define ZMQ_HICCUP_MSG 114
#endif
#ifndef ZMQ_XSUB_VERBOSE_UNSUBSCRIBE
#define ZMQ_XSUB_VERBOSE_UNSUBSCRIBE 115
#endif
#ifndef ZMQ_TOPICS_COUNT
#define ZMQ_TOPICS_COUNT 116
#endif

#define OPT(name) #name, ZU_OPT_##name, ZMQ_##name
#define CTX(name) #name, ZU_CTX_OPT_##name, ZMQ_##name

static const struct {
    const char *name; /* without a prefix */
    int own;          /* the engine's number */
    int stock;        /* zmq.h's */
} numbers[] = {
    {OPT(AFFINITY)},
    {OPT(ROUTING_ID)},
    {OPT(SUBSCRIBE)},
    {OPT(UNSUBSCRIBE)},
    {OPT(RATE)},
    {OPT(RECOVERY_IVL)},
    {OPT(SNDBUF)},
    {OPT(RCVBUF)},
    {OPT(RCVMORE)},
    {OPT(FD)},
    {OPT(EVENTS)},
    {OPT(TYPE)},
    {OPT(LINGER)},
    {OPT(RECONNECT_IVL)},
    {OPT(BACKLOG)},
    {OPT(RECONNECT_IVL_MAX)},
    {OPT(MAXMSGSIZE)},
    {OPT(SNDHWM)},
    {OPT(RCVHWM)},
    {OPT(MULTICAST_HOPS)},
    {OPT(RCVTIMEO)},
    {OPT(SNDTIMEO)},
    {OPT(IPV4ONLY)},
    {OPT(LAST_ENDPOINT)},
    {OPT(ROUTER_MANDATORY)},
    {OPT(TCP_KEEPALIVE)},
    {OPT(TCP_KEEPALIVE_CNT)},
    {OPT(TCP_KEEPALIVE_IDLE)},
    {OPT(TCP_KEEPALIVE_INTVL)},
    {OPT(TCP_ACCEPT_FILTER)},
    {OPT(IMMEDIATE)},
    {OPT(XPUB_VERBOSE)},
    {OPT(ROUTER_RAW)},
    {OPT(IPV6)},
    {OPT(MECHANISM)},
    {OPT(PLAIN_SERVER)},
    {OPT(PLAIN_USERNAME)},
    {OPT(PLAIN_PASSWORD)},
    {OPT(CURVE_SERVER)},
    {OPT(CURVE_PUBLICKEY)},
    {OPT(CURVE_SECRETKEY)},
    {OPT(CURVE_SERVERKEY)},
    {OPT(PROBE_ROUTER)},
    {OPT(REQ_CORRELATE)},
    {OPT(REQ_RELAXED)},
    {OPT(CONFLATE)},
    {OPT(ZAP_DOMAIN)},
    {OPT(ROUTER_HANDOVER)},
    {OPT(TOS)},
    {OPT(IPC_FILTER_PID)},
    {OPT(IPC_FILTER_UID)},
    {OPT(IPC_FILTER_GID)},
    {OPT(CONNECT_ROUTING_ID)},
    {OPT(HANDSHAKE_IVL)},
    {OPT(SOCKS_PROXY)},
    {OPT(XPUB_NODROP)},
    {OPT(XPUB_MANUAL)},
    {OPT(XPUB_WELCOME_MSG)},
    {OPT(STREAM_NOTIFY)},
    {OPT(INVERT_MATCHING)},
    {OPT(HEARTBEAT_IVL)},
    {OPT(HEARTBEAT_TTL)},
    {OPT(HEARTBEAT_TIMEOUT)},
    {OPT(XPUB_VERBOSER)},
    {OPT(CONNECT_TIMEOUT)},
    {OPT(TCP_MAXRT)},
    {OPT(THREAD_SAFE)},
    {OPT(MULTICAST_MAXTPDU)},
    {OPT(USE_FD)},
    {OPT(BINDTODEVICE)},
    {OPT(ZAP_ENFORCE_DOMAIN)},
    {OPT(LOOPBACK_FASTPATH)},
    {OPT(METADATA)},
    {OPT(MULTICAST_LOOP)},
    {OPT(ROUTER_NOTIFY)},
    {OPT(XPUB_MANUAL_LAST_VALUE)},
    {OPT(SOCKS_USERNAME)},
    {OPT(SOCKS_PASSWORD)},
    {OPT(IN_BATCH_SIZE)},
    {OPT(OUT_BATCH_SIZE)},
    {OPT(ONLY_FIRST_SUBSCRIBE)},
    {OPT(RECONNECT_STOP)},
    {OPT(HELLO_MSG)},
    {OPT(DISCONNECT_MSG)},
    {OPT(PRIORITY)},
    {OPT(BUSY_POLL)},
    {OPT(HICCUP_MSG)},
    {OPT(XSUB_VERBOSE_UNSUBSCRIBE)},
    {OPT(TOPICS_COUNT)},
    {CTX(IO_THREADS)},
    {CTX(MAX_SOCKETS)},
    {CTX(SOCKET_LIMIT)},
    {CTX(THREAD_PRIORITY)},
    {CTX(THREAD_SCHED_POLICY)},
    {CTX(MAX_MSGSZ)},
    {CTX(MSG_T_SIZE)},
    {CTX(THREAD_AFFINITY_CPU_ADD)},
    {CTX(THREAD_AFFINITY_CPU_REMOVE)},
    {CTX(THREAD_NAME_PREFIX)},
    {CTX(ZERO_COPY_RECV)},
    {CTX(IPV6)},
    {CTX(BLOCKY)},
};

Test(option_number, same_as_stock)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        cr_assert_eq(numbers[i].own, numbers[i].stock, "%s", numbers[i].name);
    cr_assert_eq(ZU_SECURITY_NULL, ZMQ_NULL);
    cr_assert_eq(ZU_SECURITY_PLAIN, ZMQ_PLAIN);
    cr_assert_eq(ZU_SECURITY_CURVE, ZMQ_CURVE);
    cr_assert_eq(ZU_MSG_T_SIZE, sizeof(zmq_msg_t));
}
