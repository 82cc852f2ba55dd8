/* SPDX-License-Identifier: MIT */
#include "wire/security.h"

#include <string.h>

#include "mem/alloc.h"

/* Every octet is overwritten in a way that no compiler leaves out, then the heap gets back what it gave. Never fails. */

static void bytes_wipe(struct zu_bytes *bytes)
{
    if (!bytes->data)
        return;
    explicit_bzero(bytes->data, bytes->size);
    zu_free(bytes->data, bytes->size + 1);
}

void zu_secrets_wipe(struct zu_secrets *secrets)
{
    bytes_wipe(&secrets->username);
    bytes_wipe(&secrets->password);
    explicit_bzero(secrets, sizeof *secrets);
}
