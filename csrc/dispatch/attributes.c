/* Attributes of ops, kept by the arguments that they are made of: what `keeper_in_python` in ops/record.py
 * gives.
 *
 * (1, 1), (1.0, 1) and (True, 1) are equal and three keys, and so are 0.0 and -0.0: beside each argument
 * the key has what tells them apart.
 */
#include <math.h>

#include "dispatch.h"

/* Attributes of one function that are kept; more than that, and it starts anew. */
#define MOST_KEPT 1024

/* Arguments that hold more than so many others, or are in tuples or lists so deep, are not plain. */
#define MOST_ITEMS 64
#define DEEPEST 8

static PyObject *key_of(PyObject *const *arguments, Py_ssize_t count, Py_ssize_t beside, int depth);

/* What stands for a list or a tuple; NULL, maybe without an error, as of `key_of`. */
static PyObject *key_of_items(PyObject *items, int depth) {
    PyObject *held = PySequence_Tuple(items), *each[MOST_ITEMS], *key = NULL; /* a list may change */
    const Py_ssize_t count = held == NULL ? 0 : PyTuple_Size(held);
    for (Py_ssize_t i = 0; i < count && i < MOST_ITEMS; i++) each[i] = PyTuple_GetItem(held, i);
    if (held != NULL && count <= MOST_ITEMS) key = key_of(each, count, 0, depth);
    Py_XDECREF(held);
    return key;
}

/* The part of an argument, a new reference, and what tells it from its equals, borrowed; NULL without an
 * error: it is not plain. NaN is none, as it is not its own equal. */
static PyObject *part_of(PyObject *argument, PyObject **kind, int depth) {
    *kind = (PyObject *)Py_TYPE(argument);
    if (argument == Py_None || PyLong_CheckExact(argument) || PyUnicode_CheckExact(argument) ||
        PyBool_Check(argument)) {
        return Py_NewRef(argument);
    }
    if (PyFloat_CheckExact(argument)) {
        const double number = PyFloat_AsDouble(argument);
        if (number == 0.0 && signbit(number)) *kind = Py_None;
        return isnan(number) ? NULL : Py_NewRef(argument);
    }
    const int holds = PyTuple_CheckExact(argument) || PyList_CheckExact(argument);
    return holds && depth < DEEPEST ? key_of_items(argument, depth + 1) : NULL;
}

/* The key of arguments of which the first `beside` stand for themselves; NULL, and there may be no error:
 * others are not plain. */
static PyObject *key_of(PyObject *const *arguments, Py_ssize_t count, Py_ssize_t beside, int depth) {
    PyObject *key = PyTuple_New(2 * count);
    for (Py_ssize_t i = 0; key != NULL && i < count; i++) {
        PyObject *kind = Py_None, *part;
        part = i < beside ? Py_NewRef(arguments[i]) : part_of(arguments[i], &kind, depth);
        if (part == NULL) {
            Py_CLEAR(key);
            break;
        }
        PyTuple_SetItem(key, 2 * i, part);
        PyTuple_SetItem(key, 2 * i + 1, Py_NewRef(kind));
    }
    return key;
}

static PyObject *call_with(PyObject *function, PyObject *const *arguments, Py_ssize_t count) {
    PyObject *given = tuple_from(arguments, count);
    PyObject *found = given == NULL ? NULL : PyObject_CallObject(function, given);
    Py_XDECREF(given);
    return found;
}

/* Make what belongs to a key, and keep it. */
static PyObject *keep_anew(PyObject *kept, PyObject *key, PyObject *found) {
    if (found == NULL) return NULL;
    if (PyDict_Size(kept) >= MOST_KEPT) PyDict_Clear(kept);
    if (PyDict_SetItem(kept, key, found) < 0) Py_CLEAR(found);
    return found;
}

/* A call of what `keeper` gives; self: (what is kept, make, find, beside). */
static PyObject *find_kept(PyObject *self, PyObject *const *arguments, Py_ssize_t count) {
    const Py_ssize_t beside = PyLong_AsSsize_t(PyTuple_GetItem(self, 3));
    PyObject *kept = PyTuple_GetItem(self, 0), *key = key_of(arguments, count, beside, 0);
    if (key == NULL) {
        return PyErr_Occurred() ? NULL : call_with(PyTuple_GetItem(self, 2), arguments, count);
    }
    PyObject *found = Py_XNewRef(PyDict_GetItemWithError(kept, key));
    if (found == NULL && !PyErr_Occurred()) {
        found = keep_anew(kept, key, call_with(PyTuple_GetItem(self, 1), arguments, count));
    }
    Py_DECREF(key);
    return found;
}

static PyMethodDef finder = {"attributes", (PyCFunction)(void (*)(void))find_kept, METH_FASTCALL,
                             "attributes(*arguments): see ops/record.py."};

PyObject *keeper(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *make, *find;
    Py_ssize_t beside;
    if (!PyArg_ParseTuple(arguments, "OOn", &make, &find, &beside)) return NULL;
    PyObject *self = Py_BuildValue("({}OOn)", make, find, beside);
    PyObject *found = self == NULL ? NULL : PyCFunction_New(&finder, self);
    Py_XDECREF(self);
    return found;
}
