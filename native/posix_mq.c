// POSIX message queues: mq_overview(7). Calls that return at once, and those that block their thread; waiting in the event loop and
// notification are in posix_mq_wait.c. A descriptor here is always O_NONBLOCK but within a blocking call, and belongs to one thread.
#include "naru.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <mqueue.h>
#include <sys/stat.h>
#include <time.h>

enum { NAME_BYTES = NAME_MAX + 2 };

static napi_value number_of(napi_env env, double number) {
  napi_value value;
  return napi_create_double(env, number, &value) == napi_ok ? value : NULL;
}

typedef struct {
  char name[NAME_BYTES];
  int flags;
  bool create, exclusive;
  mode_t mode;
  struct mq_attr attributes; // 0 messages: the kernel's defaults
} open_request;

static bool open_request_read(napi_env env, const napi_value *values, open_request *out) {
  int64_t access, mode, messages, bytes;
  if (!arg_string(env, values[0], "name", out->name, sizeof out->name) ||
      !arg_integer(env, values[1], "access", 0, 2, &access) || !arg_boolean(env, values[2], "create", &out->create) ||
      !arg_boolean(env, values[3], "exclusive", &out->exclusive) || !arg_integer(env, values[4], "mode", 0, 0777, &mode) ||
      !arg_integer(env, values[5], "maxMessages", 0, INT_MAX, &messages) ||
      !arg_integer(env, values[6], "maxMessageBytes", 0, INT_MAX, &bytes))
    return false;
  const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR};
  out->flags = flags[access] | O_NONBLOCK | O_CLOEXEC;
  out->mode = (mode_t)mode;
  out->attributes.mq_maxmsg = messages;
  out->attributes.mq_msgsize = bytes;
  return true;
}

static mqd_t make(const open_request *request) {
  struct mq_attr attributes = request->attributes;
  const bool given = attributes.mq_maxmsg > 0;
  const mqd_t queue = mq_open(request->name, request->flags | O_CREAT | O_EXCL, request->mode, given ? &attributes : NULL);
  // The umask is the process's and not to be changed for a moment: the mode is set on what was made.
  if (queue >= 0) fchmod(queue, request->mode);
  return queue;
}

// The environment's end, when nobody closed it: a worker must leave neither descriptor nor registration to the process.
static void close_at_end(void *data) {
  mq_close((mqd_t)(intptr_t)data);
}

// (name, access, create, exclusive, mode, maxMessages, maxMessageBytes); access 0 reads, 1 writes, 2 both.
static napi_value open_queue(napi_env env, napi_callback_info info) {
  napi_value values[7];
  open_request request = {0};
  if (!args_read(env, info, 7, values) || !open_request_read(env, values, &request)) return NULL;
  mqd_t queue = -1;
  // Made and removed by others between the two calls: again, but not for ever.
  for (int attempt = 0; queue < 0 && attempt < 100; attempt++) {
    if (request.create) queue = make(&request);
    if (queue >= 0 || request.exclusive || (request.create && errno != EEXIST)) break;
    queue = mq_open(request.name, request.flags);
    if (queue >= 0 || !request.create || errno != ENOENT) break;
  }
  if (queue < 0) return throw_errno(env, errno, "mq_open");
  napi_add_env_cleanup_hook(env, close_at_end, (void *)(intptr_t)queue);
  return number_of(env, queue);
}

static napi_value close_queue(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  struct mq_attr attributes;
  // Only what is a queue: a wrong number must not close a file of somebody else's.
  if (mq_getattr(fd, &attributes) != 0) return throw_errno(env, errno, "mq_close");
  napi_remove_env_cleanup_hook(env, close_at_end, (void *)(intptr_t)fd);
  mq_close(fd);
  return NULL;
}

static napi_value unlink_queue(napi_env env, napi_callback_info info) {
  napi_value value;
  char name[NAME_BYTES];
  if (!args_read(env, info, 1, &value) || !arg_string(env, value, "name", name, sizeof name)) return NULL;
  return mq_unlink(name) == 0 ? NULL : throw_errno(env, errno, "mq_unlink");
}

// [maxMessages, maxMessageBytes, count]
static napi_value attributes(napi_env env, napi_callback_info info) {
  napi_value value, list;
  int fd;
  struct mq_attr it;
  if (!args_read(env, info, 1, &value) || !arg_fd(env, value, &fd)) return NULL;
  if (mq_getattr(fd, &it) != 0) return throw_errno(env, errno, "mq_getattr");
  const long numbers[] = {it.mq_maxmsg, it.mq_msgsize, it.mq_curmsgs};
  if (napi_create_array_with_length(env, 3, &list) != napi_ok) return NULL;
  for (uint32_t i = 0; i < 3; i++) napi_set_element(env, list, i, number_of(env, (double)numbers[i]));
  return list;
}

// (fd, count): how many of the records went in; an error behind the first is left for the next call.
static napi_value try_send(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd;
  int64_t count, sent = 0;
  size_t at = 0;
  if (!args_read(env, info, 2, values) || !arg_fd(env, values[0], &fd) ||
      !arg_integer(env, values[1], "count", 0, INT_MAX, &count))
    return NULL;
  for (; sent < count; sent++) {
    const record *it = record_next(env, &at);
    if (it == NULL) return NULL;
    if (mq_send(fd, it->body, it->length, (unsigned)it->type) == 0) continue;
    if (errno != EAGAIN && sent == 0) return throw_errno(env, errno, "mq_send");
    break;
  }
  return count_value(env, sent);
}

