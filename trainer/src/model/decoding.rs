//! Decoding: prompts into the caches of slots, then one token of each slot at a time.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use ratdata_schemas::TokenId;

use super::caches::LayerCache;
use super::config::MixerKind;
use super::decoder::Model;
use super::positions::StepGeometry;
use crate::documents::Documents;
use crate::kernels::best_output::{QuantizedRows, best_output, quantized_rows};
use crate::workers::among_workers;

/// The largest matrix product, in elements, that the CPU's kernels sum up in another order than larger
/// ones; they do the same with a product of one row.
const SMALL_PRODUCT: usize = 256;

/// How many positions of a prompt get their logits at a time: all at once would take gigabytes for a
/// long prompt and a large vocabulary.
const PIECE: usize = 256;

/// The largest embedding, in numbers, that stays in a processor's caches: all products are computed sooner than
/// their bounds.
const SMALL_EMBEDDING: usize = 1 << 17;

/// The output layer of a model as greedy decoding reads it; see [`Model::greedy_table`].
#[derive(Clone, Debug)]
pub struct GreedyTable(Arc<QuantizedRows>);

/// The caches of a model for several sequences, each in a slot of its own.
///
/// Each sequence has its own length and its own chunks, from its own first token.
#[derive(Clone, Debug)]
pub struct Caches {
    layers: Vec<LayerCache>,
    /// How many tokens each slot has; none where it is not in use.
    lens: Vec<Option<usize>>,
    /// How many tokens a slot has room for.
    capacity: usize,
    device: Device,
}

impl Caches {
    /// Returns how many tokens the sequence of a slot has; none where the slot is not in use.
    pub fn len_of(&self, slot: usize) -> Option<usize> {
        self.lens[slot]
    }

    /// Gives the first `slots` slots the length `len` without a prompt, for measuring: what they have of
    /// their tokens is what was there before, zeros at first.
    pub fn assume_lens(&mut self, slots: usize, len: usize) {
        self.lens[..slots].fill(Some(len));
    }

    /// Ends the sequence of a slot, so that another can take its place.
    pub fn free(&mut self, slot: usize) {
        self.lens[slot] = None;
    }
}

impl Model {
    /// Makes empty caches for so many sequences.
    pub fn caches(&self, slots: usize, device: &Device) -> Caches {
        let slots = slots.max(self.fewest_slots());
        let layer = |layer: usize| {
            let shape = self.config().mixer_shape(self.config().mixer(layer));
            LayerCache::new(&shape, slots, 0, self.precision(), device)
        };
        Caches {
            layers: (0..self.layers.len()).map(layer).collect(),
            lens: vec![None; slots],
            capacity: 0,
            device: device.clone(),
        }
    }

    /// Returns how many slots there are at least, used or not, so that the logits of a sequence are the
    /// same bits for any number of sequences.
    fn fewest_slots(&self) -> usize {
        let config = self.config();
        let narrowest = config.d_model.get().min(config.vocab_size.get());
        (SMALL_PRODUCT / narrowest + 1).max(2)
    }

    /// Makes room for sequences of `capacity` tokens.
    pub fn reserve(&self, caches: &mut Caches, capacity: usize) {
        if capacity <= caches.capacity {
            return;
        }
        caches.capacity = capacity;
        for (layer, cache) in caches.layers.iter_mut().enumerate() {
            let shape = self.config().mixer_shape(self.config().mixer(layer));
            cache.grow(&shape, capacity);
        }
    }

    /// Reads a prompt into a slot, and returns the logits after its last token.
    ///
    /// # Shapes
    /// Output: `[vocab_size]`.
    ///
    /// # Panics
    /// The prompt is empty.
    pub fn prefill(&self, caches: &mut Caches, slot: usize, prompt: &[TokenId]) -> Tensor<1> {
        let hidden = self.read_prompt(caches, slot, prompt);
        self.last_logits(hidden, prompt.len())
    }

    /// Reads a prompt into a slot as [`Model::prefill`] does, and also gives the logits after each of
    /// its tokens but the last to `each`, in their order and in pieces of several positions.
    ///
    /// # Shapes
    /// A piece: [positions, `vocab_size`]; output: `[vocab_size]`.
    ///
    /// # Panics
    /// The prompt is empty.
    pub fn prefill_reporting(
        &self,
        caches: &mut Caches,
        slot: usize,
        prompt: &[TokenId],
        mut each: impl FnMut(Tensor<2>),
    ) -> Tensor<1> {
        let hidden = self.read_prompt(caches, slot, prompt);
        let last = prompt.len() - 1;
        for first in (0..last).step_by(PIECE) {
            let len = PIECE.min(last - first);
            let logits = self.logits(hidden.clone().narrow(1, first, len));
            let vocab = logits.dims()[2];
            each(logits.reshape([len, vocab]));
        }
        self.last_logits(hidden, prompt.len())
    }

