// Who is at the other end of a Unix socket: SO_PEERCRED, unix(7). The kernel fills it in at connect(2), nobody can forge it.
#include "naru.h"

#include <errno.h>
#include <sys/socket.h>

static bool set_number(napi_env env, napi_value object, const char *name, int64_t value) {
  napi_value number;
  return napi_create_int64(env, value, &number) == napi_ok &&
         napi_set_named_property(env, object, name, number) == napi_ok;
}

napi_value naru_peer_credentials(napi_env env, napi_callback_info info) {
  napi_value value, result;
  int fd, domain;
  struct ucred peer;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  socklen_t size = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return throw_errno(env, errno, "getsockopt");
  if (domain != AF_UNIX) return throw_code(env, EOPNOTSUPP, "getsockopt", "only a Unix socket knows its peer");
  size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return throw_errno(env, errno, "getsockopt");
  // Without a peer the kernel answers with success and nobody.
  if (peer.uid == (uid_t)-1) return throw_errno(env, ENOTCONN, "getsockopt");
  if (napi_create_object(env, &result) != napi_ok || !set_number(env, result, "pid", peer.pid) ||
      !set_number(env, result, "uid", peer.uid) || !set_number(env, result, "gid", peer.gid))
    return NULL;
  return result;
}
