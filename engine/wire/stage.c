/* SPDX-License-Identifier: MIT */
#include "wire/stage.h"

#include "wire/security.h"

/*
 * The row of the present stage says or hears its command, and the next one follows; behind the last the mechanism is
 * READY. It fails on any other command than the row's, whatever its own stage would be, on what the row objects to, and on an
 * ERROR, which only clients are told. A verdict against the peer leaves the table: the ERROR is the last that is said.
 */

static const struct zu_stage *stage_now(const struct zu_stages *stages, const struct zu_mechanism *mechanism)
{
    bool on = mechanism->status == ZU_MECHANISM_HANDSHAKING && mechanism->stage < stages->count;
    return on ? &stages->rows[mechanism->stage] : NULL;
}

static void stage_next(const struct zu_stages *stages, struct zu_mechanism *mechanism)
{
    if (++mechanism->stage == stages->count && mechanism->status == ZU_MECHANISM_HANDSHAKING)
        mechanism->status = ZU_MECHANISM_READY;
}

size_t zu_stages_produce_max(const struct zu_stages *stages, const struct zu_mechanism *mechanism)
{
    const struct zu_stage *stage = stage_now(stages, mechanism);
    if (!stage)
        return zu_mechanism_refusal_size(mechanism);
    return stage->say_max ? zu_command_head_size(stage->command) + stage->say_max(mechanism) : 0;
}

ssize_t zu_stages_produce(const struct zu_stages *stages, struct zu_mechanism *mechanism, uint8_t *out)
{
    const struct zu_stage *stage = stage_now(stages, mechanism);
    if (!stage)
        return zu_mechanism_refusal_produce(mechanism, out);
    size_t head_size = zu_command_head_encode(out, stage->command);
    ssize_t size = stage->say(mechanism, out + head_size);
    if (size < 0)
        return size;
    stage_next(stages, mechanism);
    return (ssize_t)head_size + size;
}

int zu_stages_consume(const struct zu_stages *stages, struct zu_mechanism *mechanism, const uint8_t *body, size_t size)
{
    const struct zu_stage *stage = stage_now(stages, mechanism);
    struct zu_command command;
    if (zu_command_decode(body, size, &command) < 0)
        return zu_mechanism_fail(mechanism, stages->is_client ? ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND
                                                              : ZU_PROTOCOL_ERROR_MALFORMED_UNSPECIFIED);
    if (command.id == ZU_COMMAND_ERROR && stages->is_client)
        return zu_mechanism_error_consume(mechanism, &command);
    if (!stage || !stage->hear || command.id != stage->command)
        return zu_mechanism_fail(mechanism, ZU_PROTOCOL_ERROR_UNEXPECTED_COMMAND);
    int rc = stage->hear(mechanism, command.data, command.size);
    if (rc == 0)
        stage_next(stages, mechanism);
    return rc;
}
