/* SPDX-License-Identifier: MIT */
/* The bucket of a value is its leading bits and the number of bits behind them, so recording is a shift and an
 * addition. A value above the range falls into the last bucket; the greatest value is kept beside the buckets. */
#include "hist.h"

#include <math.h>
#include <string.h>

void hist_init(struct hist *hist)
{
    memset(hist, 0, sizeof(*hist));
}

double hist_bucket_value(unsigned index)
{
    unsigned shift = index >> (HIST_SUB_BITS + 1) != 0 ? (index >> HIST_SUB_BITS) - 1 : 0;
    uint64_t low = (uint64_t)(index - (shift << HIST_SUB_BITS)) << shift;

    return (double)low + (double)((UINT64_C(1) << shift) - 1) / 2;
}

double hist_quantile(const struct hist *hist, double share)
{
    uint64_t rank = (uint64_t)(share * (double)hist->count), seen = 0;

    if (rank + 1 >= hist->count)
        return (double)hist->max;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += hist->buckets[i];
        if (seen > rank)
            return fmin(hist_bucket_value(i), (double)hist->max);
    }
    return (double)hist->max;
}

void hist_print(const struct hist *hist, double scale, FILE *out)
{
    const char *separator = "";

    fputc('[', out);
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        if (hist->buckets[i] == 0)
            continue;
        fprintf(out, "%s[%.12g,%llu]", separator, hist_bucket_value(i) * scale, (unsigned long long)hist->buckets[i]);
        separator = ",";
    }
    fputc(']', out);
}
