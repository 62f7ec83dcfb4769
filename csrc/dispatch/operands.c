/* The two operands of a function, as tensor/promotion.py finds them: for two tensors of one element type,
 * and for a tensor of floats with a number of Python, which becomes a constant. All else is left to Python.
 */
#include "dispatch.h"

struct operand_tools operand_tools;
#define TOOLS operand_tools

/* ---- constants ---- */

#define MOST_CONSTANTS 512

/* Arrays of one number, found by its bits: each is held where its hash says, until another takes its
 * place. */
typedef struct {
    uint64_t bits;
    PyObject *dtype; /* borrowed of the array */
    PyObject *array; /* NULL: there is none */
} kept_constant;

static kept_constant kept[MOST_CONSTANTS];

/* A number of Python as a float; 0 if it is none that is surely weak, or is too large. */
static int as_double(PyObject *number, double *value) {
    if (!PyFloat_CheckExact(number) && !PyLong_CheckExact(number)) return 0;
    *value = PyFloat_AsDouble(number);
    if (*value != -1.0 || !PyErr_Occurred()) return 1;
    PyErr_Clear();
    return 0;
}

PyObject *constant_of(PyObject *name, PyObject *number, PyObject *dtype) {
    double value;
    if (!as_double(number, &value)) return NULL;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint64_t mixed = (bits ^ (uint64_t)(uintptr_t)dtype) * UINT64_C(0x9E3779B97F4A7C15);
    kept_constant *place = &kept[mixed >> 55];
    if (place->array != NULL && place->bits == bits && place->dtype == dtype) {
        return Py_NewRef(place->array);
    }
    PyObject *array = PyObject_CallFunctionObjArgs(TOOLS.constant, number, dtype, name, NULL);
    if (array == NULL || !is_array(array) || ((array_object *)array)->dtype != dtype) return array;
    PyObject *layout = layout_of(array); /* known from now on */
    Py_XDECREF(layout);
    if (layout == NULL) {
        Py_DECREF(array);
        return NULL;
    }
    PyObject *before = place->array;
    *place = (kept_constant){bits, dtype, Py_NewRef(array)};
    Py_XDECREF(before);
    return array;
}

/* ---- operands ---- */

/* The element type of a tensor's array, borrowed; NULL without an error if it has none. */
static PyObject *dtype_of(const tensor_object *x) {
    return x->_array != NULL && is_array(x->_array) ? ((array_object *)x->_array)->dtype : NULL;
}

int is_weak_beside(PyObject *number, PyObject *dtype) {
    if (!PyFloat_CheckExact(number) && !PyLong_CheckExact(number)) return 0;
    for (Py_ssize_t i = 0; i < PyTuple_Size(TOOLS.floats); i++) {
        if (PyTuple_GetItem(TOOLS.floats, i) == dtype) return 1;
    }
    return 0;
}

/* A number as a tensor of the element type of another. NULL without an error: left to Python. */
static PyObject *number_beside(PyObject *name, PyObject *number, const tensor_object *beside) {
    PyObject *dtype = dtype_of(beside);
    if (dtype == NULL || !is_weak_beside(number, dtype)) return NULL;
    Py_INCREF(dtype);
    PyObject *array = constant_of(name, number, dtype);
    Py_DECREF(dtype);
    PyObject *tensor = array == NULL ? NULL : new_tensor(array, NULL, 0);
    Py_XDECREF(array);
    return tensor;
}

PyObject *operands(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("operands", count, 3) < 0) return NULL;
    PyObject *x = arguments[1], *y = arguments[2], *found = NULL, *number = NULL;
    const int first = is_of(x, tensor_class), second = is_of(y, tensor_class);
    if (first && second) {
        PyObject *dtype = dtype_of((tensor_object *)x);
        if (dtype != NULL && dtype == dtype_of((tensor_object *)y)) return PyTuple_Pack(2, x, y);
    } else if (first) {
        number = number_beside(arguments[0], y, (tensor_object *)x);
        if (number != NULL) found = PyTuple_Pack(2, x, number);
    } else if (second) {
        number = number_beside(arguments[0], x, (tensor_object *)y);
        if (number != NULL) found = PyTuple_Pack(2, number, y);
    }
    Py_XDECREF(number);
    if (found != NULL || PyErr_Occurred()) return found;
    return PyObject_CallFunctionObjArgs(TOOLS.operands, arguments[0], x, y, NULL);
}
