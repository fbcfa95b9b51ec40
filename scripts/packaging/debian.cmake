# SPDX-License-Identifier: MIT
# Debian's packages by CPack: `cmake --preset debian`, `cmake --build --preset debian`,
# `cpack --preset debian`. A package for each of the install rules' components: library, dev, tools.

set(CPACK_GENERATOR DEB)
# The author of the commits; no mail is read there, and nobody else gets it (RFC 2606).
set(CPACK_PACKAGE_CONTACT "libpsgvit maintainers <maintainers@users.noreply.r-seed-a9ae4769.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_CURRENT_LIST_DIR}/debian-depends.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/debian-files.cmake)
set(CPACK_PSGVIT_PIECES ${CMAKE_CURRENT_LIST_DIR}/debian)
set(CPACK_PSGVIT_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PSGVIT_BUILT ${PROJECT_BINARY_DIR})
set(CPACK_COMPONENTS_ALL library dev tools)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SOURCE psgvit)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)

set(about "psgvit turns sleep and EEG recordings into embeddings with two
foundation models: OSF, over 12-channel polysomnography, and EEGPT, over
channels of EEG. It computes on CPUs and, by Vulkan, on GPUs, with the
numbers of the Python originals.
.")

# Vulkan's loader is opened at run time, and only looked for: machines without a GPU do without.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libpsgvit${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SUGGESTS "libvulkan1, mesa-vulkan-drivers | vulkan-icd")
set(library_name ${CPACK_DEBIAN_LIBRARY_PACKAGE_NAME})
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/triggers "activate-noawait ldconfig\n")
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/shlibs
     "libpsgvit ${PROJECT_VERSION_MAJOR} ${library_name} (>= ${PROJECT_VERSION})\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_BINARY_DIR}/triggers ${CMAKE_CURRENT_BINARY_DIR}/shlibs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "embeddings of sleep and EEG recordings - shared library
${about}
This package has the shared library.")

# The static library is linked with these two; the shared one needs neither.
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libpsgvit-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_RECOMMENDS "libcjson-dev, libopenblas-openmp-dev")
set(CPACK_COMPONENT_DEV_DEPENDS library)
set(CPACK_DEBIAN_DEV_DESCRIPTION "embeddings of sleep and EEG recordings - development files
${about}
This package has the headers, the static library, and what CMake and
pkg-config need.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME psgvit-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION science)
set(CPACK_COMPONENT_TOOLS_DEPENDS library)
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "embeddings of sleep and EEG recordings - command-line tools
${about}
This package has the tools, which embed files and cohorts, look into models
and recordings, make synthetic ones, and measure how fast it goes.")

include(CPack)
