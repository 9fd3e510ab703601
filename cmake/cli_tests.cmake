# Tests of the program from outside, as a person calls it. They begin with the verb that they call.
if(EXISTS ${PROJECT_SOURCE_DIR}/cli/predict.cc)
  add_test(NAME "cli: whatever is wrong with a scenario is refused with place, fault and remedy"
           COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/cli/bad_input_test.py $<TARGET_FILE:isochrone> ${PROJECT_SOURCE_DIR})
  add_test(NAME "cli: an installed copy that was moved answers from its own catalogue"
           COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/cli/install_test.py ${CMAKE_COMMAND} ${PROJECT_BINARY_DIR})
  add_test(NAME "cli: a sweep that is killed, or whose disk fills, goes on to the file of an undisturbed one"
           COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/cli/sweep_test.py $<TARGET_FILE:isochrone> ${PROJECT_SOURCE_DIR})
  set_tests_properties("cli: whatever is wrong with a scenario is refused with place, fault and remedy" PROPERTIES
                       TIMEOUT 600 ENVIRONMENT "ISO_SANITIZE=${ISO_SANITIZE}")
endif()
