/* -monitor, -mon and -qmp of the command line. */
#include "control/monitor.h"
#include "control/qmp.h"
#include "control/setup.h"
#include "host/id.h"
#include "host/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add_qmp(struct program *p, unsigned n, const char *spec, struct error *err)
{
    char id[32];

    if (!strcmp(spec, "none")) {
        return true;
    }
    if (socket_is_spec(spec)) {
        return qmp_listen(p->qmp, spec, err) || error_prefix(err, "-qmp %s", spec);
    }
    snprintf(id, sizeof(id), "compat_monitor%u", n);
    struct chardev *c = !strncmp(spec, "chardev:", 8) ? setup_find_chardev(p, spec + 8)
                                                      : setup_add_chardev(p, id, spec, NULL, err);
    if (!c && !strncmp(spec, "chardev:", 8)) {
        error_set(err, "there is no -chardev with this id");
    }
    return (c && qmp_serve_chardev(p->qmp, c, err)) || error_prefix(err, "-qmp %s", spec);
}

static bool add_mon(struct program *p, const char *text, struct error *err)
{
    static const char *const known[] = {"chardev", "mode", "id", "pretty", NULL};
    char *unknown = opt_unknown(text, "chardev", known), *id = opt_get(text, "chardev", "id");
    char *mode = opt_get(text, "chardev", "mode"), *name = opt_get(text, "chardev", "chardev");
    struct chardev *c = name ? setup_find_chardev(p, name) : NULL;
    bool ok = false;

    if (unknown) {
        opt_unknown_error(unknown, known, 4, sizeof(known[0]), err);
    } else if (id && !id_check("id", id, err)) {
        ok = false;
    } else if (!c) {
        error_set(err, "there is no -chardev '%s'", name ? name : "");
    } else if (mode && !strcmp(mode, "control")) {
        ok = qmp_serve_chardev(p->qmp, c, err);
    } else if (mode && strcmp(mode, "readline")) {
        error_set(err, "mode=%s is neither readline nor control", mode);
    } else if (p->nmons == SETUP_MONITORS) {
        error_set(err, "more than %d monitors", SETUP_MONITORS);
    } else {
        p->mons[p->nmons] = monitor_create(p->machine, c, err);
        ok = p->mons[p->nmons] != NULL;
        p->nmons += ok;
    }
    free(unknown);
    free(id);
    free(mode);
    free(name);
    return ok || error_prefix(err, "-mon %s", text);
}

bool setup_monitors(struct program *p, struct error *err)
{
    p->qmp = qmp_create(p, p->machine, p->loop);
    if (p->monitor_chardev) {
        p->monitor = monitor_create(p->machine, p->monitor_chardev, err);
        if (!p->monitor) {
            return error_prefix(err, "-monitor");
        }
    }
    for (unsigned i = 0; i < p->opt.mons.n; i++) {
        if (!add_mon(p, p->opt.mons.item[i], err)) {
            return false;
        }
    }
    for (unsigned i = 0; i < p->opt.qmps.n; i++) {
        if (!add_qmp(p, i, p->opt.qmps.item[i], err)) {
            return false;
        }
    }
    return true;
}
