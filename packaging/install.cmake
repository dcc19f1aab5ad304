# What `cmake --install` puts where (GNUInstallDirs; DESTDIR works), and what `cpack -G DEB` makes of it: packaging/debian/ has the scripts.
# The program looks in /etc/trackbridge: another prefix than /usr wants CMAKE_INSTALL_SYSCONFDIR=/etc with it.

set(MAINTAINER "trackbridge maintainers <maintainers@trackbridge.example>")
set(PACKAGED ${CMAKE_BINARY_DIR}/packaged)

# The configuration that is installed is refused as not configured: version 0. As shipped it shows the defaults, and would send somewhere.
file(READ ${CMAKE_SOURCE_DIR}/config/trackbridge.yaml text)
string(REPLACE "# Version of this file's format.\nversion: 1\n"
  "# 0: not configured yet, nothing is started with it. Make `endpoints` and `sources` your own, then set this to 1, the version of this\n# file's format.\nversion: 0\n"
  configured "${text}")
if(configured STREQUAL text)
  message(FATAL_ERROR "config/trackbridge.yaml does not show its version as packaging/install.cmake expects it")
endif()
file(WRITE ${PACKAGED}/trackbridge.yaml "${configured}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/config/trackbridge.yaml)

# compressed(SOURCE NAME): a file as NAME.gz, without a time in it.
find_program(GZIP gzip REQUIRED)
function(compressed source name)
  get_filename_component(folder ${PACKAGED}/${name}.gz DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  execute_process(COMMAND ${GZIP} -9 -n -c ${source} OUTPUT_FILE ${PACKAGED}/${name}.gz COMMAND_ERROR_IS_FATAL ANY)
  if(NOT source MATCHES "^${PACKAGED}/")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  endif()
endfunction()
foreach(page trackbridge.8 trackbridge.yaml.5 trackbridge-manifest.5)
  compressed(${CMAKE_SOURCE_DIR}/docs/man/${page} ${page})
  string(REGEX REPLACE ".*\\." "" section ${page})
  install(FILES ${PACKAGED}/${page}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
compressed(${CMAKE_SOURCE_DIR}/CHANGELOG.md changelog)
# Of SOURCE_DATE_EPOCH where there is one.
string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${PACKAGED}/changelog.Debian "trackbridge (${PROJECT_VERSION}-1) stable; urgency=medium

  * Version ${PROJECT_VERSION}: changelog.gz tells what is new.

 -- ${MAINTAINER}  ${now}
")
compressed(${PACKAGED}/changelog.Debian changelog.Debian)

install(TARGETS trackbridge DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(FILES ${PACKAGED}/trackbridge.yaml DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/trackbridge)
# What units run is where it is installed.
foreach(unit trackbridge.service trackbridge-maintenance.service trackbridge-maintenance.timer)
  file(READ ${CMAKE_SOURCE_DIR}/systemd/${unit} text)
  string(REPLACE "=/usr/sbin/" "=${CMAKE_INSTALL_FULL_SBINDIR}/" text "${text}")
  string(REPLACE "=/usr/lib/" "=${CMAKE_INSTALL_PREFIX}/lib/" text "${text}")
  file(WRITE ${PACKAGED}/${unit} "${text}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/systemd/${unit})
  install(FILES ${PACKAGED}/${unit} DESTINATION lib/systemd/system)
endforeach()
install(FILES systemd/sysusers.d/trackbridge.conf DESTINATION lib/sysusers.d)
install(FILES systemd/tmpfiles.d/trackbridge.conf DESTINATION lib/tmpfiles.d)
install(PROGRAMS systemd/maintenance.sh DESTINATION lib/trackbridge RENAME maintenance)
install(FILES completion/trackbridge DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PACKAGED}/changelog.gz ${PACKAGED}/changelog.Debian.gz packaging/README.Debian DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES packaging/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES docs/metrics.md README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(EXISTS ${CMAKE_SOURCE_DIR}/docs/runbook.md)
  install(FILES docs/runbook.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
install(DIRECTORY config/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
# Commented through, as the manual page refers to it, and with nothing changed.
install(FILES config/trackbridge.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME trackbridge)
set(CPACK_PACKAGE_VENDOR trackbridge)
set(CPACK_PACKAGE_CONTACT ${MAINTAINER})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/packaging/same_times.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd (>= 252), ca-certificates, tzdata")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "sqlite3")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bash-completion, prometheus-node-exporter")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"A daemon beside a card bureau: it watches the directories into which the
factory exports its manifests (CSV), turns each row into a Track Card request
of Thales D1, keeps every row in a queue with its state, sends the requests
over HTTPS and records the operation id of each.

Nothing is started until it is configured.")
file(WRITE ${PACKAGED}/conffiles "/etc/trackbridge/trackbridge.yaml\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PACKAGED}/conffiles ${CMAKE_SOURCE_DIR}/packaging/debian/postinst
  ${CMAKE_SOURCE_DIR}/packaging/debian/prerm ${CMAKE_SOURCE_DIR}/packaging/debian/postrm)
include(CPack)