static void fill(record *it, ssize_t length, unsigned priority) {
  if (length < 0) return;
  it->length = (uint32_t)length;
  it->type = priority;
}

// (fd, maxBytes, count): how many records were filled. maxBytes is at least the queue's maxMessageBytes.
static napi_value try_receive(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd;
  int64_t max, count, received = 0;
  size_t at = 0;
  if (!args_read(env, info, 3, values) || !arg_fd(env, values[0], &fd) ||
      !arg_integer(env, values[1], "maxBytes", 0, INT_MAX, &max) ||
      !arg_integer(env, values[2], "count", 0, INT_MAX, &count))
    return NULL;
  for (; received < count; received++) {
    record *it = record_room(env, at, (size_t)max);
    if (it == NULL && received == 0) return throw_code(env, EINVAL, NULL, "maxBytes is more than the memory for records");
    if (it == NULL) break;
    unsigned priority = 0;
    const ssize_t length = mq_receive(fd, it->body, (size_t)max, &priority);
    fill(it, length, priority);
    if (length < 0 && errno != EAGAIN && received == 0) return throw_errno(env, errno, "mq_receive");
    if (length < 0) break;
    at += record_size((size_t)length);
  }
  return count_value(env, received);
}

// --- Blocking: mq_timedsend(3), mq_timedreceive(3), whose deadlines are on the clock of the day: a slice at a time, so that
// setting that clock moves no more than one slice.

typedef struct {
  int fd;
  bool sending;
  size_t max;
  record *it;
} blocked;

static ssize_t one_attempt(void *context, double slice_ms) {
  (void)slice_ms;
  blocked *it = context;
  if (it->sending) return mq_send(it->fd, it->it->body, it->it->length, (unsigned)it->it->type);
  unsigned priority = 0;
  const ssize_t length = mq_receive(it->fd, it->it->body, it->max, &priority);
  fill(it->it, length, priority);
  return length;
}

static ssize_t one_slice(void *context, double slice_ms) {
  blocked *it = context;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  const double end = (double)until.tv_nsec + slice_ms * 1e6;
  until.tv_sec += (time_t)floor(end / 1e9);
  until.tv_nsec = (long)fmod(end, 1e9);
  if (it->sending) return mq_timedsend(it->fd, it->it->body, it->it->length, (unsigned)it->it->type, &until);
  unsigned priority = 0;
  const ssize_t length = mq_timedreceive(it->fd, it->it->body, it->max, &priority, &until);
  fill(it->it, length, priority);
  return length;
}

static bool set_blocking(int fd, bool blocking) {
  struct mq_attr attributes = {.mq_flags = blocking ? 0 : O_NONBLOCK};
  return mq_setattr(fd, &attributes, NULL) == 0;
}

static napi_value name_of(napi_env env, wait_result result) {
  napi_value name;
  return napi_create_string_utf8(env, wait_result_name(result), NAPI_AUTO_LENGTH, &name) == napi_ok ? name : NULL;
}

static napi_value block(napi_env env, blocked *it, double timeout_ms, const char *syscall_name) {
  ssize_t ignored = 0;
  if (spin_briefly(one_attempt, it, &ignored)) return name_of(env, WAIT_WOKEN);
  if (!set_blocking(it->fd, true)) return throw_errno(env, errno, syscall_name);
  const wait_result result = block_in_slices(env, timeout_ms, one_slice, it, &ignored);
  const int error = errno;
  set_blocking(it->fd, false);
  if (result == WAIT_FAILED) return throw_errno(env, error, syscall_name);
  if (result == WAIT_STOPPED) return NULL;
  return name_of(env, result);
}

// (fd, timeoutMs): the first record.
static napi_value send_blocking(napi_env env, napi_callback_info info) {
  napi_value values[2];
  blocked it = {.sending = true};
  double timeout_ms;
  size_t at = 0;
  if (!args_read(env, info, 2, values) || !arg_fd(env, values[0], &it.fd) ||
      !arg_timeout(env, values[1], &timeout_ms) || (it.it = record_next(env, &at)) == NULL)
    return NULL;
  return block(env, &it, timeout_ms, "mq_timedsend");
}

// (fd, maxBytes, timeoutMs): into the first record.
static napi_value receive_blocking(napi_env env, napi_callback_info info) {
  napi_value values[3];
  blocked it = {0};
  int64_t max;
  double timeout_ms;
  if (!args_read(env, info, 3, values) || !arg_fd(env, values[0], &it.fd) ||
      !arg_integer(env, values[1], "maxBytes", 0, INT_MAX, &max) || !arg_timeout(env, values[2], &timeout_ms))
    return NULL;
  it.max = (size_t)max;
  it.it = record_room(env, 0, it.max);
  if (it.it == NULL) return throw_code(env, EINVAL, NULL, "maxBytes is more than the memory for records");
  return block(env, &it, timeout_ms, "mq_timedreceive");
}

#define METHOD(name, function) {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL}

bool naru_init_posix_mq(napi_env env, napi_value exports) {
  const napi_property_descriptor properties[] = {
      METHOD("posixOpen", open_queue),
      METHOD("posixClose", close_queue),
      METHOD("posixUnlink", unlink_queue),
      METHOD("posixAttributes", attributes),
      METHOD("posixTrySend", try_send),
      METHOD("posixTryReceive", try_receive),
      METHOD("posixSendSync", send_blocking),
      METHOD("posixReceiveSync", receive_blocking),
  };
  return napi_define_properties(env, exports, sizeof properties / sizeof properties[0], properties) == napi_ok;
}
