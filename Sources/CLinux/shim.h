// Declarations that glibc hides unless _GNU_SOURCE is defined, which Swift's own module does not do.
#pragma once
#if defined(__linux__)
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <fcntl.h>   // fallocate, FALLOC_FL_KEEP_SIZE
#include <sched.h>   // sched_getaffinity
#include <stdio.h>   // renameat2, RENAME_NOREPLACE
#include <sys/quota.h>
#include <unistd.h>

// quotactl_fd(2), Linux 5.14, which has no wrapper and one number on every architecture.
static inline int checkpoint_quota(int fd, int type, unsigned id, struct dqblk *quota) {
  return (int)syscall(443, fd, QCMD(Q_GETQUOTA, type), id, quota);
}
#endif
