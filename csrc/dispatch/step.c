/* An optimizer's step as one was before: what `step` in optim/optimizer.py does where parameters and
 * their states are the arrays of that one, and the gradients are laid out as its were.
 */
#include "dispatch.h"

/* Addresses of one kernel that need no memory at a call. */
#define FEW 64

/* What the step that Python took has left, borrowed from the caller's arguments; see `_Plan.again`. */
typedef struct {
    PyObject *key;      /* each parameter's array and the layout of its gradient */
    PyObject *places;   /* (dict, name, array) of each state */
    PyObject *calls;    /* see `run_call` */
    PyObject *storages; /* of what changes */
} last_step;

/* The arrays of the gradients, owned, so that no other thread frees them meanwhile. */
typedef struct {
    PyObject **arrays;
    Py_ssize_t count;
} gradients;

/* A tensor's array, borrowed; NULL if it is none. */
static PyObject *array_of(PyObject *tensor) {
    PyObject *array = is_of(tensor, tensor_class) ? ((tensor_object *)tensor)->_array : NULL;
    return array != NULL && is_array(array) ? array : NULL;
}

/* Take a parameter's gradient, if it has one; 0 if it is not the next of the key, -1 on error. */
static int take_gradient(gradients *self, PyObject *param, PyObject *key) {
    PyObject *mine = array_of(param), *grad = mine == NULL ? NULL : ((tensor_object *)param)->_grad;
    if (grad == NULL || grad == Py_None) return grad == Py_None;
    PyObject *array = array_of(grad);
    const Py_ssize_t place = 2 * self->count;
    if (array == NULL || place + 1 >= PyTuple_Size(key) || mine != PyTuple_GetItem(key, place)) return 0;
    self->arrays[self->count++] = Py_NewRef(array);
    PyObject *layout = layout_of(array);
    const int same = layout == NULL ? -1 : are_equal(layout, PyTuple_GetItem(key, place + 1));
    Py_XDECREF(layout);
    return same;
}

/* Whether the parameters with gradients are those of the key; -1 on error. */
static int take_gradients(gradients *self, PyObject *params, PyObject *key) {
    int same = 1;
    const Py_ssize_t count = PyTuple_Size(params);
    for (Py_ssize_t i = 0; same > 0 && i < count; i++) {
        same = take_gradient(self, PyTuple_GetItem(params, i), key);
    }
    return same > 0 ? 2 * self->count == PyTuple_Size(key) : same;
}

/* Whether the states are still the arrays that the calls have the addresses of; -1 on error. */
static int has_states(PyObject *places) {
    const Py_ssize_t count = PyTuple_Size(places);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *state, *name, *array;
        PyObject *place = PyTuple_GetItem(places, i);
        if (expect_tuple("step", place) < 0 ||
            !PyArg_ParseTuple(place, "O!OO", &PyDict_Type, &state, &name, &array)) {
            return -1;
        }
        PyObject *found = PyDict_GetItemWithError(state, name);
        if (found == NULL) return PyErr_Occurred() ? -1 : 0;
        if (array_of(found) != array) return 0;
    }
    return 1;
}

/* ---- the kernels ---- */

/* The addresses of the gradients with these numbers; -1 on error. */
static int gather(const gradients *self, PyObject *numbers, int64_t *addresses) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(numbers); i++) {
        const Py_ssize_t number = PyLong_AsSsize_t(PyTuple_GetItem(numbers, i));
        if (number < 0 || number >= self->count) {
            if (!PyErr_Occurred()) PyErr_Format(PyExc_IndexError, "step: there is no gradient %zd", number);
            return -1;
        }
        addresses[i] = address_of("step", self->arrays[number]);
        if (addresses[i] == -1 && PyErr_Occurred()) return -1;
    }
    return 0;
}

/* A prepared call of a kernel, which takes the addresses of gradients and then others. */
typedef struct {
    const pyad_prepared *prepared;
    PyObject *name, *numbers, *others; /* numbers of gradients; the other addresses, eight bytes each */
} kernel_call;

