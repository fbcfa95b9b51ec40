# SPDX-License-Identifier: MIT
# The shaders: each .comp becomes a .spv of Vulkan 1.1 in the build folder; those that few compilers
# can make are in shaders/spirv/ already (scripts/spirv.sh). vulkan/modules.S puts all of them into
# the library. Appends to `sources`.

enable_language(ASM)
find_program(PSGVIT_GLSLANG NAMES glslang glslangValidator)
mark_as_advanced(PSGVIT_GLSLANG)
if(NOT PSGVIT_GLSLANG)
    message(FATAL_ERROR "The compiler of shaders is missing: install the package glslang-tools.")
endif()

set(shader_folder ${PROJECT_SOURCE_DIR}/shaders)
set(spirv_folder ${CMAKE_CURRENT_BINARY_DIR}/spirv)
set(shaders assemble attention layernorm layernorm_tiles linear mean_rows mix_channels patchify
    select_rows)
set(spirv)
file(MAKE_DIRECTORY ${spirv_folder})
foreach(shader ${shaders})
    add_custom_command(
        OUTPUT ${spirv_folder}/${shader}.spv
        COMMAND ${PSGVIT_GLSLANG} -V -g0 --quiet --target-env vulkan1.1
                -o ${spirv_folder}/${shader}.spv ${shader_folder}/${shader}.comp
        DEPENDS ${shader_folder}/${shader}.comp ${shader_folder}/view.glsl ${shader_folder}/exp.glsl
                ${shader_folder}/operand.glsl ${shader_folder}/rows.glsl
                ${shader_folder}/layernorm.glsl
        VERBATIM)
    list(APPEND spirv ${spirv_folder}/${shader}.spv)
endforeach()
set(ready)
foreach(shader attention_f16 attention_fragments_f16 attention_fragments_split attention_split
        linear_bf16 linear_f16 linear_fragments_bf16 linear_fragments_f16 linear_fragments_split
        linear_split)
    list(APPEND ready ${shader_folder}/spirv/${shader}.spv)
endforeach()
set_source_files_properties(vulkan/modules.S PROPERTIES
    OBJECT_DEPENDS "${spirv};${ready}"
    INCLUDE_DIRECTORIES "${spirv_folder};${shader_folder}/spirv")
list(APPEND sources vulkan/modules.S)
