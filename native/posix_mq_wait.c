// Waiting for a POSIX queue: its descriptor is watched by the event loop (epoll), and mq_notify(3) tells when it is no longer empty.
#include "naru.h"

#include <errno.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

// --- Watching. libuv's own handles, because the descriptor has to be in the loop's epoll set. node-api-headers has no uv.h; these are
// the parts of libuv's stable interface that need no layout: the size of a handle is asked for.
typedef struct uv_handle_s uv_handle_t;
extern int uv_poll_init(struct uv_loop_s *loop, uv_handle_t *handle, int fd);
extern int uv_poll_start(uv_handle_t *handle, int events, void (*callback)(uv_handle_t *, int status, int events));
extern int uv_poll_stop(uv_handle_t *handle);
extern void uv_ref(uv_handle_t *handle);
extern void uv_unref(uv_handle_t *handle);
extern void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *));
extern size_t uv_handle_size(int type);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void *uv_handle_get_data(const uv_handle_t *handle);
enum { UV_POLL_TYPE = 8, READABLE = 1, READABLE_OR_WRITABLE = 3 };

typedef struct {
  napi_env env;
  uv_handle_t *handle;
  napi_ref callback;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  bool closing;
  int watched; // what the event loop looks for
  int wanted;  // what anybody waits for
} queue_watch;

static void on_closed(uv_handle_t *handle) {
  queue_watch *it = uv_handle_get_data(handle);
  if (it->hook != NULL) napi_remove_async_cleanup_hook(it->hook);
  free(it->handle);
  free(it);
}

static void watch_end(queue_watch *it) {
  if (it->closing) return;
  it->closing = true;
  napi_delete_reference(it->env, it->callback);
  napi_async_destroy(it->env, it->context);
  uv_close(it->handle, on_closed);
}

// The environment's end: the loop must not be left with a handle of ours.
static void watch_cleanup(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  watch_end(data);
}

static void stop_watching(queue_watch *it) {
  uv_poll_stop(it->handle);
  it->watched = 0;
}

static void on_ready(uv_handle_t *handle, int status, int events) {
  (void)status, (void)events;
  queue_watch *it = uv_handle_get_data(handle);
  if (it->wanted == 0) {
    stop_watching(it);
    return;
  }
  napi_env env = it->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, receiver, error;
  if (napi_get_reference_value(env, it->callback, &callback) == napi_ok && napi_get_global(env, &receiver) == napi_ok &&
      napi_make_callback(env, it->context, receiver, callback, 0, NULL, NULL) == napi_pending_exception &&
      napi_get_and_clear_last_exception(env, &error) == napi_ok)
    napi_fatal_exception(env, error);
  napi_close_handle_scope(env, scope);
}

// Frees what a watch that could not be made has got.
static napi_value watch_failed(napi_env env, queue_watch *it, const char *syscall) {
  if (it != NULL) {
    if (it->callback != NULL) napi_delete_reference(env, it->callback);
    if (it->context != NULL) napi_async_destroy(env, it->context);
    free(it->handle);
    free(it);
  }
  return throw_errno(env, ENOMEM, syscall);
}

// (fd, callback): called whenever it is ready for what was asked for.
static napi_value watch(napi_env env, napi_callback_info info) {
  napi_value values[2], name, external;
  int fd;
  struct uv_loop_s *loop;
  napi_valuetype type;
  struct mq_attr attributes;
  if (!args_read(env, info, 2, values) || !arg_fd(env, values[0], &fd)) return NULL;
  if (napi_typeof(env, values[1], &type) != napi_ok || type != napi_function) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "callback must be a function");
    return NULL;
  }
  if (mq_getattr(fd, &attributes) != 0) return throw_errno(env, errno, "mq_getattr");
  queue_watch *it = calloc(1, sizeof *it);
  if (it == NULL || (it->handle = malloc(uv_handle_size(UV_POLL_TYPE))) == NULL) return watch_failed(env, it, "epoll_ctl");
  it->env = env;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_string_utf8(env, "naru.posixWatch", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &it->context) != napi_ok ||
      napi_create_reference(env, values[1], 1, &it->callback) != napi_ok || uv_poll_init(loop, it->handle, fd) != 0)
    return watch_failed(env, it, "epoll_ctl");
  uv_handle_set_data(it->handle, it);
  napi_add_async_cleanup_hook(env, watch_cleanup, it, &it->hook);
  if (napi_create_external(env, it, NULL, NULL, &external) == napi_ok) return external;
  watch_end(it);
  return NULL;
}

static queue_watch *arg_watch(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) == napi_ok) return data;
  napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "watch must be one that was not closed");
  return NULL;
}

// (watch, events): 1 readable, 2 writable, 3 both, 0 nothing. Keeps the event loop alive unless 0. Who received waits again as a rule:
// the descriptor stays in the epoll set until it is readable and nobody waits, which saves two system calls for each wait.
static napi_value watch_set(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int64_t events;
  queue_watch *it;
  if (!args_read(env, info, 2, values) || (it = arg_watch(env, values[0])) == NULL ||
      !arg_integer(env, values[1], "events", 0, READABLE_OR_WRITABLE, &events))
    return NULL;
  it->wanted = (int)events;
  if (events == 0) {
    uv_unref(it->handle);
    if (it->watched != READABLE) stop_watching(it);
    return NULL;
  }
  uv_ref(it->handle);
  if (it->watched != it->wanted) uv_poll_start(it->handle, it->wanted, on_ready);
  it->watched = it->wanted;
  return NULL;
}

// (watch): before its descriptor is closed; it must not be used afterwards.
static napi_value watch_close(napi_env env, napi_callback_info info) {
  napi_value value;
  queue_watch *it;
  if (args_read(env, info, 1, &value) && (it = arg_watch(env, value)) != NULL) watch_end(it);
  return NULL;
}

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
      METHOD("posixWatch", watch),
      METHOD("posixWatchSet", watch_set),
      METHOD("posixWatchClose", watch_close),
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
