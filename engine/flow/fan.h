/* SPDX-License-Identifier: MIT */
/*
 * A message to many (RFC 29): every chosen peer gets it whole, or loses it whole when its pipe is full. One that has lost
 * a message loses more until its reader has drained half of the pipe.
 */
#ifndef ZU_FLOW_FAN_H
#define ZU_FLOW_FAN_H

#include "flow/balance.h"

/* A peer as the fan sees it. The socket's thread. */
struct zu_fan_member {
    struct zu_link chosen; /* among those who get the message under way */
    struct zu_peer *peer;  /* where it goes; NULL once writing is over */
    bool full;             /* it had no room, and its pipe's note has not come since */
    bool lost;             /* it found no memory, and lost what it had of a message */
};

void zu_fan_member_init(struct zu_fan_member *member, struct zu_peer *peer);
/* Whether there is room now; if not, its note will come. */
bool zu_fan_has_room_slowly(struct zu_fan_member *member, uint64_t patience_ns);
ZU_INLINE bool zu_fan_has_room(struct zu_fan_member *member, uint64_t patience_ns)
{
    return zu_likely(zu_pipe_admits(member->peer->out)) || zu_fan_has_room_slowly(member, patience_ns);
}
/* Whether a message may begin; one that may not is counted as dropped. */
ZU_INLINE bool zu_fan_admits(struct zu_fan_member *member)
{
    if (zu_likely(!member->full) && zu_likely(zu_fan_has_room(member, 0)))
        return true;
    member->full = true;
    member->peer->out_dropped++;
    return false;
}

/* A large body that is shared by all who get it: the part in place of the caller's, and its message. */
struct zu_fan_body {
    struct zu_part part; /* the same, with `msg` */
    struct zu_msg msg;   /* a copy of the caller's bytes */
};

/*
 * If the part is such a one, and somebody admits it, `*part` becomes that of `body`: zu_fan_write will not fail then. Done
 * before anybody is said to lose the message. -ENOMEM.
 */
int zu_fan_own_body(const struct zu_link *chosen, struct zu_part **part, struct zu_fan_body *body);
/* Leaves in `chosen` those who admit the message that begins. */
void zu_fan_admit_chosen(struct zu_link *chosen);
/* One whole message of a small frame, given as bytes, to one that admits it. */
void zu_fan_write_one(struct zu_fan_member *member, const struct zu_part *part);
/* The next frame to all in `chosen`, a list of members, which is empty when the message ends. -ENOMEM: nobody got it. */
int zu_fan_write(struct zu_link *chosen, struct zu_part *part);
void zu_fan_clear(struct zu_link *chosen);

#endif
