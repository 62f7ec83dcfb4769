"""torchvision's path to the transforms, and what stands in the place of those not here."""

from __future__ import annotations

from typing import Any

from pyautodl.data.augment import (
    ColorJitter,
    Compose,
    GaussianNoise,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
)

__all__ = [
    "ColorJitter",
    "Compose",
    "GaussianNoise",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomShift",
    "RandomVerticalFlip",
]

# torchvision's names that are no transform of batches, and what does their work
INSTEAD = {
    "AutoAugment": "Compose([RandomAffine(...), ColorJitter(...)])",
    "CenterCrop": "x[..., top : top + h, left : left + w]",
    "ConvertImageDtype": "x.float() / 255",
    "GaussianBlur": "nn.functional.conv2d with a kernel of your own",
    "Grayscale": "x.float().mean(1, keepdim=True)",
    "Lambda": "the function itself: Compose([lambda batch, **draw: ...])",
    "Normalize": "data.Normalizer(dim=(0, 2, 3)).fit(x), or (x - mean) / std",
    "PILToTensor": "ad.tensor(numpy.array(image)).permute(2, 0, 1)",
    "Pad": "nn.functional.pad(x, (left, right, top, bottom))",
    "RandAugment": "Compose([RandomAffine(...), ColorJitter(...)])",
    "RandomApply": "the transform's own p, or a function of (batch, **draw)",
    "Resize": "nn.functional.interpolate(x, size, mode='bilinear', antialias=True)",
    "ToDtype": "x.float() / 255",
    "ToPILImage": "PIL.Image.fromarray((255 * x).byte().permute(1, 2, 0).numpy())",
    "ToTensor": "ad.tensor(images).permute(0, 3, 1, 2).float() / 255 for images (n, h, w, c)",
    "TrivialAugmentWide": "Compose([RandomAffine(...), ColorJitter(...)])",
}


def instead(module: str, name: str) -> AttributeError:
    """The error for a name that a module has not, with what stands in its place."""
    text = f"module {module!r} has no attribute {name!r}"
    if name in INSTEAD:
        text += (
            ": transforms here change batches of tensors; likely fix: before the "
            f"dataset is made, {INSTEAD[name]}"
        )
    return AttributeError(text)


def __getattr__(name: str) -> Any:
    raise instead(__name__, name)
