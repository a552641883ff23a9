/* Networks of the command line: -netdev, and -nic, which is a -netdev and a -device in one. */
#include "control/setup.h"
#include "host/chardev.h"
#include "host/id.h"
#include "host/nearest.h"
#include "host/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CARD "e1000" /* every system has a driver for it */

enum { MAX_PAIRS = 64 };

struct network { /* the parsed text of a -netdev or -nic; strings are its own */
    bool nic;
    char *kind, *id, *model, *mac;
    struct {
        char *key, *value;
    } pair[MAX_PAIRS]; /* the kind's own properties */
    unsigned npairs;
};

/* ---- user ---- */

static const char *const user_keys[] = {"net",
                                        "host",
                                        "dhcpstart",
                                        "dns",
                                        "hostname",
                                        "domainname",
                                        "tftp",
                                        "bootfile",
                                        "ipv6-prefix",
                                        "ipv6-prefixlen",
                                        "ipv6-host",
                                        "ipv6-dns",
                                        "tftp-server-name",
                                        "dnssearch",
                                        "hostfwd",
                                        "guestfwd",
                                        "restrict",
                                        "ipv4",
                                        "ipv6",
                                        "smb",
                                        "smbserver",
                                        NULL};

struct netdev *setup_find_netdev(struct program *p, const char *id)
{
    for (unsigned i = 0; i < p->nnetdevs; i++) {
        if (!strcmp(netdev_id(p->netdevs[i]), id)) {
            return p->netdevs[i];
        }
    }
    return NULL;
}

static const char *get(void *opaque, const char *key)
{
    struct network *n = opaque;

    for (unsigned i = n->npairs; i--;) {
        if (!strcmp(n->pair[i].key, key)) {
            return n->pair[i].value;
        }
    }
    return NULL;
}

static bool get_all(struct network *n, const char *key, const char **list, unsigned max,
                    unsigned *count, struct error *err)
{
    *count = 0;
    for (unsigned i = 0; i < n->npairs; i++) {
        if (strcmp(n->pair[i].key, key)) {
            continue;
        }
        if (*count == max) {
            return error_set(err, "%s: more than %u of them", key, max);
        }
        list[(*count)++] = n->pair[i].value;
    }
    return true;
}

static bool get_flag(struct network *n, const char *key, bool negated, bool *out, struct error *err)
{
    const char *text = get(n, key);
    bool v = negated;

    if (text && !opt_bool(text, &v)) {
        return error_set(err, "%s=%s is neither on nor off", key, text);
    }
    *out = v != negated;
    return true;
}

static struct netdev *make_user(struct program *p, struct network *n, const char *id,
                                struct error *err)
{
    struct net_user_options o = {
        .net = get(n, "net"),
        .host = get(n, "host"),
        .dhcpstart = get(n, "dhcpstart"),
        .dns = get(n, "dns"),
        .hostname = get(n, "hostname"),
        .domainname = get(n, "domainname"),
        .tftp = get(n, "tftp"),
        .bootfile = get(n, "bootfile"),
        .ipv6_prefix = get(n, "ipv6-prefix"),
        .ipv6_prefixlen = get(n, "ipv6-prefixlen"),
        .ipv6_host = get(n, "ipv6-host"),
        .ipv6_dns = get(n, "ipv6-dns"),
        .tftp_server_name = get(n, "tftp-server-name"),
    };
    unsigned nsearch;

    if (get(n, "smb") || get(n, "smbserver")) {
        error_set(
            err,
            "smb= does not exist in this version (copy files by ssh over hostfwd, or by tftp=)");
        return NULL;
    }
    if (!get_all(n, "hostfwd", o.hostfwd, NET_USER_MAX_FORWARDS, &o.nhostfwd, err) ||
        !get_all(n, "guestfwd", o.guestfwd, NET_USER_MAX_FORWARDS, &o.nguestfwd, err) ||
        !get_all(n, "dnssearch", o.dnssearch, NET_USER_MAX_SEARCH, &nsearch, err) ||
        !get_flag(n, "restrict", false, &o.restricted, err) ||
        !get_flag(n, "ipv4", true, &o.no_ipv4, err) ||
        !get_flag(n, "ipv6", true, &o.no_ipv6, err)) {
        return NULL;
    }
    for (unsigned i = 0; i < o.nguestfwd; i++) {
        const char *dash = strchr(o.guestfwd[i], '-');
        if (dash && !strncmp(dash, "-chardev:", 9)) {
            o.guestfwd_chardev[i] = setup_find_chardev(p, dash + 9);
            if (!o.guestfwd_chardev[i]) {
                error_set(err, "guestfwd=%s: there is no -chardev with this id", o.guestfwd[i]);
                return NULL;
            }
        }
    }
    return net_user_create(p->loop, id, &o, err);
}

