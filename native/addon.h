// Node-API in plain C, made safe to use: reading arguments with a check and a message, throwing, and a guard that
// keeps C++ exceptions from crossing the boundary. Shared by both addons; knows neither nDPI nor libpcap.
//
// A reader returns false after it threw a JavaScript TypeError or RangeError ("Expected X for NAME and received Y");
// the caller then returns nullptr at once.
#pragma once

#include <node_api.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>

#ifndef NFSTREAM_ADDON_CONTRACT
#error "compile with `nfstream build-native`, which defines NFSTREAM_ADDON_CONTRACT"
#endif

namespace nfstream {

// --- throwing ---

inline napi_value ThrowError(napi_env env, const char* message, const char* code = nullptr) {
  napi_throw_error(env, code, message);
  return nullptr;
}

inline bool FailType(napi_env env, const char* expected, const char* name) {
  char message[160];
  std::snprintf(message, sizeof message, "expected %s for %s", expected, name);
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return false;
}

inline bool FailRange(napi_env env, const char* expected, const char* name, double received) {
  char message[200];
  std::snprintf(message, sizeof message, "expected %s for %s and received %.17g", expected, name, received);
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", message);
  return false;
}

// --- arguments ---

// The arguments of a call, absent ones undefined, and its `this`.
template <size_t N>
struct Arguments {
  napi_value self = nullptr;
  napi_value at[N > 0 ? N : 1];
  size_t count = N;

  bool Read(napi_env env, napi_callback_info info) {
    return napi_get_cb_info(env, info, &count, at, &self, nullptr) == napi_ok;
  }
};

inline bool IsUndefined(napi_env env, napi_value value) {
  napi_valuetype type;
  return value == nullptr || napi_typeof(env, value, &type) != napi_ok || type == napi_undefined;
}

inline bool ReadDouble(napi_env env, napi_value value, const char* name, double* out) {
  if (napi_get_value_double(env, value, out) != napi_ok) return FailType(env, "a number", name);
  return true;
}

// A whole number in [low, high]; both must be exact in a double.
inline bool ReadInteger(napi_env env, napi_value value, const char* name, double low, double high, int64_t* out) {
  double number;
  if (!ReadDouble(env, value, name, &number)) return false;
  if (!(number >= low && number <= high) || number != std::floor(number)) {
    char expected[96];
    std::snprintf(expected, sizeof expected, "an integer from %.17g to %.17g", low, high);
    return FailRange(env, expected, name, number);
  }
  *out = static_cast<int64_t>(number);
  return true;
}

// A string without NUL, as UTF-8, at most `limit` bytes. May throw std::bad_alloc (use Guard).
inline bool ReadString(napi_env env, napi_value value, const char* name, size_t limit, std::string* out) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return FailType(env, "a string", name);
  if (length > limit) return FailRange(env, "a shorter string", name, static_cast<double>(length));
  out->resize(length + 1);
  if (napi_get_value_string_utf8(env, value, &(*out)[0], length + 1, &length) != napi_ok) {
    return FailType(env, "a string", name);
  }
  out->resize(length);
  if (out->find('\0') != std::string::npos) return FailType(env, "a string without NUL", name);
  return true;
}

// A typed array of `type`, `expected` in words. The memory is valid during the call; afterwards only while the array is
// referenced and its ArrayBuffer neither detached nor resized (no elements then).
template <class T>
bool ReadTyped(napi_env env, napi_value value, napi_typedarray_type type, const char* expected, const char* name,
               T** data, size_t* length) {
  bool isTyped = false;
  napi_typedarray_type received;
  void* memory = nullptr;
  if (napi_is_typedarray(env, value, &isTyped) != napi_ok || !isTyped ||
      napi_get_typedarray_info(env, value, &received, length, &memory, nullptr, nullptr) != napi_ok ||
      received != type) {
    return FailType(env, expected, name);
  }
  *data = static_cast<T*>(memory);
  return true;
}

// A Uint8Array (or Buffer), as above.
inline bool ReadBytes(napi_env env, napi_value value, const char* name, const uint8_t** data, size_t* length) {
  return ReadTyped(env, value, napi_uint8_array, "a Uint8Array", name, data, length);
}

inline bool ReadBoolean(napi_env env, napi_value value, const char* name, bool* out) {
  return napi_get_value_bool(env, value, out) == napi_ok || FailType(env, "a boolean", name);
}

// The property `key` of the object `name`, undefined where there is none.
inline bool ReadProperty(napi_env env, napi_value object, const char* name, const char* key, napi_value* out) {
  napi_valuetype type;
  if (napi_typeof(env, object, &type) != napi_ok || type != napi_object) return FailType(env, "an object", name);
  return napi_get_named_property(env, object, key, out) == napi_ok;
}

// --- results ---

inline napi_value Undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

inline napi_value Number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

inline napi_value Boolean(napi_env env, bool is) {
  napi_value value = nullptr;
  napi_get_boolean(env, is, &value);
  return value;
}

inline napi_value Null(napi_env env) {
  napi_value value = nullptr;
  napi_get_null(env, &value);
  return value;
}

// Bytes that are not UTF-8 become U+FFFD.
inline napi_value String(napi_env env, const char* text, size_t length) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text, length, &value);
  return value;
}

inline bool SetProperty(napi_env env, napi_value object, const char* name, napi_value value) {
  return value != nullptr && napi_set_named_property(env, object, name, value) == napi_ok;
}

inline bool SetFunction(napi_env env, napi_value object, const char* name, napi_callback function) {
  napi_value value = nullptr;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value) == napi_ok &&
         SetProperty(env, object, name, value);
}

// A function of `object` that has `held` as its callback data (a std::shared_ptr<T>*) and keeps it alive as long as it
// lives itself. It can not be called on a foreign object.
template <class T>
bool SetMethod(napi_env env, napi_value object, const char* name, napi_callback method,
               const std::shared_ptr<T>& held) {
  auto* data = new std::shared_ptr<T>(held);
  napi_value function = nullptr;
  const auto finalize = [](napi_env, void* shared, void*) { delete static_cast<std::shared_ptr<T>*>(shared); };
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, method, data, &function) != napi_ok ||
      napi_add_finalizer(env, function, data, finalize, nullptr, nullptr) != napi_ok) {
    delete data;
    return false;
  }
  return SetProperty(env, object, name, function);
}

inline bool SetContract(napi_env env, napi_value exports) {
  return SetProperty(env, exports, "contract", Number(env, NFSTREAM_ADDON_CONTRACT));
}

// --- exceptions ---

// Wraps a callback so that no C++ exception leaves it: `{"compile", Guard<Compile>}`.
template <napi_value (*Callback)(napi_env, napi_callback_info)>
napi_value Guard(napi_env env, napi_callback_info info) {
  try {
    return Callback(env, info);
  } catch (const std::bad_alloc&) {
    return ThrowError(env, "out of memory", "ERR_MEMORY_ALLOCATION_FAILED");
  } catch (const std::exception& error) {
    return ThrowError(env, error.what());
  } catch (...) {
    return ThrowError(env, "unknown C++ exception");
  }
}

}  // namespace nfstream
