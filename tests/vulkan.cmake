# SPDX-License-Identifier: MIT
# The tests of the Vulkan backend, all on lavapipe, Mesa's driver for the CPU. Included by
# CMakeLists.txt beside it.
#
# psgvit_mock_test(NAME SOURCE... [LIBRARY file] [as psgvit_test])
#     A test whose libvulkan.so.1 is the mock (fault/vulkan/mock.h), or LIBRARY.

# The mock: found as libvulkan.so.1, it opens the real loader by its path.
set(mock_folder ${CMAKE_CURRENT_BINARY_DIR}/mock)
add_library(vulkan_mock MODULE
    fault/vulkan/mock.c fault/vulkan/mock_device.c fault/vulkan/mock_family.c
    fault/vulkan/mock_memory.c fault/vulkan/mock_pipeline.c)
target_include_directories(vulkan_mock PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
target_include_directories(vulkan_mock SYSTEM PRIVATE ${PSGVIT_vulkan_INCLUDE})
target_compile_definitions(vulkan_mock PRIVATE REAL_LOADER="${PSGVIT_vulkan_LOADER}")
target_link_libraries(vulkan_mock PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
set_target_properties(vulkan_mock PROPERTIES
    PREFIX "" OUTPUT_NAME libvulkan.so SUFFIX .1 LIBRARY_OUTPUT_DIRECTORY ${mock_folder})

function(psgvit_mock_test name)
    psgvit_test(${name} ${ARGN} fault/vulkan/stage.c unit/job.c parity/vector.c
        LIBS tool_support ${CMAKE_DL_LIBS})
    target_include_directories(test_${name} SYSTEM PRIVATE ${PSGVIT_vulkan_INCLUDE})
    add_dependencies(test_${name} vulkan_mock)
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT LD_LIBRARY_PATH=${mock_folder})
endfunction()

psgvit_mock_test(fault_vulkan_calls fault/vulkan/test_calls.c)
psgvit_mock_test(fault_vulkan_devices fault/vulkan/test_devices.c)
psgvit_mock_test(fault_vulkan_night fault/vulkan/test_night.c)
foreach(part cache limits lost)
    psgvit_mock_test(fault_vulkan_${part} fault/vulkan/test_${part}.c)
endforeach()
psgvit_test(staging_vulkan unit/test_staging.c unit/job.c parity/vector.c LIBS tool_support)
target_include_directories(test_staging_vulkan SYSTEM PRIVATE ${PSGVIT_vulkan_INCLUDE})
psgvit_test(threads_vulkan fault/vulkan/test_threads.c unit/job.c parity/vector.c
    LIBS tool_support ARGS shared)
psgvit_test_run(threads_devices_vulkan threads_vulkan ARGS own)

# Under the validation layer, with its synchronization checks, every op and every parity case must
# stay without a word of it. Not in builds for sanitizers, which slow the layer down, too; and not
# threads_devices_vulkan: the layer looks devices up without a lock, and a thread that opens one
# makes another's calls jump to 0 (KhronosGroup/Vulkan-ValidationLayers issue 4391).
if(NOT CMAKE_C_FLAGS MATCHES "-fsanitize")
    find_file(PSGVIT_vulkan_VALIDATION NAMES VkLayer_khronos_validation.json
        PATHS /usr/share/vulkan/explicit_layer.d /usr/local/share/vulkan/explicit_layer.d)
    mark_as_advanced(PSGVIT_vulkan_VALIDATION)
    if(NOT PSGVIT_vulkan_VALIDATION)
        message(FATAL_ERROR "The tests need Vulkan's validation layer: install the package "
                            "vulkan-validationlayers.")
    endif()
    psgvit_test(validation_races fault/vulkan/test_validation.c unit/job.c parity/vector.c
        LIBS tool_support ARGS barriers)
    target_include_directories(test_validation_races SYSTEM PRIVATE ${PSGVIT_vulkan_INCLUDE})
    psgvit_test_run(validation_misuse validation_races ARGS buffers)
    set(validated ops_vulkan parity_vulkan staging_vulkan threads_vulkan)
    set_property(TEST ${validated} validation_races validation_misuse APPEND PROPERTY ENVIRONMENT
        VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
        VK_LAYER_SETTINGS_PATH=${CMAKE_CURRENT_SOURCE_DIR}/fault/vulkan/vk_layer_settings.txt)
    # What the layer says names a rule: VUID-..., SYNC-..., or one of its own.
    set_tests_properties(${validated} PROPERTIES
        FAIL_REGULAR_EXPRESSION "(VUID|SYNC|UNASSIGNED)-")
    # The same setting is able to fail.
    set_tests_properties(validation_races PROPERTIES
        PASS_REGULAR_EXPRESSION "SYNC-HAZARD-READ.AFTER.WRITE")
    set_tests_properties(validation_misuse PROPERTIES
        PASS_REGULAR_EXPRESSION "VUID-vkDestroyDevice-device-00378")
endif()

# The command line with lavapipe, and without Vulkan in several ways.
set(empty_folder ${CMAKE_CURRENT_BINARY_DIR}/mock_empty)
add_library(vulkan_empty MODULE fault/vulkan/empty.c)
set_target_properties(vulkan_empty PROPERTIES
    PREFIX "" OUTPUT_NAME libvulkan.so SUFFIX .1 LIBRARY_OUTPUT_DIRECTORY ${empty_folder})
psgvit_cli_test(cli_vulkan cli/test_vulkan.py ARGS ${empty_folder})
