# cmake -D NPM=… -D FOLDER=reports/web -D SOURCE=page.cc -D REQUIRED=AUTO|ON -P build_page.cmake
# Fetches packages where package-lock.json has changed since the last time, then bundles.
get_filename_component(out ${SOURCE} DIRECTORY)
file(MAKE_DIRECTORY ${out})
file(LOCK ${FOLDER}/node_modules.lock GUARD PROCESS)  # two build folders share node_modules
set(stamp ${FOLDER}/node_modules/.fetched)
file(SHA256 ${FOLDER}/package-lock.json wanted)
set(have "")
if(EXISTS ${stamp})
  file(READ ${stamp} have)
endif()
set(failed 0)
if(NOT have STREQUAL wanted)
  execute_process(COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund --loglevel=error
                  WORKING_DIRECTORY ${FOLDER} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT failed)
    file(WRITE ${stamp} ${wanted})
  endif()
endif()
if(failed)
  if(REQUIRED STREQUAL "ON")
    message(FATAL_ERROR "npm cannot fetch the packages of the page:\n${said}")
  endif()
  message(WARNING "npm cannot fetch the packages of the page; built without it (delete ${SOURCE} to try again):\n${said}")
  file(WRITE ${SOURCE} "#include \"reports/html.h\"

namespace isochrone::reports {
const std::string_view kPage;
const std::string_view kWhyNoPage = \"npm could not fetch its packages when it was built\";
}  // namespace isochrone::reports
")
  return()
endif()
get_filename_component(bin ${NPM} DIRECTORY)
find_program(NODE node HINTS ${bin} REQUIRED)
execute_process(COMMAND ${NODE} ${FOLDER}/build.mjs ${out}/report.html ${SOURCE}
                WORKING_DIRECTORY ${FOLDER} RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "the page does not bundle (see above)")
endif()
