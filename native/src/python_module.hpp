// What the extension modules have in common: exceptions, the class Tables, exclusive use of a coder.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "arguments.hpp"
#include "errors.hpp"
#include "tables.hpp"

namespace kodec {

inline void raise_python(const char *class_name, const char *message) {
  nb::module_ errors = nb::module_::import_("kodec.native.errors");
  PyErr_SetString(errors.attr(class_name).ptr(), message);
}

inline void translate(const std::exception_ptr &pointer, void *) {
  try {
    std::rethrow_exception(pointer);
  } catch (const InvalidInputError &error) {
    raise_python("InvalidInputError", error.what());
  } catch (const MismatchError &error) {
    raise_python("MismatchError", error.what());
  } catch (const BitstreamError &error) {
    raise_python("BitstreamError", error.what());
  } catch (const UnsupportedError &error) {
    raise_python("UnsupportedError", error.what());
  } catch (const DeviceError &error) {
    raise_python("DeviceError", error.what());
  }
}

template <typename T>
const T *data_of(const Array &array) {
  return static_cast<const T *>(array.data());
}

struct Tables {
  std::shared_ptr<const TableSet> set;

  Tables(nb::handle frequencies, nb::handle sizes, nb::handle offsets, nb::handle shifts) {
    const Array f = array_argument(frequencies, "frequencies", {nb::dtype<std::uint16_t>()}, "uint16");
    const Array n = array_argument(sizes, "sizes", {nb::dtype<std::uint16_t>()}, "uint16");
    const Array o = array_argument(offsets, "offsets", {nb::dtype<std::int32_t>()}, "int32");
    const Array k = array_argument(shifts, "shifts", {nb::dtype<std::uint8_t>()}, "uint8");
    if (n.shape(0) != o.shape(0) || n.shape(0) != k.shape(0))
      throw InvalidInputError("sizes, offsets and shifts must have one element for each table");
    set = std::make_shared<TableSet>(data_of<std::uint16_t>(f), f.shape(0), data_of<std::uint16_t>(n),
                                     data_of<std::int32_t>(o), data_of<std::uint8_t>(k), n.shape(0));
  }
};

inline std::shared_ptr<const TableSet> tables_argument(nb::handle tables) {
  if (!nb::isinstance<Tables>(tables)) throw InvalidInputError("tables must be a Tables object");
  return nb::cast<const Tables &>(tables).set;
}

// An encoder or decoder that belongs to one thread at a time (the GIL is released while it works)
// and is gone after `finish`, or after an error that leaves it half way.
template <typename Coder>
class Exclusive {
 public:
  explicit Exclusive(const char *name) : name_(name) {}
  std::optional<Coder> coder;

  // Runs `work` on the coder without the GIL.
  template <typename Work>
  auto use(Work work) {
    if (busy_.exchange(true))
      throw InvalidInputError(name_ + " is at work in another thread; use one for each thread");
    const Release release{busy_};
    if (!coder) throw InvalidInputError(name_ + " is finished, or was stopped by an error; make a new one");
    nb::gil_scoped_release no_gil;
    return work(*coder);
  }

 private:
  struct Release {
    std::atomic<bool> &busy;
    ~Release() { busy = false; }
  };

  std::string name_;
  std::atomic<bool> busy_{false};
};

}  // namespace kodec
