// The C++ side of native/errors.py: bindings.cpp turns each into the Python class of that name.
#pragma once

#include <stdexcept>

namespace kodec {

struct InvalidInputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct BitstreamError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct MismatchError : BitstreamError {
  using BitstreamError::BitstreamError;
};

struct UnsupportedError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace kodec
