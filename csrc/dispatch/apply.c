/* From tensors to the result of an op and, if that is recorded, its node: what tensor/calls.py does in
 * `apply_anew`, for calls of a kind that has a plan.
 *
 * A call gathers its inputs' arrays, the layouts that are the key of the plan, and where gradients go;
 * finds the plan; runs it; makes the node and the tensors. Until the plan has run it may still leave the
 * call to Python: for the first call of a kind, and for what is rare.
 */
#include <math.h>

#include "call.h"

struct apply_tools apply_tools;
#define TOOLS apply_tools

int open_maps;

PyObject *count_maps(PyObject *module, PyObject *more) {
    (void)module;
    long number = PyLong_AsLong(more);
    if (number == -1 && PyErr_Occurred()) return NULL;
    open_maps += (int)number;
    return Py_NewRef(Py_None);
}

void let_go(call *self) {
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_XDECREF(self->arrays[i]);
        Py_XDECREF(self->layouts[i]);
        Py_XDECREF(self->edges[i]);
    }
    Py_XDECREF(self->needs);
    Py_XDECREF((PyObject *)self->plan);
    Py_XDECREF(self->floats);
}

/* ---- the inputs ---- */

/* Renew a view's place in the graph if its base was changed through another view. */
static int follow_base(tensor_object *x) {
    if (x->_base == NULL || x->_base == Py_None) return 0;
    if (is_of(x->_base, tensor_class)) {
        PyObject *changes = ((tensor_object *)x->_base)->_changes;
        /* mostly one and the same number; others may be equal, as Python sees */
        if (changes != NULL && x->_base_changes == changes) return 0;
    }
    PyObject *nothing = PyObject_CallMethodObjArgs((PyObject *)x, attribute._follow_base, NULL);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

PyObject *layout_of(PyObject *array) {
    PyObject *layout = is_array(array) ? ((array_object *)array)->_layout : NULL;
    if (layout != NULL && layout != Py_None) return Py_NewRef(layout);
    return PyObject_CallMethodObjArgs(array, attribute.layout, NULL);
}

/* Whether the fields are set that a call reads. */
static int has_array(const tensor_object *x) {
    return x->_array != NULL && Py_TYPE(x->_array) == array_class && x->_base != NULL &&
           x->_edge != NULL && x->_requires_grad != NULL;
}

static outcome take_tensor(call *self, Py_ssize_t i, tensor_object *x) {
    if (follow_base(x) < 0) return FAILED;
    if (!has_array(x)) return LEFT_TO_PYTHON;
    self->arrays[i] = Py_NewRef(x->_array);
    if (x->_requires_grad != Py_True) return DONE;
    self->wanted |= 1u << i;
    self->edges[i] = x->_edge != Py_None ? Py_NewRef(x->_edge) : new_edge((PyObject *)x, 0);
    return self->edges[i] == NULL ? FAILED : DONE;
}

/* The element type of the first tensor, if a number is weak beside it: a new reference. */
static PyObject *weak_dtype(const call *self, PyObject *number) {
    for (Py_ssize_t i = 0; i < self->count; i++) {
        if (!is_of(self->inputs[i], tensor_class)) continue;
        PyObject *array = ((tensor_object *)self->inputs[i])->_array;
        PyObject *dtype = array != NULL && is_array(array) ? ((array_object *)array)->dtype : NULL;
        return dtype != NULL && is_weak_beside(number, dtype) ? Py_NewRef(dtype) : NULL;
    }
    return NULL;
}

static outcome take_number(call *self, Py_ssize_t i, PyObject *x) {
    PyObject *op = (PyObject *)self->op, *name = self->op->name;
    PyObject *dtype = self->op->view == Py_False && name != NULL ? weak_dtype(self, x) : NULL;
    if (dtype != NULL) {
        Py_INCREF(name);
        self->arrays[i] = constant_of(name, x, dtype);
        Py_DECREF(name);
        Py_DECREF(dtype);
        if (self->arrays[i] != NULL) return DONE;
        if (PyErr_Occurred()) return FAILED;
    }
    PyObject *inputs = tuple_from(self->inputs, self->count);
    if (inputs == NULL) return FAILED;
    self->arrays[i] = PyObject_CallFunctionObjArgs(TOOLS.constant_array, op, x, inputs, NULL);
    Py_DECREF(inputs);
    return self->arrays[i] == NULL ? FAILED : DONE;
}

static outcome take_input(call *self, Py_ssize_t i) {
    PyObject *x = self->inputs[i];
    if (x == Py_None) {
        self->arrays[i] = Py_NewRef(Py_None);
        self->layouts[i] = Py_NewRef(Py_None);
        return DONE;
    }
    int is_tensor = is_of(x, tensor_class);
    outcome taken = is_tensor ? take_tensor(self, i, (tensor_object *)x) : take_number(self, i, x);
    if (taken != DONE) return taken;
    self->layouts[i] = layout_of(self->arrays[i]);
    return self->layouts[i] == NULL ? FAILED : DONE;
}

int is_set(PyObject *local, PyObject *name) {
    PyObject *value = PyObject_GetAttr(local, name);
    if (value == NULL) return -1;
    int found = PyObject_IsTrue(value);
    Py_DECREF(value);
    return found;
}

/* The bits as a tuple of bools; those of up to four inputs are kept. */
static PyObject *needs_of(Py_ssize_t count, unsigned wanted) {
    static PyObject *kept[32];
    unsigned place = (1u << count) + wanted;
    if (count <= 4 && kept[place] != NULL) return Py_NewRef(kept[place]);
    PyObject *needs = PyTuple_New(count);
    if (needs == NULL) return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyTuple_SetItem(needs, i, Py_NewRef(wanted >> i & 1 ? Py_True : Py_False));
    }
    if (count <= 4) kept[place] = Py_NewRef(needs);
    return needs;
}

