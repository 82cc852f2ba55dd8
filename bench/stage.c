/* SPDX-License-Identifier: MIT */
/* A role's life: open the socket, bind or connect, exchange warm-up messages until every pair of peers is known to be
 * connected and nothing is in flight, then do the case's work between two barriers. Whatever goes wrong ends the role
 * by crew_fail. */
#include "stage.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "word.h"

#define WARM_STEP_US 1000
#define WARM_WAIT_MS 10

/* The high-water mark as the library's socket has it, for the record. */
static int hwm_get(const struct channel *channel)
{
    int hwm;
    size_t length = sizeof(hwm);

    if (zmq_getsockopt(channel->socket, ZMQ_RCVHWM, &hwm, &length) < 0)
        crew_fail("zmq_getsockopt ZMQ_RCVHWM: %s", zmq_strerror(errno));
    return hwm;
}

/* A PUSH that may send to several peers must know all of them before the clock starts, or it favours the first. */
static void warm_send(struct stage *stage, struct channel *channel, unsigned receivers)
{
    do {
        atomic_fetch_add(&stage->warm_sent, 1);
        channel_send(channel, WORD_WARM);
        usleep(WARM_STEP_US);
    } while (atomic_load(&stage->warm_receivers) < receivers);
    atomic_fetch_add(&stage->warm_senders, 1);
}

static void warm_receive(struct stage *stage, struct channel *channel, unsigned senders)
{
    uint64_t word;
    bool greeted = false;

    channel_set(channel, ZMQ_RCVTIMEO, WARM_WAIT_MS);
    while (atomic_load(&stage->warm_senders) < senders ||
           atomic_load(&stage->warm_got) < atomic_load(&stage->warm_sent)) {
        if (channel_poll(channel, &word) == 0)
            continue;
        if (word != WORD_WARM)
            crew_fail("message %#llx during the warm-up", (unsigned long long)word);
        atomic_fetch_add(&stage->warm_got, 1);
        if (!greeted)
            atomic_fetch_add(&stage->warm_receivers, 1);
        greeted = true;
    }
    channel_set(channel, ZMQ_RCVTIMEO, stage->shape->deadline_ms);
}

static void key_set(const struct channel *channel, int option, const char *key)
{
    if (zmq_setsockopt(channel->socket, option, key, strlen(key)) < 0)
        crew_fail("zmq_setsockopt %d: %s", option, zmq_strerror(errno));
}

/* Keys of this run alone: the hub is the server, and knows none of its clients. */
static void curve_set(struct stage *stage, struct channel *channel, bool is_hub)
{
    char public_key[41], secret_key[41];

    if (zmq_curve_keypair(public_key, secret_key) < 0)
        crew_fail("zmq_curve_keypair: %s", zmq_strerror(errno));
    key_set(channel, ZMQ_CURVE_SECRETKEY, secret_key);
    if (is_hub) {
        channel_set(channel, ZMQ_CURVE_SERVER, 1);
        memcpy(stage->server_key, public_key, sizeof(public_key));
    } else {
        key_set(channel, ZMQ_CURVE_PUBLICKEY, public_key);
        key_set(channel, ZMQ_CURVE_SERVERKEY, stage->server_key);
    }
}

void stage_role(struct crew *crew, unsigned index)
{
    struct stage *stage = (struct stage *)crew;
    const struct bench_options *options = stage->options;
    const struct stage_case *shape = stage->shape;
    bool is_hub = index == 0;
    unsigned spokes = crew->roles - 1;
    struct channel channel;

    channel_open(&channel, library_context(), is_hub ? shape->hub_type : shape->spoke_type,
                 channel_api_find(options->api), options->size, options->hwm);
    if (is_hub) {
        if (options->curve)
            curve_set(stage, &channel, true);
        library_describe(&stage->library);
        stage->hwm = hwm_get(&channel);
        library_bind(channel.socket, stage->endpoint, sizeof(stage->endpoint));
    }
    crew_meet(crew);
    if (!is_hub && options->curve)
        curve_set(stage, &channel, false);
    if (!is_hub && zmq_connect(channel.socket, stage->endpoint) < 0)
        crew_fail("zmq_connect %s: %s", stage->endpoint, zmq_strerror(errno));
    if (is_hub == shape->hub_sends)
        warm_send(stage, &channel, is_hub ? spokes : 1);
    else
        warm_receive(stage, &channel, is_hub ? spokes : 1);

    crew_start(crew, index);
    (is_hub ? shape->hub_work : shape->spoke_work)(stage, index, &channel);
    crew_finish(crew, index);

    channel_close(&channel);
    if (is_hub || !crew->threaded)
        zmq_ctx_term(channel.context);
}
