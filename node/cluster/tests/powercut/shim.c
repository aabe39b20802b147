/* Records every change and every sync of the files below $SHIM_ROOT, in order, into $SHIM_LOG, together with the
 * "ACK n" lines the process prints, so that a test can rebuild what a disk may hold after a power cut. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 4096
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *names[FILES];
static const char *root;
static int out = -1;

static ssize_t raw(int fd, const void *data, size_t bytes) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = NEXT(write);
    return real(fd, data, bytes);
}

__attribute__((constructor)) static void begin(void) {
    static int (*real)(const char *, int, ...);
    const char *path = getenv("SHIM_LOG");
    root = getenv("SHIM_ROOT");
    real = NEXT(open64);
    if (root && path) out = real(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
}

static void note(char op, const char *path, uint64_t at, const void *data, uint64_t bytes) {
    struct __attribute__((packed)) { char op; uint16_t path; uint64_t at, bytes; } head = {op, strlen(path), at, bytes};
    if (out < 0) return;
    raw(out, &head, sizeof head);
    raw(out, path, head.path);
    if (data) raw(out, data, bytes);
}

static int ours(int fd) { return fd >= 0 && fd < FILES && names[fd]; }

static int opened(int fd, const char *path, int flags) {
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FILES) {
        free(names[fd]);
        names[fd] = root && !strncmp(path, root, strlen(root)) ? strdup(path) : NULL;
        if (names[fd] && (flags & O_TRUNC)) note('T', path, 0, NULL, 0);
        else if (names[fd] && (flags & O_CREAT)) note('C', path, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    return opened(NEXT(open64)(path, flags, mode), path, flags);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    return opened(NEXT(open)(path, flags, mode), path, flags);
}

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (ours(fd)) { free(names[fd]); names[fd] = NULL; }
    pthread_mutex_unlock(&lock);
    return NEXT(close)(fd);
}

#define LOCKED(type, call, op, at, data, bytes)                          \
    pthread_mutex_lock(&lock);                                           \
    type result = call;                                                  \
    if (result >= 0 && ours(fd)) note(op, names[fd], at, data, bytes);   \
    pthread_mutex_unlock(&lock);                                         \
    return result

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at) {
    LOCKED(ssize_t, NEXT(pwrite64)(fd, data, bytes, at), 'W', at, data, result);
}

ssize_t write(int fd, const void *data, size_t bytes) {
    if (fd == 1 && bytes > 4 && !memcmp(data, "ACK ", 4)) {
        pthread_mutex_lock(&lock);
        note('A', "", strtoull((const char *)data + 4, NULL, 10), NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    if (!ours(fd)) return raw(fd, data, bytes);
    off_t at = lseek(fd, 0, SEEK_CUR);
    LOCKED(ssize_t, raw(fd, data, bytes), 'W', at, data, result);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!ours(fd)) return NEXT(writev)(fd, parts, count);
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t wrote = write(fd, parts[i].iov_base, parts[i].iov_len);
        if (wrote < 0) return total ? total : wrote;
        total += wrote;
    }
    return total;
}

int ftruncate64(int fd, off64_t bytes) { LOCKED(int, NEXT(ftruncate64)(fd, bytes), 'L', bytes, NULL, 0); }
int ftruncate(int fd, off_t bytes) { return ftruncate64(fd, bytes); }
int fsync(int fd) { LOCKED(int, NEXT(fsync)(fd), 'S', 0, NULL, 0); }
int fdatasync(int fd) { LOCKED(int, NEXT(fdatasync)(fd), 'S', 0, NULL, 0); }

int rename(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    int result = NEXT(rename)(from, to);
    if (!result && root && !strncmp(from, root, strlen(root))) note('N', from, 0, to, strlen(to));
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int result = NEXT(unlink)(path);
    if (!result && root && !strncmp(path, root, strlen(root))) note('U', path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
