/* What is left of a call that has run: its node, if it is recorded, as graph/record.py makes it, and the
 * tensors on its outputs, as tensor/core.py and tensor/views.py do.
 */
#include "call.h"

#define TOOLS apply_tools

/* ---- the node ---- */

/* Which arrays are saved, by which inputs need a gradient. */
static PyObject *find_places(const call *self) {
    PyObject *kept = Py_XNewRef(self->plan->places), *saves = Py_XNewRef(self->op->saves);
    PyObject *places = Py_XNewRef(PyDict_GetItemWithError(kept, self->needs));
    if (places == NULL && !PyErr_Occurred()) {
        int none = saves == NULL || saves == Py_None;
        places = none ? PyTuple_New(0) : PyObject_CallFunctionObjArgs(saves, self->needs, NULL);
        if (places != NULL && PyDict_SetItem(kept, self->needs, places) < 0) Py_CLEAR(places);
    }
    Py_XDECREF(kept);
    Py_XDECREF(saves);
    return places;
}

/* (array, edge, output, version, None), or what `keep` gives of memory that others may change. */
static PyObject *pack_saved(PyObject *array, PyObject *edge, PyObject *output) {
    const storage_object *storage = storage_of("apply", array);
    if (storage == NULL) return NULL;
    int shared = storage->foreign != Py_False;
    if (!shared && storage->exports != Py_None && storage->exports != NULL) {
        shared = is_true(storage->exports);
        if (shared < 0 || (storage = storage_of("apply", array)) == NULL) return NULL;
    }
    if (shared) return PyObject_CallFunctionObjArgs(TOOLS.keep, array, edge, output, NULL);
    PyObject *version = Py_NewRef(storage->version);
    PyObject *saved = PyTuple_Pack(5, array, edge, output, version, Py_None);
    Py_DECREF(version);
    return saved;
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
    if (i < 0 || from < 0 || (origin != NULL && from >= self->count)) {
        return PyErr_Format(PyExc_IndexError, "saves: there is no input number %zd", i < 0 ? i : from);
    }
    if (i < self->count) {
        array = self->arrays[i];
        edge = edge_or_none(self, i);
        return array == Py_None ? Py_NewRef(Py_None) : pack_saved(array, edge, Py_None);
    }
    i -= self->count;
    array = PyTuple_Check(result) ? PyTuple_GetItem(result, i) : result;
    if (array == NULL) return NULL;
    if (array == Py_None) return Py_NewRef(Py_None);
    Py_ssize_t outputs = PyLong_AsSsize_t(self->plan->count);
    if (outputs < 0 && PyErr_Occurred()) return NULL;
    PyObject *held = PyLong_FromSsize_t(i);
    if (origin != NULL) {
        edge = edge_or_none(self, from);
    } else if (i < outputs) {
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
    if (count < 0) Py_CLEAR(saved);
    return saved;
}

/* A weak reference to the module that is being called; None outside of modules. */
static PyObject *current_module(void) {
    PyObject *modules = PyObject_GetAttr(TOOLS.stack, attribute.modules);
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
    if ((node->attrs = attributes_of(self)) == NULL) return -1;
    if ((node->edges = edges_of(self)) == NULL) return -1;
    if ((node->packed = save_all(self, result)) == NULL) return -1;
    if ((node->number = PyObject_CallNoArgs(TOOLS.numbers)) == NULL) return -1;
    if ((node->module = current_module()) == NULL) return -1;
    if (self->plan->info == Py_None || self->plan->info == NULL) return 0;
    return PyObject_SetAttr((PyObject *)node, attribute.info, self->plan->info);
}

PyObject *new_node(const call *self, PyObject *result) {
    PyObject *object = PyType_GenericAlloc(node_class, 0);
    if (object == NULL) return NULL;
    node_object *node = (node_object *)object;
    const plan_object *plan = self->plan;
    node->op = Py_NewRef((PyObject *)self->op);
    node->plan = Py_NewRef((PyObject *)plan);
    node->shapes = Py_XNewRef(plan->shapes);
    node->dtypes = Py_XNewRef(plan->dtypes);
    node->needs = Py_NewRef(self->needs);
    node->outputs = Py_XNewRef(plan->count);
    node->released = Py_NewRef(Py_False);
    node->hooks = Py_NewRef(Py_None);
    node->retained = Py_NewRef(Py_None);
    node->masked_below = Py_NewRef(Py_False);
    if (complete_node(node, self, result) < 0) Py_CLEAR(object);
    return object;
}

/* ---- the outputs ---- */

PyObject *new_edge(PyObject *source, Py_ssize_t output) {
    PyObject *number = PyLong_FromSsize_t(output);
    PyObject *edge = number == NULL ? NULL : PyTuple_Pack(2, source, number);
    Py_XDECREF(number);
    return edge;
}

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
    PyObject *dtype = is_array(array) ? Py_XNewRef(((array_object *)array)->dtype) : NULL;
    if (dtype == NULL) {
        PyErr_SetString(PyExc_TypeError, "apply: expected an op to give arrays");
        return -1;
    }
    PyObject *category = PyObject_GetAttr(dtype, attribute.category);
    Py_DECREF(dtype);
    int found = category == NULL ? -1 : PyObject_RichCompareBool(category, TOOLS.floating, Py_EQ);
    Py_XDECREF(category);
    return found;
}

