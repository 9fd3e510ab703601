#pragma once

#include <cublasLt.h>
#include <dlfcn.h>
#include <nccl.h>

#include <string>

#include "base/error.h"

namespace isochrone::executor::cuda {

// cuBLASLt and NCCL are opened when a run needs them: they are hundreds of megabytes, and every other verb of the
// program starts without them. Each table has the functions under their names without prefix.

// clang-format off
#define ISO_CUBLASLT(F) \
  F(Create) F(Destroy) F(Matmul) F(MatmulAlgoGetHeuristic) F(GetStatusString) \
  F(MatmulDescCreate) F(MatmulDescDestroy) F(MatmulDescSetAttribute) \
  F(MatrixLayoutCreate) F(MatrixLayoutDestroy) F(MatrixLayoutSetAttribute) \
  F(MatmulPreferenceCreate) F(MatmulPreferenceDestroy) F(MatmulPreferenceSetAttribute)
#define ISO_NCCL_FUNCTIONS(F) \
  F(GetUniqueId) F(CommInitRank) F(CommDestroy) F(CommAbort) F(CommGetAsyncError) F(GroupStart) F(GroupEnd) \
  F(Send) F(Recv) F(AllReduce) F(ReduceScatter) F(AllGather) F(GetErrorString) \
  F(GetVersion)
// clang-format on

class Library {
 public:
  /// Throws Error with the loader's reason.
  explicit Library(const char* file) : file_(file), handle_(dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr)
      throw Error(std::string("--device cuda: ") + file, dlerror(), "add its folder to LD_LIBRARY_PATH");
  }
  template <class Function>
  void Find(Function& to, const char* name) const {
    to = reinterpret_cast<Function>(dlsym(handle_, name));
    if (to == nullptr)
      throw Error(std::string("--device cuda: ") + file_, std::string("has no ") + name, "install CUDA 13");
  }

 private:
  const char* file_;
  void* handle_;  // stays open: its threads outlive runs
};

struct CublasLt {
#define ISO_MEMBER(name) decltype(&cublasLt##name) name = nullptr;
  ISO_CUBLASLT(ISO_MEMBER)
#undef ISO_MEMBER
  CublasLt() {
    const Library library("libcublasLt.so.13");
#define ISO_FIND(name) library.Find(name, "cublasLt" #name);
    ISO_CUBLASLT(ISO_FIND)
#undef ISO_FIND
  }
};

struct Nccl {
#define ISO_MEMBER(name) decltype(&nccl##name) name = nullptr;
  ISO_NCCL_FUNCTIONS(ISO_MEMBER)
#undef ISO_MEMBER
  Nccl() {
    const Library library("libnccl.so.2");
#define ISO_FIND(name) library.Find(name, "nccl" #name);
    ISO_NCCL_FUNCTIONS(ISO_FIND)
#undef ISO_FIND
  }
};

inline const CublasLt& TheCublasLt() {
  static const CublasLt library;
  return library;
}
inline const Nccl& TheNccl() {
  static const Nccl library;
  return library;
}

inline void CheckCublas(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(std::string("cuBLAS call ") + call,
              std::string(TheCublasLt().GetStatusString(status)) + " (" + file + ":" + std::to_string(line) + ")",
              "run with --device cpu to see whether the scenario is sound");
}
inline void CheckNccl(ncclResult_t status, const char* call, const char* file, int line) {
  if (status == ncclSuccess || status == ncclInProgress) return;
  throw Error(std::string("NCCL call ") + call,
              std::string(TheNccl().GetErrorString(status)) + " (" + file + ":" + std::to_string(line) + ")",
              "NCCL_DEBUG=INFO prints why");
}

}  // namespace isochrone::executor::cuda

#define ISO_CUBLAS(call) ::isochrone::executor::cuda::CheckCublas((call), #call, __FILE__, __LINE__)
#define ISO_NCCL(call) ::isochrone::executor::cuda::CheckNccl((call), #call, __FILE__, __LINE__)
