// Makes each flush to disk take at least a millisecond, as on most disks that are reached over a
// network. To be preloaded into a server: LD_PRELOAD.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

static int flush_slowly(const char* name, int fd) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    int (*flush)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = flush(fd);
    int error = errno;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR) {
    }
    errno = error;
    return result;
}

int fsync(int fd) {
    return flush_slowly("fsync", fd);
}

int fdatasync(int fd) {
    return flush_slowly("fdatasync", fd);
}
