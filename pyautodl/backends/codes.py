"""The numbers that Python and C share, under the names of csrc/pyautodl.h without PYAD_.

The package works without its extension and so can't read them there; a test compares the
two lists, both ways.
"""

MAX_DIMS = 8
MAX_THREADS = 64

# element types
FLOAT32, FLOAT64, INT64, INT32, INT16, INT8, UINT8, BOOL = range(8)

# in place of an output's size: there is none, it is there before the call
ABSENT, GIVEN = -1, -2

# what becomes of several values that meet in one place
SCATTER_WRITE, SCATTER_ADD, SCATTER_MULTIPLY, SCATTER_MAX, SCATTER_MIN = range(5)

# what NaN means to kthvalue
KTH_OF_ALL, KTH_OR_NAN, KTH_MIDDLE_NUMBER = range(3)

# losses: reductions; losses of pairs
REDUCE_NONE, REDUCE_MEAN, REDUCE_SUM = range(3)
PAIR_MSE, PAIR_L1, PAIR_HUBER, PAIR_SMOOTH_L1 = range(4)
PAIR_BCE, PAIR_BCE_LOGITS, PAIR_KL, PAIR_KL_LOG = range(4, 8)

# what a product or a convolution ends with
ACTIVATION_NONE, ACTIVATION_CLAMP, ACTIVATION_LEAKY = range(3)

# from so many images on, taps outside the image are left out, if so few percent of all pairs
# of an output and a tap meet it
TRIM_IMAGES = 4
TRIM_PERCENT = 97

# an image that a convolution reads in C order: output pixels of a piece of a line, elements
# of the lines that meet them, taps and channels
PLANAR_PIXELS = 112
PLANAR_ELEMENTS = 8192
PLANAR_DEPTH = 1024

# a convolution whose weight is read as it lies: pixels of the output at most, products of a
# sum at least
FEW_PIXELS = 64
FEW_DEPTH = 512
NARROW_CHANNELS = 4

# Winograd's algorithm: pixels from tile to tile, usual and where tiles are few; columns of a
# panel
WINOGRAD_STEP = 4
WINOGRAD_SMALL_STEP = 2
WINOGRAD_WIDTH = 32

# interpolation
NEAREST, NEAREST_EXACT, LINEAR, LINEAR_CORNERS = range(4)

# images read at the places of a grid: between pixels, and outside
SAMPLE_NEAREST, SAMPLE_LINEAR, SAMPLE_CUBIC = range(3)
PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION = range(3)
# a place that many reflections away is taken for an infinite one
SAMPLE_TURNS = 1 << 30

# what stands outside of an image
OUTSIDE_FILL, OUTSIDE_EDGE, OUTSIDE_REFLECT, OUTSIDE_SYMMETRIC = range(4)

# recurrent cells
LSTM, GRU, RNN_TANH, RNN_RELU = range(4)
