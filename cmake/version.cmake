# What the binary says of itself; only cli/version.cc is compiled again when the commit changes.
execute_process(COMMAND git -C ${PROJECT_SOURCE_DIR} rev-parse --short=12 HEAD
                OUTPUT_VARIABLE ISO_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT ISO_COMMIT)
  set(ISO_COMMIT unknown)
endif()
set_source_files_properties(${PROJECT_SOURCE_DIR}/cli/version.cc PROPERTIES
  COMPILE_DEFINITIONS "ISO_VERSION=\"${PROJECT_VERSION}\";ISO_COMMIT=\"${ISO_COMMIT}\"")
