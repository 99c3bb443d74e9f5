// The ndpi addon: nDPI's detection for JavaScript. The interface is described in src/native/ndpi.ts.
//
// `createDetector()` gives an object whose functions carry the detector as their callback data, so none of them can be
// called on a foreign object; each of them keeps the detector alive. Nothing is shared between environments, so the
// addon works in worker threads. nDPI's own state is freed by `close()`, or when the object is collected.
#include "addon.h"
#include "ndpi-detector.h"
#include "ndpi-result.h"

namespace nfstream {
namespace {

using Holder = std::shared_ptr<Detector>;

// A detector shared by the functions of its object; empty after close().
struct Handle {
  Holder detector;
  Results results;
};

template <size_t N>
struct Call : Arguments<N> {
  Handle* handle = nullptr;

  // False after it threw: the detector was closed.
  bool Begin(napi_env env, napi_callback_info info) {
    void* data = nullptr;
    if (napi_get_cb_info(env, info, &this->count, this->at, nullptr, &data) != napi_ok) return false;
    handle = static_cast<std::shared_ptr<Handle>*>(data)->get();
    if (handle->detector != nullptr) return true;
    ThrowError(env, "the detector is closed", "ERR_NDPI_CLOSED");
    return false;
  }

  Detector& detector() const { return *handle->detector; }

