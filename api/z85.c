/* SPDX-License-Identifier: MIT */
/*
 * Z85 (RFC 32): four octets are one big-endian number, written as five base-85 digits. Decoding checks the whole text
 * before it writes, so a failure (EINVAL, or EFAULT for a NULL pointer) leaves the output untouched.
 */
#include "zmq.h"

#include <string.h>

static const char digits[86] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

char *zmq_z85_encode(char *dest, const uint8_t *data, size_t size)
{
    if (size % 4 != 0) {
        errno = EINVAL;
        return NULL;
    }
    if (!dest || (!data && size != 0)) {
        errno = EFAULT;
        return NULL;
    }
    char *to = dest;
    for (size_t at = 0; at < size; at += 4, to += 5) {
        uint32_t value = 0;
        for (int i = 0; i < 4; i++)
            value = value << 8 | data[at + (size_t)i];
        for (int i = 4; i >= 0; i--, value /= 85)
            to[i] = digits[value % 85];
    }
    *to = '\0';
    return dest;
}

/* The number that the five characters at `group` stand for: 0 or -EINVAL. */
static int group_decode(const char *group, uint32_t *ret_value)
{
    uint64_t value = 0;
    for (int i = 0; i < 5; i++) {
        const char *digit = group[i] ? strchr(digits, group[i]) : NULL;
        if (!digit)
            return -EINVAL;
        value = value * 85 + (uint64_t)(digit - digits);
    }
    if (value > UINT32_MAX)
        return -EINVAL;
    *ret_value = (uint32_t)value;
    return 0;
}

uint8_t *zmq_z85_decode(uint8_t *dest, const char *string)
{
    if (!dest || !string) {
        errno = EFAULT;
        return NULL;
    }
    size_t length = strlen(string);
    uint32_t value = 0;
    int rc = length == 0 || length % 5 != 0 ? -EINVAL : 0;
    for (size_t at = 0; rc == 0 && at < length; at += 5)
        rc = group_decode(string + at, &value);
    if (rc < 0) {
        errno = -rc;
        return NULL;
    }
    uint8_t *to = dest;
    for (size_t at = 0; at < length; at += 5, to += 4) {
        (void)group_decode(string + at, &value);
        to[0] = (uint8_t)(value >> 24);
        to[1] = (uint8_t)(value >> 16);
        to[2] = (uint8_t)(value >> 8);
        to[3] = (uint8_t)value;
    }
    return dest;
}
