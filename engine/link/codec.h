/* SPDX-License-Identifier: MIT */
/*
 * A codec stands between a connection's pipes and the kernel where what goes over the wire is not what lies in the pipes:
 * older ZMTP, raw bytes, encryption, records that older peers take for messages. A connection without one (most) moves
 * the pipe's bytes as they are.
 *
 * Sending: frames of `out` are walked, passed through the record filter (below), and encoded, a batch of them at a time,
 * into the codec's buffer. They stay in the pipe until all their encoded bytes are the kernel's; so after a lost connection
 * the next one, with a codec of its own, begins at the first message not wholly handed over.
 * Receiving: the codec turns what came into frames of ZMTP 3 and delivers those, in pieces of any size.
 * The outlet of such a connection stays closed: the sending thread does not know how to encode.
 */
#ifndef ZU_LINK_CODEC_H
#define ZU_LINK_CODEC_H

#include <sys/uio.h>

#include "flow/pipe_drain.h"
#include "wire/handshake.h"

/* Units of a batch: messages, records, control frames. */
enum { ZU_BATCH_UNITS = 256, ZU_BATCH_PIECES = 64 };

/* What one send of a codec connection consists of. */
struct zu_batch {
    struct zu_buf *buf;      /* encoded bytes; NULL until some are wanted. Does not move while the batch has any */
    size_t used;             /* of it */
    size_t wish;             /* how large it should be when it is next made */
    struct iovec pieces[ZU_BATCH_PIECES]; /* what to send: parts of `buf`, and bodies where they lie in the pipe */
    unsigned first;          /* the first that is not wholly sent; it is cut as the kernel takes it */
    unsigned count;          /* one behind the last */
    uint64_t bytes;          /* in the pieces from the start */
    uint64_t sent;           /* bytes of that which the kernel has taken */
    bool was_full;           /* the buffer was too small for all there was */
    unsigned unit_count;     /* units that end in this batch */
    unsigned units_handed;   /* of those, wholly sent */
    uint64_t unit_ends[ZU_BATCH_UNITS]; /* where, in encoded bytes */
    unsigned control_units;  /* the first of them are not in `out`: control frames, zu_codec_say */
};

/*
 * For encoders. Room for `size` octets in one piece, of which zu_batch_commit takes what was used: 0; -ENOBUFS, the batch is
 * full: return it, and the frame is encoded again into the next one; -ENOMEM.
 */
int zu_batch_reserve(struct zu_batch *batch, size_t size, uint8_t **ret_at);
void zu_batch_commit(struct zu_batch *batch, size_t size);
/* Bytes of the frame's body are to be sent from where they lie. Once a frame, as the last of it. */
void zu_batch_refer(struct zu_batch *batch, const uint8_t *body, size_t size);
/* A frame to be encoded: `lead`, then `body`, make up its payload. */
struct zu_codec_frame {
    unsigned flags;      /* ZU_FRAME_MORE, ZU_FRAME_COMMAND */
    const uint8_t *lead; /* a few octets, or NULL */
    size_t lead_size;    /* octets there */
    const uint8_t *body; /* where it lies in the pipe, until handed over */
    size_t size;         /* octets there */
};

/* The whole of encode where a frame becomes `head` and the payload as it is. */
int zu_batch_frame(struct zu_batch *batch, const struct zu_codec_frame *frame, const uint8_t *head, size_t head_size);

/* Where decoders put what they have made. Errors end the connection and are to be passed on. */
struct zu_delivery {
    /* ZMTP 3 frames, in pieces of any size; copied. */
    int (*bytes)(struct zu_delivery *delivery, const uint8_t *bytes, size_t size);
    /* A whole frame's body inside memory of its own, whose reference is taken over on success. Between frames only. */
    int (*buf)(struct zu_delivery *delivery, unsigned flags, struct zu_buf *buf, uint8_t *body, size_t size);
    /* A part of a received chunk that is ZMTP 3 frames as it lies; takes over one reference in every case. */
    int (*chunk)(struct zu_delivery *delivery, struct zu_chunk *chunk, uint32_t from, uint32_t size);
};

