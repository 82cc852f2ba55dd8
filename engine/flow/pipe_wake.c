/* SPDX-License-Identifier: MIT */
/*
 * See the header for why this is right. membarrier is registered once per process; where the kernel or a sandbox refuses
 * it, no reader ever says POLLING, and every publication is an exchange.
 */
#include "flow/pipe_wake.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_once_t registered = PTHREAD_ONCE_INIT;
static bool is_available;

static void membarrier_register(void)
{
    is_available = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static bool has_membarrier(void)
{
    pthread_once(&registered, membarrier_register);
    return is_available;
}

void zu_pipe_wake_prepare(void)
{
    has_membarrier();
}

void zu_pipe_reader_poll(struct zu_pipe *pipe)
{
    if (has_membarrier())
        atomic_store_explicit(&pipe->reader_state, ZU_READER_POLLING, memory_order_relaxed);
}

bool zu_pipe_reader_sleep(struct zu_pipe *pipe, struct zu_chunk *chunk, uint64_t word, bool here)
{
    unsigned state = atomic_load_explicit(&pipe->reader_state, memory_order_relaxed);
    if (state == ZU_READER_ASLEEP)
        return true;
    if (state == ZU_READER_POLLING) {
        atomic_store_explicit(&pipe->reader_state, ZU_READER_AWAKE, memory_order_relaxed);
        if (!here)
            syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0); /* pairs with publish's second look */
    }
    unsigned woken = here && has_membarrier() ? ZU_READER_POLLING : ZU_READER_AWAKE; /* the next turn may be elsewhere */
    atomic_store_explicit(&pipe->woken_state, woken, memory_order_relaxed); /* seen with ASLEEP, by the exchange below */
    /* seq_cst: the state first, then the word; publish does the opposite. */
    atomic_exchange_explicit(&pipe->reader_state, ZU_READER_ASLEEP, memory_order_seq_cst);
    if (atomic_load_explicit(&chunk->word, memory_order_seq_cst) == word)
        return true;
    state = ZU_READER_ASLEEP;
    /* Something came. If the writer was faster in taking the mark, its note is on the way and must be waited for. */
    return !atomic_compare_exchange_strong_explicit(&pipe->reader_state, &state, ZU_READER_AWAKE, memory_order_seq_cst,
                                                    memory_order_relaxed);
}
