// brisque: minus a learned score of distortion, from statistics of neighbouring pixels alone, so that it knows nothing of what is
// in the picture.   SPDX-License-Identifier: Apache-2.0
#include "rewards/brisque.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/sha256.h"
#include "core/share.h"
#include "core/text.h"
#include "io/safetensors.h"
#include "rewards/image_reward.h"

namespace plumb::rewards {
namespace {

const char* const kShipped = "models/brisque.safetensors";

// --- local statistics -------------------------------------------------------------------------------------------------------

constexpr int64_t kReach = 3, kWindow = 2 * kReach + 1;
constexpr double kWindowSigma = 7.0 / 6.0;
/// Brightness is counted in 1/10000 of a grey level: the weights of red, green and blue have four digits, so it is a whole number,
/// and whole 1024ths after halving. Where a picture is flat, its differences are then exactly 0.
constexpr double kGreyLevel = 10000;
constexpr double kRed = 2125, kGreen = 7154, kBlue = 721;

struct Plane {
  Plane(int64_t h, int64_t w) : height(h), width(w), values(static_cast<size_t>(h * w)) {}
  double* row(int64_t y) { return values.data() + y * width; }
  const double* row(int64_t y) const { return values.data() + y * width; }
  int64_t height, width;
  std::vector<double> values;  // [height,width]
};

/// Rec. 709 luma as scikit-image rounds its weights; grey has R = G = B.
Plane brightness_of(const uint8_t* pixels, int64_t channels, int64_t height, int64_t width) {
  Plane plane(height, width);
  const size_t size = plane.values.size();
  for (size_t i = 0; i < size; ++i) {
    plane.values[i] = channels == 1 ? kGreyLevel * pixels[i]
                                    : kRed * pixels[i] + kGreen * pixels[size + i] + kBlue * pixels[2 * size + i];
  }
  return plane;
}

/// OpenCV's size of half a side: rounded, n + 1/2 to even.
int64_t half_of(int64_t side) { return side / 2 + (side % 4 == 3 ? 1 : 0); }

/// Cubic interpolation (a = -3/4) at 2i + 1/2, without a filter before it; the border is repeated.
double between(const double* line, int64_t stride, int64_t i, int64_t size) {
  const auto at = [&](int64_t place) { return line[std::clamp<int64_t>(2 * i + place, 0, size - 1) * stride]; };
  return (19 * (at(0) + at(1)) - 3 * (at(-1) + at(2))) / 32;
}

Plane halved(const Plane& from) {
  Plane narrow(from.height, half_of(from.width)), out(half_of(from.height), half_of(from.width));
  for (int64_t y = 0; y < narrow.height; ++y) {
    for (int64_t x = 0; x < narrow.width; ++x) narrow.row(y)[x] = between(from.row(y), 1, x, from.width);
  }
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) out.row(y)[x] = between(narrow.row(0) + x, narrow.width, y, from.height);
  }
  return out;
}

/// A pair of opposite pixels of the window, seen from its upper left corner, and the weight of each.
struct Pair {
  int64_t y, x;
  double weight;
};

/// The Gaussian window but for its centre, which does not differ from itself.
std::vector<Pair> window_pairs() {
  std::vector<Pair> pairs;
  double sum = 1;  // of the weights, the centre's among them
  for (int64_t k = 0; k < kWindow * kWindow / 2; ++k) {
    const int64_t y = k / kWindow, x = k % kWindow, square = (y - kReach) * (y - kReach) + (x - kReach) * (x - kReach);
    pairs.push_back({y, x, std::exp(-static_cast<double>(square) / (2 * kWindowSigma * kWindowSigma))});
    sum += 2 * pairs.back().weight;
  }
  for (Pair& pair : pairs) pair.weight /= sum;
  return pairs;
}

