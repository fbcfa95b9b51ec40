/* SPDX-License-Identifier: MIT */
/*
 * Opens, maps and reads a model file. A mapping whose file shrinks is a SIGBUS that no library can
 * catch for its caller; hence the header is read before anything is mapped, and file systems that
 * may lose a file under a reader are read, not mapped.
 */
#define _DEFAULT_SOURCE   /* madvise */
#define _FILE_OFFSET_BITS 64
#include "weights/file.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a FIFO";
    case S_IFCHR: return "a character device";
    case S_IFBLK: return "a block device";
    default: return "something else";
    }
}

/* Network and user-space file systems: another machine or process may truncate or lose the file.
 * The numbers are those of statfs(2) and of each system's own sources. */
static bool may_vanish(int fd)
{
    static const uint32_t magic[] = {
        0x00006969, /* NFS */
        0x0BD00BD0, /* Lustre */
        0x65735546, /* FUSE */
        0xFF534D42, /* CIFS */
        0xFE534D42, /* SMB2 */
        0x00C36400, /* Ceph */
        0x47504653, /* GPFS */
        0x19830326, /* BeeGFS */
        0x01021997, /* 9P */
    };
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return true;
    for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
        if ((uint32_t)fs.f_type == magic[i])
            return true;
    return false;
}

static psgvit_status inspect(pv_file *file, psgvit_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return pv_fail_errno(err, PSGVIT_E_MODEL, file->name, "cannot be inspected");
    if (!S_ISREG(st.st_mode))
        return pv_fail(err, PSGVIT_E_MODEL, "%s: expected a regular file, found %s", file->name,
                       kind_of(st.st_mode));
    file->size = (uint64_t)st.st_size;
    file->modified = st.st_mtim;
    return PSGVIT_OK;
}

psgvit_status pv_file_open(pv_file *file, const char *path, unsigned flags, psgvit_error *err)
{
    *file = (pv_file){.name = path};
    do {
        file->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    } while (file->fd < 0 && errno == EINTR);
    if (file->fd < 0)
        return pv_fail_errno(err, PSGVIT_E_MODEL, file->name, "cannot be opened");
    psgvit_status status = inspect(file, err);
    if (status)
        pv_file_close(file);
    else
        file->may_map = !(flags & PSGVIT_READ) && !may_vanish(file->fd);
    return status;
}

void pv_file_borrow(pv_file *file, const char *name, const void *data, size_t size)
{
    *file = (pv_file){.name = name, .data = data, .size = size, .fd = -1};
}

void pv_file_map(pv_file *file)
{
    if (!file->may_map || file->size > SIZE_MAX)
        return;
    void *data = mmap(NULL, (size_t)file->size, PROT_READ, MAP_PRIVATE, file->fd, 0);
    if (data == MAP_FAILED)
        return;
    /* Tensors are read in their order. 341 MB that are not in the page cache: 97 ms instead of 194
     * (median of three, virtual disk); in the page cache no difference. */
    (void)madvise(data, (size_t)file->size, MADV_SEQUENTIAL);
    file->data = data;
    file->mapped = true;
}

psgvit_status pv_file_read(const pv_file *file, uint64_t offset, void *bytes, size_t count,
                           psgvit_error *err)
{
    unsigned char *to = bytes;
    if (file->data) {
        memcpy(to, file->data + offset, count);
        return PSGVIT_OK;
    }
    while (count > 0) {
        ssize_t got = pread(file->fd, to, count, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pv_fail_errno(err, PSGVIT_E_MODEL, file->name, "cannot be read");
        if (got == 0)
            return pv_fail(err, PSGVIT_E_MODEL,
                           "%s: ends at byte %" PRIu64 ", expected %" PRIu64
                           ": it became shorter while it was read",
                           file->name, offset, file->size);
        to += got;
        count -= (size_t)got;
        offset += (uint64_t)got;
    }
    return PSGVIT_OK;
}

void pv_file_release(const pv_file *file, uint64_t offset, size_t count)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!file->mapped)
        return;
    /* The whole pages inside of the range: at its ends it may share one with a neighbour. */
    size_t begin = (size_t)offset + page - 1, end = (size_t)offset + count;
    begin -= begin % page;
    end -= end % page;
    if (begin < end)
        (void)madvise((void *)(uintptr_t)(file->data + begin), end - begin, MADV_DONTNEED);
}

psgvit_status pv_file_unchanged(const pv_file *file, psgvit_error *err)
{
    struct stat st;
    if (file->fd < 0)
        return PSGVIT_OK;
    if (fstat(file->fd, &st) != 0)
        return pv_fail_errno(err, PSGVIT_E_MODEL, file->name, "cannot be inspected");
    if ((uint64_t)st.st_size != file->size || st.st_mtim.tv_sec != file->modified.tv_sec ||
        st.st_mtim.tv_nsec != file->modified.tv_nsec)
        return pv_fail(err, PSGVIT_E_MODEL,
                       "%s: changed while it was read: expected %" PRIu64 " bytes as of opening, "
                       "found %" PRIu64 " and another time",
                       file->name, file->size, (uint64_t)st.st_size);
    return PSGVIT_OK;
}

void pv_file_close(pv_file *file)
{
    if (file->mapped)
        (void)munmap((void *)(uintptr_t)file->data, (size_t)file->size);
    if (file->fd >= 0)
        (void)close(file->fd);
    *file = (pv_file){.fd = -1};
}
