//! What others say that layers of an image became.

use store::ResolvedDigest;

use super::{Image, KnownLayers};
use crate::layer::{Layer, LayerDigests, layer_key, note_layers, read_layer};

impl Image<'_> {
    /// Returns by what realisations those layers are found that were never made here, each with its output [`LAYER_OUTPUT`](crate::layer::LAYER_OUTPUT).
    pub fn unknown_layers(&self) -> Vec<ResolvedDigest> {
        let known = self.expected_layers();
        let indices = (0..known.len()).filter(|&index| known[index].is_none());
        indices.map(|index| self.layer_key(index)).collect()
    }

    /// Takes what a believed realisation, found by `key`, says that layers became: the bytes of its store object. Tells whether they say that.
    ///
    /// A push relies on it where the registry has such a blob; a layer that has to be made is made without it.
    pub fn tell_layer(&mut self, key: &ResolvedDigest, record: &[u8]) -> bool {
        let Some(layer) = read_layer(record) else {
            return false;
        };
        self.told.insert(*key, layer);
        true
    }

    /// Returns what is known of the layers, by the memo or by others.
    pub(crate) fn expected_layers(&self) -> KnownLayers {
        let known = self.find_layers().into_iter().enumerate();
        known
            .map(|(index, own)| own.or_else(|| self.told.get(&self.layer_key(index)).copied()))
            .collect()
    }

    /// Returns what the memo knows of a layer.
    pub(crate) fn find_layer(&self, index: usize) -> Option<LayerDigests> {
        let recipe = self.layers[index].recipe();
        self.memo.foretell(recipe, self.options.compression)
    }

    /// Remembers that these are the layers of an image of the requested packages.
    pub(super) fn note_layers(&self) {
        let recipes: Vec<_> = self.layers.iter().map(Layer::recipe).collect();
        note_layers(&self.memo, self.requested(), &recipes);
    }

    fn layer_key(&self, index: usize) -> ResolvedDigest {
        layer_key(self.layers[index].recipe(), self.options.compression)
    }
}
