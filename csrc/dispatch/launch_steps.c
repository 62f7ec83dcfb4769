/* The steps of a Launch, read once from what backends/launch.py gives: tuples, of which each has its
 * reader. Then the values are numbered, and each step is told which blocks nobody needs after it. */
#include "launch.h"

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

int read_launch(launch_object *self, PyObject *steps, PyObject *results) {
    Py_ssize_t count; /* the object's own is set when its items are all there to be visited */
    self->steps = read_items(steps, sizeof(step), read_step, &count);
    self->step_count = count;
    if (PyErr_Occurred()) return -1;
    self->results = read_items(results, sizeof(result), read_result, &count);
    self->result_count = count;
    if (PyErr_Occurred() || number_values(self) < 0) return -1;
    return note_last_uses(self);
}

void free_step(step *self) {
    Py_XDECREF(self->give);
    Py_XDECREF(self->name);
    Py_XDECREF(self->owner);
    for (Py_ssize_t i = 0; i < self->made_count; i++) Py_XDECREF(self->made[i].kept);
    PyMem_Free(self->inputs);
    PyMem_Free(self->floats);
    PyMem_Free(self->made);
    PyMem_Free(self->done);
}
