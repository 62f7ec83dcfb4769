/* Prepared calls: their outputs' memory, absent ones, errors; what is left where one fails, and in
 * registers. */
#include "testing.h"

static int64_t in_use(void) {
    pyad_memory_stats stats;
    pyad_get_memory_stats(&stats);
    return stats.allocated_bytes;
}

static int64_t address_of(const void *memory) { return (int64_t)(intptr_t)memory; }

static pyad_array float_array(int64_t size) { return new_array(PYAD_FLOAT32, 1, &size, 0); }

/* x + y of `size` elements, without addresses */
static pyad_prepared *prepare_add(int64_t size, int64_t nbytes) {
    pyad_array a = {.dtype = PYAD_FLOAT32, .ndim = 1, .shape = {size}, .stride = {1}};
    map2_args args = {a, a, a};
    return pyad_prepare(PYAD_ID_add, (const char *)(const void *)&args, &nbytes);
}

static void test_call_makes_its_output(void **state) {
    (void)state;
    enum { SIZE = 1000 };
    pyad_array x = float_array(SIZE), y = float_array(SIZE);
    for (int64_t i = 0; i < SIZE; i++) {
        set(&x, i, (double)i);
        set(&y, i, 0.5);
    }
    pyad_prepared *p = prepare_add(SIZE, SIZE * 4);
    assert_non_null(p);
    int64_t before = in_use(), addresses[2] = {address_of(x.data), address_of(y.data)};
    int64_t out = pyad_call(p, (const char *)addresses);
    assert_true(out != 0);
    assert_int_equal(pyad_output(0), out);
    const float *sums = (const float *)(intptr_t)out;
    for (int64_t i = 0; i < SIZE; i++) assert_true(sums[i] == (float)i + 0.5f);
    assert_true(in_use() >= before + SIZE * 4);
    pyad_free_address(out);
    assert_int_equal(in_use(), before);
    pyad_unprepare(p);
    free(x.data);
    free(y.data);
}

static void test_no_memory_for_the_output(void **state) {
    (void)state;
    pyad_prepared *p = prepare_add(1, INT64_MAX);
    int64_t before = in_use();
    float x = 0;
    int64_t addresses[2] = {address_of(&x), address_of(&x)};
    assert_int_equal(pyad_call(p, (const char *)addresses), 0);
    pyad_error error;
    pyad_last_error(&error);
    assert_int_equal(error.code, PYAD_ERROR_OUTPUT);
    assert_int_equal(error.value, INT64_MAX);
    assert_int_equal(in_use(), before);
    pyad_unprepare(p);
}

static void test_a_failing_kernel_leaves_no_output(void **state) {
    (void)state;
    pyad_array x = float_array(4), rows = {.dtype = PYAD_INT64, .ndim = 1, .shape = {2}};
    int64_t numbers[2] = {1, 9}, nbytes = 8;
    rows.stride[0] = 1;
    gather_args args = {.x = x, .index = rows, .out = x, .axis = 0};
    args.out.shape[0] = 2;
    pyad_prepared *p =
        pyad_prepare(PYAD_ID_index_select, (const char *)(const void *)&args, &nbytes);
    int64_t before = in_use(), addresses[2] = {address_of(x.data), address_of(numbers)};
    assert_int_equal(pyad_call(p, (const char *)addresses), 0);
    pyad_error error;
    pyad_last_error(&error);
    assert_int_equal(error.code, PYAD_ERROR_INDEX);
    assert_int_equal(error.value, 9);
    assert_int_equal(in_use(), before);
    pyad_unprepare(p);
    free(x.data);
}

static void test_unknown_kernel(void **state) {
    (void)state;
    int64_t nbytes = 0;
    assert_null(pyad_prepare(-1, "", &nbytes));
    assert_null(pyad_prepare(PYAD_NUM_KERNELS, "", &nbytes));
}

