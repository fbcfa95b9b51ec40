/* SPDX-License-Identifier: MIT */
/* The paragraphs of --help that both tools have; each is a string of a few lines. */
#ifndef TOOLS_INFER_HELP_H
#define TOOLS_INFER_HELP_H

#define INFER_HELP_OUT                                                                             \
    "  -o OUT                 a file that ends in .safetensors, .npy, .csv, .tsv or .json; a\n"    \
    "                         folder (one file per input; ends in / or exists; made if "           \
    "missing);\n"                                                                                  \
    "                         or -, standard output, with --format\n"                              \
    "      --format FORMAT    safetensors, npy, csv, tsv or json: for a folder (default:\n"        \
    "                         safetensors) and for standard output\n"

#define INFER_HELP_EDF                                                                             \
    "      --cohort NAME      whose names of channels an EDF has: shhs, mesa, mros, cfs, ccshs,\n" \
    "                         chat, sof, wsc, nchsdb, stages, generic, or auto (default)\n"        \
    "      --alias NAME=LABEL,...\n"                                                               \
    "                         labels, or differences A-B, that mean channel NAME, before the\n"    \
    "                         cohort's; or a file of such lines; may be repeated\n"

#define INFER_HELP_BESIDE                                                                          \
    "      --head FILE        a linear head (head.weight, head.bias): its labels, confidence "     \
    "and\n"                                                                                        \
    "                         probabilities are written with the embeddings\n"                     \
    "      --hypnogram FILE   the stages of --head as .tsv, .annot (Luna) or .edf (EDF+)\n"        \
    "      --report FILE      a page to look at, .html; FILE of either may be DIR/ or\n"           \
    "                         DIR/.SUFFIX: a file for each input\n"

#define INFER_HELP_MANY                                                                            \
    "      --list FILE        the inputs as lines of ID, a tab and a file (Luna's sample list;\n"  \
    "                         what follows another tab is not looked at); - is standard input.\n"  \
    "                         Outputs are named ID.FORMAT; a manifest in OUT tells of each "       \
    "input\n"                                                                                      \
    "      --shard i/n        only the inputs i, i + n, i + 2n ..., from 0; --shard slurm finds\n" \
    "                         i and n out from the Slurm array that the process is a task of\n"    \
    "      --resume           skip what is complete and of the same making: model, config,\n"      \
    "                         precision, version, options, and an input that is not newer\n"

#define INFER_HELP_DEVICE(epochs)                                                                  \
    "      --backend B        auto (default), cpu or vulkan; auto takes a GPU if there is one\n"   \
    "      --device D         a device by name, index or UUID\n"                                   \
    "      --list-devices     print the devices and end; with --json as JSON\n"                    \
    "      --isa LEVEL        auto (default), c, avx2, avx512 or amx: the most that the CPU\n"     \
    "                         may use\n"                                                           \
    "      --precision P      f32 (default), f16 or bf16\n"                                        \
    "      --threads N        CPU threads (default: what OpenMP would use)\n"                      \
    "      --batch N          most " epochs " at once (default: what suits the device)\n"          \
    "      --no-mmap          read the model instead of mapping it\n"

#define INFER_HELP_NAN                                                                             \
    "      --nan POLICY       samples that are NaN or infinite: refuse (default), zero, or\n"      \
    "                         propagate\n"

#define INFER_HELP_TALK                                                                            \
    "      --progress MODE    auto (default: a bar on a terminal), never, or json (a line an\n"    \
    "                         update on standard error)\n"                                         \
    "      --json             print a report: timings, shapes, channels, device\n"                 \
    "  -q                     say errors only\n"                                                   \
    "  -v                     say more; -vv: all\n"                                                \
    "      --version          print the version and end\n"                                         \
    "      --help             print this and end\n"                                                \
    "  --                     what follows is an INPUT, whatever it begins with\n"

#define INFER_HELP_CODES                                                                           \
    "\nExit codes:\n"                                                                              \
    "    0  done\n"                                                                                \
    "    1  some of several inputs failed, the rest are done\n"                                    \
    "    2  usage: the command line is wrong\n"                                                    \
    "    3  an input can't be read, is wrong, or does not fit the model\n"                         \
    "    4  the model or its config can't be read, contradicts itself, or lacks an output\n"       \
    "    5  the device is missing or can't do what was asked for\n"                                \
    "    6  out of memory\n"                                                                       \
    "    7  the output can't be written\n"                                                         \
    "  130  interrupted (SIGINT); 143  terminated (SIGTERM)\n"                                     \
    "An output appears whole or not at all.\n"

#endif
