// The CaptureHandle of src/native/capture.ts: a LiveCapture and a ReadyThread as a JavaScript object.
//
// Its functions carry the handle as their callback data, so none can be called on a foreign object. It is closed by
// `close()`, when it is collected, and when the environment ends; whichever comes first.
#pragma once

#include "addon.h"
#include "live-capture.h"
#include "ready-thread.h"

#include <array>
#include <memory>

namespace nfstream {

constexpr size_t kDeviceBytesMax = 256;
// In UTF-8. 3,500 addresses; libpcap takes 20 seconds for them, and the square of that for more.
constexpr size_t kExpressionBytesMax = 1 << 16;

class CaptureHandle : public std::enable_shared_from_this<CaptureHandle> {
 public:
  CaptureHandle(napi_env env) : env_(env) {}
  CaptureHandle(const CaptureHandle&) = delete;
  CaptureHandle& operator=(const CaptureHandle&) = delete;
  ~CaptureHandle() { Close(); }

  LiveCapture capture;

  // The handle's object: functions and constants.
  static napi_value ToObject(napi_env env, const std::shared_ptr<CaptureHandle>& handle) {
    napi_value object = nullptr;
    if (napi_create_object(env, &object) != napi_ok) return nullptr;
    const struct {
      const char* name;
      napi_callback method;
    } methods[] = {{"attach", Guard<Attach>}, {"read", Guard<Read>},   {"wait", Guard<Wait>},
                   {"stats", Guard<Stats>},   {"isUp", Guard<IsUp>},   {"joinFanout", Guard<JoinFanout>},
                   {"release", Guard<Release>}, {"finish", Guard<Finish>}, {"close", Guard<CloseHandle>}};
    for (const auto& [name, method] : methods) {
      if (!SetMethod(env, object, name, method, handle)) return nullptr;
    }
    if (!SetProperty(env, object, "linkType", Number(env, handle->capture.link_type())) ||
        !SetProperty(env, object, "snaplen", Number(env, handle->capture.snaplen())) ||
        !SetProperty(env, object, "isNanosecond", Boolean(env, handle->capture.is_nanosecond()))) {
      return nullptr;
    }
    return object;
  }

 private:
  static constexpr size_t kColumns = 5;

  // A call of one of the functions. Begin is false after it threw: the handle was closed.
  template <size_t N>
  struct Call : Arguments<N> {
    CaptureHandle* handle = nullptr;

    bool Begin(napi_env env, napi_callback_info info) {
      void* data = nullptr;
      if (napi_get_cb_info(env, info, &this->count, this->at, nullptr, &data) != napi_ok) return false;
      handle = static_cast<std::shared_ptr<CaptureHandle>*>(data)->get();
      if (handle->capture.is_open()) return true;
      ThrowError(env, "the capture is closed", "ERR_CAPTURE_CLOSED");
      return false;
    }
  };

  // attach({bytes, timeMs, frameAt, capturedLength, wireLength})
  static napi_value Attach(napi_env env, napi_callback_info info) {
    Call<1> call;
    if (!call.Begin(env, info)) return nullptr;
    std::array<napi_value, kColumns> columns{};
    for (size_t index = 0; index < kColumns; index++) {
      if (!ReadProperty(env, call.at[0], "target", kColumnNames[index], &columns[index])) return nullptr;
    }
    Target target;
    if (!ToTarget(env, columns, &target)) return nullptr;
    if (target.byteCount < static_cast<size_t>(call.handle->capture.snaplen()) || target.byteCount > INT32_MAX) {
      FailRange(env, "snaplen to 2147483647 bytes", "bytes", static_cast<double>(target.byteCount));
      return nullptr;
    }
    std::array<napi_ref, kColumns> references{};
    for (size_t index = 0; index < kColumns; index++) {
      if (napi_create_reference(env, columns[index], 1, &references[index]) != napi_ok) {
        DeleteReferences(env, &references);
        return ThrowError(env, "the target can not be kept");
      }
    }
    DeleteReferences(env, &call.handle->columns_);
    call.handle->columns_ = references;
    return Undefined(env);
  }