/* For `bytes`: a frame's head. */
int zu_delivery_head(struct zu_delivery *delivery, unsigned flags, uint64_t size);

/* What decides on the codec of a connection whose handshake is done. */
struct zu_codec_case {
    enum zu_wire_version version;  /* what the peer speaks */
    unsigned socket_type;          /* ours */
    uint32_t epoch;                /* which connection of the peer (zu_peer.epoch) it is */
    uint64_t frame_max;            /* MAXMSGSIZE, for decoders that must gather a frame; UINT64_MAX is off */
    struct zu_handshake *handshake; /* for what else a codec needs of it: a mechanism moves its state to the codec */
};

struct zu_codec;

/* One row for each codec. All of it runs on the shard. */
struct zu_codec_ops {
    const char *name; /* for people */
    size_t size;      /* of its state, which begins with struct zu_codec */
    bool (*applies)(const struct zu_codec_case *which);
    /* The rest of the state, which is zeroed. -ENOMEM. NULL: nothing. fini: before it is freed, NULL likewise. */
    int (*init)(struct zu_codec *codec, const struct zu_codec_case *which);
    void (*fini)(struct zu_codec *codec);
    /* One frame, wholly or not at all: reserve first, then commit. 0; errors of zu_batch_reserve; others end it. */
    int (*encode)(struct zu_codec *codec, const struct zu_codec_frame *frame, struct zu_batch *batch);
    /* Received bytes, in `chunk`, which is the caller's. NULL: what comes is ZMTP 3 as it lies. -EPROTO, -EMSGSIZE... */
    int (*decode)(struct zu_codec *codec, struct zu_chunk *chunk, uint32_t from, uint32_t size,
                  struct zu_delivery *delivery);
    /* Before anything is received: what a peer cannot say is said for it. NULL: nothing. */
    int (*begin)(struct zu_codec *codec, struct zu_delivery *delivery);
};

/* The base of every codec's state. */
struct zu_codec {
    const struct zu_codec_ops *ops; /* which */
    enum zu_wire_version version;   /* for the record filter: what the peer takes */
    uint32_t epoch;                 /* the mark to wait for */
    bool awaits_mark;             /* until it comes, all in `out` is void */
    unsigned protocol_error;      /* why decode failed: detail of an event; 0 for none */
    struct zu_batch batch;          /* under way */
};

extern const struct zu_codec_ops zu_codec_raw;  /* STREAM, ROUTER_RAW */
extern const struct zu_codec_ops zu_codec_curve; /* CURVE */
extern const struct zu_codec_ops zu_codec_v1;   /* ZMTP 1.0 */
extern const struct zu_codec_ops zu_codec_zmtp; /* later ZMTP, where records must be filtered */

/* Set by tests: a row before all others. */
extern const struct zu_codec_ops *zu_codec_extra;

/* The first row that applies. NULL with *ret_err 0: none, the plain path; else -ENOMEM. */
struct zu_codec *zu_codec_new(const struct zu_codec_case *which, int *ret_err);
void zu_codec_free(struct zu_codec *codec);

/* A message to go out before all that is in `out`, when nothing has gone yet; its bytes stay there until then. -ENOMEM. */
int zu_codec_say(struct zu_codec *codec, const uint8_t *message, size_t size);
/*
 * The bytes to send next: what is left of the batch, else a new one of control frames (whole, ZMTP 3; *control_size becomes 0
 * when they are taken in) and of what lies in `out`. Returns 1; 0, nothing, and `mode` has been minded; -EPIPE, the end
 * of `out`; other errors end the connection.
 */
int zu_codec_fill(struct zu_codec *codec, struct zu_pipe *out, const uint8_t *control, size_t *control_size,
                  enum zu_gather_mode mode);
/* The kernel has taken `bytes` of the batch. True: with that, all control frames that were in it. */
bool zu_codec_sent(struct zu_codec *codec, struct zu_pipe *out, size_t bytes);

#endif
