// The module kodec.native._cuda; _cuda.pyi documents it. It can be imported where there is no device,
// and no driver.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <limits>
#include <string>
#include <vector>

#include "../arguments.hpp"
#include "../python_module.hpp"
#include "cuda_decoder.hpp"
#include "cuda_encoder.hpp"
#include "memory.hpp"

namespace nb = nanobind;
using namespace kodec;
using cuda::CudaDecoder;
using cuda::CudaEncoder;

namespace {

using DeviceArray = nb::ndarray<nb::ro, nb::device::cuda>;

// A contiguous (items, symbols) array of one of the given types on `device`.
template <typename Result = DeviceArray>
Result device_argument(nb::handle value, const char *name, int device,
                       std::initializer_list<nb::dlpack::dtype> types, const char *wanted) {
  const std::string subject = name;
  nb::ndarray<nb::ro> any;
  if (!nb::try_cast(value, any, false))
    throw InvalidInputError(subject + " must be a tensor of " + wanted + ", not " +
                            Py_TYPE(value.ptr())->tp_name +
                            " (or one that cannot be read in place: detach it)");
  if (any.device_type() != nb::device::cuda::value || any.device_id() != device)
    throw InvalidInputError(subject + " must lie on CUDA device " + std::to_string(device) +
                            ", where the coder is");
  if (any.ndim() != 2)
    throw InvalidInputError(subject + " must have two dimensions (items, symbols), not " +
                            std::to_string(any.ndim()));
  bool known = false;
  for (const nb::dlpack::dtype &type : types) known = known || any.dtype() == type;
  if (!known) throw InvalidInputError(subject + " must be of type " + wanted + "; convert it");
  const std::int64_t items = std::int64_t(any.shape(0)), count = std::int64_t(any.shape(1));
  if ((count > 1 && any.stride(1) != 1) || (items > 1 && count > 0 && any.stride(0) != count))
    throw InvalidInputError(subject + " must be contiguous; copy it");
  if (items * count > 0 && reinterpret_cast<std::uintptr_t>(any.data()) % any.itemsize() != 0)
    throw InvalidInputError(subject + " must be aligned to its type; copy it");
  Result result;
  if (!nb::try_cast(value, result, false))
    throw InvalidInputError(subject + " is read-only; give one that can be written to");
  return result;
}

template <typename A, typename B>
void require_same_shape(const A &a, const char *name, const B &b, const char *other) {
  if (a.shape(0) != b.shape(0) || a.shape(1) != b.shape(1))
    throw InvalidInputError(std::string(name) + " have the shape (" + std::to_string(a.shape(0)) +
                            ", " + std::to_string(a.shape(1)) + "), but " + other + " (" +
                            std::to_string(b.shape(0)) + ", " + std::to_string(b.shape(1)) + ")");
}

DeviceArray indexes_argument(nb::handle indexes, int device) {
  return device_argument(indexes, "indexes", device,
                         {nb::dtype<std::uint8_t>(), nb::dtype<std::uint16_t>()}, "uint8 or uint16");
}

std::uintptr_t stream_argument(nb::handle stream) {
  const std::int64_t handle = integer_argument(stream, "stream");
  if (handle < 0) throw InvalidInputError("stream must be a CUDA stream's handle, not negative");
  return std::uintptr_t(handle);
}

struct PyCudaEncoder {
  Exclusive<CudaEncoder> exclusive{"this CudaEncoder"};
  int device;

  PyCudaEncoder(nb::handle items, nb::handle device_number) {
    exclusive.coder.emplace(integer_argument(items, "items"),
                            integer_argument(device_number, "device"));
    device = exclusive.coder->device();
  }

  void add(nb::handle symbols, nb::handle indexes, nb::handle tables, nb::handle overridden,
           nb::handle stream) {
    const DeviceArray s = device_argument(symbols, "symbols", device,
                                          {nb::dtype<std::int16_t>(), nb::dtype<std::int32_t>()},
                                          "int16 or int32");
    const DeviceArray i = indexes_argument(indexes, device);
    require_same_shape(s, "symbols", i, "indexes");
    DeviceArray o;
    if (!overridden.is_none()) {
      o = device_argument(overridden, "overridden", device,
                          {nb::dtype<bool>(), nb::dtype<std::uint8_t>()}, "bool or uint8");
      require_same_shape(s, "symbols", o, "overridden");
    }
    const std::shared_ptr<const TableSet> set = tables_argument(tables);
    const std::uintptr_t handle = stream_argument(stream);
    const auto *const mask =
        overridden.is_none() ? nullptr : static_cast<const std::uint8_t *>(o.data());
    exclusive.use([&](CudaEncoder &encoder) {
      encoder.add({s.data(), int(s.itemsize()), i.data(), int(i.itemsize()), mask, s.shape(0),
                   s.shape(1)}, set, handle);
    });
  }