static int run_kernel(const gradients *self, const kernel_call *call, int64_t *addresses) {
    if (gather(self, call->numbers, addresses) < 0) return -1;
    const size_t bytes = (size_t)PyBytes_Size(call->others);
    memcpy(addresses + PyTuple_Size(call->numbers), PyBytes_AsString(call->others), bytes);
    PyThreadState *threads = PyEval_SaveThread();
    const int64_t first = runtime->call(call->prepared, (const char *)addresses);
    PyEval_RestoreThread(threads);
    return first == 0 ? raise_failure(call->name) : 0;
}

/* Run one of the calls: (name, address of the prepared call, numbers, others, what keeps that alive). */
static int run_call(const gradients *self, PyObject *item) {
    long long prepared;
    PyObject *kept;
    kernel_call call;
    if (expect_tuple("step", item) < 0 ||
        !PyArg_ParseTuple(item, "OLO!O!O", &call.name, &prepared, &PyTuple_Type, &call.numbers,
                          &PyBytes_Type, &call.others, &kept)) {
        return -1;
    }
    call.prepared = (const pyad_prepared *)(intptr_t)prepared;
    int64_t few[FEW], *addresses = few;
    const Py_ssize_t count = PyTuple_Size(call.numbers) + PyBytes_Size(call.others) / 8 + 1;
    if (count > FEW && (addresses = PyMem_Malloc((size_t)count * sizeof *addresses)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    const int status = run_kernel(self, &call, addresses);
    if (addresses != few) PyMem_Free(addresses);
    return status;
}

/* Run the calls and count the changes. */
static int run_all(const gradients *self, const last_step *last) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(last->calls); i++) {
        if (run_call(self, PyTuple_GetItem(last->calls, i)) < 0) return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_Size(last->storages); i++) {
        PyObject *storage = PyTuple_GetItem(last->storages, i);
        if (!is_of(storage, storage_class)) {
            PyErr_SetString(PyExc_TypeError, "step: expected storages of what changes");
            return -1;
        }
        if (count_change((storage_object *)storage, change_tools.one) < 0) return -1;
    }
    return 0;
}

/* 1 if the step was taken, 0 if Python has to, -1 on error. */
static int repeat(gradients *self, PyObject *params, const last_step *last) {
    int same = take_gradients(self, params, last->key);
    if (same > 0) same = has_states(last->places);
    if (same > 0 && run_all(self, last) < 0) same = -1;
    return same;
}

PyObject *repeat_step(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *given;
    last_step last;
    if (!PyArg_ParseTuple(arguments, "OO!O!O!O!", &given, &PyTuple_Type, &last.key, &PyTuple_Type,
                          &last.places, &PyTuple_Type, &last.calls, &PyTuple_Type, &last.storages)) {
        return NULL;
    }
    PyObject *params = PySequence_Tuple(given); /* nobody changes that meanwhile */
    if (params == NULL) return NULL;
    gradients self = {.count = 0};
    self.arrays = PyMem_Malloc(((size_t)PyTuple_Size(params) + 1) * sizeof *self.arrays);
    const int taken = self.arrays == NULL ? -1 : repeat(&self, params, &last);
    if (self.arrays == NULL) PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < self.count; i++) Py_DECREF(self.arrays[i]);
    PyMem_Free(self.arrays);
    Py_DECREF(params);
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

/* Whether a dict's values are the objects of a list, one by one. */
static int are_values(PyObject *dict, PyObject *values) {
    PyObject *name, *value;
    Py_ssize_t next = 0, i = 0;
    if (PyDict_Size(dict) != PyList_Size(values)) return 0;
    while (PyDict_Next(dict, &next, &name, &value)) {
        if (value != PyList_GetItem(values, i++)) return 0;
    }
    return 1;
}

PyObject *holds_same(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("holds_same", count, 2) < 0) return NULL;
    const int known = PyDict_Check(arguments[0]) && PyList_Check(arguments[1]);
    return PyBool_FromLong(known && are_values(arguments[0], arguments[1]));
}
