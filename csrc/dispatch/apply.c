/* From tensors to the result of an op and, if that is recorded, its node: what tensor/calls.py does in
 * `apply_anew`, for calls of a kind that has a plan.
 *
 * A call gathers its inputs' arrays, the layouts that are the key of the plan, and where gradients go;
 * finds the plan; runs it; makes the node and the tensors. Until the plan has run it may still leave the
 * call to Python: for the first call of a kind, and for what is rare.
 */
#include "dispatch.h"

struct apply_tools apply_tools;
#define TOOLS apply_tools

/* Names of attributes, made once. */
#define NAMES(F) F(anomaly) F(call) F(category) F(enabled) F(info) F(layout) F(modules) F(_follow_base)
static struct {
    NAMES(PYAD_FIELD)
} names;

/* Calls with more inputs are left to Python. */
#define MOST_INPUTS 16

/* What a step of a call comes to. */
typedef enum { FAILED = -1, LEFT_TO_PYTHON = 0, DONE = 1 } outcome;

typedef struct {
    op_object *op;
    PyObject *inputs, *attrs; /* borrowed */
    Py_ssize_t count;
    PyObject *arrays[MOST_INPUTS]; /* None: an input is absent */
    PyObject *layouts[MOST_INPUTS];
    PyObject *edges[MOST_INPUTS]; /* NULL: no gradient goes there */
    unsigned wanted;              /* a bit for each input that needs a gradient */
    int recording;
    PyObject *needs; /* the bits as a tuple */
    plan_object *plan;
    PyObject *floats;
} call;

static void let_go(call *self) {
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_XDECREF(self->arrays[i]);
        Py_XDECREF(self->layouts[i]);
        Py_XDECREF(self->edges[i]);
    }
    Py_XDECREF(self->needs);
    Py_XDECREF((PyObject *)self->plan);
    Py_XDECREF(self->floats);
}

