// The kernel's sock_diag over netlink, for which Node has no sockets: sends a question, hands back the answer's bytes. It
// neither builds questions nor reads answers (src/system/socket-diag.ts does), and keeps nothing. See sock_diag(7).
#pragma once

#include "addon.h"

#include <cerrno>

#ifdef __linux__
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

namespace nfstream {

#ifdef __linux__

// openSocketDiag(): a file number, to be closed by closeSocketDiag, or -errno. It tells of the network namespace that the
// calling thread is in.
inline napi_value OpenSocketDiag(napi_env env, napi_callback_info) {
  const int file = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  return Number(env, file < 0 ? -errno : file);
}

// askSocketDiag(file, question, answer): sends the question, unless it is empty, and receives one datagram into
// `answer`. Returns its true length, more than `answer.length` when it was cut, or -errno. Never waits: the kernel
// answers within the call that asks, and makes each further part of a dump within the call that reads it.
inline napi_value AskSocketDiag(napi_env env, napi_callback_info info) {
  Arguments<3> arguments;
  int64_t file = 0;
  const uint8_t* question = nullptr;
  const uint8_t* answer = nullptr;
  size_t questionLength = 0;
  size_t answerLength = 0;
  if (!arguments.Read(env, info) || !ReadInteger(env, arguments.at[0], "file", 0, 0x7fffffff, &file) ||
      !ReadBytes(env, arguments.at[1], "question", &question, &questionLength) ||
      !ReadBytes(env, arguments.at[2], "answer", &answer, &answerLength)) {
    return nullptr;
  }
  const int descriptor = static_cast<int>(file);
  if (questionLength > 0 && send(descriptor, question, questionLength, 0) < 0) return Number(env, -errno);
  const ssize_t length =
      recv(descriptor, const_cast<uint8_t*>(answer), answerLength, MSG_TRUNC | MSG_DONTWAIT);
  return Number(env, length < 0 ? -errno : static_cast<double>(length));
}

// closeSocketDiag(file). Node's own fs.closeSync warns of numbers that it did not open, in worker threads.
inline napi_value CloseSocketDiag(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  int64_t file = 0;
  if (!arguments.Read(env, info) || !ReadInteger(env, arguments.at[0], "file", 0, 0x7fffffff, &file)) return nullptr;
  close(static_cast<int>(file));
  return Undefined(env);
}

#else

inline napi_value OpenSocketDiag(napi_env env, napi_callback_info) { return Number(env, -ENOSYS); }
inline napi_value AskSocketDiag(napi_env env, napi_callback_info) { return Number(env, -ENOSYS); }
inline napi_value CloseSocketDiag(napi_env env, napi_callback_info) { return Undefined(env); }

#endif

inline bool SetSocketDiag(napi_env env, napi_value exports) {
  return SetFunction(env, exports, "openSocketDiag", Guard<OpenSocketDiag>) &&
         SetFunction(env, exports, "askSocketDiag", Guard<AskSocketDiag>) &&
         SetFunction(env, exports, "closeSocketDiag", Guard<CloseSocketDiag>);
}

}  // namespace nfstream
