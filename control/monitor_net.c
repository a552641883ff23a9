/* Monitor commands about networks and character devices. */
#include "control/control.h"
#include "control/monitor_internal.h"
#include "control/qmp.h"
#include "control/setup.h"
#include "host/chardev.h"
#include "host/net.h"
#include "hw/pci/pci.h"

#include <stdlib.h>
#include <string.h>

/* The first network of the kind `user`, or the one whose id is the first word of c->arg. */
static struct netdev *user_network(struct monitor_call *c, const char **rest)
{
    struct program *p = control_program(c->machine);
    const char *space = strchr(c->arg, ' ');
    char id[64];

    *rest = c->arg;
    if (space) {
        snprintf(id, sizeof(id), "%.*s", (int)(space - c->arg), c->arg);
        *rest = space + strspn(space, " ");
        return p ? setup_find_netdev(p, id) : NULL;
    }
    for (unsigned i = 0; p && i < p->nnetdevs; i++) {
        if (!strcmp(netdev_kind(p->netdevs[i]), "user")) {
            return p->netdevs[i];
        }
    }
    return NULL;
}

static void forward(struct monitor_call *c,
                    bool (*fn)(struct netdev *nd, const char *text, struct error *err))
{
    struct error err = {{0}};
    const char *spec;
    struct netdev *nd = user_network(c, &spec);

    if (!nd) {
        fputs("Error: there is no such user network\n", c->out);
    } else if (!fn(nd, spec, &err)) {
        fprintf(c->out, "Error: %s\n", err.msg);
    }
}

void monitor_hostfwd_add(struct monitor_call *c)
{
    forward(c, net_user_add_hostfwd);
}

void monitor_hostfwd_remove(struct monitor_call *c)
{
    forward(c, net_user_remove_hostfwd);
}

static void run(struct monitor_call *c, bool (*fn)(struct qmp_call *call), json_t *args)
{
    struct qmp_call call = {
        .machine = c->machine, .program = control_program(c->machine), .args = args};

    if (!fn(&call)) {
        fprintf(c->out, "Error: %s\n", call.err.msg);
    } else if (json_is_string(call.ret)) {
        fprintf(c->out, "%s\n", json_string_value(call.ret));
    }
    json_decref(call.ret);
    json_decref(args);
}

/* "NAME VALUE" */
static bool two_words(struct monitor_call *c, char *name, size_t size, const char **value)
{
    size_t n = strcspn(c->arg, " \t");

    snprintf(name, size, "%.*s", (int)n, c->arg);
    *value = c->arg + n + strspn(c->arg + n, " \t");
    return *name && **value;
}

void monitor_set_link(struct monitor_call *c)
{
    char name[64];
    const char *value;
    bool up;

    if (!two_words(c, name, sizeof(name), &value) || !opt_bool(value, &up)) {
        fputs("usage: set_link NAME on|off\n", c->out);
        return;
    }
    run(c, qmp_set_link, json_pack("{s:s%, s:b}", "name", name, strlen(name), "up", up));
}

void monitor_ringbuf_read(struct monitor_call *c)
{
    char name[64];
    const char *value;

    if (!two_words(c, name, sizeof(name), &value)) {
        fputs("usage: ringbuf_read ID SIZE\n", c->out);
        return;
    }
    run(c, qmp_ringbuf_read,
        json_pack("{s:s%, s:I}", "device", name, strlen(name), "size",
                  (json_int_t)strtol(value, NULL, 0)));
}

void monitor_netdev_add(struct monitor_call *c)
{
    struct program *p = control_program(c->machine);
    struct error err = {{0}};

    if (!p) {
        fputs("Error: there are no networks\n", c->out);
    } else if (!setup_add_netdev_text(p, c->arg, &err)) {
        fprintf(c->out, "Error: %s\n", err.msg);
    }
}

/* ---- info ---- */

/* The card that is plugged into nd; NULL: none. */
static const struct device *card_of(struct machine *m, struct netdev *nd)
{
    struct pci_bus *root = m->devices ? pci_root(m) : NULL;

    for (unsigned i = 0; root && i < 256; i++) {
        struct pci_device *p = pci_find(root, (uint8_t)i);
        for (const struct property *pr = p ? p->dev.type->props : NULL; pr && pr->type != PT_END;
             pr++) {
            if (pr->type == PT_NETDEV && !memcmp((char *)p + pr->offset, &nd, sizeof(nd))) {
                return &p->dev;
            }
        }
    }
    return NULL;
}

void monitor_info_network(struct monitor_call *c)
{
    struct program *p = control_program(c->machine);

    for (unsigned i = 0; p && i < p->nnetdevs; i++) {
        struct netdev *nd = p->netdevs[i];
        const struct device *card = card_of(c->machine, nd);
        char *text = netdev_describe(nd);
        fprintf(c->out, "%s: %s%s%s%s%s%s\n%s", netdev_id(nd), netdev_kind(nd),
                netdev_link_up(nd) ? "" : ", link down", card ? ", card " : "",
                card ? card->type->name : "", card && card->id ? " " : "",
                card && card->id ? card->id : "", text ? text : "");
        free(text);
    }
    if (!p || !p->nnetdevs) {
        fputs("no network devices\n", c->out);
    }
}

void monitor_info_usernet(struct monitor_call *c)
{
    struct program *p = control_program(c->machine);

    for (unsigned i = 0; p && i < p->nnetdevs; i++) {
        if (!strcmp(netdev_kind(p->netdevs[i]), "user")) {
            char *text = netdev_describe(p->netdevs[i]);
            fprintf(c->out, "%s:\n%s", netdev_id(p->netdevs[i]), text ? text : "");
            free(text);
        }
    }
}

void monitor_info_chardev(struct monitor_call *c)
{
    struct program *p = control_program(c->machine);

    for (unsigned i = 0; p && i < p->nchardevs; i++) {
        fprintf(c->out, "%s: filename=%s%s\n", chardev_id(p->chardevs[i]),
                chardev_describe(p->chardevs[i]),
                chardev_in_use(p->chardevs[i]) ? "" : " (not in use)");
    }
}
