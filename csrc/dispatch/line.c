/* The beginning of a backward pass, where the graph has no branches: what graph/line.py does in
 * `line_in_python` and `fill_in_python`; and one node of the walk behind it.
 *
 * From a node the gradient of its output goes through the kernels that its rule was seen to run, and the
 * gradient of the one input that another node made goes on; the others are those of leaves. Where
 * something is out of the ordinary the line ends, and the walk in Python goes on.
 */
#include "dispatch.h"

struct line_tools line_tools;
#define TOOLS line_tools

/* Nodes with more arrays are left to Python. */
#define MOST_ARRAYS 48

/* ---- one node ---- */

/* Whether the fields are set that C reads of a node whose rule may be repeated, and are what it takes
 * them for. */
static int is_set_up(const node_object *node) {
    return node->op && is_op(node->op) && node->plan && node->attrs && node->needs && node->outputs &&
           node->edges && PyList_CheckExact(node->edges) && node->packed && PyList_CheckExact(node->packed);
}

/* Whether more is to be done at a node than to repeat its rule. */
static int is_special(const node_object *node) {
    return !is_set_up(node) || node->plan == Py_None || node->hooks != Py_None ||
           node->retained != Py_None || node->masked_below != Py_False;
}

static void release_arrays(PyObject **arrays, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) Py_DECREF(arrays[i]);
}

/* An array that was saved, if it is as it was then; NULL if not, or not surely. */
static PyObject *saved_array(PyObject *saved) {
    if (saved == Py_None) return Py_NewRef(Py_None);
    if (!PyTuple_CheckExact(saved) || PyTuple_Size(saved) < 5) return NULL;
    PyObject *array = PyTuple_GetItem(saved, 0), *version = PyTuple_GetItem(saved, 3);
    if (PyTuple_GetItem(saved, 4) != Py_None) return NULL;
    const storage_object *storage = storage_of("backward", array);
    if (storage == NULL) return NULL;
    if (storage->version == version) return Py_NewRef(array);
    /* large numbers are equal without being one object */
    if (!PyLong_Check(version) || !PyLong_Check(storage->version)) return NULL;
    int same = are_equal(storage->version, version);
    return same == 1 ? Py_NewRef(array) : NULL;
}

/* Take what the node's rule gets before the gradients: the saved arrays, which another thread may let the
 * node release while a kernel runs. Returns how many, -1 if the node is to be left to Python. */
static Py_ssize_t take_saved(const node_object *node, Py_ssize_t outputs, PyObject **arrays) {
    Py_ssize_t saved = PyList_Size(node->packed);
    if (saved > MOST_ARRAYS || outputs < 1 || outputs > MOST_ARRAYS - saved) return -1;
    for (Py_ssize_t i = 0; i < saved; i++) {
        if ((arrays[i] = saved_array(PyList_GetItem(node->packed, i))) != NULL) continue;
        release_arrays(arrays, i);
        return -1;
    }
    return saved;
}

/* The part of the key that does not depend on the gradient: see `kind_of`. */
static PyObject *kind_of(const node_object *node) {
    int by_attributes = 0;
    if (((op_object *)node->op)->params != Py_None) by_attributes = is_true(node->attrs);
    if (by_attributes < 0) return NULL;
    if (!by_attributes) {
        PyObject *plan = Py_NewRef(node->plan), *needs = Py_NewRef(node->needs);
        PyObject *pair = PyTuple_Pack(2, plan, needs);
        Py_DECREF(plan);
        Py_DECREF(needs);
        return pair;
    }
    PyObject *kind = PyObject_CallFunctionObjArgs(TOOLS.kind_of, (PyObject *)node, NULL);
    PyObject *found = kind == NULL ? NULL : PySequence_Tuple(kind);
    Py_XDECREF(kind);
    return found;
}

