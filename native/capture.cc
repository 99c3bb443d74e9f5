// The capture addon: what of libpcap cannot be TypeScript. It compiles filter expressions into BPF programs, opens
// interfaces for live capture, lists them, tells the library's version, tries whether this process may capture, and asks
// the kernel about sockets. The interface is described in src/native/capture.ts. Between calls it keeps nothing but the
// captures that are open.
#include "addon.h"
#include "capture-handle.h"
#include "interfaces.h"
#include "socket-diag.h"

#include <pcap/pcap.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

using namespace nfstream;

namespace {

struct PcapCloser {
  void operator()(pcap_t* handle) const { pcap_close(handle); }
};
using PcapHandle = std::unique_ptr<pcap_t, PcapCloser>;

napi_value LibVersion(napi_env env, napi_callback_info) {
  return String(env, pcap_lib_version(), NAPI_AUTO_LENGTH);
}

// The header of a pcap file without packets: magic, version 2.4, two unused words, snaplen, link type.
struct FileHeader {
  uint8_t bytes[24];

  FileHeader(bool bigEndian, uint32_t snaplen, uint32_t linkType) {
    const uint32_t words[6] = {0xa1b2c3d4, bigEndian ? 0x00020004u : 0x00040002u, 0, 0, snaplen, linkType};
    for (size_t word = 0; word < 6; word++) {
      for (size_t byte = 0; byte < 4; byte++) {
        bytes[4 * word + byte] = static_cast<uint8_t>(words[word] >> (8 * (bigEndian ? 3 - byte : byte)));
      }
    }
  }
};

// A handle as if a capture file were open, not pcap_open_dead: only so the compiler knows that there is no live
// packet beside the bytes (`inbound` then fails as it should), which DLT a file's link type is, and in which byte
// order the file was written (DLT_NULL headers are in it).
PcapHandle OpenEmptyFile(FileHeader& header, char* errbuf) {
  FILE* file = fmemopen(header.bytes, sizeof header.bytes, "rb");
  if (file == nullptr) {
    std::snprintf(errbuf, PCAP_ERRBUF_SIZE, "fmemopen: %s", std::strerror(errno));
    return nullptr;
  }
  pcap_t* handle = pcap_fopen_offline(file, errbuf);
  if (handle == nullptr) std::fclose(file);
  return PcapHandle(handle);
}

// Two words an instruction: jf << 24 | jt << 16 | code, and k.
napi_value ToUint32Array(napi_env env, const bpf_program& code) {
  void* memory = nullptr;
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  const size_t words = 2 * static_cast<size_t>(code.bf_len);
  if (napi_create_arraybuffer(env, words * sizeof(uint32_t), &memory, &buffer) != napi_ok) return nullptr;
  uint32_t* word = static_cast<uint32_t*>(memory);
  for (u_int index = 0; index < code.bf_len; index++) {
    const bpf_insn& instruction = code.bf_insns[index];
    *word++ = static_cast<uint32_t>(instruction.jf) << 24 | static_cast<uint32_t>(instruction.jt) << 16 |
              static_cast<uint32_t>(instruction.code);
    *word++ = instruction.k;
  }
  if (napi_create_typedarray(env, napi_uint32_array, words, buffer, 0, &array) != napi_ok) return nullptr;
  return array;
}

// compileFilter(expression, linkType, snaplen, bigEndian, optimizeUpTo): Uint32Array, or libpcap's message as a string.
napi_value CompileFilter(napi_env env, napi_callback_info info) {
  Arguments<5> arguments;
  std::string expression;
  int64_t linkType = 0;
  int64_t snaplen = 0;
  bool bigEndian = false;
  int64_t optimizeUpTo = 0;
  if (!arguments.Read(env, info) ||
      !ReadString(env, arguments.at[0], "expression", kExpressionBytesMax, &expression) ||
      !ReadInteger(env, arguments.at[1], "linkType", 0, 0xffff, &linkType) ||
      !ReadInteger(env, arguments.at[2], "snaplen", 1, 0x7fffffff, &snaplen) ||
      !ReadBoolean(env, arguments.at[3], "bigEndian", &bigEndian) ||
      !ReadInteger(env, arguments.at[4], "optimizeUpTo", 0, 0x7fffffff, &optimizeUpTo)) {
    return nullptr;
  }

  char errbuf[PCAP_ERRBUF_SIZE] = "";
  FileHeader header(bigEndian, static_cast<uint32_t>(snaplen), static_cast<uint32_t>(linkType));
  PcapHandle handle = OpenEmptyFile(header, errbuf);
  if (handle == nullptr) return String(env, errbuf, NAPI_AUTO_LENGTH);

  // The optimizer's time grows with the cube of the length (a minute for 1,000 addresses), so see the length first.
  // Netmask 0, as tcpdump has it for files: `ip broadcast` then means 255.255.255.255 and 0.0.0.0.
  Program plain;
  Program optimized;
  const std::lock_guard<std::mutex> lock(compilerMutex);
  const int failed = pcap_compile(handle.get(), &plain.code, expression.c_str(), 0, 0);
  if (failed == 0 && plain.code.bf_len > optimizeUpTo) return ToUint32Array(env, plain.code);
  if (failed != 0 || pcap_compile(handle.get(), &optimized.code, expression.c_str(), 1, 0) != 0) {
    return String(env, pcap_geterr(handle.get()), NAPI_AUTO_LENGTH);
  }
  return ToUint32Array(env, optimized.code);
}

// probeCapture(device): '' when capturing from it can be started by this process, else libpcap's message. Nothing is
// captured, and promiscuous mode is not touched.
napi_value ProbeCapture(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  std::string device;
  if (!arguments.Read(env, info) || !ReadString(env, arguments.at[0], "device", kDeviceBytesMax, &device)) {
    return nullptr;
  }
  char errbuf[PCAP_ERRBUF_SIZE] = "";
  PcapHandle handle(pcap_create(device.c_str(), errbuf));
  if (handle == nullptr) return String(env, errbuf, NAPI_AUTO_LENGTH);
  const int status = pcap_activate(handle.get());
  if (status >= 0) return String(env, "", 0);
  const char* detail = pcap_geterr(handle.get());
  return String(env, *detail != '\0' ? detail : pcap_statustostr(status), NAPI_AUTO_LENGTH);
}

bool ReadSettings(napi_env env, napi_value object, CaptureSettings* settings) {
  constexpr double kIntMax = 0x7fffffff;
  const auto integer = [&](const char* name, double high, int* out) {
    napi_value value = nullptr;
    int64_t number = 0;
    if (!ReadProperty(env, object, "settings", name, &value) || !ReadInteger(env, value, name, 1, high, &number)) {
      return false;
    }
    *out = static_cast<int>(number);
    return true;
  };
  const auto boolean = [&](const char* name, bool* out) {
    napi_value value = nullptr;
    return ReadProperty(env, object, "settings", name, &value) && ReadBoolean(env, value, name, out);
  };
  napi_value filter = nullptr;
  // Linux keeps the block timeout in 16 bits.
  return integer("snaplen", kSnaplenMax, &settings->snaplen) && integer("bufferSize", kIntMax, &settings->bufferSize) &&
         integer("batchTimeoutMs", 60000, &settings->batchTimeoutMs) &&
         boolean("promiscuous", &settings->promiscuous) && boolean("immediate", &settings->immediate) &&
         boolean("isHeld", &settings->isHeld) && ReadProperty(env, object, "settings", "filter", &filter) &&
         ReadString(env, filter, "filter", kExpressionBytesMax, &settings->filter);
}

// openCapture(device, settings): a handle, or {kind, message}.
napi_value OpenCapture(napi_env env, napi_callback_info info) {
  Arguments<2> arguments;
  std::string device;
  CaptureSettings settings;
  if (!arguments.Read(env, info) || !ReadString(env, arguments.at[0], "device", kDeviceBytesMax, &device) ||
      !ReadSettings(env, arguments.at[1], &settings)) {
    return nullptr;
  }
  const auto handle = std::make_shared<CaptureHandle>(env);
  const CaptureProblem problem = handle->capture.Open(device, settings);
  if (problem.kind == nullptr) return CaptureHandle::ToObject(env, handle);
  napi_value failure = nullptr;
  if (napi_create_object(env, &failure) != napi_ok ||
      !SetProperty(env, failure, "kind", String(env, problem.kind, NAPI_AUTO_LENGTH)) ||
      !SetProperty(env, failure, "message", String(env, problem.message.data(), problem.message.size()))) {
    return nullptr;
  }
  return failure;
}

}  // namespace

NAPI_MODULE_INIT() {
  if (!SetContract(env, exports) || !SetFunction(env, exports, "libVersion", Guard<LibVersion>) ||
      !SetFunction(env, exports, "compileFilter", Guard<CompileFilter>) ||
      !SetFunction(env, exports, "probeCapture", Guard<ProbeCapture>) ||
      !SetFunction(env, exports, "listInterfaces", Guard<ListInterfaces>) ||
      !SetFunction(env, exports, "openCapture", Guard<OpenCapture>) || !SetSocketDiag(env, exports)) {
    return nullptr;
  }
  return exports;
}
