// Declarations that glibc hides unless _GNU_SOURCE is defined, which Swift's own module does not do.
#pragma once
#if defined(__linux__)
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <fcntl.h>   // fallocate, FALLOC_FL_KEEP_SIZE
#include <sched.h>   // sched_getaffinity
#include <stdio.h>   // renameat2, RENAME_NOREPLACE
#endif
