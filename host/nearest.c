/* "did you mean": optimal string alignment distance on short names. */
#include "host/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 64 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned nearest_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    unsigned row[3][MAX_NAME + 1];

    if (la > MAX_NAME || lb > MAX_NAME) {
        return MAX_NAME;
    }
    for (size_t j = 0; j <= lb; j++) {
        row[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= la; i++) {
        unsigned *cur = row[i % 3], *up = row[(i - 1) % 3], *upup = row[(i + 1) % 3];
        cur[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            cur[j] = min3(up[j] + 1, cur[j - 1] + 1, up[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]) && upup[j - 2] + 1 < cur[j]) {
                cur[j] = upup[j - 2] + 1;
            }
        }
    }
    return row[la % 3][lb];
}

const char *nearest_name(const char *want, const void *names, size_t n, size_t stride)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(want) / 3 + 2;

    for (size_t i = 0; i < n; i++) {
        const char *name;
        memcpy(&name, (const char *)names + i * stride, sizeof(name));
        unsigned d = name ? nearest_distance(want, name) : best_distance;
        if (d < best_distance) {
            best = name;
            best_distance = d;
        }
    }
    return best;
}

struct nearest_hint nearest_hint(const char *near, const char *otherwise)
{
    struct nearest_hint h = {""};

    if (near) {
        snprintf(h.text, sizeof(h.text), " (did you mean '%s'?)", near);
    } else if (otherwise) {
        snprintf(h.text, sizeof(h.text), " (%s)", otherwise);
    }
    return h;
}
