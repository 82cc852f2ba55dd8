/* SPDX-License-Identifier: MIT */
/* What CURVE costs is paid by the shards together: with several connections none of them does all of it. */
#include "gate.h"

#include <dirent.h>

enum { SHARDS = 2, CLIENTS = 4, MESSAGES = 1000, SIZE = 4096, PART = 10 };

/* What this thread has run for so far, if it is a shard. */
static bool shard_ran_ns(const char *task, uint64_t *ret_ns)
{
    char path[300], name[32] = "";
    unsigned long long ran = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", task);
    FILE *file = fopen(path, "r");
    bool is_shard = file && fgets(name, sizeof name, file) && strncmp(name, "ZMQbg/IO", 8) == 0;
    if (file)
        fclose(file);
    snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task);
    file = is_shard ? fopen(path, "r") : NULL;
    is_shard = file && fscanf(file, "%llu", &ran) == 1;
    if (file)
        fclose(file);
    *ret_ns = ran;
    return is_shard;
}

static int shards_ran_ns(uint64_t ret_ns[SHARDS])
{
    int count = 0;
    uint64_t ran;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));) {
        if (!shard_ran_ns(entry->d_name, &ran))
            continue;
        cr_assert_lt(count, SHARDS);
        ret_ns[count++] = ran;
    }
    closedir(tasks);
    return count;
}

Test(curve_shards, each_has_its_part)
{
    if (kit_is_inline()) /* which has none */
        return;
    uint64_t before[SHARDS], after[SHARDS], total = 0;
    gate_threads = SHARDS;
    struct gate *gate = gate_new(GATE_CURVE);
    void *clients[CLIENTS];
    char *body = calloc(1, SIZE);
    gate_bind(gate);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = kit_socket(gate->context, ZMQ_PUSH);
        gate_be_client(gate, clients[i]);
        KIT_OK(zmq_connect(clients[i], gate->text));
        kit_send_text(clients[i], "hello", 0);
        kit_recv_text(gate->server.socket, "hello");
    }
    cr_assert_eq(shards_ran_ns(before), SHARDS);
    for (int n = 0; n < MESSAGES; n++) {
        for (int i = 0; i < CLIENTS; i++)
            cr_assert_eq(zmq_send(clients[i], body, SIZE, 0), SIZE);
        for (int i = 0; i < CLIENTS; i++)
            cr_assert_eq(zmq_recv(gate->server.socket, body, SIZE, 0), SIZE);
    }
    cr_assert_eq(shards_ran_ns(after), SHARDS);
    for (int i = 0; i < SHARDS; i++)
        total += after[i] - before[i];
    for (int i = 0; i < SHARDS; i++)
        cr_assert_geq((after[i] - before[i]) * PART, total, "%lu of %lu ns", (unsigned long)(after[i] - before[i]),
                      (unsigned long)total);
    for (int i = 0; i < CLIENTS; i++)
        KIT_OK(zmq_close(clients[i]));
    free(body);
    gate_end(gate);
}
