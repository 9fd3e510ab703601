#pragma once

#include <functional>
#include <string>

namespace isochrone::executor::cuda {

/// This process among those that a launcher has started.
struct Launched {
  std::string by;  // "torchrun", "srun", "mpirun"; empty: started by hand, alone
  int rank = 0, world = 1, local_rank = 0;
  std::string address = "127.0.0.1";  // of rank 0
  int port = 29400;
};

/// Reads what launchers leave in the environment:
///
///   torchrun         RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT
///   srun             SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_STEP_NODELIST (its first host has rank 0)
///   mpirun           OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK (Open MPI); PMI_RANK, PMI_SIZE, MPI_LOCALRANKID (MPICH)
///
/// MASTER_ADDR and MASTER_PORT count under all three; where torchrun's agent listens at MASTER_PORT itself
/// (TORCHELASTIC_USE_AGENT_STORE), the next port does. An srun that started one task is none.
///
/// variable  the value of an environment variable, null if it is not set
/// Throws    Error naming the variable where a number is none, or several nodes lack an address
Launched ReadLauncher(const std::function<const char*(const char*)>& variable);

/// "node[007-016,020]" → "node007": the first host of Slurm's list.
std::string FirstHost(const std::string& node_list);

}  // namespace isochrone::executor::cuda
