/* SPDX-License-Identifier: MIT */
/* The latency cases. Ping-pong: role 0 times round trips. Open loop: role 1 sends at moments fixed beforehand and
 * stamps each message with its moment, role 0 takes the stamp from the time of arrival; so a sender that was held up
 * shows in every message that it delayed. Every message's place in the sequence is checked at both ends, its head
 * against its tail; a wrong one ends the run by crew_fail, and a lost last one does so by the alarm. */
#define _GNU_SOURCE
#include "lat.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "report.h"
#include "word.h"

#define WARM_ROUNDS 200
#define WARM_STEP_US 100
#define WORD_STOP (WORD_WARM - 1)

#define STAMP_AT sizeof(uint64_t) /* behind the head's word */
#define SIZE_MIN (3 * sizeof(uint64_t))

#define LEAD_NS 1000000        /* from the start to the first moment */
#define SLEEP_MARGIN_NS 200000 /* a sleep ends so long before a moment, for the sleeper to be awake; the rest is spun */
#define SLEEP_STEP_NS 100000   /* between moments closer than this there is no sleep */
#define LATE_NS 10000          /* a sending that begins so long after its moment counts as late */
#define INTERRUPTED_NS 5000    /* two looks at the clock lie so far apart only if the thread did not run between */
#define TIMEOUT_RESERVE_S 20.0

#define AT(member) offsetof(struct lat_options, member)

static const struct args_field fields[] = {
    {"case", NULL, AT(case_name), 0, 0},
    {"transport", NULL, AT(transport), 0, 0},
    {"pair", NULL, AT(pair), 0, 0},
    {"label", NULL, AT(label), 0, 0},
    {"size", args_store_size, AT(size), SIZE_MIN, 1 << 30},
    {"count", args_store_count, AT(count), 0, 1e12},
    {"seconds", args_store_real, AT(seconds), 0.01, 3600},
    {"rate", args_store_real, AT(rate), 0.01, 1e7},
    {"hwm", args_store_int, AT(hwm), -1, 1e9},
    {"timeout", args_store_unsigned, AT(timeout_s), 0, 7200},
    {"pin", args_store_flag, AT(pin), 0, 1},
    {"histogram", args_store_flag, AT(histogram), 0, 1},
};

int lat_options_parse(int argc, char **argv, struct lat_options *ret_options)
{
    struct lat_options options = {
        .case_name = "pingpong",
        .transport = "tcp",
        .label = "libzmq",
        .size = 64,
        .seconds = 1.0,
        .rate = 100,
        .hwm = -1,
    };
    int rc = args_parse(argc, argv, fields, sizeof(fields) / sizeof(fields[0]), &options);

    if (rc < 0)
        return rc;
    const struct lat_case *shape = lat_case_find(options.case_name);
    if (shape == NULL) {
        fprintf(stderr, "no such case: %s\n", options.case_name);
        return -EINVAL;
    }
    if (options.pair == NULL)
        options.pair = shape->pair;
    *ret_options = options;
    return 0;
}

static char *message_new(const struct lat_end *end)
{
    char *message = malloc(end->size);

    if (message == NULL)
        crew_fail("no memory for a message of %zu bytes", end->size);
    memset(message, 'z', end->size);
    return message;
}

static void word_send(struct lat_end *end, char *message, uint64_t word)
{
    word_put(message, word_tail(end->size), word);
    end->path->send(end, message);
}

static uint64_t word_recv(struct lat_end *end, char *message)
{
    uint64_t word;

    end->path->recv(end, message);
    if (!word_get(message, word_tail(end->size), &word))
        crew_fail("message %#llx is torn", (unsigned long long)word);
    return word;
}

static void word_expect(struct lat_end *end, char *message, uint64_t due)
{
    uint64_t word = word_recv(end, message);

    if (word != due)
        crew_fail("message %#llx where %#llx was due", (unsigned long long)word, (unsigned long long)due);
}

