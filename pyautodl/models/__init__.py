"""Models that are ready to train."""

from pyautodl.models.autoencoder import Autoencoder, ConvAutoencoder
from pyautodl.models.cnn import LeNet
from pyautodl.models.lstm import LSTMClassifier
from pyautodl.models.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
)
from pyautodl.models.unet import UNet
from pyautodl.models.vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
)