outcome take_inputs(call *self) {
    for (Py_ssize_t i = 0; i < self->count; i++) {
        outcome taken = take_input(self, i);
        if (taken != DONE) return taken;
    }
    if (self->wanted != 0) {
        int enabled = is_set(TOOLS.mode, attribute.enabled);
        int anomaly = enabled > 0 ? is_set(TOOLS.mode, attribute.anomaly) : 0;
        if (enabled < 0 || anomaly < 0) return FAILED;
        if (anomaly) return LEFT_TO_PYTHON;
        self->recording = enabled;
        if (!enabled) self->wanted = 0;
    }
    self->needs = needs_of(self->count, self->wanted);
    return self->needs == NULL ? FAILED : DONE;
}

/* ---- the plan ---- */

/* How attributes are part of a key: not at all; by themselves, as they are kept; by names and values; by
 * those and the values' types. */
typedef enum { NO_ATTRIBUTES, KEPT, BY_VALUE, BY_TYPE } attribute_kind;

/* Add attributes to a key from a place on. */
static int add_attributes(const call *self, PyObject *key, Py_ssize_t place, attribute_kind kind) {
    if (kind == KEPT) return PyTuple_SetItem(key, place, Py_NewRef(self->attrs));
    PyObject *name, *value;
    Py_ssize_t next = 0, count = PyDict_Size(self->attrs);
    const Py_ssize_t end = place + count;
    for (; place < end && PyDict_Next(self->attrs, &next, &name, &value); place++) {
        Py_INCREF(name); /* a new tuple may let functions run that change a dict */
        Py_INCREF(value);
        PyObject *pair = PyTuple_Pack(2, name, value);
        PyObject *type = kind == BY_TYPE ? Py_NewRef((PyObject *)Py_TYPE(value)) : NULL;
        Py_DECREF(name);
        Py_DECREF(value);
        int failed = pair == NULL || PyTuple_SetItem(key, place, pair) < 0;
        if (type != NULL && PyTuple_SetItem(key, place + count, type) < 0) failed = 1;
        if (failed) return -1;
    }
    if (place == end) return 0;
    PyErr_SetString(PyExc_RuntimeError, "apply: the attributes were changed during the call");
    return -1;
}

/* The key of the call's plan, with the needs in it or not; NULL on error. */
static PyObject *key_of(const call *self, int with_needs, attribute_kind kind) {
    Py_ssize_t more = kind == NO_ATTRIBUTES ? 0 : kind == KEPT ? 1 : PyDict_Size(self->attrs);
    if (kind == BY_TYPE) more *= 2;
    PyObject *key = PyTuple_New(self->count + with_needs + more);
    if (key == NULL) return NULL;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyTuple_SetItem(key, i, Py_NewRef(self->layouts[i]));
    }
    if (with_needs) PyTuple_SetItem(key, self->count, Py_NewRef(self->needs));
    if (more > 0 && add_attributes(self, key, self->count + with_needs, kind) < 0) Py_CLEAR(key);
    return key;
}

static attribute_kind kind_of_attributes(const call *self) {
    if (self->attrs == NULL || PyDict_Size(self->attrs) == 0) return NO_ATTRIBUTES;
    return Py_TYPE(self->attrs) == (PyTypeObject *)TOOLS.attributes ? KEPT : BY_VALUE;
}

