// One interface, captured from through libpcap: opening, copying packets out of the kernel's ring, counters, fanout.
// Knows libpcap and the system, not Node-API. Used by one thread.
//
// libpcap begins to capture inside pcap_activate, before a filter can be set. So a capture is opened held: right after
// activation a filter that rejects all is attached. `Release` sets the real filter and counts from there; the few
// packets that got in before are left out by `Read`.
#pragma once

#include "packet-socket.h"

#include <pcap/pcap.h>

#include <net/if.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string>

#include <fcntl.h>

namespace nfstream {

// Until 1.8 libpcap's compiler kept its state in globals, and it still calls getservbyname and the like.
inline std::mutex compilerMutex;

// Owns what pcap_compile makes.
struct Program {
  bpf_program code{};
  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() { pcap_freecode(&code); }
};

// libpcap's own.
constexpr int kSnaplenMax = 262144;

struct CaptureSettings {
  int snaplen = 0;
  bool promiscuous = false;
  int bufferSize = 0;
  int batchTimeoutMs = 0;
  bool immediate = false;
  std::string filter;
  bool isHeld = false;
};

// `kind` is one of CaptureFailure['kind'] in src/native/capture.ts, nullptr while nothing failed.
struct CaptureProblem {
  const char* kind = nullptr;
  std::string message;
};

// The columns of a batch and the bytes that its frames are copied into.
struct Target {
  uint8_t* bytes = nullptr;
  size_t byteCount = 0;
  double* timeMs = nullptr;
  int32_t* frameAt = nullptr;
  int32_t* capturedLength = nullptr;
  uint32_t* wireLength = nullptr;
  size_t rowCount = 0;
};

struct CaptureCounters {
  uint64_t received = 0;
  uint64_t droppedByKernel = 0;
  uint64_t droppedByInterface = 0;
};

class LiveCapture {
 public:
  LiveCapture() = default;
  LiveCapture(const LiveCapture&) = delete;
  LiveCapture& operator=(const LiveCapture&) = delete;
  ~LiveCapture() { Close(); }

  CaptureProblem Open(const std::string& device, const CaptureSettings& settings) {
    char errbuf[PCAP_ERRBUF_SIZE] = "";
    device_ = device;
    // The slack is for the grain of the kernel's timers.
    if (!settings.immediate) handover_ = std::chrono::milliseconds(settings.batchTimeoutMs + 50);
    handle_ = pcap_create(device.c_str(), errbuf);
    if (handle_ == nullptr) return {"failed", errbuf};
    // libpcap's ring for immediate mode has room for up to two bytes less than was asked for.
    const int slack = settings.immediate ? 16 : 0;
    pcap_set_snaplen(handle_, std::min(settings.snaplen + slack, kSnaplenMax));
    pcap_set_promisc(handle_, settings.promiscuous);
    pcap_set_buffer_size(handle_, settings.bufferSize);
    pcap_set_timeout(handle_, settings.batchTimeoutMs);
    pcap_set_immediate_mode(handle_, settings.immediate);
    // Microseconds where it is not supported.
    pcap_set_tstamp_precision(handle_, PCAP_TSTAMP_PRECISION_NANO);
    // Positive values are warnings: no promiscuous mode, no time stamps of the kind asked for.
    const int status = pcap_activate(handle_);
    if (status < 0) return {KindOf(status), Words(status)};
    index_ = if_nametoindex(device.c_str());
    if (!Hold()) return {"failed", Words(PCAP_ERROR)};
    isLoopback_ = LeaveOutOutgoing(pcap_fileno(handle_), device_);
    snaplen_ = std::min(settings.snaplen, pcap_snapshot(handle_));
    isNanosecond_ = pcap_get_tstamp_precision(handle_) == PCAP_TSTAMP_PRECISION_NANO;
    linkType_ = LinkTypeInFiles();
    if (linkType_ < 0) return {"failed", "frames of this interface have no link type in capture files"};
    if (pcap_setnonblock(handle_, 1, errbuf) != 0) return {"failed", errbuf};
    descriptor_ = pcap_get_selectable_fd(handle_);
    if (descriptor_ < 0) return {"failed", "libpcap can not wait for packets of this interface"};
    // A child process would keep the socket, and with it the ring and a place in the fanout group.
    fcntl(descriptor_, F_SETFD, fcntl(descriptor_, F_GETFD) | FD_CLOEXEC);
    CaptureProblem problem = Compile(settings.filter);
    if (problem.kind != nullptr || settings.isHeld) return problem;
    return Release();
  }

  // Sets the real filter; from now on packets are kept and counted. Does nothing the second time.
  CaptureProblem Release() {
    if (!isHeld_) return {};
    CaptureCounters before;
    if (Stats(&before)) {
      base_ = total_;
      // What the ring took before it was held. Elsewhere setting a filter empties the buffer.
#ifdef __linux__
      foreign_ = before.received - before.droppedByKernel;
#endif
    }
    if (pcap_setfilter(handle_, &filter_.code) != 0) return {"failed", pcap_geterr(handle_)};
    isHeld_ = false;
    return {};
  }

