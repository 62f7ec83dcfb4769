/* What Python does at every call of an op, in C: objects with few fields are made and freed, their
 * memory's addresses handed to kernels. What a call means stands in Python (tensor/calls.py,
 * graph/); this is the same for calls of kinds that were seen before, several times as fast.
 *
 *   objects.c   the fields of storages, arrays, plans, nodes, tensors, as C has them
 *   memory.c    arrays and tensors one by one, and their memory for NumPy
 *   numbers.c   numbers of Python, read and written
 *   operands.c  the operands of a function, constants among them
 *   launch.h    what prepared kernel calls, one after the other, are made of: launch_steps.c reads
 *               it, launch.c runs it, launch_type.c is its type
 *   view.c      views of arrays as such a callable
 *   apply.c     from tensors to the plan of an op's call, and through it
 *   record.c    the node of a call, if it is recorded, and the tensors on its outputs
 *   change.c    changes in place that are not recorded
 *   line.c      the beginning of a backward pass
 *   gradients.c those of an optimizer's parameters
 *   step.c      an optimizer's step once more
 *   hooks.c     whether modules have hooks
 *   attributes.c those of ops, kept by what they are made of
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

/* The address of a new block of so many bytes, 0 if there is none: the runtime's, too. */
extern int64_t (*allocate)(int64_t nbytes);

/* ---- objects.c ----
 *
 * Each field is a Python object, a slot of the Python class that inherits the type: Python reads and
 * writes it as fast as one of its own. NULL: not set.
 *
 * So Python may put anything into a field, or delete it, and may do so while C waits for Python: in a
 * hook, a comparison, a collection of garbage at any allocation, or, while a kernel runs, in another
 * thread. C therefore looks at a field's type before it reads its struct, and holds a reference to what
 * it still needs. What it can't check is an address: that of a storage, or of a prepared call, is taken
 * on trust. */

#define STORAGE_FIELDS(F) F(address) F(nbytes) F(version) F(packed) F(foreign) F(exports) F(_owner)
#define ARRAY_FIELDS(F) \
    F(storage) F(offset) F(shape) F(strides) F(dtype) F(address) F(_layout) F(_desc) F(_ndarray)
#define OP_FIELDS(F) F(name) F(plan) F(plans) F(params) F(saves) F(view) F(changes) F(integers)
#define PLAN_FIELDS(F) \
    F(call) F(count) F(differentiable) F(dtypes) F(floats) F(info) F(places) F(shapes) F(shown)
#define NODE_FIELDS(F)                                                                       \
    F(op) F(plan) F(attrs) F(shapes) F(dtypes) F(needs) F(edges) F(outputs) F(packed) F(number) \
    F(released) F(module) F(hooks) F(retained) F(masked_below)
#define TENSOR_FIELDS(F)                                                                      \
    F(_array) F(_edge) F(_requires_grad) F(_grad) F(_base) F(_base_changes) F(_unchangeable) \
    F(_changes) F(_hooks) F(_post_hooks)

/* Put another object into a field; what was there is let go afterwards. */
#define PYAD_SET(field, value)      \
    do {                            \
        PyObject *before = (field); \
        (field) = (value);          \
        Py_XDECREF(before);         \
    } while (0)

#define PYAD_FIELD(name) PyObject *name;
#define PYAD_FIELD_NAME(name) #name,
#define PYAD_OBJECT(type, FIELDS) \
    typedef struct {              \
        PyObject_HEAD             \
        FIELDS(PYAD_FIELD)        \
    } type

PYAD_OBJECT(storage_object, STORAGE_FIELDS);
PYAD_OBJECT(array_object, ARRAY_FIELDS);
PYAD_OBJECT(op_object, OP_FIELDS);
PYAD_OBJECT(plan_object, PLAN_FIELDS);
PYAD_OBJECT(node_object, NODE_FIELDS);
PYAD_OBJECT(tensor_object, TENSOR_FIELDS);

/* The types with these fields. */
extern PyTypeObject *storage_fields, *array_fields, *op_fields, *plan_fields, *node_fields,
    *tensor_fields;

/* The classes that inherit them, of what is made here; module.c is given them. */
extern PyTypeObject *storage_class, *array_class, *node_class, *tensor_class;

/* Make the types and put them into the module; -1 if that fails. */
int add_objects(PyObject *module);

/* What an array on a block of its own is made from, besides the address: see `new_array`. */
typedef struct {
    PyObject *nbytes, *shape, *strides, *dtype, *layout;
} array_kind;

