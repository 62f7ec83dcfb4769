/* Whether a call of modules runs more than `forward` of their classes: what `has_hooks` in
 * nn/module/calling.py does, of several at once.
 */
#include "dispatch.h"

/* Whether one of the dicts that a module keeps its hooks in holds some; -1 on error. */
static int holds_hooks(PyObject *attributes, PyObject *name) {
    PyObject *hooks = PyDict_GetItemWithError(attributes, name);
    if (hooks != NULL) return is_true(hooks);
    if (!PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, name);
    return -1;
}

static int is_hooked(PyObject *module) {
    PyObject *attributes = PyObject_GenericGetDict(module, NULL);
    if (attributes == NULL) return -1;
    PyObject *const names[] = {attribute._forward_pre_hooks, attribute._forward_hooks,
                               attribute._backward_pre_hooks, attribute._backward_hooks};
    int found = 0;
    for (size_t i = 0; found == 0 && i < sizeof names / sizeof names[0]; i++) {
        found = holds_hooks(attributes, names[i]);
    }
    if (found == 0) found = PyDict_Contains(attributes, attribute.forward);
    Py_DECREF(attributes);
    return found;
}

PyObject *are_hooked(PyObject *module, PyObject *const *modules, Py_ssize_t count) {
    (void)module;
    int found = 0;
    for (Py_ssize_t i = 0; found == 0 && i < count; i++) found = is_hooked(modules[i]);
    return found < 0 ? NULL : PyBool_FromLong(found);
}
