/* Prepared kernel calls, one after the other, as one callable `(inputs, floats)`.
 *
 * Values have numbers: the inputs come first, then arrays that stand in place of floats, then what each
 * step makes or gives. A call goes over the steps once: it gathers the addresses of what a kernel reads,
 * runs it, and notes the blocks that it made. Those that are among the results become arrays; the others
 * are addresses alone, freed after the step that uses them last.
 */
#include "launch.h"

/* Values, and addresses of one kernel, that need no memory at a call. */
#define FEW 48

static PyObject *failure; /* (kernel's name) -> the error to raise */

void set_failure(PyObject *function) {
    Py_XDECREF(failure);
    failure = Py_NewRef(function);
}

typedef struct {
    PyObject *array; /* borrowed of what is given, else owned; NULL: none, or not yet */
    int64_t address; /* 0: not looked for yet, or freed */
} value;

/* The address of a value, asked from its array once. */
static int64_t find_address(value *values, const input *each) {
    value *from = &values[each->place];
    if (from->address != 0) return from->address;
    if (from->array == NULL) {
        PyErr_SetString(PyExc_ValueError, "launch: a step takes what no step before it has made");
        return -1;
    }
    return from->address = address_of("launch", from->array);
}

/* One of the floats that a call brings; -1 with an error set if there is none. */
static double float_at(PyObject *floats, Py_ssize_t i) {
    PyObject *number = PySequence_GetItem(floats, i);
    double found = number == NULL ? -1.0 : PyFloat_AsDouble(number);
    Py_XDECREF(number);
    return found;
}

/* Fill in what a kernel takes, eight bytes each; -1 if something is missing. */
static int gather(const step *self, value *values, PyObject *floats, int64_t *varying) {
    for (Py_ssize_t i = 0; i < self->input_count; i++, varying++) {
        const input *each = &self->inputs[i];
        *varying = 0;
        if (each->place < 0) continue;
        int64_t address = find_address(values, each);
        if (address == -1 && PyErr_Occurred()) return -1;
        *varying = address + each->shift;
    }
    for (Py_ssize_t i = 0; i < self->float_count; i++, varying++) {
        double number = self->with_floats ? float_at(floats, i) : self->floats[i];
        if (number == -1.0 && PyErr_Occurred()) return -1;
        memcpy(varying, &number, sizeof number);
    }
    return 0;
}

int raise_failure(PyObject *name) {
    PyObject *error = PyObject_CallFunctionObjArgs(failure, name, NULL);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return -1;
}

/* Note what a kernel has made, as arrays where they are wanted. All addresses are asked for first: a new
 * object may let the collector run functions of Python, and these kernels. */
static int take_made(const step *self, value *values, int64_t first) {
    for (Py_ssize_t i = 0; i < self->made_count; i++) {
        const made *each = &self->made[i];
        values[each->place].address = i == 0 ? first : runtime->output(each->number);
    }
    for (Py_ssize_t i = 0; i < self->made_count; i++) {
        const made *each = &self->made[i];
        value *to = &values[each->place];
        if (each->bare) continue;
        to->array = new_array(to->address, &each->kind);
        if (to->array != NULL) continue;
        to->address = 0; /* the block is freed */
        return -1;
    }
    return 0;
}

static int run_kernel(const step *self, value *values, PyObject *floats, int64_t *varying) {
    if (gather(self, values, floats, varying) < 0) return -1;
    PyThreadState *others = self->is_small ? NULL : PyEval_SaveThread();
    int64_t first = runtime->call(self->call, (const char *)varying);
    if (others != NULL) PyEval_RestoreThread(others);
    if (first == 0) return raise_failure(self->name);
    if (take_made(self, values, first) < 0) return -1;
    for (Py_ssize_t i = 0; i < self->done_count; i++) {
        runtime->free(values[self->done[i]].address);
        values[self->done[i]].address = 0;
    }
    return 0;
}

static int run_steps(const launch_object *self, value *values, PyObject *floats, int64_t *varying) {
    for (Py_ssize_t i = 0; i < self->step_count; i++) {
        const step *each = &self->steps[i];
        if (each->give == NULL) continue;
        value *to = &values[each->given_place];
        if ((to->array = PyObject_CallNoArgs(each->give)) == NULL) return -1;
    }
    for (Py_ssize_t i = 0; i < self->step_count; i++) {
        if (self->steps[i].give != NULL) continue;
        if (run_kernel(&self->steps[i], values, floats, varying) < 0) return -1;
    }
    return 0;
}

static PyObject *result_of(const result *self, const value *values) {
    if (self->place < 0) return Py_NewRef(Py_None);
    PyObject *array = values[self->place].array;
    if (self->view == NULL) return Py_NewRef(array);
    if (Py_TYPE(self->view) == view_type) return view_of(self->view, array);
    return PyObject_CallFunction(self->view, "(O)()", array);
}

static PyObject *results_of(const launch_object *self, const value *values) {
    if (self->bare) return result_of(&self->results[0], values);
    PyObject *all = PyTuple_New(self->result_count);
    for (Py_ssize_t i = 0; all != NULL && i < self->result_count; i++) {
        PyObject *each = result_of(&self->results[i], values);
        if (each == NULL || PyTuple_SetItem(all, i, each) < 0) Py_CLEAR(all);
    }
    return all;
}

/* Let go of what the steps made: after an error, also of blocks that wait for their last use. */
static void drop_values(const launch_object *self, value *values) {
    for (Py_ssize_t i = self->given + self->more; i < self->value_count; i++) {
        if (values[i].array != NULL) {
            Py_DECREF(values[i].array);
        } else if (values[i].address != 0) {
            runtime->free(values[i].address);
        }
    }
}

