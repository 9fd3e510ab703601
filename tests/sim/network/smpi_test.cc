// Real MPI programs on a simulated cluster (SimGrid's SMPI) take as long as the same collectives played as messages.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "plan/collectives/algorithms.h"
#include "sim/network/collective_graph.h"
#include "sim/network/engines.h"
#include "tests/folder.h"
#include "tests/sim/network/clusters.h"

using namespace isochrone;
using namespace isochrone::sim::network;
namespace c = isochrone::plan::collectives;

namespace {

const char* const kProgram = R"(
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank, n;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &n);
  const char* what = argv[1];
  const int bytes = atoi(argv[2]), part = bytes / n;
  char *in = calloc(bytes, 1), *out = calloc(bytes, 1);
  MPI_Barrier(MPI_COMM_WORLD);
  double most, t = MPI_Wtime();
  if (!strcmp(what, "allreduce")) MPI_Allreduce(in, out, bytes / 4, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (!strcmp(what, "allgather")) MPI_Allgather(in, part, MPI_CHAR, out, part, MPI_CHAR, MPI_COMM_WORLD);
  if (!strcmp(what, "alltoall")) MPI_Alltoall(in, part, MPI_CHAR, out, part, MPI_CHAR, MPI_COMM_WORLD);
  t = MPI_Wtime() - t;
  MPI_Reduce(&t, &most, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
  if (rank == 0) printf("seconds %.9f\n", most);
  MPI_Finalize();
  return 0;
}
)";

std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[256];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
  pclose(pipe);
  return output;
}

/// A folder with the compiled program; gone at the end.
class Smpi {
 public:
  Smpi() {
    folder_.Write("program.c", kProgram);
    OutputOf("cd " + folder_.Path() + " && smpicc -O1 program.c -o program");
  }

  /// Seconds of a collective over `ranks` hosts of Crossbar(ranks).
  double Time(int ranks, const std::string& what, const std::string& algorithm, int bytes) const {
    std::ofstream(folder_ / "platform.xml")
        << "<?xml version=\"1.0\"?>\n<!DOCTYPE platform SYSTEM \"https://simgrid.org/simgrid.dtd\">\n"
        << "<platform version=\"4.1\"><cluster id=\"c\" prefix=\"h\" suffix=\"\" radical=\"0-" << ranks - 1
        << "\" speed=\"1Gf\" bw=\"25GBps\" lat=\"1.25us\" sharing_policy=\"SPLITDUPLEX\"/></platform>\n";
    std::ofstream hosts(folder_ / "hosts");
    for (int r = 0; r < ranks; ++r) hosts << "h" << r << "\n";
    hosts.close();
    const std::string output =
        OutputOf("cd " + folder_.Path() + " && smpirun -np " + std::to_string(ranks) +
                 " -platform platform.xml -hostfile hosts --cfg=network/model:CM02 --cfg=network/crosstraffic:0"
                 " --cfg=network/TCP-gamma:0 --cfg=smpi/simulate-computation:no --cfg=smpi/send-is-detached-thresh:0 "
                 "--cfg=smpi/" +
                 what + ":" + algorithm + " --log=root.thres:error ./program " + what + " " + std::to_string(bytes));
    double seconds = 0;
    INFO(output);
    REQUIRE(std::sscanf(output.c_str(), "seconds %lf", &seconds) == 1);
    return seconds;
  }

 private:
  const tests::Folder folder_;
};

double Ours(const c::StepList& list, double size) {
  NetworkGraph graph;
  Participants who;
  for (int r = 0; r < list.Ranks(); ++r) who.hosts.push_back(r);
  who.begin.assign(list.Ranks(), -1);
  AddSteps(&graph, list, who, Bytes(size));
  return PlayWithMaxMin(graph, Topology(Crossbar(list.Ranks()))).makespan.value;
}

}  // namespace

TEST_CASE("MPI programs under SMPI take as long as our message lists, 8 to 64 ranks", "[network][smpi][.slow]") {
  if (std::system("command -v smpicc smpirun > /dev/null") != 0) {
    WARN("skipped: smpicc and smpirun are not installed (package libsimgrid-dev)");
    return;
  }
  const Smpi smpi;
  for (const int ranks : {8, 16, 64}) {
    INFO(ranks << " ranks");
    const int bytes = ranks << 20;
    CHECK(smpi.Time(ranks, "allreduce", "lr", bytes) == Approx(Ours(c::RingAllReduce(ranks), bytes)).epsilon(0.05));
    CHECK(smpi.Time(ranks, "allgather", "ring", bytes) == Approx(Ours(c::RingAllGather(ranks), bytes)).epsilon(0.05));
    CHECK(smpi.Time(ranks, "alltoall", "ring", bytes) ==
          Approx(Ours(c::PairwiseAllToAll(ranks), 1.0 * bytes * ranks)).epsilon(0.05));
    CHECK(smpi.Time(ranks, "allreduce", "rab", bytes) ==
          Approx(Ours(c::HalvingDoublingAllReduce(ranks), bytes)).epsilon(0.05));
  }
}