/* Take a plan, if it is one and all its fields but the call are set. */
static outcome take_plan(call *self, PyObject *found) {
    if (found == NULL || !PyObject_TypeCheck(found, plan_fields)) return LEFT_TO_PYTHON;
    const plan_object *plan = (plan_object *)found;
    int is_set = plan->count && plan->differentiable && plan->dtypes && plan->floats && plan->info &&
                 plan->places && PyDict_CheckExact(plan->places) && plan->shapes && plan->shown;
    if (is_set) self->plan = (plan_object *)Py_NewRef(found);
    return is_set ? DONE : LEFT_TO_PYTHON;
}

/* Take the plan that is kept under a key. */
static outcome look_up(call *self, PyObject *key) {
    if (key == NULL) return FAILED;
    PyObject *plans = Py_NewRef(self->op->plans); /* keys that are compared may run anything */
    outcome found = take_plan(self, PyDict_GetItemWithError(plans, key));
    Py_DECREF(plans);
    Py_DECREF(key);
    if (found == DONE) return DONE;
    /* an attribute that can't be part of a key: Python knows what to say */
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) return FAILED;
    PyErr_Clear();
    return LEFT_TO_PYTHON;
}

outcome find_planned(call *self) {
    attribute_kind kind = kind_of_attributes(self);
    PyObject *params = self->op->params;
    if (params == Py_None || kind == NO_ATTRIBUTES) {
        outcome found = look_up(self, key_of(self, 0, kind));
        if (found == DONE) self->floats = Py_NewRef(self->plan->floats);
        return found;
    }
    Py_INCREF(params);
    outcome found = look_up(self, key_of(self, 0, NO_ATTRIBUTES));
    PyObject *nothing = found == DONE ? PyTuple_New(0) : NULL;
    if (nothing != NULL) self->floats = PyObject_Call(params, nothing, self->attrs);
    if (found == DONE && self->floats == NULL) found = FAILED;
    Py_XDECREF(nothing);
    Py_DECREF(params);
    return found;
}

PyObject *attributes_of(const call *self) {
    return self->attrs != NULL ? Py_NewRef(self->attrs) : PyDict_New();
}

/* Whether all fields of an op are set that a call reads. */
static int is_set_up(const op_object *op) {
    return op->name && op->plan && op->plans && PyDict_CheckExact(op->plans) && op->params && op->saves &&
           op->view && op->changes && PyTuple_CheckExact(op->changes) && op->integers;
}

/* ---- the trace of an op without plans, see ops/forward_trace.py ---- */

/* The layouts in place of arrays that a call changes, which go to the end of `held`. */
static PyObject *layouts_of(PyObject *value, PyObject *held) {
    if (!PyTuple_CheckExact(value)) {
        return PyList_Append(held, value) < 0 ? NULL : layout_of(value);
    }
    Py_ssize_t count = PyTuple_Size(value);
    PyObject *layouts = PyTuple_New(count);
    for (Py_ssize_t i = 0; layouts != NULL && i < count; i++) {
        PyObject *array = PyTuple_GetItem(value, i), *layout = NULL;
        if (array == Py_None) {
            layout = Py_NewRef(Py_None);
        } else if (PyList_Append(held, array) == 0) {
            layout = layout_of(array);
        }
        if (layout == NULL || PyTuple_SetItem(layouts, i, layout) < 0) Py_CLEAR(layouts);
    }
    return layouts;
}

/* What `set_apart` gives of attributes that are kept with an array that the call changes. */
static PyObject *take_changing(call *self) {
    PyObject *name = Py_XNewRef(PyTuple_GetItem(self->op->changes, 0));
    PyObject *array = name == NULL ? NULL : PyObject_GetItem(self->attrs, name);
    Py_XDECREF(name);
    if (array == NULL) return NULL;
    self->floats = PyTuple_Pack(1, array);
    Py_DECREF(array);
    PyObject *plain = self->floats == NULL ? NULL : PyObject_GetAttr(self->attrs, attribute.plain);
    if (plain == NULL || PyDict_Check(plain)) return plain;
    PyErr_SetString(PyExc_TypeError, "apply: expected the attributes beside an array to be a dict");
    Py_DECREF(plain);
    return NULL;
}

/* What `_set_apart` does: the attributes with layouts in place of arrays that the call changes, and those
 * arrays in the place of floats. */
