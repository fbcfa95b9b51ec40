# SPDX-License-Identifier: MIT
# The tests of the Vulkan backend, all on lavapipe, Mesa's driver for the CPU. Included by
# CMakeLists.txt beside it.
#
# psgvit_mock_test(NAME SOURCE... [LIBRARY file] [as psgvit_test])
#     A test whose libvulkan.so.1 is the mock (fault/vulkan/mock.h), or LIBRARY.

# The mock: found as libvulkan.so.1, it opens the real loader by its path.
set(mock_folder ${CMAKE_CURRENT_BINARY_DIR}/mock)
add_library(vulkan_mock MODULE fault/vulkan/mock.c fault/vulkan/mock_device.c)
target_include_directories(vulkan_mock PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
target_include_directories(vulkan_mock SYSTEM PRIVATE ${PSGVIT_vulkan_INCLUDE})
target_compile_definitions(vulkan_mock PRIVATE REAL_LOADER="${PSGVIT_vulkan_LOADER}")
target_link_libraries(vulkan_mock PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
set_target_properties(vulkan_mock PROPERTIES
    PREFIX "" OUTPUT_NAME libvulkan.so SUFFIX .1 LIBRARY_OUTPUT_DIRECTORY ${mock_folder})

function(psgvit_mock_test name)
    psgvit_test(${name} ${ARGN} fault/vulkan/stage.c unit/job.c parity/vector.c
        LIBS tool_support ${CMAKE_DL_LIBS} TIMEOUT 300)
    target_include_directories(test_${name} SYSTEM PRIVATE ${PSGVIT_vulkan_INCLUDE})
    add_dependencies(test_${name} vulkan_mock)
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT LD_LIBRARY_PATH=${mock_folder})
endfunction()

psgvit_mock_test(fault_vulkan_calls fault/vulkan/test_calls.c)
psgvit_mock_test(fault_vulkan_devices fault/vulkan/test_devices.c)
