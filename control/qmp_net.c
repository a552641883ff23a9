/* QMP commands about networks. */
#include "control/qmp.h"
#include "control/setup.h"
#include "host/net.h"
#include "hw/virtio/virtio_net.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(struct qmp_call *c, const char *key)
{
    return json_string_value(json_object_get(c->args, key));
}

bool qmp_netdev_add(struct qmp_call *c)
{
    return c->program ? setup_add_netdev(c->program, c->args, &c->err)
                      : qmp_fail(c, NULL, "there are no networks");
}

bool qmp_netdev_del(struct qmp_call *c)
{
    if (!c->program || !setup_find_netdev(c->program, text_of(c, "id"))) {
        return qmp_fail(c, QMP_NO_DEVICE, "Device '%.100s' not found", text_of(c, "id"));
    }
    return setup_del_netdev(c->program, text_of(c, "id"), &c->err);
}

/* The network of that id, or that the card of that id is plugged into. */
static struct netdev *find_network(struct qmp_call *c, const char *name)
{
    struct netdev *nd = c->program ? setup_find_netdev(c->program, name) : NULL;
    struct device *d = !nd && c->machine->devices ? device_find(c->machine, name) : NULL;

    for (const struct property *p = d ? d->type->props : NULL; p && p->type != PT_END; p++) {
        if (p->type == PT_NETDEV) {
            memcpy(&nd, (char *)d + p->offset, sizeof(nd));
        }
    }
    return nd;
}

bool qmp_set_link(struct qmp_call *c)
{
    struct netdev *nd = find_network(c, text_of(c, "name"));

    if (!nd) {
        return qmp_fail(c, QMP_NO_DEVICE, "Device '%.100s' not found", text_of(c, "name"));
    }
    netdev_set_link(nd, json_is_true(json_object_get(c->args, "up")));
    return true;
}

static json_t *mac_text(const uint8_t *m)
{
    char text[24];

    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
             m[5]);
    return json_string(text);
}

static json_t *mac_list(const uint8_t *table, unsigned n)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < n; i++) {
        json_array_append_new(list, mac_text(table + 6 * i));
    }
    return list;
}

static const char *state_of(bool all, bool none)
{
    return all ? "all" : none ? "none" : "normal";
}

static void add_filter(struct device *d, void *opaque)
{
    struct qmp_call *c = opaque;
    const char *wanted = text_of(c, "name");
    struct virtio_net_filter f;

    if (!virtio_net_filter(d, &f) || (wanted && (!d->id || strcmp(wanted, d->id)))) {
        return;
    }
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(d->id ? d->id : d->type->name));
    json_object_set_new(o, "promiscuous", json_boolean(f.promiscuous));
    json_object_set_new(o, "multicast", json_string(state_of(f.all_multicast, f.no_multicast)));
    json_object_set_new(o, "unicast", json_string(state_of(f.all_unicast, f.no_unicast)));
    json_object_set_new(o, "vlan", json_string("all"));
    json_object_set_new(o, "broadcast-allowed", json_boolean(!f.no_broadcast));
    json_object_set_new(o, "multicast-overflow", json_boolean(f.multicast_overflow));
    json_object_set_new(o, "unicast-overflow", json_boolean(f.unicast_overflow));
    json_object_set_new(o, "main-mac", mac_text(f.mac));
    json_object_set_new(o, "vlan-table", json_array());
    json_object_set_new(o, "unicast-table", mac_list(f.table, f.nunicast));
    json_object_set_new(o, "multicast-table", mac_list(f.table + 6 * f.nunicast, f.nmulticast));
    json_array_append_new(c->ret, o);
}

bool qmp_query_rx_filter(struct qmp_call *c)
{
    c->ret = json_array();
    device_foreach(c->machine, add_filter, c);
    if (text_of(c, "name") && !json_array_size(c->ret)) {
        return qmp_fail(c, NULL, "'%.100s' is no network card with a filter", text_of(c, "name"));
    }
    return true;
}
