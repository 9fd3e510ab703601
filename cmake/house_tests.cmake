# Tests of the house itself: who includes whom, sources that no target builds, words that must not appear, format, fresh pages.
function(iso_house_test name)
  add_test(NAME "house: ${name}" COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties("house: ${name}" PROPERTIES LABELS house SKIP_RETURN_CODE 77 TIMEOUT 1200)
endfunction()

set(house ${PROJECT_SOURCE_DIR}/tests/house)
iso_house_test("a room includes only what its row lists" ${Python3_EXECUTABLE} ${house}/includes.py ${PROJECT_SOURCE_DIR})
iso_house_test("every test file is built" ${Python3_EXECUTABLE} ${house}/orphans.py ${PROJECT_SOURCE_DIR}
               ${PROJECT_BINARY_DIR}/compile_commands.json)
iso_house_test("no file names a machine of ours" ${Python3_EXECUTABLE} ${house}/words.py ${PROJECT_SOURCE_DIR})
iso_house_test("every file is formatted" ${PROJECT_SOURCE_DIR}/scripts/format --check)
iso_house_test("generated pages are fresh" ${CMAKE_COMMAND} -E env ISOCHRONE_BIN=$<TARGET_FILE_DIR:isochrone>
               ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/scripts/fresh)
iso_house_test("every test of the house can fail" ${Python3_EXECUTABLE} ${house}/self_test.py ${PROJECT_SOURCE_DIR})
iso_house_test("run passes on what the program says" ${Python3_EXECUTABLE} ${house}/run_test.py ${PROJECT_SOURCE_DIR})
