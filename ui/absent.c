/* What stands in for the user interfaces whose library configure did not find. */
#include "config.h"
#include "ui/ui.h"
#include "ui/vnc.h"

#include <string.h>

#ifndef HAVE_VNC
struct vnc_server *vnc_create(struct machine *m, const struct vnc_options *o, struct error *err)
{
    (void)m;
    (void)o;
    error_set(err, "this program was built without libvncserver");
    return NULL;
}
void vnc_destroy(struct vnc_server *v)
{
    (void)v;
}
void vnc_describe(struct vnc_server *v, struct vnc_info *info)
{
    (void)v;
    memset(info, 0, sizeof(*info));
}
bool vnc_set_password(struct vnc_server *v, const char *password)
{
    (void)v;
    (void)password;
    return false;
}
void vnc_expire_password(struct vnc_server *v, time_t when)
{
    (void)v;
    (void)when;
}
bool vnc_add_client(struct vnc_server *v, int fd)
{
    (void)v;
    (void)fd;
    return false;
}
const char *vnc_address(const struct vnc_server *v)
{
    (void)v;
    return "";
}
#endif

#ifndef HAVE_SDL
struct sdl_ui *sdl_create(struct machine *m, const struct sdl_options *o, struct error *err)
{
    (void)m;
    (void)o;
    error_set(err, "this program was built without SDL2");
    return NULL;
}
void sdl_destroy(struct sdl_ui *ui)
{
    (void)ui;
}
#endif

#ifndef HAVE_CURSES
struct curses_ui *curses_create(struct machine *m, struct mainloop *loop, struct error *err)
{
    (void)m;
    (void)loop;
    error_set(err, "this program was built without ncursesw");
    return NULL;
}
void curses_destroy(struct curses_ui *ui)
{
    (void)ui;
}
#endif
