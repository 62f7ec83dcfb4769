/* Numbers of Python from memory and into it: one element, nested lists, and numbers that are equally far
 * apart.
 *
 * Lists are gone through twice: first for their sizes and what kinds of numbers they hold, and, once
 * there is memory for them, to write the numbers. What takes more (lists of unequal lengths, numbers
 * that do not fit, objects that are not Python's own) is left to NumPy, which tells how it is wrong.
 */
#include <float.h>

#include "dispatch.h"
#include "dtypes.h"

/* ---- read ---- */

#define READ(code, type, convert)                        \
    case code: {                                         \
        type value;                                      \
        memcpy(&value, (const void *)at, sizeof value);  \
        return convert(value);                           \
    }

static PyObject *number_at(uintptr_t at, int64_t code) {
    switch (code) {
        READ(PYAD_FLOAT32, float, PyFloat_FromDouble)
        READ(PYAD_FLOAT64, double, PyFloat_FromDouble)
        READ(PYAD_INT64, int64_t, PyLong_FromLongLong)
        READ(PYAD_INT32, int32_t, PyLong_FromLong)
        READ(PYAD_INT16, int16_t, PyLong_FromLong)
        READ(PYAD_INT8, int8_t, PyLong_FromLong)
        READ(PYAD_UINT8, uint8_t, PyLong_FromLong)
        READ(PYAD_BOOL, uint8_t, PyBool_FromLong)
    }
    return PyErr_Format(PyExc_ValueError, "read: there is no element type %lld", (long long)code);
}

PyObject *read_number(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("read_number", count, 2) < 0) return NULL;
    int64_t address = PyLong_AsLongLong(arguments[0]);
    int64_t code = PyErr_Occurred() ? -1 : PyLong_AsLongLong(arguments[1]);
    return PyErr_Occurred() ? NULL : number_at((uintptr_t)address, code);
}

/* An array's elements from `axis` on as nested lists. */
static PyObject *list_of(uintptr_t at, int64_t code, PyObject *shape, PyObject *strides, Py_ssize_t axis) {
    if (axis == PyTuple_Size(shape)) return number_at(at, code);
    PyObject *step = PyTuple_GetItem(strides, axis);
    Py_ssize_t count = PyLong_AsSsize_t(PyTuple_GetItem(shape, axis));
    int64_t stride = step == NULL || PyErr_Occurred() ? 0 : PyLong_AsLongLong(step);
    if (count < 0 && !PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "read: a size is negative");
    PyObject *all = PyErr_Occurred() ? NULL : PyList_New(count);
    const uintptr_t bytes = (uintptr_t)stride * (uintptr_t)pyad_element_bytes(code);
    for (Py_ssize_t i = 0; all != NULL && i < count; i++) {
        PyObject *each = list_of(at + bytes * (uintptr_t)i, code, shape, strides, axis + 1);
        if (each == NULL || PyList_SetItem(all, i, each) < 0) Py_CLEAR(all);
    }
    return all;
}

PyObject *read_list(PyObject *module, PyObject *arguments) {
    (void)module;
    long long address, code;
    PyObject *shape, *strides;
    if (!PyArg_ParseTuple(arguments, "LLO!O!", &address, &code, &PyTuple_Type, &shape, &PyTuple_Type,
                          &strides)) {
        return NULL;
    }
    return list_of((uintptr_t)address, code, shape, strides, 0);
}

/* ---- look through ---- */

/* What numbers there are: no others are with bools, and with floats all are taken as floats. */
enum { HAS_BOOL = 1, HAS_INT = 2, HAS_FLOAT = 4 };

typedef struct {
    int64_t sizes[PYAD_MAX_DIMS];
    int ndim; /* -1: not known before the first number */
    int kinds;
} found_numbers;

/* The bit of a number's kind; 0: it is no number of Python's own, or none of 64 bits. */
static int kind_of_number(PyObject *number) {
    if (PyFloat_CheckExact(number)) return HAS_FLOAT;
    if (PyBool_Check(number)) return HAS_BOOL;
    if (!PyLong_CheckExact(number)) return 0;
    int overflow = 0;
    (void)PyLong_AsLongLongAndOverflow(number, &overflow);
    return overflow == 0 ? HAS_INT : 0;
}

static Py_ssize_t length_of(PyObject *data) {
    if (PyList_CheckExact(data)) return PyList_Size(data);
    return PyTuple_CheckExact(data) ? PyTuple_Size(data) : -1;
}

static PyObject *item_of(PyObject *data, Py_ssize_t i) {
    return PyList_CheckExact(data) ? PyList_GetItem(data, i) : PyTuple_GetItem(data, i);
}

/* Look through what lies `depth` lists deep; 0 if it is left to NumPy. */
static int look_through(found_numbers *self, PyObject *data, int depth) {
    Py_ssize_t count = length_of(data);
    if (count < 0) {
        int kind = kind_of_number(data);
        if (self->ndim < 0) self->ndim = depth;
        self->kinds |= kind;
        return kind != 0 && self->ndim == depth;
    }
    if (count == 0 || depth == PYAD_MAX_DIMS || (self->ndim >= 0 && depth >= self->ndim)) return 0;
    if (self->sizes[depth] == 0) self->sizes[depth] = count;
    if (self->sizes[depth] != count) return 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!look_through(self, item_of(data, i), depth + 1)) return 0;
    }
    return 1;
}

