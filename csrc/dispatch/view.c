/* Views of arrays as callables `(inputs, floats)`: the first input's memory in another shape, maybe from
 * another place on.
 */
#include "dispatch.h"

PyTypeObject *view_type;

/* A view of the first input, `shift` elements, `bytes` bytes further on. */
typedef struct {
    PyObject_HEAD
    int64_t shift, bytes;
    array_kind kind;
} view_object;

PyObject *view_of(PyObject *object, PyObject *array) {
    const view_object *self = (view_object *)object;
    return new_view(array, &self->kind, self->shift, self->bytes);
}

static PyObject *view_call(PyObject *self, PyObject *arguments, PyObject *keywords) {
    PyObject *inputs, *floats, *view = NULL;
    if (keywords != NULL) return PyErr_Format(PyExc_TypeError, "view: takes no keywords");
    if (!PyArg_UnpackTuple(arguments, "view", 2, 2, &inputs, &floats)) return NULL;
    if ((inputs = tuple_of("view", inputs)) == NULL) return NULL;
    if (PyTuple_Size(inputs) > 0) {
        view = view_of(self, PyTuple_GetItem(inputs, 0));
    } else {
        PyErr_SetString(PyExc_ValueError, "view: there is no input");
    }
    Py_DECREF(inputs);
    return view;
}

static PyObject *view_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"shape", "strides", "layout", "shift", "bytes", NULL};
    PyObject *shape, *strides, *layout;
    long long shift, bytes;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!O!O!LL", names, &PyTuple_Type, &shape,
                                     &PyTuple_Type, &strides, &PyBytes_Type, &layout, &shift, &bytes)) {
        return NULL;
    }
    view_object *self = (view_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    self->shift = shift;
    self->bytes = bytes;
    self->kind.shape = Py_NewRef(shape);
    self->kind.strides = Py_NewRef(strides);
    self->kind.layout = Py_NewRef(layout);
    return (PyObject *)self;
}

static void view_dealloc(PyObject *object) {
    const view_object *self = (view_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(self->kind.shape);
    Py_XDECREF(self->kind.strides);
    Py_XDECREF(self->kind.layout);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyType_Slot view_slots[] = {
    {Py_tp_new, view_new},
    {Py_tp_call, view_call},
    {Py_tp_dealloc, view_dealloc},
    {Py_tp_doc, "View(shape, strides, layout, shift, bytes): see `viewer` in backends/launch.py"},
    {0, NULL},
};
static PyType_Spec view_spec = {
    .name = "pyautodl._dispatch.View",
    .basicsize = sizeof(view_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = view_slots,
};

int add_view(PyObject *module) {
    view_type = (PyTypeObject *)PyType_FromSpec(&view_spec);
    return view_type == NULL ? -1 : PyModule_AddType(module, view_type);
}