/// MSCN: (I - mu) / (sigma + C), eq. 1-3, C one grey level, black beyond the border. With d = I_k - I over the window, I - mu is
/// -E[d] and sigma^2 is E[d^2] - E[d]^2: the paper's numbers, but nothing large cancels. Opposite d are added first, which is
/// exact, so that a flat or evenly sloping part of a picture gives 0 and not the sign of a rounding error.
Plane mscn(const Plane& image) {
  static const std::vector<Pair> pairs = window_pairs();
  const int64_t height = image.height, width = image.width;
  Plane padded(height + 2 * kReach, width + 2 * kReach), out(height, width);
  for (int64_t y = 0; y < height; ++y) std::copy_n(image.row(y), width, padded.row(y + kReach) + kReach);
  std::vector<double> mean(static_cast<size_t>(width)), square(static_cast<size_t>(width));  // of d, along one row
  for (int64_t y = 0; y < height; ++y) {
    const double* centre = image.row(y);
    std::fill(mean.begin(), mean.end(), 0.0);
    std::fill(square.begin(), square.end(), 0.0);
    for (const Pair& pair : pairs) {
      const double* one = padded.row(y + pair.y) + pair.x;
      const double* other = padded.row(y + 2 * kReach - pair.y) + 2 * kReach - pair.x;
      for (size_t x = 0; x < mean.size(); ++x) {
        const double d = one[x] - centre[x], opposite = other[x] - centre[x];
        mean[x] += pair.weight * (d + opposite);
        square[x] += pair.weight * (d * d + opposite * opposite);
      }
    }
    for (size_t x = 0; x < mean.size(); ++x) {
      const double variance = std::max(square[x] - mean[x] * mean[x], 0.0);
      out.row(y)[x] = -mean[x] / (std::sqrt(variance) + kGreyLevel);
    }
  }
  return out;
}

// --- distributions ----------------------------------------------------------------------------------------------------------

/// Range of the shape: that of the table, 0.2 to 10 in steps of 0.001, which the paper's authors look it up in. The ranges that
/// come with the weights (up to 9.9994) show that they were made with it.
constexpr double kLeastShape = 0.2, kMostShape = 10;

/// Gamma(2/a)^2 / (Gamma(1/a) Gamma(3/a)) = E[|x|]^2 / E[x^2] of the generalised Gaussian of shape a; rises with a.
double moment_ratio(double shape) {
  const double second = std::tgamma(2 / shape);
  return second * second / (std::tgamma(1 / shape) * std::tgamma(3 / shape));
}