PyObject *numbers_in(PyObject *module, PyObject *data) {
    (void)module;
    found_numbers found = {{0}, -1, 0};
    if (!look_through(&found, data, 0)) Py_RETURN_NONE;
    if (found.kinds & HAS_BOOL && found.kinds != HAS_BOOL) Py_RETURN_NONE;
    PyObject *shape = PyTuple_New(found.ndim);
    for (int i = 0; shape != NULL && i < found.ndim; i++) {
        PyObject *size = PyLong_FromLongLong(found.sizes[i]);
        if (size == NULL || PyTuple_SetItem(shape, i, size) < 0) Py_CLEAR(shape);
    }
    return shape == NULL ? NULL : Py_BuildValue("(Ni)", shape, found.kinds);
}

/* ---- write ---- */

typedef struct {
    char *at;
    int64_t code, left; /* element type; how many elements there is room for */
    int kinds;
} target;

#define PUT(type, number)                          \
    do {                                           \
        const type value = (type)(number);         \
        memcpy(self->at, &value, sizeof value);    \
        self->at += sizeof value;                  \
        return 1;                                  \
    } while (0)

/* Write a float; 0 if the element type can't hold it. */
static int put_float(target *self, double number) {
    if (self->code == PYAD_FLOAT64) PUT(double, number);
    if (self->code != PYAD_FLOAT32) return 0;
    const float rounded = (float)number;
    const int is_finite = number >= -DBL_MAX && number <= DBL_MAX;
    if (is_finite && !(rounded >= -FLT_MAX && rounded <= FLT_MAX)) return 0;
    PUT(float, rounded);
}

#define PUT_WITHIN(type, low, high)                      \
    do {                                                 \
        if (number < (low) || number > (high)) return 0; \
        PUT(type, number);                               \
    } while (0)

/* The same of an integer, rounded once. */
static int put_integer(target *self, int64_t number) {
    switch (self->code) {
        case PYAD_FLOAT32: PUT(float, number);
        case PYAD_FLOAT64: PUT(double, number);
        case PYAD_INT64: PUT(int64_t, number);
        case PYAD_INT32: PUT_WITHIN(int32_t, INT32_MIN, INT32_MAX);
        case PYAD_INT16: PUT_WITHIN(int16_t, INT16_MIN, INT16_MAX);
        case PYAD_INT8: PUT_WITHIN(int8_t, INT8_MIN, INT8_MAX);
        case PYAD_UINT8: PUT_WITHIN(uint8_t, 0, UINT8_MAX);
    }
    return 0;
}

static int put_bool(target *self, int number) {
    if (self->code != PYAD_BOOL) return 0;
    PUT(uint8_t, number);
}

/* Write a number; 0 if that is left to NumPy, as where the lists have changed since. */
static int put_number(target *self, PyObject *number) {
    int kind = kind_of_number(number);
    if ((kind & self->kinds) == 0 || self->left-- <= 0) return 0;
    if (kind == HAS_BOOL) return put_bool(self, number == Py_True);
    if (kind == HAS_FLOAT) return put_float(self, PyFloat_AsDouble(number));
    int64_t integer = PyLong_AsLongLong(number);
    /* beside floats an integer is one itself before it is an element */
    return self->kinds & HAS_FLOAT ? put_float(self, (double)integer) : put_integer(self, integer);
}

/* Write what lies `depth` lists deep: no deeper than they were, as lists that have changed since may hold
 * themselves. */
static int put_all(target *self, PyObject *data, int depth) {
    Py_ssize_t count = length_of(data);
    if (count < 0) return put_number(self, data);
    if (depth == PYAD_MAX_DIMS) return 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!put_all(self, item_of(data, i), depth + 1)) return 0;
    }
    return 1;
}

PyObject *write_numbers(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *data;
    long long address, code, count;
    int kinds;
    if (!PyArg_ParseTuple(arguments, "OiLLL", &data, &kinds, &address, &code, &count)) return NULL;
    target self = {(char *)(intptr_t)address, code, count, kinds};
    int written = put_all(&self, data, 0) && self.left == 0;
    return PyBool_FromLong(written);
}

/* ---- numbers at equal distances ---- */

/* Write start + i * step as integers; 0 if some do not fit. */
static int put_integers(target *self, int64_t start, int64_t step) {
    const int64_t most = INT64_MAX / 2, way = self->left > 0 ? most / self->left : most;
    if (start > most || start < -most || step > way || step < -way) return 0;
    for (int64_t i = 0; i < self->left; i++) {
        if (!put_integer(self, start + i * step)) return 0;
    }
    return 1;
}

/* The same as floats, of which product and sum are each rounded, as by NumPy. */
static int put_floats(target *self, double start, double step) {
    for (int64_t i = 0; i < self->left; i++) {
        if (!put_float(self, start + (double)i * step)) return 0;
    }
    return 1;
}

PyObject *write_range(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("write_range", count, 5) < 0) return NULL;
    int64_t numbers[3];
    for (int i = 0; i < 3; i++) {
        numbers[i] = PyLong_AsLongLong(arguments[i]);
        if (numbers[i] == -1 && PyErr_Occurred()) return NULL;
    }
    PyObject *start = arguments[3], *step = arguments[4];
    target self = {(char *)(intptr_t)numbers[0], numbers[1], numbers[2], 0};
    const int kind = kind_of_number(start);
    int written = 0;
    if (kind != kind_of_number(step)) Py_RETURN_FALSE;
    if (kind == HAS_INT) {
        written = put_integers(&self, PyLong_AsLongLong(start), PyLong_AsLongLong(step));
    } else if (kind == HAS_FLOAT) {
        written = put_floats(&self, PyFloat_AsDouble(start), PyFloat_AsDouble(step));
    }
    return PyBool_FromLong(written);
}
