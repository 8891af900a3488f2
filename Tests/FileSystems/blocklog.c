// A block device's backing file that remembers everything that was done to it.
//
// A FUSE file system with two files. `image` has a fixed size and stands under a loop device; each
// write and each flush (fsync) of it is appended to a log, in the order in which it was done.
// `marks` takes lines from the program under test ("acknowledged 3 30"), which go into the same
// log: the place of a mark tells which writes came before it.
//
// One thread serves all requests, so that the order of the log is the order of the answers. Both
// files are opened with direct I/O: nothing waits in the page cache of this file system.
//
// usage: blocklog IMAGE LOG MOUNTPOINT
//   IMAGE  the contents to begin with; it is changed in place
//   LOG    is created; records as written by append() below
//
// gcc -O2 -Wall -Wextra -o blocklog blocklog.c $(pkg-config fuse3 --cflags --libs)

#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { WRITE = 1, FLUSH = 2, MARK = 3 };

// What precedes the data of each record; little-endian, as the machines that this runs on.
struct record {
  uint32_t magic, kind;
  uint64_t offset, length;
};

static int image = -1, log_file = -1;
static off_t image_size;

static const char *const image_path = "/image", *const marks_path = "/marks";

static void append(enum kind kind, uint64_t offset, const void *data, uint64_t length) {
  struct record head = {0x474f4c42, kind, offset, length};  // "BLOG"
  if (write(log_file, &head, sizeof head) != sizeof head
      || (length && write(log_file, data, length) != (ssize_t)length)) {
    perror("blocklog: the log cannot be written");  // what follows would prove nothing
    _exit(1);
  }
}

static int get_attributes(const char *path, struct stat *status, struct fuse_file_info *file) {
  (void)file;
  memset(status, 0, sizeof *status);
  status->st_nlink = 1;
  if (strcmp(path, "/") == 0) {
    status->st_mode = S_IFDIR | 0700;
  } else if (strcmp(path, image_path) == 0) {
    status->st_mode = S_IFREG | 0600;
    status->st_size = image_size;
  } else if (strcmp(path, marks_path) == 0) {
    status->st_mode = S_IFREG | 0600;
  } else {
    return -ENOENT;
  }
  return 0;
}

static int open_file(const char *path, struct fuse_file_info *file) {
  file->direct_io = 1;
  return strcmp(path, image_path) == 0 || strcmp(path, marks_path) == 0 ? 0 : -ENOENT;
}

static int read_file(
    const char *path, char *buffer, size_t length, off_t offset, struct fuse_file_info *file) {
  (void)file;
  if (strcmp(path, image_path) != 0) return 0;
  ssize_t count = pread(image, buffer, length, offset);
  return count < 0 ? -errno : (int)count;
}

static int write_file(
    const char *path, const char *data, size_t length, off_t offset, struct fuse_file_info *file) {
  (void)file;
  if (strcmp(path, marks_path) == 0) {
    append(MARK, 0, data, length);
    return (int)length;
  }
  if (offset + (off_t)length > image_size) return -ENOSPC;
  append(WRITE, (uint64_t)offset, data, length);
  ssize_t count = pwrite(image, data, length, offset);
  return count < 0 ? -errno : (int)count;
}

static int sync_file(const char *path, int data_only, struct fuse_file_info *file) {
  (void)data_only, (void)file;
  if (strcmp(path, image_path) == 0) append(FLUSH, 0, NULL, 0);
  return 0;
}

static int truncate_file(const char *path, off_t size, struct fuse_file_info *file) {
  (void)file;
  return strcmp(path, marks_path) == 0 || size == image_size ? 0 : -EPERM;
}

static const struct fuse_operations operations = {
    .getattr = get_attributes,
    .open = open_file,
    .read = read_file,
    .write = write_file,
    .fsync = sync_file,
    .truncate = truncate_file,
};

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: blocklog IMAGE LOG MOUNTPOINT\n");
    return 64;
  }
  image = open(argv[1], O_RDWR | O_CLOEXEC);
  log_file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  struct stat status;
  if (image < 0 || log_file < 0 || fstat(image, &status) != 0) {
    perror("blocklog");
    return 2;
  }
  image_size = status.st_size;
  // -f and -s: in the foreground, one thread.
  char *arguments[] = {argv[0], "-f", "-s", "-o", "fsname=blocklog", argv[3]};
  return fuse_main(6, arguments, &operations, NULL);
}
