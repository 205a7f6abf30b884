// A descriptor watched by the event loop: epoll(7) through libuv's own handles, because it has to be in the loop's epoll set.
// node-api-headers has no uv.h; these are the parts of libuv's stable interface that need no layout: the size of a handle is asked for.
#include "naru.h"

#include <errno.h>
#include <stdlib.h>

typedef struct uv_handle_s uv_handle_t;
extern int uv_poll_init(struct uv_loop_s *loop, uv_handle_t *handle, int fd);
extern int uv_poll_start(uv_handle_t *handle, int events, void (*callback)(uv_handle_t *, int status, int events));
extern int uv_poll_stop(uv_handle_t *handle);
extern void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *));
extern void uv_ref(uv_handle_t *handle);
extern void uv_unref(uv_handle_t *handle);
extern size_t uv_handle_size(int type);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern void *uv_handle_get_data(const uv_handle_t *handle);
enum { UV_POLL_TYPE = 8, READABLE = 1, ALL_EVENTS = 7 };

typedef struct {
  napi_env env;
  uv_handle_t *handle;
  napi_ref callback;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  bool closing;
  int watched; // what the event loop looks for
  int wanted;  // what anybody waits for
} descriptor_watch;

static void on_closed(uv_handle_t *handle) {
  descriptor_watch *it = uv_handle_get_data(handle);
  if (it->hook != NULL) napi_remove_async_cleanup_hook(it->hook);
  free(it->handle);
  free(it);
}

static void watch_end(descriptor_watch *it) {
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

static void stop_watching(descriptor_watch *it) {
  uv_poll_stop(it->handle);
  it->watched = 0;
}

static void on_ready(uv_handle_t *handle, int status, int events) {
  (void)events;
  descriptor_watch *it = uv_handle_get_data(handle);
  // At an error libuv has stopped by itself.
  if (status < 0) it->watched = 0;
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
static napi_value watch_failed(napi_env env, descriptor_watch *it, int error) {
  if (it != NULL) {
    if (it->callback != NULL) napi_delete_reference(env, it->callback);
    if (it->context != NULL) napi_async_destroy(env, it->context);
    free(it->handle);
    free(it);
  }
  return throw_errno(env, error, "epoll_ctl");
}

// (fd, callback): called whenever it is ready for what was asked for.
static napi_value watch(napi_env env, napi_callback_info info) {
  napi_value values[2], name, external;
  int fd, error = -ENOMEM;
  struct uv_loop_s *loop;
  napi_valuetype type;
  if (!args_read(env, info, 2, values) || !arg_fd(env, values[0], &fd)) return NULL;
  if (napi_typeof(env, values[1], &type) != napi_ok || type != napi_function) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "callback must be a function");
    return NULL;
  }
  descriptor_watch *it = calloc(1, sizeof *it);
  if (it == NULL || (it->handle = malloc(uv_handle_size(UV_POLL_TYPE))) == NULL) return watch_failed(env, it, ENOMEM);
  it->env = env;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_string_utf8(env, "naru.watch", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &it->context) != napi_ok ||
      napi_create_reference(env, values[1], 1, &it->callback) != napi_ok || (error = uv_poll_init(loop, it->handle, fd)) != 0)
    return watch_failed(env, it, -error);
  uv_handle_set_data(it->handle, it);
  napi_add_async_cleanup_hook(env, watch_cleanup, it, &it->hook);
  if (napi_create_external(env, it, NULL, NULL, &external) == napi_ok) return external;
  watch_end(it);
  return NULL;
}

static descriptor_watch *arg_watch(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) == napi_ok) return data;
  napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", "watch must be one that was not closed");
  return NULL;
}

// (watch, events, keepAlive): 1 readable, 2 writable, 4 only that the other side has gone, or their sum; 0 stops. Who received waits
// again as a rule: a descriptor that reads stays in the epoll set until it is readable and nobody waits, which saves two system calls for
// each wait.
static napi_value watch_set(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int64_t events;
  bool keep_alive;
  descriptor_watch *it;
  if (!args_read(env, info, 3, values) || (it = arg_watch(env, values[0])) == NULL ||
      !arg_integer(env, values[1], "events", 0, ALL_EVENTS, &events) ||
      !arg_boolean(env, values[2], "keepAlive", &keep_alive))
    return NULL;
  it->wanted = (int)events;
  if (keep_alive && events != 0) uv_ref(it->handle);
  else uv_unref(it->handle);
  if (events == 0) {
    if (it->watched != READABLE) stop_watching(it);
    return NULL;
  }
  if (it->watched != it->wanted) uv_poll_start(it->handle, it->wanted, on_ready);
  it->watched = it->wanted;
  return NULL;
}

// (watch): before its descriptor is closed; it must not be used afterwards.
static napi_value watch_close(napi_env env, napi_callback_info info) {
  napi_value value;
  descriptor_watch *it;
  if (args_read(env, info, 1, &value) && (it = arg_watch(env, value)) != NULL) watch_end(it);
  return NULL;
}

bool naru_init_watches(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      NARU_METHOD("watch", watch),
      NARU_METHOD("watchSet", watch_set),
      NARU_METHOD("watchClose", watch_close),
  };
  return NARU_DEFINE(env, exports, properties);
}
