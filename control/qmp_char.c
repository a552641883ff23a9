/* QMP commands about ring buffers and the memory balloon. */
#include "control/qmp.h"
#include "control/setup.h"
#include "host/chardev.h"
#include "hw/virtio/virtio_balloon.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_READ = 16 << 20 };

static struct chardev *find_ring(struct qmp_call *c)
{
    const char *id = json_string_value(json_object_get(c->args, "device"));
    struct chardev *ring = c->program ? setup_find_chardev(c->program, id) : NULL;

    if (!ring || !chardev_is_ring(ring)) {
        qmp_fail(c, NULL, ring ? "'%.100s' is no ring buffer" : "Device '%.100s' not found", id);
        return NULL;
    }
    return ring;
}

static bool is_base64(struct qmp_call *c)
{
    const char *format = json_string_value(json_object_get(c->args, "format"));

    return format && !strcmp(format, "base64");
}

bool qmp_ringbuf_write(struct qmp_call *c)
{
    json_t *data = json_object_get(c->args, "data");
    struct chardev *ring = find_ring(c);
    gsize len;

    if (!ring) {
        return false;
    }
    if (!is_base64(c)) {
        chardev_write(ring, (const uint8_t *)json_string_value(data), json_string_length(data));
        return true;
    }
    guchar *bytes = g_base64_decode(json_string_value(data), &len);
    chardev_write(ring, bytes, len);
    g_free(bytes);
    return true;
}

bool qmp_ringbuf_read(struct qmp_call *c)
{
    json_int_t max = json_integer_value(json_object_get(c->args, "size"));
    struct chardev *ring = find_ring(c);
    size_t n;

    if (!ring) {
        return false;
    }
    if (max <= 0 || max > MAX_READ) {
        return qmp_fail(c, NULL, "Parameter 'size' expects a number from 1 to %d", MAX_READ);
    }
    uint8_t *buf = malloc((size_t)max);
    if (!buf) {
        return qmp_fail(c, NULL, "no memory for %lld bytes", (long long)max);
    }
    chardev_ring_read(ring, buf, (size_t)max, &n);
    if (is_base64(c)) {
        gchar *text = g_base64_encode(buf, n);
        c->ret = json_string(text);
        g_free(text);
    } else {
        gchar *text = g_utf8_make_valid((const gchar *)buf, (gssize)n);
        c->ret = json_string(text);
        g_free(text);
    }
    free(buf);
    return true;
}

bool qmp_balloon(struct qmp_call *c)
{
    json_int_t bytes = json_integer_value(json_object_get(c->args, "value"));

    if (bytes <= 0) {
        return qmp_fail(c, NULL, "Parameter 'value' expects a size");
    }
    if (!balloon_set(c->machine, (uint64_t)bytes, &c->err)) {
        c->error_class = "DeviceNotActive";
        return false;
    }
    return true;
}

bool qmp_query_balloon(struct qmp_call *c)
{
    uint64_t bytes;

    if (!balloon_actual(c->machine, &bytes)) {
        return qmp_fail(c, "DeviceNotActive", "No balloon device has been activated");
    }
    c->ret = json_object();
    json_object_set_new(c->ret, "actual", json_integer((json_int_t)bytes));
    return true;
}

json_t *qmp_balloon_property(struct device *d, const char *name)
{
    const char *stat;
    uint64_t value;
    int64_t last = 0;

    if (strcmp(name, "guest-stats") || !balloon_stat(d, 0, &stat, &value, &last)) {
        return NULL;
    }
    json_t *o = json_object(), *stats = json_object();
    for (unsigned i = 0; balloon_stat(d, i, &stat, &value, &last); i++) {
        json_object_set_new(stats, stat, json_integer((json_int_t)value));
    }
    json_object_set_new(o, "stats", stats);
    json_object_set_new(o, "last-update", json_integer(last));
    return o;
}

bool qmp_qom_set(struct qmp_call *c)
{
    const char *path = json_string_value(json_object_get(c->args, "path"));
    const char *name = json_string_value(json_object_get(c->args, "property"));
    json_t *value = json_object_get(c->args, "value");
    const char *prefix = "/machine/peripheral/", *id = path;

    if (!strncmp(path, prefix, strlen(prefix))) {
        id = path + strlen(prefix);
    }
    struct device *d = device_find(c->machine, id);
    if (!d) {
        return qmp_fail(c, QMP_NO_DEVICE, "Device '%.200s' not found", path);
    }
    if (!strcmp(name, "guest-stats-polling-interval") && json_is_integer(value) &&
        json_integer_value(value) >= 0 && json_integer_value(value) <= UINT32_MAX &&
        balloon_set_polling(d, (uint32_t)json_integer_value(value))) {
        return true;
    }
    return qmp_fail(c, NULL, "Property '%s.%.100s' cannot be changed", d->type->name, name);
}
