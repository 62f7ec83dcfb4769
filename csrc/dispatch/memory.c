/* Arrays and tensors as Python makes them one by one, and a storage's memory as NumPy looks at it:
 * what backends/array.py and tensor/core.py do in Python without the extension.
 */
#include "dispatch.h"

/* ---- a storage's memory ---- */

typedef struct {
    PyObject_HEAD
    PyObject *storage; /* kept alive, and so the block */
    void *address;
    Py_ssize_t nbytes;
    PyObject *weak_references;
} memory_object;

static PyObject *memory_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    PyObject *object;
    if (keywords != NULL) return PyErr_Format(PyExc_TypeError, "Memory: takes no keywords");
    if (!PyArg_ParseTuple(arguments, "O!", storage_class, &object)) return NULL;
    const storage_object *storage = (storage_object *)object;
    if (storage->address == NULL || storage->nbytes == NULL) {
        return PyErr_Format(PyExc_ValueError, "Memory: expected a storage that is set up");
    }
    void *address = PyLong_AsVoidPtr(storage->address);
    if (address == NULL && PyErr_Occurred()) return NULL;
    Py_ssize_t nbytes = PyLong_AsSsize_t(storage->nbytes);
    if (nbytes == -1 && PyErr_Occurred()) return NULL;
    memory_object *self = (memory_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    self->storage = Py_NewRef(object);
    self->address = address;
    self->nbytes = nbytes;
    return (PyObject *)self;
}

static int memory_buffer(PyObject *object, Py_buffer *view, int flags) {
    const memory_object *self = (memory_object *)object;
    return PyBuffer_FillInfo(view, object, self->address, self->nbytes, 0, flags);
}

static void memory_dealloc(PyObject *object) {
    memory_object *self = (memory_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (self->weak_references != NULL) PyObject_ClearWeakRefs(object);
    Py_XDECREF(self->storage);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMemberDef memory_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(memory_object, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot memory_slots[] = {
    {Py_tp_new, memory_new},
    {Py_tp_dealloc, memory_dealloc},
    {Py_tp_members, memory_members},
    {Py_bf_getbuffer, memory_buffer},
    {Py_tp_doc, "Memory(storage): the block of a storage as a buffer, which keeps it alive"},
    {0, NULL},
};
static PyType_Spec memory_spec = {
    .name = "pyautodl._dispatch.Memory",
    .basicsize = sizeof(memory_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = memory_slots,
};

int add_memory(PyObject *module) {
    PyObject *type = PyType_FromSpec(&memory_spec);
    int status = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type); /* the module has it */
    return status;
}

/* ---- arrays ---- */

PyObject *array_over(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("array_over", count, 6) < 0) return NULL;
    const array_kind kind = {arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]};
    Py_buffer view;
    if (PyObject_GetBuffer(arguments[0], &view, PyBUF_STRIDES) < 0) return NULL;
    const int64_t address = (int64_t)(intptr_t)view.buf;
    PyBuffer_Release(&view);
    return new_foreign(arguments[0], address, &kind);
}

PyObject *empty_array(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("empty_array", count, 5) < 0) return NULL;
    const array_kind kind = {arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]};
    int64_t nbytes = PyLong_AsLongLong(kind.nbytes), address = 0;
    if (nbytes == -1 && PyErr_Occurred()) {
        /* more than C can count is more than there is */
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return NULL;
        PyErr_Clear();
    } else {
        address = allocate(nbytes != 0 ? nbytes : 1); /* each block has an address */
    }
    if (address == 0) Py_RETURN_NONE;
    return new_array(address, &kind);
}

PyObject *array_of_bytes(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("array_of_bytes", count, 5) < 0) return NULL;
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(arguments[0], &bytes, &length) < 0) return NULL;
    const int64_t address = allocate(length != 0 ? length : 1);
    if (address == 0) Py_RETURN_NONE;
    memcpy((void *)(intptr_t)address, bytes, (size_t)length);
    PyObject *nbytes = PyLong_FromSsize_t(length);
    const array_kind kind = {nbytes, arguments[1], arguments[2], arguments[3], arguments[4]};
    PyObject *array = nbytes == NULL ? NULL : new_array(address, &kind);
    if (nbytes == NULL) runtime->free(address);
    Py_XDECREF(nbytes);
    return array;
}

/* ---- tensors ---- */

PyObject *tensor_on(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("make", count, 3) < 0) return NULL;
    PyObject *object = new_tensor(arguments[0], NULL, 0);
    if (object == NULL) return NULL;
    tensor_object *tensor = (tensor_object *)object;
    PYAD_SET(tensor->_edge, Py_NewRef(arguments[1]));
    PYAD_SET(tensor->_requires_grad, Py_NewRef(arguments[2]));
    return object;
}