  nb::list finish(nb::handle segments, nb::handle lanes, nb::handle stream) {
    const std::int64_t s = integer_argument(segments, "segments");
    const std::int64_t l = integer_argument(lanes, "lanes");
    const std::uintptr_t handle = stream_argument(stream);
    const std::vector<Bytes> streams =
        exclusive.use([&](CudaEncoder &encoder) { return encoder.finish(s, l, handle); });
    exclusive.coder.reset();
    nb::list result;
    for (const Bytes &bytes : streams) result.append(nb::bytes(bytes.data(), bytes.size()));
    return result;
  }
};

struct PyCudaDecoder {
  Exclusive<CudaDecoder> exclusive{"this CudaDecoder"};
  int device;

  PyCudaDecoder(nb::handle streams, nb::handle device_number, nb::handle stream) {
    if (!PySequence_Check(streams.ptr()) || PyObject_CheckBuffer(streams.ptr()))
      throw InvalidInputError("streams must be a sequence of bytes, one for each item");
    std::vector<Bytes> copies;
    for (std::size_t i = 0; i < nb::len(streams); ++i) {
      const nb::object item = streams[i];
      const BytesArgument bytes(item, "each stream");
      copies.emplace_back(bytes.data(), bytes.data() + bytes.size());
    }
    exclusive.coder.emplace(std::move(copies), integer_argument(device_number, "device"),
                            stream_argument(stream));
    device = exclusive.coder->device();
  }

  nb::list symbols() {
    nb::list result;
    for (const std::uint64_t count : exclusive.use([](const CudaDecoder &decoder) {
           std::vector<std::uint64_t> counts;
           for (std::size_t item = 0; item < decoder.items(); ++item)
             counts.push_back(decoder.symbols(item));
           return counts;
         }))
      result.append(count);
    return result;
  }

  void decode(nb::handle indexes, nb::handle tables, nb::handle out, nb::handle stream) {
    const DeviceArray i = indexes_argument(indexes, device);
    const auto symbols = device_argument<nb::ndarray<nb::device::cuda>>(
        out, "out", device, {nb::dtype<std::int32_t>()}, "int32");
    require_same_shape(i, "indexes", symbols, "out");
    const std::shared_ptr<const TableSet> set = tables_argument(tables);
    const std::uintptr_t handle = stream_argument(stream);
    use_or_stop([&](CudaDecoder &decoder) {
      decoder.decode({i.data(), int(i.itemsize()), static_cast<std::int32_t *>(symbols.data()),
                      i.shape(0), i.shape(1)}, set, handle);
    });
  }

  void check(nb::handle stream) {
    const std::uintptr_t handle = stream_argument(stream);
    use_or_stop([&](CudaDecoder &decoder) { decoder.check(handle); });
  }

  void finish(nb::handle stream) {
    const std::uintptr_t handle = stream_argument(stream);
    use_or_stop([&](CudaDecoder &decoder) { decoder.finish(handle); });
    exclusive.coder.reset();
  }

 private:
  // After an error in the stream the decoder is of no further use.
  template <typename Work>
  void use_or_stop(Work work) {
    try {
      exclusive.use(work);
    } catch (const BitstreamError &) {
      exclusive.coder.reset();
      throw;
    }
  }
};

}  // namespace

NB_MODULE(_cuda, m) {
  // For the class Tables.
  nb::module_::import_("kodec.native._core");
  nb::register_exception_translator(translate);

  m.def("device_count", cuda::device_count);

  nb::class_<PyCudaEncoder>(m, "CudaEncoder")
      .def(nb::init<nb::handle, nb::handle>(), nb::arg("items").none(), nb::arg("device").none() = 0)
      .def("add", &PyCudaEncoder::add, nb::arg("symbols").none(), nb::arg("indexes").none(),
           nb::arg("tables").none(), nb::arg("overridden").none() = nb::none(), nb::kw_only(),
           nb::arg("stream").none())
      .def("finish", &PyCudaEncoder::finish, nb::arg("segments").none() = 0,
           nb::arg("lanes").none() = 0, nb::kw_only(), nb::arg("stream").none());

  nb::class_<PyCudaDecoder>(m, "CudaDecoder")
      .def(nb::init<nb::handle, nb::handle, nb::handle>(), nb::arg("streams").none(),
           nb::arg("device").none() = 0, nb::kw_only(), nb::arg("stream").none())
      .def_prop_ro("symbols", &PyCudaDecoder::symbols)
      .def("decode", &PyCudaDecoder::decode, nb::arg("indexes").none(), nb::arg("tables").none(),
           nb::arg("out").none(), nb::kw_only(), nb::arg("stream").none())
      .def("check", &PyCudaDecoder::check, nb::kw_only(), nb::arg("stream").none())
      .def("finish", &PyCudaDecoder::finish, nb::kw_only(), nb::arg("stream").none());
}
