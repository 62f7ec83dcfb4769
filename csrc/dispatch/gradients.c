/* The gradients of parameters, as an optimizer's step wants them: what `gradients_in_python` in
 * tensor/core.py does, in one walk; and their end, what `zero_grad` in optim/optimizer.py does.
 */
#include "dispatch.h"

typedef struct {
    PyObject *grads, *key, *addresses;
} gathered;

/* The array of a gradient, borrowed; NULL if it is none, or not set up. */
static const array_object *array_of(PyObject *grad) {
    PyObject *array = is_of(grad, tensor_class) ? ((tensor_object *)grad)->_array : NULL;
    if (array == NULL || !is_array(array) || ((array_object *)array)->address == NULL) return NULL;
    return (array_object *)array;
}

/* Append what belongs to one parameter; 0 if Python is to do it, -1 on error. */
static int gather(gathered *self, PyObject *param) {
    if (!is_of(param, tensor_class)) return 0;
    const tensor_object *tensor = (tensor_object *)param;
    if (tensor->_grad == Py_None) return 1;
    if (tensor->_grad == NULL || tensor->_array == NULL) return 0;
    const array_object *grad = array_of(tensor->_grad);
    if (grad == NULL) return 0;
    PyObject *held = Py_NewRef((PyObject *)grad), *address = Py_NewRef(grad->address);
    PyObject *mine = Py_NewRef(tensor->_array), *layout = layout_of(held);
    int failed = layout == NULL || PyList_Append(self->grads, held) < 0 ||
                 PyList_Append(self->key, mine) < 0 || PyList_Append(self->key, layout) < 0 ||
                 PyList_Append(self->addresses, address) < 0;
    Py_DECREF(held);
    Py_DECREF(address);
    Py_DECREF(mine);
    Py_XDECREF(layout);
    return failed ? -1 : 1;
}

PyObject *gradients_of(PyObject *module, PyObject *params) {
    (void)module;
    PyObject *given = PySequence_Tuple(params); /* nobody changes that meanwhile */
    if (given == NULL) return NULL;
    gathered self = {PyList_New(0), PyList_New(0), PyList_New(0)};
    int status = self.grads && self.key && self.addresses ? 1 : -1;
    Py_ssize_t count = PyTuple_Size(given);
    for (Py_ssize_t i = 0; status > 0 && i < count; i++) status = gather(&self, PyTuple_GetItem(given, i));
    PyObject *found = NULL;
    if (status > 0) found = PyTuple_Pack(3, self.grads, self.key, self.addresses);
    if (status == 0) found = Py_NewRef(Py_None);
    Py_XDECREF(self.grads);
    Py_XDECREF(self.key);
    Py_XDECREF(self.addresses);
    Py_DECREF(given);
    return found;
}

PyObject *drop_gradients(PyObject *module, PyObject *params) {
    (void)module;
    PyObject *given = PySequence_Tuple(params); /* what is let go may change the list */
    if (given == NULL) return NULL;
    const Py_ssize_t count = PyTuple_Size(given);
    int tensors = 1;
    for (Py_ssize_t i = 0; i < count; i++) tensors &= is_of(PyTuple_GetItem(given, i), tensor_class);
    for (Py_ssize_t i = 0; tensors && i < count; i++) {
        tensor_object *param = (tensor_object *)PyTuple_GetItem(given, i);
        PYAD_SET(param->_grad, Py_NewRef(Py_None));
    }
    Py_DECREF(given);
    return PyBool_FromLong(tensors);
}
