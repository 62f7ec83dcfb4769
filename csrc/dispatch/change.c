/* Changes in place that are not recorded: an op that writes over its first input, as `overwrite` in
 * tensor/in_place.py runs it, and a tensor's values copied into another, as `_assign` does.
 *
 * With a graph, or where memory is shared in another way than element by element, Python does it.
 */
#include "call.h"

struct change_tools change_tools;
#define TOOLS change_tools

/* ---- the tensor that is changed ---- */

/* Whether a tensor may be a copy in place of a view, whose changes Python lets through or refuses. */
static int may_stand_for_view(const tensor_object *x) {
    if (x->_base == NULL || x->_base == Py_None || x->_unchangeable == NULL) return 0;
    return x->_unchangeable != Py_None && !PyUnicode_Check(x->_unchangeable);
}

/* Whether no graph has to learn of a change: of a tensor without a place in one, or a view of such. */
static int is_free(const tensor_object *x) {
    if (x->_requires_grad != Py_False || x->_edge != Py_None || x->_changes == NULL) return 0;
    if (x->_base == Py_None) return 1;
    if (x->_base == NULL || !is_of(x->_base, tensor_class) || may_stand_for_view(x)) return 0;
    const tensor_object *base = (tensor_object *)x->_base;
    return base->_requires_grad == Py_False && base->_edge == Py_None && base->_base == Py_None &&
           base->_changes != NULL;
}

/* Count the change of a tensor that `is_free`, and of its memory, as `_take_edge` does. */
static int note_change(PyObject *object, PyObject *array, int enabled) {
    storage_object *storage = storage_of("change in place", array);
    if (storage == NULL || count_change(storage, TOOLS.one) < 0) return -1;
    tensor_object *x = (tensor_object *)object;
    if (!enabled || x->_changes == NULL) return 0;
    if (add_to(&x->_changes, TOOLS.one, object) < 0) return -1;
    if (x->_base != NULL && is_of(x->_base, tensor_class)) {
        PYAD_SET(x->_base_changes, Py_XNewRef(((tensor_object *)x->_base)->_changes));
    }
    return 0;
}

/* Whether a storage's memory may be another one's, too: NumPy has brought it, or was shown it. */
static int is_known_to_others(const storage_object *storage) {
    return storage->foreign != Py_False || storage->exports != Py_None;
}

/* Whether writing to one array may change another element of the other one; 1 if that is not sure. */
static int is_read_elsewhere(PyObject *theirs, PyObject *mine) {
    const array_object *x = (array_object *)theirs, *y = (array_object *)mine;
    const storage_object *first = storage_of("change in place", theirs);
    const storage_object *second = storage_of("change in place", mine);
    if (first == NULL || second == NULL) {
        PyErr_Clear();
        return 1;
    }
    if (first != second) {
        const int foreign = first->foreign != Py_False || second->foreign != Py_False;
        return foreign && is_known_to_others(first) && is_known_to_others(second);
    }
    if (x->offset == NULL || y->offset == NULL) return 1;
    PyObject *one = layout_of(theirs), *other = one == NULL ? NULL : layout_of(mine);
    int same = other == NULL ? -1 : are_equal(one, other);
    if (same == 1) same = are_equal(x->offset, y->offset);
    Py_XDECREF(one);
    Py_XDECREF(other);
    PyErr_Clear();
    return same != 1;
}

/* ---- an op over its first input ---- */

/* What runs the call's plan over the first input; NULL without an error: there is none yet. */
static PyObject *find_over(const call *self) {
    if ((PyObject *)Py_TYPE((PyObject *)self->plan) != TOOLS.kernel_plan) return NULL;
    PyObject *over = PyObject_GetAttr((PyObject *)self->plan, attribute._over);
    if (over == Py_None) Py_CLEAR(over);
    return over;
}

/* Whether the inputs are tensors whose memory the call may read while it writes over the first. */
static int are_apart(const call *self) {
    for (Py_ssize_t i = 0; i < self->count; i++) {
        if (!is_of(self->inputs[i], tensor_class)) return 0;
        if (i > 0 && is_read_elsewhere(self->arrays[i], self->arrays[0])) return 0;
    }
    return 1;
}

static outcome run_over(call *self) {
    if (open_maps > 0) return LEFT_TO_PYTHON;
    outcome found = take_inputs(self);
    if (found != DONE || self->recording) return found == DONE ? LEFT_TO_PYTHON : found;
    int enabled = is_set(apply_tools.mode, attribute.enabled);
    if (enabled < 0) return FAILED;
    PyObject *x = self->inputs[0];
    const tensor_object *changed = (tensor_object *)x;
    if (!are_apart(self) || (enabled ? !is_free(changed) : may_stand_for_view(changed))) {
        return LEFT_TO_PYTHON;
    }
    if (!is_op((PyObject *)self->op) || self->op->plan == Py_None) return LEFT_TO_PYTHON;
    if ((found = find_planned(self)) != DONE) return found;
    PyObject *over = find_over(self);
    if (over == NULL) return PyErr_Occurred() ? FAILED : LEFT_TO_PYTHON;
    PyObject *nothing = run_on_arrays(over, self->arrays, self->count, self->floats);
    Py_DECREF(over);
    if (nothing == NULL) return FAILED;
    Py_DECREF(nothing);
    return note_change(x, self->arrays[0], enabled) < 0 ? FAILED : DONE;
}

