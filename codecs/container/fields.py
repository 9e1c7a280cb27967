"""Fields of a payload, read one after the other."""

from kodec.native import BitstreamError

from .varint import read_varint


class Fields:
    """Takes a payload apart from its front; what is missing is one `BitstreamError`.

    `what` names the payload in errors: "the file's head".
    """

    __slots__ = ("_payload", "_what", "position")

    def __init__(self, payload: bytes, what: str) -> None:
        self._payload = payload
        self._what = what
        self.position = 0

    def byte(self) -> int:
        """One byte, 0 to 255."""
        if self.position >= len(self._payload):
            raise BitstreamError(f"{self._what} is too short; the file is damaged")
        self.position += 1
        return self._payload[self.position - 1]

    def signed_byte(self) -> int:
        """One byte in two's complement, -128 to 127."""
        value = self.byte()
        return value - 256 if value >= 128 else value

    def varint(self) -> int:
        """An unsigned integer in as few bytes as it needs."""
        value, self.position = read_varint(self._payload, self.position)
        return value

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        begin = self.position
        self.position += count
        if self.position > len(self._payload):
            raise BitstreamError(f"{self._what} is too short; the file is damaged")
        return self._payload[begin : self.position]

    def end(self) -> None:
        """Nothing may be left."""
        if self.position != len(self._payload):
            raise BitstreamError(f"{self._what} is longer than it should be; the file is damaged")
