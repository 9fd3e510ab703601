#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <new>
#include <string>

#include <simgrid/s4u.hpp>

#include "base/error.h"
#include "sim/network/engines.h"
#include "sim/network/route_table.h"
#include "sim/network/simgrid_zone.h"

namespace isochrone::sim::network {

namespace {

namespace s4u = simgrid::s4u;

// SimGrid's lazy updates put single messages off by up to a microsecond; its full updates visit every running activity
// at every event. Up to so many activities, full ones are used.
constexpr int kFullUpdates = 50'000;

/// Plays a graph in this process, once.
///
/// Activities are created when they become ready: SimGrid's own dependencies cost quadratic time. Every ActivityPtr is
/// held until after its completion callback.
class SimGridWorker {
 public:
  SimGridWorker(const NetworkGraph& graph, const Topology& topology, LimitBy limit_by, double* start, double* end)
      : graph_(graph),
        routes_(graph, topology, limit_by),
        ready_(graph),
        start_(start),
        end_(end),
        held_(graph.Size()) {
    int argc = 2;
    char name[] = "isochrone", quiet[] = "--log=root.thres:error";
    char* argv[] = {name, quiet, nullptr};
    engine_ = new s4u::Engine(&argc, argv);  // dies with the process
    s4u::Engine::set_config(graph.Size() <= kFullUpdates ? "network/optim:Full" : "network/optim:Lazy");
    BuildPlatform(topology);
  }

  /// Activities that ended; fewer than the graph holds where it waits in a circle.
  int Run() {
    s4u::Activity::on_completion_cb([this](const s4u::Activity& activity) {
      End(static_cast<int>(reinterpret_cast<std::intptr_t>(activity.get_data<void>())) - 1);
    });
    for (const int root : ready_.Roots()) Begin(root);
    engine_->run();
    return ended_;
  }

 private:
  void BuildPlatform(const Topology& topology) {
    zone_ = std::make_unique<SimGridZone>(topology,
                                          [this](const s4u::Host*, const s4u::Host*) { return starting_latency_; });
    for (const Activity& a : graph_.Activities()) zone_->HostAt(a.src);
    for (int r = 0; r < routes_.Size(); ++r) zone_->AddRoute(routes_.Src(r), routes_.Dst(r), routes_.Links(r));
    zone_->Seal();
  }

  // Activities that last no time end at once, in the order in which they became ready.
  void Begin(int first) {
    std::vector<int> begun{first};
    for (std::size_t at = 0; at < begun.size(); ++at) {
      const int i = begun[at];
      start_[i] = s4u::Engine::get_clock();
      if (Start(i)) continue;
      end_[i] = start_[i];
      ++ended_;
      ready_.End(i, [&](int next) { begun.push_back(next); });
    }
  }

  bool Start(int i) {
    const Activity& a = graph_.At(i);
    if (a.IsMessage() && a.amount > 0) {
      s4u::CommPtr message = s4u::Comm::sendto_init(zone_->HostAt(a.src), zone_->HostAt(a.dst));
      message->set_payload_size(static_cast<std::uint64_t>(std::ceil(a.amount)));  // whole bytes only
      message->set_data(reinterpret_cast<void*>(std::intptr_t{i} + 1));
      held_[i] = message;
      starting_latency_ = a.extra_latency + routes_.Latency(routes_.Of(i));
      message->start();
      return true;
    }
    const double lasts = a.IsMessage() ? a.extra_latency + routes_.Latency(routes_.Of(i)) : a.amount;
    if (lasts <= 0) return false;
    s4u::ExecPtr work = s4u::Exec::init();
    work->set_flops_amount(lasts)->set_host(zone_->HostAt(a.src));
    work->set_data(reinterpret_cast<void*>(std::intptr_t{i} + 1));
    held_[i] = work;
    work->start();
    return true;
  }

  void End(int i) {
    done_ = std::move(held_[i]);  // the one before is released here, after its callback
    end_[i] = s4u::Engine::get_clock();
    ++ended_;
    ready_.End(i, [this](int next) { Begin(next); });
  }

  const NetworkGraph& graph_;
  RouteTable routes_;
  ReadyTracker ready_;
  double *start_, *end_;  // per activity, seconds
  std::vector<s4u::ActivityPtr> held_;
  s4u::ActivityPtr done_;
  s4u::Engine* engine_ = nullptr;
  std::unique_ptr<SimGridZone> zone_;
  double starting_latency_ = 0;
  int ended_ = 0;
};

/// Memory that a forked child writes and its parent reads.
class SharedTimes {
 public:
  explicit SharedTimes(std::size_t count) : bytes_((count + 1) * sizeof(double)) {
    void* at = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    times_ = static_cast<double*>(at);
  }
  SharedTimes(const SharedTimes&) = delete;
  SharedTimes& operator=(const SharedTimes&) = delete;
  ~SharedTimes() { munmap(times_, bytes_); }
  double* Data() { return times_; }

 private:
  std::size_t bytes_;
  double* times_;
};

void WaitFor(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) ISO_CHECK(errno == EINTR);
  if (WIFSIGNALED(status))
    throw Error("network engine", std::string("SimGrid was stopped: ") + strsignal(WTERMSIG(status)),
                "give it more memory, or play the step with the max-min engine");
  ISO_CHECK_NOTE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the SimGrid child failed");
}

}  // namespace

Played PlayWithSimGrid(const NetworkGraph& graph, const Topology& topology, LimitBy limit_by) {
  const int n = graph.Size();
  SharedTimes times(2 * static_cast<std::size_t>(n) + 1);
  double* const start = times.Data();
  double* const end = start + n;
  std::cout.flush();  // SimGrid flushes in the child: what waits here would be printed twice
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0)
    throw Error("network engine", std::string("no process could be forked: ") + std::strerror(errno),
                "free some memory");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // ends with its parent
    SimGridWorker worker(graph, topology, limit_by, start, end);
    end[n] = worker.Run();
    _exit(0);
  }
  WaitFor(child);
  ISO_CHECK_NOTE(end[n] == n, "the network graph waits in a circle");

  Played played;
  for (int i = 0; i < n; ++i) {
    played.start.emplace_back(start[i]);
    played.end.emplace_back(end[i]);
    played.makespan = Max(played.makespan, played.end.back());
  }
  return played;
}

}  // namespace isochrone::sim::network