  // read(row, at): number
  static napi_value Read(napi_env env, napi_callback_info info) {
    Call<2> call;
    if (!call.Begin(env, info)) return nullptr;
    // Memory of a typed array can be taken away (transfer, resize), so it is asked for anew.
    std::array<napi_value, kColumns> columns{};
    for (size_t index = 0; index < kColumns; index++) {
      const napi_ref reference = call.handle->columns_[index];
      if (reference == nullptr) return ThrowError(env, "expected attach before read", "ERR_CAPTURE_DETACHED");
      if (napi_get_reference_value(env, reference, &columns[index]) != napi_ok) return nullptr;
    }
    Target target;
    int64_t row, at;
    if (!ToTarget(env, columns, &target) ||
        !ReadInteger(env, call.at[0], "row", 0, static_cast<double>(target.rowCount), &row) ||
        !ReadInteger(env, call.at[1], "at", 0, static_cast<double>(target.byteCount), &at)) {
      return nullptr;
    }
    CaptureProblem problem;
    const int rows = call.handle->capture.Read(target, static_cast<size_t>(row), static_cast<size_t>(at), &problem);
    if (rows < 0) return ThrowProblem(env, problem);
    napi_value result = nullptr;
    napi_create_int32(env, rows, &result);
    return result;
  }

  // wait(ready)
  static napi_value Wait(napi_env env, napi_callback_info info) {
    Call<1> call;
    if (!call.Begin(env, info)) return nullptr;
    CaptureHandle& handle = *call.handle;
    napi_valuetype type;
    if (napi_typeof(env, call.at[0], &type) != napi_ok || type != napi_function) {
      FailType(env, "a function", "ready");
      return nullptr;
    }
    if (!handle.thread_.is_running() && !handle.StartThread()) return ThrowError(env, "no thread can be started");
    napi_ref ready = nullptr;
    if (napi_create_reference(env, call.at[0], 1, &ready) != napi_ok) return ThrowError(env, "ready can not be kept");
    std::swap(ready, handle.ready_);
    if (ready != nullptr) {
      // The request still stands.
      napi_delete_reference(env, ready);
      return Undefined(env);
    }
    handle.self_ = handle.shared_from_this();
    handle.thread_.Request(env, handle.capture.RequiredTimeoutMs());
    return Undefined(env);
  }

  // stats(into): boolean
  static napi_value Stats(napi_env env, napi_callback_info info) {
    Call<1> call;
    if (!call.Begin(env, info)) return nullptr;
    double* into = nullptr;
    size_t length = 0;
    if (!ReadTyped(env, call.at[0], napi_float64_array, "a Float64Array of 3", "into", &into, &length)) return nullptr;
    if (length < 3) {
      FailRange(env, "3 elements", "into", static_cast<double>(length));
      return nullptr;
    }
    CaptureCounters counters;
    if (!call.handle->capture.Stats(&counters)) return Boolean(env, false);
    into[0] = static_cast<double>(counters.received);
    into[1] = static_cast<double>(counters.droppedByKernel);
    into[2] = static_cast<double>(counters.droppedByInterface);
    return Boolean(env, true);
  }

  static napi_value IsUp(napi_env env, napi_callback_info info) {
    Call<0> call;
    return call.Begin(env, info) ? Boolean(env, call.handle->capture.IsUp()) : nullptr;
  }

  // joinFanout(group, program): string
  static napi_value JoinFanout(napi_env env, napi_callback_info info) {
    Call<2> call;
    int64_t group;
    uint32_t* words = nullptr;
    size_t length = 0;
    if (!call.Begin(env, info) || !ReadInteger(env, call.at[0], "group", 1, 0xffff, &group) ||
        !ReadTyped(env, call.at[1], napi_uint32_array, "a Uint32Array", "program", &words, &length)) {
      return nullptr;
    }
    if (length % 2 != 0) {
      FailRange(env, "two words an instruction", "program", static_cast<double>(length));
      return nullptr;
    }
    const std::string why = call.handle->capture.JoinFanout(static_cast<uint32_t>(group), words, length / 2);
    return String(env, why.data(), why.size());
  }

  static napi_value Release(napi_env env, napi_callback_info info) {
    Call<0> call;
    if (!call.Begin(env, info)) return nullptr;
    const CaptureProblem problem = call.handle->capture.Release();
    return problem.kind != nullptr ? ThrowProblem(env, problem) : Undefined(env);
  }

  static napi_value Finish(napi_env env, napi_callback_info info) {
    Call<0> call;
    if (!call.Begin(env, info)) return nullptr;
    call.handle->capture.Finish();
    return Undefined(env);
  }

  static napi_value CloseHandle(napi_env env, napi_callback_info info) {
    void* data = nullptr;
    if (napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data) == napi_ok) {
      // Closing lets go of the handle's hold on itself.
      const std::shared_ptr<CaptureHandle> handle = *static_cast<std::shared_ptr<CaptureHandle>*>(data);
      handle->Close();
    }
    return Undefined(env);
  }