/* The key of the rule's kernel calls: kind, then the layouts of the gradients that come in. */
static PyObject *key_of(const node_object *node, PyObject *const *gradients, Py_ssize_t outputs) {
    PyObject *kind = kind_of(node);
    if (kind == NULL) return NULL;
    Py_ssize_t count = PyTuple_Size(kind);
    PyObject *key = PyTuple_New(count + outputs);
    for (Py_ssize_t i = 0; key != NULL && i < count; i++) {
        PyTuple_SetItem(key, i, Py_NewRef(PyTuple_GetItem(kind, i)));
    }
    for (Py_ssize_t i = 0; key != NULL && i < outputs; i++) {
        int absent = gradients[i] == Py_None;
        PyObject *layout = absent ? Py_NewRef(Py_None) : layout_of(gradients[i]);
        if (layout == NULL || PyTuple_SetItem(key, count + i, layout) < 0) Py_CLEAR(key);
    }
    Py_DECREF(kind);
    return key;
}

/* Say in whose gradient an error came up. */
static void annotate(node_object *node) {
    PyObject *type, *error, *traceback;
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    PyObject *nothing = PyObject_CallMethodObjArgs((PyObject *)node, attribute.annotate, error, NULL);
    if (nothing == NULL) PyErr_Clear();
    Py_XDECREF(nothing);
    PyErr_Restore(type, error, traceback);
}

/* How to repeat a node's rule. NULL without an error: it can't be, or was not seen yet. */
static PyObject *find_repeat(const node_object *node, PyObject *const *gradients, Py_ssize_t outputs) {
    PyObject *key = key_of(node, gradients, outputs);
    PyObject *repeat = key == NULL ? NULL : PyDict_GetItemWithError(TOOLS.repeats, key);
    if (repeat == Py_None) repeat = NULL;
    Py_XINCREF(repeat); /* what runs might empty the table */
    Py_XDECREF(key);
    return repeat;
}

/* The gradients of a node's inputs from saved arrays and, after them, those of its outputs. */
static PyObject *run_repeat(PyObject *repeat, PyObject *const *arrays, Py_ssize_t count) {
    PyObject *run = PyObject_GetAttr(repeat, attribute.run);
    if (run == NULL) return NULL;
    PyObject *found = run_on_arrays(run, arrays, count, TOOLS.nothing);
    Py_DECREF(run);
    return found;
}

/* The same from that of one output. NULL without an error: the line ends here. */
static PyObject *gradients_again(node_object *node, Py_ssize_t output, PyObject *gradient) {
    PyObject *arrays[MOST_ARRAYS], *found = NULL;
    Py_ssize_t outputs = PyLong_AsSsize_t(node->outputs);
    Py_ssize_t saved = PyErr_Occurred() ? -1 : take_saved(node, outputs, arrays);
    if (saved < 0) return NULL;
    for (Py_ssize_t i = 0; i < outputs; i++) {
        arrays[saved + i] = Py_NewRef(i == output ? gradient : Py_None);
    }
    PyObject *repeat = find_repeat(node, arrays + saved, outputs);
    PyObject *complete = repeat == NULL ? NULL : PyObject_GetAttr(repeat, attribute.complete);
    if (complete == Py_True && (found = run_repeat(repeat, arrays, saved + outputs)) == NULL) {
        annotate(node);
    }
    Py_XDECREF(complete);
    Py_XDECREF(repeat);
    release_arrays(arrays, saved + outputs);
    return found;
}

/* ---- one node of a walk ---- */

/* The array of a gradient that is a tensor, or None; NULL if it is something else. */
static PyObject *array_of(PyObject *gradient) {
    if (gradient == Py_None) return Py_NewRef(Py_None);
    if (Py_TYPE(gradient) != tensor_class) return NULL;
    PyObject *array = ((tensor_object *)gradient)->_array;
    return array != NULL && is_array(array) ? Py_NewRef(array) : NULL;
}

