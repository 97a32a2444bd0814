// The page itself: HTML, style and script in one text, nothing loaded from elsewhere.   SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace plumb::feedback {

/// nonce: the word that lets its own style and script through the Content-Security-Policy, and nobody else's.
std::string web_page(const std::string& nonce);

}  // namespace plumb::feedback