static PyObject *set_apart(call *self) {
    if (self->attrs != NULL && Py_TYPE(self->attrs) == (PyTypeObject *)TOOLS.changing) {
        return take_changing(self);
    }
    PyObject *changes = Py_NewRef(self->op->changes), *held = PyList_New(0);
    PyObject *plain = self->attrs != NULL ? PyDict_Copy(self->attrs) : PyDict_New();
    Py_ssize_t count = PyTuple_Size(changes);
    for (Py_ssize_t i = 0; held != NULL && plain != NULL && i < count; i++) {
        PyObject *name = PyTuple_GetItem(changes, i);
        PyObject *value = Py_XNewRef(PyDict_GetItemWithError(plain, name));
        if (value != NULL && value != Py_None) {
            PyObject *layouts = layouts_of(value, held);
            if (layouts == NULL || PyDict_SetItem(plain, name, layouts) < 0) Py_CLEAR(plain);
            Py_XDECREF(layouts);
        }
        Py_XDECREF(value);
        if (PyErr_Occurred()) Py_CLEAR(plain);
    }
    if (plain != NULL && held != NULL) self->floats = PySequence_Tuple(held);
    Py_XDECREF(held);
    Py_DECREF(changes);
    if (self->floats == NULL) Py_CLEAR(plain);
    return plain;
}

/* Whether a value is a float of Python that is 0.0 or -0.0. */
static int is_zero(PyObject *value) { return PyFloat_CheckExact(value) && PyFloat_AsDouble(value) == 0.0; }

/* The key with what tells 0.0 from -0.0 among the attributes, see `signs_of_zeros`; it takes over the
 * reference to the key. */
static PyObject *with_signs(PyObject *key, PyObject *attrs) {
    PyObject *name, *value, *signs = PyList_New(0);
    Py_ssize_t next = 0;
    while (signs != NULL && PyDict_Next(attrs, &next, &name, &value)) {
        if (!is_zero(value)) continue;
        PyObject *sign = PyFloat_FromDouble(copysign(1.0, PyFloat_AsDouble(value)));
        if (sign == NULL || PyList_Append(signs, sign) < 0) Py_CLEAR(signs);
        Py_XDECREF(sign);
    }
    PyObject *end = signs == NULL ? NULL : PySequence_Tuple(signs);
    PyObject *found = end == NULL ? NULL : PySequence_Concat(key, end);
    Py_XDECREF(end);
    Py_XDECREF(signs);
    Py_DECREF(key);
    return found;
}

/* The key of a trace, by the attributes that are left. */
static PyObject *trace_key(const call *self, attribute_kind kind) {
    PyObject *key = key_of(self, 1, kind);
    if (key == NULL || kind == NO_ATTRIBUTES || kind == KEPT) return key;
    int with_zeros = PySet_Contains(TOOLS.with_zeros, self->op->name);
    if (with_zeros < 0) Py_CLEAR(key);
    return with_zeros > 0 ? with_signs(key, self->attrs) : key;
}

static outcome find_traced(call *self) {
    PyObject *attrs = self->attrs, *plain = NULL;
    if (PyTuple_Size(self->op->changes) > 0) {
        if (open_maps > 0) return LEFT_TO_PYTHON;
        if ((plain = set_apart(self)) == NULL) return FAILED;
        if (!is_set_up(self->op)) { /* layouts have run what they may */
            Py_DECREF(plain);
            return LEFT_TO_PYTHON;
        }
        self->attrs = plain;
    } else if ((self->floats = PyTuple_New(0)) == NULL) {
        return FAILED;
    }
    attribute_kind kind = kind_of_attributes(self);
    outcome found = LEFT_TO_PYTHON;
    /* else it is not looked up yet which attributes are declared as integers */
    if (kind != BY_VALUE || PyDict_Check(self->op->integers)) {
        if (kind == BY_VALUE && PyDict_Size(self->op->integers) > 0) kind = BY_TYPE;
        found = look_up(self, trace_key(self, kind));
    }
    self->attrs = attrs;
    Py_XDECREF(plain);
    return found;
}

/* ---- what the plan gives ---- */

PyObject *run_on_arrays(PyObject *run, PyObject *const *arrays, Py_ssize_t count, PyObject *floats) {
    if (Py_TYPE(run) == launch_type) return launch(run, arrays, count, floats);
    if (Py_TYPE(run) == view_type && count > 0) return view_of(run, arrays[0]);
    PyObject *all = tuple_from(arrays, count);
    if (all == NULL) return NULL;
    PyObject *result = PyObject_CallFunctionObjArgs(run, all, floats, NULL);
    Py_DECREF(all);
    return result;
}

