#ifdef ISO_HAVE_MPI  // without it run_mpi.cc says so
#include "executor/mpi_world.h"

#include <mpi.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <list>
#include <map>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace isochrone::executor {
namespace {

constexpr int kSpins = 200;            // tests before a waiting process sleeps
constexpr int kRingNumbers = 1 << 20;  // after which the numbers of ring messages begin anew
constexpr auto kNap = std::chrono::microseconds(20);
constexpr int kPartTag = 1;

template <class T>
MPI_Datatype TypeOf();
template <>
MPI_Datatype TypeOf<float>() {
  return MPI_FLOAT;
}
template <>
MPI_Datatype TypeOf<double>() {
  return MPI_DOUBLE;
}

/// MPI counts in int.
int CountOf(Index n) {
  ISO_CHECK_NOTE(n < (Index{1} << 31), "a message of " + std::to_string(n) + " elements");
  return static_cast<int>(n);
}

int NumberOf(const Tag& tag) {
  const int number = tag.direction == Tag::kRing ? tag.microbatch % kRingNumbers : tag.microbatch;
  return ((number * 256 + tag.stage) * 3 + tag.direction + 1) * 2 + (tag.backward ? 1 : 0);
}

Index PartStart(Index count, int index, int n) { return count * index / n; }

template <class T>
class MpiCommunicator final : public Communicator<T> {
 public:
  MpiCommunicator(const MpiOptions& options, Clock& clock) : options_(options), clock_(clock) {
    MPI_Comm_dup(MPI_COMM_WORLD, &messages_);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  }
  ~MpiCommunicator() override {
    if (std::uncaught_exceptions() > 0) {  // nobody will read them, and the process ends: MPI keeps the arrays
      new std::list<Letter>(std::move(letters_));
      return;
    }
    for (Letter& letter : letters_) MPI_Wait(&letter.request, MPI_STATUS_IGNORE);
  }

  Exchange AllReduce(const Team& team, std::span<const Slice<T>> slices) override;
  Exchange ReduceScatter(const Team& team, std::span<const Slice<T>> slices) override;
  Exchange AllGather(const Team& team, std::span<const Slice<T>> slices) override;
  Exchange AllToAll(const Team& team, std::span<const Part<const T>> sent, std::span<const Part<T>> received) override;
  Exchange Send(int to, const Tag& tag, const T* data, Index count) override;
  Exchange Receive(int from, const Tag& tag, T* data, Index count) override;
  void Begin() override {}
  void End() override {}

 private:
  struct Letter {
    std::vector<T> data;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  MPI_Comm CommOf(const Team& team);
  void Wait(std::vector<MPI_Request>& requests, const std::string& what);
  void Check(const std::string& what) const;
  /// All members have come; then `body` exchanges. Times both.
  template <class Body>
  Exchange Collect(const Team& team, Body body);
  /// Every member's part `index` of a slice, added up in the order of ranks, for all slices.
  void SumParts(const Team& team, MPI_Comm comm, std::span<const Slice<T>> slices, bool to_part);