/* One of several outputs; some of them may be integers. */
static PyObject *new_output(PyObject *array, PyObject *node, Py_ssize_t i) {
    int floating = node == NULL ? 0 : is_floating(array);
    return floating < 0 ? NULL : new_tensor(array, floating ? node : NULL, i);
}

/* Whether a tensor's array has another's memory; 0 also if one has none. */
static int shows_memory_of(const tensor_object *view, const tensor_object *base) {
    if (view->_array == NULL || base->_array == NULL) return 0;
    if (!is_array(view->_array) || !is_array(base->_array)) return 0;
    return ((array_object *)view->_array)->storage == ((array_object *)base->_array)->storage;
}

/* Note whose memory a view of the first input shows, as tensor/views.py does; -1 on error. */
static int mark_view(const call *self, PyObject *made, int several) {
    PyObject *first = self->count > 0 ? self->inputs[0] : Py_None, *why = Py_None;
    const tensor_object *source = (tensor_object *)first, *base = source;
    int is_tensor = is_of(first, tensor_class);
    if (is_tensor && source->_base != NULL && source->_base != Py_None) {
        is_tensor = is_of(source->_base, tensor_class);
        base = (tensor_object *)source->_base;
        if (source->_unchangeable != NULL) why = source->_unchangeable;
    }
    if (!is_tensor || base->_changes == NULL) {
        PyErr_SetString(PyExc_TypeError, "apply: expected a view to be one of a tensor");
        return -1;
    }
    tensor_object *view = (tensor_object *)made;
    if (several) why = TOOLS.one_of_several;
    if (!shows_memory_of(view, base)) return 0;
    if (source->_requires_grad == Py_True && view->_requires_grad != Py_True) {
        why = TOOLS.unrecorded;
    }
    PYAD_SET(view->_base, Py_NewRef((PyObject *)base));
    PYAD_SET(view->_base_changes, Py_NewRef(base->_changes));
    PYAD_SET(view->_unchangeable, Py_NewRef(why));
    return 0;
}

/* Whether an input is a number that was computed by a call whose graph is freed. */
static int is_released(const call *self, Py_ssize_t i) {
    if (self->edges[i] == NULL) return 0;
    PyObject *shape = ((array_object *)self->arrays[i])->shape, *edge = self->edges[i];
    if (shape == NULL || !PyTuple_CheckExact(shape) || PyTuple_Size(shape) != 0) return 0;
    if (!PyTuple_CheckExact(edge) || PyTuple_Size(edge) == 0) return 0;
    PyObject *source = PyTuple_GetItem(edge, 0);
    return Py_TYPE(source) == node_class && ((node_object *)source)->released == Py_True;
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
    PyObject *all = PyTuple_New(count);
    for (Py_ssize_t i = 0; all != NULL && i < count; i++) {
        PyObject *each = new_output(PyTuple_GetItem(arrays, i), node, i);
        if (each != NULL && self->op->view == Py_True && mark_view(self, each, count > 1) < 0) {
            Py_CLEAR(each);
        }
        if (each == NULL || PyTuple_SetItem(all, i, each) < 0) Py_CLEAR(all);
    }
    return all;
}

PyObject *outputs_of(const call *self, PyObject *result, PyObject *node) {
    if (PyTuple_CheckExact(result)) return several_outputs(self, result, node);
    PyObject *output = new_tensor(result, node, 0);
    if (output == NULL) return NULL;
    if (self->op->view == Py_True) {
        if (mark_view(self, output, 0) < 0) Py_CLEAR(output);
    } else if (node != NULL && self->op->name == TOOLS.add && warn_if_released(self) < 0) {
        Py_CLEAR(output);
    }
    return output;
}
