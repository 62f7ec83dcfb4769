/* The type Launch: prepared calls from their making to their end. */
#include "launch.h"

PyTypeObject *launch_type;

static PyObject *launch_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"steps", "given", "more", "results", "bare", NULL};
    PyObject *steps, *results;
    Py_ssize_t given, more;
    int bare;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!nnO!p", names, &PyTuple_Type, &steps,
                                     &given, &more, &PyTuple_Type, &results, &bare)) {
        return NULL;
    }
    if (given < 0 || more < 0 || given > MOST_VALUES || more > MOST_VALUES) {
        return PyErr_Format(PyExc_ValueError, "Launch: %zd inputs and %zd more", given, more);
    }
    launch_object *self = (launch_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    self->given = given;
    self->more = more;
    self->bare = bare;
    if (read_launch(self, steps, results) < 0) Py_CLEAR(self);
    return (PyObject *)self;
}

static PyObject *launch_guard(PyObject *object, PyObject *arguments) {
    launch_object *self = (launch_object *)object;
    PyObject *again, *counted;
    if (!PyArg_ParseTuple(arguments, "OO!", &again, &PyTuple_Type, &counted)) return NULL;
    for (Py_ssize_t i = 0; i < PyTuple_Size(counted); i++) {
        Py_ssize_t place;
        PyObject *by;
        PyObject *each = PyTuple_GetItem(counted, i);
        if (expect_tuple("guard", each) < 0 || !PyArg_ParseTuple(each, "nO", &place, &by)) return NULL;
        if (place >= 0 && place < self->given + self->more) continue;
        return PyErr_Format(PyExc_ValueError, "guard: there is no input number %zd", place);
    }
    PYAD_SET(self->guards.again, Py_NewRef(again));
    PYAD_SET(self->guards.counted, Py_NewRef(counted));
    Py_RETURN_NONE;
}

static int launch_traverse(PyObject *object, visitproc visit, void *arg) {
    launch_object *self = (launch_object *)object;
    Py_VISIT(Py_TYPE(object));
    for (Py_ssize_t i = 0; i < self->step_count; i++) {
        Py_VISIT(self->steps[i].give);
        Py_VISIT(self->steps[i].owner);
    }
    for (Py_ssize_t i = 0; i < self->result_count; i++) Py_VISIT(self->results[i].view);
    Py_VISIT(self->guards.again);
    Py_VISIT(self->guards.counted);
    return 0;
}

/* What is given when it is made can't lead back to it, so `guard` alone closes cycles. */
static int launch_clear(PyObject *object) {
    launch_object *self = (launch_object *)object;
    Py_CLEAR(self->guards.again);
    Py_CLEAR(self->guards.counted);
    return 0;
}

static void launch_dealloc(PyObject *object) {
    launch_object *self = (launch_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    for (Py_ssize_t i = 0; i < self->step_count; i++) free_step(&self->steps[i]);
    for (Py_ssize_t i = 0; i < self->result_count; i++) Py_XDECREF(self->results[i].view);
    Py_XDECREF(self->guards.again);
    Py_XDECREF(self->guards.counted);
    PyMem_Free(self->steps);
    PyMem_Free(self->results);
    PyObject_GC_Del(object);
    Py_DECREF(type);
}

static PyMethodDef launch_methods[] = {
    {"guard", launch_guard, METH_VARARGS,
     "guard(again, counted): the rule (inputs, floats) that explains a kernel's failure; (number of an "
     "input, by how much) for each whose memory a call changes."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot launch_slots[] = {
    {Py_tp_new, launch_new},
    {Py_tp_call, launch_call},
    {Py_tp_methods, launch_methods},
    {Py_tp_traverse, launch_traverse},
    {Py_tp_clear, launch_clear},
    {Py_tp_dealloc, launch_dealloc},
    {Py_tp_doc, "Launch(steps, given, more, results, bare): see backends/launch.py"},
    {0, NULL},
};
static PyType_Spec launch_spec = {
    .name = "pyautodl._dispatch.Launch",
    .basicsize = sizeof(launch_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = launch_slots,
};

int add_launch(PyObject *module) {
    launch_type = (PyTypeObject *)PyType_FromSpec(&launch_spec);
    return launch_type == NULL ? -1 : PyModule_AddType(module, launch_type);
}
