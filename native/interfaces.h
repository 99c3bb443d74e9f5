// listInterfaces() of src/native/capture.ts: what libpcap's pcap_findalldevs tells, as JavaScript objects.
#pragma once

#include "addon.h"

#include <pcap/pcap.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <string>

namespace nfstream {

// Canonical text, '' for what is no IP address. inet_ntop writes IPv6 as RFC 5952 has it.
inline std::string AddressText(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address == nullptr) return "";
  if (address->sa_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  } else if (address->sa_family == AF_INET6) {
    in6_addr bytes = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
#ifdef __APPLE__
    // The kernel hands out link-local addresses with the interface's number in the second word.
    if (IN6_IS_ADDR_LINKLOCAL(&bytes)) bytes.s6_addr[2] = bytes.s6_addr[3] = 0;
#endif
    inet_ntop(AF_INET6, &bytes, text, sizeof text);
  }
  return text;
}

inline napi_value Connected(napi_env env, bpf_u_int32 flags) {
  const bpf_u_int32 status = flags & PCAP_IF_CONNECTION_STATUS;
  if (status == PCAP_IF_CONNECTION_STATUS_CONNECTED) return Boolean(env, true);
  if (status == PCAP_IF_CONNECTION_STATUS_DISCONNECTED) return Boolean(env, false);
  return Null(env);
}

inline napi_value InterfaceInfo(napi_env env, const pcap_if_t& device) {
  napi_value info = nullptr;
  napi_value addresses = nullptr;
  if (napi_create_object(env, &info) != napi_ok || napi_create_array(env, &addresses) != napi_ok) return nullptr;
  uint32_t count = 0;
  for (const pcap_addr_t* address = device.addresses; address != nullptr; address = address->next) {
    const std::string text = AddressText(address->addr);
    if (text.empty()) continue;
    if (napi_set_element(env, addresses, count++, String(env, text.data(), text.size())) != napi_ok) return nullptr;
  }
  const auto has = [&](bpf_u_int32 flag) { return Boolean(env, (device.flags & flag) != 0); };
  const char* description = device.description;
  const bool isSet =
      SetProperty(env, info, "name", String(env, device.name, NAPI_AUTO_LENGTH)) &&
      SetProperty(env, info, "description",
                  description == nullptr ? Null(env) : String(env, description, NAPI_AUTO_LENGTH)) &&
      SetProperty(env, info, "addresses", addresses) && SetProperty(env, info, "isUp", has(PCAP_IF_UP)) &&
      SetProperty(env, info, "isRunning", has(PCAP_IF_RUNNING)) &&
      SetProperty(env, info, "isLoopback", has(PCAP_IF_LOOPBACK)) &&
      SetProperty(env, info, "isWireless", has(PCAP_IF_WIRELESS)) &&
      SetProperty(env, info, "isConnected", Connected(env, device.flags));
  return isSet ? info : nullptr;
}

// listInterfaces(): InterfaceInfo[], or libpcap's message.
inline napi_value ListInterfaces(napi_env env, napi_callback_info) {
  char errbuf[PCAP_ERRBUF_SIZE] = "";
  pcap_if_t* first = nullptr;
  if (pcap_findalldevs(&first, errbuf) != 0) return String(env, errbuf, NAPI_AUTO_LENGTH);
  const std::unique_ptr<pcap_if_t, void (*)(pcap_if_t*)> devices(first, pcap_freealldevs);
  napi_value list = nullptr;
  if (napi_create_array(env, &list) != napi_ok) return nullptr;
  uint32_t count = 0;
  for (const pcap_if_t* device = first; device != nullptr; device = device->next) {
    const napi_value info = InterfaceInfo(env, *device);
    if (info == nullptr || napi_set_element(env, list, count++, info) != napi_ok) return nullptr;
  }
  return list;
}

}  // namespace nfstream
