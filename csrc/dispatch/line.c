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

static struct {
    PyObject *annotate, *complete, *passed, *run;
} names;

int make_line_names(void) {
    names.annotate = PyUnicode_InternFromString("annotate");
    names.complete = PyUnicode_InternFromString("complete");
    names.passed = PyUnicode_InternFromString("passed");
    names.run = PyUnicode_InternFromString("run");
    int made = names.annotate && names.complete && names.passed && names.run;
    return made ? 0 : -1;
}

/* ---- one node ---- */

/* Whether more is to be done at a node than to repeat its rule. */
static int is_special(const node_object *node) {
    return node->plan == Py_None || node->hooks != Py_None || node->retained != Py_None ||
           node->masked_below != Py_False || node->packed == Py_None;
}

/* Borrow an array that was saved, if it is as it was then; NULL if not, or not surely. */
static PyObject *saved_array(PyObject *saved) {
    if (saved == Py_None) return Py_None;
    PyObject *array = PyTuple_GetItem(saved, 0), *version = PyTuple_GetItem(saved, 3);
    if (array == NULL || version == NULL || PyTuple_GetItem(saved, 4) != Py_None) return NULL;
    PyObject *now = ((storage_object *)((array_object *)array)->storage)->version;
    return now == version || PyObject_RichCompareBool(now, version, Py_EQ) == 1 ? array : NULL;
}

/* Borrow what the node's rule takes before the gradients: the saved arrays. Returns how many, -1 if the
 * node is to be left to Python. */
static Py_ssize_t take_saved(const node_object *node, Py_ssize_t outputs, PyObject **arrays) {
    Py_ssize_t saved = PyList_Size(node->packed);
    if (saved < 0 || outputs < 1 || saved + outputs > MOST_ARRAYS) return -1;
    for (Py_ssize_t i = 0; i < saved; i++) {
        if ((arrays[i] = saved_array(PyList_GetItem(node->packed, i))) == NULL) return -1;
    }
    return saved;
}

/* The part of the key that does not depend on the gradient: see `kind_of`. */
static PyObject *kind_of(const node_object *node) {
    int by_attributes = ((op_object *)node->op)->params != Py_None && PyObject_IsTrue(node->attrs);
    if (!by_attributes) return PyTuple_Pack(2, node->plan, node->needs);
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
        PyObject *layout = absent ? Py_NewRef(Py_None) : layout_of((array_object *)gradients[i]);
        if (layout == NULL || PyTuple_SetItem(key, count + i, layout) < 0) Py_CLEAR(key);
    }
    Py_DECREF(kind);
    return key;
}

/* Say in whose gradient an error came up. */
static void annotate(node_object *node) {
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    PyObject *nothing = PyObject_CallMethodObjArgs((PyObject *)node, names.annotate, error, NULL);
    if (nothing == NULL) PyErr_Clear();
    Py_XDECREF(nothing);
    PyErr_Restore(type, error, traceback);
}

/* How to repeat a node's rule, borrowed. NULL without an error: it can't be, or was not seen yet. */
static PyObject *find_repeat(const node_object *node, PyObject *const *gradients, Py_ssize_t outputs) {
    PyObject *key = key_of(node, gradients, outputs);
    PyObject *repeat = key == NULL ? NULL : PyDict_GetItemWithError(TOOLS.repeats, key);
    Py_XDECREF(key);
    return repeat == Py_None ? NULL : repeat;
}

/* The gradients of a node's inputs from saved arrays and, after them, those of its outputs. */
static PyObject *run_repeat(PyObject *repeat, PyObject *const *arrays, Py_ssize_t count) {
    PyObject *run = PyObject_GetAttr(repeat, names.run);
    if (run == NULL) return NULL;
    PyObject *found = run_on_arrays(run, arrays, count, TOOLS.nothing);
    Py_DECREF(run);
    return found;
}

/* The same from that of one output. NULL without an error: the line ends here. */
static PyObject *gradients_again(node_object *node, Py_ssize_t output, PyObject *gradient) {
    PyObject *arrays[MOST_ARRAYS];
    Py_ssize_t outputs = PyLong_AsSsize_t(node->outputs), saved = take_saved(node, outputs, arrays);
    if (saved < 0) return NULL;
    for (Py_ssize_t i = 0; i < outputs; i++) arrays[saved + i] = i == output ? gradient : Py_None;
    PyObject *repeat = find_repeat(node, arrays + saved, outputs);
    PyObject *complete = repeat == NULL ? NULL : PyObject_GetAttr(repeat, names.complete);
    Py_XDECREF(complete);
    if (complete != Py_True) return NULL;
    PyObject *found = run_repeat(repeat, arrays, saved + outputs);
    if (found == NULL) annotate(node);
    return found;
}

/* ---- one node of a walk ---- */

/* Borrow the arrays of gradients that are tensors or None; -1 if one is something else. */
static int take_gradients(PyObject *gradients, PyObject **arrays, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *each = PyList_GetItem(gradients, i);
        arrays[i] = Py_None;
        if (each == Py_None) continue;
        if (each == NULL || Py_TYPE(each) != tensor_class) return -1;
        arrays[i] = ((tensor_object *)each)->_array;
    }
    return 0;
}