  // The live slot that the first argument names, or nullptr after it threw.
  Detector::Slot* ReadSlot(napi_env env, int64_t* number) {
    double value;
    if (!ReadDouble(env, this->at[0], "handle", &value)) return nullptr;
    *number = value >= 0 && value <= 0x7fffffff ? static_cast<int64_t>(value) : -1;
    Detector::Slot* slot = static_cast<double>(*number) == value ? detector().Find(*number) : nullptr;
    if (slot == nullptr) FailRange(env, "a live flow", "handle", value);
    return slot;
  }
};

napi_value Open(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Begin(env, info)) return nullptr;
  const int64_t handle = call.detector().Open();
  if (handle < 0) return ThrowError(env, "too many live flows for one detector", "ERR_NDPI_FULL");
  return Number(env, static_cast<double>(handle));
}

// process(handle, bytes, at, end, timeMs): State
napi_value Process(napi_env env, napi_callback_info info) {
  Call<5> call;
  int64_t handle, at, end;
  double timeMs;
  const uint8_t* bytes = nullptr;
  size_t length = 0;
  if (!call.Begin(env, info)) return nullptr;
  Detector::Slot* slot = call.ReadSlot(env, &handle);
  if (slot == nullptr || !ReadBytes(env, call.at[1], "bytes", &bytes, &length) ||
      !ReadInteger(env, call.at[2], "at", 0, static_cast<double>(length), &at) ||
      !ReadInteger(env, call.at[3], "end", static_cast<double>(at), static_cast<double>(length), &end) ||
      !ReadDouble(env, call.at[4], "timeMs", &timeMs)) {
    return nullptr;
  }
  // Times are data of the traffic: out of range (and NaN) they are clamped, not refused.
  constexpr double kMaxTime = 9007199254740992.0;  // 2^53
  const uint64_t time = timeMs > 0 ? static_cast<uint64_t>(timeMs < kMaxTime ? timeMs : kMaxTime) : 0;
  const State state = call.detector().Process(slot, bytes + at, static_cast<size_t>(end - at), time);
  napi_value result = nullptr;
  napi_create_int32(env, static_cast<int>(state), &result);
  return result;
}

napi_value GiveUp(napi_env env, napi_callback_info info) {
  Call<1> call;
  int64_t handle;
  if (!call.Begin(env, info)) return nullptr;
  Detector::Slot* slot = call.ReadSlot(env, &handle);
  if (slot == nullptr) return nullptr;
  call.detector().GiveUp(slot);
  return Undefined(env);
}

// guess(handle, protocol, src, srcPort, dst, dstPort); addresses as unsigned numbers, 0 for IPv6.
napi_value Guess(napi_env env, napi_callback_info info) {
  Call<6> call;
  int64_t handle, protocol, src, sport, dst, dport;
  if (!call.Begin(env, info)) return nullptr;
  Detector::Slot* slot = call.ReadSlot(env, &handle);
  if (slot == nullptr || !ReadInteger(env, call.at[1], "protocol", 0, 0xff, &protocol) ||
      !ReadInteger(env, call.at[2], "src", 0, 0xffffffff, &src) ||
      !ReadInteger(env, call.at[3], "srcPort", 0, 0xffff, &sport) ||
      !ReadInteger(env, call.at[4], "dst", 0, 0xffffffff, &dst) ||
      !ReadInteger(env, call.at[5], "dstPort", 0, 0xffff, &dport)) {
    return nullptr;
  }
  call.detector().Guess(slot, static_cast<uint8_t>(protocol), static_cast<uint32_t>(src), static_cast<uint16_t>(sport),
                        static_cast<uint32_t>(dst), static_cast<uint16_t>(dport));
  return Undefined(env);
}

// resultOf(handle): the number of its result, which equal ones share
napi_value ResultOf(napi_env env, napi_callback_info info) {
  Call<1> call;
  int64_t handle;
  if (!call.Begin(env, info)) return nullptr;
  const Detector::Slot* slot = call.ReadSlot(env, &handle);
  return slot == nullptr ? nullptr : Number(env, call.handle->results.NumberOf(*slot));
}

// result(number): its fields
napi_value Result(napi_env env, napi_callback_info info) {
  Call<1> call;
  int64_t number;
  if (!call.Begin(env, info) || !ReadInteger(env, call.at[0], "number", 0, 0xffffffff, &number)) return nullptr;
  const std::string* result = call.handle->results.Find(number);
  if (result != nullptr) return ReadResult(env, *result);
  FailRange(env, "the number of a result", "number", static_cast<double>(number));
  return nullptr;
}

napi_value ForgetResults(napi_env env, napi_callback_info info) {
  Call<0> call;
  if (!call.Begin(env, info)) return nullptr;
  call.handle->results.Forget();
  return Undefined(env);
}

napi_value Free(napi_env env, napi_callback_info info) {
  Call<1> call;
  int64_t handle;
  if (!call.Begin(env, info)) return nullptr;
  Detector::Slot* slot = call.ReadSlot(env, &handle);
  if (slot == nullptr) return nullptr;
  call.detector().Free(handle, slot);
  return Undefined(env);
}

// protocolName(master, app): string
napi_value ProtocolName(napi_env env, napi_callback_info info) {
  Call<2> call;
  int64_t master, app;
  if (!call.Begin(env, info) || !ReadInteger(env, call.at[0], "master", 0, 0xffff, &master) ||
      !ReadInteger(env, call.at[1], "app", 0, 0xffff, &app)) {
    return nullptr;
  }
  char name[128] = "";
  compat::ProtocolName(call.detector().module(), static_cast<uint16_t>(master), static_cast<uint16_t>(app), name,
                       sizeof name, &ndpi_protocol2name);
  return String(env, name, strnlen(name, sizeof name));
}

// categoryName(id): string
napi_value CategoryName(napi_env env, napi_callback_info info) {
  Call<1> call;
  int64_t id;
  if (!call.Begin(env, info) ||
      !ReadInteger(env, call.at[0], "id", 0, static_cast<double>(NDPI_PROTOCOL_NUM_CATEGORIES) - 1, &id)) {
    return nullptr;
  }
  const char* name = ndpi_category_get_name(call.detector().module(), static_cast<ndpi_protocol_category_t>(id));
  return String(env, name == nullptr ? "" : name, NAPI_AUTO_LENGTH);
}

// liveCount(): flows that were opened and not freed
napi_value LiveCount(napi_env env, napi_callback_info info) {
  Call<0> call;
  return call.Begin(env, info) ? Number(env, call.detector().live_count()) : nullptr;
}

// close(): frees everything; safe to call twice.
napi_value Close(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  if (napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data) == napi_ok) {
    Handle& handle = **static_cast<std::shared_ptr<Handle>*>(data);
    handle.detector.reset();
    handle.results.Forget();
  }
  return Undefined(env);
}

