// A store over TCP. A message is a letter, the lengths of key and value (8 bytes each, this machine's order), key and
// value: 'S' sets, 'G' asks, 'V' answers, 'B' says goodbye.
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <thread>
#include <utility>

#include "base/error.h"
#include "executor/cuda/store.h"

namespace isochrone::executor::cuda {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 32;

class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int Fd() const { return fd_; }

 private:
  int fd_;
};

bool WriteAll(int fd, const void* data, std::size_t n) {
  const char* at = static_cast<const char*>(data);
  while (n > 0) {
    const ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
    if (done <= 0 && errno != EINTR) return false;
    if (done > 0) at += done, n -= static_cast<std::size_t>(done);
  }
  return true;
}

bool ReadAll(int fd, void* data, std::size_t n) {
  char* at = static_cast<char*>(data);
  while (n > 0) {
    const ssize_t done = recv(fd, at, n, 0);
    if (done == 0 || (done < 0 && errno != EINTR)) return false;
    if (done > 0) at += done, n -= static_cast<std::size_t>(done);
  }
  return true;
}

struct Message {
  char letter = 0;
  std::string key;
  std::vector<std::byte> value;
};

bool WriteMessage(int fd, char letter, const std::string& key, std::span<const std::byte> value) {
  const std::array<std::uint64_t, 2> sizes = {key.size(), value.size()};
  return WriteAll(fd, &letter, 1) && WriteAll(fd, sizes.data(), sizeof sizes) && WriteAll(fd, key.data(), key.size()) &&
         WriteAll(fd, value.data(), value.size());
}

bool ReadMessage(int fd, Message& m) {
  std::array<std::uint64_t, 2> sizes{};
  if (!ReadAll(fd, &m.letter, 1) || !ReadAll(fd, sizes.data(), sizeof sizes)) return false;
  if (sizes[0] > kMostBytes || sizes[1] > kMostBytes) return false;
  m.key.resize(sizes[0]);
  m.value.resize(sizes[1]);
  return ReadAll(fd, m.key.data(), m.key.size()) && ReadAll(fd, m.value.data(), m.value.size());
}

/// Rank 0's side: one thread that answers all callers.
class Server {
 public:
  Server(int port, int callers) : callers_(callers) {
    listener_ = Socket(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1, no = 0;
    setsockopt(listener_.Fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(listener_.Fd(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_any;
    address.sin6_port = htons(static_cast<std::uint16_t>(port));
    if (bind(listener_.Fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener_.Fd(), 1024) != 0) {
      throw Error("port " + std::to_string(port), std::string("rank 0 cannot listen there: ") + std::strerror(errno),
                  "set MASTER_PORT to a free port on all ranks");
    }
    thread_ = std::thread([this] { Serve(); });
  }
  ~Server() {
    stop_ = true;
    thread_.join();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  void WaitForGoodbyes(Clock::time_point until) const {
    while (goodbyes_ < callers_ && Clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

 private:
  void Serve() {
    while (!stop_) {
      std::vector<pollfd> ready = {{listener_.Fd(), POLLIN, 0}};
      for (const Socket& s : connections_) ready.push_back({s.Fd(), POLLIN, 0});
      if (poll(ready.data(), ready.size(), 20) <= 0) continue;
      std::vector<Socket> kept;
      for (std::size_t i = 1; i < ready.size(); ++i) {
        if (ready[i].revents == 0 || Answer(ready[i].fd)) kept.push_back(std::move(connections_[i - 1]));
        else Forget(ready[i].fd);
      }
      connections_ = std::move(kept);
      if (ready[0].revents != 0) connections_.emplace_back(accept4(listener_.Fd(), nullptr, nullptr, SOCK_CLOEXEC));
    }
  }

  bool Answer(int fd) {
    Message m;
    if (!ReadMessage(fd, m)) return false;
    if (m.letter == 'B') return ++goodbyes_, false;
    if (m.letter == 'S') {
      for (const int waiting : asked_[m.key]) WriteMessage(waiting, 'V', m.key, m.value);
      asked_.erase(m.key);
      values_[m.key] = std::move(m.value);
      return true;
    }
    const auto it = values_.find(m.key);
    if (it == values_.end()) asked_[m.key].push_back(fd);
    else return WriteMessage(fd, 'V', m.key, it->second);
    return true;
  }

  /// A caller has hung up: its number may soon be another's.
  void Forget(int fd) {
    for (auto& [key, waiting] : asked_) std::erase(waiting, fd);
  }

  int callers_;
  Socket listener_;
  std::vector<Socket> connections_;
  std::map<std::string, std::vector<std::byte>> values_;
  std::map<std::string, std::vector<int>> asked_;  // who waits for a key
  std::atomic<int> goodbyes_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class TcpStore final : public Store {
 public:
  TcpStore(const std::string& host, int port, int rank, int world, double timeout_s)
      : timeout_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout_s))) {
    if (rank == 0) server_ = std::make_unique<Server>(port, world);
    Connect(rank == 0 ? "127.0.0.1" : host, port);
  }
  ~TcpStore() override {
    WriteMessage(socket_.Fd(), 'B', "", {});
    if (server_) server_->WaitForGoodbyes(Clock::now() + timeout_);
  }

  void Set(const std::string& key, std::span<const std::byte> value) override {
    if (!WriteMessage(socket_.Fd(), 'S', key, value)) Lost(key);
  }
  std::vector<std::byte> Get(const std::string& key) override {
    if (!WriteMessage(socket_.Fd(), 'G', key, {})) Lost(key);
    pollfd ready{socket_.Fd(), POLLIN, 0};
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(timeout_).count();
    if (poll(&ready, 1, static_cast<int>(wait)) == 0)
      throw Error("waiting for " + key, "no rank has set it in time", "look at the other ranks' errors");
    Message m;
    if (!ReadMessage(socket_.Fd(), m)) Lost(key);
    return std::move(m.value);
  }

 private:
  [[noreturn]] static void Lost(const std::string& key) {
    throw Error("asking rank 0 about " + key, "it has hung up", "look at the error of rank 0");
  }

  /// Calls until rank 0 listens.
  void Connect(const std::string& host, int port) {
    const Clock::time_point until = Clock::now() + timeout_;
    std::string cause;
    do {
      addrinfo hints{}, *found = nullptr;
      hints.ai_socktype = SOCK_STREAM;
      if (const int fault = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); fault != 0) {
        cause = gai_strerror(fault);
      } else {
        for (const addrinfo* a = found; a != nullptr && socket_.Fd() < 0; a = a->ai_next) {
          Socket s(socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
          if (connect(s.Fd(), a->ai_addr, a->ai_addrlen) == 0) socket_ = std::move(s);
          else cause = std::strerror(errno);
        }
        freeaddrinfo(found);
      }
      if (socket_.Fd() >= 0) {
        const int yes = 1;
        setsockopt(socket_.Fd(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } while (Clock::now() < until);
    throw Error("rank 0 at " + host + ":" + std::to_string(port), "does not answer: " + cause,
                "set MASTER_ADDR and MASTER_PORT to where rank 0 runs, the same on all ranks");
  }

  Clock::duration timeout_;
  std::unique_ptr<Server> server_;
  Socket socket_;
};

}  // namespace

std::unique_ptr<Store> MakeTcpStore(const std::string& host, int port, int rank, int world, double timeout_s) {
  return std::make_unique<TcpStore>(host, port, rank, world, timeout_s);
}

}  // namespace isochrone::executor::cuda
