/* SPDX-License-Identifier: MIT */
/* Compiler attributes and cache-line helpers that every layer may use. */
#ifndef ZU_BASE_ATTR_H
#define ZU_BASE_ATTR_H

#include <stddef.h>
#include <stdint.h>

#define ZU_CACHE_LINE 64

#define zu_likely(x) __builtin_expect(!!(x), 1)
#define zu_unlikely(x) __builtin_expect(!!(x), 0)
#define ZU_HOT __attribute__((hot))
#define ZU_COLD __attribute__((cold, noinline))
#define ZU_INLINE static inline __attribute__((always_inline))
#define ZU_ALIGNED_LINE __attribute__((aligned(ZU_CACHE_LINE)))

/* Tells the processor that this thread only waits for another one. */
ZU_INLINE void zu_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* The structure of `type` whose field `member` is at `at`. */
#define zu_container_of(at, type, member) ((type *)((char *)(at)-offsetof(type, member)))

#endif
