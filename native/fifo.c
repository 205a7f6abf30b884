// Named pipes with an exact mode, and a byte into one. mkfifo(3): The umask is the process's and not to be changed for a moment (another thread
// might create a file in that moment), so the mode is set afterwards, on the very object that was made.
#include "naru.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

// O_PATH needs no permission on the object, which the umask may just have taken away: open(2).
static int set_mode(const char *path, mode_t mode) {
  const int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno;
  struct stat status;
  int error = fstat(fd, &status) == 0 ? 0 : errno;
  // Somebody else's object under our name: not ours to change.
  if (error == 0 && (!S_ISFIFO(status.st_mode) || status.st_uid != geteuid() || status.st_nlink != 1)) error = EEXIST;
  if (error == 0 && (status.st_mode & 07777) != mode) {
    // fchmod(2) refuses a descriptor of O_PATH; its name under /proc leads to the same object and nowhere else.
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (chmod(name, mode) != 0) error = errno;
  }
  close(fd);
  return error;
}

napi_value naru_make_fifo(napi_env env, napi_callback_info info) {
  napi_value values[2];
  char path[PATH_MAX];
  int64_t mode;
  if (!args_read(env, info, 2, values) || !arg_string(env, values[0], "path", path, sizeof path) ||
      !arg_integer(env, values[1], "mode", 0, 0777, &mode))
    return NULL;
  if (mkfifo(path, (mode_t)mode) != 0) return throw_errno(env, errno, "mkfifo");
  const int error = set_mode(path, (mode_t)mode);
  if (error == 0) return NULL;
  if (error != EEXIST && error != ENOENT) unlink(path);
  return throw_errno(env, error, "chmod");
}

// One system call, where node:fs would cost as much again: this is on the path of every message to an event loop that sleeps.
napi_value naru_write_byte(napi_env env, napi_callback_info info) {
  napi_value value, result;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  ssize_t written;
  do written = write(fd, "\1", 1);
  while (written < 0 && errno == EINTR);
  if (written < 0 && errno != EAGAIN) return throw_errno(env, errno, "write");
  napi_get_boolean(env, written == 1, &result);
  return result;
}
