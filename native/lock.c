// Locks on files: flock(2). They belong to the open file description, so threads of one process count as strangers, another
// close() in the process does not drop them (as it would with fcntl(2)), and the kernel frees them at the holder's death.
#include "naru.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

static int flock_again(int fd, int operation) {
  int failed;
  do failed = flock(fd, operation);
  while (failed != 0 && errno == EINTR);
  return failed;
}

napi_value naru_try_lock(napi_env env, napi_callback_info info) {
  napi_value values[2], result;
  int fd;
  char mode[16];
  if (!args_read(env, info, 2, values) || !arg_fd(env, values[0], &fd) ||
      !arg_string(env, values[1], "mode", mode, sizeof mode))
    return NULL;
  const bool exclusive = strcmp(mode, "exclusive") == 0;
  if (!exclusive && strcmp(mode, "shared") != 0) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "mode must be 'exclusive' or 'shared'");
    return NULL;
  }
  const bool locked = flock_again(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return throw_errno(env, errno, "flock");
  napi_get_boolean(env, locked, &result);
  return result;
}

napi_value naru_unlock(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  return flock_again(fd, LOCK_UN) == 0 ? NULL : throw_errno(env, errno, "flock");
}

// Another descriptor of the same open file description, and so of its lock. One for libuv to own and close, one for node:fs,
// which counts what it opened in a worker and would otherwise close a number that is somebody else's by then.
napi_value naru_duplicate(napi_env env, napi_callback_info info) {
  napi_value value, result;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return throw_errno(env, errno, "fcntl");
  napi_create_int32(env, copy, &result);
  return result;
}
