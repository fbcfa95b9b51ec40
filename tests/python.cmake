# SPDX-License-Identifier: MIT
# The tests of scripts/: conversion, the executable specification, parity vectors, the Python module.
# Where they need PyTorch they run by a Python that has it: Debian's own with python3-torch, and
# safetensors, which Debian lacks, in a folder beside build/venv (scripts/test.sh makes both).

set(PSGVIT_TORCH_PYTHON /usr/bin/python3 CACHE FILEPATH "A Python with torch and numpy")
set(PSGVIT_TORCH_PACKAGES ${PROJECT_SOURCE_DIR}/build/torch-packages CACHE PATH
    "A folder with safetensors for it")
mark_as_advanced(PSGVIT_TORCH_PYTHON PSGVIT_TORCH_PACKAGES)

# psgvit_torch_test(NAME SCRIPT [ARGS arg...] [LABELS label...])
function(psgvit_torch_test name script)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "LABELS;ARGS")
    psgvit_add_test(${name}
        ${PSGVIT_TORCH_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${arg_ARGS})
    set_property(TEST ${name} APPEND PROPERTY
        ENVIRONMENT PYTHONPATH=${PSGVIT_TORCH_PACKAGES} PYTHONDONTWRITEBYTECODE=1)
endfunction()

# The executable specification against every vector. osf_large alone takes 2.4 GB.
set(every_case ${small_cases} ${large_cases})
set(most_cases ${every_case})
list(REMOVE_ITEM most_cases osf_base osf_large)
psgvit_torch_test(python_reference python/test_reference.py
    ARGS ${PROJECT_SOURCE_DIR}/scripts ${most_cases} LABELS large)
psgvit_torch_test(python_reference_every python/test_reference.py
    ARGS ${PROJECT_SOURCE_DIR}/scripts ${every_case} LABELS full)

# Reference model -> checkpoint -> safetensors -> vectors -> psgvit-parity, and what is refused.
psgvit_torch_test(python_conversion python/test_conversion.py
    ARGS ${PROJECT_BINARY_DIR}/bin ${PROJECT_SOURCE_DIR}/scripts LABELS large)

psgvit_cli_test(cli_parity python/test_parity_tool.py ARGS ${PROJECT_SOURCE_DIR}/scripts)

# The Python module: no copy of the library's structs may differ from the headers. The interpreter is
# not one of a sanitizer, so these are left out there.
psgvit_python_test(python_layout python/test_layout.py
    ARGS $<TARGET_FILE:psgvit> ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/scripts
         ${CMAKE_C_COMPILER} LABELS large)
psgvit_cli_test(python_module python/test_module.py
    ARGS ${PROJECT_SOURCE_DIR}/scripts $<TARGET_FILE:psgvit> LABELS large)

# Every command of the README, its program, its lines of CMake and its Python.
psgvit_cli_test(cli_readme cli/test_readme.py
    ARGS ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${CMAKE_INSTALL_LIBDIR}
         ${PSGVIT_TORCH_PYTHON} ${PSGVIT_TORCH_PACKAGES}
    LABELS large)