int make_names(void) {
#define MAKE(name) \
    if ((names.name = PyUnicode_InternFromString(#name)) == NULL) return -1;
    NAMES(MAKE)
    return 0;
}

/* ---- the inputs ---- */

/* Renew a view's place in the graph if its base was changed through another view. */
static int follow_base(tensor_object *x) {
    if (x->_base == Py_None) return 0;
    PyObject *changes = ((tensor_object *)x->_base)->_changes;
    int same = PyObject_RichCompareBool(x->_base_changes, changes, Py_EQ);
    if (same != 0) return same < 0 ? -1 : 0;
    PyObject *nothing = PyObject_CallMethodObjArgs((PyObject *)x, names._follow_base, NULL);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

/* (node or leaf tensor, which of its outputs) */
static PyObject *new_edge(PyObject *source, Py_ssize_t output) {
    PyObject *number = PyLong_FromSsize_t(output);
    PyObject *edge = number == NULL ? NULL : PyTuple_Pack(2, source, number);
    Py_XDECREF(number);
    return edge;
}

PyObject *layout_of(array_object *array) {
    if (array->_layout != Py_None) return Py_NewRef(array->_layout);
    return PyObject_CallMethodObjArgs((PyObject *)array, names.layout, NULL);
}

static outcome take_tensor(call *self, Py_ssize_t i, tensor_object *x) {
    if (x->_array == NULL || Py_TYPE(x->_array) != array_class || x->_base == NULL ||
        x->_edge == NULL || x->_requires_grad == NULL) {
        return LEFT_TO_PYTHON; /* a tensor that is not set up */
    }
    if (follow_base(x) < 0) return FAILED;
    self->arrays[i] = Py_NewRef(x->_array);
    if (x->_requires_grad != Py_True) return DONE;
    self->wanted |= 1u << i;
    self->edges[i] = x->_edge != Py_None ? Py_NewRef(x->_edge) : new_edge((PyObject *)x, 0);
    return self->edges[i] == NULL ? FAILED : DONE;
}

static outcome take_number(call *self, Py_ssize_t i, PyObject *x) {
    PyObject *op = (PyObject *)self->op;
    self->arrays[i] = PyObject_CallFunctionObjArgs(TOOLS.constant_array, op, x, self->inputs, NULL);
    return self->arrays[i] == NULL ? FAILED : DONE;
}

static outcome take_input(call *self, Py_ssize_t i) {
    PyObject *x = PyTuple_GetItem(self->inputs, i);
    if (x == NULL) return FAILED;
    if (x == Py_None) {
        self->arrays[i] = Py_NewRef(Py_None);
        self->layouts[i] = Py_NewRef(Py_None);
        return DONE;
    }
    int is_tensor = Py_TYPE(x) == tensor_class || PyObject_TypeCheck(x, tensor_fields);
    outcome taken = is_tensor ? take_tensor(self, i, (tensor_object *)x) : take_number(self, i, x);
    if (taken != DONE) return taken;
    self->layouts[i] = layout_of((array_object *)self->arrays[i]);
    return self->layouts[i] == NULL ? FAILED : DONE;
}

/* Whether an attribute of what is this thread's own is true; -1 on error. */
static int is_set(PyObject *local, PyObject *name) {
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

static outcome take_inputs(call *self) {
    for (Py_ssize_t i = 0; i < self->count; i++) {
        outcome taken = take_input(self, i);
        if (taken != DONE) return taken;
    }
    if (self->wanted != 0) {
        int enabled = is_set(TOOLS.mode, names.enabled);
        int anomaly = enabled > 0 ? is_set(TOOLS.mode, names.anomaly) : 0;
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
    for (; PyDict_Next(self->attrs, &next, &name, &value); place++) {
        PyObject *pair = PyTuple_Pack(2, name, value);
        if (pair == NULL || PyTuple_SetItem(key, place, pair) < 0) return -1;
        if (kind != BY_TYPE) continue;
        PyObject *type = Py_NewRef((PyObject *)Py_TYPE(value));
        if (PyTuple_SetItem(key, place + count, type) < 0) return -1;
    }
    return 0;
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
    if (PyDict_Size(self->attrs) == 0) return NO_ATTRIBUTES;
    return Py_TYPE(self->attrs) == (PyTypeObject *)TOOLS.attributes ? KEPT : BY_VALUE;
}

/* Take a plan, if it is one and all its fields but the call are set. */
static outcome take_plan(call *self, PyObject *found) {
    if (found == NULL || !PyObject_TypeCheck(found, plan_fields)) return LEFT_TO_PYTHON;
    const plan_object *plan = (plan_object *)found;
    int is_set = plan->count && plan->differentiable && plan->dtypes && plan->floats && plan->info &&
                 plan->places && plan->shapes && plan->shown;
    if (is_set) self->plan = (plan_object *)Py_NewRef(found);
    return is_set ? DONE : LEFT_TO_PYTHON;
}

/* Take the plan that is kept under a key. */
static outcome look_up(call *self, PyObject *key) {
    if (key == NULL) return FAILED;
    outcome found = take_plan(self, PyDict_GetItemWithError(self->op->plans, key));
    Py_DECREF(key);
    if (found == DONE) return DONE;
    /* an attribute that can't be part of a key: Python knows what to say */
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) return FAILED;
    PyErr_Clear();
    return LEFT_TO_PYTHON;
}

/* The plan of an op that has one for every call, and the kernel's floats. */
static outcome find_planned(call *self) {
    attribute_kind kind = kind_of_attributes(self);
    int by_floats = self->op->params != Py_None;
    outcome found = look_up(self, key_of(self, 0, by_floats ? NO_ATTRIBUTES : kind));
    if (found != DONE) return found;
    if (kind == NO_ATTRIBUTES || !by_floats) {
        self->floats = Py_NewRef(self->plan->floats);
        return DONE;
    }
    PyObject *nothing = PyTuple_New(0);
    if (nothing == NULL) return FAILED;
    self->floats = PyObject_Call(self->op->params, nothing, self->attrs);
    Py_DECREF(nothing);
    return self->floats == NULL ? FAILED : DONE;
}

/* The same by `find_trace` itself. */
static outcome ask_for_trace(call *self) {
    PyObject *layouts = PyTuple_New(self->count);
    if (layouts == NULL) return FAILED;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyTuple_SetItem(layouts, i, Py_NewRef(self->layouts[i]));
    }
    PyObject *found = PyObject_CallFunctionObjArgs(TOOLS.find_trace, (PyObject *)self->op, layouts,
                                                   self->needs, self->attrs, NULL);
    Py_DECREF(layouts);
    PyObject *plan, *key, *held;
    if (found == NULL || !PyArg_ParseTuple(found, "OOO", &plan, &key, &held)) {
        Py_XDECREF(found);
        return FAILED;
    }
    outcome taken = take_plan(self, plan);
    if (taken == DONE) self->floats = Py_NewRef(held);
    Py_DECREF(found);
    return taken;
}

/* The trace of another op's call, see ops/trace.py. */
static outcome find_traced(call *self) {
    attribute_kind kind = kind_of_attributes(self);
    int unusual = PyTuple_Size(self->op->changes) > 0;
    if (kind != NO_ATTRIBUTES) unusual |= PySet_Contains(TOOLS.with_zeros, self->op->name) != 0;
    /* which attributes are declared as integers is not looked up yet */
    if (kind == BY_VALUE) unusual |= !PyDict_Check(self->op->integers);
    if (unusual) return ask_for_trace(self);
    if (kind == BY_VALUE && PyDict_Size(self->op->integers) > 0) kind = BY_TYPE;
    outcome found = look_up(self, key_of(self, 1, kind));
    if (found == DONE && (self->floats = PyTuple_New(0)) == NULL) return FAILED;
    return found;
}

PyObject *run_on_arrays(PyObject *run, PyObject *const *arrays, Py_ssize_t count, PyObject *floats) {
    if (Py_TYPE(run) == launch_type) return launch(run, arrays, count, floats);
    if (Py_TYPE(run) == view_type && count > 0) return view_of(run, arrays[0]);
    PyObject *all = PyTuple_New(count);
    if (all == NULL) return NULL;
    for (Py_ssize_t i = 0; i < count; i++) PyTuple_SetItem(all, i, Py_NewRef(arrays[i]));
    PyObject *result = PyObject_CallFunctionObjArgs(run, all, floats, NULL);
    Py_DECREF(all);
    return result;
}

/* What the plan's call gives. */
static PyObject *run_plan(const call *self) {
    PyObject *plan = (PyObject *)self->plan, *run = self->plan->call;
    /* a plan whose class has it as a method, or that is prepared when it is first looked for */
    run = run != NULL ? Py_NewRef(run) : PyObject_GetAttr(plan, names.call);
    if (run == NULL) return NULL;
    PyObject *result = run_on_arrays(run, self->arrays, self->count, self->floats);
    Py_DECREF(run);
    return result;
}

/* ---- the node ---- */

/* Which arrays are saved, by which inputs need a gradient. */
static PyObject *find_places(const call *self) {
    PyObject *places = PyDict_GetItemWithError(self->plan->places, self->needs);
    if (places != NULL) return Py_NewRef(places);
    if (PyErr_Occurred()) return NULL;
    PyObject *saves = self->op->saves;
    places = saves == Py_None ? PyTuple_New(0)
                              : PyObject_CallFunctionObjArgs(saves, self->needs, NULL);
    if (places != NULL && PyDict_SetItem(self->plan->places, self->needs, places) < 0) {
        Py_CLEAR(places);
    }
    return places;
}

/* (array, edge, output, version, None), or what `keep` gives of memory that others may change. */
static PyObject *pack_saved(PyObject *array, PyObject *edge, PyObject *output) {
    storage_object *storage = (storage_object *)((array_object *)array)->storage;
    int shared = storage->foreign == Py_True;
    if (!shared && storage->exports != Py_None) shared = PyObject_IsTrue(storage->exports);
    if (shared < 0) return NULL;
    if (shared) return PyObject_CallFunctionObjArgs(TOOLS.keep, array, edge, output, NULL);
    return PyTuple_Pack(5, array, edge, output, storage->version, Py_None);
}

static PyObject *edge_or_none(const call *self, Py_ssize_t i) {
    return self->edges[i] != NULL ? self->edges[i] : Py_None;
}

/* One array that is saved: an input's number or, after them, an output's, or (number, input) of an output
 * that holds the values of an input. */
static PyObject *save_one(const call *self, PyObject *place, PyObject *result) {
    PyObject *origin = NULL, *array, *edge = Py_None, *number = Py_None;
    if (PyTuple_Check(place)) {
        origin = PyTuple_GetItem(place, 1);
        place = PyTuple_GetItem(place, 0);
        if (origin == NULL || place == NULL) return NULL;
        if (origin == Py_None) origin = NULL;
    }
    if (place == Py_None) return Py_NewRef(Py_None);
    Py_ssize_t i = PyLong_AsSsize_t(place), from = origin == NULL ? 0 : PyLong_AsSsize_t(origin);
    if (PyErr_Occurred()) return NULL;
    if (i < self->count) {
        array = self->arrays[i];
        edge = edge_or_none(self, i);
        return array == Py_None ? Py_NewRef(Py_None) : pack_saved(array, edge, Py_None);
    }
    i -= self->count;
    array = PyTuple_Check(result) ? PyTuple_GetItem(result, i) : result;
    if (array == NULL) return NULL;
    if (array == Py_None) return Py_NewRef(Py_None);
    PyObject *held = PyLong_FromSsize_t(i);
    if (origin != NULL) {
        edge = edge_or_none(self, from);
    } else if (i < PyLong_AsSsize_t(self->plan->count)) {
        number = held;
    }
    PyObject *saved = held == NULL ? NULL : pack_saved(array, edge, number);
    Py_XDECREF(held);
    return saved;
}

static PyObject *save_all(const call *self, PyObject *result) {
    PyObject *places = find_places(self);
    PyObject *saved = places == NULL ? NULL : PyList_New(0);
    Py_ssize_t count = saved == NULL ? 0 : PyTuple_Size(places);
    for (Py_ssize_t i = 0; saved != NULL && i < count; i++) {
        PyObject *each = save_one(self, PyTuple_GetItem(places, i), result);
        if (each == NULL || PyList_Append(saved, each) < 0) Py_CLEAR(saved);
        Py_XDECREF(each);
    }
    Py_XDECREF(places);
    return count < 0 ? NULL : saved;
}

/* A weak reference to the module that is being called; None outside of modules. */
static PyObject *current_module(void) {
    PyObject *modules = PyObject_GetAttr(TOOLS.stack, names.modules);
    if (modules == NULL) return NULL;
    Py_ssize_t depth = PyList_Size(modules);
    PyObject *found = NULL;
    if (depth == 0) found = Py_NewRef(Py_None);
    if (depth > 0) found = PyWeakref_NewRef(PyList_GetItem(modules, depth - 1), NULL);
    Py_DECREF(modules);
    return found;
}

static PyObject *edges_of(const call *self) {
    PyObject *edges = PyList_New(self->count);
    for (Py_ssize_t i = 0; edges != NULL && i < self->count; i++) {
        PyList_SetItem(edges, i, Py_NewRef(edge_or_none(self, i)));
    }
    return edges;
}

/* Fill in what has to be found for a node. */
static int complete_node(node_object *node, const call *self, PyObject *result) {
    if ((node->edges = edges_of(self)) == NULL) return -1;
    if ((node->packed = save_all(self, result)) == NULL) return -1;
    if ((node->number = PyObject_CallNoArgs(TOOLS.numbers)) == NULL) return -1;
    if ((node->module = current_module()) == NULL) return -1;
    if (self->plan->info == Py_None) return 0;
    return PyObject_SetAttr((PyObject *)node, names.info, self->plan->info);
}

static PyObject *new_node(const call *self, PyObject *result) {
    PyObject *object = PyType_GenericAlloc(node_class, 0);
    if (object == NULL) return NULL;
    node_object *node = (node_object *)object;
    const plan_object *plan = self->plan;
    node->op = Py_NewRef((PyObject *)self->op);
    node->plan = Py_NewRef((PyObject *)plan);
    node->attrs = Py_NewRef(self->attrs);
    node->shapes = Py_NewRef(plan->shapes);
    node->dtypes = Py_NewRef(plan->dtypes);
    node->needs = Py_NewRef(self->needs);
    node->outputs = Py_NewRef(plan->count);
    node->released = Py_NewRef(Py_False);
    node->hooks = Py_NewRef(Py_None);
    node->retained = Py_NewRef(Py_None);
    node->masked_below = Py_NewRef(Py_False);
    if (complete_node(node, self, result) < 0) Py_CLEAR(object);
    return object;
}

/* ---- the outputs ---- */

PyObject *new_tensor(PyObject *array, PyObject *node, Py_ssize_t i) {
    PyObject *edge = node == NULL ? Py_NewRef(Py_None) : new_edge(node, i);
    PyObject *object = edge == NULL ? NULL : PyType_GenericAlloc(tensor_class, 0);
    if (object == NULL) {
        Py_XDECREF(edge);
        return NULL;
    }
    tensor_object *tensor = (tensor_object *)object;
    tensor->_array = Py_NewRef(array);
    tensor->_edge = edge;
    tensor->_requires_grad = Py_NewRef(node == NULL ? Py_False : Py_True);
    tensor->_grad = Py_NewRef(Py_None);
    tensor->_base = Py_NewRef(Py_None);
    tensor->_changes = PyLong_FromLong(0);
    tensor->_hooks = Py_NewRef(Py_None);
    tensor->_post_hooks = Py_NewRef(Py_None);
    return object;
}

static int is_floating(PyObject *array) {
    PyObject *category = PyObject_GetAttr(((array_object *)array)->dtype, names.category);
    int found = category == NULL ? -1 : PyObject_RichCompareBool(category, TOOLS.floating, Py_EQ);
    Py_XDECREF(category);
    return found;
}

/* One of several outputs; some of them may be integers. */
static PyObject *new_output(PyObject *array, PyObject *node, Py_ssize_t i) {
    int floating = node == NULL ? 0 : is_floating(array);
    return floating < 0 ? NULL : new_tensor(array, floating ? node : NULL, i);
}

/* Note whose memory a view shows, as tensor/views.py does. */
static void mark_view(tensor_object *source, tensor_object *view, int several) {
    tensor_object *base = source;
    PyObject *why = Py_None;
    if (source->_base != Py_None) {
        base = (tensor_object *)source->_base;
        if (source->_unchangeable != NULL) why = source->_unchangeable;
    }
    if (several) why = TOOLS.one_of_several;
    if (((array_object *)view->_array)->storage != ((array_object *)base->_array)->storage) return;
    if (source->_requires_grad == Py_True && view->_requires_grad != Py_True) {
        why = TOOLS.unrecorded;
    }
    PYAD_SET(view->_base, Py_NewRef((PyObject *)base));
    PYAD_SET(view->_base_changes, Py_NewRef(base->_changes));
    PYAD_SET(view->_unchangeable, Py_NewRef(why));
}

/* Whether an input is a number that was computed by a call whose graph is freed. */
static int is_released(const call *self, Py_ssize_t i) {
    if (self->edges[i] == NULL) return 0;
    PyObject *source = PyTuple_GetItem(self->edges[i], 0);
    PyObject *shape = ((array_object *)self->arrays[i])->shape;
    if (source == NULL || PyTuple_Size(shape) != 0 || Py_TYPE(source) != node_class) return 0;
    return ((node_object *)source)->released == Py_True;
}

/* `total += loss` keeps what is left of every step's graph alive: Python warns of it. */
static int warn_if_released(const call *self) {
    int found = 0;
    for (Py_ssize_t i = 0; i < self->count; i++) found |= is_released(self, i);
    if (!found) return 0;
    PyObject *edges = edges_of(self), *arrays = PyList_New(self->count), *nothing = NULL;
    for (Py_ssize_t i = 0; arrays != NULL && i < self->count; i++) {
        PyList_SetItem(arrays, i, Py_NewRef(self->arrays[i]));
    }
    if (edges != NULL && arrays != NULL) {
        nothing = PyObject_CallFunctionObjArgs(TOOLS.warn, edges, arrays, NULL);
    }
    Py_XDECREF(edges);
    Py_XDECREF(arrays);
    Py_XDECREF(nothing);
    return nothing == NULL ? -1 : 0;
}

static PyObject *several_outputs(const call *self, PyObject *arrays, PyObject *node) {
    Py_ssize_t count = PyTuple_Size(arrays);
    PyObject *all = PyTuple_New(count), *source = PyTuple_GetItem(self->inputs, 0);
    for (Py_ssize_t i = 0; all != NULL && i < count; i++) {
        PyObject *each = new_output(PyTuple_GetItem(arrays, i), node, i);
        if (each != NULL && self->op->view == Py_True) {
            mark_view((tensor_object *)source, (tensor_object *)each, count > 1);
        }
        if (each == NULL || PyTuple_SetItem(all, i, each) < 0) Py_CLEAR(all);
    }
    return all;
}

static PyObject *outputs_of(const call *self, PyObject *result, PyObject *node) {
    if (PyTuple_CheckExact(result)) return several_outputs(self, result, node);
    PyObject *output = new_tensor(result, node, 0);
    if (output == NULL) return NULL;
    if (self->op->view == Py_True) {
        PyObject *source = PyTuple_GetItem(self->inputs, 0);
        mark_view((tensor_object *)source, (tensor_object *)output, 0);
    } else if (node != NULL && self->op->name == TOOLS.add && warn_if_released(self) < 0) {
        Py_CLEAR(output);
    }
    return output;
}

/* ---- a call ---- */

static outcome prepare_call(call *self) {
    outcome found = take_inputs(self);
    if (found != DONE) return found;
    return self->op->plan != Py_None ? find_planned(self) : find_traced(self);
}

/* Run the plan, record the call, make the tensors. */
static PyObject *finish_call(const call *self) {
    PyObject *result = run_plan(self), *node = NULL, *found = NULL;
    if (result == NULL) return NULL;
    int recorded = self->recording && self->plan->differentiable == Py_True;
    if (recorded && (node = new_node(self, result)) == NULL) Py_CLEAR(result);
    if (result != NULL && self->plan->shown != Py_None) {
        PyObject *shown = PyObject_GetItem(result, self->plan->shown);
        Py_DECREF(result);
        result = shown;
    }
    if (result != NULL) found = outputs_of(self, result, node);
    Py_XDECREF(result);
    Py_XDECREF(node);
    return found;
}

static PyObject *apply_to(PyObject *op, PyObject *inputs, PyObject *attrs) {
    call self = {.op = (op_object *)op, .inputs = inputs, .attrs = attrs};
    outcome found = LEFT_TO_PYTHON;
    Py_ssize_t count = PyTuple_Size(inputs);
    if (count <= MOST_INPUTS) {
        self.count = count;
        found = prepare_call(&self);
    }
    PyObject *result = found == DONE ? finish_call(&self) : NULL;
    let_go(&self);
    if (found != LEFT_TO_PYTHON) return result;
    return PyObject_CallFunctionObjArgs(TOOLS.anew, op, inputs, attrs, NULL);
}

static PyObject *no_op(void) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "apply: expected the record of an op");
    return NULL;
}

PyObject *apply_known(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *op, *inputs, *attrs;
    if (!PyArg_UnpackTuple(arguments, "apply_known", 3, 3, &op, &inputs, &attrs)) return NULL;
    if (!PyObject_TypeCheck(op, op_fields)) return no_op();
    if (!PyDict_Check(attrs)) {
        return PyObject_CallFunctionObjArgs(TOOLS.anew, op, inputs, attrs, NULL);
    }
    inputs = PySequence_Tuple(inputs);
    if (inputs == NULL) return NULL;
    PyObject *found = apply_to(op, inputs, attrs);
    Py_DECREF(inputs);
    return found;
}

PyObject *apply(PyObject *module, PyObject *arguments, PyObject *keywords) {
    (void)module;
    PyObject *op = PyTuple_Size(arguments) > 0 ? PyTuple_GetItem(arguments, 0) : Py_None;
    if (!PyObject_TypeCheck(op, op_fields)) return no_op();
    PyObject *inputs = PyTuple_GetSlice(arguments, 1, PyTuple_Size(arguments));
    PyObject *attrs = keywords != NULL ? Py_NewRef(keywords) : PyDict_New(), *found = NULL;
    if (inputs != NULL && attrs != NULL) found = apply_to(op, inputs, attrs);
    Py_XDECREF(inputs);
    Py_XDECREF(attrs);
    return found;
}
