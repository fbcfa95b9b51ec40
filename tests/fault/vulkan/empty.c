/* SPDX-License-Identifier: MIT */
/* A libvulkan.so.1 that has nothing of Vulkan. */
int psgvit_tests_empty(void);

int psgvit_tests_empty(void)
{
    return 0;
}