/* The array on a new block of memory, which it owns; NULL, and the block is freed, if that fails. */
PyObject *new_array(int64_t address, const array_kind *kind);

/* The array on the memory of `owner`, an array of NumPy, which it keeps alive. */
PyObject *new_foreign(PyObject *owner, int64_t address, const array_kind *kind);

/* Another array on an array's memory, `shift` elements, `bytes` bytes further on. */
PyObject *new_view(PyObject *array, const array_kind *kind, int64_t shift, int64_t bytes);

/* Whether an object is one of a class: mostly of that itself, which is asked without a call. */
static inline int is_of(PyObject *object, PyTypeObject *class) {
    return Py_TYPE(object) == class || PyType_IsSubtype(Py_TYPE(object), class);
}

/* Whether that is an array. */
static inline int is_array(PyObject *object) { return is_of(object, array_class); }

/* An array's storage, borrowed, with a version; NULL with an error of that operation set if there is
 * none. */
storage_object *storage_of(const char *name, PyObject *array);

/* The address in an array's field; -1 with such an error set if there is none. */
int64_t address_of(const char *name, PyObject *array);

/* Names of attributes, as strings that are made once: -1 if that fails. */
#define PYAD_NAMES(F)                                                                             \
    F(_backward_hooks) F(_backward_pre_hooks) F(_follow_base) F(_forward_hooks)                    \
    F(_forward_pre_hooks) F(_over) F(annotate) F(anomaly) F(call) F(category) F(complete) F(enabled) F(forward) F(info) \
    F(layout) F(modules) F(passed) F(plain) F(run)
extern struct attribute_names {
    PYAD_NAMES(PYAD_FIELD)
} attribute;
int make_names(void);

/* References to `count` objects as a tuple; NULL on error. */
PyObject *tuple_from(PyObject *const *items, Py_ssize_t count);

/* Refuse more or fewer arguments than a function takes: -1 then. */
static inline int expect_count(const char *name, Py_ssize_t count, Py_ssize_t expected) {
    if (count == expected) return 0;
    PyErr_Format(PyExc_TypeError, "%s: expected %zd arguments, got %zd", name, expected, count);
    return -1;
}

/* Refuse what is no tuple: -1 then. */
static inline int expect_tuple(const char *name, PyObject *item) {
    if (PyTuple_Check(item)) return 0;
    PyErr_Format(PyExc_TypeError, "%s: expected a tuple, got %R", name, (PyObject *)Py_TYPE(item));
    return -1;
}

/* Add to what is in a field, compare what is in two, or ask whether it is true: held meanwhile, as any
 * of that may run what puts something else there. 0, or as of the Python functions; -1 on error. */
int add_to(PyObject **field, PyObject *by, PyObject *owner);
int are_equal(PyObject *x, PyObject *y);
int is_true(PyObject *object);

/* ---- memory.c ---- */

int add_memory(PyObject *module);

