# The page of the reports in headless Chromium, label `browser`; its types checked by the TypeScript compiler. They skip
# aloud (77) where npm, its packages or Chromium are absent.
if(ISO_HAVE_NPM AND TARGET reports_tests)
  get_filename_component(npm_folder ${ISO_NPM_PROGRAM} DIRECTORY)
  find_program(ISO_NODE_PROGRAM node HINTS ${npm_folder})
  set(page_tests ${PROJECT_SOURCE_DIR}/tests/reports/page)
  function(iso_page_test name labels)
    add_test(NAME "page: ${name}" COMMAND ${ARGN})
    set_tests_properties("page: ${name}" PROPERTIES LABELS "${labels}" SKIP_RETURN_CODE 77 TIMEOUT 600)
  endfunction()
  iso_page_test("every kind of answer works in a browser" "browser"
                ${ISO_NODE_PROGRAM} ${page_tests}/page_test.mjs $<TARGET_FILE:reports_tests> ${PROJECT_SOURCE_DIR}/reports/web
                $<TARGET_FILE:isochrone> ${PROJECT_SOURCE_DIR})
  iso_page_test("the largest results are small and open fast" "browser;slow"
                ${ISO_NODE_PROGRAM} ${page_tests}/large_test.mjs $<TARGET_FILE:reports_tests> ${PROJECT_SOURCE_DIR}/reports/web)
  iso_page_test("its arithmetic holds" "page" ${ISO_NODE_PROGRAM} ${page_tests}/units_test.mjs ${PROJECT_SOURCE_DIR}/reports/web)
  iso_page_test("its TypeScript holds to its types" "browser"
                ${ISO_NODE_PROGRAM} ${page_tests}/types.mjs ${PROJECT_SOURCE_DIR}/reports/web)
endif()
