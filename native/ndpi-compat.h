// The differences between nDPI's interfaces from 4.2 to 5.x, in one place; the rest of the addon sees one nDPI.
//
// How: functions whose parameters changed are called through an adapter that is chosen by the function's own type,
// and members that came or went are read through a test for them, so versions in between (and distributions' patches)
// need no table. Version macros are used only where a name disappeared.
//
// Scope: only nDPI 4.2 (Debian 12 and 13) is compiled and run by this project's tests. The shapes of later versions
// were taken from nDPI's later headers; the code is compiled against a small imitation of them (test/native/imitation),
// never against the real ones. Roughly, and nothing below depends on the numbers:
//   4.6   process_packet has an input_info argument; `alpn` became `advertised_alpns`; guess_..._v4 exists
//   4.10  init takes a global context instead of preferences, finalize returns a status, giveup has no enable_guess
//   4.12  ndpi_protocol holds the two ids in `.proto`; protocol2name takes that member's type; cipher2str a buffer
//   5.0   no detection bitmask (everything is on), giveup has no protocol_was_guessed (the confidence says it), JA3 of
//         clients, detected_protocol_stack and ndpi_extra_dissection_possible are gone
#pragma once

#include <ndpi_api.h>

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

struct ndpi_global_context;

namespace nfstream {
namespace compat {

using Module = struct ndpi_detection_module_struct;
using NdpiFlow = struct ndpi_flow_struct;

// --- the module ---

inline Module* Init(Module* (*init)(ndpi_global_context*)) { return init(nullptr); }
template <class Preferences>
Module* Init(Module* (*init)(Preferences)) {
  return init(Preferences{});
}
inline bool Finalize(Module* module, void (*finalize)(Module*)) {
  finalize(module);
  return true;
}
inline bool Finalize(Module* module, int (*finalize)(Module*)) { return finalize(module) == 0; }

#if NDPI_MAJOR < 5
template <class Result, class Bitmask>
void EnableAll(Module* module, Result (*enable)(Module*, const Bitmask*)) {
  Bitmask all;
  std::memset(&all, 0xff, sizeof all);
  enable(module, &all);
}
#endif

// A module with every protocol enabled, or nullptr. Calls must not run in parallel.
inline Module* CreateModule() {
  Module* module = Init(&ndpi_init_detection_module);
  if (module == nullptr) return nullptr;
#if NDPI_MAJOR < 5
  EnableAll(module, &ndpi_set_protocol_detection_bitmask2);
#endif
  if (!Finalize(module, &ndpi_finalize_initialization)) {
    ndpi_exit_detection_module(module);
    return nullptr;
  }
  return module;
}

// --- the two ids of a protocol ---

template <class P>
auto Ids(P& protocol, int) -> decltype((protocol.proto.master_protocol), (protocol.proto)) {
  return protocol.proto;
}
template <class P>
P& Ids(P& protocol, long) {
  return protocol;
}
inline uint16_t Master(const ndpi_protocol& protocol) { return Ids(protocol, 0).master_protocol; }
inline uint16_t App(const ndpi_protocol& protocol) { return Ids(protocol, 0).app_protocol; }

template <class P, class Length>
void ProtocolName(Module* module, uint16_t master, uint16_t app, char* out, size_t size,
                  char* (*name)(Module*, P, char*, Length)) {
  P protocol;
  std::memset(static_cast<void*>(&protocol), 0, sizeof protocol);
  Ids(protocol, 0).master_protocol = master;
  Ids(protocol, 0).app_protocol = app;
  name(module, protocol, out, static_cast<Length>(size));
}

// --- detection ---

template <class Length, class Time>
ndpi_protocol Process(Module* module, NdpiFlow* flow, const uint8_t* ip, uint16_t length, uint64_t timeMs,
                      ndpi_protocol (*process)(Module*, NdpiFlow*, const unsigned char*, Length, Time)) {
  return process(module, flow, ip, length, timeMs);
}
template <class Length, class Time, class Input>
ndpi_protocol Process(Module* module, NdpiFlow* flow, const uint8_t* ip, uint16_t length, uint64_t timeMs,
                      ndpi_protocol (*process)(Module*, NdpiFlow*, const unsigned char*, Length, Time, Input*)) {
  return process(module, flow, ip, length, timeMs, nullptr);
}

// nDPI's last word, guesses by port and address included; whether it is a guess goes to `*guessed`, 0 or 1.
inline ndpi_protocol GiveUp(Module* module, NdpiFlow* flow, uint8_t* guessed,
                            ndpi_protocol (*giveup)(Module*, NdpiFlow*, uint8_t, uint8_t*)) {
  return giveup(module, flow, 1, guessed);
}
inline ndpi_protocol GiveUp(Module* module, NdpiFlow* flow, uint8_t* guessed,
                            ndpi_protocol (*giveup)(Module*, NdpiFlow*, uint8_t*)) {
  return giveup(module, flow, guessed);
}
inline ndpi_protocol GiveUp(Module* module, NdpiFlow* flow, uint8_t* guessed,
                            ndpi_protocol (*giveup)(Module*, NdpiFlow*)) {
  const ndpi_protocol protocol = giveup(module, flow);
  *guessed = flow->confidence != NDPI_CONFIDENCE_UNKNOWN && flow->confidence != NDPI_CONFIDENCE_DPI_CACHE &&
             flow->confidence != NDPI_CONFIDENCE_DPI;
  return protocol;
}

// Whether nDPI will never change its mind: no dissector is left, or it has seen all the packets that it looks at.
#ifdef NDPI_MAX_NUM_PKTS_PER_FLOW_TO_DISSECT
constexpr unsigned MAX_PACKETS = NDPI_MAX_NUM_PKTS_PER_FLOW_TO_DISSECT;
#else
constexpr unsigned MAX_PACKETS = 32;  // the default of later versions' `packets_limit_per_flow`
#endif
template <class F>
auto Settled(const F& flow, int) -> decltype(flow.fail_with_unknown != 0) {
  return flow.fail_with_unknown != 0 || flow.num_processed_pkts > MAX_PACKETS;
}
template <class F>
bool Settled(const F& flow, long) {
  return flow.num_processed_pkts > MAX_PACKETS;
}

// Whether more packets would tell more about an already detected flow.
template <class M, class F>
auto ExtraPossible(M* module, F* flow, int) -> decltype(ndpi_extra_dissection_possible(module, flow) != 0) {
  return ndpi_extra_dissection_possible(module, flow) != 0;
}
template <class M, class F>
bool ExtraPossible(M*, F* flow, long) {
  return flow->extra_packets_func != nullptr;
}

// A guess from the first packet's header alone. Addresses (IPv4, otherwise 0) and ports in host byte order.
template <class M, class F>
auto Guess(M* module, F* flow, uint8_t protocol, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, int)
    -> decltype(ndpi_guess_undetected_protocol_v4(module, flow, protocol, src, sport, dst, dport)) {
  return ndpi_guess_undetected_protocol_v4(module, flow, protocol, src, sport, dst, dport);
}
template <class M, class F>
auto Guess(M* module, F* flow, uint8_t protocol, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, long)
    -> decltype(ndpi_guess_undetected_protocol(module, flow, protocol, src, sport, dst, dport)) {
  return ndpi_guess_undetected_protocol(module, flow, protocol, src, sport, dst, dport);
}

// --- whether `id` is among a flow's protocols; guards the reading of unions ---

struct Last {};
struct Middle : Last {};
struct First : Middle {};

template <class F, class P>
auto HasProtocol(const F& flow, const P&, uint16_t id, First) -> decltype(flow.detected_protocol_stack[0] == id) {
  for (const uint16_t detected : flow.detected_protocol_stack) {
    if (detected == id) return true;
  }
  return false;
}
template <class F, class P>
auto HasProtocol(const F&, const P& last, uint16_t id, Middle) -> decltype(last.protocol_stack.protos[0] == id) {
  for (unsigned i = 0; i < last.protocol_stack.protos_num; i++) {
    if (last.protocol_stack.protos[i] == id) return true;
  }
  return false;
}
template <class F, class P>
bool HasProtocol(const F&, const P& last, uint16_t id, Last) {
  return Master(last) == id || App(last) == id;
}

// --- members that came, went or changed their name ---

template <class T>
auto TlsAlpn(const T& tls, int) -> decltype((const char*)tls.alpn) {
  return tls.alpn;
}
template <class T>
auto TlsAlpn(const T& tls, long) -> decltype((const char*)tls.advertised_alpns) {
  return tls.advertised_alpns;
}
template <class T>
auto Ja3Client(const T& tls, int) -> decltype((const char*)tls.ja3_client) {
  return tls.ja3_client;
}
template <class T>
const char* Ja3Client(const T&, long) {
  return "";
}
template <class T>
auto Ja3Server(const T& tls, int) -> decltype((const char*)tls.ja3_server) {
  return tls.ja3_server;
}
template <class T>
const char* Ja3Server(const T&, long) {
  return "";
}

// `buffer` has room for 16 bytes.
inline const char* CipherName(uint32_t cipher, char*, const char* (*name)(uint32_t)) { return name(cipher); }
inline const char* CipherName(uint32_t cipher, char* buffer, const char* (*name)(uint32_t, char*)) {
  buffer[0] = '\0';
  return name(cipher, buffer);
}

}  // namespace compat
}  // namespace nfstream
