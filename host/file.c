/* Whole files in memory. */
#include "host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_all(int fd, uint8_t *buf, size_t len)
{
    while (len) {
        ssize_t n = read(fd, buf, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n ? errno : EIO;
            return false;
        }
        buf += n;
        len -= (size_t)n;
    }
    return true;
}

bool file_open(const char *path, int *fd, size_t *len, struct error *err)
{
    struct stat st;
    bool ok = false;

    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &st)) {
        error_set(err, "cannot open '%s': %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        error_set(err, "'%s' is not a regular file", path);
    } else if (!st.st_size) {
        error_set(err, "'%s' is empty", path);
    } else if (st.st_size > INT64_C(0x100000000)) {
        error_set(err, "'%s' is larger than 4 GiB", path);
    } else {
        *len = (size_t)st.st_size;
        ok = true;
    }
    if (!ok && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return ok;
}

bool file_read(const char *path, uint8_t **data, size_t *len, struct error *err)
{
    int fd;

    if (!file_open(path, &fd, len, err)) {
        return false;
    }
    *data = malloc(*len);
    bool ok = *data && read_all(fd, *data, *len);
    if (!ok) {
        error_set(err, "cannot read '%s': %s", path, strerror(errno));
        free(*data);
        *data = NULL;
    }
    close(fd);
    return ok;
}
