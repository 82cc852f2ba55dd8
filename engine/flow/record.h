/* SPDX-License-Identifier: MIT */
/*
 * Records that a pattern writes into `out` with zu_pipe_write_record, beside its messages. SUBSCRIBE and CANCEL stand
 * there as ZMTP 3.1 has them; connections to older peers translate (link/codec.h). A mark never goes out.
 */
#ifndef ZU_FLOW_RECORD_H
#define ZU_FLOW_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Command heads, to be followed by the prefix; their sizes do not count the NUL. */
#define ZU_RECORD_SUBSCRIBE "\x09SUBSCRIBE"
#define ZU_RECORD_SUBSCRIBE_SIZE 10
#define ZU_RECORD_CANCEL "\x06" "CANCEL"
#define ZU_RECORD_CANCEL_SIZE 7

/*
 * The mark: "what follows is for connection number `epoch` of this peer (zu_peer.epoch); what lies before is void for it".
 * A name that no command of the wire has, and the number. Where the socket's type writes marks (SUB, XSUB), a connection
 * that is not its peer's first skips all up to the mark with its own number.
 */
#define ZU_RECORD_MARK "\x05" "EPOCH"
#define ZU_RECORD_MARK_SIZE 6

static inline bool zu_record_is_mark(const uint8_t *body, size_t size, uint32_t *ret_epoch)
{
    if (size != ZU_RECORD_MARK_SIZE + sizeof(*ret_epoch) || memcmp(body, ZU_RECORD_MARK, ZU_RECORD_MARK_SIZE) != 0)
        return false;
    memcpy(ret_epoch, body + ZU_RECORD_MARK_SIZE, sizeof(*ret_epoch));
    return true;
}

#endif