  // No packet is captured any more; what was, stays to be read. Elsewhere than on Linux setting a filter would empty the
  // buffer, so packets go on to arrive.
  void Finish() {
#ifdef __linux__
    RejectAll(pcap_fileno(handle_));
#endif
  }

  // Copies waiting packets into rows from `row` and bytes from `at` on, see CaptureHandle.read. Negative: `*problem`.
  int Read(const Target& target, size_t row, size_t at, CaptureProblem* problem) {
    if (failure_.kind != nullptr) {
      *problem = failure_;
      return -1;
    }
    target_ = target;
    row_ = row;
    at_ = at;
    while (HasRoom()) {
      const size_t rows = std::min<size_t>(target_.rowCount - row_, INT_MAX);
      const int status = pcap_dispatch(handle_, static_cast<int>(rows), OnPacket, reinterpret_cast<u_char*>(this));
      if (status < 0 && status != PCAP_ERROR_BREAK) return OnError(status, static_cast<int>(row_ - row), problem);
      // No rows although something was read: packets from before the release. Or BPF of macOS and the BSDs kept the
      // pcap_breakloop of the call before.
      if (row_ > row || status == 0) break;
    }
    return static_cast<int>(row_ - row);
  }

  // Totals since the release. libpcap's counters have 32 bits: to be asked more often than every 2^31 packets.
  bool Stats(CaptureCounters* counters) {
    pcap_stat stat{};
    if (pcap_stats(handle_, &stat) != 0) return false;
    total_.received += stat.ps_recv - last_.ps_recv;
    total_.droppedByKernel += stat.ps_drop - last_.ps_drop;
    // Falls when the interface vanishes and its counters with it.
    const auto more = static_cast<int32_t>(stat.ps_ifdrop - last_.ps_ifdrop);
    if (more > 0) total_.droppedByInterface += static_cast<uint64_t>(more);
    last_ = stat;
    counters->received = total_.received - base_.received;
    counters->droppedByKernel = total_.droppedByKernel - base_.droppedByKernel;
    counters->droppedByInterface = total_.droppedByInterface - base_.droppedByInterface;
    return true;
  }

  // See CaptureHandle.isUp: what arrived before the interface went down, the kernel hands over up to a batch timeout later.
  bool IsUp() {
    if (IsUpNow()) {
      isGoing_ = false;
      return true;
    }
    const auto now = SteadyClock::now();
    if (!isGoing_) wentAt_ = now;
    isGoing_ = true;
    return now - wentAt_ < handover_;
  }

  // '' or why not. `words`: two an instruction.
  std::string JoinFanout(uint32_t group, const uint32_t* words, size_t instructionCount) const {
    return nfstream::JoinFanout(pcap_fileno(handle_), group, isLoopback_, words, instructionCount);
  }

  // How long a wait may last without a packet before `Read` must look, ms; -1 for ever.
  int RequiredTimeoutMs() const {
    const timeval* timeout = pcap_get_required_select_timeout(handle_);
    if (timeout == nullptr) return -1;
    const int64_t ms = static_cast<int64_t>(timeout->tv_sec) * 1000 + (timeout->tv_usec + 999) / 1000;
#ifdef __linux__
    // Set while the interface is down, to see whether it vanishes, which is not announced then. libpcap asks for 1 ms.
    constexpr int64_t kLookEveryMs = 100;
    return static_cast<int>(std::min<int64_t>(std::max(ms, kLookEveryMs), INT_MAX));
#else
    return static_cast<int>(std::min<int64_t>(std::max<int64_t>(ms, 1), INT_MAX));
#endif
  }

  void Close() {
    if (handle_ != nullptr) pcap_close(handle_);
    handle_ = nullptr;
    descriptor_ = -1;
  }

  bool is_open() const { return handle_ != nullptr; }
  int descriptor() const { return descriptor_; }
  int link_type() const { return linkType_; }
  int snaplen() const { return snaplen_; }
  bool is_nanosecond() const { return isNanosecond_; }

 private:
  using SteadyClock = std::chrono::steady_clock;

  static const char* KindOf(int status) {
    switch (status) {
      case PCAP_ERROR_NO_SUCH_DEVICE:
        return "not_found";
      case PCAP_ERROR_PERM_DENIED:
      case PCAP_ERROR_PROMISC_PERM_DENIED:
        return "denied";
      case PCAP_ERROR_IFACE_NOT_UP:
        return "down";
      default:
        return "failed";
    }
  }

  bool IsUpNow() const { return IsInterfaceUp(pcap_fileno(handle_), device_, index_); }

  std::string Words(int status) const {
    const char* detail = pcap_geterr(handle_);
    return *detail != '\0' ? detail : pcap_statustostr(status);
  }

  // Not by pcap_setfilter on Linux: libpcap would apply it to the first packets after the release, too.
  bool Hold() {
    isHeld_ = true;
#ifdef __linux__
    if (!RejectAll(pcap_fileno(handle_))) return false;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    heldAtMs_ = static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
    return true;
#else
    bpf_insn reject{BPF_RET | BPF_K, 0, 0, 0};
    bpf_program program{1, &reject};
    return pcap_setfilter(handle_, &program) == 0;
#endif
  }

