/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target for engine/wire: the first octet selects the machine, the rest is what the peer says.
 * clang -fsanitize=fuzzer,address,undefined -I engine tests/fuzz_wire.c engine/wire/(all).c
 */
#include <stdlib.h>
#include <string.h>

#include "wire/handshake.h"
#include "wire/null.h"
#include "wire/socket_type.h"

#include "fuzz.h"

static void fuzz_frame(const uint8_t *data, size_t size)
{
    struct zu_frame_head head;
    while (zu_frame_decode(data, size, &head) == 1) {
        uint8_t again[ZU_FRAME_HEAD_MAX];
        size_t written = zu_frame_encode(again, head.flags, head.size);
        /* Only a small size in long form is not written back as it came. */
        REQUIRE(written <= head.head_size && written <= size);
        if (written == head.head_size)
            REQUIRE(memcmp(again + 1, data + 1, written - 1) == 0);
        if (head.size > size - head.head_size)
            break;
        data += head.head_size + head.size;
        size -= head.head_size + head.size;
    }
}

static void fuzz_command(const uint8_t *data, size_t size)
{
    struct zu_command command;
    if (zu_command_decode(data, size, &command) < 0)
        return;
    REQUIRE(command.data + command.size == data + size);
    struct zu_ping ping;
    const uint8_t *reason;
    size_t reason_size;
    uint8_t out[ZU_ERROR_SIZE_MAX];
    if (command.id == ZU_COMMAND_PING) {
        zu_ping_decode(&command, &ping);
        size_t written = zu_ping_encode(out, ping.ttl_ds, ping.context, ping.context_size);
        REQUIRE(written <= size && memcmp(out, data, written) == 0);
    }
    if (command.id == ZU_COMMAND_ERROR && zu_error_decode(&command, &reason, &reason_size) == 0) {
        size_t written = zu_error_encode(out, reason, reason_size);
        REQUIRE(written == size && memcmp(out, data, written) == 0);
    }
}

static void fuzz_metadata(const uint8_t *data, size_t size)
{
    struct zu_metadata metadata;
    if (zu_metadata_init(&metadata, data, size) < 0)
        return;
    struct zu_property property;
    const uint8_t *at = data;
    while (zu_property_next(&at, data + size, &property) == 1) {
        char name[ZU_PROPERTY_NAME_MAX + 1] = {0};
        memcpy(name, property.name, property.name_size);
        size_t value_size;
        if (strlen(name) != property.name_size)
            continue;
        const uint8_t *value = zu_metadata_get(&metadata, name, &value_size);
        REQUIRE(value && value[value_size] == 0);
    }
    REQUIRE(zu_metadata_put(&metadata, "User-Id", "me", 2) == 0);
    REQUIRE(strcmp((const char *)zu_metadata_get(&metadata, "User-Id", NULL), "me") == 0);
    zu_metadata_fini(&metadata);
}

static void fuzz_greeting(const uint8_t *data, size_t size)
{
    struct zu_greeting greeting;
    zu_greeting_init(&greeting, ZU_SOCKET_REQ, 5, "NULL");
    size_t used;
    for (size_t at = 0; at < size; at++) {
        int rc = zu_greeting_feed(&greeting, data + at, 1, &used);
        if (rc != 0)
            break;
        REQUIRE(used == 1);
    }
    REQUIRE(greeting.in_size <= ZU_GREETING_SIZE && greeting.out_size <= ZU_GREETING_SIZE);
}

static void fuzz_null(const uint8_t *data, size_t size)
{
    struct zu_handshake_config config = {.socket_type = ZU_SOCKET_DEALER, .mechanism = &zu_null_mechanism};
    struct zu_mechanism mechanism;
    REQUIRE(zu_mechanism_init(&mechanism, &config) == 0);
    int rc = mechanism.ops->consume(&mechanism, data, size);
    REQUIRE((rc < 0) == (mechanism.status == ZU_MECHANISM_FAILED) || rc == -EMSGSIZE);
    zu_mechanism_fini(&mechanism);
}

/* Socket type, piece size and limit come from the first octets; `skip` starts behind a good greeting. */
static void handshake_run(const uint8_t *data, size_t size, const uint8_t *skip, size_t skip_size)
{
    if (size < 2)
        return;
    struct zu_handshake_config config = {
        .socket_type = data[0] % ZU_SOCKET_TYPE_COUNT,
        .routing_id = (const uint8_t *)"id",
        .routing_id_size = 2,
        .mechanism = &zu_null_mechanism,
        .message_size_max = data[0] & 0x80 ? -1 : 200,
    };
    size_t piece = 1 + data[1] % 70, used;
    struct zu_handshake hs;
    zu_handshake_init(&hs, &config);
    int rc = zu_handshake_feed(&hs, skip, skip_size, &used);
    for (size_t at = 2; at < size && rc == 0; at += used) {
        size_t left = size - at;
        rc = zu_handshake_feed(&hs, data + at, left < piece ? left : piece, &used);
        REQUIRE(rc != 0 || used == (left < piece ? left : piece));
        REQUIRE(hs.in.capacity + hs.out.capacity + hs.mechanism.metadata.size <= ZU_HANDSHAKE_MEMORY_MAX);
        const uint8_t *out;
        size_t out_size = zu_handshake_output(&hs, &out);
        zu_handshake_sent(&hs, out_size);
    }
    size_t identity_size;
    const uint8_t *identity = zu_handshake_identity(&hs, &identity_size);
    if (identity)
        REQUIRE(identity[0] + identity[identity_size - 1] >= 0);
    zu_handshake_fini(&hs);
}

static void fuzz_handshake(const uint8_t *data, size_t size)
{
    handshake_run(data, size, (const uint8_t *)"", 0);
}

static void fuzz_handshake_3_1(const uint8_t *data, size_t size)
{
    static const uint8_t greeting[64] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL";
    handshake_run(data, size, greeting, sizeof(greeting));
}

static void fuzz_handshake_2_0(const uint8_t *data, size_t size)
{
    static const uint8_t greeting[12] = "\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05";
    handshake_run(data, size, greeting, sizeof(greeting));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const machines[])(const uint8_t *, size_t) = {
        fuzz_frame, fuzz_command,   fuzz_metadata,      fuzz_greeting,
        fuzz_null,  fuzz_handshake, fuzz_handshake_3_1, fuzz_handshake_2_0,
    };
    if (size > 0)
        machines[data[0] % (sizeof(machines) / sizeof(machines[0]))](data + 1, size - 1);
    return 0;
}
