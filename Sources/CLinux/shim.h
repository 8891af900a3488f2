// Declarations that glibc hides unless _GNU_SOURCE is defined, which Swift's own module does not do.
#pragma once
#if defined(__linux__)
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <fcntl.h>   // fallocate, FALLOC_FL_KEEP_SIZE, O_DIRECT, sync_file_range
#include <sched.h>   // sched_getaffinity
#include <stdio.h>   // renameat2, RENAME_NOREPLACE

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
#endif