static void ping(struct lat_stage *stage, unsigned index, struct lat_end *end)
{
    struct crew_slot *slot = &stage->crew.slots[index];
    uint64_t limit = stage->options->count != 0 ? stage->options->count : UINT64_MAX;
    char *message = message_new(end);

    for (uint64_t round = 0; round < WARM_ROUNDS; round++) {
        word_send(end, message, WORD_WARM);
        word_expect(end, message, WORD_WARM);
    }
    crew_start(&stage->crew, index);
    int64_t before_ns = slot->first_ns = clock_ns();
    int64_t end_ns = stage->options->count != 0 ? INT64_MAX : before_ns + (int64_t)(stage->options->seconds * 1e9);
    for (uint64_t round = 0; round < limit && before_ns < end_ns; round++) {
        word_send(end, message, round);
        word_expect(end, message, round);
        int64_t now_ns = clock_ns();
        hist_record(&stage->hist, (uint64_t)(now_ns - before_ns));
        before_ns = now_ns;
    }
    slot->last_ns = before_ns;
    word_send(end, message, WORD_STOP);
    free(message);
}

static void echo(struct lat_stage *stage, unsigned index, struct lat_end *end)
{
    char *message = message_new(end);
    uint64_t word, due = 0;

    for (uint64_t round = 0; round < WARM_ROUNDS; round++) {
        word_expect(end, message, WORD_WARM);
        word_send(end, message, WORD_WARM);
    }
    crew_start(&stage->crew, index);
    while ((word = word_recv(end, message)) != WORD_STOP) {
        if (word != due++)
            crew_fail("ping %#llx where %#llx was due", (unsigned long long)word, (unsigned long long)due - 1);
        word_send(end, message, word);
    }
    free(message);
}

static uint64_t open_count(const struct lat_options *options)
{
    return options->count != 0 ? options->count : (uint64_t)fmax(1, options->rate * options->seconds);
}

/* How long before a moment a sleep has to end. Part of every step is slept if possible: a sender that spins from
 * moment to moment keeps the library's own threads off its processor. */
static int64_t sleep_margin_ns(double step_ns)
{
    return step_ns < SLEEP_STEP_NS ? INT64_MAX : (int64_t)fmin(SLEEP_MARGIN_NS, step_ns * 0.7);
}

