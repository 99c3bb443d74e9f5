// nDPI without JavaScript: one detection module and the pool of the flows that it is still looking at.
//
//   handle = generation (7 bits) << 24 | index (24 bits)        slots in chunks of 256, free ones in a list
//
// A handle that was freed is refused (by its generation, until that wraps after 128 uses of a slot); whatever handle is
// given, no memory outside the pool is touched. Packets are copied into a buffer of the detector before nDPI sees them:
// nDPI keeps pointers into the last packet, its caller's memory may move, and bytes after the packet must be readable.
#pragma once

#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "ndpi-compat.h"

namespace nfstream {

// What `Process` found. The numbers are part of the addon's interface.
enum class State : int { kUnknown = 0, kMoreWanted = 1, kComplete = 2, kExhausted = 3 };

class Detector {
 public:
  struct Slot {
    ndpi_flow_struct flow;
    // The latest word of nDPI.
    ndpi_protocol last;
    uint32_t generation;
    // IP version << 8 | transport protocol of the flow's packets, 0 before the first one.
    uint16_t carried;
    bool live;
    uint8_t guessed;
  };

  // nullptr when nDPI can't be initialised.
  static std::unique_ptr<Detector> Create() {
    std::unique_ptr<Detector> detector(new Detector());
    const std::lock_guard<std::mutex> lock(InitMutex());
    detector->module_ = compat::CreateModule();
    return detector->module_ == nullptr ? nullptr : std::move(detector);
  }

  ~Detector() {
    for (const auto& chunk : chunks_) {
      for (uint32_t i = 0; i < kChunk; i++) {
        if (chunk[i].live) ndpi_free_flow_data(&chunk[i].flow);
      }
    }
    const std::lock_guard<std::mutex> lock(InitMutex());
    if (module_ != nullptr) ndpi_exit_detection_module(module_);
  }

  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;

  compat::Module* module() const { return module_; }
  uint32_t live_count() const { return live_count_; }

  // A handle, or -1 when all 2^24 slots are live. Throws std::bad_alloc.
  int64_t Open() {
    if (free_.empty() && !Grow()) return -1;
    const uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = At(index);
    std::memset(static_cast<void*>(&slot.flow), 0, sizeof slot.flow);
    std::memset(static_cast<void*>(&slot.last), 0, sizeof slot.last);
    slot.carried = 0;
    slot.guessed = 0;
    slot.live = true;
    live_count_++;
    return static_cast<int64_t>(slot.generation) << kIndexBits | index;
  }

  // The live slot of a handle, or nullptr.
  Slot* Find(int64_t handle) {
    if (handle < 0) return nullptr;
    const uint64_t index = static_cast<uint64_t>(handle) & (kMaxSlots - 1);
    if (index >= chunks_.size() * kChunk) return nullptr;
    Slot& slot = At(static_cast<uint32_t>(index));
    return slot.live && slot.generation == static_cast<uint64_t>(handle) >> kIndexBits ? &slot : nullptr;
  }

  void Free(int64_t handle, Slot* slot) {
    ndpi_free_flow_data(&slot->flow);
    slot->live = false;
    slot->generation = (slot->generation + 1) & kGenerationMask;
    free_.push_back(static_cast<uint32_t>(handle & (kMaxSlots - 1)));  // has capacity: see Grow
    live_count_--;
  }

  State Process(Slot* slot, const uint8_t* ip, size_t length, uint64_t timeMs) {
    // A longer packet (an IPv6 jumbogram) is refused by nDPI because it is cut.
    const uint16_t size = static_cast<uint16_t>(length < kMaxPacket ? length : kMaxPacket);
    if (size > 0) std::memcpy(packet_.get(), ip, size);  // an empty array has no address
    std::memset(packet_.get() + size, 0, kPadding);
    if (!BelongsTo(slot, packet_.get(), size)) return Known(*slot) ? State::kMoreWanted : State::kUnknown;
    ndpi_flow_struct* flow = &slot->flow;
    // Asked before the call: when nDPI has settled, one more call gives its final, unrefined word.
    const bool settled = compat::Settled(*flow, 0);
    slot->last = compat::Process(module_, flow, packet_.get(), size, timeMs, &ndpi_detection_process_packet);
    if (!Known(*slot)) return settled ? State::kExhausted : State::kUnknown;
    return settled || !compat::ExtraPossible(module_, flow, 0) ? State::kComplete : State::kMoreWanted;
  }

  void GiveUp(Slot* slot) {
    slot->last = compat::GiveUp(module_, &slot->flow, &slot->guessed, &ndpi_detection_giveup);
  }

  // For a flow without any packet that nDPI could look at.
  void Guess(Slot* slot, uint8_t protocol, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport) {
    slot->last = compat::Guess(module_, &slot->flow, protocol, src, sport, dst, dport, 0);
    slot->guessed = Known(*slot) ? 1 : 0;
  }

 private:
  static constexpr uint32_t kIndexBits = 24;
  static constexpr uint64_t kMaxSlots = 1u << kIndexBits;
  static constexpr uint32_t kGenerationMask = 0x7f;
  static constexpr uint32_t kChunk = 256;
  static constexpr size_t kMaxPacket = 65535;
  static constexpr size_t kPadding = 256;

  Detector() : packet_(new uint8_t[kMaxPacket + kPadding]()) {}

  // nDPI's initialisation has process-wide parts (libgcrypt) and must not run twice at once.
  static std::mutex& InitMutex() {
    static std::mutex mutex;
    return mutex;
  }

  Slot& At(uint32_t index) { return chunks_[index / kChunk][index % kChunk]; }

  static bool Known(const Slot& slot) { return compat::App(slot.last) != NDPI_PROTOCOL_UNKNOWN; }

  // nDPI keeps what it knows of TCP and of UDP in a union and trusts its caller that a flow has only one of them: a
  // packet of another protocol than the flow's first makes it follow wild pointers. A packet that it can't parse is let
  // through, it refuses that by itself.
  static bool BelongsTo(Slot* slot, const uint8_t* ip, uint16_t size) {
    const uint8_t* transport = nullptr;
    uint16_t length = 0;
    uint8_t protocol = 0;
    if (ndpi_detection_get_l4(ip, size, &transport, &length, &protocol, 0) != 0) return true;
    const uint16_t carried = static_cast<uint16_t>((ip[0] >> 4) << 8 | protocol);
    if (slot->carried == 0) slot->carried = carried;
    return slot->carried == carried;
  }

  bool Grow() {
    const size_t count = chunks_.size() * kChunk;
    if (count + kChunk > kMaxSlots) return false;
    free_.reserve(count + kChunk);
    chunks_.reserve(chunks_.size() + 1);
    std::unique_ptr<Slot[]> chunk(new Slot[kChunk]);
    for (uint32_t i = 0; i < kChunk; i++) {
      chunk[i].live = false;
      chunk[i].generation = 0;
    }
    chunks_.push_back(std::move(chunk));
    for (uint32_t i = kChunk; i > 0; i--) free_.push_back(static_cast<uint32_t>(count + i - 1));
    return true;
  }

  compat::Module* module_ = nullptr;
  std::unique_ptr<uint8_t[]> packet_;
  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::vector<uint32_t> free_;
  uint32_t live_count_ = 0;
};

}  // namespace nfstream
