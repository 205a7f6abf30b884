// A process that ends with the one that started it: PR_SET_PDEATHSIG, prctl(2). The kernel sends the signal when the thread that
// forked ends, however it ends, and to a process that sleeps in a call as well.
#include "naru.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

// → false when that parent has ended already
napi_value naru_die_with_parent(napi_env env, napi_callback_info info) {
  napi_value value, result;
  int64_t pid;
  if (!args_read(env, info, 1, &value) || !arg_integer(env, value, "pid", 1, INT32_MAX, &pid)) return NULL;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return throw_errno(env, errno, "prctl");
  // It may have ended before: then the signal was meant for nobody.
  if (napi_get_boolean(env, getppid() == (pid_t)pid, &result) != napi_ok) return NULL;
  return result;
}
