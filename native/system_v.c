// System V message queues: msgget(2), msgop(2), msgctl(2), ftok(3). Calls that return at once, and those that block their thread;
// waiting without blocking it is in system_v_wait.c. Messages pass through the records of records.c.
#include "naru.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// glibc's name for the thread that a timer's signal goes to: timer_create(2).
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

typedef struct {
  int id;
  long selector; // msgrcv's msgtyp
  int flags;     // MSG_NOERROR, MSG_EXCEPT
  size_t max;
} receive_request;

static bool arg_id(napi_env env, napi_value value, int *out) {
  int64_t id;
  if (!arg_integer(env, value, "id", 0, INT_MAX, &id)) return false;
  *out = (int)id;
  return true;
}

// (id, selector, truncate, except, maxBytes)
static bool receive_request_read(napi_env env, const napi_value *values, receive_request *out) {
  int64_t selector, max;
  bool truncate, except;
  if (!arg_id(env, values[0], &out->id) ||
      !arg_integer(env, values[1], "selector", -(1LL << 53), 1LL << 53, &selector) ||
      !arg_boolean(env, values[2], "truncate", &truncate) || !arg_boolean(env, values[3], "except", &except) ||
      !arg_integer(env, values[4], "maxBytes", 0, INT_MAX, &max))
    return false;
  out->selector = (long)selector;
  out->flags = (truncate ? MSG_NOERROR : 0) | (except ? MSG_EXCEPT : 0);
  out->max = (size_t)max;
  return true;
}

static napi_value number_of(napi_env env, double number) {
  napi_value value;
  return napi_create_double(env, number, &value) == napi_ok ? value : NULL;
}

static napi_value key_of_path(napi_env env, napi_callback_info info) {
  napi_value values[2];
  char path[PATH_MAX];
  int64_t project;
  if (!args_read(env, info, 2, values) || !arg_string(env, values[0], "path", path, sizeof path) ||
      !arg_integer(env, values[1], "project", 1, 255, &project))
    return NULL;
  const key_t key = ftok(path, (int)project);
  return key == -1 ? throw_errno(env, errno, "ftok") : number_of(env, key);
}

// (key, create, exclusive, mode); the key 0 is IPC_PRIVATE.
static napi_value get(napi_env env, napi_callback_info info) {
  napi_value values[4];
  int64_t key, mode;
  bool create, exclusive;
  if (!args_read(env, info, 4, values) || !arg_integer(env, values[0], "key", INT_MIN, INT_MAX, &key) ||
      !arg_boolean(env, values[1], "create", &create) || !arg_boolean(env, values[2], "exclusive", &exclusive) ||
      !arg_integer(env, values[3], "mode", 0, 0777, &mode))
    return NULL;
  const int id = msgget((key_t)key, (create ? IPC_CREAT | (int)mode : 0) | (exclusive ? IPC_EXCL : 0));
  return id < 0 ? throw_errno(env, errno, "msgget") : number_of(env, id);
}

static int send_again(int id, const record *it, int flags) {
  int failed;
  do failed = msgsnd(id, &it->type, it->length, flags);
  while (failed != 0 && errno == EINTR);
  return failed;
}

// (id, count): how many of the records went in; an error behind the first is left for the next call.
static napi_value try_send(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int id;
  int64_t count, sent = 0;
  size_t at = 0;
  if (!args_read(env, info, 2, values) || !arg_id(env, values[0], &id) ||
      !arg_integer(env, values[1], "count", 0, INT_MAX, &count))
    return NULL;
  for (; sent < count; sent++) {
    const record *it = record_next(env, &at);
    if (it == NULL) return NULL;
    if (send_again(id, it, IPC_NOWAIT) == 0) continue;
    if (errno != EAGAIN && sent == 0) return throw_errno(env, errno, "msgsnd");
    break;
  }
  return count_value(env, sent);
}

static ssize_t receive_into(const receive_request *request, record *it, int flags) {
  const ssize_t length = msgrcv(request->id, &it->type, request->max, request->selector, request->flags | flags);
  if (length >= 0) it->length = (uint32_t)length;
  return length;
}

