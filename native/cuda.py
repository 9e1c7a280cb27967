"""The coder on CUDA devices, where the package was built with a CUDA compiler.

`BUILT` says whether it was. If not, `device_count()` is 0 and the classes are not there.
"""

import importlib.util

BUILT = importlib.util.find_spec("kodec.native._cuda") is not None

if BUILT:
    from ._cuda import CudaDecoder, CudaEncoder, device_count

    __all__ = ["BUILT", "CudaDecoder", "CudaEncoder", "device_count"]
else:

    def device_count() -> int:
        """CUDA devices that can be used: none."""
        return 0

    __all__ = ["BUILT", "device_count"]
