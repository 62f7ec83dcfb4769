/* The types whose fields C reads and writes. */
#include "dispatch.h"

PyTypeObject *storage_fields, *array_fields, *op_fields, *plan_fields, *node_fields, *tensor_fields;
PyTypeObject *storage_class, *array_class, *node_class, *tensor_class;

struct attribute_names attribute;

int make_names(void) {
#define MAKE(name) \
    if ((attribute.name = PyUnicode_InternFromString(#name)) == NULL) return -1;
    PYAD_NAMES(MAKE)
    return 0;
}

PyObject *tuple_from(PyObject *const *items, Py_ssize_t count) {
    PyObject *all = PyTuple_New(count);
    for (Py_ssize_t i = 0; all != NULL && i < count; i++) {
        PyTuple_SetItem(all, i, Py_NewRef(items[i]));
    }
    return all;
}

int add_to(PyObject **field, PyObject *by, PyObject *owner) {
    PyObject *held = Py_NewRef(*field);
    Py_INCREF(owner);
    PyObject *sum = PyNumber_Add(held, by);
    Py_DECREF(held);
    if (sum != NULL) PYAD_SET(*field, sum);
    Py_DECREF(owner);
    return sum == NULL ? -1 : 0;
}

int are_equal(PyObject *x, PyObject *y) {
    Py_INCREF(x);
    Py_INCREF(y);
    int found = PyObject_RichCompareBool(x, y, Py_EQ);
    Py_DECREF(x);
    Py_DECREF(y);
    return found;
}

int is_true(PyObject *object) {
    Py_INCREF(object);
    int found = PyObject_IsTrue(object);
    Py_DECREF(object);
    return found;
}

/* ---- types of which each field is an object ---- */

static int visit_fields(PyObject *self, PyObject **fields, size_t count, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    for (size_t i = 0; i < count; i++) Py_VISIT(fields[i]);
    return 0;
}

static int clear_fields(PyObject **fields, size_t count) {
    for (size_t i = 0; i < count; i++) Py_CLEAR(fields[i]);
    return 0;
}

static void free_object(PyObject *self, PyObject **fields, size_t count) {
    PyTypeObject *type = Py_TYPE(self);
    clear_fields(fields, count);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static void nothing_more(PyObject *self) { (void)self; }

#define FIELDS_OF(self) (PyObject **)((char *)(self) + sizeof(PyObject))
#define COUNT_OF(type) ((sizeof(type) - sizeof(PyObject)) / sizeof(PyObject *))

/* How the collector of garbage breaks cycles through a type. */
#define CLEAR_ALL(prefix, type)                               \
    static int prefix##_clear(PyObject *self) {               \
        return clear_fields(FIELDS_OF(self), COUNT_OF(type)); \
    }

/* What a type is made of, which has a function `<prefix>_clear`; `finish(self)` comes before its fields
 * are cleared at its end. `add_type` fills in the members by the fields' names. */
#define OBJECT_TYPE(prefix, type, FIELDS, finish)                                                \
    static const char *const prefix##_names[] = {FIELDS(PYAD_FIELD_NAME)};                       \
    static PyMemberDef prefix##_members[COUNT_OF(type) + 1];                                     \
    static int prefix##_traverse(PyObject *self, visitproc visit, void *arg) {                   \
        return visit_fields(self, FIELDS_OF(self), COUNT_OF(type), visit, arg);                  \
    }                                                                                            \
    static void prefix##_dealloc(PyObject *self) {                                               \
        PyObject_GC_UnTrack(self);                                                               \
        finish(self);                                                                            \
        free_object(self, FIELDS_OF(self), COUNT_OF(type));                                      \
    }                                                                                            \
    static PyType_Slot prefix##_slots[] = {                                                      \
        {Py_tp_members, prefix##_members},                                                       \
        {Py_tp_traverse, prefix##_traverse},                                                     \
        {Py_tp_clear, prefix##_clear},                                                           \
        {Py_tp_dealloc, prefix##_dealloc},                                                       \
        {0, NULL},                                                                               \
    };                                                                                           \
    static PyType_Spec prefix##_spec = {                                                         \
        .basicsize = sizeof(type),                                                               \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,                  \
        .slots = prefix##_slots,                                                                 \
    }

/* The address that a number is: unlike the function that finds what is too large, this one does not go
 * over the bytes. */
static int64_t address_in(PyObject *number) { return (int64_t)PyLong_AsUnsignedLongLongMask(number); }

/* Give the block back that a storage owns. */
static void free_block(PyObject *self) {
    storage_object *storage = (storage_object *)self;
    if (storage->_owner != Py_None || storage->address == NULL) return;
    if (PyLong_Check(storage->address)) runtime->free(address_in(storage->address));
}

/* In a cycle the collector clears a storage before its end, where the block is given back: for that it
 * must still be known. */
static int storage_clear(PyObject *self) {
    storage_object *storage = (storage_object *)self;
    Py_CLEAR(storage->packed);
    Py_CLEAR(storage->exports);
    if (storage->_owner != Py_None) Py_CLEAR(storage->_owner);
    return 0;
}

OBJECT_TYPE(storage, storage_object, STORAGE_FIELDS, free_block);

CLEAR_ALL(array, array_object)
OBJECT_TYPE(array, array_object, ARRAY_FIELDS, nothing_more);

CLEAR_ALL(op, op_object)
OBJECT_TYPE(op, op_object, OP_FIELDS, nothing_more);

CLEAR_ALL(plan, plan_object)
OBJECT_TYPE(plan, plan_object, PLAN_FIELDS, nothing_more);

CLEAR_ALL(node, node_object)
OBJECT_TYPE(node, node_object, NODE_FIELDS, nothing_more);

CLEAR_ALL(tensor, tensor_object)
OBJECT_TYPE(tensor, tensor_object, TENSOR_FIELDS, nothing_more);

static int add_type(PyObject *module, PyType_Spec *spec, const char *name, PyMemberDef *members,
                    const char *const *names_of_fields, size_t count, PyTypeObject **type) {
    for (size_t i = 0; i < count; i++) {
        Py_ssize_t offset = (Py_ssize_t)(sizeof(PyObject) + i * sizeof(PyObject *));
        members[i] = (PyMemberDef){names_of_fields[i], T_OBJECT_EX, offset, 0, NULL};
    }
    spec->name = name;
    *type = (PyTypeObject *)PyType_FromSpec(spec);
    return *type == NULL ? -1 : PyModule_AddType(module, *type);
}

#define ADD_TYPE(name, prefix)                                                               \
    if (add_type(module, &prefix##_spec, "pyautodl._dispatch." name, prefix##_members, prefix##_names, \
                 COUNT_OF(prefix##_object), &prefix##_fields) < 0) {                         \
        return -1;                                                                           \
    }

int add_objects(PyObject *module) {
    ADD_TYPE("StorageFields", storage)
    ADD_TYPE("ArrayFields", array)
    ADD_TYPE("OpFields", op)
    ADD_TYPE("PlanFields", plan)
    ADD_TYPE("NodeFields", node)
    ADD_TYPE("TensorFields", tensor)
    return 0;
}

/* ---- arrays ---- */

static PyObject *new_storage(PyObject *address, PyObject *nbytes) {
    PyObject *self = PyType_GenericAlloc(storage_class, 0);
    if (self == NULL) return NULL;
    storage_object *storage = (storage_object *)self;
    storage->nbytes = Py_NewRef(nbytes);
    storage->version = PyLong_FromLong(0);
    storage->packed = Py_NewRef(Py_None);
    storage->foreign = Py_NewRef(Py_False);
    storage->exports = Py_NewRef(Py_None);
    storage->_owner = Py_NewRef(Py_None);
    storage->address = Py_NewRef(address); /* last: now the block is the storage's to free */
    return self;
}

/* An array, which takes over the references to its storage, offset, address and element type; NULL, and
 * they are let go, if one is NULL after an error or there is no memory. */
static PyObject *array_on(PyObject *storage, PyObject *offset, PyObject *address, PyObject *dtype,
                          const array_kind *kind) {
    PyObject *self = storage && offset && address ? PyType_GenericAlloc(array_class, 0) : NULL;
    if (self == NULL) {
        Py_XDECREF(storage);
        Py_XDECREF(offset);
        Py_XDECREF(address);
        Py_DECREF(dtype);
        return NULL;
    }
    array_object *array = (array_object *)self;
    array->storage = storage;
    array->offset = offset;
    array->shape = Py_NewRef(kind->shape);
    array->strides = Py_NewRef(kind->strides);
    array->dtype = dtype;
    array->address = address;
    array->_layout = Py_NewRef(kind->layout);
    array->_desc = Py_NewRef(Py_None);
    array->_ndarray = Py_NewRef(Py_None);
    return self;
}

PyObject *new_array(int64_t address, const array_kind *kind) {
    PyObject *number = PyLong_FromLongLong(address);
    PyObject *storage = number == NULL ? NULL : new_storage(number, kind->nbytes);
    if (storage == NULL) {
        runtime->free(address);
        Py_XDECREF(number);
        return NULL;
    }
    return array_on(storage, PyLong_FromLong(0), number, Py_NewRef(kind->dtype), kind);
}

PyObject *new_foreign(PyObject *owner, int64_t address, const array_kind *kind) {
    PyObject *number = PyLong_FromLongLong(address);
    PyObject *object = number == NULL ? NULL : new_storage(number, kind->nbytes);
    if (object == NULL) {
        Py_XDECREF(number);
        return NULL;
    }
    storage_object *storage = (storage_object *)object;
    PYAD_SET(storage->_owner, Py_NewRef(owner)); /* now the memory is not the storage's to free */
    PYAD_SET(storage->foreign, Py_NewRef(Py_True));
    PyObject *array = array_on(object, PyLong_FromLong(0), number, Py_NewRef(kind->dtype), kind);
    if (array != NULL) PYAD_SET(((array_object *)array)->_ndarray, Py_NewRef(owner));
    return array;
}

PyObject *new_view(PyObject *object, const array_kind *kind, int64_t shift, int64_t bytes) {
    int64_t address = address_of("view", object);
    if (address == -1 && PyErr_Occurred()) return NULL;
    const array_object *from = (array_object *)object;
    if (from->offset == NULL || from->storage == NULL || from->dtype == NULL) {
        PyErr_SetString(PyExc_ValueError, "view: expected an Array all of whose fields are set");
        return NULL;
    }
    int64_t start = PyLong_AsLongLong(from->offset);
    if (start == -1 && PyErr_Occurred()) return NULL;
    /* of a large shift that is nonsense, without the overflow of signed numbers */
    int64_t offset = (int64_t)((uint64_t)start + (uint64_t)shift);
    int64_t place = (int64_t)((uint64_t)address + (uint64_t)bytes);
    PyObject *storage = Py_NewRef(from->storage), *dtype = Py_NewRef(from->dtype);
    return array_on(storage, PyLong_FromLongLong(offset), PyLong_FromLongLong(place), dtype, kind);
}

static int expect_array(const char *name, PyObject *object) {
    if (is_array(object)) return 0;
    PyErr_Format(PyExc_TypeError, "%s: expected an Array, got %R", name, (PyObject *)Py_TYPE(object));
    return -1;
}

storage_object *storage_of(const char *name, PyObject *array) {
    if (expect_array(name, array) < 0) return NULL;
    PyObject *storage = ((array_object *)array)->storage;
    if (storage != NULL && is_of(storage, storage_class) &&
        ((storage_object *)storage)->version != NULL) {
        return (storage_object *)storage;
    }
    PyErr_Format(PyExc_ValueError, "%s: an Array has no storage", name);
    return NULL;
}

int64_t address_of(const char *name, PyObject *array) {
    if (expect_array(name, array) < 0) return -1;
    PyObject *address = ((array_object *)array)->address;
    if (address != NULL) return address_in(address);
    /* one sample of a map has none, and its class says so: see tensor/mapped.py */
    Py_XDECREF(PyObject_GetAttrString(array, "address"));
    if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Format(PyExc_ValueError, "%s: an Array has no address", name);
    }
    return -1;
}