// Fills records until there is no more to have, or no more room. An error behind the first is left for the next call.
static napi_value fill_records(napi_env env, receive_request request, int64_t count, int flags) {
  int64_t filled = 0;
  size_t at = 0;
  for (; filled < count; filled++) {
    record *it = record_room(env, at, request.max);
    if (it == NULL && filled == 0) return throw_code(env, EINVAL, NULL, "maxBytes is more than the memory for records");
    if (it == NULL) break;
    ssize_t length;
    do length = receive_into(&request, it, IPC_NOWAIT | flags);
    while (length < 0 && errno == EINTR);
    if (length < 0 && errno != ENOMSG && errno != EAGAIN && filled == 0) return throw_errno(env, errno, "msgrcv");
    if (length < 0) break;
    at += record_size((size_t)length);
    if (flags & MSG_COPY) request.selector++; // it is a position then
  }
  return count_value(env, filled);
}

// (id, selector, truncate, except, maxBytes, count): how many records were filled.
static napi_value try_receive(napi_env env, napi_callback_info info) {
  napi_value values[6];
  receive_request request;
  int64_t count;
  if (!args_read(env, info, 6, values) || !receive_request_read(env, values, &request) ||
      !arg_integer(env, values[5], "count", 0, INT_MAX, &count))
    return NULL;
  return fill_records(env, request, count, 0);
}

// (id, position, maxBytes, count): the same with copies of messages that stay where they are.
static napi_value copy_messages(napi_env env, napi_callback_info info) {
  napi_value values[4];
  receive_request request = {0};
  int64_t position, max, count;
  if (!args_read(env, info, 4, values) || !arg_id(env, values[0], &request.id) ||
      !arg_integer(env, values[1], "position", 0, INT_MAX, &position) ||
      !arg_integer(env, values[2], "maxBytes", 0, INT_MAX, &max) ||
      !arg_integer(env, values[3], "count", 0, INT_MAX, &count))
    return NULL;
  request.selector = (long)position;
  request.max = (size_t)max;
  return fill_records(env, request, count, MSG_COPY);
}

// --- Blocking. The calls know no time-out: a timer interrupts them, and again each millisecond, should it come before the sleep.

typedef struct {
  const receive_request *request; // NULL: send
  int id;
  record *it;
  timer_t timer;
} blocked;

static ssize_t one_call(blocked *it, int flags) {
  if (it->request != NULL) return receive_into(it->request, it->it, flags);
  return msgsnd(it->id, &it->it->type, it->it->length, flags);
}

static ssize_t one_attempt(void *context, double slice_ms) {
  (void)slice_ms;
  return one_call(context, IPC_NOWAIT);
}

static ssize_t one_slice(void *context, double slice_ms) {
  blocked *it = context;
  const long nanoseconds = (long)(slice_ms * 1e6);
  const struct itimerspec slice = {.it_value = {.tv_nsec = nanoseconds > 0 ? nanoseconds : 1},
                                   .it_interval = {.tv_nsec = 1000000}};
  if (timer_settime(it->timer, 0, &slice, NULL) != 0) return -1;
  return one_call(it, 0);
}

static napi_value name_of(napi_env env, wait_result result) {
  napi_value name;
  return napi_create_string_utf8(env, wait_result_name(result), NAPI_AUTO_LENGTH, &name) == napi_ok ? name : NULL;
}

static napi_value block(napi_env env, blocked *it, double timeout_ms, const char *syscall_name) {
  ssize_t ignored = 0;
  if (spin_briefly(one_attempt, it, &ignored)) return name_of(env, WAIT_WOKEN);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = interrupt_signal()};
  event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
  if (event.sigev_signo == 0) return throw_code(env, EBUSY, NULL, "no real-time signal is free");
  if (timer_create(CLOCK_MONOTONIC, &event, &it->timer) != 0) return throw_errno(env, errno, "timer_create");
  const wait_result result = block_in_slices(env, timeout_ms, one_slice, it, &ignored);
  const int error = errno;
  timer_delete(it->timer);
  if (result == WAIT_FAILED) return throw_errno(env, error, syscall_name);
  if (result == WAIT_STOPPED) return NULL;
  return name_of(env, result);
}