    /// Reads a prompt into a slot, and returns the last block's output: [1, at least its length,
    /// `d_model`].
    fn read_prompt(&self, caches: &mut Caches, slot: usize, prompt: &[TokenId]) -> Tensor<3> {
        assert!(!prompt.is_empty(), "a prompt has a token");
        self.reserve(caches, prompt.len());
        // No token sees the padding after it. RAT needs whole chunks.
        let config = self.config();
        let multiple = if config.has(MixerKind::Rat) { config.chunk_len.get() } else { 1 };
        let padded = prompt.len().next_multiple_of(multiple);
        let mut ids: Vec<i64> = prompt.iter().map(|&id| i64::from(id)).collect();
        ids.resize(padded, 0);
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, padded]), &caches.device);
        let geometry = self.geometry(&Documents::OnePerRow, &tokens);
        let mut x = self.embed(tokens);
        for (block, cache) in self.layers.iter().zip(&mut caches.layers) {
            let (mixed, kept) = block.seq.forward_keeping(x, &geometry);
            cache.admit(&block.seq.shape, slot, prompt.len(), kept);
            x = block.ffn.forward(mixed);
        }
        caches.lens[slot] = Some(prompt.len());
        x
    }

    fn last_logits(&self, hidden: Tensor<3>, len: usize) -> Tensor<1> {
        let logits = self.logits(hidden.narrow(1, len - 1, 1));
        let vocab = logits.dims()[2];
        logits.reshape([vocab])
    }

    /// Adds one token to each slot in use, and returns the logits after it.
    ///
    /// `tokens` has an id for each slot; that of a slot that is not in use counts for nothing.
    ///
    /// # Shapes
    /// Output: [slots, `vocab_size`].
    pub fn step(&self, caches: &mut Caches, tokens: &[TokenId]) -> Tensor<2> {
        let device = caches.device.clone();
        among_workers(&device, || {
            let logits = self.logits(self.add(caches, tokens));
            let [slots, _, vocab] = logits.dims();
            logits.reshape([slots, vocab])
        })
    }

    /// Returns what greedy decoding needs to find the most likely tokens without computing all logits;
    /// none where that is not faster: for a small embedding, on a GPU, or on a CPU without AVX2.
    ///
    /// It takes a quarter of the embedding's memory.
    pub fn greedy_table(&self) -> Option<GreedyTable> {
        let is_small = self.wte.val().shape().num_elements() <= SMALL_EMBEDDING;
        if is_small { None } else { quantized_rows(&self.wte.val()).map(GreedyTable) }
    }

    /// Adds one token to each slot as [`Model::step`] does, and returns the most likely token after it:
    /// that with the highest logit, of several the one with the lowest id.
    ///
    /// A slot has none where a logit is not finite.
    pub fn step_greedy(
        &self,
        caches: &mut Caches,
        tokens: &[TokenId],
        table: &GreedyTable,
    ) -> Vec<Option<TokenId>> {
        let device = caches.device.clone();
        among_workers(&device, || {
            let hidden = self.last_norm(self.add(caches, tokens));
            let [slots, _, width] = hidden.dims();
            best_output(hidden.reshape([slots, width]), self.wte.val(), &table.0)
        })
    }

    /// Adds one token to each slot, and returns the last block's output: [slots, 1, `d_model`].
    fn add(&self, caches: &mut Caches, tokens: &[TokenId]) -> Tensor<3> {
        let slots = caches.lens.len();
        let needed = caches.lens.iter().flatten().max().map_or(1, |len| len + 1);
        if needed > caches.capacity {
            self.reserve(caches, needed.next_power_of_two());
        }
        let mut ids: Vec<i64> = tokens.iter().map(|&id| i64::from(id)).collect();
        ids.resize(slots, 0);
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [slots, 1]), &caches.device);
        let geometry = StepGeometry::new(
            self.rotary(),
            self.config(),
            caches.lens.clone(),
            caches.capacity,
            &caches.device,
        );
        let mut x = self.embed(tokens);
        for (block, cache) in self.layers.iter().zip(&mut caches.layers) {
            x = block.ffn.forward(block.seq.step(x, cache, &geometry));
        }
        for len in caches.lens.iter_mut().flatten() {
            *len += 1;
        }
        x
    }
}
