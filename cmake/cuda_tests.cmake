# Tests of what is built for GPUs: emulated kernels beside their twins, and what ptxas said of each kernel.
target_link_libraries(kernels_tests PRIVATE iso_kernels_emulated)
set_source_files_properties(tests/kernels/emulation_test.cc PROPERTIES COMPILE_OPTIONS -Wno-unknown-pragmas)  # unroll

set(ptxas_test "cuda: no kernel spills, and each stays within its registers and shared memory")
if(ISO_HAVE_CUDA)
  add_test(NAME ${ptxas_test} COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/kernels/ptxas.py
           ${PROJECT_SOURCE_DIR}/tests/kernels/ptxas_bounds.txt ${ISO_PTXAS_REPORTS})
else()
  add_test(NAME ${ptxas_test} COMMAND ${CMAKE_COMMAND} -E echo "skipped: no nvcc, so no kernel was compiled for a GPU")
  set_tests_properties(${ptxas_test} PROPERTIES SKIP_REGULAR_EXPRESSION "skipped")
endif()

target_link_libraries(executor_tests PRIVATE iso_kernels_emulated)  # for the recorded device
target_link_libraries(cli_tests PRIVATE iso_kernels_emulated)  # whole, since it comes before the executor that needs it
target_link_options(cli_tests PRIVATE "LINKER:--whole-archive" $<TARGET_FILE:iso_kernels_emulated> "LINKER:--no-whole-archive")
target_sources(cli_tests PRIVATE tests/cli/gpu_walk.cc)  # what gpu_check does, on recorded GPUs

if(ISO_RUNS_ON_GPUS)  # on a machine with a GPU it runs, on others it skips aloud
  add_executable(gpu_check tests/cli/gpu_check.cc tests/cli/gpu_walk.cc)
  target_link_libraries(gpu_check PRIVATE iso_cli)
  target_compile_options(gpu_check PRIVATE ${ISO_WARNINGS} -O0)
  iso_link_gpus(gpu_check)
  add_test(NAME "cuda: GPUs equal one CPU rank, and take the time that is predicted" COMMAND gpu_check WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties("cuda: GPUs equal one CPU rank, and take the time that is predicted" PROPERTIES
                       SKIP_RETURN_CODE 77 TIMEOUT 1800)
endif()
add_test(NAME "cli: --device cuda says at once what is missing"
         COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/cli/cuda_test.py $<TARGET_FILE:isochrone> ${PROJECT_SOURCE_DIR})
set_tests_properties("cli: --device cuda says at once what is missing" PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME "cuda: without CUDA all else is built and says so" COMMAND ${PROJECT_SOURCE_DIR}/scripts/without_cuda
         ${PROJECT_BINARY_DIR}/without_cuda WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})  # minutes without a compiler cache
set_tests_properties("cuda: without CUDA all else is built and says so" PROPERTIES LABELS slow TIMEOUT 3600)
