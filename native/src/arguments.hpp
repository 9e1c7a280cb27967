// What Python passes, checked: every fault is an InvalidInputError that names the argument.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace kodec {

namespace nb = nanobind;

using Array = nb::ndarray<nb::ro, nb::device::cpu>;

// A contiguous CPU array (the last dimension's elements side by side) of one of the given types.
// `wanted` names them.
Array array_argument(nb::handle value, const char *name,
                     std::initializer_list<nb::dlpack::dtype> types, const char *wanted,
                     std::size_t dimensions = 1);

// The same, to write to.
nb::ndarray<nb::device::cpu> writable_argument(nb::handle value, const char *name,
                                               std::initializer_list<nb::dlpack::dtype> types,
                                               const char *wanted, std::size_t dimensions = 1);

// An integer that fits 64 bits.
std::int64_t integer_argument(nb::handle value, const char *name);

// A borrowed view of a contiguous bytes-like object.
class BytesArgument {
 public:
  BytesArgument(nb::handle value, const char *name);
  ~BytesArgument() { PyBuffer_Release(&view_); }
  BytesArgument(const BytesArgument &) = delete;
  BytesArgument &operator=(const BytesArgument &) = delete;

  const std::uint8_t *data() const { return static_cast<const std::uint8_t *>(view_.buf); }
  std::size_t size() const { return std::size_t(view_.len); }

 private:
  Py_buffer view_;
};

}  // namespace kodec