/* What the plan's call gives. */
static PyObject *run_plan(const call *self) {
    PyObject *plan = (PyObject *)self->plan, *run = self->plan->call;
    /* a plan whose class has it as a method, or that is prepared when it is first looked for */
    run = run != NULL ? Py_NewRef(run) : PyObject_GetAttr(plan, attribute.call);
    if (run == NULL) return NULL;
    PyObject *result = run_on_arrays(run, self->arrays, self->count, self->floats);
    Py_DECREF(run);
    return result;
}

/* ---- a call ---- */

int is_op(PyObject *object) {
    return PyObject_TypeCheck(object, op_fields) && is_set_up((op_object *)object);
}

static outcome prepare_call(call *self) {
    outcome found = take_inputs(self);
    if (found != DONE) return found;
    if (!is_set_up(self->op)) return LEFT_TO_PYTHON; /* asked after inputs have run what they may */
    return self->op->plan != Py_None ? find_planned(self) : find_traced(self);
}

/* Run the plan, record the call, make the tensors. */
static PyObject *finish_call(const call *self) {
    PyObject *result = run_plan(self), *node = NULL, *found = NULL;
    if (result == NULL) return NULL;
    int recorded = self->recording && self->plan->differentiable == Py_True;
    if (recorded && (node = new_node(self, result)) == NULL) Py_CLEAR(result);
    if (result != NULL && self->plan->shown != Py_None) {
        PyObject *which = Py_XNewRef(self->plan->shown), *shown = PyObject_GetItem(result, which);
        Py_XDECREF(which);
        Py_DECREF(result);
        result = shown;
    }
    if (result != NULL) found = outputs_of(self, result, node);
    Py_XDECREF(result);
    Py_XDECREF(node);
    return found;
}

/* The call in Python. */
static PyObject *apply_anew(const call *self) {
    PyObject *inputs = tuple_from(self->inputs, self->count);
    PyObject *attrs = inputs == NULL ? NULL : attributes_of(self), *found = NULL;
    if (attrs != NULL) {
        PyObject *op = (PyObject *)self->op;
        found = PyObject_CallFunctionObjArgs(TOOLS.anew, op, inputs, attrs, NULL);
        Py_DECREF(attrs);
    }
    Py_XDECREF(inputs);
    return found;
}

static PyObject *apply_to(PyObject *op, PyObject *const *inputs, Py_ssize_t count, PyObject *attrs) {
    call self = {.op = (op_object *)op, .inputs = inputs, .count = count, .attrs = attrs};
    outcome found = LEFT_TO_PYTHON;
    if (count <= MOST_INPUTS) {
        found = prepare_call(&self);
        PyObject *result = found == DONE ? finish_call(&self) : NULL;
        let_go(&self);
        if (found != LEFT_TO_PYTHON) return result;
    }
    return apply_anew(&self);
}

static PyObject *no_op(void) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "apply: expected the record of an op");
    return NULL;
}

PyObject *apply_known(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("apply_known", count, 3) < 0) return NULL;
    PyObject *op = arguments[0], *attrs = arguments[2], *items[MOST_INPUTS];
    if (!PyObject_TypeCheck(op, op_fields)) return no_op();
    PyObject *inputs = PySequence_Tuple(arguments[1]);
    if (inputs == NULL) return NULL;
    Py_ssize_t given = PyTuple_Size(inputs);
    PyObject *found;
    if (given <= MOST_INPUTS && PyDict_Check(attrs)) {
        for (Py_ssize_t i = 0; i < given; i++) items[i] = PyTuple_GetItem(inputs, i);
        found = apply_to(op, items, given, attrs);
    } else {
        found = PyObject_CallFunctionObjArgs(TOOLS.anew, op, inputs, attrs, NULL);
    }
    Py_DECREF(inputs);
    return found;
}

PyObject *keywords_as_dict(PyObject *names, PyObject *const *values) {
    PyObject *found = PyDict_New();
    Py_ssize_t count = PyTuple_Size(names);
    for (Py_ssize_t i = 0; found != NULL && i < count; i++) {
        if (PyDict_SetItem(found, PyTuple_GetItem(names, i), values[i]) < 0) Py_CLEAR(found);
    }
    return found;
}

PyObject *apply(PyObject *module, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
    (void)module;
    PyObject *op = count > 0 ? arguments[0] : Py_None, *attrs = NULL;
    if (!PyObject_TypeCheck(op, op_fields)) return no_op();
    int named = names != NULL && PyTuple_Size(names) > 0;
    if (named && (attrs = keywords_as_dict(names, arguments + count)) == NULL) return NULL;
    PyObject *found = apply_to(op, arguments + 1, count - 1, attrs);
    Py_XDECREF(attrs);
    return found;
}
