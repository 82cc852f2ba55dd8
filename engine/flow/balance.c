/* SPDX-License-Identifier: MIT */
/*
 * The peer whose turn it is takes the whole message, then the turn moves on. A full peer leaves the circle and comes
 * back, at its end, when its pipe has room again: told by a note, or found before that when the circle is empty. With
 * room nowhere the send is -EAGAIN. A peer that dies in mid-message
 * takes the frames it had with it; the rest of that message is swallowed, for half a message must not reach another.
 */
#include "flow/balance.h"

#include <errno.h>

#include "base/clock.h"

/* After a wait in vain the sender is left alone for so long. */
enum { STALL_NS = 5000000 };

void zu_balance_init(struct zu_balance *balance)
{
    zu_list_init(&balance->writable);
    balance->turn = &balance->writable;
    zu_list_init(&balance->full);
    balance->inside = NULL;
    balance->dropping = false;
    balance->unroutable = 0;
    balance->patience_ns = ZU_BALANCE_PATIENCE_NS;
}

void zu_balance_add(struct zu_balance *balance, struct zu_peer *peer)
{
    if (peer->out_full)
        zu_list_remove(&peer->out_link);
    else if (!zu_list_is_empty(&peer->out_link))
        return;
    peer->out_full = false;
    peer->out_stalled_ns = 0;
    zu_list_append(&balance->writable, &peer->out_link);
    if (balance->turn == &balance->writable)
        balance->turn = &peer->out_link;
}

static void leave_circle(struct zu_balance *balance, struct zu_peer *peer)
{
    if (balance->turn == &peer->out_link)
        zu_balance_turn(balance, peer);
    zu_list_remove(&peer->out_link);
    if (zu_list_is_empty(&balance->writable))
        balance->turn = &balance->writable;
}

void zu_balance_remove(struct zu_balance *balance, struct zu_peer *peer)
{
    if (balance->inside == peer) {
        balance->inside = NULL;
        balance->dropping = true;
        balance->unroutable++;
    }
    if (peer->out_full)
        zu_list_remove(&peer->out_link);
    else if (!zu_list_is_empty(&peer->out_link))
        leave_circle(balance, peer);
    peer->out_full = false;
}

/* A full pipe's note comes late, at half, to save wake-ups; the reader's counter tells of room earlier. */
static ZU_COLD struct zu_peer *admit_full(struct zu_balance *balance)
{
    zu_list_each(link, next, &balance->full)
    {
        struct zu_peer *peer = zu_container_of(link, struct zu_peer, out_link);
        if (zu_pipe_admits(peer->out) && !zu_pipe_writer_sleep(peer->out)) {
            zu_balance_add(balance, peer);
            return peer;
        }
    }
    return NULL;
}

/* With other peers that have room, none may hold the sender up. */
static uint64_t patience_for(const struct zu_balance *balance, const struct zu_peer *peer, bool waits)
{
    bool alone = peer->out_link.next == &balance->writable && peer->out_link.prev == &balance->writable;
    if (!waits || !alone || (peer->out_stalled_ns && zu_clock_ns() - peer->out_stalled_ns < STALL_NS))
        return 0;
    return balance->patience_ns;
}

static struct zu_peer *admit(struct zu_balance *balance, bool waits)
{
    while (balance->turn != &balance->writable) {
        struct zu_peer *peer = zu_container_of(balance->turn, struct zu_peer, out_link);
        if (zu_likely(zu_pipe_admits(peer->out)))
            return peer;
        if (zu_peer_make_room(peer, patience_for(balance, peer, waits)) || !zu_pipe_writer_sleep(peer->out))
            return peer;
        balance->interrupted |= peer->out_interrupted;
        leave_circle(balance, peer);
        zu_list_append(&balance->full, &peer->out_link);
        peer->out_full = true;
    }
    return admit_full(balance);
}

ZU_COLD void zu_part_drop(struct zu_part *part)
{
    if (!part->msg)
        return;
    zu_msg_close(part->msg);
    zu_msg_init(part->msg);
}

static ZU_COLD int swallow(struct zu_balance *balance, struct zu_part *part)
{
    zu_part_drop(part);
    balance->dropping = part->more;
    return 0;
}

int zu_part_write(struct zu_part *part, struct zu_peer *peer, uint64_t patience_ns)
{
    struct zu_pipe *out = peer->out;
    bool held = part->at_once && !part->more && peer->ops->hold && peer->ops->hold(peer);
    int err = part->msg ? zu_pipe_write_msg(out, part->msg, part->more)
                        : zu_pipe_write(out, part->data, part->size, part->more);
    if (held) {
        peer->ops->hand_over(peer, patience_ns);
        part->gone = !err;
    } else if (zu_unlikely(out->w_flush_due) && !err && !part->more) {
        zu_peer_flush(peer, patience_ns);
    }
    return err;
}

/* Bytes straight from the caller's memory, when the far side can: a copy less, and nobody to wake. */
static ZU_COLD bool send_past(struct zu_balance *balance, struct zu_peer *peer, struct zu_part *part)
{
    if (part->more || balance->inside || !peer->ops->send_large ||
        !peer->ops->send_large(peer, part->data, part->size, patience_for(balance, peer, part->waits)))
        return false;
    zu_balance_turn(balance, peer);
    part->gone = true;
    return true;
}

int zu_balance_send_slowly(struct zu_balance *balance, struct zu_part *part)
{
    struct zu_peer *peer = balance->inside;
    if (zu_likely(!peer)) {
        if (zu_unlikely(balance->dropping))
            return swallow(balance, part);
        balance->interrupted = false;
        peer = admit(balance, part->waits);
        if (zu_unlikely(!peer))
            return -EAGAIN;
    }
    if ((part->size > ZU_PIPE_COPY_MAX || part->at_once) && !part->msg && send_past(balance, peer, part))
        return 0;
    int err = zu_part_write(part, peer, patience_for(balance, peer, part->waits));
    if (zu_unlikely(err))
        return err;
    balance->inside = part->more ? peer : NULL;
    if (!part->more)
        zu_balance_turn(balance, peer);
    return 0;
}

void zu_balance_rest(struct zu_balance *balance)
{
    if (balance->turn == &balance->writable || balance->inside)
        return;
    struct zu_link *last = balance->turn->prev == &balance->writable ? balance->writable.prev : balance->turn->prev;
    zu_peer_rest(zu_container_of(last, struct zu_peer, out_link));
}

void zu_balance_take_back(struct zu_balance *balance)
{
    if (balance->inside)
        zu_pipe_roll_back(balance->inside->out);
    balance->inside = NULL;
    balance->dropping = false;
}

bool zu_balance_has_room(struct zu_balance *balance)
{
    return balance->inside || balance->dropping || admit(balance, false) != NULL;
}
