#include <nlohmann/json.hpp>

#include "cmake/precompiled/standard.h"
