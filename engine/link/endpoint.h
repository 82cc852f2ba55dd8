/* SPDX-License-Identifier: MIT */
#ifndef ZU_LINK_ENDPOINT_H
#define ZU_LINK_ENDPOINT_H

#include <stddef.h>

/* Longest endpoint text, without its NUL. Only a guard against unterminated memory: no transport has a use for more. */
#define ZU_ENDPOINT_SIZE_MAX 65535

/* "scheme://rest", as two spans of the caller's text. */
struct zu_endpoint {
    const char *scheme; /* what precedes the first "://"; never empty, not terminated */
    size_t scheme_size; /* bytes of scheme */
    const char *rest;   /* what follows "://"; never empty, terminated by the NUL of the text */
    size_t rest_size;   /* bytes of rest */
};

/* 0, or -EINVAL: NULL, no "://", either part empty, or longer than ZU_ENDPOINT_SIZE_MAX. */
int zu_endpoint_split(const char *text, struct zu_endpoint *ret_endpoint);

#endif
