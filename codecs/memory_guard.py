"""Running out of memory over a picture or a frame is an error like others."""

import torch

from kodec.native import KodecError


class MemoryGuard:
    """Turns running out of memory over a picture into one clear line."""

    def __init__(self, width: int, height: int) -> None:
        self.size = f"{width}x{height}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        exhausted = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if exhausted or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error)):
            raise KodecError(f"not enough memory for a picture of {self.size} pixels") from None
