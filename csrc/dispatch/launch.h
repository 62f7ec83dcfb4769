/* What a Launch is made of: launch_steps.c reads it, launch.c runs it, launch_type.c is its type. */
#ifndef PYAD_LAUNCH_H
#define PYAD_LAUNCH_H

#include "dispatch.h"

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

/* ---- launch_steps.c ---- */

/* Read the steps and results from tuples, and number the values; -1 on error, with so much of it read as
 * the object says. */
int read_launch(launch_object *self, PyObject *steps, PyObject *results);

/* Let go of what a step was read from. */
void free_step(step *self);

/* ---- launch.c ---- */

/* A Launch called from Python: (inputs, floats). */
PyObject *launch_call(PyObject *self, PyObject *arguments, PyObject *keywords);

#endif
