/* The module pyautodl._dispatch. */
#include "dispatch.h"

const pyad_interface *runtime;
int64_t (*allocate)(int64_t nbytes);

/* The interpreter that the types and classes are of. */
static int64_t home = -1;

/* What is kept here belongs to one interpreter: another one in the process gets an error. -1 then. */
static int stay_home(void) {
    int64_t here = PyInterpreterState_GetID(PyInterpreterState_Get());
    if (home == -1) home = here;
    if (home == here) return 0;
    PyErr_SetString(PyExc_ImportError, "pyautodl: it can be used in one interpreter of a process alone; "
                                       "likely fix: import it in the main one, or use processes");
    return -1;
}

static PyObject *bind_runtime(PyObject *module, PyObject *arguments) {
    (void)module;
    long long address, allocates;
    PyObject *failure;
    if (stay_home() < 0 || !PyArg_ParseTuple(arguments, "LLO", &address, &allocates, &failure)) return NULL;
    runtime = (const pyad_interface *)(intptr_t)address;
    allocate = (int64_t (*)(int64_t))(intptr_t)allocates;
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

/* Take what C works with of Python: `count` objects by their names. */
static int take_tools(PyObject *tools, const char *const *names, size_t count, PyObject **to) {
    if (!PyDict_Check(tools)) {
        PyErr_Format(PyExc_TypeError, "bind: expected a dict, got %R", (PyObject *)Py_TYPE(tools));
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *tool = PyDict_GetItemString(tools, names[i]);
        if (tool == NULL) {
            PyErr_Format(PyExc_KeyError, "bind: there is no tool %s", names[i]);
            return -1;
        }
        PYAD_SET(to[i], Py_NewRef(tool));
    }
    return 0;
}

/* The names are those of the struct's fields, all of which are objects. */
#define TAKE_TOOLS(tools, FIELDS, to)                              \
    take_tools(tools, (const char *const[]){FIELDS(PYAD_FIELD_NAME)}, \
               sizeof(to) / sizeof(PyObject *), (PyObject **)&(to))

static PyObject *bind_tensors(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *node, *tensor, *tools;
    if (!PyArg_ParseTuple(arguments, "OOO", &node, &tensor, &tools)) return NULL;
    if (take_class(node, node_fields, &node_class) < 0) return NULL;
    if (take_class(tensor, tensor_fields, &tensor_class) < 0) return NULL;
    if (TAKE_TOOLS(tools, APPLY_TOOLS, apply_tools) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *bind_line(PyObject *module, PyObject *tools) {
    (void)module;
    if (TAKE_TOOLS(tools, LINE_TOOLS, line_tools) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *bind_operands(PyObject *module, PyObject *tools) {
    (void)module;
    if (TAKE_TOOLS(tools, OPERAND_TOOLS, operand_tools) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *bind_changes(PyObject *module, PyObject *tools) {
    (void)module;
    if (TAKE_TOOLS(tools, CHANGE_TOOLS, change_tools) < 0) return NULL;
    Py_RETURN_NONE;
}

/* What a tensor's property `grad` reads: the field, and only where there is none although a call made
 * the tensor, its method that tells why. */
static PyObject *read_grad(PyObject *module, PyObject *self) {
    (void)module;
    if (!PyObject_TypeCheck(self, tensor_fields)) {
        return PyErr_Format(PyExc_TypeError, "read_grad: expected a tensor, got %R", self);
    }
    const tensor_object *tensor = (const tensor_object *)self;
    const int told = tensor->_grad == NULL || (tensor->_grad == Py_None && tensor->_edge != Py_None);
    return told ? PyObject_CallMethod(self, "_told_grad", NULL) : Py_NewRef(tensor->_grad);
}

static PyMethodDef methods[] = {
    {"bind_runtime", bind_runtime, METH_VARARGS,
     "bind_runtime(address, allocate, failure): the runtime's table of functions, the address of the one "
     "that gives blocks, and what makes of a kernel's name the error to raise after it failed."},
    {"bind_arrays", bind_arrays, METH_VARARGS,
     "bind_arrays(Storage, Array): the classes of what kernels make."},
    {"bind_tensors", bind_tensors, METH_VARARGS,
     "bind_tensors(Node, Tensor, tools): the classes of what calls make, and what they work with."},
    {"count_maps", count_maps, METH_O,
     "count_maps(more): that many more maps over batches are open, or fewer."},
    {"apply", (PyCFunction)(void (*)(void))apply, METH_FASTCALL | METH_KEYWORDS,
     "apply(op, *inputs, **attrs): see tensor/calls.py."},
    {"apply_known", (PyCFunction)(void (*)(void))apply_known, METH_FASTCALL,
     "apply_known(op, inputs, attrs): the same."},
    {"empty_array", (PyCFunction)(void (*)(void))empty_array, METH_FASTCALL,
     "empty_array(nbytes, shape, strides, dtype, layout): the array on a new block; None: there is none."},
    {"array_of_bytes", (PyCFunction)(void (*)(void))array_of_bytes, METH_FASTCALL,
     "array_of_bytes(bytes, shape, strides, dtype, layout): the same with these bytes in it."},
    {"array_over", (PyCFunction)(void (*)(void))array_over, METH_FASTCALL,
     "array_over(ndarray, nbytes, shape, strides, dtype, layout): the array on NumPy's memory."},
    {"make", (PyCFunction)(void (*)(void))tensor_on, METH_FASTCALL,
     "make(array, edge, requires_grad): see tensor/core.py."},
    {"read_number", (PyCFunction)(void (*)(void))read_number, METH_FASTCALL,
     "read_number(address, code): the number there, of an element type's code."},
    {"read_list", read_list, METH_VARARGS,
     "read_list(address, code, shape, strides): an array's elements as nested lists."},
    {"numbers_in", numbers_in, METH_O,
     "numbers_in(data): the shape of nested lists of Python numbers, and the kinds of these; None: there "
     "is more to look at."},
    {"write_numbers", write_numbers, METH_VARARGS,
     "write_numbers(data, kinds, address, code, count): write them; whether that could be."},
    {"write_range", (PyCFunction)(void (*)(void))write_range, METH_FASTCALL,
     "write_range(address, code, count, start, step): write numbers at equal distances, from two ints or "
     "two floats; whether that could be."},
    {"bind_operands", bind_operands, METH_O, "bind_operands(tools): what `operands` works with."},
    {"operands", (PyCFunction)(void (*)(void))operands, METH_FASTCALL,
     "operands(name, x, y): see tensor/promotion.py."},
    {"bind_changes", bind_changes, METH_O,
     "bind_changes(tools): what `overwrite` and `assign` work with."},
    {"overwrite", (PyCFunction)(void (*)(void))overwrite, METH_FASTCALL | METH_KEYWORDS,
     "overwrite(name, op, x, *others, **attrs): see tensor/in_place.py."},
    {"assign", (PyCFunction)(void (*)(void))assign, METH_FASTCALL,
     "assign(x, name, result): see tensor/in_place.py."},
    {"bind_line", bind_line, METH_O, "bind_line(tools): what `run_line` works with."},
    {"run_line", run_line, METH_VARARGS,
     "run_line(edge, gradient, retain_graph): see graph/line.py."},
    {"repeat_gradients", repeat_gradients, METH_VARARGS,
     "repeat_gradients(node, gradients): see graph/backward.py; None: it can't."},
    {"read_grad", read_grad, METH_O, "read_grad(tensor): see tensor/core.py."},
    {"fill_leaves", fill_leaves, METH_VARARGS, "fill_leaves(leaves, found): see graph/line.py."},
    {"gradients_of", gradients_of, METH_O,
     "gradients_of(params): see tensor/core.py; None: it can't."},
    {"drop_gradients", drop_gradients, METH_O,
     "drop_gradients(params): let their gradients be None; False, and none of them is: it can't."},
    {"holds_same", (PyCFunction)(void (*)(void))holds_same, METH_FASTCALL,
     "holds_same(dict, values): whether a dict's values are these objects, in order; False of no dict."},
    {"keeper", keeper, METH_VARARGS,
     "keeper(make, find, beside): see ops/record.py."},
    {"are_hooked", (PyCFunction)(void (*)(void))are_hooked, METH_FASTCALL,
     "are_hooked(*modules): see nn/module/calling.py."},
    {"repeat_step", repeat_step, METH_VARARGS,
     "repeat_step(params, key, places, calls, storages): see optim/optimizer.py; False: it can't."},
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
    if (stay_home() < 0) return NULL;
    if (storage_fields != NULL) {
        return PyErr_Format(PyExc_ImportError, "pyautodl._dispatch: it is loaded already");
    }
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
    int failed = make_names() < 0 || add_objects(module) < 0 || add_launch(module) < 0 ||
                 add_view(module) < 0 || add_memory(module) < 0;
    if (failed) Py_CLEAR(module);
    return module;
}
