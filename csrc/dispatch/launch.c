/* Prepared kernel calls, one after the other, as one callable `(inputs, floats)`.
 *
 * Values have numbers: the inputs come first, then arrays that stand in place of floats, then what each
 * step makes or gives. A call goes over the steps once: it gathers the addresses of what a kernel reads,
 * runs it, and notes the blocks that it made. Those that are among the results become arrays; the others
 * are addresses alone, freed after the step that uses them last.
 */
#include "dispatch.h"

/* Values, and addresses of one kernel, that need no memory at a call. */
#define FEW 48

/* A Launch with more values is a mistake; up to here no number of bytes overflows. */
#define MOST_VALUES 1000000

/* What a kernel takes: so many bytes from where a value begins; place -1: nothing. */
typedef struct {
    Py_ssize_t place;
    int64_t shift;
} input;

/* What a kernel makes: its output `number`; bare: no array is wanted of it. */
typedef struct {
    int64_t number;
    Py_ssize_t place;
    int bare;
    array_kind kind;
    PyObject *kept; /* the tuple that has the kind's objects */
} made;

typedef struct {
    PyObject *give; /* a function without arguments that gives an array; NULL: a kernel */
    Py_ssize_t given_place;
    PyObject *name, *owner; /* owner keeps the prepared call */
    const pyad_prepared *call;
    int is_small; /* not worth letting other threads of Python run meanwhile */
    input *inputs;
    Py_ssize_t input_count;
    double *floats;
    Py_ssize_t float_count;
    int with_floats; /* each call brings its own */
    made *made;
    Py_ssize_t made_count;
    Py_ssize_t *done; /* the places of blocks that are freed after the step */
    Py_ssize_t done_count;
} step;

/* A result: a value, or what `view`, called with ((value,), ()), makes of it. */
typedef struct {
    Py_ssize_t place;
    PyObject *view;
} result;

/* What `guard` gives: the rule to run anew after a failure, and whose memory counts as changed how many
 * times. */
typedef struct {
    PyObject *again;   /* (inputs, floats); NULL: none */
    PyObject *counted; /* (number of an input, by how much) each */
} guards;

typedef struct {
    PyObject_HEAD
    Py_ssize_t given, more, value_count;
    Py_ssize_t most_varying; /* addresses and floats of one kernel, at most */
    step *steps;
    Py_ssize_t step_count;
    result *results;
    Py_ssize_t result_count;
    int bare; /* a single result is returned without a tuple around it */
    guards guards;
} launch_object;

PyTypeObject *launch_type;
static PyObject *failure; /* (kernel's name) -> the error to raise */

typedef struct {
    PyObject *array; /* borrowed of what is given, else owned; NULL: none, or not yet */
    int64_t address; /* 0: not looked for yet, or freed */
} value;

/* ---- a call ---- */

