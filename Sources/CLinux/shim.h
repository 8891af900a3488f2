// Declarations that glibc hides unless _GNU_SOURCE is defined, which Swift's own module does not do.
#pragma once
#if defined(__linux__)
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <fcntl.h>   // fallocate, FALLOC_FL_KEEP_SIZE, O_DIRECT, sync_file_range
#include <sched.h>   // sched_getaffinity
#include <stdio.h>   // renameat2, RENAME_NOREPLACE
#include <sys/syscall.h>  // SYS_preadv2

// What the kernel calls struct if_dqblk. The C library's header of quotas declares types that Swift has
// from elsewhere, and differently.
struct checkpoint_quota {
  unsigned long long hard_limit;  // blocks of 1,024 bytes; 0 is none
  unsigned long long soft_limit;
  unsigned long long used;  // bytes
  unsigned long long of_files_and_times[5];
  unsigned int valid;
};

extern long syscall(long number, ...);

// quotactl_fd(2), Linux 5.14, which has no wrapper and one number on every architecture; type 0 is that of
// a user, 1 of a group.
static inline int checkpoint_quota_get(
    int fd, int type, unsigned id, struct checkpoint_quota *quota) {
  const unsigned get_quota = 0x800007;
  return (int)syscall(443, fd, get_quota << 8 | (unsigned)type, id, quota);
}

// Whether the page at an offset is in the page cache, or on its way there: cachestat(2), Linux 6.5, which has
// no wrapper and one number on every architecture. No if the system does not tell, or tells owners only.
static inline int checkpoint_is_cached(int fd, off_t offset) {
  const unsigned long long range[2] = {(unsigned long long)offset, 1};
  unsigned long long pages[5] = {0};  // in the cache, and in which ways
  return syscall(451, fd, range, pages, 0) == 0 && pages[0] > 0;
}

// Reads a byte if that needs no waiting. By number: with the header of preadv2(2), Swift would have
// the type of its places twice.
static inline void checkpoint_touch(int fd, off_t offset) {
  const int nowait = 8;  // RWF_NOWAIT
  char byte;
  const struct {
    void *start;
    size_t count;
  } place = {&byte, 1};
  const long high = (long)((unsigned long long)offset >> 32);
  syscall(SYS_preadv2, fd, &place, 1UL, (long)offset, high, nowait);
}
#endif
