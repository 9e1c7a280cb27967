#include "arguments.hpp"

#include <string>

#include "errors.hpp"

namespace kodec {
namespace {

std::string kind_of(nb::handle value) { return Py_TYPE(value.ptr())->tp_name; }

// Checked part by part, to say what exactly is wrong.
template <typename Result>
Result checked_array(nb::handle value, const char *name,
                     std::initializer_list<nb::dlpack::dtype> types, const char *wanted,
                     std::size_t dimensions) {
  const std::string subject = name;
  nb::ndarray<nb::ro> any;
  if (!nb::try_cast(value, any, false))
    throw InvalidInputError(subject + " must be an array of " + wanted + ", not " +
                            kind_of(value) + " (or one of a type that cannot be read in place)");
  if (any.device_type() != nb::device::cpu::value)
    throw InvalidInputError(subject + " must lie in CPU memory; copy it there");
  if (any.ndim() != dimensions)
    throw InvalidInputError(
        dimensions == 1
            ? subject + " must have one dimension, not " + std::to_string(any.ndim()) + "; flatten it"
            : subject + " must have " + std::to_string(dimensions) + " dimensions, not " +
                  std::to_string(any.ndim()));
  bool known = false;
  for (const nb::dlpack::dtype &type : types) known = known || any.dtype() == type;
  if (!known) throw InvalidInputError(subject + " must be of type " + wanted + "; convert it");
  std::int64_t step = 1;
  for (std::size_t d = dimensions; any.size() > 0 && d-- > 0; step *= std::int64_t(any.shape(d)))
    if (any.shape(d) > 1 && any.stride(d) != step)
      throw InvalidInputError(subject + " must be contiguous; copy it");
  if (reinterpret_cast<std::uintptr_t>(any.data()) % any.itemsize() != 0)
    throw InvalidInputError(subject + " must lie at a multiple of its elements' size; copy it");
  Result result;
  if (!nb::try_cast(value, result, false))
    throw InvalidInputError(subject + " is read-only; give one that can be written to");
  return result;
}

}  // namespace

Array array_argument(nb::handle value, const char *name,
                     std::initializer_list<nb::dlpack::dtype> types, const char *wanted,
                     std::size_t dimensions) {
  return checked_array<Array>(value, name, types, wanted, dimensions);
}

nb::ndarray<nb::device::cpu> writable_argument(nb::handle value, const char *name,
                                               std::initializer_list<nb::dlpack::dtype> types,
                                               const char *wanted, std::size_t dimensions) {
  return checked_array<nb::ndarray<nb::device::cpu>>(value, name, types, wanted, dimensions);
}

std::int64_t integer_argument(nb::handle value, const char *name) {
  const nb::object integer = nb::steal(PyNumber_Index(value.ptr()));
  if (!integer) {
    PyErr_Clear();
    throw InvalidInputError(std::string(name) + " must be an integer, not " + kind_of(value));
  }
  int overflow = 0;
  const long long result = PyLong_AsLongLongAndOverflow(integer.ptr(), &overflow);
  if (overflow != 0) throw InvalidInputError(std::string(name) + " is out of range");
  return result;
}

BytesArgument::BytesArgument(nb::handle value, const char *name) {
  if (PyObject_GetBuffer(value.ptr(), &view_, PyBUF_SIMPLE) != 0) {
    PyErr_Clear();
    throw InvalidInputError(std::string(name) + " must be contiguous bytes, not " +
                            kind_of(value));
  }
}

}  // namespace kodec
