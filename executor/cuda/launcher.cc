#include "executor/cuda/launcher.h"

#include <charconv>
#include <cstring>

#include "base/error.h"

namespace isochrone::executor::cuda {
namespace {

int NumberOf(const char* name, const char* text) {
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, fault] = std::from_chars(text, end, value);
  if (fault != std::errc() || stop != end || value < 0)
    throw Error(std::string("environment: ") + name + " = " + text, "is no whole number",
                "start under a launcher, or unset it");
  return value;
}

}  // namespace

std::string FirstHost(const std::string& list) {
  const std::size_t bracket = list.find('['), comma = list.find(',');
  if (bracket == std::string::npos || comma < bracket) return list.substr(0, comma);
  const std::size_t end = list.find_first_of("-,]", bracket);
  return list.substr(0, bracket) + list.substr(bracket + 1, end - bracket - 1);
}

Launched ReadLauncher(const std::function<const char*(const char*)>& variable) {
  struct Names {
    const char *by, *rank, *world, *local;
  };
  Launched l;
  for (const Names& n : {Names{"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"},
                         Names{"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
                         Names{"mpirun", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
                         Names{"srun", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"}}) {
    const char *rank = variable(n.rank), *world = variable(n.world), *local = variable(n.local);
    if (rank == nullptr || world == nullptr || NumberOf(n.world, world) < 2) continue;
    l.by = n.by;
    l.rank = NumberOf(n.rank, rank);
    l.world = NumberOf(n.world, world);
    l.local_rank = local != nullptr ? NumberOf(n.local, local) : l.rank;
    break;
  }
  if (l.by.empty()) return l;
  if (l.rank >= l.world)
    throw Error("environment of " + l.by, "rank " + std::to_string(l.rank) + " of " + std::to_string(l.world),
                "start again");
  if (const char* port = variable("MASTER_PORT")) l.port = NumberOf("MASTER_PORT", port);
  // There torchrun's own agent listens.
  if (const char* agent = variable("TORCHELASTIC_USE_AGENT_STORE"); agent != nullptr && std::strcmp(agent, "True") == 0)
    ++l.port;
  const char *address = variable("MASTER_ADDR"), *nodes = variable("SLURM_STEP_NODELIST");
  if (address != nullptr) l.address = address;
  else if (l.by == "srun" && nodes != nullptr) l.address = FirstHost(nodes);
  else if (l.local_rank != l.rank)  // this process runs on another node than rank 0
    throw Error("environment of " + l.by, "does not say where rank 0 runs",
                "set MASTER_ADDR to the host of rank 0 (mpirun: -x MASTER_ADDR)");
  return l;
}

}  // namespace isochrone::executor::cuda