static PyObject *run_on(const launch_object *self, value *values, PyObject *floats) {
    int64_t few[FEW], *varying = few;
    size_t bytes = (size_t)self->most_varying * sizeof *varying;
    if (self->most_varying > FEW && (varying = PyMem_Malloc(bytes)) == NULL) return PyErr_NoMemory();
    PyObject *found = NULL;
    if (run_steps(self, values, floats, varying) == 0) found = results_of(self, values);
    if (varying != few) PyMem_Free(varying);
    drop_values(self, values);
    return found;
}

int count_change(storage_object *storage, PyObject *by) {
    return add_to(&storage->version, by, (PyObject *)storage);
}

/* Count the changes of what a call has written in place. */
static int count_changes(const launch_object *self, const value *values) {
    if (self->guards.counted == NULL) return 0;
    PyObject *counted = Py_NewRef(self->guards.counted);
    int status = 0;
    for (Py_ssize_t i = 0; status == 0 && i < PyTuple_Size(counted); i++) {
        Py_ssize_t place;
        PyObject *by;
        status = -1;
        if (!PyArg_ParseTuple(PyTuple_GetItem(counted, i), "nO", &place, &by)) break;
        storage_object *storage = storage_of("launch", values[place].array);
        if (storage != NULL) status = count_change(storage, by);
    }
    Py_DECREF(counted);
    return status;
}

/* After a kernel's failure: run the rule, which says better what is wrong; if it says nothing, the
 * kernel's error stays. */
static void explain(const launch_object *self, PyObject *const *inputs, PyObject *floats) {
    int kernels = PyErr_ExceptionMatches(PyExc_IndexError) || PyErr_ExceptionMatches(PyExc_ValueError) ||
                  PyErr_ExceptionMatches(PyExc_MemoryError);
    if (self->guards.again == NULL || !kernels) return;
    PyObject *type, *error, *traceback, *nothing = NULL;
    PyObject *again = Py_NewRef(self->guards.again);
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *given = tuple_from(inputs, self->given);
    if (given != NULL) {
        nothing = PyObject_CallFunctionObjArgs(again, given, floats, NULL);
        Py_DECREF(given);
    }
    Py_DECREF(again);
    if (nothing != NULL) {
        PyErr_Restore(type, error, traceback);
        Py_DECREF(nothing);
        return;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
}

static PyObject *launch_on(const launch_object *self, PyObject *const *inputs, Py_ssize_t count,
                           PyObject *floats) {
    value few[FEW], *values = few;
    if (count < self->given) {
        PyErr_Format(PyExc_ValueError, "launch: expected %zd inputs, got %zd", self->given, count);
        return NULL;
    }
    size_t bytes = (size_t)self->value_count * sizeof *values;
    if (self->value_count > FEW && (values = PyMem_Malloc(bytes)) == NULL) return PyErr_NoMemory();
    memset(values, 0, bytes);
    for (Py_ssize_t i = 0; i < self->given; i++) values[i].array = inputs[i];
    PyObject *found = NULL;
    Py_ssize_t i = 0;
    for (; i < self->more; i++) {
        PyObject *array = PySequence_GetItem(floats, i);
        if (array == NULL) break;
        values[self->given + i].array = array;
        Py_DECREF(array); /* the tuple has it */
    }
    if (i == self->more) found = run_on(self, values, floats);
    if (found != NULL && count_changes(self, values) < 0) Py_CLEAR(found);
    if (values != few) PyMem_Free(values);
    if (found == NULL) explain(self, inputs, floats);
    return found;
}

PyObject *launch(PyObject *object, PyObject *const *inputs, Py_ssize_t count, PyObject *floats) {
    const launch_object *self = (const launch_object *)object;
    if (self->more == 0) return launch_on(self, inputs, count, floats);
    PyObject *arrays = PySequence_Tuple(floats); /* others might change a list */
    if (arrays == NULL) return NULL;
    PyObject *found = launch_on(self, inputs, count, arrays);
    Py_DECREF(arrays);
    return found;
}

PyObject *tuple_of(const char *name, PyObject *inputs) {
    if (PyTuple_CheckExact(inputs)) return Py_NewRef(inputs);
    if (PyTuple_Check(inputs) || PyList_Check(inputs)) return PySequence_Tuple(inputs);
    PyErr_Format(PyExc_TypeError, "%s: expected the inputs in a tuple or list", name);
    return NULL;
}

PyObject *launch_call(PyObject *self, PyObject *arguments, PyObject *keywords) {
    PyObject *inputs, *floats, *few[FEW], **items = few, *found = NULL;
    if (keywords != NULL || !PyArg_UnpackTuple(arguments, "launch", 2, 2, &inputs, &floats)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "launch: takes no keywords");
        return NULL;
    }
    if ((inputs = tuple_of("launch", inputs)) == NULL) return NULL;
    Py_ssize_t given = ((launch_object *)self)->given, count = PyTuple_Size(inputs);
    if (given > FEW) items = PyMem_Malloc((size_t)given * sizeof *items);
    for (Py_ssize_t i = 0; items != NULL && i < count && i < given; i++) {
        items[i] = PyTuple_GetItem(inputs, i);
    }
    found = items == NULL ? PyErr_NoMemory() : launch(self, items, count, floats);
    if (items != few) PyMem_Free(items);
    Py_DECREF(inputs);
    return found;
}
