/* A call of an op, between apply.c and record.c. */
#ifndef PYAD_CALL_H
#define PYAD_CALL_H

#include "dispatch.h"

/* Calls with more inputs are left to Python. */
#define MOST_INPUTS 16

typedef struct {
    op_object *op;
    PyObject *const *inputs; /* borrowed, as all of them are the caller's */
    Py_ssize_t count;
    PyObject *attrs;               /* borrowed; NULL: none */
    PyObject *arrays[MOST_INPUTS]; /* None: an input is absent */
    PyObject *layouts[MOST_INPUTS];
    PyObject *edges[MOST_INPUTS]; /* NULL: no gradient goes there */
    unsigned wanted;              /* a bit for each input that needs a gradient */
    int recording;
    PyObject *needs; /* the bits as a tuple */
    plan_object *plan;
    PyObject *floats;
} call;

/* What a step of a call comes to. */
typedef enum { FAILED = -1, LEFT_TO_PYTHON = 0, DONE = 1 } outcome;

/* ---- apply.c ---- */

/* Gather what a call needs of its inputs, and whether it is recorded. */
outcome take_inputs(call *self);

/* The plan of an op that has one for every call, and the kernel's floats. */
outcome find_planned(call *self);

/* Let go of what was gathered. */
void let_go(call *self);

/* Whether an attribute of what is this thread's own is true; -1 on error. */
int is_set(PyObject *local, PyObject *name);

/* Keywords, whose values follow the other arguments, as a dict. */
PyObject *keywords_as_dict(PyObject *names, PyObject *const *values);

/* The attributes as a dict, an own one if there are none; NULL on error. */
PyObject *attributes_of(const call *self);

/* ---- record.c ---- */

/* (node or leaf tensor, which of its outputs) */
PyObject *new_edge(PyObject *source, Py_ssize_t output);

/* The node of a call that has run, and gave `result`. */
PyObject *new_node(const call *self, PyObject *result);

/* The tensors on what a call gave; `node`, if any, made them. */
PyObject *outputs_of(const call *self, PyObject *result, PyObject *node);

#endif
