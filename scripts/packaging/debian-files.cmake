# SPDX-License-Identifier: MIT
# Run by cpack between install and packing: what Debian wants of a package beyond our install rules.
# Each component lies in a folder of its own.

find_program(GZIP gzip REQUIRED)
find_program(STRIP strip REQUIRED)

foreach(component ${CPACK_COMPONENTS_ALL})
    set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component})
    string(TOUPPER ${component} upper)
    set(package ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})

    set(doc ${root}/usr/share/doc/${package})
    file(READ ${CPACK_PSGVIT_LICENSE} LICENSE)
    string(REGEX REPLACE "^.*\n\nPermission" "Permission" LICENSE "${LICENSE}")
    string(REGEX REPLACE "\n\n" "\n.\n" LICENSE "${LICENSE}")
    string(REGEX REPLACE "\n(.)" "\n \\1" LICENSE "${LICENSE}")
    configure_file(${CPACK_PSGVIT_PIECES}/copyright.in ${doc}/copyright @ONLY)
    file(COPY ${CPACK_PSGVIT_PIECES}/changelog DESTINATION ${doc})
    set(overrides ${CPACK_PSGVIT_PIECES}/${package}.lintian-overrides)
    if(EXISTS ${overrides})
        configure_file(${overrides} ${root}/usr/share/lintian/overrides/${package} COPYONLY)
    endif()

    file(GLOB pages ${root}/usr/share/man/man*/*)
    execute_process(COMMAND ${GZIP} -9n ${doc}/changelog ${pages} COMMAND_ERROR_IS_FATAL ANY)

    # Whatever the umask was when the sources were cloned.
    file(CHMOD_RECURSE ${root}/usr/share
         FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ
         DIRECTORY_PERMISSIONS ${CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})

    file(GLOB binaries ${root}/usr/bin/* ${root}/usr/lib/*/*.so.*.* ${root}/usr/lib/*/*.a)
    foreach(binary ${binaries})
        set(what --strip-unneeded)
        if(binary MATCHES "\\.a$")
            set(what --strip-debug --enable-deterministic-archives)
        endif()
        execute_process(COMMAND ${STRIP} ${what} -R .comment -R .note ${binary}
                        COMMAND_ERROR_IS_FATAL ANY)
    endforeach()
endforeach()