/* Take the arrays of gradients; -1 if one has none. */
static int take_gradients(PyObject *gradients, PyObject **arrays, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) {
        if ((arrays[i] = array_of(PyList_GetItem(gradients, i))) != NULL) continue;
        release_arrays(arrays, i);
        return -1;
    }
    return 0;
}

/* Put the gradients that come in where they are results, see `Repeat`. */
static int put_passed(PyObject *results, PyObject *repeat, PyObject *gradients) {
    PyObject *passed = PyObject_GetAttr(repeat, attribute.passed);
    Py_ssize_t count = passed == NULL ? -1 : PyTuple_Size(passed);
    int status = count < 0 ? -1 : 0;
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        Py_ssize_t place, number;
        if (!PyArg_ParseTuple(PyTuple_GetItem(passed, i), "nn", &place, &number)) status = -1;
        PyObject *gradient = status < 0 ? NULL : PyList_GetItem(gradients, number);
        if (gradient == NULL || PyTuple_SetItem(results, place, Py_NewRef(gradient)) < 0) status = -1;
    }
    Py_XDECREF(passed);
    return status;
}

static PyObject *as_tensors(PyObject *arrays, PyObject *repeat, PyObject *gradients) {
    Py_ssize_t count = PyTuple_Size(arrays);
    PyObject *results = count < 0 ? NULL : PyTuple_New(count);
    for (Py_ssize_t i = 0; results != NULL && i < count; i++) {
        PyObject *array = PyTuple_GetItem(arrays, i);
        PyObject *each = array == Py_None ? Py_NewRef(Py_None) : new_tensor(array, NULL, 0);
        if (each == NULL || PyTuple_SetItem(results, i, each) < 0) Py_CLEAR(results);
    }
    if (results != NULL && put_passed(results, repeat, gradients) < 0) Py_CLEAR(results);
    return results;
}

PyObject *repeat_gradients(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *object, *gradients, *arrays[MOST_ARRAYS];
    if (!PyArg_ParseTuple(arguments, "O!O!", node_class, &object, &PyList_Type, &gradients)) return NULL;
    const node_object *node = (node_object *)object;
    Py_ssize_t outputs = PyList_Size(gradients);
    Py_ssize_t saved = is_set_up(node) ? take_saved(node, outputs, arrays) : -1;
    if (saved >= 0 && take_gradients(gradients, arrays + saved, outputs) < 0) {
        release_arrays(arrays, saved);
        saved = -1;
    }
    if (saved < 0) return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    PyObject *repeat = find_repeat(node, arrays + saved, outputs);
    PyObject *found = repeat == NULL ? NULL : run_repeat(repeat, arrays, saved + outputs);
    PyObject *results = found == NULL ? NULL : as_tensors(found, repeat, gradients);
    Py_XDECREF(found);
    Py_XDECREF(repeat);
    release_arrays(arrays, saved + outputs);
    if (results == NULL && !PyErr_Occurred()) Py_RETURN_NONE;
    return results;
}

/* ---- down the line ---- */

typedef struct {
    PyObject *edge, *gradient; /* where it goes on; NULL: it has ended */
    PyObject *leaves, *found;
} line;

static int is_edge(PyObject *edge) { return PyTuple_CheckExact(edge) && PyTuple_Size(edge) == 2; }

/* The number of the one edge that leads to a node, -1 if none does, -2 if several do, or one is none. */
static Py_ssize_t way_on(PyObject *edges) {
    Py_ssize_t found = -1, count = PyList_Size(edges);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *edge = PyList_GetItem(edges, i);
        if (edge == Py_None) continue;
        if (!is_edge(edge)) return -2;
        if (Py_TYPE(PyTuple_GetItem(edge, 0)) != node_class) continue;
        if (found >= 0) return -2;
        found = i;
    }
    return found;
}

