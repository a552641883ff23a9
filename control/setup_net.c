/* Networks of the command line: -netdev, and -nic, which is a -netdev and a -device in one. */
#include "control/setup.h"
#include "host/nearest.h"
#include "host/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CARD "e1000" /* every system has a driver for it */

struct network { /* the parsed text of a -netdev or -nic; strings are its own */
    bool nic;
    char *kind, *id, *model, *mac;
    char *text[8]; /* of the user back end, in the order of user_keys */
    char *hostfwd[NET_USER_MAX_FORWARDS], *guestfwd[NET_USER_MAX_FORWARDS];
    unsigned nhostfwd, nguestfwd;
    bool restricted, no_ipv4, no_ipv6;
};

static const char *const user_keys[8] = {"net",      "host",       "dhcpstart", "dns",
                                         "hostname", "domainname", "tftp",      "bootfile"};
static const char *const all_keys[] = {
    "net",     "host",     "dhcpstart", "dns",  "hostname", "domainname", "tftp",  "bootfile",
    "hostfwd", "guestfwd", "restrict",  "ipv4", "ipv6",     "id",         "model", "mac"};

struct netdev *setup_find_netdev(struct program *p, const char *id)
{
    for (unsigned i = 0; i < p->nnetdevs; i++) {
        if (!strcmp(netdev_id(p->netdevs[i]), id)) {
            return p->netdevs[i];
        }
    }
    return NULL;
}

static bool set_text(char **field, const char *value)
{
    free(*field);
    *field = strdup(value ? value : "");
    return true;
}

static bool add_forward(char **list, unsigned *n, const char *key, const char *value,
                        struct error *err)
{
    if (*n == NET_USER_MAX_FORWARDS) {
        return error_set(err, "%s: more than %d of them", key, NET_USER_MAX_FORWARDS);
    }
    list[(*n)++] = strdup(value ? value : "");
    return true;
}

static bool set_flag(bool *field, bool negated, const char *key, const char *value,
                     struct error *err)
{
    bool v;

    if (!opt_bool(value, &v)) {
        return error_set(err, "%s=%s is neither on nor off", key, value);
    }
    *field = v != negated;
    return true;
}

static bool network_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct network *n = opaque;
    struct {
        const char *name;
        char **field;
        bool nic_only;
    } texts[] = {{"type", &n->kind, false},
                 {"id", &n->id, false},
                 {"model", &n->model, true},
                 {"mac", &n->mac, true}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!strcmp(key, texts[i].name) && (n->nic || !texts[i].nic_only)) {
            return set_text(texts[i].field, value);
        }
    }
    for (size_t i = 0; i < 8; i++) {
        if (!strcmp(key, user_keys[i])) {
            return set_text(&n->text[i], value);
        }
    }
    if (!strcmp(key, "hostfwd")) {
        return add_forward(n->hostfwd, &n->nhostfwd, key, value, err);
    }
    if (!strcmp(key, "guestfwd")) {
        return add_forward(n->guestfwd, &n->nguestfwd, key, value, err);
    }
    if (!strcmp(key, "restrict")) {
        return set_flag(&n->restricted, false, key, value, err);
    }
    if (!strcmp(key, "ipv4") || !strcmp(key, "ipv6")) {
        return set_flag(key[3] == '4' ? &n->no_ipv4 : &n->no_ipv6, true, key, value, err);
    }
    const char *near =
        nearest_name(key, all_keys, sizeof(all_keys) / sizeof(all_keys[0]), sizeof(all_keys[0]));
    return error_set(err, "unknown property '%s'%s%s%s", key, near ? " (did you mean '" : "",
                     near ? near : "", near ? "'?)" : "");
}

static void free_network(struct network *n)
{
    free(n->kind);
    free(n->id);
    free(n->model);
    free(n->mac);
    for (unsigned i = 0; i < 8; i++) {
        free(n->text[i]);
    }
    for (unsigned i = 0; i < n->nhostfwd; i++) {
        free(n->hostfwd[i]);
    }
    for (unsigned i = 0; i < n->nguestfwd; i++) {
        free(n->guestfwd[i]);
    }
}

static bool make_user(struct program *p, const struct network *n, const char *id, struct error *err)
{
    struct net_user_options o = {
        .net = n->text[0],
        .host = n->text[1],
        .dhcpstart = n->text[2],
        .dns = n->text[3],
        .hostname = n->text[4],
        .domainname = n->text[5],
        .tftp = n->text[6],
        .bootfile = n->text[7],
        .nhostfwd = n->nhostfwd,
        .nguestfwd = n->nguestfwd,
        .restricted = n->restricted,
        .no_ipv4 = n->no_ipv4,
        .no_ipv6 = n->no_ipv6,
    };

    for (unsigned i = 0; i < n->nhostfwd; i++) {
        o.hostfwd[i] = n->hostfwd[i];
    }
    for (unsigned i = 0; i < n->nguestfwd; i++) {
        o.guestfwd[i] = n->guestfwd[i];
    }
    struct netdev *nd = net_user_create(p->loop, id, &o, err);
    if (nd) {
        p->netdevs[p->nnetdevs++] = nd;
    }
    return nd != NULL;
}

static bool make_network(struct program *p, const struct network *n, const char *text,
                         struct error *err)
{
    char id[32];

    snprintf(id, sizeof(id), "%s%u", n->nic ? "#nic" : "#net", p->nnetdevs);
    if (!n->kind || !*n->kind) {
        return error_set(err, "the kind of network is missing (user)");
    }
    if (n->nic && !strcmp(n->kind, "none")) {
        return true;
    }
    if (strcmp(n->kind, "user")) {
        return error_set(err, "network '%s' is not known in this version (known: user)", n->kind);
    }
    if (!n->nic && (!n->id || !*n->id)) {
        return error_set(err, "id= is missing");
    }
    if (n->id && setup_find_netdev(p, n->id)) {
        return error_set(err, "there is already a network '%s'", n->id);
    }
    if (p->nnetdevs == SETUP_NETDEVS) {
        return error_set(err, "more than %d networks", SETUP_NETDEVS);
    }
    const char *name = n->id ? n->id : id;
    if (!make_user(p, n, name, err)) {
        return false;
    }
    const char *card = !n->model                     ? DEFAULT_CARD
                       : !strcmp(n->model, "virtio") ? "virtio-net-pci"
                                                     : n->model;
    if (n->nic) {
        p->nic_texts[p->nnic_devices] = text;
        if (asprintf(&p->nic_devices[p->nnic_devices++], "%s,netdev=%s%s%s", card, name,
                     n->mac ? ",mac=" : "", n->mac ? n->mac : "") < 0) {
            abort();
        }
    }
    return true;
}

static bool make_all(struct program *p, const struct opt_list *list, bool nic, struct error *err)
{
    for (unsigned i = 0; i < list->n; i++) {
        struct network n = {.nic = nic};
        bool ok = opt_foreach(list->item[i], "type", network_pair, &n, err) &&
                  make_network(p, &n, list->item[i], err);
        free_network(&n);
        if (!ok) {
            return error_prefix(err, "-%s %s", nic ? "nic" : "netdev", list->item[i]);
        }
    }
    return true;
}

bool setup_networks(struct program *p, struct error *err)
{
    return make_all(p, &p->opt.netdevs, false, err) && make_all(p, &p->opt.nics, true, err);
}
