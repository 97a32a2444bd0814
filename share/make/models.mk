# The recipe of the two Fashion-MNIST weights in share/models, from real data to their figures (see share/models/README.md on how far they
# are its output):
#
#   make -f share/make/models.mk            both and their figures; hours on one core
#   make -f share/make/models.mk J=2        with two threads: the same recipe; sums may differ in the last digit
#
# Each target is one command whose output appears only when it is whole: stop it at any time, the same command goes on.
BIN ?= build/bin
WORK ?= runs/models
DATA ?= /usr/share/datasets/fashion-mnist
J ?= 1
MODELS = share/models
CLASSES = T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot

.PHONY: all figures
all: $(MODELS)/fashion-mnist.h5 $(MODELS)/fashion-mnist-classifier.h5 figures

$(WORK)/train.h5:
	@mkdir -p $(WORK)
	$(BIN)/ingest $(DATA)/train-images-idx3-ubyte.gz --class-names "$(CLASSES)" -o $@
$(WORK)/test.h5:
	@mkdir -p $(WORK)
	$(BIN)/ingest $(DATA)/t10k-images-idx3-ubyte.gz --class-names "$(CLASSES)" -o $@

# Class-conditional with a null class for guidance: 5000 steps of 64 images, 5.3 passes over the training set.
$(MODELS)/fashion-mnist.h5: | $(WORK)/train.h5
	$(BIN)/pretrain $(WORK)/train.h5 --steps 5000 --batch-size 64 --seed 1 -j $(J) --log $(WORK)/fashion-mnist.log.jsonl -o $@

$(MODELS)/fashion-mnist-classifier.h5: | $(WORK)/train.h5 $(WORK)/test.h5
	$(BIN)/reward-train $(WORK)/train.h5 --network small --epochs 16 --lr 3e-3 --flip --shift 1 --held-out 0.05 --calibrate \
	  --test $(WORK)/test.h5 -j $(J) --log $(WORK)/fashion-mnist-classifier.log.jsonl -o $@

# Distances of 5,000 samples to the 10,000 test images, on the classifier's penultimate features; and what the distance of
# as many real training images to as many test images is (--limit cuts both sides).
figures: $(WORK)/samples.json $(WORK)/real.json
$(WORK)/samples.h5: $(MODELS)/fashion-mnist.h5
	$(BIN)/sample --model $< -n 5000 --seed 1 --sampler dpm-solver++ --steps 20 -j $(J) -o $@
$(WORK)/samples.json: $(WORK)/samples.h5 $(MODELS)/fashion-mnist-classifier.h5 $(WORK)/test.h5
	$(BIN)/evaluate-fid $< --reference $(WORK)/test.h5 -j $(J) -o $@
$(WORK)/real.json: $(WORK)/train.h5 $(MODELS)/fashion-mnist-classifier.h5 $(WORK)/test.h5
	$(BIN)/evaluate-fid $< --limit 5000 --reference $(WORK)/test.h5 -j $(J) -o $@
