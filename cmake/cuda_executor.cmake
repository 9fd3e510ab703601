# The executor's device side. executor/cuda/*.cu calls CUDA, cuBLASLt and NCCL without kernels of its own, so this compiler
# serves. Where there is no nvcc or no NCCL, executor/cuda/no_gpu.cc answers in their place. cuBLASLt and NCCL are opened when a
# run needs them.
set(ISO_RUNS_ON_GPUS OFF)
if(ISO_HAVE_CUDA AND ISO_HAVE_NCCL)
  set(ISO_RUNS_ON_GPUS ON)
endif()
if(ISO_RUNS_ON_GPUS)
  file(GLOB device_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/executor/cuda/*.cu)
  set_source_files_properties(${device_sources} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++")
  add_library(iso_executor_gpus OBJECT ${device_sources})
  target_include_directories(iso_executor_gpus PRIVATE ${PROJECT_SOURCE_DIR})
  target_include_directories(iso_executor_gpus SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${NCCL_INCLUDE_DIR})
  target_compile_options(iso_executor_gpus PRIVATE ${ISO_WARNINGS})
  get_filename_component(cuda_libraries ${NCCL_LIBRARY} DIRECTORY)
endif()

# What drives GPUs is for programs that have them, and for tests, which record it; what speaks of them is always there.
if(ISO_RUNS_ON_GPUS OR ISO_TESTS)
  file(GLOB host_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/executor/cuda/*.cc)
else()
  set(host_sources no_gpu.cc bench_request.cc gpu_timings.cc)
  list(TRANSFORM host_sources PREPEND ${PROJECT_SOURCE_DIR}/executor/cuda/)
endif()
target_sources(iso_executor PRIVATE ${host_sources})

# Objects first: they define what no_gpu.cc would, so that the linker leaves that one in its archive.
function(iso_link_gpus target)
  if(ISO_RUNS_ON_GPUS)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:iso_executor_gpus>)
    target_link_libraries(${target} PRIVATE iso_executor iso_kernels_cuda ${CMAKE_DL_LIBS})
    set_target_properties(${target} PROPERTIES BUILD_RPATH "${cuda_libraries};${CUDAToolkit_LIBRARY_DIR}"
                          INSTALL_RPATH "${cuda_libraries};${CUDAToolkit_LIBRARY_DIR}")
  endif()
endfunction()