static void test_small_calls_are_known(void **state) {
    (void)state;
    const pyad_interface *interface = pyad_get_interface();
    pyad_prepared *small = prepare_add(100, 400), *large = prepare_add(1 << 20, 4 << 20);
    assert_true(interface->is_small(small));
    assert_false(interface->is_small(large));
    pyad_unprepare(small);
    pyad_unprepare(large);
}

/* The join of `count` lists of two numbers, into memory that is given or not. */
static void check_join(int64_t count, int given) {
    int64_t two = 2, size = 2 * count;
    pyad_array part = {.dtype = PYAD_FLOAT32, .ndim = 1, .shape = {two}, .stride = {1}};
    pyad_array parts[40], out = part;
    for (int64_t i = 0; i < count; i++) parts[i] = part;
    out.shape[0] = size;
    pyad_array table = {.data = parts, .dtype = PYAD_TABLE, .ndim = 1, .shape = {count}};
    table.stride[0] = 1;
    cat_args args = {.xs = table, .out = out, .axis = 0};
    int64_t nbytes = given ? PYAD_GIVEN : size * 4;
    pyad_prepared *p = pyad_prepare(PYAD_ID_cat, (const char *)(const void *)&args, &nbytes);
    assert_non_null(p);
    float numbers[80], result[80] = {0};
    int64_t addresses[41], before = in_use();
    for (int64_t i = 0; i < size; i++) numbers[i] = (float)i;
    /* the last part first */
    for (int64_t i = 0; i < count; i++) addresses[i] = address_of(numbers + 2 * (count - 1 - i));
    addresses[count] = address_of(result);
    int64_t found = pyad_call(p, (const char *)addresses);
    assert_true(found != 0);
    const float *joined = given ? result : (const float *)(intptr_t)found;
    for (int64_t i = 0; i < size; i++) {
        assert_true(joined[i] == numbers[2 * (count - 1 - i / 2) + i % 2]);
    }
    if (!given) pyad_free_address(found);
    assert_int_equal(in_use(), before);
    pyad_unprepare(p);
}

static void test_lists_of_arrays(void **state) {
    (void)state;
    for (int64_t count = 1; count <= 40; count += 13) {
        check_join(count, 0);
        check_join(count, 1);
    }
}

#if defined(__x86_64__)
static uint64_t ones_in_an_upper_half(void) {
    uint64_t upper[2];
    __asm__ volatile("vextractf128 $1, %%ymm9, %0" : "=m"(upper));
    return upper[0] | upper[1];
}

static int fill_a_wide_register(const void *args, const team *t) {
    (void)args, (void)t;
    __asm__ volatile("vcmpps $15, %%ymm9, %%ymm9, %%ymm9" : : : "xmm9");
    return PYAD_OK;
}

static void test_upper_halves_are_cleared(void **state) {
    (void)state;
    const char *chosen = pyad_current_isa();
    if (pyad_use_isa("avx512") != 0 && pyad_use_isa("avx2") != 0) skip();
    const pyad_task task = {.run = fill_a_wide_register};
    pyad_error error;
    fill_a_wide_register(NULL, NULL);
    assert_true(ones_in_an_upper_half() != 0);
    assert_int_equal(pyad_team_run(&task, 1, &error), PYAD_OK);
    assert_true(ones_in_an_upper_half() == 0);
    pyad_use_isa(chosen);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_makes_its_output),
        cmocka_unit_test(test_no_memory_for_the_output),
        cmocka_unit_test(test_a_failing_kernel_leaves_no_output),
        cmocka_unit_test(test_unknown_kernel),
        cmocka_unit_test(test_small_calls_are_known),
        cmocka_unit_test(test_lists_of_arrays),
#if defined(__x86_64__)
        cmocka_unit_test(test_upper_halves_are_cleared),
#endif
    };
    return cmocka_run_group_tests_name("calls", tests, NULL, NULL);
}
