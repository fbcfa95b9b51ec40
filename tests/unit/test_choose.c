/* SPDX-License-Identifier: MIT */
/* Which device an index, a UUID or a part of a name means: every order of looking, and the sentence
 * where none or more than one answers. */
#include "api/choose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define UUID_A "00112233445566778899aabbccddeeff"
#define UUID_B "ffeeddccbbaa99887766554433221100"
#define UUID_DIGITS "11111111111111111111111111111111"

static const psgvit_device_info machine[] = {
    {.name = "Intel(R) Xeon(R) Platinum 8481C", .uuid = ""},
    {.name = "NVIDIA A100", .uuid = UUID_A},
    {.name = "NVIDIA A100 80GB", .uuid = UUID_B},
    {.name = "Radeon 780M (RADV PHOENIX)", .uuid = UUID_DIGITS},
    {.name = "Tesla", .uuid = "0123456789abcdef0123456789abcde0"},
    {.name = "Tesla", .uuid = "0123456789abcdef0123456789abcde1"},
    {.name = "twice", .uuid = "22222222222222222222222222222222"},
    {.name = "the same through another driver", .uuid = "22222222222222222222222222222222"},
};
enum { MACHINE = sizeof machine / sizeof *machine };

/* Chooses among all but those whose bit is in `hidden`. */
static psgvit_status choose(const char *wanted, unsigned hidden, size_t *index, psgvit_error *err)
{
    const psgvit_device_info *infos[MACHINE];
    for (size_t i = 0; i < MACHINE; i++)
        infos[i] = hidden & (1u << i) ? NULL : &machine[i];
    *index = 99;
    *err = (psgvit_error){PSGVIT_OK, ""};
    return pv_choose(infos, MACHINE, wanted, index, err);
}

static void expect(const char *wanted, size_t expected)
{
    size_t index;
    psgvit_error err;
    if (choose(wanted, 0, &index, &err))
        fail_msg("%s: %s", wanted, err.message);
    assert_int_equal(index, expected);
}

static void refuse(const char *wanted, unsigned hidden, const char *sentence)
{
    size_t index;
    psgvit_error err;
    assert_int_equal(choose(wanted, hidden, &index, &err), PSGVIT_E_DEVICE);
    assert_int_equal(err.code, PSGVIT_E_DEVICE);
    if (!strstr(err.message, sentence))
        fail_msg("expected '%s' in: %s", sentence, err.message);
}

static void test_index(void **state)
{
    (void)state;
    expect("0", 0);
    expect("7", 7);
    expect("0003", 3);
    refuse("8", 0, "device '8': there is none of that index, UUID or name; there are: 0 'Intel");
    refuse("99999999999999999999999", 0, "there is none");
    refuse("18446744073709551616", 0, "there is none"); /* 2^64 is not 0 */
    refuse("0", 1, "there are: 1 'NVIDIA A100' (" UUID_A "), 2 ");
    refuse("80", 0, "there is none"); /* digits alone are no part of a name */
}

static void test_uuid(void **state)
{
    (void)state;
    expect(UUID_A, 1);
    expect("FFEEDDCCBBAA99887766554433221100", 2);
    expect("ffeeddcc-bbaa-9988-7766-554433221100", 2);
    expect(UUID_DIGITS, 3); /* and no index */
    refuse("33333333333333333333333333333333", 0, "there is none");
    refuse("00112233445566778899aabbccddeef", 0, "there is none");   /* one digit less */
    refuse("00112233445566778899aabbccddeefff", 0, "there is none"); /* one more */
    refuse("22222222222222222222222222222222", 0,
           "device '22222222222222222222222222222222': 2 answer to that: 6 'twice' "
           "(22222222222222222222222222222222), 7 'the same through another driver'");
}

static void test_name(void **state)
{
    (void)state;
    expect("radeon", 3);
    expect("PHOENIX)", 3);
    expect("80gb", 2);
    expect("nvidia a100", 1); /* a whole name wins over a part of another */
    expect("Xeon", 0);
    refuse("NVIDIA", 0,
           "device 'NVIDIA': 2 answer to that: 1 'NVIDIA A100' (" UUID_A
           "), 2 'NVIDIA A100 80GB' (" UUID_B ")");
    refuse("tesla", 0, "device 'tesla': 2 answer to that: 4 'Tesla' (0123456789abcdef");
    refuse("Xeon", 1, "there is none");
    refuse("", 0, "device '': there is none");
    refuse("-", 0, "there is none");
}

static void test_long(void **state)
{
    (void)state;
    char name[3000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    refuse(name, 0, "': there is none");
    psgvit_device_info many[40];
    const psgvit_device_info *infos[40];
    name[255] = '\0';
    for (size_t i = 0; i < 40; i++) {
        many[i] = (psgvit_device_info){.name = name, .uuid = UUID_A};
        infos[i] = &many[i];
    }
    size_t index;
    psgvit_error err;
    assert_int_equal(pv_choose(infos, 40, name, &index, &err), PSGVIT_E_DEVICE);
    assert_true(strlen(err.message) < sizeof err.message);
    assert_int_equal(pv_choose(infos, 40, "1", &index, NULL), PSGVIT_OK);
    assert_int_equal(index, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests_name("choosing a device", tests, NULL, NULL);
}
