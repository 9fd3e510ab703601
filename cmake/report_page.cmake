# The page of the reports: npm fetches what package-lock.json names, esbuild bundles, and the page becomes a source of
# iso_reports, so that the binary needs no file beside it. Nothing runs again until a source of the page changes.
# Without npm, or where npm reaches no packages, the page is empty and says why; Markdown and CSV still work.
set(page_folder ${PROJECT_SOURCE_DIR}/reports/web)
set(page_source ${PROJECT_BINARY_DIR}/report_page/page.cc)
file(GLOB page_inputs CONFIGURE_DEPENDS ${page_folder}/src/*.ts ${page_folder}/src/*.css ${page_folder}/src/*/*.ts)
if(ISO_HAVE_NPM)
  add_custom_command(
    OUTPUT ${page_source}
    DEPENDS ${page_inputs} ${page_folder}/build.mjs ${page_folder}/package.json ${page_folder}/package-lock.json
            ${PROJECT_SOURCE_DIR}/cmake/build_page.cmake
    COMMAND ${CMAKE_COMMAND} -D NPM=${ISO_NPM_PROGRAM} -D FOLDER=${page_folder} -D SOURCE=${page_source}
            -D REQUIRED=${ISO_NPM} -P ${PROJECT_SOURCE_DIR}/cmake/build_page.cmake
    COMMENT "Bundling the page of the reports"
    VERBATIM)
else()
  file(CONFIGURE OUTPUT ${page_source} @ONLY CONTENT [[
#include "reports/html.h"

namespace isochrone::reports {
const std::string_view kPage;
const std::string_view kWhyNoPage = "it was built without npm";
}  // namespace isochrone::reports
]])
endif()
set_source_files_properties(${page_source} PROPERTIES COMPILE_OPTIONS -Wno-overlength-strings)
target_sources(iso_reports PRIVATE ${page_source})