/* ---- kinds ---- */

static const struct net_backend user_backend = {
    "user",
    "[net=,host=,dhcpstart=,dns=,hostname=,hostfwd=,guestfwd=,tftp=,bootfile=,restrict=on,ipv6=off,"
    "...]",
    user_keys, NULL};
static const struct net_backend *const backends[] = {&user_backend, &net_tap,   &net_socket,
                                                     &net_stream,   &net_dgram, &net_hubport};
enum { NBACKENDS = sizeof(backends) / sizeof(backends[0]) };

char *setup_netdev_help(void)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    fputs("Networks for -netdev KIND,id=ID,... and -nic KIND[,model=CARD,mac=MAC],...:\n", f);
    for (unsigned i = 0; i < NBACKENDS; i++) {
        fprintf(f, "  %-8s %s\n", backends[i]->name, backends[i]->help);
    }
    fclose(f);
    return text;
}

static const struct net_backend *find_backend(const char *kind, struct error *err)
{
    const char *names[NBACKENDS];

    for (unsigned i = 0; i < NBACKENDS; i++) {
        names[i] = backends[i]->name;
        if (!strcmp(kind, names[i])) {
            return backends[i];
        }
    }
    const char *near = nearest_name(kind, names, NBACKENDS, sizeof(names[0]));
    error_set(err, "unknown kind of network '%s'%s", kind,
              nearest_hint(near, "known: user, tap, socket, stream, dgram, hubport").text);
    return NULL;
}

static bool set_text(char **field, const char *value)
{
    free(*field);
    *field = strdup(value ? value : "");
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
    if (n->npairs == MAX_PAIRS) {
        return error_set(err, "more than %d properties", MAX_PAIRS);
    }
    n->pair[n->npairs].key = strdup(key);
    n->pair[n->npairs++].value = strdup(value ? value : "on");
    return true;
}

static bool check_keys(const struct network *n, const struct net_backend *b, struct error *err)
{
    for (unsigned i = 0; i < n->npairs; i++) {
        const char *names[64];
        size_t count = 0;
        bool known = false;
        for (; b->keys[count] && count < 60; count++) {
            names[count] = b->keys[count];
            known |= !strcmp(b->keys[count], n->pair[i].key);
        }
        names[count++] = "id";
        if (n->nic) {
            names[count++] = "model";
            names[count++] = "mac";
        }
        if (!known) {
            return opt_unknown_error(n->pair[i].key, names, count, sizeof(names[0]), err);
        }
    }
    return true;
}

static void free_network(struct network *n)
{
    free(n->kind);
    free(n->id);
    free(n->model);
    free(n->mac);
    for (unsigned i = 0; i < n->npairs; i++) {
        free(n->pair[i].key);
        free(n->pair[i].value);
    }
}

static struct netdev *make_backend(struct program *p, struct network *n,
                                   const struct net_backend *b, const char *id, struct error *err)
{
    struct net_request r = {.loop = p->loop, .id = id, .get = get, .opaque = n, .hubs = &p->hubs};
    const char *peer = b == &net_hubport ? get(n, "netdev") : NULL;

    if (b == &user_backend) {
        return make_user(p, n, id, err);
    }
    if (peer && !(r.peer = setup_find_netdev(p, peer))) {
        error_set(err, "netdev=%s: there is no -netdev with this id", peer);
        return NULL;
    }
    return b->create(&r, err);
}

