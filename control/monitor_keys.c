/* The monitor's commands about keys, pointers and the screen: sendkey, mouse_move, mouse_button,
 * screendump, change vnc, info mice, info vnc. */
#include "control/monitor_internal.h"
#include "control/setup.h"
#include "control/control.h"
#include "host/nearest.h"
#include "hw/input/input.h"
#include "ui/keymap.h"
#include "ui/screendump.h"
#include "ui/vnc.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HELD = 16, HOLD_MS = 100 };

void monitor_sendkey(struct monitor_call *c)
{
    char *copy = strdup(c->arg), *save = NULL, *hold;
    uint16_t held[MAX_HELD];
    unsigned n = 0, hold_ms = HOLD_MS;

    hold = copy + strcspn(copy, " \t");
    if (*hold) {
        *hold++ = 0;
        hold_ms = (unsigned)strtoul(hold, NULL, 10);
        hold_ms = hold_ms > 60000 ? 60000 : hold_ms;
    }
    for (char *name = strtok_r(copy, "-", &save); name; name = strtok_r(NULL, "-", &save)) {
        const struct key *k = keymap_by_name(name);
        char *end;
        unsigned long number = strncmp(name, "0x", 2) ? 0 : strtoul(name, &end, 16);
        uint16_t code = k ? k->code : number && !*end ? keymap_from_number((uint32_t)number) : 0;
        if (!code || n == MAX_HELD) {
            const char *near =
                nearest_name(name, &keymap[0].name, keymap_count(), sizeof(keymap[0]));
            fprintf(c->out, "unknown key '%s'%s\n", name, nearest_hint(near, NULL).text);
            free(copy);
            return;
        }
        held[n++] = code;
    }
    free(copy);
    if (!n) {
        fputs("sendkey KEY[-KEY...], like sendkey ctrl-alt-delete\n", c->out);
        return;
    }
    if (!input_has_keyboard(c->machine)) {
        fputs("this machine has no keyboard\n", c->out);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        input_type(c->machine, held[i], true, 0);
    }
    for (unsigned i = n; i--;) {
        input_type(c->machine, held[i], false, i == n - 1 ? hold_ms : 0);
    }
}

void monitor_mouse_move(struct monitor_call *c)
{
    int x, y, z = 0;

    if (sscanf(c->arg, "%d %d %d", &x, &y, &z) < 2) {
        fputs("usage: mouse_move DX DY [DZ]\n", c->out);
        return;
    }
    if (input_pointer_kind(c->machine) == INPUT_ABSOLUTE) {
        input_place(c->machine, x < 0 ? 0 : (unsigned)x, y < 0 ? 0 : (unsigned)y);
    } else {
        input_move(c->machine, x, y);
    }
    if (z) {
        input_wheel(c->machine, z, 0);
    }
}

void monitor_mouse_button(struct monitor_call *c)
{
    char *end;
    unsigned long held = strtoul(c->arg, &end, 0);

    if (end == c->arg || *end || held > 7) {
        fputs("usage: mouse_button N: the sum of 1 left, 2 right, 4 middle\n", c->out);
        return;
    }
    input_buttons(c->machine, (unsigned)held);
}

void monitor_info_mice(struct monitor_call *c)
{
    bool absolute, current;
    struct device *d;

    for (unsigned i = 0; (d = input_pointer_device(c->machine, i, &absolute, &current)) != NULL;
         i++) {
        fprintf(c->out, "%s Mouse #%u: %s%s\n", current ? "*" : " ", i, d->type->name,
                absolute ? " (absolute)" : "");
    }
}

void monitor_screendump(struct monitor_call *c)
{
    char path[1024] = "", word[1024];
    enum image_format format = IMAGE_PPM;
    struct error err = {{0}};
    const char *p = c->arg;
    int n;

    while (sscanf(p, "%1023s%n", word, &n) == 1) {
        p += n;
        if (!strcmp(word, "-f")) {
            bool given = sscanf(p, "%1023s%n", word, &n) == 1;
            if (!given || (strcmp(word, "png") && strcmp(word, "ppm"))) {
                fputs("Error: -f png or -f ppm\n", c->out);
                return;
            }
            p += n;
            format = strcmp(word, "png") ? IMAGE_PPM : IMAGE_PNG;
        } else if (!*path) {
            snprintf(path, sizeof(path), "%s", word);
        } else {
            fprintf(c->out, "Error: '%s' is left over\n", word);
            return;
        }
    }
    if (!*path) {
        fputs("usage: screendump FILE [-f png|ppm]\n", c->out);
    } else if (!screendump(c->machine, 0, path, format, &err)) {
        fprintf(c->out, "Error: %s\n", err.msg);
    }
}

void monitor_vnc_password(struct monitor_call *c)
{
    struct program *p = control_program(c->machine);
    char what[16], how[16], password[64] = "";
    int n = sscanf(c->arg, "%15s %15s %63s", what, how, password);

    if (n < 2 || strcmp(what, "vnc") || strcmp(how, "password")) {
        fputs("usage: change vnc password PASSWORD\n", c->out);
    } else if (n < 3) {
        fputs("Error: the password is missing\n", c->out);
    } else if (!p || !p->vnc || !vnc_set_password(p->vnc, password)) {
        fputs("Error: there is no VNC server with a password (-vnc ...,password=on)\n", c->out);
    }
}

void monitor_info_vnc(struct monitor_call *c)
{
    struct program *p = control_program(c->machine);
    struct vnc_info info;

    if (!p || !p->vnc) {
        fputs("Server: disabled\n", c->out);
        return;
    }
    vnc_describe(p->vnc, &info);
    fprintf(c->out, "Server: %s (%s), auth: %s\n", vnc_address(p->vnc), info.family,
            info.password ? "vnc" : "none");
    if (info.websocket) {
        fprintf(c->out, "  websocket: port %u\n", info.websocket);
    }
    for (unsigned i = 0; i < info.nclients; i++) {
        fprintf(c->out, "Client: %s:%s%s\n", info.client[i].host, info.client[i].service,
                info.client[i].websocket ? " (websocket)" : "");
    }
}
