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
