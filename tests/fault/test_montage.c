/* SPDX-License-Identifier: MIT */
/* Memory runs out at every allocation of a montage in turn: a sentence, and nothing leaked. */
#include "fault/inject.h"
#include "unit/montage_case.h"

static void test_memory(void **state)
{
    (void)state;
    montage_case m = {.params.aliases = "SN=x - y"};
    case_signals(&m, "EEG(sec),EEG,EMG,ECG,ABDO RES,THOR RES,EOG(L),EOG(R),x,y");
    long calls = 0;
    for (bool failed = true; failed; calls++) {
        long live = inject_live();
        inject_arm(INJECT_MEMORY, calls + 1, false);
        psgvit_status status =
            pv_montage_make(&m.montage, &m.edf, pv_osf_leads, PV_OSF_LEADS, &m.params, &m.err);
        failed = inject_disarm();
        assert_int_equal(status, failed ? PSGVIT_E_MEMORY : PSGVIT_OK);
        if (failed)
            case_message(&m, "out of memory: the ");
        pv_montage_free(&m.montage);
        assert_int_equal(inject_live(), live);
    }
    assert_int_equal(calls, 3 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests_name("montage faults", tests, NULL, NULL);
}
