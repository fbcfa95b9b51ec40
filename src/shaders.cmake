# SPDX-License-Identifier: MIT
# The shaders: each .comp becomes a .spv of Vulkan 1.1 in the build folder, and vulkan/modules.S puts
# them into the library. Appends to `sources`.

enable_language(ASM)
find_program(PSGVIT_GLSLANG NAMES glslang glslangValidator)
mark_as_advanced(PSGVIT_GLSLANG)
if(NOT PSGVIT_GLSLANG)
    message(FATAL_ERROR "The compiler of shaders is missing: install the package glslang-tools.")
endif()

set(shader_folder ${PROJECT_SOURCE_DIR}/shaders)
set(spirv_folder ${CMAKE_CURRENT_BINARY_DIR}/spirv)
set(shaders assemble attention layernorm linear mean_rows mix_channels patchify select_rows)
set(spirv)
file(MAKE_DIRECTORY ${spirv_folder})
foreach(shader ${shaders})
    add_custom_command(
        OUTPUT ${spirv_folder}/${shader}.spv
        COMMAND ${PSGVIT_GLSLANG} -V --quiet --target-env vulkan1.1
                -o ${spirv_folder}/${shader}.spv ${shader_folder}/${shader}.comp
        DEPENDS ${shader_folder}/${shader}.comp ${shader_folder}/view.glsl ${shader_folder}/exp.glsl
        VERBATIM)
    list(APPEND spirv ${spirv_folder}/${shader}.spv)
endforeach()
set_source_files_properties(vulkan/modules.S PROPERTIES
    OBJECT_DEPENDS "${spirv}" INCLUDE_DIRECTORIES ${spirv_folder})
list(APPEND sources vulkan/modules.S)
