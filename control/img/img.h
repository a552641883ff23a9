/* dragoman img: the work on disk images that qemu-img does, with its option letters, output and
 * exit codes. */
#ifndef CONTROL_IMG_IMG_H
#define CONTROL_IMG_IMG_H

#include <getopt.h>

#include "host/block_node.h"

/* argv[0] is "img". Returns the exit status. */
int img_main(int argc, char **argv);

struct img_command {
    const char *name, *args, *help;
    int (*run)(int argc, char **argv); /* argv[0]: the command's name */
};

/* ---- img.c ---- */
int img_fail(const struct error *err); /* prints it; 1 */
int img_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "1G", "512k", bare bytes; false: not a size. */
bool img_size(const char *text, uint64_t *out);
void img_size_text(uint64_t bytes, char out[32]); /* "1.5 GiB" */
/* Opens an image; NULL after printing why. cache: mode of -t/-T, NULL: writeback. */
struct block_node *img_open(struct block_graph *g, const char *file, const char *format,
                            struct node_flags flags, const char *cache);
/* One line of progress for -p, 0 to 100; < 0: the end of it. */
void img_progress(bool on, double percent);
void img_print_json(json_t *o); /* and frees it */
void img_print_snapshots(json_t *list);

/* ---- img_create.c ---- */
/* Makes an image; options: texts of -o. print: what qemu-img create says. */
struct img_new {
    const char *format, *file, *backing, *backing_format;
    json_t *options; /* key: text */
    uint64_t size;
    bool has_size, quiet, no_check; /* no_check: -u, the backing file need not be there */
};
bool img_add_options(json_t *options, const char *text, struct error *err);
bool img_make(struct img_new *n, struct error *err);

int img_create(int argc, char **argv);
int img_info(int argc, char **argv);
int img_check(int argc, char **argv);
int img_convert(int argc, char **argv);
int img_resize(int argc, char **argv);
int img_snapshot(int argc, char **argv);
int img_compare(int argc, char **argv);
int img_map(int argc, char **argv);

#endif
