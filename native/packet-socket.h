// What Linux offers for the socket of a capture (packet(7)) and libpcap does not pass on: rejecting all, leaving out what a
// loopback interface shows twice, sharing among several captures. And whether an interface is up, everywhere.
#pragma once

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#ifdef __linux__
#include <linux/filter.h>
#include <linux/if_packet.h>
#endif

namespace nfstream {

#ifdef __linux__
inline bool RejectAll(int socket) {
  sock_filter reject{BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program{1, &reject};
  return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}
#endif

// The flags of an interface; false when it does not exist.
inline bool ReadInterfaceFlags(int socket, const std::string& device, unsigned* flags) {
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device.c_str());
  if (ioctl(socket, SIOCGIFFLAGS, &request) != 0) return false;
  *flags = static_cast<unsigned short>(request.ifr_flags);
  return true;
}

// Linux shows each packet of a loopback interface twice, as it leaves and as it arrives. libpcap leaves out the first
// after the ring had room for it and counted it; the kernel can do that before (Linux 4.20). True where it applies.
inline bool LeaveOutOutgoing(int socket, const std::string& device) {
#if defined(__linux__) && defined(PACKET_IGNORE_OUTGOING)
  unsigned flags = 0;
  const int on = 1;
  if (!ReadInterfaceFlags(socket, device, &flags) || (flags & IFF_LOOPBACK) == 0) return false;
  setsockopt(socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  return true;
#else
  (void)socket, (void)device;
  return false;
#endif
}

// Whether the interface with this index exists and is up. One that was made anew under its name is another one. Index 0 is
// for `any`, and for devices that are no network interfaces.
inline bool IsInterfaceUp(int socket, const std::string& device, unsigned index) {
  if (index == 0) return true;
  unsigned flags = 0;
#ifdef __linux__
  // Asked by the capture's own socket, so in the network namespace that it was opened in.
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device.c_str());
  if (ioctl(socket, SIOCGIFINDEX, &request) != 0 || static_cast<unsigned>(request.ifr_ifindex) != index) return false;
  return ReadInterfaceFlags(socket, device, &flags) && (flags & IFF_UP) != 0;
#else
  (void)socket;
  const int asking = ::socket(AF_INET, SOCK_DGRAM, 0);
  if (asking < 0) return true;
  const bool isUp = ReadInterfaceFlags(asking, device, &flags) && (flags & IFF_UP) != 0;
  close(asking);
  return isUp && if_nametoindex(device.c_str()) == index;
#endif
}

// '' or why not. `words`: two an instruction.
inline std::string JoinFanout(int socket, uint32_t group, bool isLoopback, const uint32_t* words,
                              size_t instructionCount) {
#if defined(__linux__) && defined(PACKET_FANOUT_DATA)
  constexpr uint32_t kFanoutCbpf = 6;  // PACKET_FANOUT_CBPF, Linux 4.3
  if (instructionCount == 0 || instructionCount > BPF_MAXINSNS) return "the program is empty or too long";
  std::vector<sock_filter> code(instructionCount);
  for (size_t index = 0; index < instructionCount; index++) {
    const uint32_t word = words[2 * index];
    code[index] = {static_cast<uint16_t>(word), static_cast<uint8_t>(word >> 16), static_cast<uint8_t>(word >> 24),
                   words[2 * index + 1]};
  }
  const sock_fprog program{static_cast<unsigned short>(instructionCount), code.data()};
  const uint32_t join = kFanoutCbpf << 16 | group;
  int status = -1;
#ifdef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
  if (isLoopback) {  // Linux 5.16
    const uint32_t without = join | PACKET_FANOUT_FLAG_IGNORE_OUTGOING << 16;
    status = setsockopt(socket, SOL_PACKET, PACKET_FANOUT, &without, sizeof without);
  }
#else
  (void)isLoopback;
#endif
  if (status != 0) status = setsockopt(socket, SOL_PACKET, PACKET_FANOUT, &join, sizeof join);
  if (status != 0) return std::string("PACKET_FANOUT: ") + std::strerror(errno);
  if (setsockopt(socket, SOL_PACKET, PACKET_FANOUT_DATA, &program, sizeof program) != 0) {
    return std::string("PACKET_FANOUT_DATA: ") + std::strerror(errno);
  }
  return "";
#else
  (void)socket, (void)group, (void)isLoopback, (void)words, (void)instructionCount;
  return "this platform has no PACKET_FANOUT";
#endif
}

}  // namespace nfstream
