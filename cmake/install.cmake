# cmake --install gives a relocatable binary: bin/isochrone finds ../share/isochrone/scenarios.
include(GNUInstallDirs)
set_target_properties(isochrone PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)  # CUDA and NCCL may lie outside the system's folders
install(TARGETS isochrone RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY scenarios DESTINATION ${CMAKE_INSTALL_DATADIR}/isochrone)
