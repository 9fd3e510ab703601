# The executor under SimGrid's SMPI. Its MPI sources are built a second time, against SMPI's mpi.h; what they define comes
# before the room's own form of it, and no other MPI is linked.
find_path(ISO_SMPI_INCLUDE smpi/mpi.h)
if(ISO_SMPI_INCLUDE)
  add_executable(smpi_program ${PROJECT_SOURCE_DIR}/tests/cli/smpi_program.cc
                 ${PROJECT_SOURCE_DIR}/executor/mpi_world.cc ${PROJECT_SOURCE_DIR}/executor/run_mpi.cc)
  target_include_directories(smpi_program PRIVATE ${PROJECT_SOURCE_DIR})
  target_include_directories(smpi_program SYSTEM PRIVATE ${ISO_SMPI_INCLUDE}/smpi)
  target_compile_definitions(smpi_program PRIVATE ISO_HAVE_MPI)
  target_compile_options(smpi_program PRIVATE ${ISO_WARNINGS})
  add_dependencies(smpi_program iso_executor)
  target_link_libraries(smpi_program PRIVATE $<TARGET_FILE:iso_executor> iso_sim iso_plan iso_kernels Threads::Threads)
  add_test(NAME "smpi: the executor on a simulated network starts and ends when the network fidelity says"
           COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/cli/smpi_test.py $<TARGET_FILE:smpi_program>)
  set_tests_properties("smpi: the executor on a simulated network starts and ends when the network fidelity says"
                       PROPERTIES LABELS "slow" TIMEOUT 300)
endif()
