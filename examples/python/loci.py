# SPDX-License-Identifier: Apache-2.0
"""loci from Python: one file over ctypes, nothing to build, nothing to install but libloci.

    engine = loci.Engine("[data]\\ntrain = book.txt\\n", train=True)
    engine.step()["loss_nats"]                      # one optimiser step, as `loci train` does it
    stream = engine.stream()
    logits = stream.feed(b"In the ")                # [7, 256], a view until the next call
    token = stream.draw(seed=1)                     # of what follows
    w = engine.weights["norm.weight"]               # the weight itself, not a copy
    numpy.from_dlpack(w)[:] = 1                     # writes into the model; torch.from_dlpack likewise

The library is LOCI_LIBRARY in the environment, or libloci where the loader looks. Every function of loci/loci.h that is
used here is documented there. A view keeps its engine alive; an engine is closed when nothing refers to it any more.
"""

import ctypes
import os
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint8, c_uint16, c_uint32
from ctypes import c_uint64, c_void_p

TRAIN, ALLOW_UNKNOWN = 1, 2


# ---- the structs of loci/plugin.h and loci/loci.h ----------------------------------------------------------------------


class Grown(ctypes.Structure):
    """A struct that begins with its size."""

    def __init__(self, **members):
        super().__init__(**members)
        self.struct_size = ctypes.sizeof(self)


class loci_error(Grown):
    _fields_ = [("struct_size", c_uint32), ("code", c_int32), ("where", c_char_p), ("msg", c_char * 496)]


class loci_device(ctypes.Structure):
    _fields_ = [("type", c_int32), ("id", c_int32)]


class loci_dtype(ctypes.Structure):
    _fields_ = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class loci_tensor(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device", loci_device),
        ("ndim", c_int32),
        ("dtype", loci_dtype),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


class loci_engine_options(Grown):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved0", c_uint32),
        ("flags", c_uint64),
        ("checkpoint", c_char_p),
        ("plugin_path", c_char_p),
    ]


class loci_engine_facts(Grown):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved0", c_uint32),
        ("layers", c_int32),
        ("weights", c_int32),
        ("dim", c_int64),
        ("vocab", c_int64),
        ("parameters", c_uint64),
        ("step", c_int64),
        ("dtype", loci_dtype),
        ("causal", c_int32),
        ("streams", c_int32),
    ]


class loci_examples(Grown):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved0", c_uint32),
        ("rows", c_int64),
        ("seq", c_int64),
        ("tokens", POINTER(c_int32)),
        ("targets", POINTER(c_int32)),
    ]


class loci_measure(Grown):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved0", c_uint32),
        ("step", c_int64),
        ("tokens", c_int64),
        ("loss_nats", c_double),
        ("grad_norm", c_double),
        ("lr", c_double),
        ("accuracy", c_double),
    ]


class loci_stream_options(Grown):
    _fields_ = [("struct_size", c_uint32), ("reserved0", c_uint32), ("piece_tok", c_int64), ("most_tok", c_int64)]


class loci_sampling(Grown):
    _fields_ = [
        ("struct_size", c_uint32),
        ("top_k", c_int32),
        ("temperature", c_double),
        ("top_p", c_double),
        ("seed", c_uint64),
    ]


STRUCTS = [
    loci_error,
    loci_device,
    loci_dtype,
    loci_tensor,
    loci_engine_options,
    loci_engine_facts,
    loci_examples,
    loci_measure,
    loci_stream_options,
    loci_sampling,
]


# ---- the library ---------------------------------------------------------------------------------------------------------


