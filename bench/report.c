/* SPDX-License-Identifier: MIT */
/* Finds a count when none was given, runs the case, prints the result as one JSON line. A run that fails prints nothing
 * on stdout: a line there always is a run whose every message was checked. */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int sample_compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

void report_latency(uint32_t *samples, size_t count, double ret_us[3])
{
    static const double quantiles[3] = {0.5, 0.99, 0.999};

    qsort(samples, count, sizeof(*samples), sample_compare);
    for (int i = 0; i < 3; i++) {
        size_t rank = (size_t)(quantiles[i] * (double)count);
        ret_us[i] = samples[rank < count ? rank : count - 1] / 2000.0;
    }
}

void report_text(const char *key, const char *text)
{
    printf("\"%s\":\"", key);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? '?' : *text);
    }
    printf("\",");
}

static void peers_print(const struct bench_result *result)
{
    double sum = 0, worst = 0;

    printf(",\"peer_counts\":[");
    for (unsigned i = 0; i < result->peers; i++) {
        printf("%s%llu", i > 0 ? "," : "", (unsigned long long)result->peer_counts[i]);
        sum += (double)result->peer_counts[i];
    }
    for (unsigned i = 0; i < result->peers; i++)
        worst = fmax(worst, fabs((double)result->peer_counts[i] * result->peers - sum) / sum * 100);
    printf("],\"fairness_pct\":%.2f", worst);
}

static void result_print(const struct bench_options *options, const struct bench_result *result)
{
    double rate = (double)result->messages / result->seconds;

    putchar('{');
    report_text("library", options->label);
    if (result->version != NULL)
        report_text("version", result->version);
    if (result->path != NULL)
        report_text("library_path", result->path);
    if (result->variant != NULL)
        report_text("variant", result->variant);
    report_text("case", options->case_name);
    report_text("transport", options->transport);
    report_text("api", options->api);
    printf("\"size\":%zu,\"hwm\":%d,\"peers\":%u,\"count\":%llu,\"seconds\":%.6f,\"msg_s\":%.1f,\"gbit_s\":%.4f,"
           "\"cpu_us_per_msg\":%.6f",
           options->size, result->hwm, options->peers, (unsigned long long)options->count, result->seconds, rate,
           rate * (double)options->size * 8e-9, result->cpu_s / (double)result->messages * 1e6);
    if (result->has_latency)
        printf(",\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f", result->latency_us[0], result->latency_us[1],
               result->latency_us[2]);
    if (result->has_memory)
        printf(",\"bytes_each\":%.1f,\"idle_pct\":%.3f", result->bytes_each, result->idle_pct);
    if (result->peers > 1)
        peers_print(result);
    printf("}\n");
    fflush(stdout);
}

/* Grows a trial until it lasts long enough for its rate to be trusted, within a few tries. */
static int count_find(struct bench_options *options, bench_run *run, const void *argument)
{
    struct bench_options trial = *options;
    struct bench_result result = {0};
    double rate = 0;

    trial.count = 2000;
    if (trial.count * trial.size > 64 << 20)
        trial.count = 64;
    for (int tries = 0; tries < 4; tries++) {
        int rc = run(&trial, &result, argument);
        if (rc < 0)
            return rc;
        rate = (double)trial.count / result.seconds;
        if (result.seconds >= 0.05)
            break;
        trial.count = (uint64_t)fmin(rate * 0.1, (double)trial.count * 100) + 64;
    }
    options->count = (uint64_t)(rate * options->seconds) + 64;
    return 0;
}

int report_run(const struct bench_options *options, bench_run *run, const void *argument)
{
    struct bench_options final = *options;
    struct bench_result result = {0};
    int rc = final.count == 0 ? count_find(&final, run, argument) : 0;

    if (rc == 0)
        rc = run(&final, &result, argument);
    if (rc == 0)
        result_print(&final, &result);
    return rc;
}