/* The call in Python, with what it was given. */
static PyObject *overwrite_in_python(PyObject *const *arguments, Py_ssize_t count, PyObject *attrs) {
    PyObject *given = tuple_from(arguments, count);
    PyObject *found = given == NULL ? NULL : PyObject_Call(TOOLS.overwrite, given, attrs);
    Py_XDECREF(given);
    return found;
}

PyObject *overwrite(PyObject *module, PyObject *const *arguments, Py_ssize_t count, PyObject *names) {
    (void)module;
    PyObject *attrs = NULL, *result = NULL;
    int named = names != NULL && PyTuple_Size(names) > 0;
    if (named && (attrs = keywords_as_dict(names, arguments + count)) == NULL) return NULL;
    outcome found = LEFT_TO_PYTHON;
    if (count >= 3 && count - 2 <= MOST_INPUTS && PyObject_TypeCheck(arguments[1], op_fields) &&
        is_of(arguments[2], tensor_class)) {
        call self = {.op = (op_object *)arguments[1],
                     .inputs = arguments + 2,
                     .count = count - 2,
                     .attrs = attrs};
        found = run_over(&self);
        let_go(&self);
    }
    if (found == DONE) result = Py_NewRef(arguments[2]);
    if (found == LEFT_TO_PYTHON) result = overwrite_in_python(arguments, count, attrs);
    Py_XDECREF(attrs);
    return result;
}

/* ---- values of another tensor ---- */

/* What copies arrays of such layouts; NULL without an error: there is nothing yet. */
static PyObject *find_copy(PyObject *theirs, PyObject *mine) {
    PyObject *from = layout_of(theirs), *to = from == NULL ? NULL : layout_of(mine);
    PyObject *key = to == NULL ? NULL : PyTuple_Pack(2, from, to), *found = NULL;
    if (key != NULL) found = Py_XNewRef(PyDict_GetItemWithError(TOOLS.copies, key));
    Py_XDECREF(from);
    Py_XDECREF(to);
    Py_XDECREF(key);
    return found;
}

/* Whether two arrays are alike and apart, and the values may be copied as they are. */
static int may_copy(PyObject *theirs, PyObject *mine) {
    const array_object *from = (array_object *)theirs, *to = (array_object *)mine;
    if (from->dtype == NULL || from->dtype != to->dtype || from->storage == to->storage) return 0;
    if (from->shape == NULL || to->shape == NULL || is_read_elsewhere(theirs, mine)) return 0;
    return from->shape == to->shape || are_equal(from->shape, to->shape) == 1;
}

static outcome copy_values(tensor_object *x, tensor_object *from) {
    if (open_maps > 0) return LEFT_TO_PYTHON;
    int enabled = is_set(apply_tools.mode, attribute.enabled);
    if (enabled < 0) return FAILED;
    if (enabled && (!is_free(x) || from->_base != Py_None || from->_requires_grad != Py_False)) {
        return LEFT_TO_PYTHON;
    }
    if (from->_edge != Py_None || x->_array == NULL || from->_array == NULL) return LEFT_TO_PYTHON;
    if (!is_array(x->_array) || !is_array(from->_array)) return LEFT_TO_PYTHON;
    PyObject *arrays[2] = {Py_NewRef(from->_array), Py_NewRef(x->_array)};
    PyObject *run = may_copy(arrays[0], arrays[1]) ? find_copy(arrays[0], arrays[1]) : NULL;
    PyObject *nothing = run == NULL ? NULL : run_on_arrays(run, arrays, 2, TOOLS.nothing);
    outcome found = run == NULL && !PyErr_Occurred() ? LEFT_TO_PYTHON : FAILED;
    if (nothing != NULL && note_change((PyObject *)x, arrays[1], enabled) == 0) found = DONE;
    Py_XDECREF(nothing);
    Py_XDECREF(run);
    Py_DECREF(arrays[0]);
    Py_DECREF(arrays[1]);
    return found;
}

PyObject *assign(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (expect_count("assign", count, 3) < 0) return NULL;
    PyObject *x = arguments[0], *name = arguments[1], *result = arguments[2];
    outcome found = LEFT_TO_PYTHON;
    if (is_of(x, tensor_class) && is_of(result, tensor_class)) {
        found = copy_values((tensor_object *)x, (tensor_object *)result);
    }
    if (found == DONE) return Py_NewRef(x);
    if (found == FAILED) return NULL;
    return PyObject_CallFunctionObjArgs(TOOLS.assign, x, name, result, NULL);
}
