/* SPDX-License-Identifier: MIT */
/* The environment's say in new contexts' options: each variable, what is no value for it, who has the last word. */
#include <dirent.h>
#include <sched.h>
#include <sys/mman.h>

#include "drives.h"

static const char *const names[] = {"ZURING_DRIVE", "ZURING_SPIN_US", "ZURING_FLUSH_BYTES", "ZURING_FLUSH_US",
                                    "ZURING_CPUS", "ZURING_SHARDS"};
enum { NAMES = sizeof names / sizeof *names };

static struct zu_ctx_options options;

/* The options of a new context with this one variable, or none. */
static void make_with(const char *name, const char *value)
{
    for (int i = 0; i < NAMES; i++)
        unsetenv(names[i]);
    if (name)
        setenv(name, value, 1);
    zu_ctx_options_init(&options);
    zu_ctx_options_from_environment(&options);
}

/* Whether nothing differs from the defaults. */
static bool is_default(void)
{
    struct zu_ctx_options plain;
    zu_ctx_options_init(&plain);
    return memcmp(&plain, &options, sizeof plain) == 0;
}

static int told_fd, stderr_fd;

/* From here to tell_end what goes to stderr is kept. */
static void tell_begin(void)
{
    stderr_fd = dup(STDERR_FILENO);
    told_fd = memfd_create("told", 0);
    dup2(told_fd, STDERR_FILENO);
}

static const char *tell_end(void)
{
    static char told[4096];
    dup2(stderr_fd, STDERR_FILENO);
    ssize_t size = pread(told_fd, told, sizeof told - 1, 0);
    told[size > 0 ? size : 0] = 0;
    close(told_fd);
    close(stderr_fd);
    return told;
}

Test(ctx_env, without_variables_nothing_changes_and_nothing_is_told)
{
    tell_begin();
    make_with(NULL, NULL);
    const char *told = tell_end();
    cr_assert(is_default());
    cr_assert_str_eq(told, "");
    cr_assert_eq(options.drive, ZU_DRIVE_BACKGROUND);
    cr_assert_eq(options.spin_us, -1);
}

Test(ctx_env, each_variable_sets_its_option)
{
    tell_begin();
    make_with("ZURING_DRIVE", "inline");
    cr_assert_eq(options.drive, ZU_DRIVE_INLINE);
    make_with("ZURING_DRIVE", "background");
    cr_assert_eq(options.drive, ZU_DRIVE_BACKGROUND);
    make_with("ZURING_SPIN_US", "50");
    cr_assert_eq(options.spin_us, 50);
    make_with("ZURING_SPIN_US", "0");
    cr_assert_eq(options.spin_us, 0);
    make_with("ZURING_SPIN_US", "-1");
    cr_assert_eq(options.spin_us, -1);
    make_with("ZURING_SPIN_US", "1000000");
    cr_assert_eq(options.spin_us, 1000000);
    make_with("ZURING_FLUSH_BYTES", "1");
    cr_assert_eq(options.flush_bytes, 1);
    make_with("ZURING_FLUSH_US", "0");
    cr_assert_eq(options.flush_us, 0);
    make_with("ZURING_FLUSH_US", "777");
    cr_assert_eq(options.flush_us, 777);
    make_with("ZURING_CPUS", "1,0,5");
    cr_assert_eq(options.shard_cpu_count, 3);
    cr_assert(options.shard_cpus[0] == 1 && options.shard_cpus[1] == 0 && options.shard_cpus[2] == 5);
    make_with("ZURING_CPUS", "3");
    cr_assert(options.shard_cpu_count == 1 && options.shard_cpus[0] == 3);
    make_with("ZURING_SHARDS", "3");
    cr_assert_eq(options.shards, 3);
    make_with("ZURING_SHARDS", "1024");
    cr_assert_eq(options.shards, 1024);
    cr_assert_str_eq(tell_end(), "");
}

static int lines_with(const char *text, const char *what)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