  // The thread's call, in JavaScript's thread.
  static void OnReady(napi_env env, napi_value, void* context, void*) {
    if (env == nullptr) return;
    auto* handle = static_cast<CaptureHandle*>(context);
    // `ready` may close the handle, and the collector then take it.
    const std::shared_ptr<CaptureHandle> self = std::move(handle->self_);
    const napi_ref reference = handle->ready_;
    handle->ready_ = nullptr;
    handle->thread_.Done(env);
    if (reference == nullptr) return;
    napi_value ready = nullptr;
    const bool isThere = napi_get_reference_value(env, reference, &ready) == napi_ok && ready != nullptr;
    napi_delete_reference(env, reference);
    if (isThere && napi_call_function(env, Undefined(env), ready, 0, nullptr, nullptr) == napi_pending_exception) {
      napi_value error = nullptr;
      if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
    }
  }

  bool StartThread() {
    try {
      if (!thread_.Start(env_, capture.descriptor(), OnReady, this)) return false;
    } catch (const std::exception&) {
      return false;
    }
    // The last hook is called first: before that of the threadsafe function, which the thread must not outlive.
    if (!isWatching_) isWatching_ = napi_add_env_cleanup_hook(env_, OnEnd, this) == napi_ok;
    return true;
  }

  static void OnEnd(void* data) {
    auto* handle = static_cast<CaptureHandle*>(data);
    const std::shared_ptr<CaptureHandle> self = handle->self_;
    handle->isWatching_ = false;
    handle->Close();
  }

  void Close() {
    if (isWatching_) napi_remove_env_cleanup_hook(env_, OnEnd, this);
    isWatching_ = false;
    thread_.Stop();
    capture.Close();
    if (ready_ != nullptr) napi_delete_reference(env_, ready_);
    ready_ = nullptr;
    DeleteReferences(env_, &columns_);
    self_.reset();
  }

  static bool ToTarget(napi_env env, const std::array<napi_value, kColumns>& columns, Target* target) {
    size_t timeRows = 0, frameRows = 0, capturedRows = 0, wireRows = 0;
    if (!ReadTyped(env, columns[0], napi_uint8_array, "a Uint8Array", kColumnNames[0], &target->bytes,
                   &target->byteCount) ||
        !ReadTyped(env, columns[1], napi_float64_array, "a Float64Array", kColumnNames[1], &target->timeMs, &timeRows) ||
        !ReadTyped(env, columns[2], napi_int32_array, "an Int32Array", kColumnNames[2], &target->frameAt, &frameRows) ||
        !ReadTyped(env, columns[3], napi_int32_array, "an Int32Array", kColumnNames[3], &target->capturedLength,
                   &capturedRows) ||
        !ReadTyped(env, columns[4], napi_uint32_array, "a Uint32Array", kColumnNames[4], &target->wireLength,
                   &wireRows)) {
      return false;
    }
    if (frameRows != timeRows || capturedRows != timeRows || wireRows != timeRows) {
      return FailRange(env, "columns of one length", "target", static_cast<double>(timeRows));
    }
    target->rowCount = timeRows;
    return true;
  }

  static void DeleteReferences(napi_env env, std::array<napi_ref, kColumns>* references) {
    for (napi_ref& reference : *references) {
      if (reference != nullptr) napi_delete_reference(env, reference);
      reference = nullptr;
    }
  }

  // Throws an Error with the property `kind`.
  static napi_value ThrowProblem(napi_env env, const CaptureProblem& problem) {
    napi_value error = nullptr;
    if (napi_create_error(env, nullptr, String(env, problem.message.data(), problem.message.size()), &error) ==
            napi_ok &&
        SetProperty(env, error, "kind", String(env, problem.kind, NAPI_AUTO_LENGTH))) {
      napi_throw(env, error);
    }
    return nullptr;
  }

  static constexpr const char* kColumnNames[kColumns] = {"bytes", "timeMs", "frameAt", "capturedLength", "wireLength"};

  napi_env env_;
  ReadyThread thread_;
  std::array<napi_ref, kColumns> columns_{};
  napi_ref ready_ = nullptr;
  bool isWatching_ = false;
  // Set while a wait is pending: whoever waits needs not keep the handle.
  std::shared_ptr<CaptureHandle> self_;
};

}  // namespace nfstream