  MpiOptions options_;
  Clock& clock_;
  int rank_ = 0;
  MPI_Comm messages_;
  std::map<std::vector<int>, MPI_Comm> comms_;
  std::list<Letter> letters_;  // on their way
};

template <class T>
MPI_Comm MpiCommunicator<T>::CommOf(const Team& team) {
  const auto it = comms_.find(team.ranks);
  if (it != comms_.end()) return it->second;
  MPI_Group world, group;
  MPI_Comm comm;
  MPI_Comm_group(MPI_COMM_WORLD, &world);
  MPI_Group_incl(world, team.Size(), team.ranks.data(), &group);
  MPI_Comm_create_group(MPI_COMM_WORLD, group, 0, &comm);
  MPI_Group_free(&group);
  MPI_Group_free(&world);
  return comms_[team.ranks] = comm;
}

template <class T>
void MpiCommunicator<T>::Check(const std::string& what) const {
  if (options_.interrupted != nullptr && options_.interrupted->load(std::memory_order_relaxed)) {
    throw Error(options_.doing(), "was ended while it " + what,
                "another rank died or the run was interrupted; the launcher's message names the rank");
  }
}

template <class T>
void MpiCommunicator<T>::Wait(std::vector<MPI_Request>& requests, const std::string& what) {
  const auto since = std::chrono::steady_clock::now();
  for (int spin = 0;; ++spin) {
    int done = 0;
    MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
    if (done) return;
    if (spin < kSpins) continue;
    Check(what);
    std::this_thread::sleep_for(kNap);
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count() > options_.timeout_s) {
      throw Error(options_.doing(), what + "; nothing came for " + ThreeDigits(options_.timeout_s) + " s",
                  "check the schedule with `isochrone plan`, or allow more time");
    }
  }
}

template <class T>
template <class Body>
Exchange MpiCommunicator<T>::Collect(const Team& team, Body body) {
  const double entered = clock_.Now();
  MPI_Comm comm = CommOf(team);
  std::vector<MPI_Request> met(1);
  MPI_Ibarrier(comm, met.data());
  Wait(met, "waits for the other ranks of a collective");
  const double begun = clock_.Now();
  body(comm);
  return {begun - entered, clock_.Now() - begun};
}

template <class T>
void MpiCommunicator<T>::SumParts(const Team& team, MPI_Comm comm, std::span<const Slice<T>> slices, bool to_part) {
  const int n = team.Size();
  std::vector<MPI_Request> requests;
  std::vector<std::vector<T>> arrived(slices.size());
  for (std::size_t s = 0; s < slices.size(); ++s) {
    const Index count = slices[s].count, begin = PartStart(count, team.index, n),
                mine = PartStart(count, team.index + 1, n) - begin;
    arrived[s].resize(static_cast<std::size_t>(mine * n));
    for (int m = 0; m < n; ++m) {
      const Index from = PartStart(count, m, n), length = PartStart(count, m + 1, n) - from;
      if (m == team.index) {
        std::memcpy(arrived[s].data() + m * mine, slices[s].in + begin, static_cast<std::size_t>(mine) * sizeof(T));
        continue;
      }
      MPI_Irecv(arrived[s].data() + m * mine, CountOf(mine), TypeOf<T>(), m, kPartTag, comm,
                &requests.emplace_back(MPI_REQUEST_NULL));
      MPI_Isend(slices[s].in + from, CountOf(length), TypeOf<T>(), m, kPartTag, comm,
                &requests.emplace_back(MPI_REQUEST_NULL));
    }
  }
  Wait(requests, "waits for the parts of a sum");
  for (std::size_t s = 0; s < slices.size(); ++s) {
    const Index begin = PartStart(slices[s].count, team.index, n),
                mine = PartStart(slices[s].count, team.index + 1, n) - begin;
    T* out = slices[s].out + (to_part ? 0 : begin);
    const T* part = arrived[s].data();
    for (Index i = 0; i < mine; ++i) {
      T sum = part[i];
      for (int m = 1; m < n; ++m) sum += part[m * mine + i];
      out[i] = sum;
    }
  }
}

template <class T>
Exchange MpiCommunicator<T>::AllReduce(const Team& team, std::span<const Slice<T>> slices) {
  if (team.Size() == 1) {
    for (const Slice<T>& s : slices)
      if (s.in != s.out) std::memcpy(s.out, s.in, static_cast<std::size_t>(s.count) * sizeof(T));
    return {};
  }
  return Collect(team, [&](MPI_Comm comm) {
    SumParts(team, comm, slices, false);
    const int n = team.Size();
    std::vector<MPI_Request> requests;
    for (const Slice<T>& s : slices) {
      for (int m = 0; m < n; ++m) {
        if (m == team.index) continue;
        const Index begin = PartStart(s.count, m, n), end = PartStart(s.count, m + 1, n);
        const Index mine = PartStart(s.count, team.index, n), mine_end = PartStart(s.count, team.index + 1, n);
        MPI_Irecv(s.out + begin, CountOf(end - begin), TypeOf<T>(), m, kPartTag, comm,
                  &requests.emplace_back(MPI_REQUEST_NULL));
        MPI_Isend(s.out + mine, CountOf(mine_end - mine), TypeOf<T>(), m, kPartTag, comm,
                  &requests.emplace_back(MPI_REQUEST_NULL));
      }
    }
    Wait(requests, "waits for the sums of the others");
  });
}

template <class T>
Exchange MpiCommunicator<T>::ReduceScatter(const Team& team, std::span<const Slice<T>> slices) {
  return Collect(team, [&](MPI_Comm comm) { SumParts(team, comm, slices, true); });
}

template <class T>
Exchange MpiCommunicator<T>::AllGather(const Team& team, std::span<const Slice<T>> slices) {
  return Collect(team, [&](MPI_Comm comm) {
    std::vector<MPI_Request> requests;
    for (const Slice<T>& s : slices) {
      const Index part = s.count / team.Size();
      for (int m = 0; m < team.Size(); ++m) {
        if (m == team.index) {
          T* own = s.out + m * part;
          if (own != s.in) std::memcpy(own, s.in, static_cast<std::size_t>(part) * sizeof(T));
          continue;
        }
        MPI_Irecv(s.out + m * part, CountOf(part), TypeOf<T>(), m, kPartTag, comm,
                  &requests.emplace_back(MPI_REQUEST_NULL));
        MPI_Isend(s.in, CountOf(part), TypeOf<T>(), m, kPartTag, comm, &requests.emplace_back(MPI_REQUEST_NULL));
      }
    }
    Wait(requests, "waits for the parts of the others");
  });
}

template <class T>
Exchange MpiCommunicator<T>::AllToAll(const Team& team, std::span<const Part<const T>> sent,
                                      std::span<const Part<T>> received) {
  return Collect(team, [&](MPI_Comm comm) {
    std::vector<MPI_Request> requests;
    for (int m = 0; m < team.Size(); ++m) {
      const Part<const T>& to = sent[static_cast<std::size_t>(m)];
      const Part<T>& from = received[static_cast<std::size_t>(m)];
      if (m == team.index) {
        ISO_CHECK_NOTE(to.count == from.count, "parts of another size");
        if (to.count > 0) std::memcpy(from.data, to.data, static_cast<std::size_t>(to.count) * sizeof(T));
        continue;
      }
      MPI_Irecv(from.data, CountOf(from.count), TypeOf<T>(), m, kPartTag, comm,
                &requests.emplace_back(MPI_REQUEST_NULL));
      MPI_Isend(to.data, CountOf(to.count), TypeOf<T>(), m, kPartTag, comm, &requests.emplace_back(MPI_REQUEST_NULL));
    }
    Wait(requests, "waits for the rows of the others");
  });
}

template <class T>
Exchange MpiCommunicator<T>::Send(int to, const Tag& tag, const T* data, Index count) {
  const double entered = clock_.Now();
  letters_.remove_if([](Letter& letter) {
    int done = 0;
    MPI_Test(&letter.request, &done, MPI_STATUS_IGNORE);
    return done != 0;
  });
  Letter& letter = letters_.emplace_back();
  letter.data.assign(data, data + count);
  MPI_Isend(letter.data.data(), CountOf(count), TypeOf<T>(), to, NumberOf(tag), messages_, &letter.request);
  return {0, clock_.Now() - entered};
}

template <class T>
Exchange MpiCommunicator<T>::Receive(int from, const Tag& tag, T* data, Index count) {
  const double entered = clock_.Now();
  std::vector<MPI_Request> request(1);
  MPI_Irecv(data, CountOf(count), TypeOf<T>(), from, NumberOf(tag), messages_, request.data());
  Wait(request, "waits for " + NameOf(tag) + " from rank " + std::to_string(from));
  return {clock_.Now() - entered, 0};
}

}  // namespace

bool UnderMpi() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

MpiSession::MpiSession() {
  MPI_Init(nullptr, nullptr);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
}

MpiSession::~MpiSession() { MPI_Finalize(); }

void MpiSession::Abort() const {
  MPI_Abort(MPI_COMM_WORLD, 1);
  std::abort();
}

template <class T>
std::unique_ptr<Communicator<T>> JoinMpi(const MpiOptions& options, Clock& clock) {
  return std::make_unique<MpiCommunicator<T>>(options, clock);
}

template std::unique_ptr<Communicator<float>> JoinMpi<float>(const MpiOptions&, Clock&);
template std::unique_ptr<Communicator<double>> JoinMpi<double>(const MpiOptions&, Clock&);

}  // namespace isochrone::executor
#endif
