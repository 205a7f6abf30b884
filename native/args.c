// Arguments in, errors out. Everything that comes from JavaScript is checked here before any other file sees it.
#include "naru.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool refuse_type(napi_env env, const char *name, const char *wanted) {
  char message[160];
  snprintf(message, sizeof message, "%s must be %s", name, wanted);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return false;
}

bool args_read(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  // Arguments that were not given are filled with undefined, which the readers then refuse.
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok) return true;
  napi_throw_error(env, NULL, "arguments could not be read");
  return false;
}

bool arg_integer(napi_env env, napi_value value, const char *name, int64_t min, int64_t max, int64_t *out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) return refuse_type(env, name, "a number");
  // The range is tested as a double: converting a NaN or a huge double to an integer is undefined in C.
  if (number == floor(number) && number >= (double)min && number <= (double)max) {
    *out = (int64_t)number;
    return true;
  }
  char message[200];
  snprintf(message, sizeof message, "%s must be a whole number from %lld to %lld, not %.17g", name, (long long)min,
           (long long)max, number);
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
  return false;
}

bool arg_fd(napi_env env, napi_value value, int *out) {
  int64_t fd;
  if (!arg_integer(env, value, "fd", 0, INT32_MAX, &fd)) return false;
  *out = (int)fd;
  return true;
}

bool arg_boolean(napi_env env, napi_value value, const char *name, bool *out) {
  return napi_get_value_bool(env, value, out) == napi_ok || refuse_type(env, name, "a boolean");
}

bool arg_timeout(napi_env env, napi_value value, double *out) {
  return (napi_get_value_double(env, value, out) == napi_ok && !isnan(*out)) || refuse_type(env, "timeoutMs", "a number");
}

bool arg_string(napi_env env, napi_value value, const char *name, char *out, size_t size) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return refuse_type(env, name, "a string");
  if (length >= size) {
    char message[160];
    snprintf(message, sizeof message, "%s has %zu bytes, the limit is %zu", name, length, size - 1);
    throw_code(env, ENAMETOOLONG, NULL, message);
    return false;
  }
  napi_get_value_string_utf8(env, value, out, size, &length);
  return strlen(out) == length || refuse_type(env, name, "a string without NUL bytes");
}

// Node 20 has no reader for a SharedArrayBuffer, but a DataView over one tells its memory, and the constructor itself refuses
// everything that is not a real buffer.
static bool view_buffer(napi_env env, napi_value value, void **data, size_t *length) {
  napi_value constructor, view;
  if (napi_get_reference_value(env, environment_of(env)->data_view, &constructor) != napi_ok) return false;
  if (napi_new_instance(env, constructor, 1, &value, &view) == napi_ok &&
      napi_get_dataview_info(env, view, length, data, NULL, NULL) == napi_ok)
    return true;
  napi_value ignored;
  napi_get_and_clear_last_exception(env, &ignored);
  return false;
}

bool arg_buffer(napi_env env, napi_value value, void **data, size_t *length) {
  // From Node 22.23 this reads both kinds.
  if (napi_get_arraybuffer_info(env, value, data, length) == napi_ok) return true;
  return view_buffer(env, value, data, length) ||
         refuse_type(env, "buffer", "an ArrayBuffer or a SharedArrayBuffer (not a view of one)");
}

// Names and texts of the errors our system calls give. Not strerror(3): it depends on locale and C library.
static const struct {
  int number;
  const char *name;
  const char *text;
} known_errors[] = {
    {E2BIG, "E2BIG", "argument list too long"},
    {EACCES, "EACCES", "permission denied"},
    {EAGAIN, "EAGAIN", "resource temporarily unavailable"},
    {EBADF, "EBADF", "bad file descriptor"},
    {EBUSY, "EBUSY", "resource busy or locked"},
    {EEXIST, "EEXIST", "file already exists"},
    {EFAULT, "EFAULT", "bad address"},
    {EFBIG, "EFBIG", "file too large"},
    {EIDRM, "EIDRM", "identifier removed"},
    {EINVAL, "EINVAL", "invalid argument"},
    {EIO, "EIO", "i/o error"},
    {ELOOP, "ELOOP", "too many symbolic links encountered"},
    {EMFILE, "EMFILE", "too many open files"},
    {EMSGSIZE, "EMSGSIZE", "message too long"},
    {ENAMETOOLONG, "ENAMETOOLONG", "name too long"},
    {ENFILE, "ENFILE", "file table overflow"},
    {ENODEV, "ENODEV", "no such device"},
    {ENOENT, "ENOENT", "no such file or directory"},
    {ENOLCK, "ENOLCK", "no locks available"},
    {ENOMEM, "ENOMEM", "not enough memory"},
    {ENOSPC, "ENOSPC", "no space left on device"},
    {ENOSYS, "ENOSYS", "function not implemented"},
    {ENOTCONN, "ENOTCONN", "socket is not connected"},
    {ENOTDIR, "ENOTDIR", "not a directory"},
    {ENOTSOCK, "ENOTSOCK", "socket operation on non-socket"},
    {ENXIO, "ENXIO", "no such device or address"},
    {EOPNOTSUPP, "EOPNOTSUPP", "operation not supported"},
    {EOVERFLOW, "EOVERFLOW", "value too large for defined data type"},
    {EPERM, "EPERM", "operation not permitted"},
    {EPIPE, "EPIPE", "broken pipe"},
    {ERANGE, "ERANGE", "out of range"},
    {EROFS, "EROFS", "read-only file system"},
    {ESPIPE, "ESPIPE", "invalid seek"},
    {ESRCH, "ESRCH", "no such process"},
};

static napi_value throw_system(napi_env env, int error, const char *syscall, const char *message) {
  char fallback[24], full[400];
  snprintf(fallback, sizeof fallback, "E%d", error);
  const char *name = fallback, *text = "unknown error";
  for (size_t i = 0; i < sizeof known_errors / sizeof known_errors[0]; i++) {
    if (known_errors[i].number != error) continue;
    name = known_errors[i].name;
    text = known_errors[i].text;
  }
  snprintf(full, sizeof full, "%s: %s%s%s", name, message != NULL ? message : text, syscall != NULL ? ", " : "",
           syscall != NULL ? syscall : "");
  napi_value code, words, object, number, call;
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_string_utf8(env, full, NAPI_AUTO_LENGTH, &words) != napi_ok ||
      napi_create_error(env, code, words, &object) != napi_ok)
    return NULL;
  if (napi_create_int32(env, -error, &number) == napi_ok) napi_set_named_property(env, object, "errno", number);
  if (syscall != NULL && napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &call) == napi_ok)
    napi_set_named_property(env, object, "syscall", call);
  napi_throw(env, object);
  return NULL;
}

napi_value throw_errno(napi_env env, int error, const char *syscall) {
  return throw_system(env, error, syscall, NULL);
}

napi_value throw_code(napi_env env, int error, const char *syscall, const char *message) {
  return throw_system(env, error, syscall, message);
}

napi_value numbers_value(napi_env env, const double *numbers, size_t count) {
  napi_value result, number;
  if (napi_create_array_with_length(env, count, &result) != napi_ok) return NULL;
  for (uint32_t i = 0; i < count; i++) {
    if (napi_create_double(env, numbers[i], &number) != napi_ok || napi_set_element(env, result, i, number) != napi_ok)
      return NULL;
  }
  return result;
}
