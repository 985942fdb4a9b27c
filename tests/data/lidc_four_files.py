"""Small files in the two public forms of the crops that always have four raters."""

import cv2
import numpy as np

CROPS = ("LIDC-IDRI-0002/z--107.5_c0", "LIDC-IDRI-0002/z-9_c2", "LIDC-IDRI-0002/z-9_c10", "LIDC-IDRI-0010/z-20.0_c1")
FIRST = CROPS[0]
SLICES = {"2": 3, "10": 11, "11": 12}  # case number and image number, in the reader's order


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


def pixels(name, size=(8, 6)):
    """A gray image and four masks, of which the last is empty; the name decides which."""
    rng = np.random.default_rng(list(name.encode()))
    masks = rng.random((4, *size)) < 0.5
    masks[3] = False
    return rng.integers(0, 256, size, dtype=np.uint8), masks


def write_crop(root, name, *, split="train", first=0, size=(8, 6)):
    image, masks = pixels(name, size)
    save(root / split / "images" / f"{name}.png", image)
    for k, mask in enumerate(masks):
        save(root / split / "gt" / f"{name}_l{first + k}.png", mask.astype(np.uint8) * 255)


def write_slice(root, number, n, *, folder="training", size=(16, 16)):
    image = np.full(size, 10 * int(number), np.uint8)
    masks = np.zeros((4, *size), np.uint8)
    masks[0, :8] = masks[1, :, 8:] = masks[2] = 255  # along the blocks of JPEG, so hardly any loss
    save(root / folder / number / f"image_{n}.jpg", image)
    for k, mask in enumerate(masks):
        save(root / folder / number / f"label{k}_.jpg", mask)
