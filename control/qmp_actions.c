/* What happens when the guest resets, switches off, panics or lets the watchdog expire: -action,
 * set-action and watchdog-set-action. */
#include "control/qmp.h"

#include <stdio.h>
#include <string.h>

static const char *const reboot_actions[] = {"reset", "shutdown", NULL};
static const char *const shutdown_actions[] = {"poweroff", "pause", NULL};
const char *const qmp_panic_actions[] = {"pause", "shutdown", "exit-failure", "none", NULL};
const char *const qmp_watchdog_actions[] = {"reset", "shutdown", "poweroff",   "pause",
                                            "debug", "none",     "inject-nmi", NULL};

static const struct {
    const char *event;
    const char *const *actions;
} events[] = {
    {"reboot", reboot_actions},
    {"shutdown", shutdown_actions},
    {"panic", qmp_panic_actions},
    {"watchdog", qmp_watchdog_actions},
};
enum { NEVENTS = sizeof(events) / sizeof(events[0]) };

static void set(struct machine *m, unsigned event, unsigned action)
{
    switch (event) {
    case 0:
        m->no_reboot = action;
        break;
    case 1:
        m->no_shutdown = action;
        break;
    case 2:
        m->panic_action = action;
        break;
    default:
        m->watchdog_action = action;
        break;
    }
}

bool actions_pair(void *machine, const char *key, const char *value, struct error *err)
{
    char known[128] = "";

    for (unsigned e = 0; e < NEVENTS; e++) {
        if (strcmp(events[e].event, key)) {
            continue;
        }
        for (unsigned a = 0; events[e].actions[a]; a++) {
            if (value && !strcmp(events[e].actions[a], value)) {
                set(machine, e, a);
                return true;
            }
            size_t n = strlen(known);
            snprintf(known + n, sizeof(known) - n, "%s%s", n ? ", " : "", events[e].actions[a]);
        }
        return error_set(err, "%s=%s is none of %s", key, value ? value : "", known);
    }
    return error_set(err, "unknown event '%s' (known: reboot, shutdown, panic, watchdog)", key);
}

bool qmp_set_action(struct qmp_call *c)
{
    for (unsigned e = 0; e < NEVENTS; e++) {
        json_t *v = json_object_get(c->args, events[e].event);
        if (v && !actions_pair(c->machine, events[e].event, json_string_value(v), &c->err)) {
            return false;
        }
    }
    return true;
}

bool qmp_watchdog_set_action(struct qmp_call *c)
{
    return actions_pair(c->machine, "watchdog",
                        json_string_value(json_object_get(c->args, "action")), &c->err);
}
