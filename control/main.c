/* dragoman: the program. */
#include "config.h"
#include "control/img/img.h"
#include "control/qmp.h"
#include "control/setup.h"
#include "cpu/cpuid.h"
#include "host/chardev.h"
#include "host/mainloop.h"
#include "host/nearest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const struct error *err)
{
    fprintf(stderr, "dragoman: %s\n", err->msg);
    return 1;
}

static void print_and_free(char *text)
{
    fputs(text, stdout);
    free(text);
}

static int help_device(const char *arg)
{
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg, ","), arg);
    const struct device_type *t = device_type_find(name);
    if (!t) {
        const char *near = device_type_nearest(name);
        fprintf(stderr, "dragoman: -device %s: unknown device '%s'%s\n", arg, name,
                nearest_hint(near, "-device help lists them").text);
        return 1;
    }
    print_and_free(device_type_help(t));
    return 0;
}

static int help(const struct options *o)
{
    if (!strcmp(o->help, "version")) {
        printf("dragoman version %s\n", DRAGOMAN_VERSION);
    } else if (!strcmp(o->help, "machine")) {
        for (const struct machine_type *const *t = machine_types; *t; t++) {
            printf("%-12s %s\n", (*t)->name, (*t)->summary);
        }
    } else if (!strcmp(o->help, "cpu")) {
        print_and_free(x86_model_help());
    } else if (!strcmp(o->help, "device")) {
        if (o->help_arg) {
            return help_device(o->help_arg);
        }
        print_and_free(device_types_help());
    } else if (!strcmp(o->help, "devices-doc")) {
        print_and_free(device_doc());
    } else if (!strcmp(o->help, "accel")) {
        print_and_free(tcg_accel_help());
    } else if (!strcmp(o->help, "d")) {
        print_and_free(log_help());
    } else if (!strcmp(o->help, "trace")) {
        print_and_free(log_trace_help());
    } else if (!strcmp(o->help, "qmp")) {
        print_and_free(qmp_doc());
    } else if (!strcmp(o->help, "netdev") || !strcmp(o->help, "nic")) {
        print_and_free(setup_netdev_help());
    } else if (!strcmp(o->help, "object")) {
        print_and_free(setup_object_help());
    } else if (!strcmp(o->help, "display")) {
        print_and_free(display_help());
    } else if (!strcmp(o->help, "chardev")) {
        print_and_free(chardev_help());
    } else {
        print_and_free(options_help());
    }
    return 0;
}

static void on_signal(void *opaque)
{
    struct machine *m = opaque;

    m->exit_status = 0;
    m->cause = CAUSE_SIGNAL;
    machine_request(m, REQUEST_EXIT, "ended by a signal");
}

static bool write_pidfile(const char *path, struct error *err)
{
    FILE *f = fopen(path, "w");

    if (!f || fprintf(f, "%ld\n", (long)getpid()) < 0 || fclose(f)) {
        return error_set(err, "-pidfile %s: %s", path, strerror(errno));
    }
    return true;
}

int main(int argc, char **argv)
{
    struct program p = {0};
    struct error err = {0};
    int status;

    signal(SIGPIPE, SIG_IGN);
    if (argc > 1 && !strcmp(argv[1], "img")) {
        return img_main(argc - 1, argv + 1);
    }
    if (!options_parse(&p.opt, argc, argv, &err)) {
        return fail(&err);
    }
    if (p.opt.help) {
        return help(&p.opt);
    }
    if (!program_setup(&p, &err) || (p.opt.pidfile && !write_pidfile(p.opt.pidfile, &err))) {
        program_destroy(&p); /* restores the terminal before the message */
        return fail(&err);
    }
    mainloop_signal(p.loop, SIGINT, on_signal, p.machine);
    mainloop_signal(p.loop, SIGTERM, on_signal, p.machine);
    mainloop_signal(p.loop, SIGHUP, on_signal, p.machine);
    if (!p.opt.paused) {
        machine_set_running(p.machine, true);
    }
    mainloop_run(p.loop);
    if (p.log.mask & LOG_STATS) {
        char *text = tcg_describe(p.machine->tcg);
        log_write(&p.log, "%s", text);
        free(text);
    }
    status = p.machine->exit_status;
    program_destroy(&p);
    if (p.opt.pidfile) {
        unlink(p.opt.pidfile);
    }
    return status;
}
