# cmake --install gives a relocatable binary: bin/isochrone finds ../share/isochrone/scenarios.
include(GNUInstallDirs)
install(TARGETS isochrone RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY scenarios DESTINATION ${CMAKE_INSTALL_DATADIR}/isochrone)
