# SPDX-License-Identifier: MIT
# Run by cpack first: what the library and the tools depend on, by dpkg-shlibdeps. CPack would call
# it, too, but writes scripts that call ldconfig then, where Debian wants a trigger.

find_program(SHLIBDEPS dpkg-shlibdeps REQUIRED)

# By itself dpkg-shlibdeps takes any variant of OpenBLAS; the run path names the OpenMP one.
set(work ${CPACK_PSGVIT_BUILT}/shlibdeps)
file(WRITE ${work}/debian/control "")
file(WRITE ${work}/debian/shlibs.local "libopenblas 0 libopenblas0-openmp\n")

# psgvit_depends(COMPONENT BINARY...); our own library is in no installed package, and is told of by
# the components.
function(psgvit_depends component)
    execute_process(COMMAND ${SHLIBDEPS} -O --ignore-missing-info ${ARGN} WORKING_DIRECTORY ${work}
        OUTPUT_VARIABLE depends OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
        COMMAND_ERROR_IS_FATAL ANY)
    string(REPLACE "shlibs:Depends=" "" depends "${depends}")
    set(CPACK_DEBIAN_${component}_PACKAGE_DEPENDS "${depends}" PARENT_SCOPE)
endfunction()

file(GLOB tools ${CPACK_PSGVIT_BUILT}/bin/*)
psgvit_depends(LIBRARY ${CPACK_PSGVIT_BUILT}/src/libpsgvit.so)
psgvit_depends(TOOLS ${tools})