/* Put the gradients that come in where they are results, see `Repeat`. */
static int put_passed(PyObject *results, PyObject *repeat, PyObject *gradients) {
    PyObject *passed = PyObject_GetAttr(repeat, names.passed);
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
    node_object *node = (node_object *)object;
    Py_ssize_t outputs = PyList_Size(gradients), saved = -1;
    if (node->packed != Py_None) saved = take_saved(node, outputs, arrays);
    if (saved < 0 || take_gradients(gradients, arrays + saved, outputs) < 0) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    PyObject *repeat = find_repeat(node, arrays + saved, outputs);
    if (repeat == NULL) return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    Py_INCREF(repeat); /* what runs might empty the table */
    PyObject *found = run_repeat(repeat, arrays, saved + outputs);
    PyObject *results = found == NULL ? NULL : as_tensors(found, repeat, gradients);
    Py_XDECREF(found);
    Py_DECREF(repeat);
    return results;
}

/* ---- down the line ---- */

typedef struct {
    PyObject *edge, *gradient; /* where it goes on; NULL: it has ended */
    PyObject *leaves, *found;
} line;

/* The number of the one edge that leads to a node, -1 if none does, -2 if several do. */
static Py_ssize_t way_on(PyObject *edges) {
    Py_ssize_t found = -1, count = PyList_Size(edges);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *edge = PyList_GetItem(edges, i);
        if (edge == Py_None || Py_TYPE(PyTuple_GetItem(edge, 0)) != node_class) continue;
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
        if (edge == Py_None || i == on) continue;
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
    if (PyList_Size(node->packed) > 0) PYAD_SET(node->packed, Py_NewRef(Py_None));
}

/* One node further; 0 if the line ends here, -1 on error. */
static int step(line *self, int retain_graph) {
    PyObject *source = PyTuple_GetItem(self->edge, 0), *number = PyTuple_GetItem(self->edge, 1);
    if (source == NULL || number == NULL) return -1;
    if (Py_TYPE(source) != node_class || is_special((node_object *)source)) return 0;
    node_object *node = (node_object *)source;
    Py_ssize_t on = way_on(node->edges);
    if (on == -2) return 0;
    PyObject *gradients = gradients_again(node, PyLong_AsSsize_t(number), self->gradient);
    if (gradients == NULL) return PyErr_Occurred() ? -1 : 0;
    if (!retain_graph) release(node);
    int status = take_leaves(self, node->edges, on, gradients);
    PyObject *edge = on < 0 ? NULL : Py_NewRef(PyList_GetItem(node->edges, on));
    PyObject *gradient = on < 0 ? NULL : Py_XNewRef(PyTuple_GetItem(gradients, on));
    Py_DECREF(gradients);
    PYAD_SET(self->edge, edge); /* now the node may be freed */
    PYAD_SET(self->gradient, gradient);
    if (status < 0 || (edge != NULL && gradient == NULL)) return -1;
    return edge != NULL;
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

/* Whether the leaves are there once each and nobody waits for their gradients. */
static int are_plain(PyObject *leaves) {
    Py_ssize_t count = PyList_Size(leaves);
    PyObject *seen = PySet_New(NULL);
    int plain = seen == NULL ? -1 : 1;
    for (Py_ssize_t i = 0; plain > 0 && i < count; i++) {
        PyObject *object = PyList_GetItem(leaves, i);
        const tensor_object *leaf = (tensor_object *)object;
        if (!PyObject_TypeCheck(object, tensor_fields)) plain = 0;
        if (!plain || leaf->_requires_grad != Py_True || leaf->_hooks == NULL ||
            leaf->_post_hooks == NULL || leaf->_grad == NULL ||
            (leaf->_hooks != Py_None && PyObject_IsTrue(leaf->_hooks)) ||
            (leaf->_post_hooks != Py_None && PyObject_IsTrue(leaf->_post_hooks))) {
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
    const storage_object *storage = (storage_object *)array->storage;
    if (Py_REFCNT(object) > 1 || Py_REFCNT(array->storage) > 1) return 0;
    if (storage->foreign != Py_False || storage->exports != Py_None) return 0;
    PyObject *strides = ((array_object *)leaf->_array)->strides;
    PyObject *like = PyObject_CallFunctionObjArgs(TOOLS.strides_like, array->shape, strides, NULL);
    int same = like == NULL ? -1 : PyObject_RichCompareBool(like, array->strides, Py_EQ);
    Py_XDECREF(like);
    return same;
}

/* Add a gradient, to which `array` is the one reference of the caller, to a leaf's. */
static int receive(tensor_object *leaf, PyObject *array) {
    int stays = leaf->_grad == Py_None ? may_stay(leaf, array) : 0;
    if (stays < 0) return -1;
    PyObject *object = (PyObject *)leaf;
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
        PyObject *array = PyList_GetItem(found, i);
        if (array == NULL) return NULL;
        Py_INCREF(array);
        PyList_SetItem(found, i, Py_NewRef(Py_None)); /* now the one reference is here */
        int status = receive((tensor_object *)PyList_GetItem(leaves, i), array);
        Py_DECREF(array);
        if (status < 0) return NULL;
    }
    Py_RETURN_TRUE;
}
