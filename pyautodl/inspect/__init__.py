"""Looking into models: what they are made of, why they answer as they do, why they do not
learn.
"""

from pyautodl.inspect.attribution import grad_cam, integrated_gradients, saliency
from pyautodl.inspect.diagnosis import Diagnosis, LayerState, diagnose
from pyautodl.inspect.summary import LayerSummary, Summary, summary
