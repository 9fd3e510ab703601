# A folder is a namespace is a build target. iso_room(plan LINKS base) builds iso_plan from plan/**/*.cc and lets it
# include only what it links (docs/architecture.md has the table; tests/house proves it).

# -Wrestrict is off: GCC 12 raises it falsely on std::string + (GCC bug 105651).
set(ISO_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-restrict)
if(ISO_WERROR)
  list(APPEND ISO_WARNINGS -Werror)
endif()
if(ISO_QUICK_BUILD)
  set(ISO_WARNINGS -w)  # GCC raises false ones on sources in groups; ./check, where they are errors, compiles each alone
endif()
set(ISO_WARNINGS "$<$<COMPILE_LANGUAGE:CXX>:${ISO_WARNINGS}>")  # nvcc has its own
set(ISO_SANITIZE "" CACHE STRING "Sanitizers for everything built here: address,undefined or thread")
if(ISO_SANITIZE)
  add_compile_options(-fsanitize=${ISO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ISO_SANITIZE})
endif()
set(ISO_ROOMS base plan costmodel sim kernels executor study reports cli)

function(_iso_link target)
  set(links "")
  foreach(link ${ARGN})
    if(link IN_LIST ISO_ROOMS)
      list(APPEND links iso_${link})
    else()
      list(APPEND links ${link})
    endif()
  endforeach()
  target_link_libraries(${target} PUBLIC ${links})
endfunction()

# For a first build (ISO_QUICK_BUILD): reading the standard library is a third of it, nlohmann/json another part where a room is
# made of it. The first room that asks compiles them, the others take them from it; all must have the same flags.
function(_iso_precompile room)
  set(header standard.h)
  set(owner iso_base)
  if(room MATCHES "^(reports|cli)$")
    set(header standard_and_json.h)
    set(owner iso_reports)
  endif()
  if(owner STREQUAL "iso_${room}")
    target_precompile_headers(iso_${room} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled/${header})
  else()
    target_precompile_headers(iso_${room} REUSE_FROM ${owner})
  endif()
endfunction()

# For a first build too: sources of a room that can share a translation unit do, eight at most (cmake/groups.awk says which can).
if(ISO_QUICK_BUILD)
  list(TRANSFORM ISO_ROOMS APPEND "/*.h" OUTPUT_VARIABLE headers)
  list(TRANSFORM headers PREPEND ${PROJECT_SOURCE_DIR}/)
  file(GLOB_RECURSE ISO_HEADERS RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${headers})
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ISO_HEADERS} cmake/groups.awk)
endif()
function(_iso_group room)
  set(sources "")
  foreach(path ${ARGN})
    file(RELATIVE_PATH source ${PROJECT_SOURCE_DIR} ${path})
    list(APPEND sources ${source})
  endforeach()
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${sources})
  execute_process(COMMAND awk -v size=8 -f cmake/groups.awk ${ISO_HEADERS} sources=1 ${sources}
                  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE lines OUTPUT_STRIP_TRAILING_WHITESPACE
                  COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "\n" ";" lines "${lines}")
  foreach(line ${lines})
    string(REGEX MATCH "^([0-9]+) (.*)$" line "${line}")
    set_source_files_properties(${PROJECT_SOURCE_DIR}/${CMAKE_MATCH_2} PROPERTIES UNITY_GROUP ${CMAKE_MATCH_1})
  endforeach()
  set_target_properties(iso_${room} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

function(iso_room name)
  cmake_parse_arguments(ARG "" "EXCEPT" "LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.cc)
  if(ARG_EXCEPT)  # a folder in it that a CMake file of its own adds
    list(FILTER sources EXCLUDE REGEX "/${name}/${ARG_EXCEPT}/")
  endif()
  if(sources)
    add_library(iso_${name} STATIC ${sources})
  else()
    add_library(iso_${name} STATIC ${PROJECT_SOURCE_DIR}/cmake/empty.cc)
  endif()
  target_include_directories(iso_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(iso_${name} PRIVATE ${ISO_WARNINGS})
  if(ISO_QUICK_BUILD)
    _iso_precompile(${name})
    _iso_group(${name} ${sources})
  endif()
  _iso_link(iso_${name} ${ARG_LINKS})
endfunction()

# Loops marked `omp simd` vectorise (no OpenMP runtime is linked); sqrt and selections do, since errno and traps are unused.
function(iso_vectorise name)
  set_target_properties(iso_${name} PROPERTIES DISABLE_PRECOMPILE_HEADERS ON UNITY_BUILD OFF)  # other flags than base
  target_compile_options(iso_${name} PRIVATE -O3 -fopenmp-simd -fno-math-errno -fno-trapping-math -ffp-contract=fast)
endfunction()

# Rooms that read words and print them, where -O1 compiles in three quarters of -O2's time and nobody waits for the rest.
function(iso_prints)
  foreach(name ${ARGN})
    target_compile_options(iso_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  endforeach()
endfunction()

function(iso_program target folder)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(NOT sources)
    set(sources ${PROJECT_SOURCE_DIR}/cmake/empty.cc)
  endif()
  add_library(iso_${folder} STATIC ${sources})  # all but main, so that tests can link the verbs
  target_include_directories(iso_${folder} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(iso_${folder} PRIVATE ${ISO_WARNINGS})
  if(ISO_QUICK_BUILD)
    _iso_precompile(${folder})
    _iso_group(${folder} ${sources})
  endif()
  _iso_link(iso_${folder} ${ARG_LINKS})
  add_executable(${target} ${PROJECT_SOURCE_DIR}/${folder}/main.cc)
  target_compile_options(${target} PRIVATE ${ISO_WARNINGS})
  target_link_libraries(${target} PRIVATE iso_${folder})
endfunction()

# One test binary per room, from tests/ROOM/**/*_test.cc.
function(iso_tests)
  set(limit 300)  # s a test
  if(ISO_SANITIZE)
    set(limit 3600)  # ThreadSanitizer makes quarters of an hour of seconds where 16 threads pass messages
  endif()
  foreach(room ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${room}/*_test.cc)
    if(sources)
      add_executable(${room}_tests ${sources})
      target_compile_options(${room}_tests PRIVATE ${ISO_WARNINGS})
      # Tests run in the source folder and say paths from there, so that compiler caches serve every checkout.
      file(RELATIVE_PATH binary_folder ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
      target_compile_definitions(${room}_tests PRIVATE ISO_SOURCE_DIR="." ISO_BINARY="${binary_folder}/isochrone")
      target_compile_options(${room}_tests PRIVATE -O0)  # half the time of -O2; the code under test has its own flags
      target_link_libraries(${room}_tests PRIVATE iso_${room} Catch2::Catch2WithMain)
      catch_discover_tests(${room}_tests TEST_PREFIX "${room}: " WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTIES TIMEOUT ${limit})
      add_test(NAME "${room}: slow" COMMAND ${room}_tests "[slow]" WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})  # tagged [.slow]
      set_tests_properties("${room}: slow" PROPERTIES LABELS slow TIMEOUT 3600)
    endif()
  endforeach()
endfunction()

# One binary per bench/*_bench.cc, linked with everything.
function(iso_benchmarks)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*_bench.cc)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE iso_study iso_executor benchmark::benchmark_main)
  endforeach()
endfunction()
