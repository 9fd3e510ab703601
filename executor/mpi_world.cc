#ifdef ISO_HAVE_MPI  // without it run_mpi.cc says so
#include "executor/mpi_world.h"

#include <mpi.h>

#include <chrono>
#include <cstdint>
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

/// Stretches of several arrays as one message: what a network shares among messages does not depend on how many arrays
/// a collective has.
template <class T>
class Stretches {
 public:
  Stretches() = default;
  Stretches(const Stretches&) = delete;
  Stretches& operator=(const Stretches&) = delete;
  ~Stretches() {
    if (type_ != MPI_DATATYPE_NULL) MPI_Type_free(&type_);
  }
  void Add(const T* begin, Index count) {
    if (count == 0) return;
    if (lengths_.empty()) base_ = begin;
    starts_.push_back(
        static_cast<MPI_Aint>(reinterpret_cast<std::intptr_t>(begin) - reinterpret_cast<std::intptr_t>(base_)));
    lengths_.push_back(CountOf(count));
  }
  /// Nothing more is added. Valid while this is. Of nothing no message: the other side expects none.
  void Send(int to, int tag, MPI_Comm comm, std::vector<MPI_Request>& requests) {
    if (!Commit()) return;
    MPI_Isend(base_, 1, type_, to, tag, comm, &requests.emplace_back(MPI_REQUEST_NULL));
  }
  void Receive(int from, int tag, MPI_Comm comm, std::vector<MPI_Request>& requests) {
    if (!Commit()) return;
    MPI_Irecv(const_cast<T*>(base_), 1, type_, from, tag, comm, &requests.emplace_back(MPI_REQUEST_NULL));
  }

 private:
  bool Commit() {
    if (lengths_.empty() || type_ != MPI_DATATYPE_NULL) return !lengths_.empty();
    MPI_Type_create_hindexed(static_cast<int>(lengths_.size()), lengths_.data(), starts_.data(), TypeOf<T>(), &type_);
    MPI_Type_commit(&type_);
    return true;
  }

  const T* base_ = nullptr;
  std::vector<int> lengths_;
  std::vector<MPI_Aint> starts_;  // bytes from base_
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

/// The part of every array that member `member` of `n` sums up.
template <class T, class Start>
void AddParts(std::span<const Slice<T>> slices, int member, int n, Start start, Stretches<T>& stretches) {
  for (const Slice<T>& s : slices) {
    const Index begin = PartStart(s.count, member, n);
    stretches.Add(start(s) + begin, PartStart(s.count, member + 1, n) - begin);
  }
}

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
  /// What every member sends to and receives from every other:
  ///
  ///   round r of n - 1: to member (index + r) mod n, from member (index - r) mod n
  ///
  /// On a simulated network one round after the other, so that each link carries one message, as a ring's do. Elsewhere
  /// all at once: processes that share cores would wait for each other's turns in every round.
  void Rotate(const Team& team, MPI_Comm comm, std::vector<Stretches<T>>& sent, std::vector<Stretches<T>>& received,
              const std::string& what);
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
  if (options_.blocks) {
    MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
    return;
  }
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
void MpiCommunicator<T>::Rotate(const Team& team, MPI_Comm comm, std::vector<Stretches<T>>& sent,
                                std::vector<Stretches<T>>& received, const std::string& what) {
  const int n = team.Size();
  std::vector<MPI_Request> requests;
  for (int round = 1; round < n; ++round) {
    const int to = (team.index + round) % n, from = (team.index - round + n) % n;
    received[static_cast<std::size_t>(from)].Receive(from, kPartTag, comm, requests);
    sent[static_cast<std::size_t>(to)].Send(to, kPartTag, comm, requests);
    if (!options_.blocks) continue;
    Wait(requests, what);
    requests.clear();
  }
  Wait(requests, what);
}

template <class T>
void MpiCommunicator<T>::SumParts(const Team& team, MPI_Comm comm, std::span<const Slice<T>> slices, bool to_part) {
  const int n = team.Size();
  std::vector<std::vector<T>> arrived(slices.size());  // [slice](member, part)
  std::vector<Stretches<T>> sent(static_cast<std::size_t>(n)), received(sent.size());
  for (std::size_t s = 0; s < slices.size(); ++s) {
    const Index begin = PartStart(slices[s].count, team.index, n),
                mine = PartStart(slices[s].count, team.index + 1, n) - begin;
    arrived[s].resize(static_cast<std::size_t>(mine * n));
    std::memcpy(arrived[s].data() + team.index * mine, slices[s].in + begin,
                static_cast<std::size_t>(mine) * sizeof(T));
    for (int m = 0; m < n; ++m) received[static_cast<std::size_t>(m)].Add(arrived[s].data() + m * mine, mine);
  }
  for (int m = 0; m < n; ++m)
    AddParts<T>(
        slices, m, n, [](const Slice<T>& s) { return s.in; }, sent[static_cast<std::size_t>(m)]);
  Rotate(team, comm, sent, received, "waits for the parts of a sum");
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
    std::vector<Stretches<T>> own(static_cast<std::size_t>(team.Size())), others(own.size());
    const auto out = [](const Slice<T>& s) { return s.out; };
    for (int m = 0; m < team.Size(); ++m) {
      AddParts<T>(slices, team.index, team.Size(), out, own[static_cast<std::size_t>(m)]);
      AddParts<T>(slices, m, team.Size(), out, others[static_cast<std::size_t>(m)]);
    }
    Rotate(team, comm, own, others, "waits for the sums of the others");
  });
}

template <class T>
Exchange MpiCommunicator<T>::ReduceScatter(const Team& team, std::span<const Slice<T>> slices) {
  return Collect(team, [&](MPI_Comm comm) { SumParts(team, comm, slices, true); });
}

template <class T>
Exchange MpiCommunicator<T>::AllGather(const Team& team, std::span<const Slice<T>> slices) {
  return Collect(team, [&](MPI_Comm comm) {
    std::vector<Stretches<T>> own(static_cast<std::size_t>(team.Size())), others(own.size());
    for (const Slice<T>& s : slices) {
      const Index part = s.count / team.Size();
      T* place = s.out + team.index * part;
      if (place != s.in) std::memcpy(place, s.in, static_cast<std::size_t>(part) * sizeof(T));
      for (int m = 0; m < team.Size(); ++m) {
        own[static_cast<std::size_t>(m)].Add(place, part);
        others[static_cast<std::size_t>(m)].Add(s.out + m * part, part);
      }
    }
    Rotate(team, comm, own, others, "waits for the parts of the others");
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
