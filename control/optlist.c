/* "key=value,key=value" texts of option arguments. */
#include "control/options.h"
#include "host/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Cuts the item that starts at *p (up to a single comma) into a fresh string; moves *p past it. */
static char *next_item(const char **p)
{
    char *out = malloc(strlen(*p) + 1), *o = out;

    if (!out) {
        abort();
    }
    while (**p) {
        if (**p == ',') {
            (*p)++;
            if (**p != ',') {
                break;
            }
        }
        *o++ = *(*p)++;
    }
    *o = 0;
    return out;
}

bool opt_foreach(const char *text, const char *implied,
                 bool (*fn)(void *opaque, const char *key, const char *value, struct error *err),
                 void *opaque, struct error *err)
{
    bool first = true, ok = true;

    while (ok && *text) {
        char *item = next_item(&text), *eq = strchr(item, '=');
        if (eq) {
            *eq = 0;
            ok = fn(opaque, item, eq + 1, err);
        } else if (first && implied) {
            ok = fn(opaque, implied, item, err);
        } else if (*item) {
            ok = fn(opaque, item, NULL, err);
        }
        first = false;
        free(item);
    }
    return ok;
}

struct search {
    const char *key;
    char *value;
};

static bool match_key(void *opaque, const char *key, const char *value, struct error *err)
{
    struct search *s = opaque;

    (void)err;
    if (!strcmp(key, s->key)) {
        free(s->value);
        s->value = strdup(value ? value : "on");
    }
    return true;
}

char *opt_get(const char *text, const char *implied, const char *key)
{
    struct search s = {key, NULL};

    opt_foreach(text, implied, match_key, &s, NULL);
    return s.value;
}

struct known {
    const char *const *names;
    char *unknown;
};

static bool check_known(void *opaque, const char *key, const char *value, struct error *err)
{
    struct known *k = opaque;

    (void)value;
    (void)err;
    for (const char *const *n = k->names; *n; n++) {
        if (!strcmp(*n, key)) {
            return true;
        }
    }
    k->unknown = strdup(key);
    return false;
}

char *opt_unknown(const char *text, const char *implied, const char *const *known)
{
    struct known k = {known, NULL};

    opt_foreach(text, implied, check_known, &k, NULL);
    return k.unknown;
}

bool opt_unknown_error(const char *key, const void *names, size_t n, size_t stride,
                       struct error *err)
{
    const char *near = nearest_name(key, names, n, stride);
    char known[256] = "";

    if (near) {
        return error_set(err, "unknown property '%s' (did you mean '%s'?)", key, near);
    }
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(known);
        const char *const *name = (const void *)((const char *)names + i * stride);
        snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "", *name);
    }
    return error_set(err, "unknown property '%s' (known: %s)", key, known);
}

bool opt_size(const char *text, uint64_t unit, uint64_t *out)
{
    char *end;

    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    unsigned long long n = strtoull(text, &end, 0);
    if (errno) {
        return false;
    }
    static const char letters[] = "bkmgt";
    if (*end) {
        const char *l = strchr(letters, tolower((unsigned char)*end));
        if (!l || (end[1] && strcasecmp(end + 1, "b") && strcasecmp(end + 1, "ib"))) {
            return false;
        }
        unit = UINT64_C(1) << 10 * (l - letters);
    }
    if (unit && n > UINT64_MAX / unit) {
        return false;
    }
    *out = n * unit;
    return true;
}

bool opt_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"on", "yes", "true", "1", "y"};
    static const char *const no[] = {"off", "no", "false", "0", "n"};

    if (!text) {
        *out = true;
        return true;
    }
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!strcasecmp(text, yes[i])) {
            *out = true;
            return true;
        }
        if (!strcasecmp(text, no[i])) {
            *out = false;
            return true;
        }
    }
    return false;
}