/* The address of a value, asked from its array once. */
static int64_t find_address(value *values, const input *each) {
    value *from = &values[each->place];
    if (from->address != 0) return from->address;
    if (from->array == NULL) {
        PyErr_SetString(PyExc_ValueError, "launch: a step takes what no step before it has made");
        return -1;
    }
    return from->address = address_of(from->array);
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
        storage_object *storage = storage_of(values[place].array);
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

PyObject *tuple_of(PyObject *inputs) {
    if (PyTuple_CheckExact(inputs)) return Py_NewRef(inputs);
    if (PyTuple_Check(inputs) || PyList_Check(inputs)) return PySequence_Tuple(inputs);
    PyErr_SetString(PyExc_TypeError, "launch: expected the inputs in a tuple or list");
    return NULL;
}

static PyObject *launch_call(PyObject *self, PyObject *arguments, PyObject *keywords) {
    PyObject *inputs, *floats, *few[FEW], **items = few, *found = NULL;
    if (keywords != NULL || !PyArg_UnpackTuple(arguments, "launch", 2, 2, &inputs, &floats)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "launch: takes no keywords");
        return NULL;
    }
    if ((inputs = tuple_of(inputs)) == NULL) return NULL;
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

/* ---- made once ---- */

/* Read one item of a tuple by a function; -1 on error. */
typedef int (*reader)(PyObject *item, void *to);

/* The items of a tuple, each of `size` bytes, read into memory of their own; NULL on error. */
static void *read_items(PyObject *tuple, size_t size, reader read, Py_ssize_t *count) {
    *count = 0;
    Py_ssize_t length = PyTuple_Size(tuple);
    if (length < 0) return NULL;
    char *items = PyMem_Calloc(length > 0 ? (size_t)length : 1, size);
    if (items == NULL) return PyErr_NoMemory();
    for (; *count < length; ++*count) {
        char *to = items + size * (size_t)*count;
        if (read(PyTuple_GetItem(tuple, *count), to) < 0) {
            ++*count; /* what was read of it is let go with the others */
            return items;
        }
    }
    return items;
}

static int read_place(PyObject *number, Py_ssize_t *place) {
    *place = number == Py_None ? -1 : PyLong_AsSsize_t(number);
    return *place == -1 && PyErr_Occurred() ? -1 : 0;
}

static int read_input(PyObject *item, void *to) {
    input *self = to;
    PyObject *place;
    long long shift;
    if (expect_tuple("Launch", item) < 0 || !PyArg_ParseTuple(item, "OL", &place, &shift)) return -1;
    self->shift = shift;
    return read_place(place, &self->place);
}

static int read_float(PyObject *item, void *to) {
    *(double *)to = PyFloat_AsDouble(item);
    return *(double *)to == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int read_made(PyObject *item, void *to) {
    made *self = to;
    array_kind *kind = &self->kind;
    long long number;
    if (expect_tuple("Launch", item) < 0 ||
        !PyArg_ParseTuple(item, "LOOOOO", &number, &kind->nbytes, &kind->shape, &kind->strides,
                          &kind->dtype, &kind->layout)) {
        return -1;
    }
    self->number = number;
    self->kept = Py_NewRef(item);
    return 0;
}

static int read_result(PyObject *item, void *to) {
    result *self = to;
    PyObject *place, *view;
    if (expect_tuple("Launch", item) < 0 || !PyArg_ParseTuple(item, "OO", &place, &view)) return -1;
    self->view = view == Py_None ? NULL : Py_NewRef(view);
    return read_place(place, &self->place);
}

/* A function that gives an array, or (name, prepared, its address, inputs, made, floats or None, how
 * many floats). */
static int read_step(PyObject *item, void *to) {
    step *self = to;
    if (!PyTuple_Check(item)) {
        self->give = Py_NewRef(item);
        return 0;
    }
    PyObject *name, *owner, *inputs, *makes, *floats;
    long long call;
    if (!PyArg_ParseTuple(item, "OOLO!O!On", &name, &owner, &call, &PyTuple_Type, &inputs,
                          &PyTuple_Type, &makes, &floats, &self->float_count)) {
        return -1;
    }
    self->name = Py_NewRef(name);
    self->owner = Py_NewRef(owner);
    self->call = (const pyad_prepared *)(intptr_t)call;
    self->is_small = runtime->is_small(self->call);
    self->inputs = read_items(inputs, sizeof(input), read_input, &self->input_count);
    if (PyErr_Occurred()) return -1;
    self->made = read_items(makes, sizeof(made), read_made, &self->made_count);
    if (PyErr_Occurred()) return -1;
    self->with_floats = floats == Py_None;
    if (self->float_count < 0 || self->float_count > MOST_VALUES) {
        PyErr_Format(PyExc_ValueError, "Launch: a kernel of %zd floats", self->float_count);
        return -1;
    }
    if (!self->with_floats) {
        self->floats = read_items(floats, sizeof(double), read_float, &self->float_count);
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* Number what the steps make, say what of it is bare, and how much a kernel takes at most. */
static int number_values(launch_object *self) {
    Py_ssize_t next = self->given + self->more;
    for (Py_ssize_t i = 0; i < self->step_count; i++) {
        step *each = &self->steps[i];
        if (each->give != NULL) each->given_place = next++;
        for (Py_ssize_t j = 0; j < each->made_count; j++) {
            each->made[j].place = next++;
            each->made[j].bare = 1;
            for (Py_ssize_t k = 0; k < self->result_count; k++) {
                if (self->results[k].place == each->made[j].place) each->made[j].bare = 0;
            }
        }
    }
    self->value_count = next;
    int within = !self->bare || self->result_count == 1;
    for (Py_ssize_t i = 0; i < self->result_count; i++) within &= self->results[i].place < next;
    for (Py_ssize_t i = 0; i < self->step_count; i++) {
        const step *each = &self->steps[i];
        const Py_ssize_t varying = each->input_count + each->float_count;
        if (varying > self->most_varying) self->most_varying = varying;
        for (Py_ssize_t j = 0; j < each->input_count; j++) within &= each->inputs[j].place < next;
    }
    if (within) return 0;
    PyErr_SetString(PyExc_ValueError, "Launch: there is no value of such a number");
    return -1;
}

/* The step that uses a value last, at the earliest the one that makes it. */
static step *last_use(launch_object *self, Py_ssize_t maker, Py_ssize_t place) {
    for (Py_ssize_t i = self->step_count - 1; i > maker; i--) {
        for (Py_ssize_t j = 0; j < self->steps[i].input_count; j++) {
            if (self->steps[i].inputs[j].place == place) return &self->steps[i];
        }
    }
    return &self->steps[maker];
}

/* Let each step know which bare blocks go after it. */
static int note_last_uses(launch_object *self) {
    for (Py_ssize_t i = 0; i < self->step_count; i++) {
        for (Py_ssize_t j = 0; j < self->steps[i].made_count; j++) {
            const made *each = &self->steps[i].made[j];
            if (!each->bare) continue;
            step *last = last_use(self, i, each->place);
            size_t bytes = (size_t)(last->done_count + 1) * sizeof *last->done;
            Py_ssize_t *done = PyMem_Realloc(last->done, bytes);
            if (done == NULL) {
                PyErr_NoMemory();
                return -1;
            }
            last->done = done;
            done[last->done_count++] = each->place;
        }
    }
    return 0;
}

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
    Py_ssize_t count; /* the object's own is set when its items are all there to be visited */
    self->steps = read_items(steps, sizeof(step), read_step, &count);
    self->step_count = count;
    if (!PyErr_Occurred()) {
        self->results = read_items(results, sizeof(result), read_result, &count);
        self->result_count = count;
    }
    if (PyErr_Occurred() || number_values(self) < 0 || note_last_uses(self) < 0) Py_CLEAR(self);
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

/* ---- its end ---- */

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

static void free_step(step *self) {
    Py_XDECREF(self->give);
    Py_XDECREF(self->name);
    Py_XDECREF(self->owner);
    for (Py_ssize_t i = 0; i < self->made_count; i++) Py_XDECREF(self->made[i].kept);
    PyMem_Free(self->inputs);
    PyMem_Free(self->floats);
    PyMem_Free(self->made);
    PyMem_Free(self->done);
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

void set_failure(PyObject *function) {
    Py_XDECREF(failure);
    failure = Py_NewRef(function);
}