/* Sleeps until the margin before a moment and spins the rest. Returns the CPU time spun away. */
static int64_t moment_await(int64_t moment_ns, int64_t margin_ns, int64_t *ret_now_ns)
{
    int64_t now_ns = clock_ns(), spun_ns = 0;

    if (moment_ns - now_ns > margin_ns) {
        int64_t wake_ns = moment_ns - margin_ns;
        struct timespec wake = {wake_ns / 1000000000, wake_ns % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
        now_ns = clock_ns();
    }
    while (now_ns < moment_ns) {
        int64_t then_ns = now_ns;
        now_ns = clock_ns();
        if (now_ns - then_ns < INTERRUPTED_NS)
            spun_ns += now_ns - then_ns;
    }
    *ret_now_ns = now_ns;
    return spun_ns;
}

static void open_send(struct lat_stage *stage, unsigned index, struct lat_end *end)
{
    uint64_t count = open_count(stage->options), late = 0;
    double step_ns = 1e9 / stage->options->rate;
    char *message = message_new(end);
    int64_t margin_ns = sleep_margin_ns(step_ns), spun_ns = 0, now_ns;

    /* Else the kernel may add 50 µs to every sleep. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    for (uint64_t round = 0; round < WARM_ROUNDS; round++) {
        word_send(end, message, WORD_WARM);
        usleep(WARM_STEP_US);
    }
    crew_start(&stage->crew, index);
    int64_t start_ns = clock_ns() + LEAD_NS;
    for (uint64_t sequence = 0; sequence < count; sequence++) {
        int64_t moment_ns = start_ns + (int64_t)((double)sequence * step_ns);
        spun_ns += moment_await(moment_ns, margin_ns, &now_ns);
        late += now_ns - moment_ns > LATE_NS;
        memcpy(message + STAMP_AT, &moment_ns, sizeof(moment_ns));
        word_send(end, message, sequence);
    }
    stage->pace_s = (double)spun_ns * 1e-9;
    stage->late = late;
    free(message);
}

static void open_receive(struct lat_stage *stage, unsigned index, struct lat_end *end)
{
    struct crew_slot *slot = &stage->crew.slots[index];
    uint64_t count = open_count(stage->options);
    char *message = message_new(end);
    int64_t now_ns = 0, moment_ns;

    for (uint64_t round = 0; round < WARM_ROUNDS; round++)
        word_expect(end, message, WORD_WARM);
    crew_start(&stage->crew, index);
    for (uint64_t sequence = 0; sequence < count; sequence++) {
        word_expect(end, message, sequence);
        now_ns = clock_ns();
        memcpy(&moment_ns, message + STAMP_AT, sizeof(moment_ns));
        if (now_ns < moment_ns)
            crew_fail("message %llu came before it was sent", (unsigned long long)sequence);
        hist_record(&stage->hist, (uint64_t)(now_ns - moment_ns));
        if (sequence == 0)
            slot->first_ns = now_ns;
    }
    slot->last_ns = now_ns;
    free(message);
}

static const struct lat_case cases[] = {
    {"pingpong", "pair", 2, ping, echo},
    {"open", "pushpull", 1, open_receive, open_send},
};

const struct lat_case *lat_case_find(const char *name)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    }
    return NULL;
}

struct lat_stage *lat_stage_new(size_t bytes, const struct lat_options *options, bool threaded)
{
    struct lat_stage *stage = (struct lat_stage *)crew_new(bytes, 2, threaded);

    if (stage == NULL)
        return NULL;
    stage->options = options;
    stage->shape = lat_case_find(options->case_name);
    return stage;
}

void lat_stage_free(struct lat_stage *stage)
{
    crew_free(&stage->crew);
}

void lat_place(const struct lat_stage *stage, unsigned index)
{
    cpu_set_t allowed, chosen;
    unsigned seen = 0;

    if (!stage->options->pin)
        return;
    CPU_ZERO(&chosen);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        crew_fail("sched_getaffinity: %s", strerror(errno));
    for (int cpu = 0; cpu < CPU_SETSIZE && seen <= index; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && seen++ == index)
            CPU_SET(cpu, &chosen);
    }
    if (seen <= index || sched_setaffinity(0, sizeof(chosen), &chosen) < 0)
        crew_fail("no processor to pin role %u to", index);
}

void lat_role(struct lat_stage *stage, unsigned index, struct lat_end *end)
{
    if (index == 0)
        hist_init(&stage->hist);
    (index == 0 ? stage->shape->hub_work : stage->shape->spoke_work)(stage, index, end);
    crew_finish(&stage->crew, index);
}

int lat_run(struct lat_stage *stage, crew_role *role)
{
    const struct lat_options *options = stage->options;
    double planned_s = options->count == 0 ? options->seconds : (double)options->count / options->rate;
    unsigned timeout_s = options->timeout_s != 0 ? options->timeout_s : (unsigned)(planned_s + TIMEOUT_RESERVE_S);

    return crew_run(&stage->crew, role, timeout_s);
}

static void measures_print(const struct lat_stage *stage)
{
    const struct hist *hist = &stage->hist;
    double scale = 1.0 / stage->shape->messages, messages = (double)hist->count * stage->shape->messages;
    double sent = stage->shape->messages == 1 ? messages : messages / 2;

    printf("\"p50_us\":%.4f,\"p99_us\":%.4f,\"p999_us\":%.4f,\"max_us\":%.4f,", hist_quantile(hist, 0.5) * scale * 1e-3,
           hist_quantile(hist, 0.99) * scale * 1e-3, hist_quantile(hist, 0.999) * scale * 1e-3,
           (double)hist->max * scale * 1e-3);
    printf("\"cpu_us_per_msg\":%.4f,\"pace_us_per_msg\":%.4f,\"late_pct\":%.3f",
           fmax(0, crew_cpu_s(&stage->crew) - stage->pace_s) / messages * 1e6, stage->pace_s / messages * 1e6,
           (double)stage->late / sent * 100);
    if (stage->options->histogram) {
        printf(",\"histogram\":");
        hist_print(hist, scale, stdout);
    }
}

void lat_print(const struct lat_stage *stage, const struct lat_subject *subject)
{
    const struct lat_options *options = stage->options;

    putchar('{');
    report_text("library", options->label);
    if (subject->version != NULL)
        report_text("version", subject->version);
    if (subject->path != NULL)
        report_text("library_path", subject->path);
    if (subject->variant != NULL)
        report_text("variant", subject->variant);
    report_text("case", options->case_name);
    report_text("transport", options->transport);
    report_text("pair", options->pair);
    printf("\"size\":%zu,\"hwm\":%d,\"rate\":%.10g,\"count\":%llu,\"seconds\":%.6f,", options->size, subject->hwm,
           options->rate, (unsigned long long)stage->hist.count, crew_elapsed_s(&stage->crew));
    measures_print(stage);
    printf("}\n");
    fflush(stdout);
}