/* text: what the person wrote; NULL: a monitor asks. */
static bool make_network(struct program *p, struct network *n, const char *text, struct error *err)
{
    char id[32];

    snprintf(id, sizeof(id), "%s%u", n->nic ? "#nic" : "#net", p->nnetdevs);
    if (!n->kind || !*n->kind) {
        return error_set(err, "the kind of network is missing (user, tap, ...)");
    }
    if (n->nic && !strcmp(n->kind, "none")) {
        return true;
    }
    const struct net_backend *b = find_backend(n->kind, err);
    if (!b || !check_keys(n, b, err)) {
        return false;
    }
    if ((!n->nic || n->id) && !id_check("id", n->id, err)) {
        return false;
    }
    if (n->id && setup_find_netdev(p, n->id)) {
        return error_set(err, "there is already a network '%s'", n->id);
    }
    if (p->nnetdevs == SETUP_NETDEVS) {
        return error_set(err, "more than %d networks", SETUP_NETDEVS);
    }
    const char *name = n->id ? n->id : id;
    struct netdev *nd = make_backend(p, n, b, name, err);
    if (!nd) {
        return false;
    }
    p->netdevs[p->nnetdevs++] = nd;
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

/* ---- objects ---- */

/* One member of an object, with its path: text, numbers and booleans are pairs, objects go deeper,
 * and
 * {"str": T} in arrays is T. */
static bool add_member(struct network *n, const char *key, json_t *v, struct error *err)
{
    char path[128], number[32];
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_string(v)) {
        return network_pair(n, key, json_string_value(v), err);
    }
    if (json_is_boolean(v)) {
        return network_pair(n, key, json_is_true(v) ? "on" : "off", err);
    }
    if (json_is_integer(v)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
        return network_pair(n, key, number, err);
    }
    if (json_is_array(v)) {
        json_array_foreach(v, i, member)
        {
            json_t *str = json_object_get(member, "str");
            if (!add_member(n, key, str ? str : member, err)) {
                return false;
            }
        }
        return true;
    }
    if (!json_is_object(v)) {
        return error_set(err, "%s is neither text nor number", key);
    }
    json_object_foreach(v, name, member)
    {
        snprintf(path, sizeof(path), "%s%s%s", key, *key ? "." : "", name);
        if (strlen(path) > 100 || !add_member(n, path, member, err)) {
            return err->msg[0] ? false : error_set(err, "%s: too deep", name);
        }
    }
    return true;
}

bool setup_add_netdev(struct program *p, json_t *object, struct error *err)
{
    struct network n = {0};

    err->msg[0] = 0;
    bool ok = add_member(&n, "", object, err) && make_network(p, &n, NULL, err);
    free_network(&n);
    return ok;
}

bool setup_del_netdev(struct program *p, const char *id, struct error *err)
{
    for (unsigned i = 0; i < p->nnetdevs; i++) {
        if (strcmp(netdev_id(p->netdevs[i]), id)) {
            continue;
        }
        if (netdev_connected(p->netdevs[i])) {
            return error_set(err, "network '%s' is in use", id);
        }
        netdev_destroy(p->netdevs[i]);
        memmove(&p->netdevs[i], &p->netdevs[i + 1], (p->nnetdevs - i - 1) * sizeof(p->netdevs[0]));
        p->nnetdevs--;
        return true;
    }
    return error_set(err, "there is no network '%s'", id);
}

static bool make_from_json(struct program *p, const char *text, struct error *err)
{
    json_error_t e;
    json_t *object = json_loads(text, 0, &e);

    if (!json_is_object(object)) {
        json_decref(object);
        return error_set(err, "not a JSON object: %s", e.text);
    }
    bool ok = setup_add_netdev(p, object, err);
    json_decref(object);
    return ok;
}

bool setup_add_netdev_text(struct program *p, const char *text, struct error *err)
{
    struct network n = {0};
    bool ok = opt_foreach(text, "type", network_pair, &n, err) && make_network(p, &n, text, err);

    free_network(&n);
    return ok;
}

static bool make_all(struct program *p, const struct opt_list *list, bool nic, struct error *err)
{
    for (unsigned i = 0; i < list->n; i++) {
        struct network n = {.nic = nic};
        bool ok = list->item[i][0] == '{' && !nic
                      ? make_from_json(p, list->item[i], err)
                      : opt_foreach(list->item[i], "type", network_pair, &n, err) &&
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
