/* SPDX-License-Identifier: MIT */
#include "link/endpoint.h"

/*
 * Happy path: find the first "://" and point at both sides of it; later ones belong to the rest.
 * Failure: whatever is not of that form is -EINVAL. Whether the scheme exists is for the transport table to say.
 */

#include <errno.h>
#include <string.h>

int zu_endpoint_split(const char *text, struct zu_endpoint *ret_endpoint)
{
    if (!text || strnlen(text, ZU_ENDPOINT_SIZE_MAX + 1) > ZU_ENDPOINT_SIZE_MAX)
        return -EINVAL;
    const char *mark = strstr(text, "://");
    if (!mark || mark == text || !mark[3])
        return -EINVAL;
    *ret_endpoint = (struct zu_endpoint){
        .scheme = text,
        .scheme_size = (size_t)(mark - text),
        .rest = mark + 3,
        .rest_size = strlen(mark + 3),
    };
    return 0;
}