/* Note the leaves among a node's inputs and their gradients. */
static int take_leaves(line *self, PyObject *edges, Py_ssize_t on, PyObject *gradients) {
    Py_ssize_t count = PyList_Size(edges);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *edge = PyList_GetItem(edges, i);
        if (edge == Py_None || i == on || !is_edge(edge)) continue;
        PyObject *gradient = PyTuple_GetItem(gradients, i);
        if (gradient == NULL || PyList_Append(self->leaves, PyTuple_GetItem(edge, 0)) < 0 ||
            PyList_Append(self->found, gradient) < 0) {
            return -1;
        }
    }
    return 0;
}

static void release(node_object *node) {
    PYAD_SET(node->released, Py_NewRef(Py_True));
    int saves = node->packed != NULL && PyList_CheckExact(node->packed) && PyList_Size(node->packed) > 0;
    if (saves) PYAD_SET(node->packed, Py_NewRef(Py_None));
}

/* Go over to what the node's edge number `on` leads to; -1 on error. */
static int go_on(line *self, PyObject *edges, Py_ssize_t on, PyObject *gradients) {
    PyObject *edge = NULL, *gradient = NULL;
    if (on >= 0) {
        edge = Py_XNewRef(PyList_GetItem(edges, on));
        gradient = edge == NULL ? NULL : Py_XNewRef(PyTuple_GetItem(gradients, on));
        if (gradient != NULL && !is_array(gradient)) {
            PyErr_SetString(PyExc_TypeError, "backward: expected a gradient to be an Array");
            Py_CLEAR(gradient);
        }
    }
    PYAD_SET(self->edge, edge);
    PYAD_SET(self->gradient, gradient);
    if (PyErr_Occurred()) return -1;
    return edge != NULL;
}

/* One node further; 0 if the line ends here, -1 on error. */
static int step(line *self, int retain_graph) {
    if (!is_edge(self->edge)) return 0;
    PyObject *source = PyTuple_GetItem(self->edge, 0);
    if (Py_TYPE(source) != node_class || is_special((node_object *)source)) return 0;
    node_object *node = (node_object *)source;
    Py_ssize_t on = way_on(node->edges), output = PyLong_AsSsize_t(PyTuple_GetItem(self->edge, 1));
    if (output == -1 && PyErr_Occurred()) return -1;
    if (on == -2) return 0;
    PyObject *edges = Py_NewRef(node->edges);
    PyObject *gradients = gradients_again(node, output, self->gradient);
    int status = gradients == NULL && PyErr_Occurred() ? -1 : 0;
    if (gradients != NULL) {
        if (!retain_graph) release(node);
        status = take_leaves(self, edges, on, gradients);
        if (status == 0) status = go_on(self, edges, on, gradients); /* the node may be freed now */
    }
    Py_XDECREF(gradients);
    Py_DECREF(edges);
    return status;
}

PyObject *run_line(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *edge, *gradient, *result = NULL;
    int retain_graph;
    if (!PyArg_ParseTuple(arguments, "O!O!p", &PyTuple_Type, &edge, array_class, &gradient,
                          &retain_graph)) {
        return NULL;
    }
    line self = {Py_NewRef(edge), Py_NewRef(gradient), PyList_New(0), PyList_New(0)};
    int status = self.leaves == NULL || self.found == NULL ? -1 : 1;
    while (status > 0) status = step(&self, retain_graph);
    if (status == 0) {
        PyObject *where = self.edge != NULL ? self.edge : Py_None;
        PyObject *rest = self.gradient != NULL ? self.gradient : Py_None;
        result = PyObject_CallFunctionObjArgs(TOOLS.line, where, rest, self.leaves, self.found, NULL);
    }
    Py_XDECREF(self.edge);
    Py_XDECREF(self.gradient);
    Py_XDECREF(self.leaves);
    Py_XDECREF(self.found);
    return result;
}

/* ---- the leaves ---- */

/* Whether nobody waits: hooks are None or a dict. */
static int are_none(PyObject *hooks) {
    if (hooks == NULL) return 0;
    return hooks == Py_None || (PyDict_Check(hooks) && PyDict_Size(hooks) == 0);
}