class Error(Exception):
    """What loci said; .code is its status (LOCI_E_... of loci/plugin.h)."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


_lib = ctypes.CDLL(os.environ.get("LOCI_LIBRARY", "libloci.so.0"))
_void = {"loci_settings_free", "loci_engine_close", "loci_engine_describe", "loci_stream_close", "loci_stream_reset"}
_other = {"loci_version": c_char_p, "loci_stream_tokens": c_int64, "loci_stream_size": c_uint64}


def _declare(name, *arguments):
    f = getattr(_lib, name)
    f.argtypes = arguments
    f.restype = None if name in _void else _other.get(name, c_int32)


_out, _err, _tensor = POINTER(c_void_p), POINTER(loci_error), POINTER(POINTER(loci_tensor))
_declare("loci_version")
_declare("loci_settings_new", _out, _err)
_declare("loci_settings_free", c_void_p)
_declare("loci_settings_checkpoint", c_void_p, c_char_p, _err)
_declare("loci_settings_file", c_void_p, c_char_p, _err)
_declare("loci_settings_text", c_void_p, c_char_p, c_char_p, c_size_t, _err)
_declare("loci_settings_set", c_void_p, c_char_p, _err)
_declare("loci_engine_open", _out, c_void_p, POINTER(loci_engine_options), _err)
_declare("loci_engine_close", c_void_p)
_declare("loci_engine_describe", c_void_p, POINTER(loci_engine_facts))
_declare("loci_engine_get", c_void_p, c_char_p, POINTER(c_char_p), _err)
_declare("loci_engine_step", c_void_p, POINTER(loci_examples), POINTER(loci_measure), _err)
_declare("loci_engine_evaluate", c_void_p, POINTER(loci_examples), POINTER(loci_measure), _err)
_declare("loci_engine_weight", c_void_p, c_int32, POINTER(c_char_p), _tensor, _tensor, _err)
_declare("loci_engine_save", c_void_p, c_char_p, c_char_p, c_size_t, _err)
_declare("loci_stream_open", _out, c_void_p, POINTER(loci_stream_options), _err)
_declare("loci_stream_close", c_void_p)
_declare("loci_stream_feed", c_void_p, POINTER(c_int32), c_int64, _tensor, _err)
_declare("loci_stream_prefill", c_void_p, POINTER(c_int32), c_int64, _tensor, _err)
_declare("loci_stream_tokens", c_void_p)
_declare("loci_stream_reset", c_void_p)
_declare("loci_stream_clone", _out, c_void_p, _err)
_declare("loci_stream_size", c_void_p)
_declare("loci_stream_save", c_void_p, c_char_p, c_uint64, _err)
_declare("loci_stream_restore", c_void_p, c_char_p, c_uint64, _err)
_declare("loci_draw", POINTER(c_int32), POINTER(loci_tensor), POINTER(loci_sampling), c_uint64, _err)


def _call(name, *arguments):
    err = loci_error()
    status = getattr(_lib, name)(*arguments, byref(err))
    if status != 0:
        raise Error(status, err.msg.decode("utf-8", "replace") or f"{name}: status {status}")


def _path(p):
    return None if p is None else os.fsencode(p)


def _int32s(values):
    """Tokens: bytes, or numbers."""
    return (c_int32 * len(values))(*values)


def version():
    return _lib.loci_version().decode()


# ---- tensors -----------------------------------------------------------------------------------------------------------


class _Version(ctypes.Structure):
    _fields_ = [("major", c_uint32), ("minor", c_uint32)]


class _Managed(ctypes.Structure):
    """DLManagedTensor."""

    _fields_ = [("tensor", loci_tensor), ("context", c_void_p), ("deleter", c_void_p)]


class _Versioned(ctypes.Structure):
    """DLManagedTensorVersioned of DLPack 1."""

    _fields_ = [("version", _Version), ("context", c_void_p), ("deleter", c_void_p), ("flags", c_uint64), ("tensor", loci_tensor)]


def _of_python(name, result, *arguments):
    """A function of Python's own C interface, declared for us alone: ctypes.pythonapi is everybody's."""
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new_capsule = _of_python("PyCapsule_New", ctypes.py_object, c_void_p, c_char_p, c_void_p)
_is_valid = _of_python("PyCapsule_IsValid", ctypes.c_int, c_void_p, c_char_p)
_pointer_of = _of_python("PyCapsule_GetPointer", c_void_p, c_void_p, c_char_p)

_lent = {}  # address of a managed tensor -> what must stay while somebody holds it


@ctypes.CFUNCTYPE(None, c_void_p)
def _give_back(address):
    _lent.pop(address, None)


@ctypes.PYFUNCTYPE(None, c_void_p)
def _forget_capsule(capsule):
    """A capsule that nobody took (who takes it renames it) gives its tensor back itself."""
    for name in (b"dltensor", b"dltensor_versioned"):
        if _is_valid(capsule, name):
            _lent.pop(_pointer_of(capsule, name), None)


class Tensor:
    """A view of memory of loci. Hands it on without a copy: numpy.asarray(t), numpy.from_dlpack(t), torch.from_dlpack(t),
    memoryview(t.raw()); t.tolist() copies. `owner` lives as long as the view and everything made from it."""

    def __init__(self, c, owner):
        self.c, self.owner = c, owner
        self.shape = tuple(c.shape[i] for i in range(c.ndim))
        self.strides = tuple(c.strides[i] for i in range(c.ndim))
        kind = {0: "i", 1: "u", 2: "f"}[c.dtype.code]
        self.typestr = f"<{kind}{c.dtype.bits // 8}"
        self.address = (c.data or 0) + c.byte_offset

    def __len__(self):
        return self.shape[0]

    def raw(self):
        """The elements as a ctypes array of this shape, for contiguous tensors in host memory."""
        if self.c.device.type != 1:
            raise BufferError("the tensor is not in host memory")
        stride, t = 1, {"<f4": ctypes.c_float, "<f8": c_double, "<i4": c_int32, "<i8": c_int64, "<u1": c_uint8}[self.typestr]
        for n, s in zip(reversed(self.shape), reversed(self.strides)):
            if n > 1 and s != stride:
                raise BufferError("the tensor is not contiguous")
            stride *= n
            t = t * n
        out = t.from_address(self.address)
        out.loci_owner = self
        return out

    def tolist(self):
        def lists(a):
            return [lists(b) for b in a] if isinstance(a, ctypes.Array) else a

        return lists(self.raw())

    @property
    def __array_interface__(self):
        if self.c.device.type != 1:
            raise AttributeError("the tensor is not in host memory")
        size = self.c.dtype.bits // 8
        return {
            "version": 3,
            "shape": self.shape,
            "strides": tuple(s * size for s in self.strides),
            "typestr": self.typestr,
            "data": (self.address, False),
        }

    def __dlpack_device__(self):
        return (self.c.device.type, self.c.device.id)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if copy or (dl_device is not None and tuple(dl_device) != self.__dlpack_device__()):
            raise BufferError("a view is what can be had: no copy, no other device")
        managed, name = (_Versioned, b"dltensor_versioned") if max_version and max_version[0] >= 1 else (_Managed, b"dltensor")
        m = managed(tensor=self.c, deleter=ctypes.cast(_give_back, c_void_p))
        if managed is _Versioned:
            m.version.major = 1
        _lent[ctypes.addressof(m)] = (m, self)
        return _new_capsule(ctypes.addressof(m), name, ctypes.cast(_forget_capsule, c_void_p))


def _view(pointer, owner):
    """The struct is copied; shape and strides stay where loci keeps them, as long as the view may be used."""
    return Tensor(loci_tensor.from_buffer_copy(pointer.contents), owner)


# ---- engines -----------------------------------------------------------------------------------------------------------


class Engine:
    """A model and all it stands on.

    config: INI text. files: paths of configs, laid over it. set: {"section.key": value}, over both. checkpoint: a folder
    whose config is the base and whose weights are taken. train: with gradients, for step()."""

    def __init__(self, config="", *, files=(), set=None, checkpoint=None, train=False, plugin_path=None, allow_unknown=False):
        self._as_parameter_ = c_void_p()
        settings = c_void_p()
        try:
            _call("loci_settings_new", byref(settings))
            if checkpoint is not None:
                _call("loci_settings_checkpoint", settings, _path(checkpoint))
            text = config.encode()
            _call("loci_settings_text", settings, b"python", text, len(text))
            for f in files:
                _call("loci_settings_file", settings, _path(f))
            for key, value in (set or {}).items():
                _call("loci_settings_set", settings, f"{key}={value}".encode())
            options = loci_engine_options(
                flags=(TRAIN if train else 0) | (ALLOW_UNKNOWN if allow_unknown else 0),
                checkpoint=_path(checkpoint),
                plugin_path=_path(plugin_path),
            )
            _call("loci_engine_open", byref(self._as_parameter_), settings, byref(options))
        finally:
            _lib.loci_settings_free(settings)
        self.weights, self.gradients = {}, {}
        for i in range(self.facts()["weights"]):
            name, value, grad = c_char_p(), POINTER(loci_tensor)(), POINTER(loci_tensor)()
            _call("loci_engine_weight", self, i, byref(name), byref(value), byref(grad))
            # The views refer to the handle's keeper, not to the engine: no cycle, so both go when they are let go.
            keeper = self._keeper()
            self.weights[name.value.decode()] = _view(value, keeper)
            if train:
                self.gradients[name.value.decode()] = _view(grad, keeper)

    def _keeper(self):
        if not hasattr(self, "_kept"):
            self._kept = _Keeper(self._as_parameter_)
        return self._kept

    def facts(self):
        f = loci_engine_facts()
        _lib.loci_engine_describe(self, byref(f))
        return {name: getattr(f, name) for name, _ in f._fields_ if name not in ("struct_size", "reserved0", "dtype")}

    def get(self, key):
        """The value of "section.key" that holds, as text."""
        out = c_char_p()
        _call("loci_engine_get", self, key.encode(), byref(out))
        return out.value.decode()

    def _measure(self, name, tokens, targets):
        m, x = loci_measure(), None
        if tokens is not None:
            rows, seq = len(tokens), len(tokens[0])
            if len(targets) != rows or any(len(r) != seq for r in (*tokens, *targets)):
                raise ValueError("tokens and targets are rows of one length")
            x = loci_examples(
                rows=rows,
                seq=seq,
                tokens=_int32s([int(t) for r in tokens for t in r]),
                targets=_int32s([int(t) for r in targets for t in r]),
            )
        _call(name, self, x, byref(m))
        return {name: getattr(m, name) for name in ("step", "tokens", "loss_nats", "grad_norm", "lr", "accuracy")}

    def step(self, tokens=None, targets=None):
        """One optimiser step, on rows of tokens and targets (-1: none) or on the data of the config."""
        return self._measure("loci_engine_step", tokens, targets)

    def evaluate(self, tokens=None, targets=None):
        return self._measure("loci_engine_evaluate", tokens, targets)

    def save(self, folder):
        """Write a checkpoint below folder; returns its path."""
        path = ctypes.create_string_buffer(4096)
        _call("loci_engine_save", self, _path(folder), path, len(path))
        return os.fsdecode(path.value)

    def stream(self, piece_tok=0, most_tok=0):
        return Stream(self, loci_stream_options(piece_tok=piece_tok, most_tok=most_tok))


class _Keeper:
    """Closes the engine when the engine, its streams and all views are gone."""

    def __init__(self, handle):
        self.handle, self.close = handle, _lib.loci_engine_close

    def __del__(self):
        self.close(self.handle)


# ---- streams -----------------------------------------------------------------------------------------------------------


class Stream:
    """What a model remembers of one text that comes token by token."""

    def __init__(self, engine, options=None):
        self._as_parameter_, self.keeper, self.close = c_void_p(), engine._keeper(), _lib.loci_stream_close
        self.logits = None
        if options is not None:
            _call("loci_stream_open", byref(self._as_parameter_), engine, byref(options))

    def __del__(self):
        if self._as_parameter_:
            self.close(self)

    def __len__(self):
        return _lib.loci_stream_tokens(self)

    def _feed(self, name, tokens):
        out = POINTER(loci_tensor)()
        _call(name, self, _int32s(tokens), len(tokens), byref(out))
        self.logits = _view(out, self)
        return self.logits

    def feed(self, tokens):
        """Logits [n, vocab], a view until the next call; at most piece_tok tokens."""
        return self._feed("loci_stream_feed", tokens)

    def prefill(self, tokens):
        """Any number of tokens; logits [1, vocab] of what follows the last."""
        return self._feed("loci_stream_prefill", tokens)

    def draw(self, temperature=1.0, top_k=0, top_p=1.0, seed=0):
        """A token that may follow; it is not fed."""
        if self.logits is None:
            raise ValueError("nothing was fed yet")
        how, token = loci_sampling(top_k=top_k, temperature=temperature, top_p=top_p, seed=seed), c_int32()
        _call("loci_draw", byref(token), byref(self.logits.c), byref(how), len(self))
        return token.value

    def reset(self):
        _lib.loci_stream_reset(self)
        self.logits = None

    def clone(self):
        """Its own stream in the same state; feed it to have logits."""
        twin = Stream.__new__(Stream)
        twin._as_parameter_, twin.keeper, twin.close, twin.logits = c_void_p(), self.keeper, self.close, None
        _call("loci_stream_clone", byref(twin._as_parameter_), self)
        return twin

    def save(self):
        """The state as bytes, for restore() of a stream of the same model and piece_tok."""
        state = ctypes.create_string_buffer(_lib.loci_stream_size(self))
        _call("loci_stream_save", self, state, len(state))
        return state.raw

    def restore(self, state):
        _call("loci_stream_restore", self, state, len(state))
        self.logits = None