double shape_of(double ratio) {
  double low = kLeastShape, high = kMostShape;
  if (!(ratio > moment_ratio(low))) return low;
  if (ratio >= moment_ratio(high)) return high;
  for (int i = 0; i < 48; ++i) {
    const double middle = (low + high) / 2;
    (moment_ratio(middle) < ratio ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// An asymmetric generalised Gaussian: shape, mean, and the variances of its two sides.
struct Fit {
  double shape = kLeastShape, mean = 0, left = 0, right = 0;
};

/// What a sample leaves behind for the fit. Zeros count as not negative.
class Moments {
 public:
  void add(double x) {
    absolute_ += std::abs(x);
    ++(x < 0 ? negatives_ : others_);
    (x < 0 ? left_ : right_) += x * x;
  }
  /// By moments: Lasmar, Stitou, Berthoumieu, "Multiscale skewed heavy tailed model for texture analysis", ICIP 2009. All zeros,
  /// where r is 0/0, is the limit of ever fewer values that are not: r = 0, the least shape, no variance. A side without values
  /// has no variance either.
  Fit fit() const {
    if (left_ + right_ == 0) return {};
    Fit fit;
    fit.left = negatives_ > 0 ? left_ / static_cast<double>(negatives_) : 0;
    fit.right = others_ > 0 ? right_ / static_cast<double>(others_) : 0;
    const double l = std::sqrt(fit.left), r = std::sqrt(fit.right), n = static_cast<double>(negatives_ + others_);
    const double r_hat = absolute_ * absolute_ / (n * (left_ + right_));
    // R = r (g^3 + 1) (g + 1) / (g^2 + 1)^2 with g = l / r, both parts times r^4, which may be 0
    const double both = fit.left + fit.right;
    fit.shape = shape_of(r_hat * (fit.left * l + fit.right * r) * (l + r) / (both * both));
    fit.mean = (r - l) * std::sqrt(moment_ratio(fit.shape));
    return fit;
  }

 private:
  double absolute_ = 0, left_ = 0, right_ = 0;
  int64_t negatives_ = 0, others_ = 0;
};

/// The fit to the products of each value with the one `down` rows below it and `right` columns beside it (left if negative).
Fit fit_products(const Plane& plane, int64_t down, int64_t right) {
  Moments moments;
  const int64_t begin = std::max<int64_t>(0, -right), end = plane.width - std::max<int64_t>(0, right);
  for (int64_t y = 0; y + down < plane.height; ++y) {
    const double *here = plane.row(y), *there = plane.row(y + down) + right;
    for (int64_t x = begin; x < end; ++x) moments.add(here[x] * there[x]);
  }
  return moments.fit();
}

double* add_features(const Plane& image, double* out) {
  const Plane values = mscn(image);
  Moments moments;
  for (const double value : values.values) moments.add(value);
  const Fit own = moments.fit();
  *out++ = own.shape;
  *out++ = (own.left + own.right) / 2;
  constexpr int64_t neighbours[4][2] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}};  // down, right
  for (const auto& [down, right] : neighbours) {
    const Fit fit = fit_products(values, down, right);
    for (const double feature : {fit.shape, fit.mean, fit.left, fit.right}) *out++ = feature;
  }
  return out;
}

// --- the learned part -------------------------------------------------------------------------------------------------------

/// An epsilon-SVR with the kernel exp(-gamma |x - v|^2) on features scaled to [-1,1].
class Regression {
 public:
  explicit Regression(const std::string& path) {
    const io::SafetensorsReader reader(path);
    const auto read = [&](const std::string& name, const std::vector<int64_t>& shape) {
      const io::TensorView& tensor = reader.tensor(name);
      if (tensor.dtype != "F64" || tensor.shape != shape) {
        throw Error(Exit::kBadInput, path,
                    cat("tensor '", name, "' is ", tensor.dtype, " ", shape_text(tensor.shape), ", not F64 ", shape_text(shape)),
                    "share/tools/brisque.py makes the file");
      }
      std::vector<double> values(tensor.bytes / sizeof(double));
      if (!values.empty()) std::memcpy(values.data(), tensor.data, tensor.bytes);
      return values;
    };
    const std::vector<int64_t>& shape = reader.tensor("support_vectors").shape;
    const int64_t count = shape.empty() ? 0 : shape[0];
    vectors_ = read("support_vectors", {count, kBrisqueFeatures});
    coefficients_ = read("coefficients", {count});
    minimum_ = read("minimum", {kBrisqueFeatures});
    maximum_ = read("maximum", {kBrisqueFeatures});
    gamma_ = read("gamma", {1})[0];
    rho_ = read("rho", {1})[0];
  }
  double operator()(std::array<double, kBrisqueFeatures> features) const {
    for (size_t f = 0; f < features.size(); ++f) {
      features[f] = -1 + 2 * (features[f] - minimum_[f]) / (maximum_[f] - minimum_[f]);
    }
    double sum = -rho_;
    const double* vector = vectors_.data();
    for (const double coefficient : coefficients_) {
      double distance = 0;
      for (const double feature : features) {
        distance += (feature - *vector) * (feature - *vector);
        ++vector;
      }
      sum += coefficient * std::exp(-gamma_ * distance);
    }
    return sum;
  }

 private:
  std::vector<double> vectors_, coefficients_, minimum_, maximum_;  // [V,36], [V], [36], [36]
  double gamma_ = 0, rho_ = 0;
};

class Brisque : public Reward {
 public:
  explicit Brisque(const std::string& path) : regression_(path), digest_(sha256_of_file(path)) {}

  Tensor score(const RewardBatch& batch) override {
    const Tensor images = batch.items.contiguous();  // [B,C,H,W] uint8
    const int64_t image_size = images[0].numel();
    const uint8_t* pixels = images.const_data_ptr<uint8_t>();
    Tensor values = at::empty({images.size(0)}, at::kDouble);
    double* value = values.mutable_data_ptr<double>();
    at::parallel_for(0, images.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        value[i] = -regression_(brisque_features(pixels + i * image_size, images.size(1), images.size(2), images.size(3)));
      }
    });
    return values;
  }
  io::Json describe() const override { return {{"name", "brisque"}, {"sha256", digest_}}; }

 private:
  Regression regression_;
  std::string digest_;
};

}  // namespace

std::array<double, kBrisqueFeatures> brisque_features(const uint8_t* pixels, int64_t channels, int64_t height, int64_t width) {
  std::array<double, kBrisqueFeatures> features{};
  const Plane full = brightness_of(pixels, channels, height, width);
  add_features(halved(full), add_features(full, features.data()));
  return features;
}

std::unique_ptr<Reward> make_brisque(const RewardSpec& spec) {
  need_images(spec);
  need_no_argument(spec);
  const std::vector<int64_t>& shape = spec.space.shape;
  if (std::min(shape[1], shape[2]) < kBrisqueSmallestSide) {
    throw Error(Exit::kBadInput, "reward 'brisque'",
                cat("needs images of ", kBrisqueSmallestSide, "x", kBrisqueSmallestSide, " pixels or more, the items are ",
                    spec.space.text()),
                "choose another reward");
  }
  const std::string path = share_path(kShipped);
  if (path.empty()) throw Error(Exit::kBadInput, cat("share/", kShipped), "is not there", "share/tools/brisque.py makes it");
  return std::make_unique<Brisque>(path);
}

}  // namespace plumb::rewards
