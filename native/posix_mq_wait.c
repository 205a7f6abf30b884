// Being told that a POSIX queue is no longer empty: mq_notify(3), by a call or by a signal. Watching its descriptor is watch.c's.
#include "naru.h"

#include <errno.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

// --- Notification. glibc calls a function in a new thread, which may run after the registration has gone: it gets a number, and
// looks whether there is still somebody of that number.

typedef struct notifier {
  napi_env env;
  napi_threadsafe_function calls;
  uintptr_t number;
  int owners; // the JavaScript object and the queue of calls
  bool closed;
  struct notifier *next;
} notifier;

static pthread_mutex_t notifiers_mutex = PTHREAD_MUTEX_INITIALIZER;
static notifier *notifiers;
static uintptr_t last_number;

static void on_notify(union sigval value) {
  pthread_mutex_lock(&notifiers_mutex);
  for (notifier *it = notifiers; it != NULL; it = it->next)
    if (it->number == (uintptr_t)value.sival_ptr) napi_call_threadsafe_function(it->calls, NULL, napi_tsfn_nonblocking);
  pthread_mutex_unlock(&notifiers_mutex);
}

static void notifier_unlist(notifier *it) {
  pthread_mutex_lock(&notifiers_mutex);
  for (notifier **at = &notifiers; *at != NULL; at = &(*at)->next) {
    if (*at != it) continue;
    *at = it->next;
    break;
  }
  pthread_mutex_unlock(&notifiers_mutex);
}

static void notifier_disown(notifier *it) {
  it->owners -= 1;
  if (it->owners == 0) free(it);
}

// Also the environment's cleanup hook.
static void notifier_stop(void *data) {
  notifier *it = data;
  if (it->closed) return;
  it->closed = true;
  notifier_unlist(it);
  napi_release_threadsafe_function(it->calls, napi_tsfn_abort);
}

static void notifier_end(notifier *it) {
  if (it->closed) return;
  napi_remove_env_cleanup_hook(it->env, notifier_stop, it);
  notifier_stop(it);
}

static void notifier_external_gone(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  notifier_end(data);
  notifier_disown(data);
}

static void notifier_calls_gone(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  notifier_disown(data);
}

static void notifier_deliver(napi_env env, napi_value callback, void *context, void *data) {
  (void)data;
  napi_value receiver;
  if (env == NULL || ((notifier *)context)->closed) return;
  if (napi_get_undefined(env, &receiver) == napi_ok) napi_call_function(env, receiver, callback, 0, NULL, NULL);
}

// (callback): keeps the event loop alive until it is closed. Registers nothing yet.
static napi_value notifier_create(napi_env env, napi_callback_info info) {
  napi_value value, name, external;
  if (!args_read(env, info, 1, &value)) return NULL;
  notifier *it = calloc(1, sizeof *it);
  if (it == NULL) return throw_errno(env, ENOMEM, "mq_notify");
  it->env = env;
  it->owners = 1;
  if (napi_create_string_utf8(env, "naru.posixNotifier", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, value, NULL, name, 0, 1, it, notifier_calls_gone, it, notifier_deliver,
                                      &it->calls) != napi_ok) {
    free(it);
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "callback must be a function");
    return NULL;
  }
  pthread_mutex_lock(&notifiers_mutex);
  it->number = ++last_number;
  it->next = notifiers;
  notifiers = it;
  pthread_mutex_unlock(&notifiers_mutex);
  napi_add_env_cleanup_hook(env, notifier_stop, it);
  if (napi_create_external(env, it, notifier_external_gone, NULL, &external) == napi_ok) {
    it->owners += 1;
    return external;
  }
  notifier_end(it);
  return NULL;
}

static notifier *arg_notifier(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) == napi_ok && !((notifier *)data)->closed) return data;
  napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "notifier must be one that was not closed");
  return NULL;
}

// (notifier, fd): registers for the next arrival in an empty queue. @throws EBUSY
static napi_value notifier_arm(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd;
  notifier *it;
  if (!args_read(env, info, 2, values) || (it = arg_notifier(env, values[0])) == NULL || !arg_fd(env, values[1], &fd))
    return NULL;
  const struct sigevent event = {.sigev_notify = SIGEV_THREAD,
                                 .sigev_notify_function = on_notify,
                                 .sigev_value = {.sival_ptr = (void *)it->number}};
  return mq_notify(fd, &event) == 0 ? NULL : throw_errno(env, errno, "mq_notify");
}

static napi_value notifier_close(napi_env env, napi_callback_info info) {
  napi_value value;
  notifier *it;
  if (args_read(env, info, 1, &value) && (it = arg_notifier(env, value)) != NULL) notifier_end(it);
  return NULL;
}

static bool has_handler(int number) {
  struct sigaction current;
  if (number == interrupt_signal() || sigaction(number, NULL, &current) != 0) return false;
  return (current.sa_flags & SA_SIGINFO) != 0 || (current.sa_handler != SIG_DFL && current.sa_handler != SIG_IGN);
}

// (number): whether this process handles the signal, in whatever way.
static napi_value signal_has_handler(napi_env env, napi_callback_info info) {
  napi_value value, result;
  int64_t number;
  if (!args_read(env, info, 1, &value) || !arg_integer(env, value, "signal", 1, SIGRTMAX, &number)) return NULL;
  return napi_get_boolean(env, has_handler((int)number), &result) == napi_ok ? result : NULL;
}

// [SIGRTMIN, SIGRTMAX]: the C library keeps the first ones for itself, signal(7).
static napi_value real_time_signals(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value list, number;
  const int range[] = {SIGRTMIN, SIGRTMAX};
  if (napi_create_array_with_length(env, 2, &list) != napi_ok) return NULL;
  for (uint32_t i = 0; i < 2; i++)
    if (napi_create_int32(env, range[i], &number) == napi_ok) napi_set_element(env, list, i, number);
  return list;
}

// (fd, signal, value): registers for a signal. @throws EBUSY; EPERM when nothing here handles it
static napi_value notify_by_signal(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd;
  int64_t number, value;
  if (!args_read(env, info, 3, values) || !arg_fd(env, values[0], &fd) ||
      !arg_integer(env, values[1], "signal", 1, SIGRTMAX, &number) ||
      !arg_integer(env, values[2], "value", INT32_MIN, INT32_MAX, &value))
    return NULL;
  if (!has_handler((int)number)) return throw_code(env, EPERM, NULL, "nothing in this process handles the signal");
  const struct sigevent event = {
      .sigev_notify = SIGEV_SIGNAL, .sigev_signo = (int)number, .sigev_value = {.sival_int = (int)value}};
  return mq_notify(fd, &event) == 0 ? NULL : throw_errno(env, errno, "mq_notify");
}

// (fd): takes back the registration of this process, if it has one.
static napi_value notify_cancel(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  return mq_notify(fd, NULL) == 0 ? NULL : throw_errno(env, errno, "mq_notify");
}

#define METHOD(name, function) {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL}

bool naru_init_posix_mq_wait(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      METHOD("posixNotifier", notifier_create),
      METHOD("posixNotifierArm", notifier_arm),
      METHOD("posixNotifierClose", notifier_close),
      METHOD("posixNotifySignal", notify_by_signal),
      METHOD("posixNotifyCancel", notify_cancel),
      METHOD("signalHasHandler", signal_has_handler),
      METHOD("realTimeSignals", real_time_signals),
  };
  return napi_define_properties(env, exports, sizeof properties / sizeof properties[0], properties) == napi_ok;
}
