/* SPDX-License-Identifier: MIT */
/*
 * Small frames are copied behind each member's last one; a large body is shared, with a reference for each. A batch that
 * has gathered goes out from here, as in the balance, but nobody is waited for. A member whose pipe finds no memory loses
 * the message; without memory for a shared body nobody gets it, and the sender may try again.
 */
#include "flow/fan.h"

#include <errno.h>

void zu_fan_member_init(struct zu_fan_member *member, struct zu_peer *peer)
{
    zu_list_init(&member->chosen);
    member->peer = peer;
    member->full = member->lost = false;
}

ZU_COLD bool zu_fan_has_room_slowly(struct zu_fan_member *member, uint64_t patience_ns)
{
    return zu_peer_make_room(member->peer, patience_ns) || !zu_pipe_writer_sleep(member->peer->out);
}

static struct zu_fan_member *of_chosen(struct zu_link *link)
{
    return zu_container_of(link, struct zu_fan_member, chosen);
}

/* Or has admitted it. */
static bool anybody_admits(const struct zu_link *chosen)
{
    zu_list_each(link, after, chosen)
    {
        struct zu_fan_member *member = of_chosen(link);
        if (member->peer->out->w_inside || (!member->full && zu_fan_has_room(member, 0)))
            return true;
    }
    return false;
}

static bool is_shared(const struct zu_part *part)
{
    return !part->msg && part->size > ZU_PIPE_COPY_MAX;
}

static ZU_COLD int own_body(struct zu_part **part, struct zu_fan_body *body)
{
    int err = zu_msg_init_size(&body->msg, (*part)->size);
    if (err)
        return err;
    memcpy(zu_msg_data(&body->msg), (*part)->data, (*part)->size);
    body->part = **part;
    body->part.msg = &body->msg;
    *part = &body->part;
    return 0;
}

int zu_fan_own_body(const struct zu_link *chosen, struct zu_part **part, struct zu_fan_body *body)
{
    return is_shared(*part) && anybody_admits(chosen) ? own_body(part, body) : 0;
}

void zu_fan_admit_chosen(struct zu_link *chosen)
{
    zu_list_each(link, after, chosen)
    {
        if (!zu_fan_admits(of_chosen(link)))
            zu_list_remove(link);
    }
}

static ZU_COLD void lose(struct zu_fan_member *member)
{
    zu_pipe_roll_back(member->peer->out);
    member->peer->out_dropped++;
    member->lost = true;
    zu_list_remove(&member->chosen);
}

void zu_fan_write_one(struct zu_fan_member *member, const struct zu_part *part)
{
    struct zu_pipe *out = member->peer->out;
    if (zu_unlikely(!zu_pipe_write_quickly(out, part->data, part->size)) &&
        zu_unlikely(zu_pipe_write(out, part->data, part->size, false) < 0))
        lose(member);
    if (zu_unlikely(out->w_flush_due))
        zu_peer_flush(member->peer, 0);
}

/* `msg` is shared; NULL: bytes that are copied. */
static int write_frame(struct zu_pipe *out, const struct zu_part *part, struct zu_msg *msg)
{
    if (!msg)
        return zu_pipe_write(out, part->data, part->size, part->more);
    struct zu_msg copy;
    zu_msg_init(&copy);
    zu_msg_copy(&copy, msg);
    int err = zu_pipe_write_msg(out, &copy, part->more);
    if (err)
        zu_msg_close(&copy);
    return err;
}

static void write_all(struct zu_link *chosen, const struct zu_part *part, struct zu_msg *msg)
{
    zu_list_each(link, after, chosen)
    {
        struct zu_fan_member *member = of_chosen(link);
        if (zu_unlikely(write_frame(member->peer->out, part, msg) < 0))
            lose(member);
        else if (!part->more && zu_unlikely(member->peer->out->w_flush_due))
            zu_peer_flush(member->peer, 0);
    }
}

int zu_fan_write(struct zu_link *chosen, struct zu_part *part)
{
    struct zu_fan_body body;
    int err = is_shared(part) && !zu_list_is_empty(chosen) ? own_body(&part, &body) : 0;
    if (err)
        return err;
    write_all(chosen, part, part->msg);
    zu_part_drop(part);
    if (!part->more)
        zu_fan_clear(chosen);
    return 0;
}

void zu_fan_clear(struct zu_link *chosen)
{
    zu_list_each(link, after, chosen)
    {
        zu_list_remove(link);
    }
}