  // As tcpdump: with the netmask of the interface, for `ip broadcast`. An empty filter compiles, too; it is what makes
  // the kernel cut frames to `snaplen`.
  CaptureProblem Compile(const std::string& expression) {
    constexpr u_int kKernelTakes = 4096;  // BPF_MAXINSNS. The optimizer's time grows with the cube of the length.
    char errbuf[PCAP_ERRBUF_SIZE] = "";
    bpf_u_int32 network = 0;
    bpf_u_int32 netmask = 0;
    if (pcap_lookupnet(device_.c_str(), &network, &netmask, errbuf) != 0) netmask = 0;
    const std::lock_guard<std::mutex> lock(compilerMutex);
    if (pcap_compile(handle_, &filter_.code, expression.c_str(), 0, netmask) != 0) return {"filter", Words(PCAP_ERROR)};
    if (filter_.code.bf_len > kKernelTakes) return {};
    pcap_freecode(&filter_.code);
    if (pcap_compile(handle_, &filter_.code, expression.c_str(), 1, netmask) != 0) return {"filter", Words(PCAP_ERROR)};
    return {};
  }

  // The LINKTYPE_ value: libpcap knows it only when it writes a file's header (24 bytes, the last word).
  int LinkTypeInFiles() {
    uint8_t header[64] = {};
    FILE* file = fmemopen(header, sizeof header, "wb");
    if (file == nullptr) return -1;
    pcap_dumper_t* dumper = pcap_dump_fopen(handle_, file);
    if (dumper == nullptr) {
      std::fclose(file);
      return -1;
    }
    pcap_dump_close(dumper);
    uint32_t word;
    std::memcpy(&word, header + 20, sizeof word);
    return static_cast<int>(word & 0xffff);
  }

  bool HasRoom() const {
    return row_ < target_.rowCount && target_.byteCount - at_ >= static_cast<size_t>(snaplen_);
  }

  // As src/source/stamp-time.ts: ms, of which a stamp has `perMs` parts, never rounded up to the next whole one.
  static double StampTime(const timeval& stamp, double perMs) {
    const double seconds = static_cast<double>(stamp.tv_sec) * 1e3;
    const double ms = static_cast<double>(stamp.tv_usec) / perMs;
    const double next = seconds + std::floor(ms) + 1;
    return std::min(seconds + ms, std::nextafter(next, 0.0));
  }

  // HOT PATH: once a packet, out of the ring into the batch: one memcpy, five stores.
  static void OnPacket(u_char* user, const pcap_pkthdr* header, const u_char* frame) {
    auto& self = *reinterpret_cast<LiveCapture*>(user);
    const double timeMs = StampTime(header->ts, self.isNanosecond_ ? 1e6 : 1e3);
    if (self.foreign_ > 0 && self.IsForeign(timeMs)) return;
    const Target& target = self.target_;
    const size_t length = std::min(static_cast<size_t>(header->caplen), static_cast<size_t>(self.snaplen_));
    std::memcpy(target.bytes + self.at_, frame, length);
    target.timeMs[self.row_] = timeMs;
    target.frameAt[self.row_] = static_cast<int32_t>(self.at_);
    target.capturedLength[self.row_] = static_cast<int32_t>(length);
    target.wireLength[self.row_] = header->len;
    self.row_++;
    self.at_ += length;
    if (target.byteCount - self.at_ < static_cast<size_t>(self.snaplen_)) pcap_breakloop(self.handle_);
  }

  // Whether a packet got in before the capture was held. There are `foreign_` of them at most, and they come first;
  // the filter left some of them out, so their time tells.
  bool IsForeign(double timeMs) {
    if (timeMs < heldAtMs_) {
      foreign_--;
      return true;
    }
    foreign_ = 0;
    return false;
  }

  // libpcap tells at once that the interface vanished, and its last packets after that.
  int OnError(int status, int rows, CaptureProblem* problem) {
    if (!IsUpNow() && IsUp()) return rows;
    *problem = {IsUpNow() ? "failed" : "down", Words(status)};
    if (rows == 0) return -1;
    failure_ = *problem;
    return rows;
  }

  pcap_t* handle_ = nullptr;
  std::string device_;
  unsigned index_ = 0;
  int descriptor_ = -1;
  int linkType_ = -1;
  int snaplen_ = 0;
  bool isNanosecond_ = false;
  bool isLoopback_ = false;
  Program filter_;

  bool isHeld_ = false;
  double heldAtMs_ = 0;
  uint64_t foreign_ = 0;

  // During Read.
  Target target_;
  size_t row_ = 0;
  size_t at_ = 0;

  CaptureProblem failure_;
  // Since when the interface is not up, and how long what is still to come takes.
  bool isGoing_ = false;
  SteadyClock::time_point wentAt_;
  std::chrono::milliseconds handover_{0};

  pcap_stat last_{};
  CaptureCounters total_;
  CaptureCounters base_;
};

}  // namespace nfstream
