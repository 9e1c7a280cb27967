"""The exceptions kodec raises on purpose; everything else is a bug."""


class KodecError(Exception):
    """Base of every error kodec raises on purpose."""


class InvalidInputError(KodecError, ValueError):
    """An argument of the caller is wrong: its dtype, range, shape or name."""


class BitstreamError(KodecError):
    """Data are damaged, truncated or foreign."""


class MismatchError(BitstreamError):
    """This decoder computed other table indexes than the encoder did."""


class UnsupportedError(KodecError):
    """The input is valid, but needs something this version or this model does not carry."""


class DeviceError(KodecError):
    """A CUDA device failed or ran out of memory."""
