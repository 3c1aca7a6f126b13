"""Writes the .npy and .npz files of this folder with NumPy:

    python make.py

npy_test.go has the values that they must hold.
"""

import os

import numpy as np
from numpy.lib import format as npy

HERE = os.path.dirname(os.path.abspath(__file__))
INTS = [f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)]


def arrays():
    """Gives every type as an array of shape [2 3], rows counting upwards."""
    yield "b1", np.array([[True, False, True], [False, False, True]])
    for name in INTS:
        info = np.iinfo(name)
        yield name, np.array([[info.min, 1, 2], [3, 4, info.max]], name)
    for name in ("f2", "f4", "f8"):
        info = np.finfo(name)
        yield name, np.array([[-0.0, 1, info.tiny], [np.inf, 0.1, info.max]], name)
    for name in ("c8", "c16"):
        yield name, np.array([[1 - 2j, 0, 3j], [4, 5 + 1j, -6]], name)
    yield "U", np.array([["a", "", "b\0c"], ["é😀", "x" * 5, " "]])
    yield "S", np.array([[b"a", b"", b"b\0c"], [b"\xff\xfe", b"xxxxx", b" "]])


def save(name, array, version=None):
    with open(os.path.join(HERE, name + ".npy"), "wb") as f:
        npy.write_array(f, array, version=version, allow_pickle=False)


def main():
    for name, a in arrays():
        save(name, a)
        save(name + "-fortran", np.asfortranarray(a))
        if a.dtype.itemsize > 1 and name != "S":
            save(name + "-big", a.astype(a.dtype.newbyteorder(">")))
    cube = np.arange(24, dtype="i2").reshape(2, 3, 4)
    save("v2", cube, (2, 0))
    save("v3", np.asfortranarray(cube), (3, 0))
    save("scalar", np.array(2.5, "f4"))
    save("vector", np.arange(3, dtype="f8"))
    save("empty", np.zeros((0, 3), "i8"))
    save("rank6", np.arange(64, dtype="u1").reshape(2, 2, 2, 2, 2, 2).transpose(5, 4, 3, 2, 1, 0))
    save("date", np.array(["2020-01-01"], "M8[D]"))
    save("void", np.zeros(2, "V2"))
    save("record", np.zeros(1, [("a", "f4"), ("b", "i2")]))
    save("long", np.zeros(1, np.longdouble))
    with open(os.path.join(HERE, "object.npy"), "wb") as f:
        npy.write_array(f, np.array([{}], object), allow_pickle=True)

    w = np.linspace(-1, 1, 5, dtype="f4")
    np.savez(os.path.join(HERE, "stored.npz"), **{"w": w, "in:x/y": cube})
    np.savez_compressed(os.path.join(HERE, "deflated.npz"), **{"w": w, "zeros": np.zeros(10000, "f8")})
    np.savez_compressed(os.path.join(HERE, "bomb.npz"), zeros=np.zeros(300000, "f8"))
    with open(os.path.join(HERE, "numpy.txt"), "w") as f:
        f.write(f"Written with NumPy {np.__version__}.\n")


if __name__ == "__main__":
    main()
