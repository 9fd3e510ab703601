# kernels/cuda/*.cu, built twice: by nvcc for GPUs (iso_kernels_cuda, where there is an nvcc) and by this compiler with
# kernels/emulation for the tests (iso_kernels_emulated, always).
file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cu)

set(emulated_sources ${PROJECT_SOURCE_DIR}/kernels/emulation/grid.cc)
foreach(source ${cuda_sources})
  get_filename_component(name ${source} NAME_WE)
  set(wrapper ${PROJECT_BINARY_DIR}/emulated/${name}.cc)
  file(CONFIGURE OUTPUT ${wrapper} @ONLY CONTENT "#include \"kernels/cuda/${name}.cu\"\n")
  list(APPEND emulated_sources ${wrapper})
endforeach()
add_library(iso_kernels_emulated STATIC ${emulated_sources})
target_include_directories(iso_kernels_emulated PUBLIC ${PROJECT_SOURCE_DIR})
target_compile_options(iso_kernels_emulated PRIVATE ${ISO_WARNINGS} -Wno-unknown-pragmas)  # nvcc's unroll
target_link_libraries(iso_kernels_emulated PUBLIC iso_base Boost::context)

if(NOT ISO_HAVE_CUDA)
  return()
endif()
# Objects come from nvcc by a command of our own, which keeps what ptxas says of each kernel beside them: registers,
# shared memory and spills, for tests/kernels/ptxas.py.
set(ISO_CUDA_ARCHITECTURES 80 90 100 CACHE STRING "GPUs to build for: 80 A100, 90 H100, 100 B200")
set(ISO_CUDA_ARCHITECTURES 80 90 100 CACHE STRING "GPUs to build for: 80 A100, 90 H100, 100 B200")
set(nvcc_flags -std=c++20 -O3 --expt-relaxed-constexpr -Xptxas -v -Xcompiler -fPIC)
foreach(architecture ${ISO_CUDA_ARCHITECTURES})
  list(APPEND nvcc_flags -gencode arch=compute_${architecture},code=sm_${architecture})
endforeach()
# iso_cuda_object(OBJECT source) compiles one .cu; sets ISO_PTXAS_REPORT to what ptxas said. Paths are relative, so
# that a compiler cache serves every checkout.
function(iso_cuda_object out source)
  get_filename_component(name ${source} NAME_WE)
  file(RELATIVE_PATH root ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR})
  file(RELATIVE_PATH input ${PROJECT_BINARY_DIR} ${source})
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/cuda)
  set(object cuda/${name}.o)
  set(report cuda/${name}.ptxas)
  add_custom_command(
    OUTPUT ${PROJECT_BINARY_DIR}/${object} ${PROJECT_BINARY_DIR}/${report}
    COMMAND sh -c "\"$@\" 2> ${report} || { cat ${report} >&2; exit 1; }" nvcc
            ${CCACHE_PROGRAM} ${CMAKE_CUDA_COMPILER} -ccbin ${CMAKE_CXX_COMPILER} ${nvcc_flags} -I${root} -MD
            -MF ${object}.d -MT ${object} -c ${input} -o ${object}
    DEPENDS ${source} DEPFILE ${PROJECT_BINARY_DIR}/${object}.d
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
    COMMENT "Compiling ${name}.cu for GPUs"
    VERBATIM)
  set(${out} ${PROJECT_BINARY_DIR}/${object} PARENT_SCOPE)
  set(ISO_PTXAS_REPORT ${PROJECT_BINARY_DIR}/${report} PARENT_SCOPE)
endfunction()

set(ISO_PTXAS_REPORTS "")
set(cuda_objects "")
foreach(source ${cuda_sources})
  iso_cuda_object(object ${source})
  list(APPEND cuda_objects ${object})
  list(APPEND ISO_PTXAS_REPORTS ${ISO_PTXAS_REPORT})
endforeach()
add_library(iso_kernels_cuda STATIC ${cuda_objects} ${PROJECT_SOURCE_DIR}/cmake/empty.cc)
target_link_libraries(iso_kernels_cuda PUBLIC iso_base CUDA::cudart)