napi_value CreateDetector(napi_env env, napi_callback_info) {
  const auto handle = std::make_shared<Handle>();
  handle->detector = Detector::Create();
  if (handle->detector == nullptr) return ThrowError(env, "nDPI could not be initialised", "ERR_NDPI_INIT");
  napi_value object = nullptr;
  if (napi_create_object(env, &object) != napi_ok) return nullptr;
  const struct {
    const char* name;
    napi_callback method;
  } methods[] = {{"open", Guard<Open>},
                 {"process", Guard<Process>},
                 {"giveUp", Guard<GiveUp>},
                 {"guess", Guard<Guess>},
                 {"resultOf", Guard<ResultOf>},
                 {"result", Guard<Result>},
                 {"forgetResults", Guard<ForgetResults>},
                 {"free", Guard<Free>},
                 {"protocolName", Guard<ProtocolName>},
                 {"categoryName", Guard<CategoryName>},
                 {"liveCount", Guard<LiveCount>},
                 {"close", Guard<Close>}};
  for (const auto& [name, method] : methods) {
    if (!SetMethod(env, object, name, method, handle)) return nullptr;
  }
  return object;
}

// --- names that need no detector ---

napi_value RiskName(napi_env env, napi_callback_info info) {
  Arguments<1> call;
  int64_t risk;
  if (!call.Read(env, info) || !ReadInteger(env, call.at[0], "risk", 0, 63, &risk)) return nullptr;
  const char* name = risk < NDPI_MAX_RISK ? ndpi_risk2str(static_cast<ndpi_risk_enum>(risk)) : nullptr;
  return String(env, name == nullptr ? "" : name, NAPI_AUTO_LENGTH);
}

napi_value ConfidenceName(napi_env env, napi_callback_info info) {
  Arguments<1> call;
  int64_t id;
  if (!call.Read(env, info) ||
      !ReadInteger(env, call.at[0], "id", 0, static_cast<double>(NDPI_CONFIDENCE_MAX) - 1, &id)) {
    return nullptr;
  }
  const char* name = ndpi_confidence_get_name(static_cast<ndpi_confidence_t>(id));
  return String(env, name == nullptr ? "" : name, NAPI_AUTO_LENGTH);
}

napi_value CipherName(napi_env env, napi_callback_info info) {
  Arguments<1> call;
  int64_t id;
  if (!call.Read(env, info) || !ReadInteger(env, call.at[0], "id", 0, 0xffff, &id)) return nullptr;
  char buffer[16];
  const char* name = compat::CipherName(static_cast<uint32_t>(id), buffer, &ndpi_cipher2str);
  return String(env, name == nullptr ? "" : name, NAPI_AUTO_LENGTH);
}

bool SetInfo(napi_env env, napi_value exports) {
  napi_value fields = nullptr;
  if (napi_create_array(env, &fields) != napi_ok) return false;
  uint32_t index = 0;
  for (const char* name : RESULT_FIELDS) {
    if (napi_set_element(env, fields, index++, String(env, name, NAPI_AUTO_LENGTH)) != napi_ok) return false;
  }
  char headers[32];
  std::snprintf(headers, sizeof headers, "%d.%d.%d", NDPI_MAJOR, NDPI_MINOR, NDPI_PATCH);
  return SetProperty(env, exports, "resultFields", fields) &&
         SetProperty(env, exports, "headerVersion", String(env, headers, NAPI_AUTO_LENGTH)) &&
         SetProperty(env, exports, "libraryVersion", String(env, ndpi_revision(), NAPI_AUTO_LENGTH));
}

}  // namespace
}  // namespace nfstream

NAPI_MODULE_INIT() {
  using namespace nfstream;
  // With a shared libndpi, the one that is found can be another than the one compiled against.
  if (ndpi_get_api_version() != NDPI_API_VERSION ||
      ndpi_detection_get_sizeof_ndpi_flow_struct() != sizeof(ndpi_flow_struct)) {
    return ThrowError(env, "the nDPI library is of another version than the headers this addon was compiled with");
  }
  if (!SetContract(env, exports) || !SetInfo(env, exports) ||
      !SetFunction(env, exports, "createDetector", Guard<CreateDetector>) ||
      !SetFunction(env, exports, "riskName", Guard<RiskName>) ||
      !SetFunction(env, exports, "confidenceName", Guard<ConfidenceName>) ||
      !SetFunction(env, exports, "cipherName", Guard<CipherName>)) {
    return nullptr;
  }
  return exports;
}
