/* What Python does at every call of an op, in C: objects with few fields are made and freed, their
 * memory's addresses handed to kernels. What a call means stands in Python (tensor/calls.py,
 * graph/); this is the same for calls of kinds that were seen before, several times as fast.
 *
 *   objects.c   the fields of storages, arrays, plans, nodes, tensors, as C has them
 *   launch.c    prepared kernel calls, one after the other, as one callable
 *   module.c    the module pyautodl._dispatch
 *
 * It is the only C that knows Python, of which it uses the limited API: one build serves all
 * versions. Kernels are reached through the table of functions that the extension _native has.
 */
#ifndef PYAD_DISPATCH_H
#define PYAD_DISPATCH_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>

#include "pyautodl.h"

/* The runtime of the extension _native. */
extern const pyad_interface *runtime;

/* ---- objects.c ----
 *
 * Each field is a Python object, a slot of the Python class that inherits the type: Python reads and
 * writes it as fast as one of its own. NULL: not set. */

#define STORAGE_FIELDS(F) F(address) F(nbytes) F(version) F(packed) F(foreign) F(exports) F(_owner)
#define ARRAY_FIELDS(F) \
    F(storage) F(offset) F(shape) F(strides) F(dtype) F(address) F(_layout) F(_desc) F(_ndarray)

#define PYAD_FIELD(name) PyObject *name;
#define PYAD_OBJECT(type, FIELDS) \
    typedef struct {              \
        PyObject_HEAD             \
        FIELDS(PYAD_FIELD)        \
    } type

PYAD_OBJECT(storage_object, STORAGE_FIELDS);
PYAD_OBJECT(array_object, ARRAY_FIELDS);

/* The types with these fields, and the classes that inherit them, which `bind` gives. */
extern PyTypeObject *storage_fields, *array_fields, *storage_class, *array_class;

/* Make the types and put them into the module; -1 if that fails. */
int add_objects(PyObject *module);

/* What an array on a block of its own is made from, besides the address: see `new_array`. */
typedef struct {
    PyObject *nbytes, *shape, *strides, *dtype, *layout;
} array_kind;

/* The array on a new block of memory, which it owns; NULL, and the block is freed, if that fails. */
PyObject *new_array(int64_t address, const array_kind *kind);

/* The address in an array's field; -1 with an error set if there is none. */
int64_t address_of(PyObject *array);

/* ---- launch.c ---- */

int add_launch(PyObject *module);

/* What makes of a kernel's name the error to raise after it failed. */
void set_failure(PyObject *function);

/* Run a Launch on `count` inputs, which it borrows. */
PyObject *launch(PyObject *self, PyObject *const *inputs, Py_ssize_t count, PyObject *floats);

#endif