// (id, timeoutMs): the first record.
static napi_value send_blocking(napi_env env, napi_callback_info info) {
  napi_value values[2];
  blocked it = {0};
  double timeout_ms;
  size_t at = 0;
  if (!args_read(env, info, 2, values) || !arg_id(env, values[0], &it.id) ||
      !arg_timeout(env, values[1], &timeout_ms) || (it.it = record_next(env, &at)) == NULL)
    return NULL;
  return block(env, &it, timeout_ms, "msgsnd");
}

// (id, selector, truncate, except, maxBytes, timeoutMs): into the first record.
static napi_value receive_blocking(napi_env env, napi_callback_info info) {
  napi_value values[6];
  receive_request request;
  double timeout_ms;
  if (!args_read(env, info, 6, values) || !receive_request_read(env, values, &request) ||
      !arg_timeout(env, values[5], &timeout_ms))
    return NULL;
  blocked it = {.request = &request, .id = request.id, .it = record_room(env, 0, request.max)};
  if (it.it == NULL) return throw_code(env, EINVAL, NULL, "maxBytes is more than the memory for records");
  return block(env, &it, timeout_ms, "msgrcv");
}

// --- msgctl(2)

static bool set_number(napi_env env, napi_value object, const char *name, double number) {
  const napi_value value = number_of(env, number);
  return value != NULL && napi_set_named_property(env, object, name, value) == napi_ok;
}

static napi_value status(napi_env env, napi_callback_info info) {
  napi_value value, object;
  int id;
  struct msqid_ds it;
  if (!args_read(env, info, 1, &value) || !arg_id(env, value, &id)) return NULL;
  if (msgctl(id, IPC_STAT, &it) != 0) return throw_errno(env, errno, "msgctl");
  if (napi_create_object(env, &object) != napi_ok) return NULL;
  const struct {
    const char *name;
    double number;
  } fields[] = {
      {"key", it.msg_perm.__key},          {"mode", it.msg_perm.mode & 0777},   {"uid", it.msg_perm.uid},
      {"gid", it.msg_perm.gid},            {"creatorUid", it.msg_perm.cuid},    {"creatorGid", it.msg_perm.cgid},
      {"count", (double)it.msg_qnum},      {"bytes", (double)it.__msg_cbytes},  {"limitBytes", (double)it.msg_qbytes},
      {"lastSenderPid", it.msg_lspid},     {"lastReceiverPid", it.msg_lrpid},   {"sentAt", (double)it.msg_stime},
      {"receivedAt", (double)it.msg_rtime}, {"changedAt", (double)it.msg_ctime},
  };
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (!set_number(env, object, fields[i].name, fields[i].number)) return NULL;
  return object;
}

// (id, limitBytes, mode): -1 leaves it as it is.
static napi_value change(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int id;
  int64_t limit, mode;
  struct msqid_ds it;
  if (!args_read(env, info, 3, values) || !arg_id(env, values[0], &id) ||
      !arg_integer(env, values[1], "limitBytes", -1, 1LL << 53, &limit) ||
      !arg_integer(env, values[2], "mode", -1, 0777, &mode))
    return NULL;
  if (msgctl(id, IPC_STAT, &it) != 0) return throw_errno(env, errno, "msgctl");
  if (limit >= 0) it.msg_qbytes = (msglen_t)limit;
  if (mode >= 0) it.msg_perm.mode = (unsigned short)mode;
  return msgctl(id, IPC_SET, &it) == 0 ? NULL : throw_errno(env, errno, "msgctl");
}

static napi_value remove_queue(napi_env env, napi_callback_info info) {
  napi_value value;
  int id;
  if (!args_read(env, info, 1, &value) || !arg_id(env, value, &id)) return NULL;
  return msgctl(id, IPC_RMID, NULL) == 0 ? NULL : throw_errno(env, errno, "msgctl");
}

#define METHOD(name, function) {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL}

bool naru_init_system_v(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      METHOD("systemVKey", key_of_path),
      METHOD("systemVGet", get),
      METHOD("systemVTrySend", try_send),
      METHOD("systemVTryReceive", try_receive),
      METHOD("systemVCopy", copy_messages),
      METHOD("systemVSendSync", send_blocking),
      METHOD("systemVReceiveSync", receive_blocking),
      METHOD("systemVStatus", status),
      METHOD("systemVChange", change),
      METHOD("systemVRemove", remove_queue),
  };
  return napi_define_properties(env, exports, sizeof properties / sizeof properties[0], properties) == napi_ok;
}
