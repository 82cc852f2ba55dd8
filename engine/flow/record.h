/* SPDX-License-Identifier: MIT */
/*
 * Records that a pattern writes into `out` with zu_pipe_write_record, beside its messages. SUBSCRIBE and CANCEL stand
 * there as ZMTP 3.1 has them; connections to older peers translate (link/codec.h). A marker never goes out.
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
 * The marker: "what follows is for connection number `epoch` of this peer (zu_peer.epoch); what lies before is void for
 * it". An octet 0, which begins no command of the wire, and the number. Where the socket's type waits for markers
 * (SUB, XSUB), a connection that is not its peer's first skips all up to the marker with its own number.
 */
#define ZU_RECORD_MARKER_SIZE 5

static inline void zu_record_marker_encode(uint8_t out[ZU_RECORD_MARKER_SIZE], uint32_t epoch)
{
    out[0] = 0;
    memcpy(out + 1, &epoch, sizeof(epoch));
}

static inline bool zu_record_is_marker(const uint8_t *body, size_t size, uint32_t *ret_epoch)
{
    if (size != ZU_RECORD_MARKER_SIZE || body[0] != 0)
        return false;
    memcpy(ret_epoch, body + 1, sizeof(*ret_epoch));
    return true;
}

#endif