/* Whether that is a leaf for whose gradient nobody waits. */
static int is_plain(PyObject *object) {
    if (!PyObject_TypeCheck(object, tensor_class)) return 0;
    const tensor_object *leaf = (tensor_object *)object;
    return leaf->_array != NULL && is_array(leaf->_array) && leaf->_grad != NULL &&
           leaf->_requires_grad == Py_True && are_none(leaf->_hooks) && are_none(leaf->_post_hooks);
}

/* Whether the leaves are plain and there once each; -1 on error. */
static int are_plain(PyObject *leaves) {
    Py_ssize_t count = PyList_Size(leaves);
    PyObject *seen = PySet_New(NULL);
    int plain = seen == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; plain > 0 && i < count; i++) {
        PyObject *object = PyList_GetItem(leaves, i);
        if (object == NULL) {
            plain = -1;
            break;
        }
        if (!is_plain(object)) {
            plain = 0;
            break;
        }
        PyObject *address = PyLong_FromVoidPtr(object);
        if (address == NULL || PySet_Add(seen, address) < 0) plain = -1;
        Py_XDECREF(address);
    }
    if (plain > 0 && PySet_Size(seen) < count) plain = 0;
    Py_XDECREF(seen);
    return plain;
}

/* Whether an array that one reference leads to may become the gradient of a leaf as it is: nothing else
 * has its memory, and it is laid out as the leaf. -1 on error. */
static int may_stay(const tensor_object *leaf, PyObject *object) {
    const array_object *array = (array_object *)object;
    const storage_object *storage = storage_of("backward", object);
    if (storage == NULL) return -1;
    if (Py_REFCNT(object) > 1 || Py_REFCNT(array->storage) > 1) return 0;
    if (storage->foreign != Py_False || storage->exports != Py_None) return 0;
    PyObject *strides = ((array_object *)leaf->_array)->strides;
    if (array->shape == NULL || array->strides == NULL || strides == NULL) return 0;
    PyObject *like = PyObject_CallFunctionObjArgs(TOOLS.strides_like, array->shape, strides, NULL);
    int same = like == NULL ? -1 : are_equal(like, array->strides);
    Py_XDECREF(like);
    return same;
}

/* Add a gradient, to which `array` is the one reference of the caller, to a leaf's. */
static int receive(PyObject *object, PyObject *array) {
    tensor_object *leaf = (tensor_object *)object;
    /* those before it may have run what has changed it */
    int stays = is_plain(object) && leaf->_grad == Py_None ? may_stay(leaf, array) : 0;
    if (stays < 0) return -1;
    if (!stays) {
        PyObject *nothing = PyObject_CallFunctionObjArgs(TOOLS.receive, object, array, NULL);
        Py_XDECREF(nothing);
        return nothing == NULL ? -1 : 0;
    }
    PyObject *gradient = new_tensor(array, NULL, 0);
    if (gradient == NULL) return -1;
    PYAD_SET(leaf->_grad, gradient);
    return 0;
}

PyObject *fill_leaves(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *leaves, *found;
    if (!PyArg_ParseTuple(arguments, "O!O!", &PyList_Type, &leaves, &PyList_Type, &found)) return NULL;
    int plain = are_plain(leaves);
    if (plain < 0) return NULL;
    if (!plain) Py_RETURN_FALSE;
    Py_ssize_t count = PyList_Size(leaves);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *array = Py_XNewRef(PyList_GetItem(found, i));
        PyObject *leaf = array == NULL ? NULL : Py_XNewRef(PyList_GetItem(leaves, i));
        int status = leaf == NULL ? -1 : PyList_SetItem(found, i, Py_NewRef(Py_None));
        /* now the one reference to the array is here */
        if (status == 0) status = receive(leaf, array);
        Py_XDECREF(array);
        Py_XDECREF(leaf);
        if (status < 0) return NULL;
    }
    Py_RETURN_TRUE;
}
