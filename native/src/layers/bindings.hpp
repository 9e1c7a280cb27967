// Layers, for Python.
#pragma once

#include <nanobind/nanobind.h>

namespace kodec {

void add_layers(nanobind::module_ &m);

}  // namespace kodec
