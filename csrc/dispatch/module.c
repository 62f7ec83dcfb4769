/* The module pyautodl._dispatch. */
#include "dispatch.h"

const pyad_interface *runtime;

static PyObject *bind_runtime(PyObject *module, PyObject *arguments) {
    (void)module;
    long long address;
    PyObject *failure;
    if (!PyArg_ParseTuple(arguments, "LO", &address, &failure)) return NULL;
    runtime = (const pyad_interface *)(intptr_t)address;
    set_failure(failure);
    Py_RETURN_NONE;
}

/* Take a class that inherits a type of ours. */
static int take_class(PyObject *given, PyTypeObject *fields, PyTypeObject **to) {
    if (!PyType_Check(given) || !PyType_IsSubtype((PyTypeObject *)given, fields)) {
        PyErr_Format(PyExc_TypeError, "bind: expected a subclass of %R", (PyObject *)fields);
        return -1;
    }
    *to = (PyTypeObject *)Py_NewRef(given);
    return 0;
}

static PyObject *bind_arrays(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *storage, *array;
    if (!PyArg_ParseTuple(arguments, "OO", &storage, &array)) return NULL;
    if (take_class(storage, storage_fields, &storage_class) < 0) return NULL;
    if (take_class(array, array_fields, &array_class) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"bind_runtime", bind_runtime, METH_VARARGS,
     "bind_runtime(address, failure): the runtime's table of functions, and what makes of a kernel's "
     "name the error to raise after it failed."},
    {"bind_arrays", bind_arrays, METH_VARARGS,
     "bind_arrays(Storage, Array): the classes of what kernels make."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pyautodl._dispatch",
    .m_doc = "What Python does at every call of an op, in C.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__dispatch(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
    if (add_objects(module) < 0 || add_launch(module) < 0) Py_CLEAR(module);
    return module;
}
