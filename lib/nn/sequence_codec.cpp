// Sequences: uint8 codes [B,L] <-> one-hot letters [B,K,L] float32 in {-1,+1}.   SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>

#include "core/error.h"
#include "core/philox.h"
#include "core/text.h"
#include "nn/codec.h"

namespace plumb::nn {
namespace {

/// For each letter of DNA or RNA the index of its complement (A-T or A-U, C-G; N, where there is one, of itself); empty for other
/// alphabets.
std::vector<int64_t> complements(const std::string& alphabet) {
  const bool rna = alphabet.find('U') != std::string::npos;
  const std::string letters = rna ? "ACGUN" : "ACGTN", partners = rna ? "UGCAN" : "TGCAN";
  std::vector<int64_t> index;
  for (const char letter : alphabet) {
    const size_t known = letters.find(letter);
    const size_t partner = known == std::string::npos ? known : alphabet.find(partners[known]);
    if (partner == std::string::npos) return {};
    index.push_back(static_cast<int64_t>(partner));
  }
  return index.size() < 4 ? std::vector<int64_t>{} : index;
}

class SequenceCodec : public Codec {
 public:
  explicit SequenceCodec(const io::Space& space)
      : letters_(static_cast<int64_t>(space.alphabet.size())), length_(space.shape.at(0)), alphabet_(space.alphabet),
        complements_(complements(space.alphabet)) {}
  std::vector<int64_t> model_shape() const override { return {letters_, length_}; }

  Tensor encode(const Tensor& stored) const override {
    check(stored, {length_}, "codes");
    if (const int64_t largest = stored.numel() > 0 ? stored.max().item<int64_t>() : 0; largest >= letters_) {
      throw Error(Exit::kBadInput, "sequences", cat("hold code ", largest, ", the alphabet '", alphabet_, "' has ", letters_, " letters"),
                  "leave such sequences out, or add the letter to the alphabet");
    }
    const Tensor one_hot = at::one_hot(stored.to(at::kLong), letters_).transpose(1, 2);   // [B,K,L]
    return one_hot.to(at::kFloat).mul(2).sub_(1).contiguous();
  }

  /// The letter of the largest channel; of equal ones the first.
  Tensor decode(const Tensor& x0) const override {
    check(x0, {letters_, length_}, "model space");
    return x0.detach().to(at::kCPU, at::kFloat).argmax(1).to(at::kByte).contiguous();
  }

  /// DNA and RNA: the reverse complement of each item with probability 1/2, by its draw of (seed, kAugment, first_item + row, epoch).
  Tensor augment(const Tensor& x, uint64_t seed, int64_t first_item, uint32_t epoch, bool flip) const override {
    if (!flip || complements_.empty()) return x;
    Tensor turned = at::empty({x.size(0), 1, 1}, at::kBool);
    bool* out = turned.mutable_data_ptr<bool>();
    for (int64_t i = 0; i < x.size(0); ++i) {
      Philox random(seed, Stream::kAugment, static_cast<uint64_t>(first_item + i), epoch);
      out[i] = (random.next() & 1U) != 0;
    }
    const Tensor complement = x.index_select(1, at::tensor(complements_, at::kLong).to(x.device()));
    return at::where(turned.to(x.device()), complement.flip(2), x);
  }

 private:
  void check(const Tensor& items, const std::vector<int64_t>& shape, const char* what) const {
    if (items.dim() == static_cast<int64_t>(shape.size()) + 1 && items.sizes().slice(1) == at::IntArrayRef(shape)) return;
    throw Error(Exit::kBadInput, "sequences",
                cat("are ", shape_text(items.sizes().vec()), ", ", what, " of ", shape_text(shape), " an item was expected"));
  }
  int64_t letters_, length_;
  std::string alphabet_;
  std::vector<int64_t> complements_;
};

}  // namespace

std::unique_ptr<Codec> make_sequence_codec(const io::Space& space) { return std::make_unique<SequenceCodec>(space); }

void check_flip(const io::Space& space) {
  if (space.type == "image") return;
  if (space.type != "sequence") {
    throw Error(Exit::kUsage, "--flip", "is for images and nucleotide sequences, the items are " + space.text(), "leave it out");
  }
  if (complements(space.alphabet).empty()) {
    throw Error(Exit::kUsage, "--flip", "the letters '" + space.alphabet + "' have no complement", "it is for DNA and RNA: leave it out");
  }
}

}  // namespace plumb::nn
