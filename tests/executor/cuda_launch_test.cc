#include <map>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "executor/cuda/launcher.h"
#include "executor/cuda/store.h"

// How processes that a launcher has started find each other.

using namespace isochrone;
using namespace isochrone::executor::cuda;
using Catch::Matchers::Contains;
using Variables = std::map<std::string, std::string>;

namespace {

Launched Read(const Variables& variables) {
  return ReadLauncher([&](const char* name) -> const char* {
    const auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  });
}

std::string TextOf(const Launched& l) {
  return l.by + " " + std::to_string(l.rank) + "/" + std::to_string(l.world) + " local " +
         std::to_string(l.local_rank) + " at " + l.address + ":" + std::to_string(l.port);
}

std::vector<std::byte> Bytes(const std::string& text) {
  std::vector<std::byte> bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

}  // namespace

TEST_CASE("rank, world and address come from what torchrun, mpirun and srun leave", "[cuda]") {
  CHECK(TextOf(Read({})) == " 0/1 local 0 at 127.0.0.1:29400");
  CHECK(TextOf(Read(
            {{"RANK", "9"}, {"WORLD_SIZE", "16"}, {"LOCAL_RANK", "1"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "5"}})) ==
        "torchrun 9/16 local 1 at a:5");
  CHECK(TextOf(Read(
            {{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "3"}})) ==
        "mpirun 3/4 local 3 at 127.0.0.1:29400");
  CHECK(TextOf(Read({{"PMI_RANK", "3"}, {"PMI_SIZE", "8"}, {"MPI_LOCALRANKID", "1"}, {"MASTER_ADDR", "b"}})) ==
        "mpirun 3/8 local 1 at b:29400");
  CHECK(TextOf(Read({{"SLURM_PROCID", "8"},
                     {"SLURM_NTASKS", "16"},
                     {"SLURM_LOCALID", "0"},
                     {"SLURM_STEP_NODELIST", "gpu[07-08]"}})) == "srun 8/16 local 0 at gpu07:29400");
  CHECK(
      Read({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "5"}, {"TORCHELASTIC_USE_AGENT_STORE", "True"}}).port ==
      6);
  CHECK(Read({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}}).by.empty());
}

TEST_CASE("an environment that cannot be right is refused", "[cuda]") {
  CHECK_THROWS_WITH(Read({{"RANK", "x"}, {"WORLD_SIZE", "2"}}), Contains("RANK = x") && Contains("is no whole number"));
  CHECK_THROWS_WITH(Read({{"RANK", "2"}, {"WORLD_SIZE", "2"}}), Contains("rank 2 of 2"));
  CHECK_THROWS_WITH(
      Read({{"OMPI_COMM_WORLD_RANK", "9"}, {"OMPI_COMM_WORLD_SIZE", "16"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}}),
      Contains("does not say where rank 0 runs"));
}

TEST_CASE("the first host of Slurm's lists", "[cuda]") {
  CHECK(FirstHost("node7") == "node7");
  CHECK(FirstHost("node7,node8") == "node7");
  CHECK(FirstHost("node[007-016,020]") == "node007");
  CHECK(FirstHost("a[3,9],b1") == "a3");
  CHECK(FirstHost("login,gpu[1-2]") == "login");
}

TEST_CASE("threads leave each other bytes, and wait for them no longer than they may", "[cuda]") {
  const auto store = MakeLocalStore(0.05);
  std::thread other([&] { store->Set("a", Bytes("one")); });
  CHECK(store->Get("a") == Bytes("one"));
  other.join();
  CHECK_THROWS_WITH(store->Get("b"), Contains("waiting for b") && Contains("no rank has set it in time"));
}

TEST_CASE("processes leave each other bytes over TCP, whoever comes first", "[cuda]") {
  constexpr int kWorld = 4, kPort = 29473;
  std::vector<std::string> got(kWorld);
  std::vector<std::thread> ranks;
  for (int rank = kWorld - 1; rank >= 0; --rank) {  // rank 0, who listens, comes last
    ranks.emplace_back([&, rank] {
      try {
        const auto store = MakeTcpStore("127.0.0.1", kPort, rank, kWorld, 20);
        const std::string mine(std::size_t{100000} * static_cast<std::size_t>(rank), static_cast<char>('a' + rank));
        store->Set("of " + std::to_string(rank), Bytes(mine));
        for (int r = 0; r < kWorld; ++r) {
          const auto value = store->Get("of " + std::to_string(r));
          got[static_cast<std::size_t>(rank)] +=
              std::to_string(value.size()) + (value.empty() ? ' ' : static_cast<char>(value.back()));
        }
      } catch (const Error& e) {
        got[static_cast<std::size_t>(rank)] = e.what();
      }
    });
  }
  for (std::thread& t : ranks) t.join();
  for (const std::string& text : got) CHECK(text == "0 100000b200000c300000d");
}

TEST_CASE("nobody at the address, or a port that is taken, is said", "[cuda]") {
  CHECK_THROWS_WITH(MakeTcpStore("127.0.0.1", 29474, 1, 2, 0.1),
                    Contains("rank 0 at 127.0.0.1:29474") && Contains("does not answer"));
  const auto first = MakeTcpStore("127.0.0.1", 29475, 0, 1, 1);
  CHECK_THROWS_WITH(MakeTcpStore("127.0.0.1", 29475, 0, 1, 1),
                    Contains("port 29475") && Contains("cannot listen there"));
}
