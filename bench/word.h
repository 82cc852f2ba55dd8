/* SPDX-License-Identifier: MIT */
#ifndef BENCH_WORD_H
#define BENCH_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A message carries one 64-bit word, sender id above sequence number, at its head and again at its tail, so that one
 * compare finds a message lost, repeated or out of order and a second one finds a message torn or shifted. */
#define WORD_SENDER_SHIFT 56
#define WORD_SEQUENCE_MASK ((UINT64_C(1) << WORD_SENDER_SHIFT) - 1)
#define WORD_WARM UINT64_MAX

#define WORD_SIZE_MIN sizeof(uint64_t)

/* Below two words the tail copy would overlap the head: it then is the head. */
static inline size_t word_tail(size_t size)
{
    return size >= 2 * sizeof(uint64_t) ? size - sizeof(uint64_t) : 0;
}

static inline void word_put(void *message, size_t tail, uint64_t word)
{
    memcpy(message, &word, sizeof(word));
    memcpy((char *)message + tail, &word, sizeof(word));
}

static inline bool word_get(const void *message, size_t tail, uint64_t *ret_word)
{
    uint64_t head_word, tail_word;

    memcpy(&head_word, message, sizeof(head_word));
    memcpy(&tail_word, (const char *)message + tail, sizeof(tail_word));
    *ret_word = head_word;
    return head_word == tail_word;
}

#endif
