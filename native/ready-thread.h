// A thread that sleeps in poll() until a descriptor has something, then calls into JavaScript: once for each request.
//
//    JavaScript: Request() ──pipe──► the thread: poll(descriptor, pipe) ──threadsafe function──► JavaScript: OnReady
//
// There is no thread before the first request. It touches nothing but the descriptor and its own pipe; it holds none
// of the capture. While a request is pending the event loop is kept alive, otherwise not.
#pragma once

#include <node_api.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <thread>

#include <fcntl.h>

namespace nfstream {

class ReadyThread {
 public:
  // Called in JavaScript's thread with `context`; env is nullptr when the environment ends, and context gone then.
  using OnReady = napi_threadsafe_function_call_js;

  ReadyThread() = default;
  ReadyThread(const ReadyThread&) = delete;
  ReadyThread& operator=(const ReadyThread&) = delete;
  ~ReadyThread() { Stop(); }

  // Starts the thread. False when there are no descriptors, or the environment is ending. May throw std::system_error.
  bool Start(napi_env env, int descriptor, OnReady onReady, void* context) {
    if (pipe_[0] < 0 && !MakePipe()) return false;
    if (function_ == nullptr && !MakeFunction(env, onReady, context)) return false;
    // Signals are Node's business.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread(&ReadyThread::Run, this, descriptor);
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return true;
  }

  bool is_running() const { return thread_.joinable(); }

  // Asks to be called when the descriptor is readable or in error, or `timeoutMs` (-1: never) have passed. Not to be
  // called again before OnReady was.
  void Request(napi_env env, int timeoutMs) {
    napi_ref_threadsafe_function(env, function_);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      isRequested_ = true;
      timeoutMs_ = timeoutMs;
    }
    Wake();
  }

  // To be called by OnReady: lets the event loop end.
  void Done(napi_env env) { napi_unref_threadsafe_function(env, function_); }

  // OnReady is not called any more. Joins the thread, which is never busy for long.
  void Stop() {
    if (thread_.joinable()) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        isStopping_ = true;
      }
      Wake();
      thread_.join();
    }
    if (function_ != nullptr) napi_release_threadsafe_function(function_, napi_tsfn_abort);
    function_ = nullptr;
    for (int& end : pipe_) {
      if (end >= 0) close(end);
      end = -1;
    }
  }

 private:
  bool MakePipe() {
    if (pipe(pipe_) != 0) {
      pipe_[0] = pipe_[1] = -1;
      return false;
    }
    for (const int end : pipe_) {
      fcntl(end, F_SETFD, FD_CLOEXEC);
      fcntl(end, F_SETFL, O_NONBLOCK);
    }
    return true;
  }

  bool MakeFunction(napi_env env, OnReady onReady, void* context) {
    napi_value name = nullptr;
    if (napi_create_string_utf8(env, "nfstream.capture", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, context, onReady,
                                        &function_) != napi_ok) {
      function_ = nullptr;
      return false;
    }
    napi_unref_threadsafe_function(env, function_);
    return true;
  }

  // A full pipe wakes, too.
  void Wake() { (void)!write(pipe_[1], "", 1); }

  void Run(int descriptor) {
    for (;;) {
      int timeoutMs = -1;
      bool isWanted;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (isStopping_) return;
        isWanted = isRequested_;
        if (isWanted) timeoutMs = timeoutMs_;
      }
      pollfd polled[2] = {{pipe_[0], POLLIN, 0}, {descriptor, POLLIN, 0}};
      const int ready = poll(polled, isWanted ? 2 : 1, timeoutMs);
      if (ready < 0 && errno != EINTR && errno != EAGAIN) return;
      if (polled[0].revents != 0) {
        char drained[64];
        while (read(pipe_[0], drained, sizeof drained) > 0) {
        }
      }
      if (!isWanted || ready < 0 || (ready > 0 && polled[1].revents == 0)) continue;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        isRequested_ = false;
      }
      if (napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) != napi_ok) return;
    }
  }

  std::thread thread_;
  napi_threadsafe_function function_ = nullptr;
  int pipe_[2] = {-1, -1};

  std::mutex mutex_;
  bool isRequested_ = false;
  bool isStopping_ = false;
  int timeoutMs_ = -1;
};

}  // namespace nfstream