Test(ctx_env, what_is_no_value_is_told_once_and_left_alone)
{
    static const struct {
        const char *name;
        const char *values[8];
    } wrong[] = {
        {"ZURING_DRIVE", {"", "Inline", "inline ", "1", "caller"}},
        {"ZURING_SPIN_US", {"", "-2", "1000001", "many", "5us", "99999999999999999999"}},
        {"ZURING_FLUSH_BYTES", {"", "0", "-5", "4k", "4294967297"}},
        {"ZURING_FLUSH_US", {"", "-1", "1000001", "0x10"}},
        {"ZURING_CPUS", {"a", "1,b", "-1", "1024", "1;2", "0-3"}},
        {"ZURING_SHARDS", {"", "0", "-1", "1025", "two"}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[64];
        tell_begin();
        for (int k = 0; k < 8 && wrong[i].values[k]; k++) {
            make_with(wrong[i].name, wrong[i].values[k]);
            cr_assert(is_default(), "%s=%s", wrong[i].name, wrong[i].values[k]);
        }
        const char *told = tell_end();
        snprintf(line, sizeof line, "zuring: %s=%s ", wrong[i].name, wrong[i].values[0]);
        cr_assert_eq(lines_with(told, line), 1, "%s", told);
        cr_assert_eq(lines_with(told, "\n"), 1, "%s", told);
        cr_assert_eq(told[strlen(told) - 1], '\n');
    }
}

Test(ctx_env, one_wrong_variable_spoils_no_other)
{
    make_with(NULL, NULL);
    setenv("ZURING_DRIVE", "sideways", 1);
    setenv("ZURING_SPIN_US", "20", 1);
    setenv("ZURING_SHARDS", "2", 1);
    tell_begin();
    zu_ctx_options_from_environment(&options);
    cr_assert_eq(lines_with(tell_end(), "\n"), 1);
    cr_assert_eq(options.drive, ZU_DRIVE_BACKGROUND);
    cr_assert_eq(options.spin_us, 20);
    cr_assert_eq(options.shards, 2);
}

Test(ctx_env, a_program_that_says_otherwise_has_the_last_word)
{
    make_with("ZURING_DRIVE", "inline");
    void *context = zmq_ctx_new();
    cr_assert_eq(zmq_ctx_get(context, ZU_CTX_OPT_DRIVE), ZU_DRIVE_INLINE);
    KIT_OK(zmq_ctx_set(context, ZU_CTX_OPT_DRIVE, ZU_DRIVE_BACKGROUND));
    cr_assert_eq(zmq_ctx_get(context, ZU_CTX_OPT_DRIVE), ZU_DRIVE_BACKGROUND);
    KIT_FAILS(EINVAL, zmq_ctx_set(context, ZU_CTX_OPT_DRIVE, 2));
    KIT_FAILS(EINVAL, zmq_ctx_set(context, ZU_CTX_OPT_DRIVE, -1));
    KIT_OK(zmq_ctx_term(context));
}

/* --- what comes of it --- */

/* Threads of ours by the beginning of their name; the affinity of each is put into `cpus`, at most `room`. */
static int threads_named(const char *prefix, cpu_set_t *cpus, int room)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *comm = fopen(path, "r");
        bool is_named = comm && fgets(name, sizeof name, comm) && strncmp(name, prefix, strlen(prefix)) == 0;
        if (comm)
            fclose(comm);
        if (!is_named)
            continue;
        int number = atoi(name + strlen(prefix));
        if (number < room)
            sched_getaffinity(atoi(entry->d_name), sizeof *cpus, &cpus[number]);
        count++;
    }
    closedir(tasks);
    return count;
}

/* The last processor that this process may use. */
static int some_cpu(void)
{
    cpu_set_t own;
    sched_getaffinity(0, sizeof own, &own);
    int cpu = CPU_SETSIZE - 1;
    while (!CPU_ISSET(cpu, &own))
        cpu--;
    return cpu;
}

Test(ctx_env, shards_are_made_and_placed)
{
    char text[16];
    cpu_set_t cpus[3];
    int cpu = some_cpu();
    make_with("ZURING_SHARDS", "3");
    snprintf(text, sizeof text, "%d", cpu);
    setenv("ZURING_CPUS", text, 1);
    void *context = zmq_ctx_new(), *socket = kit_socket(context, ZMQ_PULL);
    cr_assert_eq(threads_named("ZMQbg/IO/", cpus, 3), 3);
    for (int i = 0; i < 3; i++)
        cr_assert(CPU_COUNT(&cpus[i]) == 1 && CPU_ISSET(cpu, &cpus[i]), "thread %d", i);
    KIT_OK(zmq_close(socket));
    KIT_OK(zmq_ctx_term(context));
}

Test(ctx_env, inline_has_no_shards_and_its_keeper_comes_when_needed)
{
    make_with("ZURING_DRIVE", "inline");
    void *context = zmq_ctx_new();
    void *to = kit_socket(context, ZMQ_PULL), *from = kit_socket(context, ZMQ_PUSH);
    char text[KIT_ENDPOINT_SIZE];
    cr_assert_eq(threads_named("ZMQbg/IO/", NULL, 0), 0);
    KIT_OK(zmq_connect(from, kit_bind(to, "inproc", text)));
    kit_send_text(from, "a", 0);
    kit_recv_text(to, "a");
    cr_assert_eq(threads_named("zuring/keeper", NULL, 0), 0);
    KIT_OK(zmq_connect(from, kit_bind(to, "tcp", text)));
    kit_send_text(from, "b", 0);
    kit_recv_text(to, "b");
    cr_assert_eq(threads_named("ZMQbg/IO/", NULL, 0), 0);
    cr_assert_leq(threads_named("zuring/keeper", NULL, 0), 1);
    KIT_OK(zmq_close(from));
    KIT_OK(zmq_close(to));
    KIT_OK(zmq_ctx_term(context));
    cr_assert_eq(threads_named("zuring/keeper", NULL, 0), 0);
}
