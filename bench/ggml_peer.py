#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ggml as a peer: its CPU backend, from the source inside the llama-cpp-python package of PyPI, called by ctypes.

    VENV/bin/python bench/ggml_peer.py      fetch, build and install it beside the interpreter (some minutes; needs cmake)

It lies in PREFIX/share/ggml, where PREFIX is the interpreter's: a virtual environment that is deleted takes it along.
Built as its own CMake files have it, for this machine, with OpenMP. `open_ggml` gives None when it is not there.

A tensor of ggml has its contiguous axis first: ne = [d, T, H] is [H, T, d] elsewhere.
"""
import ctypes
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "llama-cpp-python==0.3.36"
HOME = pathlib.Path(sys.prefix) / "share" / "ggml"
F32, F16 = 0, 1


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]


class Plan(ctypes.Structure):
    _fields_ = [("work_size", ctypes.c_size_t), ("work_data", ctypes.c_void_p), ("n_threads", ctypes.c_int),
                ("threadpool", ctypes.c_void_p), ("abort_callback", ctypes.c_void_p),
                ("abort_callback_data", ctypes.c_void_p), ("use_ref", ctypes.c_bool)]


class Ggml:
    """The functions that are used, and a computation as something that can be called again and again."""

    def __init__(self, folder, threads):
        self.threads, self.context = threads, None
        self.base = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        self.cpu = ctypes.CDLL(str(folder / "libggml-cpu.so"))
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        for library, name, result, *kinds in (
                (self.base, "ggml_version", ctypes.c_char_p),
                (self.base, "ggml_init", pointer, InitParams),
                (self.base, "ggml_free", None, pointer),
                (self.base, "ggml_new_tensor_3d", pointer, pointer, ctypes.c_int, number, number, number),
                (self.base, "ggml_get_data", pointer, pointer),
                (self.base, "ggml_mul_mat", pointer, pointer, pointer, pointer),
                (self.base, "ggml_flash_attn_ext", pointer, pointer, pointer, pointer, pointer, pointer, ctypes.c_float,
                 ctypes.c_float, ctypes.c_float),
                (self.base, "ggml_new_graph", pointer, pointer),
                (self.base, "ggml_build_forward_expand", None, pointer, pointer),
                (self.cpu, "ggml_cpu_init", None),
                (self.cpu, "ggml_graph_plan", Plan, pointer, ctypes.c_int, pointer),
                (self.cpu, "ggml_graph_compute", ctypes.c_int, pointer, ctypes.POINTER(Plan))):
            function = getattr(library, name)
            function.restype, function.argtypes = result, list(kinds)
            setattr(self, name[5:], function)
        self.cpu_init()

    def tensor(self, context, values):
        """Of a float32 or float16 array, whose last axis is the contiguous one."""
        sizes = [*reversed(values.shape), 1, 1][:3]
        t = self.new_tensor_3d(context, F32 if values.itemsize == 4 else F16, *sizes)
        ctypes.memmove(self.get_data(t), values.ctypes.data, values.nbytes)
        return t

    def computation(self, inputs, out_shape, node_of):
        """Two functions: compute once, and read the result. node_of(context, tensors) makes the node. The memory of the
        computation before this one is freed."""
        import numpy

        inputs = [numpy.ascontiguousarray(x) for x in inputs]
        room = sum(x.nbytes for x in inputs) + 4 * int(numpy.prod(out_shape)) + (16 << 20)
        if self.context:
            self.free(self.context)
        context = self.context = self.init(InitParams(room, None, False))
        node = node_of(context, [self.tensor(context, x) for x in inputs])
        graph = self.new_graph(context)
        self.build_forward_expand(graph, node)
        plan = self.graph_plan(graph, self.threads, None)
        work = numpy.empty(plan.work_size + 64, numpy.uint8)
        plan.work_data = work.ctypes.data + -work.ctypes.data % 64

        def compute(keep=work):
            if self.graph_compute(graph, ctypes.byref(plan)) != 0:
                raise SystemExit("ggml could not compute its graph")

        def read():
            out = numpy.empty(out_shape, numpy.float32)
            ctypes.memmove(out.ctypes.data, self.get_data(node), out.nbytes)
            return out

        return compute, read

    def attention(self, q, k, v):
        """softmax(q k' / sqrt d) v of [H, T, d] arrays, causal: out is [T, H, d]."""
        import numpy

        h, t, d = q.shape
        mask = numpy.triu(numpy.full((t, t), -numpy.inf, numpy.float16), 1)
        return self.computation([q, k, v, mask], (t, h, d),
                                lambda c, x: self.flash_attn_ext(c, *x, d ** -0.5, 0, 0))

    def product(self, a, b):
        """a b' of [M, K] and [N, K]."""
        return self.computation([b, a], (a.shape[0], b.shape[0]), lambda c, x: self.mul_mat(c, *x))


def open_ggml(session):
    """The peer with the session's threads, or None and a word on standard error."""
    if not (HOME / "libggml-cpu.so").exists():
        print(f"ggml is absent: {sys.executable} bench/ggml_peer.py builds it", file=sys.stderr)
        return None
    peer = Ggml(HOME, session.options.threads)
    session.facts["versions"]["ggml"] = peer.version().decode()
    return peer


def install():
    """Only the folder of ggml is taken out of the archive."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary",
                        PACKAGE.split("=")[0], "--dest", work, PACKAGE], check=True)
        with tarfile.open(next(pathlib.Path(work).glob("*.tar.gz"))) as archive:
            inside = [m for m in archive if "/vendor/llama.cpp/ggml/" in m.name]
            archive.extractall(work, inside)
            vendor = pathlib.Path(work) / inside[0].name.split("/ggml/")[0]
        build = pathlib.Path(work) / "build"
        # As llama.cpp takes it in: alone it asks for a file that the package lacks.
        (vendor / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.14)\nproject(peer C CXX)\nadd_subdirectory(ggml)\n", encoding="utf-8")
        subprocess.run(["cmake", "-S", vendor, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON",
                        "-DGGML_NATIVE=ON"], check=True)
        subprocess.run(["cmake", "--build", build, "--target", "ggml-cpu", "-j", "2"], check=True)
        HOME.mkdir(parents=True, exist_ok=True)
        for library in build.rglob("libggml-*.so*"):
            shutil.copy(library, HOME / library.name)


if __name__ == "__main__":
    install()
