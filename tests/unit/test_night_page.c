/* SPDX-License-Identifier: MIT */
/* What the page shows, by what is in its text; how it looks is looked at in a browser. */
#define _GNU_SOURCE 1
#include "night_fixture.h"
#include "night_page.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SAMPLES = 64 };

/* Writes the page of a night whose signals are sines, and gives it back as text. */
static char *page_of(const night_facts *n, const linear_head *h)
{
    cli_failure failure = {0};
    night_page *p = NULL;
    writer_content content = both;
    content.night = n;
    content.head = h;
    const char *path = path_of("night.html");
    if (night_page_open(&p, path, &content, CHANNELS, SAMPLES, WIDTH, &failure))
        fail_msg("%s", failure.message);
    float signal[CHANNELS * SAMPLES];
    for (size_t e = 0; e < n->epochs; e++) {
        for (size_t i = 0; i < CHANNELS * SAMPLES; i++)
            signal[i] = i / SAMPLES == 1 ? 0 : (float)(e + 1) * sinf((float)i);
        const float *row =
            e % EPOCHS == 3 ? (const float[WIDTH]){NAN, 0, 0} : cls + e % EPOCHS * WIDTH;
        head_scores s = {scores.probabilities + e % EPOCHS * CLASSES, scores.stage + e % EPOCHS,
                         scores.confidence + e % EPOCHS};
        night_page_put(p, e, 1, signal, row, h ? &s : NULL);
    }
    assert_int_equal(night_page_finish(p, "f00d", &failure), CLI_DONE);
    assert_int_equal(files_in_folder(), 0);
    assert_int_equal(night_page_commit(&p, &failure), CLI_DONE);
    assert_null(p);
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 4 << 20);
    assert_true(f && text && fread(text, 1, (4 << 20) - 1, f) > 0);
    fclose(f);
    unlink(path);
    return text;
}

static size_t count(const char *text, const char *words)
{
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, words)); at += strlen(words))
        found++;
    return found;
}

static void has(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("the page lacks '%s'", words);
}

static void test_whole(void **state)
{
    (void)state;
    linear_head *h = open_head();
    char *text = page_of(&gap_night, h);
    assert_int_equal(count(text, "class=\"cell"), EPOCHS);
    assert_int_equal(count(text, "class=\"cell none\""), 1); /* the one that is not finite */
    assert_int_equal(count(text, "class=\"gap\""), 1);
    assert_int_equal(count(text, "<tr class=\"channel"), CHANNELS);
    assert_int_equal(count(text, "<tr class=\"channel missing\">"), 1);
    assert_int_equal(count(text, "class=\"outline\""), CHANNELS - 1);
    has(text, "<span id=\"epochs\">5</span> epochs of 30 s in 0:03:00, from 2001-02-03T22:30:00");
    has(text, "1 channel is missing: zeros stand in");
    has(text, "1 epoch is left out");
    has(text, "Left out, by their start: 22:31:00<");
    has(text, "<td class=\"mark\">missing: zeros</td>");
    has(text, ">22:30:30</text>"); /* a tick by the clock */
    has(text, "<dt>model_sha256</dt><dd>f00d</dd>");
    has(text, "<td>N2</td><td class=\"number\">2</td><td class=\"number\">0:01:00</td>");
    has(text, "<td class=\"number\">0.875</td>"); /* its mean confidence */
    free(text);
    head_close(&h);
}

/* Nothing that comes from a file is markup, and nothing is loaded from elsewhere. */
static void test_escaped(void **state)
{
    (void)state;
    linear_head *h = open_head();
    char *text = page_of(&gap_night, h);
    has(text, "<h1>&lt;a&gt;&amp;&quot;b&quot;.edf</h1>");
    has(text, "C3 - &lt;M2&gt; &amp; &quot;x&quot;");
    has(text, "a,&quot;b|c</td>");
    has(text, "[&quot;\xEF\xBF\xBD&quot;]");       /* a byte that is no UTF-8 */
    has(text, "a &quot;b&quot;\\\xEF\xBF\xBD.st"); /* a line feed */
    assert_int_equal(count(text, "<a>"), 0);
    assert_int_equal(count(text, "<script"), 0);
    assert_int_equal(count(text, "http://") + count(text, "https://"), 0);
    assert_int_equal(count(text, "src="), 0);
    free(text);
    head_close(&h);
}

static void test_plain(void **state)
{
    (void)state;
    static const char *const names[CHANNELS] = {"one", "two", "three", "four"};
    night_facts n = {.source = "x.bin", .start = "", .epoch_seconds = 30, .epochs = 3};
    n.channels = CHANNELS;
    char *text = page_of(&n, NULL);
    assert_int_equal(count(text, "class=\"cell"), 3);
    assert_int_equal(count(text, "<td>as given</td>"), CHANNELS);
    assert_int_equal(count(text, "id=\"stages\"") + count(text, "class=\"gap\""), 0);
    has(text, "<td>channel 4</td>");
    has(text, "<dt>source</dt><dd>x.bin</dd>");
    has(text, ">0:01:30</text>");
    free(text);
    n.names = names;
    text = page_of(&n, NULL);
    has(text, "<td>four</td>");
    free(text);
}

/* Memory and page are bounded: a cell is the mean of several epochs. */
static void test_long(void **state)
{
    (void)state;
    linear_head *h = open_head();
    night_facts n = {.source = "x.bin", .start = "", .epoch_seconds = 1, .epochs = 25001};
    n.channels = CHANNELS;
    char *text = page_of(&n, h);
    assert_int_equal(count(text, "class=\"cell"), 8334);
    has(text, "A cell is the mean of 3 epochs.");
    free(text);
    head_close(&h);
}

static void test_failures(void **state)
{
    (void)state;
    cli_failure failure = {0};
    night_page *p = NULL;
    writer_content content = both;
    content.night = &gap_night;
    assert_int_equal(
        night_page_open(&p, path_of("no/night.html"), &content, CHANNELS, SAMPLES, WIDTH, &failure),
        CLI_OUTPUT);
    assert_null(p);
    assert_non_null(strstr(failure.message, "no/night.html"));
    assert_int_equal(
        night_page_open(&p, path_of("night.html"), &content, CHANNELS, SAMPLES, WIDTH, &failure),
        CLI_DONE);
    night_page_abort(&p);
    assert_null(p);
    night_page_abort(&p);
    night_page_abort(NULL);
    assert_int_equal(files_in_folder(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole), cmocka_unit_test(test_escaped),  cmocka_unit_test(test_plain),
        cmocka_unit_test(test_long),  cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, set_up_folder, tear_down_folder);
}
