// Bytes as text: RFC 4648.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace plumb::feedback {

/// With padding.
std::string base64(const std::string& bytes);
/// Throws Error(kBadInput, where, ...) for text that base64() does not make.
std::string from_base64(const std::string& text, const std::string& where);

}  // namespace plumb::feedback