PyObject *array_over(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *empty_array(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *array_of_bytes(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *tensor_on(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* ---- numbers.c ---- */

PyObject *read_number(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *read_list(PyObject *module, PyObject *arguments);
PyObject *numbers_in(PyObject *module, PyObject *data);
PyObject *write_numbers(PyObject *module, PyObject *arguments);
PyObject *write_range(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* ---- operands.c ----
 *
 *   operands         (name, x, y): them in Python
 *   constant         (number, dtype, name): an array of a number
 *   floats           the element types beside which a float is weak, in a tuple */
#define OPERAND_TOOLS(F) F(operands) F(constant) F(floats)
extern struct operand_tools {
    OPERAND_TOOLS(PYAD_FIELD)
} operand_tools;

/* Whether a number of Python becomes one of an element type, whatever its own kind. */
int is_weak_beside(PyObject *number, PyObject *dtype);

/* The array of such a number; NULL, maybe without an error: left to Python. */
PyObject *constant_of(PyObject *name, PyObject *number, PyObject *dtype);

PyObject *operands(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* ---- launch_type.c ---- */

extern PyTypeObject *launch_type;
int add_launch(PyObject *module);

/* ---- launch.c ---- */

/* What makes of a kernel's name the error to raise after it failed. */
void set_failure(PyObject *function);

/* Raise it for the kernel of that name, whose last call failed; -1. */
int raise_failure(PyObject *name);

/* Run a Launch on `count` inputs, which it borrows. */
PyObject *launch(PyObject *self, PyObject *const *inputs, Py_ssize_t count, PyObject *floats);

/* Count a change of a storage's memory, which has a version. */
int count_change(storage_object *storage, PyObject *by);

/* The inputs as a tuple, which nobody changes while they are in use; NULL if they are none. */
PyObject *tuple_of(const char *name, PyObject *inputs);

/* ---- view.c ---- */

extern PyTypeObject *view_type;
int add_view(PyObject *module);

/* What a View makes of an array. */
PyObject *view_of(PyObject *self, PyObject *array);

/* ---- apply.c and record.c ---- */

/* Functions and objects of Python that calls need; tensor/calls.py gives them by these names.
 *   anew             (op, inputs, attrs): a call in Python, of kinds not seen before
 *   constant_array   (op, number, inputs): an input that is a number
 *   with_zeros, attributes, changing: see ops/forward_trace.py and ops/record.py
 *   mode, stack      what this thread records, and the modules that it is in
 *   numbers          gives each node its number
 *   keep             packs what is saved of memory that others may change
 *   warn             (edges, arrays): a sum with what backward has freed
 *   add, floating    the name of that op, and the category of element types with gradients
 *   one_of_several, unrecorded: why a view can't be changed in place */
#define APPLY_TOOLS(F)                                                                            \
    F(anew) F(constant_array) F(with_zeros) F(attributes) F(changing) F(mode) F(stack) F(numbers) F(keep) \
    F(warn) F(add) F(floating) F(one_of_several) F(unrecorded)
extern struct apply_tools {
    APPLY_TOOLS(PYAD_FIELD)
} apply_tools;

/* Whether all fields of an op are set, and are what C takes them for. */
int is_op(PyObject *object);

/* An array's element type, shape and strides, as bytes. */
PyObject *layout_of(PyObject *array);

/* What a prepared call, in C or in Python, makes of arrays. */
PyObject *run_on_arrays(PyObject *run, PyObject *const *arrays, Py_ssize_t count, PyObject *floats);

/* A tensor on an array: `node`, if any, made it as output number i. */
PyObject *new_tensor(PyObject *array, PyObject *node, Py_ssize_t i);

PyObject *apply(PyObject *module, PyObject *const *arguments, Py_ssize_t count, PyObject *names);
PyObject *apply_known(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* ---- change.c ----
 *
 *   overwrite, assign: the same in Python
 *   kernel_plan      the class of plans that may run over their first input
 *   copies           (layout, layout) -> what copies one such array into another
 *   one, nothing     the number, and the empty tuple */
#define CHANGE_TOOLS(F) F(overwrite) F(assign) F(kernel_plan) F(copies) F(one) F(nothing)
extern struct change_tools {
    CHANGE_TOOLS(PYAD_FIELD)
} change_tools;

/* How many maps over batches are open, of all threads: then Python looks at what changes arrays, as that may
 * have to be seen by the next sample. */
extern int open_maps;
PyObject *count_maps(PyObject *module, PyObject *more);
PyObject *overwrite(PyObject *module, PyObject *const *arguments, Py_ssize_t count, PyObject *names);
PyObject *assign(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* ---- line.c ---- */

/* What backward passes need of Python; graph/line.py gives it by these names.
 *   line             (edge, gradient, leaves, found): how far it went
 *   kind_of, repeats see ops/gradient_trace.py
 *   receive, strides_like: of gradients that can't become a leaf's as they are
 *   nothing          the empty tuple */
#define LINE_TOOLS(F) F(line) F(kind_of) F(repeats) F(receive) F(strides_like) F(nothing)
extern struct line_tools {
    LINE_TOOLS(PYAD_FIELD)
} line_tools;

PyObject *run_line(PyObject *module, PyObject *arguments);
PyObject *repeat_gradients(PyObject *module, PyObject *arguments);
PyObject *fill_leaves(PyObject *module, PyObject *arguments);

/* ---- gradients.c ---- */

PyObject *gradients_of(PyObject *module, PyObject *params);
PyObject *drop_gradients(PyObject *module, PyObject *params);

/* ---- step.c ---- */

PyObject *repeat_step(PyObject *module, PyObject *arguments);
PyObject *holds_same(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* ---- hooks.c ---- */

PyObject *are_hooked(PyObject *module, PyObject *const *modules, Py_ssize_t count);

/* ---- attributes.c ---- */

PyObject *keeper(PyObject *module, PyObject *arguments);

#endif
